/*
 * start library=FILE host=URL: prints how many microseconds it takes to load the library, to make a client, to
 * capture the first event (which starts the I/O thread) and the second, and to close.
 */
#include <phc.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *library;

static void *function(const char *name) {
    void *found = dlsym(library, name);
    if (!found) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

/* Microseconds. */
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int count, char **values) {
    if (count < 3) return 2;
    double start = now();
    library = dlopen(strchr(values[1], '=') + 1, RTLD_NOW | RTLD_LOCAL);
    double loaded = now();
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    __typeof__(phc_abi_version) *abi_version = function("phc_abi_version");
    __typeof__(phc_last_error) *last_error = function("phc_last_error");
    __typeof__(phc_config_new) *config_new = function("phc_config_new");
    __typeof__(phc_config_set) *config_set = function("phc_config_set");
    __typeof__(phc_config_free) *config_free = function("phc_config_free");
    __typeof__(phc_client_new) *client_new = function("phc_client_new");
    __typeof__(phc_capture) *capture = function("phc_capture");
    __typeof__(phc_client_close) *client_close = function("phc_client_close");
    __typeof__(phc_client_free) *client_free = function("phc_client_free");
    if (abi_version() != PHC_ABI_VERSION) {
        fprintf(stderr, "%s is not a library of this header\n", values[1]);
        return 1;
    }
    double named = now();
    phc_config *config = config_new("phc_bench");
    phc_status set = config_set(config, "host", strchr(values[2], '=') + 1);
    phc_client *client = set == PHC_OK ? client_new(config, NULL) : NULL;
    double made = now();
    phc_status first = capture(client, "user", "event", NULL);
    double captured = now();
    phc_status second = capture(client, "user", "event", NULL);
    double again = now();
    phc_status closed = client_close(client, 5000);
    double ended = now();
    if (first != PHC_OK || second != PHC_OK || closed != PHC_OK) {
        fprintf(stderr, "%s\n", last_error());
        return 1;
    }
    printf("{\"load\":%.1f,\"client\":%.1f,\"first\":%.2f,\"second\":%.2f,\"close\":%.1f}\n", loaded - start,
           made - named, captured - made, again - captured, ended - again);
    client_free(client);
    config_free(config);
    return 0;
}
