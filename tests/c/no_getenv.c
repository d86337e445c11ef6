/*
 * Preloaded: getenv aborts once the program has said that it has started. The
 * dynamic linker and libc's start-up come before that. libc's own resolver reads
 * the environment without this symbol, so getaddrinfo aborts as well.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int phc_test_started;

static char *refuse(const char *name) {
    if (phc_test_started) {
        fprintf(stderr, "the environment variable %s was read\n", name);
        abort();
    }
    return NULL;
}

char *getenv(const char *name) {
    refuse(name);
    char *(*real)(const char *) = (char *(*)(const char *))dlsym(RTLD_NEXT, "getenv");
    return real == NULL ? NULL : real(name);
}

int getaddrinfo(const char *name, const char *service, const void *hints, void **found) {
    (void)name, (void)service, (void)hints, (void)found;
    refuse("that getaddrinfo reads");
    return -1;
}

char *secure_getenv(const char *name) { return refuse(name); }
