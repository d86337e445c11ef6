/* Flushes in two steps, losses told by the next flush, calls after the close. */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void capture(phc_client *client, const char *name) {
    CHECK_EQ(phc_capture(client, "user", name, NULL), PHC_OK);
}

static void a_flush_can_be_waited_for_in_slices(void) {
    script("{\"steps\":[{\"hold\":true}]}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture(client, "a");
    uint64_t ticket = 0;
    double start = now_ms();
    CHECK_EQ(phc_flush_begin(client, &ticket), PHC_OK);
    CHECK(now_ms() - start < SOON_MS);
    CHECK(ticket != 0);
    phc_flush_result seen;
    phc_status status;
    int slices = 0;
    while ((status = phc_flush_wait(client, ticket, 20, &seen, sizeof seen)) == PHC_TIMEOUT) {
        CHECK_EQ(seen.pending, 1);
        if (++slices == 5) answer_now();
    }
    CHECK_EQ(status, PHC_OK);
    CHECK_EQ(seen.delivered, 1);
    CHECK_EQ(seen.pending, 0);
    CHECK(slices >= 5);
    /* It is over, and forgotten. */
    CHECK_EQ(phc_flush_wait(client, ticket, 0, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_flush_end(client, ticket), PHC_OK);
    finish(client);
}

static void a_begun_flush_sends_without_a_wait(void) {
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    capture(client, "a");
    uint64_t ticket;
    CHECK_EQ(phc_flush_begin(client, &ticket), PHC_OK);
    CHECK_EQ(phc_flush_end(client, ticket), PHC_OK);
    wait_for("accepted=1");
    CHECK_EQ(phc_flush_wait(client, ticket, 1000, NULL, 0), PHC_INVALID_ARGUMENT);
    finish(client);
}

static void flushes_that_nobody_ends_are_bounded(void) {
    script("{\"then\":{\"delay_ms\":300}}");
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    uint64_t first, ticket;
    CHECK_EQ(phc_flush_begin(client, &first), PHC_OK);
    for (int i = 0; i < 100; i++) CHECK_EQ(phc_flush_begin(client, &ticket), PHC_OK);
    CHECK_EQ(phc_flush_wait(client, first, 0, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_flush_wait(client, ticket, 10000, NULL, 0), PHC_OK);
    finish(client);
}

static void a_loss_is_told_once_by_flush_or_close(void) {
    script("{\"steps\":[{\"verdicts\":[\"drop\"]},{},{\"verdicts\":[\"drop\"]}]}");
    phc_client *client = make_client(NULL, NULL);
    phc_flush_result seen;
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, &seen, sizeof seen), PHC_LOST_EVENTS);
    CHECK_EQ(seen.lost, 1);
    capture(client, "b");
    CHECK_EQ(phc_flush(client, 10000, &seen, sizeof seen), PHC_OK);
    CHECK_EQ(seen.lost, 0);
    capture(client, "c");
    CHECK_EQ(phc_client_close(client, 10000), PHC_LOST_EVENTS);
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    finish(client);
}

static void after_the_close(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    uint64_t ticket;
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "b", NULL), PHC_CLOSED);
    CHECK_EQ(phc_identify(client, "user", NULL, NULL), PHC_CLOSED);
    CHECK_EQ(phc_flush(client, PHC_NO_LIMIT, NULL, 0), PHC_CLOSED);
    CHECK_EQ(phc_flush_begin(client, &ticket), PHC_CLOSED);
    CHECK(phc_poll_fd(client) >= 0);
    phc_report *report = phc_poll(client, PHC_NO_LIMIT);
    CHECK(report != NULL);
    phc_report_free(report);
    CHECK(phc_poll(client, PHC_NO_LIMIT) == NULL);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 1);
    CHECK_EQ(stats.refused, 2);
    finish(client);
}

static void *flush_without_limit(void *client) {
    return (void *)(intptr_t)phc_flush(client, PHC_NO_LIMIT, NULL, 0);
}

static void a_close_ends_the_flushes_of_others(void) {
    script("{\"then\":{\"never\":true}}");
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    pthread_t flusher;
    pthread_create(&flusher, NULL, flush_without_limit, client);
    wait_for("requests=1");
    CHECK_EQ(phc_client_close(client, 50), PHC_LOST_EVENTS);
    void *status;
    pthread_join(flusher, &status);
    CHECK((intptr_t)status == PHC_LOST_EVENTS || (intptr_t)status == PHC_OK);
    CHECK_EQ(stats_of(client).maybe_delivered, 1);
    finish(client);
}

static void *capture_until_closed(void *client) {
    long long taken = 0;
    while (phc_capture(client, "user", "a", NULL) != PHC_CLOSED) taken++;
    return (void *)taken;
}

static void captures_and_a_close_at_once(void) {
    for (int round = 0; round < (getenv("PHC_WRAP") == NULL ? 20 : 3); round++) {
        phc_client *client = make_client("queue_max_events", "10000000", NULL);
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, capture_until_closed, client);
        usleep(1000);
        phc_status status = phc_client_close(client, 20000);
        CHECK_EQ(status, PHC_OK);
        long long taken = 0;
        for (int i = 0; i < 4; i++) {
            void *own;
            pthread_join(threads[i], &own);
            taken += (long long)own;
        }
        phc_stats stats = stats_of(client);
        CHECK(stats.captured <= (unsigned long long)taken + 4);
        CHECK_EQ(stats.delivered, stats.captured);
        finish(client);
    }
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_flush_can_be_waited_for_in_slices),
        TEST(a_begun_flush_sends_without_a_wait),
        TEST(flushes_that_nobody_ends_are_bounded),
        TEST(a_loss_is_told_once_by_flush_or_close),
        TEST(after_the_close),
        TEST(a_close_ends_the_flushes_of_others),
        TEST(captures_and_a_close_at_once),
    };
    return RUN_TESTS(tests);
}
