/* Pending events on disk: what outlives the end of a client and of a process. */
#include "spooling.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The nth wire text of an event that the sink received; its length goes into len. */
static const char *wire_text(const char *events, const char *uuid, size_t n, size_t *len) {
    char begin[64];
    snprintf(begin, sizeof begin, "{\"uuid\":\"%s\",\"request\":", uuid);
    const char *at = events;
    for (size_t i = 0; (at = strstr(at, begin)) != NULL; i++, at += strlen(begin)) {
        if (i < n) continue;
        const char *wire = strstr(at, "\"event\":{"), *end = strstr(at, "},{\"uuid\":\"");
        *len = end == NULL ? strlen(wire) - 2 : (size_t)(end - wire);
        return wire;
    }
    *len = 0;
    return "";
}

static void a_close_leaves_what_the_next_client_delivers(void) {
    folder = new_folder();
    script(HOLDS_THE_THIRD);
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    uuid_text uuids[5];
    capture_uuids(client, "left", uuids, 5);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    wait_for("requests=3");
    /* It is not an error: nothing is lost. */
    CHECK_EQ(phc_client_close(client, 100), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 5);
    CHECK_EQ(stats.kept, 5);
    CHECK_EQ(stats.pending_events, 0);
    finish(client);
    CHECK_EQ(segments(), 1);
    next_delivers(5, 6);
    char *accepted = sink_get("_accepted"), *events = sink_get("_events");
    for (size_t i = 0; i < 5; i++) {
        CHECK_HAS(accepted, uuids[i]);
        size_t first_len, last_len, sent = 0;
        const char *first = wire_text(events, uuids[i], 0, &first_len), *last = first;
        for (size_t len; *wire_text(events, uuids[i], sent, &len) != '\0'; sent++)
            last = wire_text(events, uuids[i], sent, &last_len);
        CHECK(sent >= 2);
        CHECK_EQ(last_len, first_len);
        CHECK(memcmp(first, last, first_len) == 0);
    }
    free(accepted);
    free(events);
}

static void without_time_a_close_writes_and_goes(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 5);
    CHECK_EQ(segments(), 0);
    double start = now_ms();
    finish(client);
    CHECK(now_ms() - start < SOON_MS);
    CHECK_EQ(summary("requests"), 0);
    CHECK_EQ(segments(), 1);
    next_delivers(5, 6);
}

/* Released twice: when before_send runs, and when it may go on. */
static sem_t in_before_send, may_go_on;

static int32_t wait_in_before_send(phc_outgoing *event, void *user_data) {
    (void)event;
    (void)user_data;
    sem_post(&in_before_send);
    while (sem_wait(&may_go_on) != 0) continue;
    return PHC_BEFORE_SEND_KEEP;
}

static void *capture_once(void *client) {
    CHECK_EQ(phc_capture(client, "user", "late", NULL), PHC_CLOSED);
    return NULL;
}

/* The capture has begun before the close and has not started any thread yet. */
static void a_close_during_the_first_capture(void) {
    folder = new_folder();
    sem_init(&in_before_send, 0, 0);
    sem_init(&may_go_on, 0, 0);
    phc_client *client = SPOOLING("crash", NULL);
    CHECK_EQ(phc_set_before_send_callback(client, wait_in_before_send, NULL, NULL), PHC_OK);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, capture_once, client), 0);
    while (sem_wait(&in_before_send) != 0) continue;
    CHECK_EQ(phc_client_close(client, 20000), PHC_OK);
    sem_post(&may_go_on);
    pthread_join(thread, NULL);
    CHECK_EQ(thread_count("phc-"), 0);
    /* It would wait for a thread that no close has ended. */
    phc_client_free(client);
    CHECK_EQ(segments(), 0);
    sem_destroy(&in_before_send);
    sem_destroy(&may_go_on);
}

static void exit_with_pending_events(void) {
    phc_client *client = SPOOLING("exit", NULL);
    capture_n(client, 5);
    CHECK_EQ(segments(), 0);
    exit(has_failed());
}

static void end_with_pending_events(void) {
    phc_client *client = SPOOLING("exit", NULL);
    capture_n(client, 3);
    _exit(has_failed());
}

static void an_exit_writes_what_is_pending(void) {
    folder = new_folder();
    CHECK_EQ(in_process(exit_with_pending_events), 0);
    CHECK_EQ(segments(), 1);
    /* Which `exit` does not promise of other ends. */
    CHECK_EQ(in_process(end_with_pending_events), 0);
    CHECK_EQ(segments(), 1);
    CHECK_EQ(summary("requests"), 0);
    next_delivers(5, 6);
}

static void exit_while_sending(void) {
    phc_client *client = SPOOLING("exit", "exit_flush_ms", "20000", NULL);
    capture_n(client, 5);
    exit(has_failed());
}

static void what_an_exit_still_delivers_is_not_left(void) {
    folder = new_folder();
    CHECK_EQ(in_process(exit_while_sending), 0);
    CHECK_EQ(summary("accepted"), 5);
    next_delivers(0, 6);
}

/* The file of a segment stays until all of its events have ended: what was delivered is not sent again. */
static void nothing_is_left_of_what_was_delivered(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("crash", NULL);
    for (int round = 0; round < 3; round++) {
        capture_n(client, 20);
        AWAIT(client, spooled, 20);
        CHECK(segments() > 0);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        await_segments(0);
        CHECK_EQ(stats_of(client).spooled, 0);
    }
    finish(client);
    CHECK_EQ(summary("accepted"), 60);
}

static void be_killed_when_all_is_on_disk(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture_n(client, 10);
    AWAIT(client, spooled, 10);
    capture_n(client, 10);
    AWAIT(client, spooled, 20);
    if (!has_failed()) kill_itself();
}

static void at_crash_a_kill_loses_nothing_that_is_on_disk(void) {
    folder = new_folder();
    killed(in_process(be_killed_when_all_is_on_disk));
    killed(in_process(be_killed_when_all_is_on_disk));
    CHECK_EQ(summary("requests"), 0);
    next_delivers(40, 41);
}

/* A kill between a response and what is written of it costs a second attempt, which breaks a rule. */
static void send_until_killed(void) {
    phc_client *client = SPOOLING("crash", "flush_at", "5", "max_batch_events", "5", "spool_adopt", "false",
                                  "request_timeout_ms", "120000", NULL);
    capture_n(client, 30);
    AWAIT(client, spooled, 30);
    AWAIT(client, requests, 4);
    if (!has_failed()) kill_itself();
}

static void a_kill_while_requests_are_open_loses_nothing(void) {
    folder = new_folder();
    expect_violations();
    for (int i = 0; i < 4; i++) {
        script("{\"then\":{\"wait_for_script\":true}}");
        killed(in_process(send_until_killed));
    }
    next_delivers(120, 121);
}

static void take_over_and_be_killed(void) {
    phc_client *client = SPOOLING("exit", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 10);
    if (!has_failed()) kill_itself();
}

static void what_was_taken_over_outlives_another_kill(void) {
    folder = new_folder();
    script("{\"then\":{\"wait_for_script\":true}}");
    expect_violations(); /* it is not known whether the attempts of the killed have arrived */
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 10);
    finish(client);
    for (int i = 0; i < 2; i++) killed(in_process(take_over_and_be_killed));
    next_delivers(10, 11);
}

static void persist_and_be_killed(void) {
    phc_client *client = SPOOLING("power", "spool_write_ms", "3600000", NULL);
    capture_n(client, 5);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 5);
    if (!has_failed()) kill_itself();
}

static void what_was_persisted_outlives_a_kill(void) {
    folder = new_folder();
    killed(in_process(persist_and_be_killed));
    next_delivers(5, 6);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_close_leaves_what_the_next_client_delivers),
        TEST(without_time_a_close_writes_and_goes),
        TEST(a_close_during_the_first_capture),
        TEST(an_exit_writes_what_is_pending),
        TEST(what_an_exit_still_delivers_is_not_left),
        TEST(nothing_is_left_of_what_was_delivered),
        TEST(at_crash_a_kill_loses_nothing_that_is_on_disk),
        TEST(a_kill_while_requests_are_open_loses_nothing),
        TEST(what_was_taken_over_outlives_another_kill),
        TEST(what_was_persisted_outlives_a_kill),
    };
    return RUN_TESTS(tests);
}
