/* What the library holds stays inside its bounds, whatever the server does. Each
 * test states its peak; the bounds are those of the settings plus what is fixed:
 * the program itself, 16 MiB of reports that are not read, what is in flight. */
#include "harness.h"
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024L)
#define DOWN "http://127.0.0.1:1"

static void check_peak(const char *what, long most_kb) {
    long peak = resident_peak();
    printf("   %s: peak RSS %.1f MiB\n", what, (double)peak / 1024);
    check_at(peak <= most_kb, __FILE__, __LINE__, "%s: peak RSS %ld KiB, allowed %ld", what, peak, most_kb);
}

/* Ten properties, about 400 bytes on the wire. */
static const char *PROPERTIES =
    "{\"path\":\"/pricing/enterprise\",\"title\":\"Pricing for enterprises\",\"referrer\":\"https://search.example/?q=analytics\","
    "\"width\":1920,\"height\":1080,\"plan\":\"scale\",\"seats\":42,\"trial\":false,\"ratio\":0.618,\"tags\":[\"a\",\"b\"]}";

/* The client of most hosts: all settings at their defaults. */
static phc_client *default_client(const char *key, const char *value) {
    return make_client_at(DOWN, "reports", "losses", "retry_initial_ms", "200", "retry_max_ms", "30000", key,
                          value, NULL);
}

static void a_million_captures(const char *what, const char *overflow, long most_kb) {
    resident_reset();
    phc_client *client = default_client("overflow", overflow);
    long long taken = 0, full = 0;
    uint64_t most_bytes = 0;
    double start = now_ms();
    for (int i = 0; i < 1000000; i++) {
        phc_status status = phc_capture(client, "user", "page viewed", PROPERTIES);
        taken += status == PHC_OK;
        full += status == PHC_QUEUE_FULL;
        if (i % 1000 == 0) {
            phc_stats stats = stats_of(client);
            if (stats.pending_bytes > most_bytes) most_bytes = stats.pending_bytes;
        }
    }
    double took = now_ms() - start;
    CHECK_EQ(taken + full, 1000000);
    phc_stats stats = stats_of(client);
    CHECK(most_bytes <= 33554432);
    CHECK(stats.pending_events > 50000); /* it was full */
    CHECK_EQ(stats.captured, (uint64_t)taken);
    CHECK_EQ(stats.refused, (uint64_t)full);
    printf("   %s: %lld taken, %lld refused, at most %.1f MiB pending, %.0f ms\n", what, taken, full,
           (double)most_bytes / (1 << 20), took);
    check_peak(what, most_kb);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
    check_peak("and after its close, every event in a report", most_kb + 16 * MIB);
}

static void a_million_captures_with_the_server_down(void) {
    a_million_captures("a million captures, drop_newest", "drop_newest", 56 * MIB);
}

static void a_million_captures_that_evict_each_other(void) {
    a_million_captures("a million captures, drop_oldest", "drop_oldest", 72 * MIB);
}

static void ten_thousand_large_events(void) {
    resident_reset();
    phc_client *client = default_client(NULL, NULL);
    char *value = malloc(800001);
    memset(value, 'v', 800000);
    value[800000] = '\0';
    int taken = 0;
    for (int i = 0; i < 10000; i++) {
        /* Refused ones are still encoded; the rest of them would only take time. */
        if (i - taken > 200) break;
        phc_event *event = phc_event_new("user", "large");
        phc_event_set_string(event, "value", value);
        taken += phc_capture_event(client, event, NULL) == PHC_OK;
    }
    free(value);
    CHECK(taken >= 40 && taken <= 45);
    check_peak("large events", 56 * MIB);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static void one_uuid_again_and_again(void) {
    /* Each must have a batch of its own; a hundred thousand of them wait. */
    resident_reset();
    phc_client *client = default_client(NULL, NULL);
    const char *json =
        "{\"event\":\"twin\",\"distinct_id\":\"user\",\"uuid\":\"0190a5b4-7c3d-7abc-8def-0123456789ab\"}";
    long long taken = 0;
    for (int i = 0; i < 120000; i++) taken += phc_capture_json(client, json, strlen(json), NULL) == PHC_OK;
    CHECK(taken >= 99000);
    check_peak("a hundred thousand batches of one event", 96 * MIB);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static void many_batches_in_back_off(void) {
    resident_reset();
    long before = resident_now();
    script("{\"then\":{\"verdicts\":[\"retry\"],\"headers\":{\"Retry-After\":\"30\"}}}");
    phc_client *client = make_client("flush_at", "1", "max_batch_events", "1", "reports", "losses", NULL);
    capture_n(client, 3000);
    wait_for("requests=3000");
    while (stats_of(client).requests < 3000) usleep(1000);
    CHECK_EQ(stats_of(client).pending_events, 3000);
    long growth = resident_peak() - before;
    printf("   3,000 batches in back-off: the process grew by %ld KiB\n", growth);
    CHECK(growth < 8 * MIB);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static void warnings_that_are_not_read(void) {
    resident_reset();
    char text[900], details[501];
    memset(details, 'd', 500);
    details[500] = '\0';
    snprintf(text, sizeof text, "{\"then\":{\"verdicts\":[{\"result\":\"warning\",\"details\":\"%s\"}]}}",
             details);
    script(text);
    phc_client *client = make_client("reports", "warnings", NULL);
    for (int i = 0; i < 100000; i++) {
        while (phc_capture(client, "user", "event", NULL) == PHC_QUEUE_FULL) usleep(1000);
    }
    CHECK_EQ(phc_flush(client, 50000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered_with_warning, 100000);
    check_peak("100,000 warnings of 500 bytes that are not read", 80 * MIB);
    phc_report *report = phc_poll(client, 0);
    CHECK(phc_report_missed_events(report) > 50000); /* and that is reported */
    phc_report_free(report);
    finish(client);
}

/* Attempts of a ten minutes' outage at the default waits are some thirty probes;
 * this has many times as many, while the host goes on capturing. */
static void an_outage(const char *what, const char *host, const char *max_retries, uint64_t attempts) {
    resident_reset();
    phc_client *client = make_client_at(host, "reports", "losses", "retry_initial_ms", "1", "retry_max_ms",
                                        "2", "max_retries", max_retries, "overflow", "drop_oldest",
                                        "queue_max_bytes", "4194304", "max_batch_bytes", "65536", NULL);
    long settled_at = 0;
    double start = now_ms();
    while (stats_of(client).requests < attempts && now_ms() - start < 40000) {
        for (int i = 0; i < 200; i++) phc_capture(client, "user", "page viewed", PROPERTIES);
        phc_report *report;
        while ((report = phc_poll(client, 0)) != NULL) phc_report_free(report);
        usleep(1000);
        if (settled_at == 0 && stats_of(client).requests >= attempts / 2) {
            settled_at = resident_peak();
        }
    }
    phc_stats stats = stats_of(client);
    long growth = resident_peak() - settled_at;
    printf("   %s: %lu attempts, %lu captured, %lu lost; the second half grew by %ld KiB\n", what,
           (unsigned long)stats.requests, (unsigned long)stats.captured, (unsigned long)stats.lost, growth);
    CHECK(stats.requests >= attempts);
    CHECK(settled_at > 0 && growth < 3 * MIB);
    check_peak(what, 48 * MIB);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static void memory_is_flat_in_an_outage(void) {
    allow_seconds(250);
    an_outage("a refused connection, the budget spent again and again", DOWN, "3", 300);
    an_outage("a refused connection, a budget without an end", DOWN, "1000", 300);
    script("{\"then\":{\"status\":503}}");
    an_outage("a server that responds with 503", namespace_host(), "3", 300);
    script("{\"then\":{\"verdicts\":[\"retry\"]}}");
    an_outage("a server that wants everything again", namespace_host(), "3", 300);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_million_captures_with_the_server_down),
        TEST(a_million_captures_that_evict_each_other),
        TEST(ten_thousand_large_events),
        TEST(one_uuid_again_and_again),
        TEST(many_batches_in_back_off),
        TEST(warnings_that_are_not_read),
        TEST(memory_is_flat_in_an_outage),
    };
    return RUN_TESTS(tests);
}
