<?php

declare(strict_types=1);

namespace PostHog;

/**
 * What libphc declares. Made from include/phc.cdef.h by scripts/php-declarations.php.
 *
 * @internal
 */
final class Declarations
{
    /** The binary interface that these are of. */
    public const ABI = 1;

    /** What a request needs. */
    public const REQUEST = <<<'C'
typedef struct phc_client phc_client;
typedef struct phc_config phc_config;
typedef struct phc_report phc_report;
typedef int32_t phc_status;
uint32_t phc_abi_version(void);
const char *phc_status_name(phc_status status);
const char *phc_last_error(void);
phc_config *phc_config_new(const char *api_key);
phc_status phc_config_set(phc_config *config, const char *key, const char *value);
const char *phc_config_error(const phc_config *config);
void phc_config_free(phc_config *config);
phc_client *phc_client_new(const phc_config *config, char *errbuf, size_t errlen);
phc_status phc_client_open(const char *name, const phc_config *config, phc_client **out);
void phc_client_free(phc_client *client);
phc_status phc_capture_json(phc_client *client, const char *json, size_t len, char *uuid_out);
phc_status phc_count_dropped(phc_client *client);
phc_report *phc_poll(phc_client *client, uint32_t timeout_ms);
void phc_report_free(phc_report *report);
const char *phc_report_json(const phc_report *report);
C;

    /** All of it. */
    public const ALL = <<<'C'
enum { PHC_ABI_VERSION = 1 };
enum { PHC_KEEP = 0 };
enum { PHC_DROP = 1 };
typedef struct phc_client phc_client;
typedef struct phc_config phc_config;
typedef struct phc_event phc_event;
typedef struct phc_outgoing phc_outgoing;
typedef struct phc_report phc_report;
typedef int32_t phc_status;
typedef struct {
    uint64_t settled;
    uint64_t delivered;
    uint64_t lost;
    uint64_t pending;
} phc_flush_result;
typedef void (*phc_error_callback)(const phc_report *report, void *user_data);
typedef void (*phc_free_callback)(void *user_data);
typedef int32_t phc_log_level;
typedef void (*phc_log_callback)(phc_log_level level, const char *message, void *user_data);
typedef int32_t (*phc_before_send_callback)(phc_outgoing *event, void *user_data);
typedef int32_t phc_loss;
typedef struct {
    char uuid[37];
    uint8_t maybe_delivered;
    phc_loss loss;
    const char *verdict;
    const char *details;
} phc_event_report;
typedef struct {
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
} phc_stats;
enum { PHC_OK = 0 };
enum { PHC_INVALID_ARGUMENT = 1 };
enum { PHC_INVALID_SETTING = 2 };
enum { PHC_DISABLED = 3 };
enum { PHC_CLOSED = 4 };
enum { PHC_QUEUE_FULL = 5 };
enum { PHC_TIMEOUT = 6 };
enum { PHC_LOST_EVENTS = 7 };
enum { PHC_REENTRANT = 8 };
enum { PHC_CONFLICT = 9 };
enum { PHC_INVALID_JSON = 10 };
enum { PHC_INVALID_EVENT = 11 };
enum { PHC_INVALID_DISTINCT_ID = 12 };
enum { PHC_INVALID_TIMESTAMP = 13 };
enum { PHC_INVALID_PROPERTY = 14 };
enum { PHC_EVENT_TOO_LARGE = 15 };
enum { PHC_OPTED_OUT = 16 };
enum { PHC_BEFORE_SEND = 17 };
enum { PHC_INTERNAL = 18 };
enum { PHC_OUT_OF_RESOURCES = 19 };
enum { PHC_LOG_ERROR = 1 };
enum { PHC_LOG_WARNING = 2 };
enum { PHC_LOG_INFO = 3 };
enum { PHC_LOSS_NONE = 0 };
enum { PHC_LOSS_DROPPED = 1 };
enum { PHC_LOSS_RETRY_EXHAUSTED = 2 };
enum { PHC_LOSS_REJECTED = 3 };
enum { PHC_LOSS_TRANSPORT = 4 };
enum { PHC_LOSS_MALFORMED_ANSWER = 5 };
enum { PHC_LOSS_EVICTED = 6 };
enum { PHC_LOSS_CLOSED = 7 };
enum { PHC_LOSS_INTERNAL = 8 };
const char *phc_version(void);
uint32_t phc_abi_version(void);
const char *phc_status_message(phc_status status);
const char *phc_status_name(phc_status status);
const char *phc_last_error(void);
phc_config *phc_config_new(const char *api_key);
phc_status phc_config_set(phc_config *config, const char *key, const char *value);
const char *phc_config_error(const phc_config *config);
void phc_config_free(phc_config *config);
phc_client *phc_client_new(const phc_config *config, char *errbuf, size_t errlen);
phc_status phc_client_open(const char *name, const phc_config *config, phc_client **out);
phc_status phc_flush(phc_client *client,
                     uint32_t timeout_ms,
                     phc_flush_result *result,
                     size_t size);
phc_status phc_flush_begin(phc_client *client, uint64_t *ticket);
phc_status phc_flush_wait(phc_client *client,
                          uint64_t ticket,
                          uint32_t timeout_ms,
                          phc_flush_result *result,
                          size_t size);
phc_status phc_flush_end(phc_client *client, uint64_t ticket);
phc_status phc_client_close(phc_client *client, uint32_t timeout_ms);
void phc_client_free(phc_client *client);
phc_status phc_set_error_callback(phc_client *client,
                                  phc_error_callback callback,
                                  void *user_data,
                                  phc_free_callback free_user_data);
phc_status phc_set_log_callback(phc_client *client,
                                phc_log_callback callback,
                                void *user_data,
                                phc_free_callback free_user_data);
phc_status phc_capture(phc_client *client,
                       const char *distinct_id,
                       const char *event,
                       const char *properties_json);
phc_status phc_capture_json(phc_client *client, const char *json, size_t len, char *uuid_out);
phc_status phc_capture_event(phc_client *client, phc_event *event, char *uuid_out);
phc_status phc_identify(phc_client *client,
                        const char *distinct_id,
                        const char *set_json,
                        const char *set_once_json);
phc_status phc_alias(phc_client *client, const char *distinct_id, const char *alias);
phc_status phc_group_identify(phc_client *client,
                              const char *group_type,
                              const char *group_key,
                              const char *set_json,
                              const char *distinct_id);
phc_status phc_register(phc_client *client, const char *key, const char *value_json);
phc_status phc_unregister(phc_client *client, const char *key);
phc_status phc_opt_out(phc_client *client);
phc_status phc_opt_in(phc_client *client);
size_t phc_test_next(phc_client *client, char *buf, size_t len);
phc_event *phc_event_new(const char *distinct_id, const char *event);
void phc_event_free(phc_event *event);
phc_status phc_event_set_string(phc_event *event, const char *key, const char *value);
phc_status phc_event_set_string_n(phc_event *event, const char *key, const char *value, size_t len);
phc_status phc_event_set_int(phc_event *event, const char *key, int64_t value);
phc_status phc_event_set_double(phc_event *event, const char *key, double value);
phc_status phc_event_set_bool(phc_event *event, const char *key, int value);
phc_status phc_event_set_json(phc_event *event, const char *key, const char *json);
phc_status phc_event_set_group(phc_event *event, const char *group_type, const char *group_key);
phc_status phc_event_set_uuid(phc_event *event, const char *uuid);
phc_status phc_event_set_timestamp_ms(phc_event *event, int64_t unix_ms);
phc_status phc_event_set_timestamp(phc_event *event, const char *rfc3339);
phc_status phc_set_before_send_callback(phc_client *client,
                                        phc_before_send_callback callback,
                                        void *user_data,
                                        phc_free_callback free_user_data);
const char *phc_outgoing_json(const phc_outgoing *event, size_t *len);
phc_status phc_outgoing_replace(phc_outgoing *event, const char *json, size_t len);
phc_status phc_count_dropped(phc_client *client);
phc_report *phc_poll(phc_client *client, uint32_t timeout_ms);
int phc_poll_fd(phc_client *client);
void phc_report_free(phc_report *report);
const char *phc_report_request_id(const phc_report *report);
uint32_t phc_report_attempt(const phc_report *report);
uint32_t phc_report_status(const phc_report *report);
const char *phc_report_error(const phc_report *report);
uint64_t phc_report_pending(const phc_report *report);
uint64_t phc_report_missed_events(const phc_report *report);
size_t phc_report_event_count(const phc_report *report);
phc_status phc_report_event(const phc_report *report,
                            size_t index,
                            phc_event_report *out,
                            size_t size);
const char *phc_report_json(const phc_report *report);
const char *phc_loss_name(phc_loss loss);
phc_status phc_stats_get(const phc_client *client, phc_stats *out, size_t size);
size_t phc_stats_json(const phc_client *client, char *buf, size_t len);
C;
}
