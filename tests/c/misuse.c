/* What a caller can do wrong. */
#include "harness.h"

#include <phc_binding.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSES_NULL(call)                                                                                   \
    do {                                                                                                     \
        CHECK_EQ(call, PHC_INVALID_ARGUMENT);                                                                \
        CHECK_HAS(phc_last_error(), " is NULL");                                                             \
    } while (0)

static void null_everywhere(void) {
    phc_client *client = make_client(NULL, NULL);
    char uuid[PHC_UUID_SIZE];
    uint64_t flush = 0;

    phc_config *config = phc_config_new(NULL);
    CHECK(config != NULL);
    REFUSES_NULL(phc_config_set(NULL, "flush_at", "1"));
    REFUSES_NULL(phc_config_set(config, NULL, "1"));
    REFUSES_NULL(phc_config_set(config, "flush_at", NULL));
    phc_config_free(config); /* nothing can be made of it now */
    config = phc_config_new(NULL);
    phc_status status = PHC_OK;
    CHECK(phc_client_new(NULL, &status) == NULL);
    REFUSES_NULL(status);
    CHECK(phc_client_new(NULL, NULL) == NULL);
    CHECK_HAS(phc_last_error(), "config is NULL");
    status = PHC_OK;
    CHECK(phc_client_open(NULL, config, &status) == NULL);
    REFUSES_NULL(status);
    CHECK_HAS(phc_last_error(), "name is NULL");
    status = PHC_OK;
    CHECK(phc_client_open("name", NULL, &status) == NULL);
    REFUSES_NULL(status);
    REFUSES_NULL(phc_client_close(NULL, 0));
    REFUSES_NULL(phc_flush(NULL, 0, NULL, 0));
    REFUSES_NULL(phc_flush_begin(NULL, &flush));
    REFUSES_NULL(phc_flush_begin(client, NULL));
    REFUSES_NULL(phc_flush_wait(NULL, 1, 0, NULL, 0));
    REFUSES_NULL(phc_flush_end(NULL, 1));
    REFUSES_NULL(phc_persist(NULL, 0));
    uint64_t discarded = 7;
    REFUSES_NULL(phc_spool_discard(NULL, 0, &discarded));
    CHECK_EQ(phc_spool_discard(client, 0, NULL), PHC_SPOOL);
    CHECK_HAS(phc_last_error(), has_spool() ? "set spool_dir" : "built without the spool");
    CHECK_EQ(discarded, 7);
    REFUSES_NULL(phc_set_error_callback(NULL, NULL, NULL, NULL));
    REFUSES_NULL(phc_set_delivery_callback(NULL, NULL, NULL, NULL));
    REFUSES_NULL(phc_set_log_callback(NULL, NULL, NULL, NULL));
    REFUSES_NULL(phc_set_before_send_callback(NULL, NULL, NULL, NULL));

    REFUSES_NULL(phc_capture(NULL, "d", "e", NULL));
    REFUSES_NULL(phc_capture(client, NULL, "e", NULL));
    REFUSES_NULL(phc_capture(client, "d", NULL, NULL));
    CHECK_HAS(phc_last_error(), "event is NULL");
    REFUSES_NULL(phc_capture_get_uuid(NULL, "d", "e", NULL, uuid));
    REFUSES_NULL(phc_capture_get_uuid(client, NULL, "e", NULL, uuid));
    REFUSES_NULL(phc_capture_json(NULL, "{}", 2, uuid));
    REFUSES_NULL(phc_capture_json(client, NULL, 2, uuid));
    REFUSES_NULL(phc_capture_event(client, NULL, uuid));
    REFUSES_NULL(phc_capture_event(NULL, phc_event_new("d", "e"), uuid));
    CHECK_EQ(phc_capture_event(client, phc_event_new(NULL, NULL), uuid), PHC_INVALID_EVENT);
    REFUSES_NULL(phc_identify(client, NULL, NULL, NULL, uuid));
    REFUSES_NULL(phc_identify(NULL, "d", NULL, NULL, uuid));
    REFUSES_NULL(phc_alias(NULL, "d", "a", uuid));
    REFUSES_NULL(phc_alias(client, NULL, "a", uuid));
    REFUSES_NULL(phc_alias(client, "d", NULL, uuid));
    REFUSES_NULL(phc_group_identify(NULL, "t", "k", NULL, NULL, uuid));
    REFUSES_NULL(phc_group_identify(client, NULL, "k", NULL, NULL, uuid));
    REFUSES_NULL(phc_group_identify(client, "t", NULL, NULL, NULL, uuid));
    REFUSES_NULL(phc_register(NULL, "k", "1"));
    REFUSES_NULL(phc_register(client, NULL, "1"));
    REFUSES_NULL(phc_register(client, "k", NULL));
    REFUSES_NULL(phc_unregister(NULL, "k"));
    REFUSES_NULL(phc_unregister(client, NULL));
    REFUSES_NULL(phc_opt_out(NULL));
    REFUSES_NULL(phc_opt_in(NULL));

    phc_event *event = phc_event_new("d", "e");
    REFUSES_NULL(phc_event_set_string(NULL, "k", "v"));
    REFUSES_NULL(phc_event_set_string(event, "k", NULL));
    CHECK_EQ(phc_event_set_string_n(event, "k", 1, NULL, 3), PHC_INVALID_ARGUMENT);
    REFUSES_NULL(phc_event_set_int(NULL, "k", 1));
    REFUSES_NULL(phc_event_set_uint(NULL, "k", 1));
    REFUSES_NULL(phc_event_set_double(NULL, "k", 1));
    REFUSES_NULL(phc_event_set_bool(NULL, "k", 1));
    REFUSES_NULL(phc_event_set_null(NULL, "k"));
    REFUSES_NULL(phc_event_set_json(event, "k", NULL));
    REFUSES_NULL(phc_event_begin_object(NULL, "k"));
    REFUSES_NULL(phc_event_begin_array(NULL, "k"));
    REFUSES_NULL(phc_event_end(NULL));
    REFUSES_NULL(phc_event_set_group(event, "k", NULL));
    REFUSES_NULL(phc_event_set_group(event, NULL, "k"));
    REFUSES_NULL(phc_event_set_uuid(event, NULL));
    REFUSES_NULL(phc_event_set_timestamp(event, NULL));
    REFUSES_NULL(phc_event_set_timestamp_ms(NULL, 0));

    phc_exception *exception = phc_exception_new(NULL, NULL);
    REFUSES_NULL(phc_exception_set(NULL, "level", "error"));
    REFUSES_NULL(phc_exception_set(exception, NULL, "error"));
    REFUSES_NULL(phc_exception_set(exception, "level", NULL));
    REFUSES_NULL(phc_exception_add_cause(NULL, "t", "m", NULL));
    REFUSES_NULL(phc_exception_add_frame(NULL, "f", "f.c", 1, 1));
    REFUSES_NULL(phc_exception_add_frame_json(NULL, "{}", 2));
    REFUSES_NULL(phc_exception_add_frame_json(exception, NULL, 2));
    REFUSES_NULL(phc_exception_add_address(NULL, uuid));
    REFUSES_NULL(phc_exception_add_stack(NULL, 0));
    REFUSES_NULL(phc_capture_exception(NULL, "d", exception, NULL, uuid));
    REFUSES_NULL(phc_capture_exception(client, "d", NULL, NULL, uuid));
    phc_exception_free(NULL);

    phc_flags_query *query = phc_flags_query_new(NULL);
    phc_flags *flags = NULL;
    REFUSES_NULL(phc_flags_query_set_person(NULL, "k", "1"));
    REFUSES_NULL(phc_flags_query_set_person(query, NULL, "1"));
    REFUSES_NULL(phc_flags_query_set_person(query, "k", NULL));
    REFUSES_NULL(phc_flags_query_set_person_json(NULL, "{}", 2));
    REFUSES_NULL(phc_flags_query_set_person_json(query, NULL, 2));
    REFUSES_NULL(phc_flags_query_set_group(NULL, "t", "k", NULL));
    REFUSES_NULL(phc_flags_query_set_group(query, NULL, "k", NULL));
    REFUSES_NULL(phc_flags_query_set_group(query, "t", NULL, NULL));
    CHECK_EQ(phc_flags_query_set_group(query, "t", "k", NULL), PHC_OK);
    REFUSES_NULL(phc_flags_query_set_device_id(NULL, "d"));
    REFUSES_NULL(phc_flags_query_set_device_id(query, NULL));
    REFUSES_NULL(phc_flags_query_add_key(NULL, "k"));
    REFUSES_NULL(phc_flags_query_add_key(query, NULL));
    REFUSES_NULL(phc_flags_query_add_context(NULL, "c"));
    REFUSES_NULL(phc_flags_query_add_context(query, NULL));
    REFUSES_NULL(phc_flags_query_set_option(NULL, PHC_FLAGS_REMOTE_ONLY, 1));
    CHECK_EQ(phc_flags_query_set_option(query, PHC_FLAGS_REMOTE_ONLY, 2), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_flags_query_set_option(query, 0, 1), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "option");
    CHECK_EQ(phc_flags_query_set_person(query, "k", "{"), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "byte 1");
    CHECK_EQ(phc_flags_query_set_person_json(query, "[]", 2), PHC_INVALID_JSON);
    CHECK_EQ(phc_flags_query_set_group(query, "t", "k", "1"), PHC_INVALID_JSON);
    REFUSES_NULL(phc_flags_definitions_set(NULL, "{}", 2));
    REFUSES_NULL(phc_flags_definitions_set(client, NULL, 2));
    REFUSES_NULL(phc_flags_ready(NULL, 0));
    REFUSES_NULL(phc_flags_reload(NULL, 0));
    REFUSES_NULL(phc_flags_evaluate(NULL, query, 0, &flags));
    REFUSES_NULL(phc_flags_evaluate(client, NULL, 0, &flags));
    REFUSES_NULL(phc_flags_evaluate(client, query, 0, NULL));
    CHECK(flags == NULL);
    CHECK_EQ(phc_flag_enabled(NULL, "k", "d", 5), 5);
    CHECK_EQ(phc_flag_enabled(client, NULL, "d", 5), 5);
    CHECK_EQ(phc_flag_enabled(client, "k", NULL, 5), 5);
    CHECK_HAS(phc_last_error(), "distinct_id is NULL");
    phc_remote_config *remote = (phc_remote_config *)&flags; /* written over */
    REFUSES_NULL(phc_remote_config_fetch(NULL, "k", 0, &remote));
    CHECK(remote == NULL);
    REFUSES_NULL(phc_remote_config_fetch(client, NULL, 0, &remote));
    REFUSES_NULL(phc_remote_config_fetch(client, "k", 0, NULL));
    size_t payload_len = 1;
    CHECK(phc_remote_config_payload(NULL, &payload_len) == NULL);
    CHECK_EQ(payload_len, 0);
    CHECK_HAS(phc_last_error(), "config is NULL");
    CHECK(phc_remote_config_payload(NULL, NULL) == NULL);
    phc_remote_config_free(NULL);
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_WOULD_WAIT);
    CHECK_EQ(phc_flags_enabled(NULL, "k", 5), 5);
    CHECK_EQ(phc_flags_enabled(flags, NULL, 5), 5);
    const char *variant = "written over";
    CHECK_EQ(phc_flags_get(NULL, "k", &variant), PHC_FLAG_ABSENT);
    CHECK(variant == NULL);
    CHECK_EQ(phc_flags_get(flags, NULL, NULL), PHC_FLAG_ABSENT);
    variant = "not written";
    CHECK_EQ(phc_binding_flags_peek(NULL, "k", &variant), PHC_FLAG_ABSENT);
    CHECK(variant == NULL);
    CHECK_EQ(phc_binding_flags_peek(flags, NULL, NULL), PHC_FLAG_ABSENT);
    size_t len = 1;
    CHECK(phc_flags_payload(NULL, "k", &len) == NULL);
    CHECK_EQ(len, 0);
    CHECK(phc_flags_payload(flags, NULL, NULL) == NULL);
    CHECK_EQ(phc_flags_count(NULL), 0);
    CHECK(phc_flags_key(NULL, 0) == NULL);
    phc_flag_detail detail;
    REFUSES_NULL(phc_flags_detail(NULL, "k", &detail, sizeof detail));
    REFUSES_NULL(phc_flags_detail(flags, NULL, &detail, sizeof detail));
    CHECK_EQ(phc_flags_detail(flags, "k", NULL, sizeof detail), PHC_OK);
    CHECK_STR(phc_flags_error(NULL), "");
    CHECK_EQ(phc_flags_json(NULL, NULL, 0), 0);
    const char *keys[] = {NULL};
    CHECK(phc_flags_only(NULL, keys, 0) == NULL);
    CHECK(phc_flags_only(flags, NULL, 0) == NULL);
    CHECK_HAS(phc_last_error(), "keys is NULL");
    CHECK(phc_flags_only(flags, keys, 1) == NULL);
    CHECK_HAS(phc_last_error(), "key is NULL");
    CHECK(phc_flags_only_accessed(NULL) == NULL);
    REFUSES_NULL(phc_event_set_flags(NULL, flags));
    REFUSES_NULL(phc_event_set_flags(event, NULL));
    phc_flags_free(flags);
    phc_flags_free(NULL);
    phc_flags_query_free(query);
    phc_flags_query_free(NULL);

    REFUSES_NULL(phc_outgoing_replace(NULL, "{}", 2));
    CHECK_STR(phc_outgoing_json(NULL, NULL), "");

    CHECK(phc_poll(NULL, 0) == NULL);
    CHECK_HAS(phc_last_error(), "client is NULL");
    CHECK(phc_poll(client, 0) == NULL);
    CHECK_EQ(phc_poll_fd(NULL), -1);
    CHECK_STR(phc_report_request_id(NULL), "");
    CHECK_STR(phc_report_error(NULL), "");
    CHECK_STR(phc_report_json(NULL), "{}");
    CHECK_EQ(phc_report_attempt(NULL), 0);
    CHECK_EQ(phc_report_sent_at_ms(NULL), 0);
    CHECK_EQ(phc_report_http_status(NULL), 0);
    CHECK_EQ(phc_report_pending_count(NULL), 0);
    CHECK_STR(phc_report_pending_uuid(NULL, 0), "");
    CHECK_EQ(phc_report_missed_reports(NULL), 0);
    CHECK_EQ(phc_report_missed_events(NULL), 0);
    CHECK_EQ(phc_report_event_count(NULL), 0);
    REFUSES_NULL(phc_report_event(NULL, 0, NULL, 0));

    REFUSES_NULL(phc_stats_get(NULL, NULL, 0));
    CHECK_EQ(phc_stats_get(client, NULL, 100), PHC_OK);
    CHECK_EQ(phc_stats_json(NULL, NULL, 0), 0);
    CHECK(phc_stats_json(client, NULL, 0) > 50);
    REFUSES_NULL(phc_binding_count_discarded(NULL));
    CHECK_EQ(phc_binding_next_test_event(NULL, NULL, 0), 0);
    CHECK_EQ(phc_binding_next_log_line(NULL, NULL, NULL, 0), 0);
    CHECK_EQ(phc_binding_flags_read(NULL, NULL, NULL, 0), 0);

    phc_event_free(event);
    phc_event_free(NULL);
    phc_config_free(config);
    phc_config_free(NULL);
    phc_report_free(NULL);
    phc_client_free(NULL);
    /* Of the captures of a client each is counted. */
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 0);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_ARGUMENT], 11);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_EVENT], 1);
    CHECK_EQ(stats.refused, 12);
    finish(client);
}

static void bad_events_are_refused_and_cost_no_other(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_capture(client, "user", "good", NULL), PHC_OK);
    char name[202], deep[600];
    memset(name, 'x', 201);
    name[201] = '\0';
    CHECK_EQ(phc_capture(client, "user", "", NULL), PHC_INVALID_EVENT);
    CHECK_EQ(phc_capture(client, "", "event", NULL), PHC_INVALID_DISTINCT_ID);
    CHECK_EQ(phc_capture(client, "user", name, NULL), PHC_INVALID_EVENT);
    CHECK_EQ(phc_capture(client, name, "event", NULL), PHC_INVALID_DISTINCT_ID);
    CHECK_HAS(phc_last_error(), "201");
    name[200] = '\0';
    CHECK_EQ(phc_capture(client, name, name, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", "{\"a\":}"), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "byte 5");
    CHECK_EQ(phc_capture(client, "user", "event", "{\"a\":1e999}"), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "double");
    CHECK_EQ(phc_capture(client, "user", "event", "[]"), PHC_INVALID_PROPERTY);
    memset(deep, '[', 300);
    memset(deep + 300, ']', 299);
    deep[599] = '\0';
    memcpy(deep, "{\"a\":", 5);
    deep[598] = '}';
    CHECK_EQ(phc_capture(client, "user", "event", deep), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "deeper than 100");
    const char *misspelt = "{\"event\":\"e\",\"distinct_id\":\"d\",\"propertys\":{}}";
    CHECK_EQ(phc_capture_json(client, misspelt, strlen(misspelt), NULL), PHC_INVALID_JSON);
    CHECK_HAS(phc_last_error(), "properties");
    CHECK_EQ(phc_capture_json(client, "", 0, NULL), PHC_INVALID_JSON);
    const char *someday = "{\"event\":\"e\",\"distinct_id\":\"d\",\"timestamp\":\"soon\"}";
    CHECK_EQ(phc_capture_json(client, someday, strlen(someday), NULL), PHC_INVALID_TIMESTAMP);
    phc_event *event = phc_event_new("user", "nan");
    CHECK_EQ(phc_event_set_double(event, "n", 0.0 / 0.0), PHC_INVALID_PROPERTY);
    CHECK_EQ(phc_event_set_double(event, "n", 1e308 * 10), PHC_INVALID_PROPERTY);
    CHECK_EQ(phc_event_set_json(event, "j", "{"), PHC_INVALID_JSON);
    CHECK_EQ(phc_event_set_timestamp(event, "yesterday"), PHC_INVALID_TIMESTAMP);
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 3);
    CHECK_EQ(stats.refused, 11);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_EVENT], 2);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_DISTINCT_ID], 2);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_JSON], 5);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_PROPERTY], 1);
    CHECK_EQ(stats.refused_by_status[PHC_INVALID_TIMESTAMP], 1);
    finish(client);
}

static void a_huge_event_is_refused(void) {
    phc_client *client = make_client(NULL, NULL);
    size_t size = 20u << 20;
    char *huge = malloc(size + 16);
    strcpy(huge, "{\"a\":\"");
    memset(huge + 6, 'x', size);
    strcpy(huge + 6 + size, "\"}");
    CHECK_EQ(phc_capture(client, "user", "event", huge), PHC_EVENT_TOO_LARGE);
    CHECK_HAS(phc_last_error(), "max_event_bytes");
    CHECK_EQ(phc_capture_json(client, huge, strlen(huge), NULL), PHC_EVENT_TOO_LARGE);
    free(huge);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).refused_by_status[PHC_EVENT_TOO_LARGE], 2);
    finish(client);
}

static void bad_text_is_repaired_and_counted(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_capture(client,
                         "us\xff"
                         "er",
                         "ev\xc3", "{\"k\xfe\":\"v\xed\xa0\x80\",\"s\":\"\\ud800\"}"),
             PHC_OK);
    phc_event *event = phc_event_new("user", "built");
    CHECK_EQ(phc_event_set_string_n(event, "k", 1, "a\0b\xff", 4), PHC_OK);
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    CHECK_EQ(phc_alias(client, "user",
                       "al\xff"
                       "ias",
                       NULL),
             PHC_OK);
    CHECK_EQ(phc_group_identify(client,
                                "comp\xff"
                                "any",
                                "acme", NULL, "user", NULL),
             PHC_OK);
    CHECK_EQ(phc_group_identify(client, "company",
                                "ac\xff"
                                "me",
                                NULL, "user", NULL),
             PHC_OK);
    CHECK_EQ(phc_group_identify(client, "company", "acme", "{\"a\":\"\\ud800\"}", "user", NULL), PHC_OK);
    CHECK_EQ(phc_alias(client, "user", "alias", NULL), PHC_OK);
    CHECK_EQ(phc_group_identify(client, "company", "acme", "{}", NULL, NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).repaired, 6);
    char *events = sink_get("_events");
    CHECK_HAS(events, "us\xef\xbf\xbd"
                      "er");
    CHECK_HAS(events, "\"s\":\"\\ufffd\"");
    CHECK_HAS(events, "a\\u0000b\xef\xbf\xbd");
    CHECK_HAS(events, "\"alias\":\"al\xef\xbf\xbd"
                      "ias\"");
    CHECK_HAS(events, "comp\xef\xbf\xbd"
                      "any");
    CHECK_HAS(events, "ac\xef\xbf\xbd"
                      "me");
    free(events);
    finish(client);
}

static void a_disabled_client_does_nothing(void) {
    phc_config *config = phc_config_new("  ");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    CHECK(client != NULL);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_DISABLED);
    CHECK_EQ(phc_flush(client, 1000, NULL, 0), PHC_OK);
    CHECK_EQ(thread_count("phc-"), 0);
    CHECK_EQ(stats_of(client).refused_by_status[PHC_DISABLED], 1);
    finish(client);
}

static void opting_out_and_super_properties(void) {
    phc_client *client = make_client("disable_geoip", "true", "is_server", "true", NULL);
    CHECK_EQ(phc_register(client, "plan", "{\"tier\":\"pro\"}"), PHC_OK);
    CHECK_EQ(phc_register(client, "plan", "tier"), PHC_INVALID_JSON);
    CHECK_EQ(phc_register(client, "gone", "1"), PHC_OK);
    CHECK_EQ(phc_unregister(client, "gone"), PHC_OK);
    capture(client, "before the opt-out");
    CHECK_EQ(phc_opt_out(client), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OPTED_OUT);
    CHECK_EQ(phc_opt_in(client), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", "{\"$is_server\":false}"), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_HAS(events, "\"$is_server\":false,\"$geoip_disable\":true,\"plan\":{\"tier\":\"pro\"}}");
    CHECK_HAS(events, "before the opt-out");
    free(events);
    CHECK_EQ(stats_of(client).refused_by_status[PHC_OPTED_OUT], 1);
    CHECK_EQ(summary("accepted"), 2);
    finish(client);
}

static void one_client_for_each_name(void) {
    phc_config *config = phc_config_new("key"), *other = phc_config_new("other_key");
    phc_config_set(config, "host", namespace_host());
    phc_config_set(other, "host", namespace_host());
    phc_status status = -1;
    phc_client *first = phc_client_open("site", config, &status);
    CHECK_EQ(status, PHC_OK);
    phc_client *second = phc_client_open("site", config, NULL);
    CHECK(first == second && first != NULL);
    CHECK(phc_client_open("site", other, &status) == NULL);
    CHECK_EQ(status, PHC_CONFLICT);
    CHECK_HAS(phc_last_error(), "site");
    phc_client_free(first);
    capture(second, "event");
    CHECK_EQ(phc_client_close(second, 5000), PHC_OK);
    /* A closed client does not keep its name, whatever the settings. */
    for (int i = 0; i < 2; i++) {
        phc_client *third = phc_client_open("site", i == 0 ? other : config, &status);
        CHECK_EQ(status, PHC_OK);
        CHECK(third != second);
        capture(third, "event");
        CHECK_EQ(phc_client_close(third, 5000), PHC_OK);
        phc_client_free(third);
    }
    phc_client_free(second);
    phc_config_free(config);
    phc_config_free(other);
    CHECK_EQ(summary("accepted"), 3);
}

/* Copies that are overwritten and freed as soon as the call that they were made for has returned. */
static char *lent[8];
static size_t lent_count;

static const char *lend(const char *text) { return lent[lent_count++] = strdup(text); }

static void take_back(void) {
    while (lent_count > 0) {
        char *text = lent[--lent_count];
        memset(text, '#', strlen(text));
        free(text);
    }
}
#define LENT(call)                                                                                           \
    do {                                                                                                     \
        CHECK_EQ(call, PHC_OK);                                                                              \
        take_back();                                                                                         \
    } while (0)

static void arguments_are_copied(void) {
    phc_config *config = phc_config_new(lend("phc_lent_key"));
    take_back();
    LENT(phc_config_set(config, lend("host"), lend(namespace_host())));
    LENT(phc_config_set(config, lend("header.X-Lent"), lend("a header")));
    phc_status status = -1;
    phc_client *client = phc_client_open(lend("a name"), config, &status);
    LENT(status);
    phc_client *same = phc_client_open("a name", config, NULL);
    CHECK(client != NULL && client == same);
    phc_client_free(same);
    phc_config_free(config); /* is copied, too */

    LENT(phc_register(client, lend("super"), lend("\"registered\"")));
    LENT(phc_capture(client, lend("user 1"), lend("parts"), lend("{\"n\":1}")));
    const char *json = "{\"event\":\"json\",\"distinct_id\":\"user 2\",\"properties\":{\"n\":2}}";
    LENT(phc_capture_json(client, lend(json), strlen(json), NULL));
    phc_event *event = phc_event_new(lend("user 3"), lend("built"));
    take_back();
    LENT(phc_event_set_string(event, lend("string"), lend("a string")));
    LENT(phc_event_set_json(event, lend("json"), lend("[\"a value\"]")));
    LENT(phc_event_set_int(event, lend("int"), 3));
    LENT(phc_event_set_group(event, lend("company"), lend("acme")));
    LENT(phc_event_begin_object(event, lend("object")));
    LENT(phc_event_set_bool(event, lend("bool"), 1));
    LENT(phc_event_end(event));
    LENT(phc_event_set_uuid(event, lend("0190a5b4-7c3d-7abc-8def-0123456789ab")));
    LENT(phc_event_set_timestamp(event, lend("2026-01-31T12:00:00Z")));
    LENT(phc_capture_event(client, event, NULL));
    phc_exception *exception = phc_exception_new(lend("a type"), lend("a message"));
    take_back();
    LENT(phc_exception_add_frame(exception, lend("a function"), lend("a file.c"), 1, 1));
    LENT(phc_exception_add_frame_json(exception, lend("{\"platform\":\"lent\"}"), 19));
    LENT(phc_exception_set(exception, lend("fingerprint"), lend("a fingerprint")));
    LENT(phc_exception_add_cause(exception, lend("its type"), lend("its message"), lend("inner")));
    LENT(phc_capture_exception(client, lend("user 7"), exception, lend("{\"n\":7}"), NULL));
    LENT(phc_identify(client, lend("user 4"), lend("{\"a\":4}"), lend("{\"b\":4}"), NULL));
    LENT(phc_alias(client, lend("user 5"), lend("an alias"), NULL));
    LENT(phc_group_identify(client, lend("team"), lend("blue"), lend("{\"c\":6}"), lend("user 6"), NULL));
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);

    char *events = sink_get("_events"), *requests = sink_get("_requests");
    const char *const parts[] = {
        "\"user 1\"",
        "\"parts\"",
        "\"n\":1",
        "\"user 2\"",
        "\"n\":2",
        "\"user 3\"",
        "\"built\"",
        "\"string\":\"a string\",\"json\":[\"a value\"],\"int\":3,\"object\":{\"bool\":true}",
        "\"$groups\":{\"company\":\"acme\"}",
        "\"0190a5b4-7c3d-7abc-8def-0123456789ab\"",
        "\"2026-01-31T12:00:00.000Z\"",
        "\"user 7\"",
        "\"n\":7",
        "\"$exception_fingerprint\":\"a fingerprint\"",
        "\"type\":\"a type\",\"value\":\"a message\"",
        "{\"platform\":\"lent\"},{\"platform\":\"custom\",\"lang\":\"c\",\"function\":\"a function\",\"filename\":\"a file.c\"",
        "\"type\":\"its type\",\"value\":\"its message\"",
        "\"source\":\"inner\"",
        "\"user 4\"",
        "\"$set\":{\"a\":4}",
        "\"$set_once\":{\"b\":4}",
        "\"user 5\"",
        "\"an alias\"",
        "\"user 6\"",
        "\"team\"",
        "\"blue\"",
        "\"$group_set\":{\"c\":6}",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) CHECK_HAS(events, parts[i]);
    CHECK(count(events, "\"super\":\"registered\"") >= 6);
    CHECK_EQ(count(events, "##"), 0);
    CHECK_HAS(requests, "\"authorization\":\"Bearer phc_lent_key\"");
    CHECK_HAS(requests, "\"x-lent\":\"a header\"");
    free(events);
    free(requests);
    finish(client);
}

static void *fail_on_another_thread(void *unused) {
    CHECK_STR(phc_last_error(), ""); /* nothing has failed here */
    CHECK_EQ(phc_opt_in(NULL), PHC_INVALID_ARGUMENT);
    CHECK_STR(phc_last_error(), "client is NULL");
    return unused;
}

static void the_last_error_is_that_of_the_thread(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_config_set(NULL, "flush_at", "1"), PHC_INVALID_ARGUMENT);
    const char *text = phc_last_error();
    CHECK_STR(text, "config is NULL");
    pthread_t other;
    pthread_create(&other, NULL, fail_on_another_thread, NULL);
    pthread_join(other, NULL);
    /* Calls that succeed change nothing, either. */
    capture(client, "event");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_STR(text, "config is NULL");
    CHECK_STR(phc_last_error(), "config is NULL");
    /* It is bounded, and ends in NUL. */
    char *key = malloc(5001);
    memset(key, 'k', 5000);
    key[5000] = '\0';
    phc_config *config = phc_config_new("key");
    CHECK_EQ(phc_config_set(config, key, "1"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "there is no setting \"kkk");
    CHECK_EQ(strlen(phc_last_error()), 1023);
    free(key);
    phc_config_free(config);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(null_everywhere),
        TEST(bad_events_are_refused_and_cost_no_other),
        TEST(a_huge_event_is_refused),
        TEST(bad_text_is_repaired_and_counted),
        TEST(a_disabled_client_does_nothing),
        TEST(opting_out_and_super_properties),
        TEST(one_client_for_each_name),
        TEST(arguments_are_copied),
        TEST(the_last_error_is_that_of_the_thread),
    };
    return RUN_TESTS(tests);
}
