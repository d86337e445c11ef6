/* Text that grows while it is written.
 *
 * It begins in the memory of the caller. What does not fit there is in memory that the garbage collector frees, so
 * an exception that leaves the caller leaks nothing. */
#ifndef POSTHOG_PHC_BUFFER_H
#define POSTHOG_PHC_BUFFER_H

#include <ruby.h>

/* An event of ten properties takes about 500 bytes. */
#define BUFFER_FIRST 2048

typedef struct {
    char *text;
    size_t length;
    size_t capacity;
    /* The owner of the text once it is not in `first`. The collector finds it here, on the stack. */
    volatile VALUE owner;
    char first[BUFFER_FIRST];
} buffer;

void buffer_init(buffer *out);

/* Frees the memory at once, which is cheaper than leaving it to the collector. */
void buffer_free(buffer *out);

/* Makes room for so many bytes more. */
void buffer_grow(buffer *out, size_t more);

static inline void buffer_put(buffer *out, const char *bytes, size_t count) {
    if (count > out->capacity - out->length) buffer_grow(out, count);
    memcpy(out->text + out->length, bytes, count);
    out->length += count;
}

static inline void buffer_byte(buffer *out, char byte) {
    if (out->length == out->capacity) buffer_grow(out, 1);
    out->text[out->length++] = byte;
}

/* A literal, without its NUL. */
#define buffer_literal(out, literal) buffer_put((out), "" literal, sizeof(literal) - 1)

#endif
