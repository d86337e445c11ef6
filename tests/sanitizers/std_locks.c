/*
 * Shows ThreadSanitizer what the locks of Rust's standard library do.
 *
 * std comes compiled, without instrumentation. Its fast paths are inlined into
 * code that is instrumented, but where threads do meet, the sanitizer would not
 * see that one waited for the other, and would report everything behind a lock.
 * The linker lets these stand before std's own (--wrap); xtask/src/c.rs
 * finds the names, which carry a hash, and passes them as macros.
 */
#include <stdint.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define GLUE(a, b) a##b
#define NAME(a, b) GLUE(a, b)
#define REAL(name) NAME(__real_, name)
#define WRAP(name) NAME(__wrap_, name)

/* Mutex and RwLock: taken once this returns. The locks are given back inline. */
#define TAKES(name)                                                                                          \
    void REAL(name)(void *lock);                                                                             \
    void WRAP(name)(void *lock) {                                                                            \
        REAL(name)(lock);                                                                                    \
        __tsan_acquire(lock);                                                                                \
    }
TAKES(LOCK_CONTENDED)
TAKES(READ_CONTENDED)
TAKES(WRITE_CONTENDED)

/* Condvar: gives the mutex back while it waits. */
void REAL(CONDVAR_WAIT)(void *condition, void *mutex);
void WRAP(CONDVAR_WAIT)(void *condition, void *mutex) {
    __tsan_release(mutex);
    REAL(CONDVAR_WAIT)(condition, mutex);
    __tsan_acquire(mutex);
}

uint8_t REAL(CONDVAR_WAIT_TIMEOUT)(void *condition, void *mutex, uint64_t seconds, uint32_t nanoseconds);
uint8_t WRAP(CONDVAR_WAIT_TIMEOUT)(void *condition, void *mutex, uint64_t seconds, uint32_t nanoseconds) {
    __tsan_release(mutex);
    uint8_t result = REAL(CONDVAR_WAIT_TIMEOUT)(condition, mutex, seconds, nanoseconds);
    __tsan_acquire(mutex);
    return result;
}

/* Once: a later caller sees what the first one did. */
void REAL(ONCE_CALL)(void *once, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e);
void WRAP(ONCE_CALL)(void *once, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e) {
    REAL(ONCE_CALL)(once, a, b, c, d, e);
    __tsan_release(once);
    __tsan_acquire(once);
}
