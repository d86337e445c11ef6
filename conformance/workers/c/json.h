/* As much JSON as a worker needs: it finds members and elements in a text, and
 * reads and writes strings. It checks nothing: the text must be valid JSON and
 * end with a NUL. Numbers are left as they are written. */
#ifndef PHC_WORKER_JSON_H
#define PHC_WORKER_JSON_H

#include <stddef.h>

typedef struct {
    const char *at; /* NULL: absent */
    size_t len;
} slice;

/* Calls each with every member of an object in order, keys with their quotes. */
void json_members(slice object, void (*each)(slice key, slice value, void *data), void *data);

/* Calls each with every element of a list in order. */
void json_elements(slice list, void (*each)(slice value, void *data), void *data);

/* Returns the value of a member; the last one of several. */
slice json_member(slice object, const char *key);

/* Returns the text of a string without escapes, ended by a NUL, to be freed; its
 * length is written to len (may be NULL). Returns NULL for anything but a string. */
char *json_text(slice string, size_t *len);

/* Returns a copy of the slice, ended by a NUL, to be freed; NULL if it is absent. */
char *json_copy(slice value);

/* Returns a whole number that is not negative; 0 if it is absent. */
unsigned long long json_number(slice value);

/* Writes a text as a JSON string to standard output. */
void json_print(const char *text);

#endif
