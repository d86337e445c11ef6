/* As much JSON as a worker needs: slices of a text, and strings read and
 * written. The text must be valid, and end with a NUL. */
#ifndef PHC_WORKER_JSON_H
#define PHC_WORKER_JSON_H

#include <stddef.h>

typedef struct {
    const char *at; /* NULL: there is none */
    size_t len;
} slice;

/* Calls each with every member of an object, keys between their quotes. */
void json_members(slice object, void (*each)(slice key, slice value, void *data), void *data);

/* The value of a member; the last one of several. */
slice json_member(slice object, const char *key);

/* The text of a string with its escapes resolved, ended by a NUL, to be freed;
 * its length in len (NULL is fine). NULL for anything but a string. */
char *json_text(slice string, size_t *len);

/* The slice as a C string, to be freed; NULL for none. */
char *json_copy(slice value);

/* Writes a string with quotes to standard output. */
void json_print(const char *text);

#endif
