/*
 * The functions of libphc that the extension calls, as include/phc.h and include/phc_binding.h declare them: an
 * installed extension is built without these headers. tests/ext/declarations.c compares the two.
 */
#ifndef PHC_EXT_FUNCTIONS_H
#define PHC_EXT_FUNCTIONS_H

#include <stddef.h>
#include <stdint.h>

typedef struct phc_client phc_client;
typedef struct phc_config phc_config;
typedef struct phc_report phc_report;
typedef struct phc_flags phc_flags;
typedef struct phc_flags_query phc_flags_query;
typedef int32_t phc_status;
typedef int32_t phc_flags_option;
typedef int32_t phc_flag_kind;
typedef struct phc_flush_result {
    uint64_t settled;
    uint64_t delivered;
    uint64_t lost;
    uint64_t pending;
} phc_flush_result;
enum { PHC_OK = 0, PHC_UUID_SIZE = 37 };

/* What it returns, its name, its arguments. */
#define PHC_FUNCTIONS(FUNCTION)                                                                              \
    FUNCTION(uint32_t, phc_abi_version, (void))                                                              \
    FUNCTION(const char *, phc_status_name, (phc_status))                                                    \
    FUNCTION(const char *, phc_last_error, (void))                                                           \
    FUNCTION(phc_config *, phc_config_new, (const char *))                                                   \
    FUNCTION(phc_status, phc_config_set, (phc_config *, const char *, const char *))                         \
    FUNCTION(void, phc_config_free, (phc_config *))                                                          \
    FUNCTION(phc_client *, phc_client_new, (const phc_config *, phc_status *))                               \
    FUNCTION(phc_client *, phc_client_open, (const char *, const phc_config *, phc_status *))                \
    FUNCTION(void, phc_client_free, (phc_client *))                                                          \
    FUNCTION(phc_status, phc_client_close, (phc_client *, uint32_t))                                         \
    FUNCTION(phc_status, phc_capture_json, (phc_client *, const char *, size_t, char *))                     \
    FUNCTION(phc_status, phc_flush_begin, (phc_client *, uint64_t *))                                        \
    FUNCTION(phc_status, phc_flush_wait, (phc_client *, uint64_t, uint32_t, phc_flush_result *, size_t))     \
    FUNCTION(phc_status, phc_flush_end, (phc_client *, uint64_t))                                            \
    FUNCTION(phc_report *, phc_poll, (phc_client *, uint32_t))                                               \
    FUNCTION(const char *, phc_report_json, (const phc_report *))                                            \
    FUNCTION(void, phc_report_free, (phc_report *))                                                          \
    FUNCTION(size_t, phc_stats_json, (const phc_client *, char *, size_t))                                   \
    FUNCTION(phc_status, phc_binding_count_discarded, (phc_client *))                                        \
    FUNCTION(phc_status, phc_persist, (phc_client *, uint32_t))                                              \
    FUNCTION(phc_status, phc_spool_discard, (phc_client *, uint32_t, uint64_t *))                            \
    FUNCTION(phc_flags_query *, phc_flags_query_new, (const char *))                                         \
    FUNCTION(void, phc_flags_query_free, (phc_flags_query *))                                                \
    FUNCTION(phc_status, phc_flags_query_set_option, (phc_flags_query *, phc_flags_option, int))             \
    FUNCTION(phc_status, phc_flags_query_set_person_json, (phc_flags_query *, const char *, size_t))         \
    FUNCTION(phc_status, phc_flags_query_set_group,                                                          \
             (phc_flags_query *, const char *, const char *, const char *))                                  \
    FUNCTION(phc_status, phc_flags_query_add_key, (phc_flags_query *, const char *))                         \
    FUNCTION(phc_status, phc_flags_definitions_set, (phc_client *, const char *, size_t))                    \
    FUNCTION(phc_status, phc_flags_ready, (const phc_client *, uint32_t))                                    \
    FUNCTION(phc_status, phc_flags_reload, (phc_client *, uint32_t))                                         \
    FUNCTION(phc_status, phc_flags_evaluate,                                                                 \
             (const phc_client *, const phc_flags_query *, uint32_t, phc_flags **))                          \
    FUNCTION(phc_flag_kind, phc_flags_get, (phc_flags *, const char *, const char **))                       \
    FUNCTION(const char *, phc_flags_payload, (const phc_flags *, const char *, size_t *))                   \
    FUNCTION(size_t, phc_flags_json, (const phc_flags *, char *, size_t))                                    \
    FUNCTION(phc_flags *, phc_flags_only, (const phc_flags *, const char *const *, size_t))                  \
    FUNCTION(phc_flags *, phc_flags_only_accessed, (const phc_flags *))                                      \
    FUNCTION(void, phc_flags_free, (phc_flags *))                                                            \
    FUNCTION(size_t, phc_binding_flags_read, (phc_flags *, const char *, char *, size_t))                    \
    FUNCTION(size_t, phc_binding_next_test_event, (phc_client *, char *, size_t))

typedef struct phc_functions {
#define FUNCTION(result, name, arguments) result(*name) arguments;
    PHC_FUNCTIONS(FUNCTION)
#undef FUNCTION
} phc_functions;

#endif
