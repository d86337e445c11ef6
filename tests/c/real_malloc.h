/*
 * The allocator of the C library, for a program or preloaded library that defines malloc itself.
 * On musl only where the C library is shared.
 */
#ifndef REAL_MALLOC_H
#define REAL_MALLOC_H

#include <stddef.h>

#ifdef __GLIBC__
#define REAL(name) __libc_##name
void *REAL(malloc)(size_t);
void *REAL(calloc)(size_t, size_t);
void *REAL(realloc)(void *, size_t);
void *REAL(memalign)(size_t, size_t);
void REAL(free)(void *);
#else
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

/* musl keeps those names to itself. Its dlsym allocates nothing. */
#define REAL(name) real_##name
#define NEXT(name, type) ((type)dlsym(RTLD_NEXT, name))
static inline void *REAL(malloc)(size_t size) { return NEXT("malloc", void *(*)(size_t))(size); }
/* Not musl's own, which would call the program's malloc. */
static inline void *REAL(calloc)(size_t number, size_t size) {
    void *block = size != 0 && number > SIZE_MAX / size ? NULL : REAL(malloc)(number * size);
    return block == NULL ? NULL : memset(block, 0, number * size);
}
static inline void *REAL(realloc)(void *old, size_t size) {
    return NEXT("realloc", void *(*)(void *, size_t))(old, size);
}
/* Not musl's memalign, which would call the program's aligned_alloc. */
static inline void *REAL(memalign)(size_t alignment, size_t size) {
    return NEXT("aligned_alloc", void *(*)(size_t, size_t))(alignment, size);
}
static inline void REAL(free)(void *block) { NEXT("free", void (*)(void *))(block); }
#endif

#endif
