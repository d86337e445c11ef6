/*
 * Everything at once on one client, for the race detectors: eight threads that
 * capture, beside flushes, polls, samples, settings and callbacks that change,
 * and a close in the middle.
 *
 * PHC_CROWD_EVENTS (500) is what each thread captures at most.
 */
#include "harness.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAPTURERS 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long long reported, asked;

static void count_report(const phc_report *report, void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&lock);
    reported += (long long)phc_report_event_count(report);
    pthread_mutex_unlock(&lock);
}

static void *capture_many(void *client) {
    const char *each = getenv("PHC_CROWD_EVENTS");
    long long taken = 0, wanted = each == NULL ? 500 : atoll(each);
    for (long long i = 0; i < wanted; i++) {
        phc_status status = phc_capture(client, "user", "crowd", "{\"n\":1}");
        if (status == PHC_CLOSED) break;
        CHECK(status == PHC_OK || status == PHC_QUEUE_FULL);
        taken += status == PHC_OK;
    }
    return (void *)(intptr_t)taken;
}

static void *flush(void *client) {
    while (phc_flush(client, 50, NULL, 0) != PHC_CLOSED) usleep(500);
    return NULL;
}

static void *poll_reports(void *client) {
    phc_report *report;
    phc_stats stats;
    do {
        report = phc_poll(client, 20);
        if (report != NULL) count_report(report, NULL);
        phc_report_free(report);
        phc_stats_get(client, &stats, sizeof stats);
        CHECK_EQ(stats.captured, stats.delivered + stats.lost + stats.pending_events);
    } while (report != NULL || phc_flush(client, 0, NULL, 0) != PHC_CLOSED);
    return NULL;
}

static void read_line(phc_log_level level, const char *message, void *user_data) {
    (void)user_data;
    CHECK(level >= PHC_LOG_ERROR && message[0] != '\0');
}

static void *change(void *client) {
    for (int i = 0; phc_flush(client, 0, NULL, 0) != PHC_CLOSED; i++) {
        phc_set_error_callback(client, i % 4 == 0 ? count_report : NULL, NULL, NULL);
        phc_set_delivery_callback(client, i % 3 == 0 ? count_report : NULL, NULL, NULL);
        phc_set_log_callback(client, i % 2 == 0 ? read_line : NULL, NULL, NULL);
        phc_register(client, i % 2 == 0 ? "a" : "b", "true");
        phc_unregister(client, i % 2 == 0 ? "b" : "a");
        (void)phc_poll_fd(client);
        usleep(1000);
    }
    phc_set_error_callback(client, NULL, NULL, NULL);
    phc_set_delivery_callback(client, NULL, NULL, NULL);
    return NULL;
}

/* Returns how many events were taken. */
static long long crowd(phc_client *client, unsigned close_after_us) {
    void *(*const others[])(void *) = {flush, flush, poll_reports, change};
    pthread_t capturers[CAPTURERS], rest[4];
    for (int i = 0; i < CAPTURERS; i++) pthread_create(&capturers[i], NULL, capture_many, client);
    for (int i = 0; i < 4; i++) pthread_create(&rest[i], NULL, others[i], client);
    long long taken = 0;
    if (close_after_us > 0) {
        usleep(close_after_us);
        phc_client_close(client, 20);
    }
    for (int i = 0; i < CAPTURERS; i++) {
        void *own;
        pthread_join(capturers[i], &own);
        taken += (intptr_t)own;
    }
    phc_client_close(client, 20000);
    for (int i = 0; i < 4; i++) pthread_join(rest[i], NULL);
    return taken;
}

static void eight_capture_while_others_flush_poll_and_change(void) {
    reported = 0;
    phc_client *client = make_client("flush_at", "20", "max_batch_events", "50", "log_level", "debug", NULL);
    long long taken = crowd(client, 0);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, taken);
    CHECK_EQ(stats.delivered, taken);
    free(reports_of(client));
    finish(client);
    CHECK(reported <= taken);
}

static void a_close_in_the_middle(void) {
    for (unsigned round = 1; round <= 5; round++) {
        set_chaos("{\"seed\":7,\"status503\":0.2,\"retry\":0.2,\"drop\":0.1}");
        phc_client *client = make_client("flush_at", "10", "max_batch_events", "20", "overflow",
                                         "drop_oldest", "queue_max_events", "200", NULL);
        long long taken = crowd(client, round * 4000);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.captured, taken);
        CHECK_EQ(stats.pending_events, 0);
        finish(client);
    }
}

static int32_t read_and_keep(phc_outgoing *event, void *user_data) {
    (void)user_data;
    size_t length;
    const char *json = phc_outgoing_json(event, &length);
    pthread_mutex_lock(&lock);
    asked += json[length - 1] == '}';
    pthread_mutex_unlock(&lock);
    return PHC_BEFORE_SEND_KEEP;
}

static void eight_threads_run_before_send(void) {
    asked = 0;
    phc_client *client = make_client(NULL, NULL);
    phc_set_before_send_callback(client, read_and_keep, NULL, NULL);
    CHECK_EQ(crowd(client, 0), asked);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(eight_capture_while_others_flush_poll_and_change),
        TEST(a_close_in_the_middle),
        TEST(eight_threads_run_before_send),
    };
    return RUN_TESTS(tests);
}
