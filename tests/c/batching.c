/* When batches are made, what is bounded, and what flush and close promise. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void flush_at_sends_without_a_flush(void) {
    phc_client *client = make_client("flush_at", "3", "flush_interval_ms", "60000", NULL);
    double start = now_ms();
    capture_n(client, 3);
    wait_for("accepted=3");
    CHECK(now_ms() - start < SOON_MS);
    finish(client);
}

static void the_interval_sends_a_single_event(void) {
    phc_client *client = make_client("flush_at", "100", "flush_interval_ms", "200", NULL);
    double fastest = 1e9;
    for (int i = 1; i <= 5; i++) {
        double start = now_ms();
        capture_n(client, 1);
        char wanted[32];
        snprintf(wanted, sizeof wanted, "accepted=%d", i);
        wait_for(wanted);
        double took = now_ms() - start;
        CHECK(took >= 195 && took < SOON_MS);
        if (took < fastest) fastest = took;
    }
    CHECK(fastest < 4500); /* the default is 5,000, which none of them can fall below */
    CHECK_EQ(summary("requests"), 5);
    finish(client);
}

static void batches_keep_their_bounds(void) {
    phc_client *client = make_client("max_batch_events", "7", "flush_at", "100000", NULL);
    capture_n(client, 30);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "\"event_count\":7"), 4);
    CHECK_EQ(count(requests, "\"event_count\":2"), 1);
    free(requests);
    finish(client);

    client = make_client("max_batch_bytes", "4096", "flush_at", "100000", NULL);
    capture_n(client, 200);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK(summary("max_body") <= 4096);
    CHECK(summary("max_body") > 3500);
    finish(client);
}

static void a_backlog_makes_batches_grow(void) {
    script("{\"steps\":[{\"wait_for_script\":true}]}");
    phc_client *client =
        make_client("flush_at", "10", "max_in_flight", "1", "request_timeout_ms", "120000", NULL);
    capture_n(client, 10);
    wait_for("requests=1");
    capture_n(client, 1990);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    /* Not 200 batches of flush_at. */
    CHECK_EQ(summary("requests"), 2);
    finish(client);
}

static void one_slow_batch_delays_no_other(void) {
    script("{\"steps\":[{\"when\":{\"event\":\"slow\"},\"wait_for_script\":true}]}");
    phc_client *client =
        make_client("flush_at", "1", "max_in_flight", "4", "request_timeout_ms", "120000", NULL);
    capture(client, "slow");
    wait_for("requests=1");
    for (int i = 2; i <= 6; i++) {
        capture_n(client, 1);
        char wanted[32];
        snprintf(wanted, sizeof wanted, "requests=%d", i);
        wait_for(wanted);
    }
    wait_for("delivered=5");
    CHECK_EQ(stats_of(client).captured, 6);
    respond_now();
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

static void a_batch_in_back_off_delays_no_other(void) {
    script(
        "{\"steps\":[{\"when\":{\"event\":\"again\"},\"status\":503,\"headers\":{\"Retry-After\":\"120\"}}]}");
    phc_client *client =
        make_client("flush_at", "1", "max_in_flight", "1", "retry_after_max_ms", "120000", NULL);
    capture(client, "again");
    wait_for("requests=1");
    capture_n(client, 5);
    wait_for("delivered=5");
    CHECK_EQ(phc_flush(client, 100, NULL, 0), PHC_TIMEOUT);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static void no_more_requests_are_open_than_allowed(void) {
    script("{\"then\":{\"wait_for_script\":true}}");
    phc_client *client = make_client("flush_at", "1", "max_batch_events", "2", "max_in_flight", "3",
                                     "request_timeout_ms", "120000", NULL);
    capture_n(client, 60);
    wait_for("requests=3"); /* which are open until now */
    script("{\"then\":{\"delay_ms\":20}}");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("max_concurrent"), 3);
    finish(client);
}

static void a_full_queue_refuses_the_newest(void) {
    phc_client *client = make_client("queue_max_events", "10", NULL);
    capture_n(client, 10);
    CHECK_EQ(phc_capture(client, "user", "late", NULL), PHC_QUEUE_FULL);
    CHECK_HAS(phc_last_error(), "queue_max_events");
    CHECK_EQ(phc_capture_event(client, phc_event_new("user", "late"), NULL), PHC_QUEUE_FULL);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_capture_event(client, phc_event_new("user", "later"), NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 11);
    CHECK_EQ(stats.refused_by_status[PHC_QUEUE_FULL], 2);
    finish(client);

    client = make_client("queue_max_bytes", "4096", NULL);
    int taken = 0;
    while (phc_capture(client, "user", "event", NULL) == PHC_OK) taken++;
    CHECK(taken > 10 && taken < 30);
    CHECK(stats_of(client).pending_bytes <= 4096);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

static void a_full_queue_can_evict_the_oldest(void) {
    phc_client *client =
        make_client("queue_max_events", "10", "overflow", "drop_oldest", "flush_at", "100", NULL);
    for (int i = 0; i < 25; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%02d", i);
        CHECK_EQ(phc_capture(client, "user", name, NULL), PHC_OK);
    }
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_EVICTED], 15);
    CHECK_EQ(stats.pending_events, 10);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_EQ(count(events, "\"event\":\"e"), 10);
    CHECK_HAS(events, "\"e15\"");
    CHECK_EQ(count(events, "\"e14\""), 0);
    free(events);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"outcome\":\"evicted\""), 15);
    free(reports);
    CHECK_EQ(phc_client_close(client, 10000), PHC_LOST_EVENTS);
    finish(client);
}

static void what_is_in_back_off_is_not_evicted(void) {
    script("{\"then\":{\"status\":503}}");
    phc_client *client =
        make_client("queue_max_events", "5", "overflow", "drop_oldest", "flush_at", "100", "max_retries",
                    "1000", "retry_initial_ms", "20000", "retry_max_ms", "20000", "max_in_flight", "1", NULL);
    char first[PHC_UUID_SIZE] = "";
    CHECK_EQ(phc_capture_get_uuid(client, "user", "first", NULL, first), PHC_OK);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    phc_report *report = phc_poll(client, 20000); /* of its first attempt: it is in back-off now */
    CHECK_STR(phc_report_pending_uuid(report, 0), first);
    phc_report_free(report);
    for (int i = 0; i < 50; i++) capture_n(client, 1);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.pending_events, 5);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_EVICTED], 46);
    char *evicted = reports_of(client);
    CHECK_EQ(count(evicted, "\"outcome\":\"evicted\""), 46);
    CHECK_EQ(count(evicted, first), 0);
    free(evicted);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    char *closed = reports_of(client);
    CHECK_HAS(closed, first);
    free(closed);
    finish(client);
}

static void a_full_queue_can_block(void) {
    script("{\"steps\":[{\"delay_ms\":200}],\"then\":{\"never\":true}}");
    phc_client *client = make_client("queue_max_events", "1", "overflow", "block", "block_timeout_ms",
                                     "120000", "flush_at", "1", NULL);
    double start = now_ms();
    capture_n(client, 1);
    capture_n(client, 1); /* waits for the response to the first */
    double took = now_ms() - start;
    CHECK(took >= 195 && took < SOON_MS);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);

    client = make_client("queue_max_events", "1", "overflow", "block", "block_timeout_ms", "1500", "flush_at",
                         "1", "request_timeout_ms", "120000", NULL);
    capture_n(client, 1);
    start = now_ms();
    CHECK_EQ(phc_capture(client, "user", "late", NULL), PHC_QUEUE_FULL);
    took = now_ms() - start;
    CHECK(took >= 1490 && took < SOON_MS); /* the default is 1,000 */
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static void one_uuid_is_never_twice_in_a_batch(void) {
    phc_client *client = make_client(NULL, NULL);
    const char *json =
        "{\"event\":\"twin\",\"distinct_id\":\"user\",\"uuid\":\"0190A5B4-7C3D-7ABC-8DEF-0123456789AB\",\"properties\":{\"n\":%d}}";
    for (int i = 0; i < 3; i++) {
        char text[256], uuid[37];
        snprintf(text, sizeof text, json, i);
        CHECK_EQ(phc_capture_json(client, text, strlen(text), uuid), PHC_OK);
        CHECK(strcmp(uuid, "0190a5b4-7c3d-7abc-8def-0123456789ab") == 0);
    }
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("requests"), 3);
    finish(client);
}

static void a_flush_that_times_out_abandons_nothing(void) {
    script("{\"steps\":[{\"wait_for_script\":true}]}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture_n(client, 3);
    phc_flush_result result;
    CHECK_EQ(phc_flush(client, 0, &result, sizeof result), PHC_TIMEOUT);
    CHECK_EQ(result.pending, 3);
    double start = now_ms();
    CHECK_EQ(phc_flush(client, 100, &result, sizeof result), PHC_TIMEOUT);
    CHECK(now_ms() - start < SOON_MS);
    CHECK_EQ(result.pending, 3);
    uint64_t flush;
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
    respond_now();
    CHECK_EQ(phc_flush_wait(client, flush, PHC_NO_LIMIT, &result, sizeof result), PHC_OK);
    CHECK_EQ(result.delivered, 3);
    finish(client);
}

static void a_flush_covers_what_is_in_flight_and_no_more(void) {
    script("{\"steps\":[{\"when\":{\"event\":\"before\"},\"wait_for_script\":true},"
           "{\"when\":{\"event\":\"after\"},\"never\":true}]}");
    phc_client *client = make_client("flush_at", "1", "request_timeout_ms", "120000", NULL);
    capture(client, "before");
    wait_for("requests=1");
    phc_flush_result result;
    CHECK_EQ(phc_flush(client, 50, &result, sizeof result), PHC_TIMEOUT);
    CHECK_EQ(result.pending, 1);
    uint64_t flush;
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
    capture(client, "after");
    wait_for("requests=2");
    respond_now();
    CHECK_EQ(phc_flush_wait(client, flush, 10000, &result, sizeof result), PHC_OK);
    CHECK_EQ(result.settled, 1);
    CHECK_EQ(result.delivered, 1);
    CHECK_EQ(result.pending, 0);
    CHECK_EQ(phc_flush(client, 0, &result, sizeof result), PHC_TIMEOUT);
    CHECK_EQ(result.settled, 0);
    CHECK_EQ(result.pending, 1);
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    finish(client);
}

static volatile int stop_capturing;
static void *keep_capturing(void *client) {
    while (!stop_capturing) {
        if (phc_capture(client, "user", "more", NULL) == PHC_QUEUE_FULL) sched_yield();
    }
    return NULL;
}

static void a_flush_ends_while_others_go_on_capturing(void) {
    /* A flush that waited for what is captured after its begin would never end, for the queue stays full;
     * its own events are few. */
    phc_client *client =
        make_client("overflow", "drop_newest", "queue_max_events", "2000", "reports", "losses", NULL);
    pthread_t thread;
    stop_capturing = 0;
    pthread_create(&thread, NULL, keep_capturing, client);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    }
    stop_capturing = 1;
    pthread_join(thread, NULL);
    CHECK_EQ(phc_client_close(client, 30000), PHC_OK);
    finish(client);
}

static void close_returns_in_time_and_reports_what_is_lost(void) {
    script("{\"then\":{\"never\":true}}");
    phc_client *client = make_client("flush_at", "1", "max_in_flight", "1", "max_batch_events", "2",
                                     "request_timeout_ms", "120000", NULL);
    capture_n(client, 1);
    wait_for("requests=1");
    capture_n(client, 4);
    double start = now_ms();
    CHECK_EQ(phc_client_close(client, 200), PHC_LOST_EVENTS);
    double took = now_ms() - start;
    CHECK(took >= 195 && took < SOON_MS); /* deadlines.c measures more finely */
    CHECK_EQ(phc_capture(client, "user", "late", NULL), PHC_CLOSED);
    CHECK_EQ(phc_flush(client, 100, NULL, 0), PHC_CLOSED);
    CHECK_EQ(phc_client_close(client, 100), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_CLOSED], 5);
    CHECK_EQ(stats.maybe_delivered, 1);
    CHECK_EQ(stats.pending_events, 0);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"outcome\":\"closed\""), 5);
    free(reports);
    finish(client);
}

static void close_during_back_off_reports_it(void) {
    script("{\"then\":{\"status\":503,\"headers\":{\"Retry-After\":\"20\"}}}");
    phc_client *client = make_client("flush_at", "1", NULL);
    capture_n(client, 1);
    phc_report *report = phc_poll(client, 10000); /* now it knows of the response */
    CHECK(report != NULL);
    phc_report_free(report);
    CHECK_EQ(phc_client_close(client, 100), PHC_LOST_EVENTS);
    CHECK_EQ(stats_of(client).maybe_delivered, 0);
    finish(client);
}

static void close_sends_what_waits(void) {
    phc_client *client = make_client(NULL, NULL);
    capture_n(client, 50);
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    CHECK_EQ(summary("delivered"), 50);
    finish(client);
}

static void free_sends_what_waits(void) {
    phc_client *client = make_client(NULL, NULL);
    capture_n(client, 50);
    phc_client_free(client);
    CHECK_EQ(summary("accepted"), 50);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(flush_at_sends_without_a_flush),
        TEST(the_interval_sends_a_single_event),
        TEST(batches_keep_their_bounds),
        TEST(a_backlog_makes_batches_grow),
        TEST(one_slow_batch_delays_no_other),
        TEST(a_batch_in_back_off_delays_no_other),
        TEST(no_more_requests_are_open_than_allowed),
        TEST(a_full_queue_refuses_the_newest),
        TEST(a_full_queue_can_evict_the_oldest),
        TEST(what_is_in_back_off_is_not_evicted),
        TEST(a_full_queue_can_block),
        TEST(one_uuid_is_never_twice_in_a_batch),
        TEST(a_flush_that_times_out_abandons_nothing),
        TEST(a_flush_covers_what_is_in_flight_and_no_more),
        TEST(a_flush_ends_while_others_go_on_capturing),
        TEST(close_returns_in_time_and_reports_what_is_lost),
        TEST(close_during_back_off_reports_it),
        TEST(close_sends_what_waits),
        TEST(free_sends_what_waits),
    };
    return RUN_TESTS(tests);
}
