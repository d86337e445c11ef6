<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The declarations and constants of libphc. Generated from include/phc.cdef.h by
 * scripts/php-declarations.php.
 *
 * @internal
 */
final class Declarations
{
    public const ABI_VERSION = 1;
    public const NO_LIMIT = 4294967295;
    public const UUID_SIZE = 37;
    public const OK = 0;
    public const INVALID_ARGUMENT = 1;
    public const INVALID_SETTING = 2;
    public const CLOSED = 4;
    public const TIMEOUT = 6;
    public const WOULD_WAIT = 20;
    public const UNAVAILABLE = 21;
    public const SPOOL = 22;
    public const FLAGS_REMOTE_ONLY = 1;
    public const FLAGS_DISABLE_GEOIP = 2;
    public const FLAGS_NO_EVENTS = 3;
    public const FLAG_ABSENT = 0;
    public const FLAG_FALSE = 1;
    public const FLAG_TRUE = 2;
    public const FLAG_VARIANT = 3;

    /** What a request needs. */
    public const REQUEST = <<<'C'
typedef struct phc_client phc_client;
typedef struct phc_config phc_config;
typedef struct phc_report phc_report;
typedef int32_t phc_status;
uint32_t phc_abi_version(void);
const char *phc_status_name(phc_status status);
const char *phc_last_error(void);
struct phc_config *phc_config_new(const char *api_key);
phc_status phc_config_set(struct phc_config *config, const char *key, const char *value);
void phc_config_free(struct phc_config *config);
struct phc_client *phc_client_new(const struct phc_config *config, phc_status *status);
struct phc_client *phc_client_open(const char *name, const struct phc_config *config, phc_status *status);
void phc_client_free(struct phc_client *client);
phc_status phc_capture_json(struct phc_client *client, const char *json, size_t len, char *uuid_out);
struct phc_report *phc_poll(struct phc_client *client, uint32_t timeout_ms);
void phc_report_free(struct phc_report *report);
const char *phc_report_json(const struct phc_report *report);
phc_status phc_binding_count_discarded(phc_client *client);
C;

    /** What a request needs that evaluates feature flags. */
    public const FLAGS = <<<'C'
typedef struct phc_client phc_client;
typedef struct phc_flags phc_flags;
typedef struct phc_flags_query phc_flags_query;
typedef int32_t phc_status;
typedef int32_t phc_flags_option;
typedef int32_t phc_flag_kind;
struct phc_flags_query *phc_flags_query_new(const char *distinct_id);
void phc_flags_query_free(struct phc_flags_query *query);
phc_status phc_flags_query_set_option(struct phc_flags_query *query, phc_flags_option option, int value);
phc_status phc_flags_query_set_person_json(struct phc_flags_query *query, const char *object, size_t len);
phc_status phc_flags_query_set_group(struct phc_flags_query *query, const char *group_type, const char *group_key, const char *properties_json);
phc_status phc_flags_query_add_key(struct phc_flags_query *query, const char *key);
phc_status phc_flags_ready(const struct phc_client *client, uint32_t timeout_ms);
phc_status phc_flags_evaluate(const struct phc_client *client, const struct phc_flags_query *query, uint32_t timeout_ms, struct phc_flags **out);
phc_flag_kind phc_flags_get(struct phc_flags *flags, const char *key, const char **variant);
const char *phc_flags_payload(const struct phc_flags *flags, const char *key, size_t *len);
size_t phc_flags_json(const struct phc_flags *flags, char *buf, size_t len);
struct phc_flags *phc_flags_only(const struct phc_flags *flags, const char *const *keys, size_t n);
struct phc_flags *phc_flags_only_accessed(const struct phc_flags *flags);
void phc_flags_free(struct phc_flags *flags);
size_t phc_binding_flags_read(phc_flags *flags, const char *key, char *buf, size_t len);
C;

    /** All declarations. */
    public const ALL = <<<'C'
enum {
    PHC_NO_LIMIT = 4294967295,
};
enum {
    PHC_UUID_SIZE = 37,
};
enum {
    PHC_ABI_VERSION = 1,
};
enum {
    PHC_BEFORE_SEND_KEEP = 0,
    PHC_BEFORE_SEND_DISCARD = 1,
};
enum {
    PHC_LOSS_SLOTS = 32,
};
enum {
    PHC_STATUS_SLOTS = 64,
};
typedef struct phc_client phc_client;
typedef struct phc_config phc_config;
typedef struct phc_event phc_event;
typedef struct phc_exception phc_exception;
typedef struct phc_flags phc_flags;
typedef struct phc_flags_query phc_flags_query;
typedef struct phc_outgoing phc_outgoing;
typedef struct phc_remote_config phc_remote_config;
typedef struct phc_report phc_report;
typedef int32_t phc_status;
typedef struct phc_setting {
    const char *key;
    const char *kind;
    const char *default_value;
    const char *accepted;
} phc_setting;
typedef struct phc_flush_result {
    uint64_t settled;
    uint64_t delivered;
    uint64_t lost;
    uint64_t pending;
} phc_flush_result;
typedef void (*phc_error_callback)(const struct phc_report *report, void *user_data);
typedef void (*phc_free_callback)(void *user_data);
typedef void (*phc_delivery_callback)(const struct phc_report *report, void *user_data);
typedef int32_t phc_log_level;
typedef void (*phc_log_callback)(phc_log_level level, const char *message, void *user_data);
typedef int32_t phc_flags_option;
typedef int32_t phc_flag_kind;
typedef int32_t phc_flag_reason;
typedef int32_t phc_flag_unresolved;
typedef struct phc_flag_detail {
    int64_t id;
    int64_t version;
    phc_flag_kind kind;
    phc_flag_reason reason;
    int32_t condition_index;
    phc_flag_unresolved unresolved;
    int32_t has_experiment;
    int32_t is_local;
} phc_flag_detail;
typedef int32_t (*phc_before_send_callback)(struct phc_outgoing *event, void *user_data);
typedef int32_t phc_loss;
typedef struct phc_event_report {
    const char *uuid;
    const char *verdict;
    const char *details;
    phc_loss loss;
    int32_t maybe_delivered;
} phc_event_report;
typedef struct phc_stats {
    uint64_t captured;
    uint64_t delivered;
    uint64_t delivered_with_warning;
    uint64_t lost;
    uint64_t maybe_delivered;
    uint64_t pending_events;
    uint64_t pending_bytes;
    uint64_t refused;
    uint64_t repaired;
    uint64_t uuids_replaced;
    uint64_t requests;
    uint64_t retries;
    uint64_t body_bytes;
    uint64_t sent_bytes;
    uint64_t lost_by_reason[PHC_LOSS_SLOTS];
    uint64_t refused_by_status[PHC_STATUS_SLOTS];
    uint64_t delivered_with_remark;
    uint64_t recovered;
    uint64_t kept;
    uint64_t spooled;
} phc_stats;
enum {
    PHC_OK = 0,
    PHC_INVALID_ARGUMENT = 1,
    PHC_INVALID_SETTING = 2,
    PHC_DISABLED = 3,
    PHC_CLOSED = 4,
    PHC_QUEUE_FULL = 5,
    PHC_TIMEOUT = 6,
    PHC_LOST_EVENTS = 7,
    PHC_REENTRANT = 8,
    PHC_CONFLICT = 9,
    PHC_INVALID_JSON = 10,
    PHC_INVALID_EVENT = 11,
    PHC_INVALID_DISTINCT_ID = 12,
    PHC_INVALID_TIMESTAMP = 13,
    PHC_INVALID_PROPERTY = 14,
    PHC_EVENT_TOO_LARGE = 15,
    PHC_OPTED_OUT = 16,
    PHC_BEFORE_SEND = 17,
    PHC_INTERNAL = 18,
    PHC_OUT_OF_RESOURCES = 19,
    PHC_WOULD_WAIT = 20,
    PHC_UNAVAILABLE = 21,
    PHC_SPOOL = 22,
};
enum {
    PHC_LOG_ERROR = 1,
    PHC_LOG_WARNING = 2,
    PHC_LOG_INFO = 3,
    PHC_LOG_DEBUG = 4,
};
enum {
    PHC_FLAGS_REMOTE_ONLY = 1,
    PHC_FLAGS_DISABLE_GEOIP = 2,
    PHC_FLAGS_NO_EVENTS = 3,
};
enum {
    PHC_FLAG_ABSENT = 0,
    PHC_FLAG_FALSE = 1,
    PHC_FLAG_TRUE = 2,
    PHC_FLAG_VARIANT = 3,
};
enum {
    PHC_FLAG_REASON_NONE = 0,
    PHC_FLAG_DISABLED = 1,
    PHC_FLAG_NO_GROUP_TYPE = 2,
    PHC_FLAG_NO_CONDITION_MATCH = 3,
    PHC_FLAG_OUT_OF_ROLLOUT_BOUND = 4,
    PHC_FLAG_CONDITION_MATCH = 5,
    PHC_FLAG_HOLDOUT = 6,
    PHC_FLAG_SUPER_CONDITION = 7,
    PHC_FLAG_MISSING_DEPENDENCY = 8,
    PHC_FLAG_REASON_OTHER = 9,
};
enum {
    PHC_FLAG_RESOLVED = 0,
    PHC_FLAG_EXPERIENCE_CONTINUITY = 1,
    PHC_FLAG_UNSUPPORTED_DEFINITION = 2,
    PHC_FLAG_UNRESOLVED_DEPENDENCY = 3,
    PHC_FLAG_MISSING_CONTEXT = 4,
    PHC_FLAG_EVALUATION_FAILED = 5,
};
enum {
    PHC_LOSS_NONE = 0,
    PHC_LOSS_DROPPED = 1,
    PHC_LOSS_RETRY_EXHAUSTED = 2,
    PHC_LOSS_REJECTED = 3,
    PHC_LOSS_TRANSPORT = 4,
    PHC_LOSS_MALFORMED_RESPONSE = 5,
    PHC_LOSS_EVICTED = 6,
    PHC_LOSS_CLOSED = 7,
    PHC_LOSS_INTERNAL = 8,
    PHC_LOSS_EXPIRED = 9,
    PHC_LOSS_CORRUPT = 10,
    PHC_LOSS_DISCARDED = 11,
};
const char *phc_version(void);
uint32_t phc_version_number(void);
uint32_t phc_abi_version(void);
const char *phc_status_message(phc_status status);
const char *phc_status_name(phc_status status);
const char *phc_last_error(void);
uint32_t phc_last_http_status(void);
struct phc_config *phc_config_new(const char *api_key);
phc_status phc_config_set(struct phc_config *config, const char *key, const char *value);
const char *phc_config_get(struct phc_config *config, const char *key);
void phc_config_free(struct phc_config *config);
size_t phc_setting_count(void);
phc_status phc_setting_at(size_t index, struct phc_setting *out, size_t size);
struct phc_client *phc_client_new(const struct phc_config *config, phc_status *status);
struct phc_client *phc_client_open(const char *name,
                                   const struct phc_config *config,
                                   phc_status *status);
phc_status phc_client_close(struct phc_client *client, uint32_t timeout_ms);
void phc_client_free(struct phc_client *client);
phc_status phc_flush(struct phc_client *client,
                     uint32_t timeout_ms,
                     struct phc_flush_result *result,
                     size_t size);
phc_status phc_flush_begin(struct phc_client *client, uint64_t *flush);
phc_status phc_flush_wait(struct phc_client *client,
                          uint64_t flush,
                          uint32_t timeout_ms,
                          struct phc_flush_result *result,
                          size_t size);
phc_status phc_flush_end(struct phc_client *client, uint64_t flush);
phc_status phc_persist(struct phc_client *client, uint32_t timeout_ms);
phc_status phc_spool_discard(struct phc_client *client, uint32_t timeout_ms, uint64_t *discarded);
phc_status phc_set_error_callback(struct phc_client *client,
                                  phc_error_callback callback,
                                  void *user_data,
                                  phc_free_callback free_user_data);
phc_status phc_set_delivery_callback(struct phc_client *client,
                                     phc_delivery_callback callback,
                                     void *user_data,
                                     phc_free_callback free_user_data);
phc_status phc_set_log_callback(struct phc_client *client,
                                phc_log_callback callback,
                                void *user_data,
                                phc_free_callback free_user_data);
phc_status phc_capture(struct phc_client *client,
                       const char *distinct_id,
                       const char *event,
                       const char *properties_json);
phc_status phc_capture_get_uuid(struct phc_client *client,
                                const char *distinct_id,
                                const char *event,
                                const char *properties_json,
                                char *uuid_out);
phc_status phc_capture_json(struct phc_client *client,
                            const char *json,
                            size_t len,
                            char *uuid_out);
phc_status phc_capture_event(struct phc_client *client, struct phc_event *event, char *uuid_out);
phc_status phc_identify(struct phc_client *client,
                        const char *distinct_id,
                        const char *set_json,
                        const char *set_once_json,
                        char *uuid_out);
phc_status phc_alias(struct phc_client *client,
                     const char *distinct_id,
                     const char *alias,
                     char *uuid_out);
phc_status phc_group_identify(struct phc_client *client,
                              const char *group_type,
                              const char *group_key,
                              const char *set_json,
                              const char *distinct_id,
                              char *uuid_out);
phc_status phc_register(struct phc_client *client, const char *key, const char *value_json);
phc_status phc_unregister(struct phc_client *client, const char *key);
phc_status phc_opt_out(struct phc_client *client);
phc_status phc_opt_in(struct phc_client *client);
struct phc_event *phc_event_new(const char *distinct_id, const char *event);
struct phc_event *phc_event_new_n(const char *distinct_id,
                                  size_t distinct_id_len,
                                  const char *event,
                                  size_t event_len);
void phc_event_free(struct phc_event *event);
phc_status phc_event_set_string(struct phc_event *event, const char *key, const char *value);
phc_status phc_event_set_string_n(struct phc_event *event,
                                  const char *key,
                                  size_t key_len,
                                  const char *value,
                                  size_t value_len);
phc_status phc_event_set_int(struct phc_event *event, const char *key, int64_t value);
phc_status phc_event_set_int_n(struct phc_event *event,
                               const char *key,
                               size_t key_len,
                               int64_t value);
phc_status phc_event_set_uint(struct phc_event *event, const char *key, uint64_t value);
phc_status phc_event_set_uint_n(struct phc_event *event,
                                const char *key,
                                size_t key_len,
                                uint64_t value);
phc_status phc_event_set_double(struct phc_event *event, const char *key, double value);
phc_status phc_event_set_double_n(struct phc_event *event,
                                  const char *key,
                                  size_t key_len,
                                  double value);
phc_status phc_event_set_bool(struct phc_event *event, const char *key, int value);
phc_status phc_event_set_bool_n(struct phc_event *event,
                                const char *key,
                                size_t key_len,
                                int value);
phc_status phc_event_set_null(struct phc_event *event, const char *key);
phc_status phc_event_set_null_n(struct phc_event *event, const char *key, size_t key_len);
phc_status phc_event_set_json(struct phc_event *event, const char *key, const char *json);
phc_status phc_event_set_json_n(struct phc_event *event,
                                const char *key,
                                size_t key_len,
                                const char *json,
                                size_t json_len);
phc_status phc_event_begin_object(struct phc_event *event, const char *key);
phc_status phc_event_begin_object_n(struct phc_event *event, const char *key, size_t key_len);
phc_status phc_event_begin_array(struct phc_event *event, const char *key);
phc_status phc_event_begin_array_n(struct phc_event *event, const char *key, size_t key_len);
phc_status phc_event_end(struct phc_event *event);
phc_status phc_event_set_group(struct phc_event *event,
                               const char *group_type,
                               const char *group_key);
phc_status phc_event_set_group_n(struct phc_event *event,
                                 const char *group_type,
                                 size_t group_type_len,
                                 const char *group_key,
                                 size_t group_key_len);
phc_status phc_event_set_uuid(struct phc_event *event, const char *uuid);
phc_status phc_event_set_timestamp_ms(struct phc_event *event, int64_t unix_ms);
phc_status phc_event_set_timestamp(struct phc_event *event, const char *rfc3339);
struct phc_exception *phc_exception_new(const char *type, const char *message);
void phc_exception_free(struct phc_exception *exception);
phc_status phc_exception_set(struct phc_exception *exception, const char *name, const char *value);
phc_status phc_exception_add_cause(struct phc_exception *exception,
                                   const char *type,
                                   const char *message,
                                   const char *relation);
phc_status phc_exception_add_frame(struct phc_exception *exception,
                                   const char *function,
                                   const char *file,
                                   uint32_t line,
                                   int in_app);
phc_status phc_exception_add_frame_json(struct phc_exception *exception,
                                        const char *json,
                                        size_t len);
phc_status phc_exception_add_address(struct phc_exception *exception, const void *address);
phc_status phc_exception_add_stack(struct phc_exception *exception, unsigned int skip);
phc_status phc_capture_exception(struct phc_client *client,
                                 const char *distinct_id,
                                 struct phc_exception *exception,
                                 const char *properties_json,
                                 char *uuid_out);
struct phc_flags_query *phc_flags_query_new(const char *distinct_id);
void phc_flags_query_free(struct phc_flags_query *query);
phc_status phc_flags_query_set_option(struct phc_flags_query *query,
                                      phc_flags_option option,
                                      int value);
phc_status phc_flags_query_set_person(struct phc_flags_query *query,
                                      const char *key,
                                      const char *value_json);
phc_status phc_flags_query_set_person_json(struct phc_flags_query *query,
                                           const char *object,
                                           size_t len);
phc_status phc_flags_query_set_group(struct phc_flags_query *query,
                                     const char *group_type,
                                     const char *group_key,
                                     const char *properties_json);
phc_status phc_flags_query_set_device_id(struct phc_flags_query *query, const char *device_id);
phc_status phc_flags_query_add_key(struct phc_flags_query *query, const char *key);
phc_status phc_flags_query_add_context(struct phc_flags_query *query, const char *context);
phc_status phc_flags_definitions_set(struct phc_client *client, const char *json, size_t len);
phc_status phc_flags_ready(const struct phc_client *client, uint32_t timeout_ms);
phc_status phc_flags_reload(struct phc_client *client, uint32_t timeout_ms);
phc_status phc_flags_evaluate(const struct phc_client *client,
                              const struct phc_flags_query *query,
                              uint32_t timeout_ms,
                              struct phc_flags **out);
int phc_flag_enabled(const struct phc_client *client,
                     const char *key,
                     const char *distinct_id,
                     int default_value);
int phc_flags_enabled(struct phc_flags *flags, const char *key, int default_value);
phc_flag_kind phc_flags_get(struct phc_flags *flags, const char *key, const char **variant);
const char *phc_flags_payload(const struct phc_flags *flags, const char *key, size_t *len);
size_t phc_flags_count(const struct phc_flags *flags);
const char *phc_flags_key(const struct phc_flags *flags, size_t index);
phc_status phc_flags_detail(const struct phc_flags *flags,
                            const char *key,
                            struct phc_flag_detail *out,
                            size_t size);
const char *phc_flag_reason_name(phc_flag_reason reason);
const char *phc_flag_unresolved_name(phc_flag_unresolved reason);
const char *phc_flags_error(const struct phc_flags *flags);
size_t phc_flags_json(const struct phc_flags *flags, char *buf, size_t len);
struct phc_flags *phc_flags_only(const struct phc_flags *flags, const char *const *keys, size_t n);
struct phc_flags *phc_flags_only_accessed(const struct phc_flags *flags);
void phc_flags_free(struct phc_flags *flags);
phc_status phc_event_set_flags(struct phc_event *event, const struct phc_flags *flags);
phc_status phc_remote_config_fetch(const struct phc_client *client,
                                   const char *key,
                                   uint32_t timeout_ms,
                                   struct phc_remote_config **out);
const char *phc_remote_config_payload(const struct phc_remote_config *config, size_t *len);
void phc_remote_config_free(struct phc_remote_config *config);
phc_status phc_set_before_send_callback(struct phc_client *client,
                                        phc_before_send_callback callback,
                                        void *user_data,
                                        phc_free_callback free_user_data);
const char *phc_outgoing_json(const struct phc_outgoing *event,
                              size_t *len);
phc_status phc_outgoing_replace(struct phc_outgoing *event, const char *json, size_t len);
struct phc_report *phc_poll(struct phc_client *client, uint32_t timeout_ms);
ptrdiff_t phc_poll_fd(struct phc_client *client);
void phc_report_free(struct phc_report *report);
const char *phc_report_request_id(const struct phc_report *report);
uint32_t phc_report_attempt(const struct phc_report *report);
int64_t phc_report_sent_at_ms(const struct phc_report *report);
uint32_t phc_report_http_status(const struct phc_report *report);
const char *phc_report_error(const struct phc_report *report);
size_t phc_report_event_count(const struct phc_report *report);
phc_status phc_report_event(const struct phc_report *report,
                            size_t index,
                            struct phc_event_report *out,
                            size_t size);
size_t phc_report_pending_count(const struct phc_report *report);
const char *phc_report_pending_uuid(const struct phc_report *report,
                                    size_t index);
uint64_t phc_report_missed_reports(const struct phc_report *report);
uint64_t phc_report_missed_events(const struct phc_report *report);
const char *phc_report_json(const struct phc_report *report);
const char *phc_loss_name(phc_loss loss);
phc_status phc_stats_get(const struct phc_client *client, struct phc_stats *out, size_t size);
size_t phc_stats_json(const struct phc_client *client, char *buf, size_t len);
phc_status phc_binding_count_discarded(phc_client *client);
size_t phc_binding_next_test_event(phc_client *client, char *buf, size_t len);
size_t phc_binding_next_log_line(phc_client *client, phc_log_level *level, char *buf, size_t len);
phc_flag_kind phc_binding_flags_peek(const phc_flags *flags, const char *key, const char **variant);
size_t phc_binding_flags_read(phc_flags *flags, const char *key, char *buf, size_t len);
C;
}
