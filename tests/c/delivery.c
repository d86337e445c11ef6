/* What becomes of events, by how the server responds. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void every_verdict_has_its_meaning(void) {
    script("{\"steps\":[{\"verdicts\":{\"w\":{\"result\":\"warning\",\"details\":\"careful\"},"
           "\"d\":{\"result\":\"drop\",\"details\":\"no\"},\"l\":\"limited\"},\"omit\":[\"absent\"]}]}");
    phc_client *client = make_client(NULL, NULL);
    const char *names[] = {"ok", "w", "d", "l", "absent"};
    for (size_t i = 0; i < 5; i++) capture(client, names[i]);
    phc_flush_result result;
    CHECK_EQ(phc_flush(client, 10000, &result, sizeof result), PHC_LOST_EVENTS);
    CHECK_EQ(result.settled, 5);
    CHECK_EQ(result.delivered, 4);
    CHECK_EQ(result.lost, 1);
    CHECK_EQ(result.pending, 0);
    CHECK_EQ(stats_of(client).delivered_with_warning, 1);
    char *reports = reports_of(client);
    CHECK_HAS(reports, "\"outcome\":\"dropped\",\"verdict\":\"drop\",\"details\":\"no\"");
    CHECK_HAS(reports, "\"verdict\":\"warning\",\"details\":\"careful\"");
    CHECK_HAS(reports, "\"outcome\":\"delivered\",\"verdict\":\"limited\"");
    CHECK_EQ(count(reports, "delivered\""), 4);
    free(reports);
    CHECK_EQ(summary("requests"), 1);
    finish(client);
}

static void a_partial_retry_sends_only_what_is_left(void) {
    script("{\"steps\":[{\"verdicts\":{\"a\":\"ok\",\"b\":\"drop\",\"*\":\"retry\"}},"
           "{\"verdicts\":{\"c\":\"ok\",\"d\":\"drop\",\"*\":\"retry\"}},{}]}");
    phc_client *client = make_client(NULL, NULL);
    const char *names[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++) capture(client, names[i]);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "\"n\":"), 3);
    CHECK_HAS(requests, "\"event_count\":5");
    CHECK_HAS(requests, "\"event_count\":3");
    CHECK_HAS(requests, "\"event_count\":1");
    for (size_t i = 1; i < 3; i++) {
        CHECK(strcmp(nth_string(requests, "request_id", 0), nth_string(requests, "request_id", i)) == 0);
        CHECK(strcmp(nth_string(requests, "created_at", 0), nth_string(requests, "created_at", i)) == 0);
        CHECK(strcmp(nth_string(requests, "posthog-request-timestamp", i - 1),
                     nth_string(requests, "posthog-request-timestamp", i)) < 0);
    }
    CHECK(strcmp(nth_string(requests, "posthog-attempt", 0), "1") == 0);
    CHECK(strcmp(nth_string(requests, "posthog-attempt", 2), "3") == 0);
    free(requests);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"outcome\":\"dropped\""), 2);
    CHECK_EQ(count(reports, "\"outcome\":\"delivered\""), 3);
    free(reports);
    CHECK_EQ(stats_of(client).retries, 2);
    finish(client);
}

static void a_spent_budget_is_reported(void) {
    script("{\"then\":{\"verdicts\":[\"retry\"]}}");
    phc_client *client = make_client("max_retries", "2", NULL);
    capture(client, "stubborn");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(summary("requests"), 3);
    char *reports = reports_of(client);
    CHECK_HAS(reports, "\"outcome\":\"retry_exhausted\",\"verdict\":\"retry\"");
    free(reports);
    finish(client);
}

static void terminal_statuses_end_the_batch_at_once(void) {
    const int statuses[] = {400, 401, 402, 403, 404, 406, 409, 413, 418, 429, 501, 505, 511};
    long long requests = 0;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"steps\":[{\"status\":%d}]}", statuses[i]);
        script(text);
        phc_client *client = make_client(NULL, NULL);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
        CHECK_EQ(summary("requests"), ++requests);
        char *reports = reports_of(client);
        snprintf(text, sizeof text, "\"status\":%d", statuses[i]);
        CHECK_HAS(reports, text);
        CHECK_HAS(reports, "\"outcome\":\"rejected\"");
        CHECK_EQ(count(reports, "maybe_delivered\":true"), 0);
        free(reports);
        finish(client);
    }
}

static void retryable_statuses_are_retried(void) {
    const int statuses[] = {408, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"steps\":[{\"status\":%d,\"times\":2}]}", statuses[i]);
        script(text);
        phc_client *client = make_client(NULL, NULL);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).requests, 3);
        finish(client);
    }
    CHECK_EQ(summary("accepted"), 5);
}

static void an_endless_503_takes_exactly_the_budget(void) {
    script("{\"then\":{\"status\":503}}");
    phc_client *client = make_client("max_retries", "3", NULL);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 15000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(summary("requests"), 4);
    char *reports = reports_of(client);
    CHECK_HAS(reports, "\"attempt\":4,");
    CHECK_EQ(count(reports, "\"status\":503"), 4);
    CHECK_HAS(reports, "server_error");
    free(reports);
    finish(client);
}

static void the_set_of_retryable_statuses_can_be_replaced(void) {
    script("{\"steps\":[{\"status\":404},{\"status\":429},{\"status\":200},{\"status\":503}]}");
    phc_client *client = make_client("retry_statuses", "404, 429", NULL);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    capture(client, "two");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(summary("requests"), 4);
    finish(client);
}

static void a_413_splits_the_batch(void) {
    script("{\"steps\":[{\"when\":{\"min_events\":2},\"status\":413,\"times\":0}]}");
    phc_client *client = make_client(NULL, NULL);
    for (int i = 0; i < 5; i++) capture(client, "big");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("accepted"), 5);
    char *requests = sink_get("_requests");
    for (size_t i = 1; nth_string(requests, "request_id", i)[0] != '\0'; i++) {
        CHECK(strcmp(nth_string(requests, "request_id", i), nth_string(requests, "request_id", i - 1)) != 0);
        CHECK(strcmp(nth_string(requests, "posthog-attempt", i), "1") == 0);
    }
    free(requests);
    finish(client);
}

/* How long it takes until one event is delivered. */
static double delivery_time(phc_client *client) {
    double took;
    free(one_event(client, PHC_OK, &took));
    return took;
}

static void retry_after_is_a_minimum(void) {
    const char *scripts[] = {
        "{\"steps\":[{\"status\":503,\"headers\":{\"Retry-After\":\"1\"}}]}",
        "{\"steps\":[{\"status\":503,\"headers\":{\"Retry-After\":\"{date+2}\"}}]}",
        "{\"steps\":[{\"verdicts\":[\"retry\"],\"headers\":{\"Retry-After\":\"1\"}}]}",
    };
    for (size_t i = 0; i < 3; i++) {
        script(scripts[i]);
        phc_client *client = make_client(NULL, NULL);
        double took = delivery_time(client);
        CHECK(took >= 990 && took < SOON_MS);
        finish(client);
    }
}

static void retry_after_is_clamped_and_never_shortens_the_wait(void) {
    script(
        "{\"steps\":[{\"status\":503,\"headers\":{\"Retry-After\":\"86400\"}},"
        "{\"status\":503,\"headers\":{\"Retry-After\":\"0\"}},{\"status\":503,\"headers\":{\"Retry-After\":\"soon\"}}]}");
    expect_violations(); /* the sink clamps at 30 s, this client at 0.3 s */
    phc_client *client =
        make_client("retry_after_max_ms", "300", "retry_initial_ms", "200", "retry_max_ms", "200", NULL);
    double took = delivery_time(client);
    CHECK(took >= 690 && took < SOON_MS);
    finish(client);
}

static void redirects_are_not_followed(void) {
    const int statuses[] = {301, 302, 303, 307, 308};
    /* A place where the event would be accepted. */
    char location[300], view[] = "elsewhere/_requests";
    snprintf(location, sizeof location, "%s/elsewhere/i/v1/analytics/events", namespace_host());
    for (size_t i = 0; i < 5; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"steps\":[{\"status\":%d,\"headers\":{\"Location\":\"%s\"}}]}",
                 statuses[i], location);
        script(text);
        phc_client *client = make_client(NULL, NULL);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
        char *reports = reports_of(client);
        CHECK_HAS(reports, location);
        snprintf(text, sizeof text, "\"status\":%d", statuses[i]);
        CHECK_HAS(reports, text);
        CHECK_HAS(reports, "\"outcome\":\"rejected\"");
        free(reports);
        finish(client);
    }
    CHECK_EQ(summary("requests"), 5);
    char *requests = sink_get(view);
    CHECK_STR(requests, "[]");
    free(requests);
}

static void a_broken_success_is_final(void) {
    const char *bodies[] = {"{}",
                            "[]",
                            "null",
                            "not json",
                            "",
                            "{\\\"results\\\":[]}",
                            "{\\\"results\\\":{}",
                            "{\\\"result\\\":{}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"steps\":[{\"body\":\"%s\"}]}", bodies[i]);
        script(text);
        phc_client *client = make_client(NULL, NULL);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
        char *reports = reports_of(client);
        CHECK_HAS(reports, "\"outcome\":\"malformed_response\",\"maybe_delivered\":true");
        free(reports);
        CHECK_EQ(stats_of(client).requests, 1);
        finish(client);
    }
}

static void unusual_results_affect_no_other_event(void) {
    script(
        "{\"steps\":[{\"verdicts\":{\"a\":7,\"b\":{\"result\":null},\"c\":\"drop\"},"
        "\"extra_results\":{\"nonsense\":{\"result\":\"drop\"},\"00000000-0000-0000-0000-000000000001\":[]}}]}");
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    capture(client, "b");
    capture(client, "c");
    phc_flush_result result;
    CHECK_EQ(phc_flush(client, 10000, &result, sizeof result), PHC_LOST_EVENTS);
    CHECK_EQ(result.delivered, 2);
    CHECK_EQ(result.lost, 1);
    finish(client);
}

static void cut_connections_are_retried_and_stored_once(void) {
    const char *places[] = {"before_read", "before_response", "after_headers", "mid_body"};
    for (size_t i = 0; i < 4; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"steps\":[{\"close\":\"%s\"}]}", places[i]);
        script(text);
        phc_client *client = make_client(NULL, NULL);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).requests, 2);
        finish(client);
    }
    CHECK_EQ(summary("accepted"), 4);
    CHECK_EQ(summary("events"), 8);
}

/* One event, what is reported of it, and how many requests that takes. */
typedef struct {
    const char *host, *script, *max_retries; /* without a host it is the sink's */
    phc_status flushed;
    const char *reported[2];
    unsigned maybe_delivered, requests;
} one_event_row;

static void check_one_event(one_event_row row) {
    if (row.script != NULL) script(row.script);
    const char *host = row.host == NULL ? namespace_host() : row.host;
    phc_client *client = make_client_at(host, "max_retries", row.max_retries, NULL);
    char *reports = one_event(client, row.flushed, NULL);
    for (size_t i = 0; i < 2; i++) CHECK_HAS(reports, row.reported[i]);
    free(reports);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.maybe_delivered, row.maybe_delivered);
    CHECK_EQ(stats.requests, row.requests);
    finish(client);
}

static void a_loss_without_a_response_is_reported_as_maybe_delivered(void) {
    check_one_event((one_event_row){
        .script = "{\"then\":{\"close\":\"mid_body\"}}",
        .max_retries = "1",
        .flushed = PHC_LOST_EVENTS,
        .reported = {"\"outcome\":\"transport\",\"maybe_delivered\":true", "cut off"},
        .maybe_delivered = 1,
        .requests = 2,
    });
}

static void a_refused_connection_is_reported_as_such(void) {
    check_one_event((one_event_row){
        .host = "http://127.0.0.1:1",
        .max_retries = "1",
        .flushed = PHC_LOST_EVENTS,
        .reported = {"\"outcome\":\"transport\"}", "refused"},
        .requests = 2,
    });
}

static void a_host_that_does_not_exist_is_reported_as_such(void) {
    check_one_event((one_event_row){
        .host = "http://no-such-host.invalid",
        .max_retries = "0",
        .flushed = PHC_LOST_EVENTS,
        .reported = {"\"outcome\":\"transport\"}", "dns"},
        .requests = 1,
    });
}

static void a_response_over_its_bound_is_final(void) {
    /* 64 KiB and 1 KiB for the event: that much is read, and is not JSON. */
    const char *const sizes[][2] = {{"66560", "not a JSON object"},
                                    {"66561", "larger than its bound"},
                                    {"10000000", "larger than its bound"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"steps\":[{\"body_size\":%s}]}", sizes[i][0]);
        check_one_event((one_event_row){
            .script = text,
            .max_retries = "3",
            .flushed = PHC_LOST_EVENTS,
            .reported = {"malformed_response", sizes[i][1]},
            .maybe_delivered = 1,
            .requests = 1,
        });
    }
}

static void a_large_error_response_is_still_its_status(void) {
    check_one_event((one_event_row){
        .script = "{\"steps\":[{\"status\":503,\"body_size\":10000000}]}",
        .max_retries = "3",
        .flushed = PHC_OK,
        .reported = {"\"status\":503", "\"outcome\":\"delivered\""},
        .requests = 2,
    });
}

static void a_silent_server_is_given_up_in_time(void) {
    const char *steps[] = {"\"never\":true", "\"drip_ms\":1000", "\"endless_headers\":true"};
    for (size_t i = 0; i < 3; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"steps\":[{%s}]}", steps[i]);
        script(text);
        phc_client *client = make_client("request_timeout_ms", "300", "max_retries", "50", NULL);
        double took = delivery_time(client);
        CHECK(took < 9000);                    /* the default is 10,000 */
        CHECK(stats_of(client).requests >= 2); /* more of them, if the sink is descheduled */
        finish(client);
    }
    expect_violations(); /* the sink counts the drip as accepted before it was over */
}

static void flush_waits_for_the_back_off(void) {
    script("{\"steps\":[{\"status\":503},{\"status\":503}]}");
    phc_client *client = make_client("retry_initial_ms", "200", "retry_max_ms", "1000", NULL);
    double took = delivery_time(client);
    CHECK(took >= 590 && took < SOON_MS);
    finish(client);
}

static void an_outage_keeps_new_batches_waiting(void) {
    /* Four requests are open when the first three fail; the rest of the queue must wait until a
     * probe succeeds. */
    script("{\"then\":{\"status\":503,\"wait_for_script\":true}}");
    phc_client *client =
        make_client("flush_at", "1", "max_batch_events", "1", "max_in_flight", "4", "max_retries", "20",
                    "retry_initial_ms", "20", "request_timeout_ms", "120000", NULL);
    for (int i = 0; i < 40; i++) capture(client, "one");
    wait_for("requests=4");
    script("{\"steps\":[{\"status\":503,\"times\":8,\"delay_ms\":20}]}");
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    char *requests = sink_get("_requests");
    /* Of the twelve requests that failed, none is a new batch but the first four
     * and the two that began before the third failure was known. */
    size_t first_attempts = 0;
    const char *at = requests;
    for (int i = 0; i < 12; i++) {
        at = strstr(at, "\"posthog-attempt\":\"");
        if (at == NULL) break;
        at += strlen("\"posthog-attempt\":\"");
        first_attempts += *at == '1' && at[1] == '"';
    }
    CHECK(first_attempts >= 4 && first_attempts <= 6);
    free(requests);
    CHECK_EQ(summary("accepted"), 40);
    CHECK_EQ(stats_of(client).lost, 0);
    finish(client);
}

static void the_path_prefix_and_the_headers_arrive(void) {
    char host[300];
    snprintf(host, sizeof host, " %s// ", namespace_host());
    phc_client *client = make_client_at(host, "header.X-Test-Id", "t-1", "sdk_name", "posthog-test-phc",
                                        "sdk_version", "9.8.7", NULL);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *requests = sink_get("_requests");
    CHECK_HAS(requests, "\"x-test-id\":\"t-1\"");
    CHECK_HAS(requests, "\"authorization\":\"Bearer phc_blackbox_key\"");
    CHECK_HAS(requests, "\"user-agent\":\"posthog-test-phc/9.8.7\"");
    CHECK_HAS(requests, "\"posthog-sdk-info\":\"posthog-test-phc/9.8.7\"");
    free(requests);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(every_verdict_has_its_meaning),
        TEST(a_partial_retry_sends_only_what_is_left),
        TEST(a_spent_budget_is_reported),
        TEST(terminal_statuses_end_the_batch_at_once),
        TEST(retryable_statuses_are_retried),
        TEST(an_endless_503_takes_exactly_the_budget),
        TEST(the_set_of_retryable_statuses_can_be_replaced),
        TEST(a_413_splits_the_batch),
        TEST(retry_after_is_a_minimum),
        TEST(retry_after_is_clamped_and_never_shortens_the_wait),
        TEST(redirects_are_not_followed),
        TEST(a_broken_success_is_final),
        TEST(unusual_results_affect_no_other_event),
        TEST(cut_connections_are_retried_and_stored_once),
        TEST(a_loss_without_a_response_is_reported_as_maybe_delivered),
        TEST(a_refused_connection_is_reported_as_such),
        TEST(a_host_that_does_not_exist_is_reported_as_such),
        TEST(a_response_over_its_bound_is_final),
        TEST(a_large_error_response_is_still_its_status),
        TEST(a_silent_server_is_given_up_in_time),
        TEST(flush_waits_for_the_back_off),
        TEST(an_outage_keeps_new_batches_waiting),
        TEST(the_path_prefix_and_the_headers_arrive),
    };
    return RUN_TESTS(tests);
}
