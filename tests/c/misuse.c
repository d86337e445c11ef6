/* What a caller can do wrong, and the callback's rules. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void null_everywhere(void) {
    phc_client *client = make_client(NULL, NULL);
    phc_config *config = phc_config_new(NULL);
    CHECK(config != NULL);
    CHECK_EQ(phc_config_set(NULL, "flush_at", "1"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_config_set(config, NULL, "1"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_config_set(config, "flush_at", NULL), PHC_INVALID_ARGUMENT);
    CHECK(phc_config_error(NULL)[0] == '\0');
    CHECK(phc_client_new(NULL, NULL, 0) == NULL);
    CHECK_HAS(phc_last_error(), "config is NULL");
    phc_client *out = client;
    CHECK_EQ(phc_client_open(NULL, config, &out), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_client_open("name", NULL, &out), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_client_open("name", config, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture(NULL, "d", "e", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture(client, NULL, "e", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture(client, "d", NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "event is NULL");
    CHECK_EQ(phc_capture_json(NULL, "{}", 2, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture_json(client, NULL, 2, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture_event(client, NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture_event(NULL, phc_event_new("d", "e"), NULL), PHC_INVALID_ARGUMENT);
    phc_event *nobody = phc_event_new(NULL, NULL);
    CHECK_EQ(phc_capture_event(client, nobody, NULL), PHC_INVALID_EVENT);
    CHECK_EQ(phc_identify(client, NULL, NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_identify(NULL, "d", NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_alias(client, "d", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_group_identify(client, NULL, "k", NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_register(client, NULL, "1"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_register(client, "k", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_unregister(client, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_opt_out(NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_opt_in(NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_flush(NULL, 0, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_client_close(NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_set_error_callback(NULL, NULL, NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_stats_get(NULL, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_stats_get(client, NULL, 100), PHC_OK);
    CHECK_EQ(phc_stats_json(NULL, NULL, 0), 0);
    CHECK(phc_stats_json(client, NULL, 0) > 50);
    phc_event *event = phc_event_new("d", "e");
    CHECK_EQ(phc_event_set_string(NULL, "k", "v"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_string(event, NULL, "v"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_string(event, "k", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_string_n(event, "k", NULL, 3), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_int(event, NULL, 1), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_double(NULL, "k", 1), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_bool(NULL, "k", 1), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_json(event, "k", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_group(event, "k", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_uuid(event, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_timestamp(event, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_timestamp_ms(NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK(phc_poll(NULL, 0) == NULL);
    CHECK(phc_poll(client, 0) == NULL);
    CHECK(phc_report_request_id(NULL)[0] == '\0');
    CHECK(phc_report_error(NULL)[0] == '\0');
    CHECK(strcmp(phc_report_json(NULL), "{}") == 0);
    CHECK_EQ(phc_report_attempt(NULL), 0);
    CHECK_EQ(phc_report_status(NULL), 0);
    CHECK_EQ(phc_report_pending(NULL), 0);
    CHECK_EQ(phc_report_missed_events(NULL), 0);
    CHECK_EQ(phc_report_event_count(NULL), 0);
    CHECK_EQ(phc_report_event(NULL, 0, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK(strcmp(phc_status_name(-5), "unknown") == 0);
    CHECK(strcmp(phc_loss_name(999), "unknown") == 0);
    phc_event_free(event);
    phc_event_free(NULL);
    phc_config_free(config);
    phc_config_free(NULL);
    phc_report_free(NULL);
    phc_client_free(NULL);
    CHECK_EQ(stats_of(client).captured, 0);
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
    CHECK_EQ(phc_event_set_string_n(event, "k", "a\0b\xff", 4), PHC_OK);
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    CHECK_EQ(phc_alias(client, "user",
                       "al\xff"
                       "ias"),
             PHC_OK);
    CHECK_EQ(phc_group_identify(client,
                                "comp\xff"
                                "any",
                                "acme", NULL, "user"),
             PHC_OK);
    CHECK_EQ(phc_group_identify(client, "company",
                                "ac\xff"
                                "me",
                                NULL, "user"),
             PHC_OK);
    CHECK_EQ(phc_group_identify(client, "company", "acme", "{\"a\":\"\\ud800\"}", "user"), PHC_OK);
    CHECK_EQ(phc_alias(client, "user", "alias"), PHC_OK);
    CHECK_EQ(phc_group_identify(client, "company", "acme", "{}", NULL), PHC_OK);
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

static void settings_are_checked(void) {
    phc_config *config = phc_config_new("key");
    CHECK_EQ(phc_config_set(config, "flush_att", "1"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_config_error(config), "did you mean \"flush_at\"");
    CHECK_EQ(phc_config_set(config, "flush_at", "-1"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_config_error(config), "1 to 100000");
    CHECK_EQ(phc_config_set(config, "ca_file", "/no/such/file"), PHC_OK);
    char error[64] = "";
    CHECK(phc_client_new(config, error, sizeof error) == NULL);
    CHECK_HAS(error, "/no/such/file");
    CHECK_EQ(strlen(error), 63);
    phc_config_free(config);
    config = phc_config_new("bad\nkey");
    CHECK(phc_client_new(config, NULL, 0) == NULL);
    CHECK_HAS(phc_last_error(), "project key");
    phc_config_free(config);
}

static void a_disabled_client_does_nothing(void) {
    phc_config *config = phc_config_new("  ");
    phc_client *client = phc_client_new(config, NULL, 0);
    phc_config_free(config);
    CHECK(client != NULL);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_DISABLED);
    CHECK_EQ(phc_flush(client, 1000, NULL, 0), PHC_OK);
    CHECK_EQ(thread_count("phc-"), 0);
    finish(client);
}

static void opting_out_and_super_properties(void) {
    phc_client *client = make_client("disable_geoip", "true", "is_server", "true", NULL);
    CHECK_EQ(phc_register(client, "plan", "{\"tier\":\"pro\"}"), PHC_OK);
    CHECK_EQ(phc_register(client, "plan", "tier"), PHC_INVALID_JSON);
    CHECK_EQ(phc_register(client, "gone", "1"), PHC_OK);
    CHECK_EQ(phc_unregister(client, "gone"), PHC_OK);
    CHECK_EQ(phc_opt_out(client), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OPTED_OUT);
    CHECK_EQ(phc_opt_in(client), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", "{\"$is_server\":false}"), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_HAS(events, "\"$is_server\":false,\"$geoip_disable\":true,\"plan\":{\"tier\":\"pro\"}}");
    free(events);
    finish(client);
}

static void one_client_a_name(void) {
    phc_config *config = phc_config_new("key"), *other = phc_config_new("other key");
    phc_config_set(config, "host", space_host());
    phc_client *first = NULL, *second = NULL, *third = NULL;
    CHECK_EQ(phc_client_open("site", config, &first), PHC_OK);
    CHECK_EQ(phc_client_open("site", config, &second), PHC_OK);
    CHECK(first == second && first != NULL);
    CHECK_EQ(phc_client_open("site", other, &third), PHC_CONFLICT);
    CHECK(third == NULL);
    CHECK_HAS(phc_last_error(), "site");
    phc_client_free(first);
    CHECK_EQ(phc_capture(second, "user", "event", NULL), PHC_OK);
    CHECK_EQ(phc_client_close(second, 5000), PHC_OK);
    CHECK_EQ(phc_client_open("site", other, &third), PHC_OK);
    CHECK(third != second);
    phc_client_free(second);
    phc_client_free(third);
    phc_config_free(config);
    phc_config_free(other);
    CHECK_EQ(summary("accepted"), 1);
}

static int calls, frees;
static phc_status flush_inside, close_inside, capture_inside;
static phc_client *callback_client;

static void on_report(const phc_report *report, void *user_data) {
    CHECK(user_data == &calls);
    CHECK(phc_report_event_count(report) > 0);
    phc_event_report event;
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event), PHC_OK);
    CHECK_EQ(strlen(event.uuid), 36);
    CHECK_EQ(phc_report_event(report, 99, &event, sizeof event), PHC_INVALID_ARGUMENT);
    flush_inside = phc_flush(callback_client, 100, NULL, 0);
    close_inside = phc_client_close(callback_client, 100);
    capture_inside = phc_capture(callback_client, "user", "inside", NULL);
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void on_free(void *user_data) {
    CHECK(user_data == &calls);
    __atomic_add_fetch(&frees, 1, __ATOMIC_SEQ_CST);
}

static void wait_for_calls(int wanted) {
    double start = now_ms();
    while (__atomic_load_n(&calls, __ATOMIC_SEQ_CST) < wanted && now_ms() - start < 20000) usleep(1000);
    CHECK(__atomic_load_n(&calls, __ATOMIC_SEQ_CST) >= wanted);
}

static void callbacks_run_on_a_thread_of_their_own(void) {
    script("{\"steps\":[{\"verdicts\":[\"drop\"]}]}");
    phc_client *client = callback_client = make_client("reports", "losses", NULL);
    calls = frees = 0;
    CHECK_EQ(phc_set_error_callback(client, on_report, &calls, on_free), PHC_OK);
    CHECK_EQ(thread_count("phc-callback"), 0);
    CHECK_EQ(phc_capture(client, "user", "outside", NULL), PHC_OK);
    CHECK_EQ(thread_appears("phc-callback"), 1);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    wait_for_calls(1);
    CHECK_EQ(flush_inside, PHC_REENTRANT);
    CHECK_EQ(close_inside, PHC_REENTRANT);
    CHECK_EQ(capture_inside, PHC_OK);
    CHECK_EQ(frees, 0);
    CHECK_EQ(phc_set_error_callback(client, NULL, NULL, NULL), PHC_OK);
    CHECK_EQ(frees, 1);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(calls, 1);
    finish(client);
    CHECK_EQ(frees, 1);
    CHECK_EQ(thread_count("phc-"), 0);
}

static void replace_inside(const phc_report *report, void *user_data) {
    (void)report;
    usleep(20000); /* so that the replacement from outside comes meanwhile */
    CHECK_EQ(phc_set_error_callback(user_data, NULL, NULL, NULL), PHC_OK);
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void a_callback_may_be_replaced_from_inside_and_outside_at_once(void) {
    script("{\"then\":{\"verdicts\":[\"drop\"]}}");
    phc_client *client = make_client("reports", "losses", NULL);
    calls = 0;
    CHECK_EQ(phc_set_error_callback(client, replace_inside, client, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(phc_set_error_callback(client, NULL, NULL, NULL), PHC_OK);
    /* The old one runs no more: it has run once, or never will. */
    int seen = __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
    usleep(50000);
    CHECK_EQ(__atomic_load_n(&calls, __ATOMIC_SEQ_CST), seen);
    finish(client);
}

static void free_inside(const phc_report *report, void *user_data) {
    (void)report;
    phc_client_free(user_data);
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void a_free_inside_a_callback_happens_after_it(void) {
    script("{\"then\":{\"verdicts\":[\"drop\"]}}");
    phc_client *client = make_client("reports", "losses", "flush_at", "1", NULL);
    calls = 0;
    CHECK_EQ(phc_set_error_callback(client, free_inside, client, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
    wait_for_calls(1);
    double start = now_ms();
    while (thread_count("phc-") > 0 && now_ms() - start < 20000) usleep(1000);
    CHECK_EQ(thread_count("phc-"), 0);
}

static void an_older_caller_knows_a_smaller_struct(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
    phc_stats stats;
    memset(&stats, 0x55, sizeof stats);
    CHECK_EQ(phc_stats_get(client, &stats, 16), PHC_OK);
    CHECK_EQ(stats.captured, 1);
    CHECK_EQ(stats.delivered_with_warning, 0x5555555555555555);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

int main(int argc, char **argv) {
    CHECK_EQ(phc_abi_version(), PHC_ABI_VERSION);
    const test_case tests[] = {
        TEST(null_everywhere),
        TEST(bad_events_are_refused_and_cost_no_other),
        TEST(a_huge_event_is_refused),
        TEST(bad_text_is_repaired_and_counted),
        TEST(settings_are_checked),
        TEST(a_disabled_client_does_nothing),
        TEST(opting_out_and_super_properties),
        TEST(one_client_a_name),
        TEST(callbacks_run_on_a_thread_of_their_own),
        TEST(a_callback_may_be_replaced_from_inside_and_outside_at_once),
        TEST(a_free_inside_a_callback_happens_after_it),
        TEST(an_older_caller_knows_a_smaller_struct),
    };
    return RUN_TESTS(tests);
}
