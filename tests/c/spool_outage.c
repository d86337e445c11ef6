/* Pending events on disk while the server takes none: outages, refusals, a full memory, and what is sent afterwards. */
#include "spooling.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const OUTAGES[] = {DOWN, "{\"then\":{\"close\":\"before_read\"}}",
                                      "{\"then\":{\"status\":504,\"accept\":false}}"};

static void an_outage_spends_no_retries_and_loses_nothing(void) {
    for (size_t i = 0; i < sizeof OUTAGES / sizeof OUTAGES[0]; i++) {
        folder = new_folder();
        script(OUTAGES[i]);
        sink_post("_clear", "{}");
        phc_client *client = SPOOLING("crash", "flush_at", "5", "max_batch_events", "5", NULL);
        capture_n(client, 50);
        wait_for("requests=40");
        AWAIT(client, spooled, 50);
        CHECK_EQ(stats_of(client).lost, 0);
        respond_now();
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, 50);
        CHECK_EQ(summary("accepted"), 50);
        finish(client);
        CHECK_EQ(segments(), 0);
    }
}

static void at_exit_an_outage_is_written(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("exit", "flush_at", "5", NULL);
    capture_n(client, 5);
    wait_for("accepted=5");
    await_segments(0);
    script(DOWN);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    CHECK_EQ(segments(), 1);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
    CHECK_EQ(segments(), 0);
}

static int refusals, errors;
static void note_refusal(phc_log_level level, const char *line, void *status) {
    if (level != PHC_LOG_ERROR) return;
    add_to(&errors, 1);
    if (strstr(line, status) != NULL && strstr(line, "nothing is lost") != NULL) add_to(&refusals, 1);
}

/* The key, the proxy, the address or the plan: what someone mends later. */
static void a_refusal_is_held_and_said_once(void) {
    const char *statuses[] = {"401", "403", "404", "407", "302"};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        folder = new_folder();
        char json[80];
        snprintf(json, sizeof json, "{\"then\":{\"status\":%s,\"accept\":false}}", statuses[i]);
        script(json);
        sink_post("_clear", "{}");
        refusals = errors = 0;
        phc_client *client = SPOOLING("crash", "flush_at", "2", "max_batch_events", "2", NULL);
        CHECK_EQ(phc_set_log_callback(client, note_refusal, (void *)(uintptr_t)statuses[i], NULL), PHC_OK);
        capture_n(client, 10);
        wait_for("requests=8");
        AWAIT(client, spooled, 10);
        CHECK_EQ(reaches(&refusals, 1), 1);
        CHECK_EQ(stats_of(client).lost, 0);
        CHECK_EQ(errors, 1);
        respond_now();
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, 10);
        finish(client);
        CHECK_EQ(refusals, 1);
        /* Without a spool these are final, which is a rule of the contract. */
        only_this_rule_is_broken("resent-after-refusal");
    }
}

static int has_room(void *client) { return phc_capture(client, "user", "a", NULL) != PHC_QUEUE_FULL; }

/* The queue bounds what is in memory: the events of an outage leave it. */
static void an_outage_may_be_larger_than_the_queue(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", "max_batch_events",
                                  "5", "overflow", "drop_newest", NULL);
    capture_n(client, 5);
    wait_for("requests=4");
    for (int i = 5; i < 1000; i++) CHECK(await(has_room, client));
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 1000);
    CHECK_EQ(stats.pending_events, 1000);
    CHECK_EQ(stats.lost, 0);
    AWAIT(client, spooled, 1000);
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    CHECK_EQ(summary("accepted"), 1000);
    finish(client);
    CHECK_EQ(segments(), 0);
}

static void a_blocked_capture_goes_on_when_events_have_left_memory(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", "max_batch_events",
                                  "5", "overflow", "block", "block_timeout_ms", "600000", NULL);
    capture_n(client, 5);
    wait_for("requests=4");
    capture_n(client, 995);
    CHECK_EQ(stats_of(client).pending_events, 1000);
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    finish(client);
}

/* Not for an attempt, of which there is none. */
static void a_blocked_capture_goes_on_as_soon_as_there_is_room(void) {
    const char *levels[] = {"crash", "call"};
    for (int i = 0; i < 2; i++) {
        folder = new_folder();
        script(DOWN);
        phc_client *client =
            SPOOLING(levels[i], "queue_max_events", "100", "flush_at", "5", "max_batch_events", "5",
                     "overflow", "block", "block_timeout_ms", "600000", "retry_initial_ms", "3600000",
                     "retry_max_ms", "3600000", "max_in_flight", "1", NULL);
        capture_n(client, 400);
        CHECK_EQ(stats_of(client).pending_events, 400);
        CHECK_EQ(phc_client_close(client, 0), PHC_OK);
        CHECK_EQ(stats_of(client).kept, 400);
        finish(client);
        next_delivers(400, (i + 1) * 401);
    }
    only_this_rule_is_broken(CUT_OFF);
}

static void a_queue_that_is_smaller_than_a_batch_leaves_memory_too(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", NULL);
    capture_n(client, 5);
    wait_for("requests=4");
    for (int i = 5; i < 300 && !has_failed(); i++) CHECK(await(has_room, client));
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 300);
    finish(client);
}

static void a_batch_that_grew_after_it_was_written_leaves_memory_whole(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", "max_batch_events",
                                  "5", "overflow", "block", "block_timeout_ms", "600000", NULL);
    capture(client, "a");
    AWAIT(client, spooled, 1);
    capture_n(client, 299);
    AWAIT(client, spooled, 300);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 300);
    CHECK_EQ(summary("accepted"), 300);
    finish(client);
}

static void what_has_left_memory_outlives_a_close(void) {
    folder = new_folder();
    /* The server has the fifth attempt and does not respond, so that it knows of each that was begun. */
    script(
        "{\"steps\":[{\"status\":503,\"times\":4},{\"status\":503,\"wait_for_script\":true,\"times\":0}]}");
    phc_client *client =
        SPOOLING("exit", "queue_max_events", "100", "flush_at", "5", "max_batch_events", "5", "max_in_flight",
                 "1", "request_timeout_ms", "120000", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 5);
    wait_for("requests=5");
    for (int i = 5; i < 400; i++) CHECK(await(has_room, client));
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 400);
    finish(client);
    next_delivers(400, 401);
}

/* Only the event that the server wants again is sent again: under the same request id, as its next attempt. */
static void verdicts_of_single_events_outlive_a_restart(void) {
    folder = new_folder();
    script(
        "{\"steps\":[{\"verdicts\":{\"again\":\"retry\",\"*\":\"ok\"}},{\"status\":503,\"wait_for_script\":true}]}");
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    uuid_text uuids[3];
    const char *events[3] = {"before", "again", "after"};
    for (int i = 0; i < 3; i++) capture_uuids(client, events[i], &uuids[i], 1);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    wait_for("requests=2");
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 2);
    CHECK_EQ(stats.kept, 1);
    finish(client);
    next_delivers(1, 4);
    char *requests = sink_get("_requests"), last[200];
    snprintf(last, sizeof last,
             "\"request_id\":\"%s\",\"attempt\":3,\"status\":200,\"event_count\":1,\"uuids\":[\"%s\"]",
             nth_string(requests, "request_id", 0), uuids[1]);
    CHECK_HAS(requests, last);
    free(requests);
}

/* Of a batch that was split, each half is sent once, whichever process sends it. */
static void a_split_outlives_a_restart(void) {
    folder = new_folder();
    script("{\"steps\":[{\"when\":{\"min_events\":3},\"status\":413,\"times\":0},"
           "{\"when\":{\"event\":\"first\"}},{\"status\":503,\"wait_for_script\":true,\"times\":0}]}");
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    uuid_text uuids[8];
    capture_uuids(client, "first", uuids, 1);
    capture_uuids(client, "other", uuids + 1, 7);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    /* 8, then 4 and 4, then four times 2, one of which is delivered. */
    wait_for("requests=7&accepted=2");
    AWAIT(client, delivered, 2);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 6);
    finish(client);
    next_delivers(6, 9);
    char *accepted = sink_get("_accepted");
    for (int i = 0; i < 8; i++) CHECK_HAS(accepted, uuids[i]);
    free(accepted);
}

static void what_was_left_is_sent_as_it_was_meant(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("exit", "historical_migration", "true", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 2);
    finish(client);
    next_delivers(2, 3);
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "\"historical_migration\":true"), 1);
    CHECK_EQ(count(requests, "\"historical_migration\":false"), 1);
    free(requests);
}

/* An event that the server wants again and again waits for longer when its retries are spent, and is not lost. */
static void spent_retries_lose_nothing(void) {
    folder = new_folder();
    script("{\"then\":{\"verdicts\":{\"again\":\"retry\",\"*\":\"ok\"}}}");
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "again");
    capture(client, "other");
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    wait_for("requests=4");
    AWAIT(client, delivered, 1);
    /* Others are sent meanwhile. */
    capture(client, "more");
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    AWAIT(client, delivered, 2);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost, 0);
    CHECK_EQ(stats.kept, 1);
    CHECK_EQ(stats.requests, 5);
    finish(client);
    CHECK_EQ(segments(), 1);
}

/* What the server refuses as such is lost as ever. */
static void what_the_server_does_not_want_is_lost(void) {
    folder = new_folder();
    const char *scripts[] = {"{\"then\":{\"verdicts\":[\"drop\"]}}", "{\"then\":{\"status\":400}}"};
    for (size_t i = 0; i < 2; i++) {
        script(scripts[i]);
        phc_client *client = SPOOLING("crash", NULL);
        capture_n(client, 2);
        AWAIT(client, spooled, 2);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        CHECK_EQ(stats_of(client).lost, 2);
        await_segments(0);
        finish(client);
    }
}

static void *flush_without_limit(void *client) {
    return (void *)(intptr_t)phc_flush(client, PHC_NO_LIMIT, NULL, 0);
}

static void a_close_that_leaves_events_ends_the_flushes_of_other_threads(void) {
    folder = new_folder();
    script("{\"then\":{\"status\":503,\"wait_for_script\":true}}");
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    capture_n(client, 3);
    pthread_t flusher;
    pthread_create(&flusher, NULL, flush_without_limit, client);
    wait_for("requests=1");
    CHECK_EQ(phc_client_close(client, 50), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 3);
    void *status;
    pthread_join(flusher, &status);
    CHECK_EQ((intptr_t)status, PHC_OK);
    finish(client);
    next_delivers(3, 4);
}

static void a_flush_does_not_wait_for_what_others_have_left(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_two), 0);
    script("{\"steps\":[{\"when\":{\"event\":\"event\"},\"wait_for_script\":true}]}");
    phc_client *client = SPOOLING("crash", "request_timeout_ms", "120000", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 2);
    wait_for("requests=1");
    phc_flush_result result = {0};
    CHECK_EQ(phc_flush(client, 20000, &result, sizeof result), PHC_OK);
    CHECK_EQ(result.settled, 1);
    CHECK_EQ(result.delivered, 1);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.pending_events, 2);
    CHECK_EQ(stats.delivered, 1);
    respond_now();
    AWAIT(client, delivered, 3);
    finish(client);
}

static void leave_one_with_spent_retries(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "again");
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    for (uint32_t attempt = 0; attempt < 4;) {
        phc_report *report = phc_poll(client, 20000);
        CHECK(report != NULL);
        attempt = report == NULL ? 4 : phc_report_attempt(report);
        phc_report_free(report);
    }
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 1);
    finish(client);
}

static void a_postponed_event_holds_up_no_other(void) {
    folder = new_folder();
    script("{\"then\":{\"verdicts\":{\"again\":\"retry\",\"*\":\"ok\"}}}");
    for (int i = 0; i < 3; i++) CHECK_EQ(in_process(leave_one_with_spent_retries), 0);
    CHECK_EQ(in_process(leave_two), 0);
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "own");
    AWAIT(client, delivered, 2);
    AWAIT(client, recovered, 5);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).lost, 0);
    CHECK_EQ(stats_of(client).kept, 4);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_outage_spends_no_retries_and_loses_nothing),
        TEST(at_exit_an_outage_is_written),
        TEST(a_refusal_is_held_and_said_once),
        TEST(an_outage_may_be_larger_than_the_queue),
        TEST(a_blocked_capture_goes_on_when_events_have_left_memory),
        TEST(a_blocked_capture_goes_on_as_soon_as_there_is_room),
        TEST(a_queue_that_is_smaller_than_a_batch_leaves_memory_too),
        TEST(a_batch_that_grew_after_it_was_written_leaves_memory_whole),
        TEST(what_has_left_memory_outlives_a_close),
        TEST(verdicts_of_single_events_outlive_a_restart),
        TEST(a_split_outlives_a_restart),
        TEST(what_was_left_is_sent_as_it_was_meant),
        TEST(spent_retries_lose_nothing),
        TEST(what_the_server_does_not_want_is_lost),
        TEST(a_close_that_leaves_events_ends_the_flushes_of_other_threads),
        TEST(a_flush_does_not_wait_for_what_others_have_left),
        TEST(a_postponed_event_holds_up_no_other),
    };
    return RUN_TESTS(tests);
}
