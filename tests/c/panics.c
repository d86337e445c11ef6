/*
 * A panic inside each room, on demand: it comes back as PHC_INTERNAL or costs one
 * attempt, never the host; events are accounted for; the client goes on or says
 * that it is broken; another client is not touched. Needs a library built with
 * the feature fault-injection: `xtask panics`.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int32_t phc_fault_arm(const char *room);

static void capture(phc_client *client, phc_status wanted) {
    CHECK_EQ(phc_capture(client, "user", "a", NULL), wanted);
}

/* Another client of the process works. */
static void check_neighbour(phc_client *neighbour) {
    capture(neighbour, PHC_OK);
    CHECK_EQ(phc_flush(neighbour, 10000, NULL, 0), PHC_OK);
}

static void in_a_call_of_the_host(void) {
    /* Rooms that only the calling thread enters: the event is not taken, and the next one is. */
    const char *rooms[] = {"capi", "event", "queue", "client"};
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        phc_client *client = make_client(NULL, NULL);
        capture(client, PHC_OK);
        CHECK_EQ(phc_fault_arm(rooms[i]), 1);
        capture(client, PHC_INTERNAL);
        CHECK_HAS(phc_last_error(), "fault inside libphc");
        capture(client, PHC_OK);
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.delivered, 2);
        CHECK_EQ(stats.refused, strcmp(rooms[i], "capi") == 0 ? 0 : 1);
        finish(client);
    }
}

static void in_the_settings(void) {
    phc_config *config = phc_config_new("key");
    phc_fault_arm("config");
    CHECK_EQ(phc_config_set(config, "flush_at", "5"), PHC_INTERNAL);
    CHECK_EQ(phc_config_set(config, "flush_at", "5"), PHC_OK);
    phc_fault_arm("capi");
    CHECK(phc_client_new(config, NULL, 0) == NULL);
    phc_client *client = phc_client_new(config, NULL, 0);
    CHECK(client != NULL);
    phc_client_free(client);
    phc_config_free(config);
}

static void in_the_start_of_the_thread(void) {
    phc_client *client = make_client(NULL, NULL);
    phc_fault_arm("runtime");
    capture(client, PHC_INTERNAL);
    CHECK_EQ(stats_of(client).captured, 0);
    capture(client, PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1);
    finish(client);
}

static void in_an_attempt(void) {
    /* It costs the attempt, which the server never sees, and the batch is sent again. */
    expect_violations();
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    capture(client, PHC_OK);
    phc_fault_arm("transport");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 1);
    CHECK_EQ(stats.requests, 2);
    finish(client);
}

static void in_the_sender(void) {
    /* The client says that it is broken, and every event has an end. */
    const char *rooms[] = {"sender", "batch", "protocol", "books", "outcome"};
    phc_client *neighbour = NULL;
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        phc_client *client = make_client("flush_interval_ms", "60000", NULL);
        for (int j = 0; j < 10; j++) capture(client, PHC_OK);
        phc_fault_arm(rooms[i]);
        phc_flush_result seen = {0};
        /* Where only the report fails, the events have been delivered. */
        phc_status flushed = strcmp(rooms[i], "outcome") == 0 ? PHC_OK : PHC_LOST_EVENTS;
        CHECK_EQ(phc_flush(client, 10000, &seen, sizeof seen), flushed);
        CHECK_EQ(seen.settled, 10);
        CHECK_EQ(seen.pending, 0);
        capture(client, PHC_INTERNAL);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.captured, 10);
        CHECK_EQ(stats.pending_events, 0);
        CHECK_EQ(stats.delivered + stats.lost, 10);
        long long told = 0;
        for (phc_report *report; (report = phc_poll(client, 0)) != NULL;) {
            told += (long long)(phc_report_event_count(report) + phc_report_missed_events(report));
            phc_report_free(report);
        }
        /* What was settled before the fault may be in the report that the fault took. */
        CHECK(told >= (strcmp(rooms[i], "outcome") == 0 ? 0 : 10));
        CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
        finish(client);
        /* Made only now: on its way to sleep its own sender could have met the first fault. From then on it has
         * nothing to do for a minute. */
        if (neighbour == NULL) neighbour = make_client("flush_interval_ms", "60000", NULL);
        check_neighbour(neighbour);
    }
    finish(neighbour);
}

static int calls;
static void count_reports(const phc_report *report, void *user_data) {
    (void)user_data;
    __atomic_add_fetch(&calls, (int)(phc_report_event_count(report) + phc_report_missed_events(report)),
                       __ATOMIC_SEQ_CST);
}

static void in_the_callback_thread(void) {
    phc_client *client = make_client("reports", "all", "flush_at", "1", "max_batch_events", "1", NULL);
    CHECK_EQ(phc_set_error_callback(client, count_reports, NULL, NULL), PHC_OK);
    phc_fault_arm("listener");
    for (int i = 0; i < 5; i++) capture(client, PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    double start = now_ms();
    /* One report is counted as missed in the next one. */
    while (__atomic_load_n(&calls, __ATOMIC_SEQ_CST) < 5 && now_ms() - start < 10000) usleep(500);
    CHECK_EQ(calls, 5);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(in_a_call_of_the_host), TEST(in_the_settings), TEST(in_the_start_of_the_thread),
        TEST(in_an_attempt),         TEST(in_the_sender),   TEST(in_the_callback_thread),
    };
    return RUN_TESTS(tests);
}
