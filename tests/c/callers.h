/*
 * One call of each exported function, with valid arguments: call_<function>(place) returns whether
 * it worked, was refused because of where it was called from, or failed otherwise.
 */
#ifndef CALLERS_H
#define CALLERS_H

#include "harness.h"

#include <phc_binding.h>
#include <stdlib.h>
#include <string.h>

/* What a call has to work with. */
typedef struct {
    phc_client *client;       /* the one whose callback this is */
    phc_client *other;        /* one without callbacks */
    phc_client *tested;       /* one in test mode */
    phc_client *spooling;     /* one with a spool */
    const phc_report *report; /* the callback's own, or a polled one */
    phc_report *to_free;      /* a polled one */
    phc_outgoing *outgoing;   /* NULL outside of before_send */
    uint64_t flush;           /* begun with `other` */
} place;

typedef enum { WORKED, REFUSED, FAILED } outcome;

static outcome of_status(phc_status status) {
    return status == PHC_OK ? WORKED : status == PHC_REENTRANT ? REFUSED : FAILED;
}

/* For functions without a status: the text is that of a refusal. */
static int text_is_refusal(void) { return strstr(phc_last_error(), "cannot be called from inside") != NULL; }

static outcome of_value(int is_right) { return is_right ? WORKED : text_is_refusal() ? REFUSED : FAILED; }

static phc_config *new_config(void) {
    phc_config *config = phc_config_new("phc_blackbox_key");
    phc_config_set(config, "host", namespace_host());
    return config;
}

#define CALLER(name) static outcome call_##name(const place *at)

/* Each works on an event of its own. */
#define EVENT_CALLER(name, ...)                                                                              \
    CALLER(name) {                                                                                           \
        (void)at;                                                                                            \
        phc_event *event = phc_event_new("user", "built");                                                   \
        outcome result = of_status(name(event, __VA_ARGS__));                                                \
        phc_event_free(event);                                                                               \
        return result;                                                                                       \
    }
EVENT_CALLER(phc_event_set_string, "k", "v")
EVENT_CALLER(phc_event_set_string_n, "k", 1, "v", 1)
EVENT_CALLER(phc_event_set_int, "k", -1)
EVENT_CALLER(phc_event_set_int_n, "k", 1, -1)
EVENT_CALLER(phc_event_set_uint, "k", 1)
EVENT_CALLER(phc_event_set_uint_n, "k", 1, 1)
EVENT_CALLER(phc_event_set_double, "k", 0.5)
EVENT_CALLER(phc_event_set_double_n, "k", 1, 0.5)
EVENT_CALLER(phc_event_set_bool, "k", 1)
EVENT_CALLER(phc_event_set_bool_n, "k", 1, 1)
EVENT_CALLER(phc_event_set_null, "k")
EVENT_CALLER(phc_event_set_null_n, "k", 1)
EVENT_CALLER(phc_event_set_json, "k", "[]")
EVENT_CALLER(phc_event_set_json_n, "k", 1, "[]", 2)
EVENT_CALLER(phc_event_begin_object, "k")
EVENT_CALLER(phc_event_begin_object_n, "k", 1)
EVENT_CALLER(phc_event_begin_array, "k")
EVENT_CALLER(phc_event_begin_array_n, "k", 1)
EVENT_CALLER(phc_event_set_group, "company", "acme")
EVENT_CALLER(phc_event_set_group_n, "company", 7, "acme", 4)
EVENT_CALLER(phc_event_set_uuid, "0190a5b4-7c3d-7abc-8def-0123456789ab")
EVENT_CALLER(phc_event_set_timestamp_ms, 0)
EVENT_CALLER(phc_event_set_timestamp, "2026-01-31T12:00:00Z")

CALLER(phc_event_end) {
    (void)at;
    phc_event *event = phc_event_new("user", "built");
    phc_event_begin_object(event, "k");
    outcome result = of_status(phc_event_end(event));
    phc_event_free(event);
    return result;
}

CALLER(phc_event_new) {
    (void)at;
    phc_event *event = phc_event_new("user", "built");
    outcome result = of_value(event != NULL);
    phc_event_free(event);
    return result;
}

CALLER(phc_event_new_n) {
    (void)at;
    phc_event *event = phc_event_new_n("user", 4, "built", 5);
    outcome result = of_value(event != NULL);
    phc_event_free(event);
    return result;
}

CALLER(phc_event_free) {
    (void)at;
    phc_event_free(phc_event_new("user", "built"));
    return of_value(!text_is_refusal());
}

#define EXCEPTION_CALLER(name, ...)                                                                          \
    CALLER(name) {                                                                                           \
        (void)at;                                                                                            \
        phc_exception *exception = phc_exception_new("Error", "message");                                    \
        outcome result = of_status(name(exception, __VA_ARGS__));                                            \
        phc_exception_free(exception);                                                                       \
        return result;                                                                                       \
    }
EXCEPTION_CALLER(phc_exception_set, "level", "fatal")
EXCEPTION_CALLER(phc_exception_add_cause, "Error", "cause", NULL)
EXCEPTION_CALLER(phc_exception_add_frame, "main", "main.c", 1, 1)
EXCEPTION_CALLER(phc_exception_add_frame_json, "{\"platform\":\"go\"}", 17)
EXCEPTION_CALLER(phc_exception_add_address, phc_version())
EXCEPTION_CALLER(phc_exception_add_stack, 0)

CALLER(phc_exception_new) {
    (void)at;
    phc_exception *exception = phc_exception_new("Error", "message");
    outcome result = of_value(exception != NULL);
    phc_exception_free(exception);
    return result;
}

CALLER(phc_exception_free) {
    (void)at;
    phc_exception_free(phc_exception_new("Error", "message"));
    return of_value(!text_is_refusal());
}

CALLER(phc_capture_exception) {
    return of_status(
        phc_capture_exception(at->other, "user", phc_exception_new("Error", "message"), NULL, NULL));
}

/* Each works on a query of its own. */
#define QUERY_CALLER(name, ...)                                                                              \
    CALLER(name) {                                                                                           \
        (void)at;                                                                                            \
        phc_flags_query *query = phc_flags_query_new("user");                                                \
        outcome result = of_status(name(query, __VA_ARGS__));                                                \
        phc_flags_query_free(query);                                                                         \
        return result;                                                                                       \
    }
QUERY_CALLER(phc_flags_query_set_person, "k", "1")
QUERY_CALLER(phc_flags_query_set_person_json, "{\"k\":1}", 7)
QUERY_CALLER(phc_flags_query_set_group, "company", "acme", "{}")
QUERY_CALLER(phc_flags_query_set_device_id, "device")
QUERY_CALLER(phc_flags_query_add_key, "walked")
QUERY_CALLER(phc_flags_query_add_context, "web")
QUERY_CALLER(phc_flags_query_set_option, PHC_FLAGS_REMOTE_ONLY, 1)

CALLER(phc_flags_query_new) {
    (void)at;
    phc_flags_query *query = phc_flags_query_new("user");
    outcome result = of_value(query != NULL);
    phc_flags_query_free(query);
    return result;
}

CALLER(phc_flags_query_free) {
    (void)at;
    phc_flags_query_free(phc_flags_query_new("user"));
    return of_value(!text_is_refusal());
}

/* One flag, "walked", which is on. */
static phc_status define_walked(phc_client *client) {
    const char *json = "{\"flags\":[{\"key\":\"walked\",\"active\":true,\"filters\":{\"groups\":[{}],"
                       "\"payloads\":{\"true\":\"1\"}}}]}";
    return phc_flags_definitions_set(client, json, strlen(json));
}

CALLER(phc_flags_definitions_set) { return of_status(define_walked(at->client)); }

CALLER(phc_flags_ready) { return define_walked(at->client), of_status(phc_flags_ready(at->client, 0)); }

/* It fetches none, whatever is called. */
CALLER(phc_flags_reload) {
    phc_status status = phc_flags_reload(at->client, 0);
    return status == PHC_UNAVAILABLE ? WORKED : of_status(status);
}

/* The snapshot with that flag. */
static phc_flags *walked(phc_client *client, phc_status *status) {
    define_walked(client);
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags *flags = NULL;
    phc_status evaluated = phc_flags_evaluate(client, query, 0, &flags);
    if (status != NULL) *status = evaluated;
    phc_flags_query_free(query);
    return flags;
}

CALLER(phc_flags_evaluate) {
    phc_status status = -1;
    phc_flags_free(walked(at->client, &status));
    return of_status(status);
}

CALLER(phc_flag_enabled) {
    define_walked(at->client);
    return of_value(phc_flag_enabled(at->client, "walked", "user", 0) == 1);
}

/* A read of a snapshot, and what it must find. */
#define FLAGS_CALLER(name, found)                                                                            \
    CALLER(name) {                                                                                           \
        phc_flags *flags = walked(at->client, NULL);                                                         \
        outcome result = of_value(found);                                                                    \
        phc_flags_free(flags);                                                                               \
        return result;                                                                                       \
    }
FLAGS_CALLER(phc_flags_enabled, phc_flags_enabled(flags, "walked", 0) == 1)
FLAGS_CALLER(phc_flags_get, phc_flags_get(flags, "walked", NULL) == PHC_FLAG_TRUE)
FLAGS_CALLER(phc_flags_payload, strcmp(phc_flags_payload(flags, "walked", NULL), "1") == 0)
FLAGS_CALLER(phc_flags_count, phc_flags_count(flags) == 1)
FLAGS_CALLER(phc_flags_key, strcmp(phc_flags_key(flags, 0), "walked") == 0)
FLAGS_CALLER(phc_flags_error, phc_flags_error(flags)[0] == '\0')
FLAGS_CALLER(phc_flags_json, phc_flags_json(flags, NULL, 0) > 0)
FLAGS_CALLER(phc_flags_free, flags != NULL)
/* There is none inside before_send, whose event would be passed to it. */
FLAGS_CALLER(phc_binding_flags_read, phc_binding_flags_read(flags, "walked", NULL, 0) < 10000)

CALLER(phc_flags_detail) {
    phc_flags *flags = walked(at->client, NULL);
    phc_flag_detail detail;
    outcome result = of_status(phc_flags_detail(flags, "walked", &detail, sizeof detail));
    phc_flags_free(flags);
    return result;
}

CALLER(phc_flags_only) {
    phc_flags *flags = walked(at->client, NULL);
    const char *key = "walked";
    phc_flags *copy = phc_flags_only(flags, &key, 1);
    outcome result = of_value(phc_flags_count(copy) == 1);
    phc_flags_free(copy);
    phc_flags_free(flags);
    return result;
}

CALLER(phc_flags_only_accessed) {
    phc_flags *flags = walked(at->client, NULL);
    phc_flags *copy = phc_flags_only_accessed(flags);
    outcome result = of_value(copy != NULL);
    phc_flags_free(copy);
    phc_flags_free(flags);
    return result;
}

CALLER(phc_event_set_flags) {
    phc_flags *flags = walked(at->client, NULL);
    phc_event *event = phc_event_new("user", "built");
    outcome result = of_status(phc_event_set_flags(event, flags));
    phc_event_free(event);
    phc_flags_free(flags);
    return result;
}

/* The client has no secret key, so no server is asked, wherever it is called. */
CALLER(phc_remote_config_fetch) {
    phc_remote_config *config = NULL;
    phc_status status = phc_remote_config_fetch(at->client, "walked", 0, &config);
    return status == PHC_UNAVAILABLE && config == NULL ? WORKED : of_status(status);
}
CALLER(phc_remote_config_payload) {
    (void)at;
    return of_value(phc_remote_config_payload(NULL, NULL) == NULL && !text_is_refusal());
}
CALLER(phc_remote_config_free) {
    return (void)at, phc_remote_config_free(NULL), of_value(!text_is_refusal());
}

CALLER(phc_flag_reason_name) { return (void)at, of_value(phc_flag_reason_name(PHC_FLAG_HOLDOUT)[0] != '\0'); }
CALLER(phc_flag_unresolved_name) {
    return (void)at, of_value(phc_flag_unresolved_name(PHC_FLAG_MISSING_CONTEXT)[0] != '\0');
}

CALLER(phc_version) { return (void)at, of_value(phc_version()[0] != '\0'); }
CALLER(phc_version_number) { return (void)at, of_value(phc_version_number() > 0); }
CALLER(phc_abi_version) { return (void)at, of_value(phc_abi_version() > 0); }
CALLER(phc_status_message) { return (void)at, of_value(phc_status_message(PHC_CLOSED)[0] != '\0'); }
CALLER(phc_status_name) { return (void)at, of_value(phc_status_name(PHC_CLOSED)[0] != '\0'); }
CALLER(phc_loss_name) { return (void)at, of_value(phc_loss_name(PHC_LOSS_CLOSED)[0] != '\0'); }
CALLER(phc_last_http_status) { return (void)at, of_value(phc_last_http_status() == 0); }
CALLER(phc_last_error) { return (void)at, of_value(strstr(phc_last_error(), "config is NULL") != NULL); }

CALLER(phc_config_new) {
    (void)at;
    phc_config *config = phc_config_new("key");
    outcome result = of_value(config != NULL);
    phc_config_free(config);
    return result;
}

CALLER(phc_config_set) {
    (void)at;
    phc_config *config = new_config();
    outcome result = of_status(phc_config_set(config, "flush_at", "5"));
    phc_config_free(config);
    return result;
}

CALLER(phc_config_get) {
    (void)at;
    phc_config *config = new_config();
    const char *value = phc_config_get(config, "flush_at");
    outcome result = of_value(value != NULL && value[0] != '\0');
    phc_config_free(config);
    return result;
}

CALLER(phc_config_free) {
    (void)at;
    phc_config_free(new_config());
    return of_value(!text_is_refusal());
}

CALLER(phc_setting_count) { return (void)at, of_value(phc_setting_count() > 0); }

CALLER(phc_setting_at) {
    (void)at;
    phc_setting setting;
    return of_status(phc_setting_at(0, &setting, sizeof setting));
}

CALLER(phc_client_new) {
    (void)at;
    phc_config *config = new_config();
    phc_status status = -1;
    phc_client *client = phc_client_new(config, &status);
    phc_config_free(config);
    outcome result = of_status(status);
    CHECK_EQ(client != NULL, result == WORKED);
    phc_client_free(client);
    return result;
}

CALLER(phc_client_open) {
    (void)at;
    phc_config *config = new_config();
    phc_status status = -1;
    phc_client *client = phc_client_open("reentrancy", config, &status);
    phc_config_free(config);
    outcome result = of_status(status);
    CHECK_EQ(client != NULL, result == WORKED);
    phc_client_free(client);
    return result;
}

CALLER(phc_client_free) {
    (void)at;
    phc_config *config = new_config();
    phc_client_free(phc_client_new(config, NULL));
    phc_config_free(config);
    return of_value(!text_is_refusal());
}

CALLER(phc_client_close) {
    (void)at;
    phc_config *config = new_config();
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    outcome result = of_status(phc_client_close(client, 1000));
    phc_client_free(client);
    return result;
}

CALLER(phc_flush) {
    phc_flush_result result;
    phc_status status = phc_flush(at->other, 0, &result, sizeof result);
    return of_status(status == PHC_TIMEOUT ? PHC_OK : status);
}

CALLER(phc_flush_begin) {
    uint64_t flush = 0;
    outcome result = of_status(phc_flush_begin(at->other, &flush));
    CHECK_EQ(flush != 0, result == WORKED);
    if (result == WORKED) CHECK_EQ(phc_flush_end(at->other, flush), PHC_OK);
    return result;
}

CALLER(phc_flush_wait) {
    phc_status status = phc_flush_wait(at->other, at->flush, 0, NULL, 0);
    return of_status(status == PHC_TIMEOUT ? PHC_OK : status);
}

CALLER(phc_flush_end) { return of_status(phc_flush_end(at->other, 1000000)); }

/* What a function of the spool returns; in a library without it, that it says so. */
static outcome of_spool(phc_status status) {
    int is_missing = status == PHC_SPOOL && strstr(phc_last_error(), "without the spool") != NULL;
    return is_missing ? WORKED : of_status(status);
}
CALLER(phc_persist) { return of_spool(phc_persist(at->spooling, 20000)); }

CALLER(phc_spool_discard) {
    uint64_t discarded = 7;
    outcome result = of_spool(phc_spool_discard(at->spooling, 20000, &discarded));
    CHECK_EQ(discarded, result == WORKED && has_spool() ? 1 : 7);
    return result;
}

static void on_report(const phc_report *report, void *user_data) { (void)report, (void)user_data; }
static void on_log(phc_log_level level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
}
static int32_t keep(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    return PHC_BEFORE_SEND_KEEP;
}

/* Sets and removes one. */
#define SETTER_CALLER(name, callback)                                                                        \
    CALLER(name) {                                                                                           \
        outcome result = of_status(name(at->other, callback, NULL, NULL));                                   \
        CHECK_EQ(name(at->other, NULL, NULL, NULL), PHC_OK);                                                 \
        return result;                                                                                       \
    }
SETTER_CALLER(phc_set_error_callback, on_report)
SETTER_CALLER(phc_set_delivery_callback, on_report)
SETTER_CALLER(phc_set_log_callback, on_log)
SETTER_CALLER(phc_set_before_send_callback, keep)

CALLER(phc_capture) { return of_status(phc_capture(at->other, "user", "walked", "{}")); }

CALLER(phc_capture_get_uuid) {
    char uuid[PHC_UUID_SIZE] = "";
    outcome result = of_status(phc_capture_get_uuid(at->other, "user", "walked", NULL, uuid));
    CHECK_EQ(strlen(uuid), result == WORKED ? 36 : 0);
    return result;
}

CALLER(phc_capture_json) {
    const char *json = "{\"event\":\"walked\",\"distinct_id\":\"user\"}";
    return of_status(phc_capture_json(at->other, json, strlen(json), NULL));
}

/* It frees the event even where it is refused. */
CALLER(phc_capture_event) {
    return of_status(phc_capture_event(at->other, phc_event_new("user", "walked"), NULL));
}

CALLER(phc_identify) { return of_status(phc_identify(at->other, "user", "{}", NULL, NULL)); }
CALLER(phc_alias) { return of_status(phc_alias(at->other, "user", "alias", NULL)); }
CALLER(phc_group_identify) {
    return of_status(phc_group_identify(at->other, "company", "acme", NULL, NULL, NULL));
}
/* Also with the client whose callback this is. */
CALLER(phc_register) { return of_status(phc_register(at->client, "walked", "1")); }
CALLER(phc_unregister) { return of_status(phc_unregister(at->client, "walked")); }
CALLER(phc_opt_out) {
    outcome result = of_status(phc_opt_out(at->other));
    phc_opt_in(at->other);
    return result;
}
CALLER(phc_opt_in) { return of_status(phc_opt_in(at->client)); }

/* There is an event in before_send only; elsewhere NULL is what can be passed. */
CALLER(phc_outgoing_json) {
    size_t len = 0;
    const char *json = phc_outgoing_json(at->outgoing, &len);
    return of_value(at->outgoing == NULL ? json[0] == '\0' : json[0] == '{' && strlen(json) == len);
}

CALLER(phc_outgoing_replace) {
    const char *json = phc_outgoing_json(at->outgoing, NULL);
    phc_status status = phc_outgoing_replace(at->outgoing, json, strlen(json));
    return of_status(at->outgoing == NULL && status == PHC_INVALID_ARGUMENT ? PHC_OK : status);
}

CALLER(phc_poll) {
    phc_report_free(phc_poll(at->other, 0));
    return of_value(!text_is_refusal());
}

CALLER(phc_poll_fd) { return of_value(phc_poll_fd(at->client) >= 0); }

CALLER(phc_report_free) {
    phc_report_free(at->to_free);
    return of_value(!text_is_refusal());
}

CALLER(phc_report_request_id) { return of_value(strlen(phc_report_request_id(at->report)) == 36); }
CALLER(phc_report_attempt) { return of_value(phc_report_attempt(at->report) == 1); }
CALLER(phc_report_sent_at_ms) { return of_value(phc_report_sent_at_ms(at->report) > 0); }
CALLER(phc_report_http_status) { return of_value(phc_report_http_status(at->report) == 200); }
CALLER(phc_report_error) {
    phc_report_error(at->report);
    return of_value(!text_is_refusal());
}
CALLER(phc_report_event_count) { return of_value(phc_report_event_count(at->report) == 1); }
CALLER(phc_report_event) {
    phc_event_report event;
    return of_status(phc_report_event(at->report, 0, &event, sizeof event));
}
CALLER(phc_report_pending_count) {
    return of_value(phc_report_pending_count(at->report) == 0 && !text_is_refusal());
}
CALLER(phc_report_pending_uuid) {
    return of_value(phc_report_pending_uuid(at->report, 0)[0] == '\0' && !text_is_refusal());
}
CALLER(phc_report_missed_reports) {
    return of_value(phc_report_missed_reports(at->report) == 0 && !text_is_refusal());
}
CALLER(phc_report_missed_events) {
    return of_value(phc_report_missed_events(at->report) == 0 && !text_is_refusal());
}
CALLER(phc_report_json) { return of_value(phc_report_json(at->report)[0] == '{'); }

CALLER(phc_stats_get) {
    phc_stats stats;
    return of_status(phc_stats_get(at->client, &stats, sizeof stats));
}
CALLER(phc_stats_json) { return of_value(phc_stats_json(at->client, NULL, 0) > 0); }
FLAGS_CALLER(phc_binding_flags_peek, phc_binding_flags_peek(flags, "walked", NULL) == PHC_FLAG_TRUE)
CALLER(phc_binding_count_discarded) { return of_status(phc_binding_count_discarded(at->tested)); }
CALLER(phc_binding_next_test_event) { return of_value(phc_binding_next_test_event(at->tested, NULL, 0) > 0); }
CALLER(phc_binding_next_log_line) {
    size_t length = phc_binding_next_log_line(at->other, NULL, NULL, 0);
    return of_value(length < 10000 && !text_is_refusal());
}

#endif
