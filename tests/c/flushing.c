/* Flushes and closes: what they return, flushes that are waited for in slices, calls after the close. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALL_DROPPED "{\"then\":{\"verdicts\":[\"drop\"]}}"

static void a_flush_can_be_waited_for_in_slices(void) {
    script("{\"steps\":[{\"wait_for_script\":true}]}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture(client, "a");
    uint64_t flush = 0;
    double start = now_ms();
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
    CHECK(now_ms() - start < SOON_MS);
    CHECK(flush != 0);
    phc_flush_result seen;
    phc_status status;
    int slices = 0;
    while ((status = phc_flush_wait(client, flush, 20, &seen, sizeof seen)) == PHC_TIMEOUT) {
        CHECK_EQ(seen.pending, 1);
        if (++slices == 5) respond_now();
    }
    CHECK_EQ(status, PHC_OK);
    CHECK_EQ(seen.delivered, 1);
    CHECK_EQ(seen.pending, 0);
    CHECK(slices >= 5);
    /* It is over, and forgotten. */
    CHECK_EQ(phc_flush_wait(client, flush, 0, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_flush_end(client, flush), PHC_OK);
    finish(client);
}

static void a_begun_flush_sends_without_a_wait(void) {
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    capture(client, "a");
    uint64_t flush;
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
    CHECK_EQ(phc_flush_end(client, flush), PHC_OK);
    wait_for("accepted=1");
    CHECK_EQ(phc_flush_wait(client, flush, 1000, NULL, 0), PHC_INVALID_ARGUMENT);
    finish(client);
}

static void flushes_that_are_never_ended_are_bounded(void) {
    script("{\"then\":{\"wait_for_script\":true}}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture(client, "a");
    uint64_t flushes[101];
    for (int i = 0; i <= 100; i++) CHECK_EQ(phc_flush_begin(client, &flushes[i]), PHC_OK);
    respond_now();
    CHECK_EQ(phc_flush_wait(client, flushes[0], 0, NULL, 0), PHC_INVALID_ARGUMENT);
    for (int i = 1; i <= 100; i++) {
        phc_flush_result result = {0};
        CHECK_EQ(phc_flush_wait(client, flushes[i], 10000, &result, sizeof result), PHC_OK);
        CHECK_EQ(result.delivered, 1);
    }
    finish(client);
}

typedef struct {
    phc_client *client;
    phc_status status;
    phc_flush_result result;
} flushed;

static void *flush_without_limit(void *argument) {
    flushed *own = argument;
    own->status = phc_flush(own->client, PHC_NO_LIMIT, &own->result, sizeof own->result);
    return NULL;
}

static void check_lost(phc_status status, phc_flush_result result, unsigned lost) {
    CHECK_EQ(status, lost > 0 ? PHC_LOST_EVENTS : PHC_OK);
    CHECK_EQ(result.lost, lost);
    CHECK_EQ(result.settled, result.delivered + result.lost);
    CHECK_EQ(result.pending, 0);
}

static void all_flushes_over_one_lost_event_report_it(void) {
    script("{\"steps\":[{\"wait_for_script\":true,\"verdicts\":[\"drop\"]}]}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture(client, "a");
    flushed whole = {.client = client};
    pthread_t flusher;
    pthread_create(&flusher, NULL, flush_without_limit, &whole);
    wait_for("requests=1"); /* so that flush has begun; nothing else sends */
    uint64_t sliced[2];
    for (int i = 0; i < 2; i++) CHECK_EQ(phc_flush_begin(client, &sliced[i]), PHC_OK);
    respond_now();
    pthread_join(flusher, NULL);
    check_lost(whole.status, whole.result, 1);
    for (int i = 0; i < 2; i++) {
        phc_flush_result result = {0};
        phc_status status = phc_flush_wait(client, sliced[i], PHC_NO_LIMIT, &result, sizeof result);
        check_lost(status, result, 1);
    }
    finish(client);
}

static void a_flush_does_not_report_earlier_losses(void) {
    script("{\"steps\":[{\"verdicts\":[\"drop\"]},{},{\"verdicts\":[\"drop\"]},{}]}");
    phc_client *client = make_client(NULL, NULL);
    phc_flush_result result;
    for (unsigned round = 0; round < 2; round++) {
        capture(client, "lost");
        check_lost(phc_flush(client, 10000, &result, sizeof result), result, 1);
        /* Nor does one that has nothing to do. */
        check_lost(phc_flush(client, 10000, &result, sizeof result), result, 0);
        capture(client, "delivered");
        uint64_t flush;
        CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
        check_lost(phc_flush_wait(client, flush, 10000, &result, sizeof result), result, 0);
        CHECK_EQ(result.delivered, 1);
    }
    CHECK_EQ(phc_client_close(client, 10000), PHC_LOST_EVENTS);
    finish(client);
}

static int has_lost(void *client) { return stats_of(client).lost > 0; }

static void a_flush_does_not_report_losses_of_later_events(void) {
    script("{\"steps\":[{\"when\":{\"event\":\"before\"},\"wait_for_script\":true},"
           "{\"when\":{\"event\":\"after\"},\"verdicts\":[\"drop\"]}]}");
    phc_client *client = make_client("flush_at", "1", "request_timeout_ms", "120000", NULL);
    capture(client, "before");
    wait_for("requests=1");
    uint64_t flush;
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
    capture(client, "after");
    CHECK(await(has_lost, client));
    respond_now();
    phc_flush_result result = {0};
    check_lost(phc_flush_wait(client, flush, 20000, &result, sizeof result), result, 0);
    CHECK_EQ(result.delivered, 1);
    CHECK_EQ(phc_client_close(client, 10000), PHC_LOST_EVENTS);
    finish(client);
}

/* Each returns once its events are settled, but for those that the close is to settle. */
static void lose_by_verdict(phc_client *client) {
    script(ALL_DROPPED);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    respond_now();
    capture(client, "b");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
}

static void lose_without_a_waiting_flush(phc_client *client) {
    script(ALL_DROPPED);
    capture(client, "a");
    uint64_t flush;
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_OK);
    CHECK_EQ(phc_flush_end(client, flush), PHC_OK);
    CHECK(await(has_lost, client));
    respond_now();
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
}

static void lose_during_the_close(phc_client *client) {
    script(ALL_DROPPED);
    capture(client, "a");
}

static void lose_by_eviction(phc_client *client) {
    capture_n(client, 4);
    CHECK_EQ(stats_of(client).lost_by_reason[PHC_LOSS_EVICTED], 1);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
}

static void deliver_all(phc_client *client) {
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    capture(client, "b");
}

static void capture_nothing(phc_client *client) {
    /* An event that is refused is not lost. */
    CHECK_EQ(phc_capture(client, "user", "", NULL), PHC_INVALID_EVENT);
}

static void close_reports_a_loss_at_any_time(void) {
    const struct {
        void (*before)(phc_client *client);
        phc_status status;
    } table[] = {
        {lose_by_verdict, PHC_LOST_EVENTS},
        {lose_without_a_waiting_flush, PHC_LOST_EVENTS},
        {lose_during_the_close, PHC_LOST_EVENTS},
        {lose_by_eviction, PHC_LOST_EVENTS},
        {deliver_all, PHC_OK},
        {capture_nothing, PHC_OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        respond_now();
        phc_client *client = make_client("overflow", "drop_oldest", "queue_max_events", "3", NULL);
        table[i].before(client);
        phc_status status = phc_client_close(client, 10000);
        check_at(status == table[i].status, __FILE__, __LINE__, "row %zu: the close returned %s", i,
                 phc_status_name(status));
        CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
        CHECK_EQ(stats_of(client).lost > 0, status == PHC_LOST_EVENTS);
        finish(client);
    }
}

static void after_the_close(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    uint64_t flush = 7;
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "b", NULL), PHC_CLOSED);
    CHECK_EQ(phc_identify(client, "user", NULL, NULL, NULL), PHC_CLOSED);
    CHECK_EQ(phc_flush(client, PHC_NO_LIMIT, NULL, 0), PHC_CLOSED);
    CHECK_EQ(phc_flush_begin(client, &flush), PHC_CLOSED);
    CHECK_EQ(flush, 0);
    CHECK(phc_poll_fd(client) >= 0);
    phc_report *report = phc_poll(client, PHC_NO_LIMIT);
    CHECK(report != NULL);
    phc_report_free(report);
    CHECK(phc_poll(client, PHC_NO_LIMIT) == NULL);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 1);
    CHECK_EQ(stats.refused_by_status[PHC_CLOSED], 2);
    finish(client);
}

static void a_close_ends_the_flushes_of_other_threads(void) {
    script("{\"then\":{\"never\":true}}");
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    flushed own = {.client = client};
    pthread_t flusher;
    pthread_create(&flusher, NULL, flush_without_limit, &own);
    wait_for("requests=1"); /* so the flush has begun; nothing else sends */
    uint64_t sliced;
    CHECK_EQ(phc_flush_begin(client, &sliced), PHC_OK);
    CHECK_EQ(phc_client_close(client, 50), PHC_LOST_EVENTS);
    pthread_join(flusher, NULL);
    check_lost(own.status, own.result, 1);
    phc_flush_result result = {0};
    phc_status status = phc_flush_wait(client, sliced, PHC_NO_LIMIT, &result, sizeof result);
    check_lost(status, result, 1);
    CHECK_EQ(stats_of(client).maybe_delivered, 1);
    finish(client);
}

static void *capture_until_closed(void *client) {
    long long taken = 0;
    phc_status status;
    while ((status = phc_capture(client, "user", "a", NULL)) != PHC_CLOSED) {
        taken += status == PHC_OK;
        if (status == PHC_QUEUE_FULL) sched_yield();
    }
    return (void *)(intptr_t)taken;
}

static void captures_and_a_close_at_once(void) {
    for (int round = 0; round < (getenv("PHC_WRAP") == NULL ? 20 : 3); round++) {
        /* However long this thread waits for its turn, the close has few events to send. */
        phc_client *client = make_client("queue_max_events", "2000", "reports", "losses", NULL);
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, capture_until_closed, client);
        while (stats_of(client).captured < (unsigned)round * 10) continue;
        phc_status status = phc_client_close(client, 20000);
        CHECK_EQ(status, PHC_OK);
        long long taken = 0;
        for (int i = 0; i < 4; i++) {
            void *own;
            pthread_join(threads[i], &own);
            taken += (intptr_t)own;
        }
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.captured, taken);
        CHECK_EQ(stats.delivered, taken);
        /* The others: the close refused one on each thread, and the queue may have been full before. */
        CHECK_EQ(stats.refused_by_status[PHC_CLOSED], 4);
        CHECK_EQ(stats.refused,
                 stats.refused_by_status[PHC_CLOSED] + stats.refused_by_status[PHC_QUEUE_FULL]);
        finish(client);
    }
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_flush_can_be_waited_for_in_slices),       TEST(a_begun_flush_sends_without_a_wait),
        TEST(flushes_that_are_never_ended_are_bounded),  TEST(all_flushes_over_one_lost_event_report_it),
        TEST(a_flush_does_not_report_earlier_losses),    TEST(a_flush_does_not_report_losses_of_later_events),
        TEST(close_reports_a_loss_at_any_time),          TEST(after_the_close),
        TEST(a_close_ends_the_flushes_of_other_threads), TEST(captures_and_a_close_at_once),
    };
    return RUN_TESTS(tests);
}
