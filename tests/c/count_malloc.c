/*
 * Counts the allocations of the main thread, and its blocks that are not freed: preloaded, or
 * compiled into a program.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "real_malloc.h"

volatile long allocations_of_main, blocks_of_main;
static void *counted(void *block, int more) {
    if (syscall(SYS_gettid) == getpid()) allocations_of_main++, blocks_of_main += more;
    return block;
}

void *malloc(size_t size) { return counted(REAL(malloc)(size), 1); }
void *calloc(size_t number, size_t size) { return counted(REAL(calloc)(number, size), 1); }
void *realloc(void *old, size_t size) { return counted(REAL(realloc)(old, size), old == NULL); }
void *memalign(size_t alignment, size_t size) { return counted(REAL(memalign)(alignment, size), 1); }
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = memalign(alignment, size);
    return *out == NULL ? 12 : 0;
}
void free(void *block) {
    if (block != NULL && syscall(SYS_gettid) == getpid()) blocks_of_main--;
    REAL(free)(block);
}
