#include "buffer.h"

void buffer_init(buffer *out) {
    out->text = out->first;
    out->length = 0;
    out->capacity = sizeof(out->first);
    out->owner = 0;
}

void buffer_free(buffer *out) {
    if (out->owner) rb_free_tmp_buffer(&out->owner);
}

void buffer_grow(buffer *out, size_t more) {
    if (more > (size_t)LONG_MAX / 2 - out->length) rb_raise(rb_eNoMemError, "the event is too large");
    size_t capacity = 2 * (out->length + more);
    volatile VALUE owner = 0;
    char *text = rb_alloc_tmp_buffer(&owner, (long)capacity);
    memcpy(text, out->text, out->length);
    buffer_free(out);
    out->text = text;
    out->capacity = capacity;
    out->owner = owner;
}
