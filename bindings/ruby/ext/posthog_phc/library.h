/* The functions of libphc that the extension calls, as include/phc.h declares them: a gem is installed without that.
 *
 * The extension is not linked with libphc. Ruby has loaded that, and gives the addresses. */
#ifndef POSTHOG_PHC_LIBRARY_H
#define POSTHOG_PHC_LIBRARY_H

#include <ruby.h>
#include <stdint.h>

/* What it returns, its name, its arguments. */
#define LIBRARY_FUNCTIONS(FUNCTION)                                                                          \
    FUNCTION(int32_t, phc_capture_json, (void *client, const char *json, size_t length, char *uuid_out))     \
    FUNCTION(void *, phc_flags_query_new, (const char *distinct_id))                                         \
    FUNCTION(void, phc_flags_query_free, (void *query))                                                      \
    FUNCTION(int32_t, phc_flags_query_set_option, (void *query, int32_t option, int value))                  \
    FUNCTION(int32_t, phc_flags_query_set_person_json, (void *query, const char *object, size_t length))     \
    FUNCTION(int32_t, phc_flags_query_set_group,                                                             \
             (void *query, const char *type, const char *key, const char *json))                             \
    FUNCTION(int32_t, phc_flags_query_set_device_id, (void *query, const char *device_id))                   \
    FUNCTION(int32_t, phc_flags_query_add_key, (void *query, const char *key))                               \
    FUNCTION(int32_t, phc_flags_query_add_context, (void *query, const char *context))                       \
    FUNCTION(int32_t, phc_flags_evaluate,                                                                    \
             (const void *client, const void *query, uint32_t timeout_ms, void **out))                       \
    FUNCTION(int32_t, phc_flags_get, (void *flags, const char *key, const char **variant))                   \
    FUNCTION(const char *, phc_flags_payload, (const void *flags, const char *key, size_t *length))          \
    FUNCTION(void, phc_flags_free, (void *flags))

typedef struct {
#define FUNCTION(result, name, arguments) result(*name) arguments;
    LIBRARY_FUNCTIONS(FUNCTION)
#undef FUNCTION
} library_functions;

enum { PHC_OK = 0, PHC_WOULD_WAIT = 20 };

/* All of them, or NULL before libphc is loaded. */
extern const library_functions *library;

/* Defines Extension::FUNCTIONS, the names, and Extension.bind(addresses), which takes a Hash of the address of each. */
void library_init(VALUE extension);

#endif
