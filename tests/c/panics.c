/*
 * A panic inside each module, on demand: the call returns PHC_INTERNAL, or it costs one attempt,
 * and never the host; events are accounted for; the client goes on, or captures return
 * PHC_INTERNAL; another client is not affected. Needs a library built with the feature
 * failpoints: `xtask panics`.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int32_t phc_failpoint_arm(const char *module);

static void arm(const char *module) {
    check_at(phc_failpoint_arm(module) == 1, __FILE__, __LINE__, "there is no failpoint %s", module);
}

static void capture_fails(phc_client *client) {
    CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_INTERNAL);
    CHECK(phc_last_error()[0] != '\0');
}

/* Another client of the process works. */
static void check_neighbour(phc_client *neighbour) {
    capture(neighbour, "a");
    CHECK_EQ(phc_flush(neighbour, 10000, NULL, 0), PHC_OK);
}

static void in_a_call_of_the_host(void) {
    /* Modules that only the calling thread enters: the event is not taken, and the next one is. */
    const char *modules[] = {"capi", "event", "queue", "client"};
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        phc_client *client = make_client(NULL, NULL);
        capture(client, "a");
        arm(modules[i]);
        capture_fails(client);
        CHECK_HAS(phc_last_error(), "internal error in libphc");
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.delivered, 2);
        CHECK_EQ(stats.refused_by_status[PHC_INTERNAL], strcmp(modules[i], "capi") == 0 ? 0 : 1);
        /* The event is consumed then, too: a leak checker would see it. */
        phc_event *event = phc_event_new("user", "a");
        arm(modules[i]);
        CHECK_EQ(phc_capture_event(client, event, NULL), PHC_INTERNAL);
        finish(client);
    }
}

static phc_client *open_by_name(const phc_config *config, phc_status *status) {
    return phc_client_open("panics", config, status);
}

static void in_the_settings(void) {
    phc_config *config = phc_config_new("key");
    arm("config");
    CHECK_EQ(phc_config_set(config, "flush_at", "5"), PHC_INTERNAL);
    CHECK_EQ(phc_config_set(config, "flush_at", "5"), PHC_OK);
    phc_client *(*const constructors[])(const phc_config *, phc_status *) = {phc_client_new, open_by_name};
    for (size_t i = 0; i < 2; i++) {
        phc_status status = PHC_OK;
        arm("capi");
        CHECK(constructors[i](config, &status) == NULL);
        CHECK_EQ(status, PHC_INTERNAL);
        phc_client *client = constructors[i](config, &status);
        CHECK(client != NULL);
        CHECK_EQ(status, PHC_OK);
        phc_client_free(client);
    }
    phc_config_free(config);
}

static void in_the_start_of_the_thread(void) {
    phc_client *client = make_client(NULL, NULL);
    arm("io_thread");
    capture_fails(client);
    CHECK_EQ(stats_of(client).captured, 0);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1);
    finish(client);
}

static void in_an_attempt(void) {
    /* It costs the attempt, which the server never sees, and the batch is sent again. */
    expect_violations();
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    capture(client, "a");
    arm("transport");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 1);
    CHECK_EQ(stats.requests, 2);
    finish(client);
}

static void in_the_send_loop(void) {
    /* Captures return PHC_INTERNAL from then on, and every event has ended. */
    const char *modules[] = {"send_loop", "batch", "protocol", "state", "report_queue"};
    phc_client *neighbour = NULL;
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        phc_client *client = make_client("flush_interval_ms", "60000", NULL);
        capture_n(client, 10);
        arm(modules[i]);
        phc_flush_result seen = {0};
        /* Where only the report fails, the events have been delivered. */
        int is_delivered = strcmp(modules[i], "report_queue") == 0;
        CHECK_EQ(phc_flush(client, 10000, &seen, sizeof seen), is_delivered ? PHC_OK : PHC_LOST_EVENTS);
        CHECK_EQ(seen.settled, 10);
        CHECK_EQ(seen.pending, 0);
        capture_fails(client);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.captured, 10);
        CHECK_EQ(stats.pending_events, 0);
        CHECK_EQ(stats.delivered, is_delivered ? 10 : 0);
        CHECK_EQ(stats.lost_by_reason[PHC_LOSS_INTERNAL], is_delivered ? 0 : 10);
        long long reported = 0;
        for (phc_report *report; (report = phc_poll(client, 0)) != NULL;) {
            reported += (long long)(phc_report_event_count(report) + phc_report_missed_events(report));
            phc_report_free(report);
        }
        /* What was settled before the panic may be in the report that the panic took. */
        CHECK(reported >= (is_delivered ? 0 : 10));
        CHECK_EQ(phc_client_close(client, 1000), is_delivered ? PHC_OK : PHC_LOST_EVENTS);
        finish(client);
        /* Made only now: on its way to sleep its own send loop could have met the first failpoint.
         * From then on it has nothing to do for a minute. */
        if (neighbour == NULL) neighbour = make_client("flush_interval_ms", "60000", NULL);
        check_neighbour(neighbour);
    }
    finish(neighbour);
}

static int reported;
static void count_reports(const phc_report *report, void *user_data) {
    (void)user_data;
    add_to(&reported, (int)(phc_report_event_count(report) + phc_report_missed_events(report)));
}

static void what_is_not_known_of_lost_events_reaches_the_error_callback(void) {
    /* The panic takes the batch, and so the uuids: there is a report of no event that says how many. */
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    reported = 0;
    CHECK_EQ(phc_set_error_callback(client, count_reports, NULL, NULL), PHC_OK);
    capture_n(client, 10);
    arm("state");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(reaches(&reported, 10), 10);
    finish(client);
}

static void in_the_callback_thread(void) {
    phc_client *client = make_client("flush_at", "1", "max_batch_events", "1", NULL);
    reported = 0;
    CHECK_EQ(phc_set_delivery_callback(client, count_reports, NULL, NULL), PHC_OK);
    arm("callback_thread");
    capture_n(client, 5);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    /* One report is counted as missed in the next one. */
    CHECK_EQ(reaches(&reported, 5), 5);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(in_a_call_of_the_host),
        TEST(in_the_settings),
        TEST(in_the_start_of_the_thread),
        TEST(in_an_attempt),
        TEST(in_the_send_loop),
        TEST(in_the_callback_thread),
        TEST(what_is_not_known_of_lost_events_reaches_the_error_callback),
    };
    return RUN_TESTS(tests);
}
