/* What a host is told: by callback, by poll, by a descriptor, by a log. */
#include "harness.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void capture(phc_client *client, const char *name) {
    CHECK_EQ(phc_capture(client, "user", name, NULL), PHC_OK);
}

static void a_report_says_all_of_a_loss(void) {
    script(
        "{\"steps\":[{\"verdicts\":{\"a\":{\"result\":\"drop\",\"details\":\"no such project\"},\"b\":\"ok\"}}]}");
    phc_client *client = make_client("reports", "losses", NULL);
    capture(client, "a");
    capture(client, "b");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    phc_report *report = phc_poll(client, 10000);
    CHECK(report != NULL);
    CHECK_EQ(strlen(phc_report_request_id(report)), 36);
    CHECK_EQ(phc_report_attempt(report), 1);
    CHECK_EQ(phc_report_status(report), 200);
    CHECK_EQ(phc_report_pending(report), 0);
    CHECK_EQ(phc_report_event_count(report), 1);
    phc_event_report event;
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event), PHC_OK);
    CHECK_EQ(event.loss, PHC_LOSS_DROPPED);
    CHECK(strcmp(event.verdict, "drop") == 0);
    CHECK(strcmp(event.details, "no such project") == 0);
    CHECK(strcmp(phc_loss_name(event.loss), "dropped") == 0);
    CHECK_HAS(phc_report_json(report), "\"ending\":\"dropped\"");
    char *requests = sink_get("_requests");
    CHECK_HAS(requests, phc_report_request_id(report));
    free(requests);
    phc_report_free(report);
    CHECK(phc_poll(client, 0) == NULL);
    finish(client);
}

static void successes_are_told_when_asked_for(void) {
    phc_client *client = make_client("reports", "all", NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_report *report = phc_poll(client, 10000);
    phc_event_report event;
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event), PHC_OK);
    CHECK_EQ(event.loss, PHC_LOSS_NONE);
    CHECK_EQ(phc_report_event(report, 1, &event, sizeof event), PHC_INVALID_ARGUMENT);
    phc_report_free(report);
    finish(client);
}

static void a_poll_waits_no_longer_than_it_may(void) {
    phc_client *client = make_client(NULL, NULL);
    double start = now_ms();
    CHECK(phc_poll(client, 100) == NULL);
    double took = now_ms() - start;
    CHECK(took >= 99 && took < SOON_MS);
    finish(client);
}

static void *poll_without_limit(void *client) {
    long long reports = 0;
    for (phc_report *report; (report = phc_poll(client, PHC_NO_LIMIT)) != NULL; reports++)
        phc_report_free(report);
    return (void *)reports;
}

static void a_close_ends_a_poll_when_all_is_told(void) {
    phc_client *client = make_client("flush_at", "1", "max_batch_events", "1", NULL);
    pthread_t poller;
    pthread_create(&poller, NULL, poll_without_limit, client);
    for (int i = 0; i < 50; i++) capture(client, "a");
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    void *reports;
    pthread_join(poller, &reports);
    CHECK_EQ((long long)reports, 50);
    finish(client);
}

static int readable(int fd, int timeout_ms) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    return poll(&wanted, 1, timeout_ms) == 1;
}

static void a_descriptor_is_readable_while_reports_wait(void) {
    phc_client *client = make_client("reports", "all", NULL);
    int fd = phc_poll_fd(client);
    CHECK(fd >= 0);
    CHECK_EQ(phc_poll_fd(client), fd);
    CHECK(!readable(fd, 0));
    for (int round = 0; round < 3; round++) {
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        CHECK(readable(fd, 5000));
        phc_report *report = phc_poll(client, 0);
        CHECK(report != NULL);
        phc_report_free(report);
        CHECK(phc_poll(client, 0) == NULL);
        CHECK(!readable(fd, 0));
    }
    finish(client);
}

static int calls;
static void count_reports(const phc_report *report, void *user_data) {
    (void)user_data;
    __atomic_add_fetch(&calls, (int)phc_report_event_count(report), __ATOMIC_SEQ_CST);
}

static int calls_become(int wanted) {
    double start = now_ms();
    while (__atomic_load_n(&calls, __ATOMIC_SEQ_CST) < wanted && now_ms() - start < 10000) usleep(500);
    return __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
}

static void a_callback_has_the_reports_and_a_poller_none(void) {
    phc_client *client = make_client("reports", "all", NULL);
    int fd = phc_poll_fd(client);
    calls = 0;
    CHECK_EQ(phc_set_error_callback(client, count_reports, NULL, NULL), PHC_OK);
    for (int i = 1; i <= 10; i++) {
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        CHECK(phc_poll(client, 0) == NULL);
        CHECK(!readable(fd, 0));
    }
    CHECK_EQ(calls_become(10), 10);
    /* Without it they are the poller's again. */
    CHECK_EQ(phc_set_error_callback(client, NULL, NULL, NULL), PHC_OK);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK(readable(fd, 5000));
    phc_report *report = phc_poll(client, 0);
    CHECK(report != NULL);
    phc_report_free(report);
    CHECK_EQ(calls, 10);
    finish(client);
}

static void ignore(const phc_report *report, void *user_data) {
    __atomic_add_fetch((int *)user_data, (int)phc_report_event_count(report), __ATOMIC_SEQ_CST);
}

static void a_callback_that_comes_and_goes_costs_no_report(void) {
    phc_client *client = make_client("reports", "all", "flush_at", "1", "max_batch_events", "1", NULL);
    int told = 0;
    for (int i = 0; i < 3000; i++) capture(client, "a");
    for (int i = 0; stats_of(client).pending_events > 0; i++) {
        CHECK_EQ(phc_set_error_callback(client, i % 2 ? ignore : NULL, &told, NULL), PHC_OK);
    }
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_set_error_callback(client, NULL, NULL, NULL), PHC_OK);
    for (phc_report *report; (report = phc_poll(client, 0)) != NULL; phc_report_free(report))
        ignore(report, &told);
    CHECK_EQ(told, 3000);
    finish(client);
}

static volatile int slow;
static void wait_in_callback(const phc_report *report, void *user_data) {
    while (slow) usleep(1000);
    count_reports(report, user_data);
}

static void a_slow_callback_delays_no_delivery(void) {
    phc_client *client = make_client("reports", "all", "flush_at", "1", NULL);
    calls = 0;
    slow = 1;
    CHECK_EQ(phc_set_error_callback(client, wait_in_callback, NULL, NULL), PHC_OK);
    for (int i = 0; i < 20; i++) {
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    }
    CHECK_EQ(summary("accepted"), 20);
    CHECK_EQ(calls, 0);
    slow = 0;
    CHECK_EQ(calls_become(20), 20);
    finish(client);
}

static void what_nobody_fetches_is_counted(void) {
    /* The bound is 10,000 reports. */
    phc_client *client = make_client("reports", "all", "flush_at", "1", "max_batch_events", "1", NULL);
    const long long captures = 10100;
    for (long long i = 0; i < captures; i++) capture(client, "a");
    CHECK_EQ(phc_flush(client, 50000, NULL, 0), PHC_OK);
    long long told = 0, missed = 0;
    for (phc_report *report; (report = phc_poll(client, 0)) != NULL;) {
        told += (long long)phc_report_event_count(report);
        missed += (long long)phc_report_missed_events(report);
        phc_report_free(report);
    }
    CHECK_EQ(missed, 100);
    CHECK_EQ(told + missed, captures);
    finish(client);
}

typedef struct {
    pthread_mutex_t lock;
    int lines, level;
    char last[512], all[4096];
} log_lines;

static void on_log(phc_log_level level, const char *message, void *user_data) {
    log_lines *log = user_data;
    pthread_mutex_lock(&log->lock);
    log->lines++;
    log->level = level;
    snprintf(log->last, sizeof log->last, "%s", message);
    if (strlen(log->all) + strlen(message) + 2 < sizeof log->all) strcat(strcat(log->all, message), "\n");
    pthread_mutex_unlock(&log->lock);
}

static int has_logged(log_lines *log, const char *part) {
    double start = now_ms();
    for (;;) {
        pthread_mutex_lock(&log->lock);
        int found = strstr(log->all, part) != NULL;
        pthread_mutex_unlock(&log->lock);
        if (found || now_ms() - start > 10000) return found;
        usleep(1000);
    }
}

static void losses_are_logged_when_nobody_listens(void) {
    script("{\"then\":{\"status\":401,\"body\":\"{\\\"error\\\":\\\"invalid key\\\"}\"}}");
    log_lines log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    phc_client *client = make_client("max_batch_events", "1", "flush_at", "1", NULL);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    for (int i = 0; i < 200; i++) capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK(has_logged(&log, "rejected"));
    CHECK_EQ(log.level, PHC_LOG_ERROR);
    CHECK(has_logged(&log, "401"));
    phc_client_free(client);
    /* Rate-limited: two hundred losses in an instant are one line, and the rest at the end is another. */
    CHECK(log.lines >= 1 && log.lines <= 4);
}

static void a_disabled_client_says_so_once(void) {
    log_lines log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    phc_config *config = phc_config_new("");
    phc_client *client = phc_client_new(config, NULL, 0);
    phc_config_free(config);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_DISABLED);
    CHECK_EQ(log.lines, 1);
    CHECK_HAS(log.last, "project key");
    CHECK_EQ(thread_count("phc-"), 0);
    phc_client_free(client);
}

static void a_change_of_codec_is_logged(void) {
    script("{\"steps\":[{\"status\":415}]}");
    log_lines log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    phc_client *client = make_client("compression", "zstd", NULL);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK(has_logged(&log, "gzip is used from now on"));
    finish(client);
}

static void counters_as_text_name_every_reason(void) {
    script("{\"steps\":[{\"verdicts\":[\"drop\"]}]}");
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(phc_capture(client, "user", "", NULL), PHC_INVALID_EVENT);
    size_t needed = phc_stats_json(client, NULL, 0);
    char *text = malloc(needed + 1);
    CHECK_EQ(phc_stats_json(client, text, needed + 1), needed);
    CHECK_HAS(text, "\"lost\":{\"dropped\":1}");
    CHECK_HAS(text, "\"refused\":{\"invalid_event\":1}");
    CHECK_HAS(text, "\"captured\":1");
    free(text);
    finish(client);
}

static void test_mode_sends_nothing_and_shows_the_wire_bytes(void) {
    phc_client *client = make_client("test_mode", "true", "queue_max_events", "2", NULL);
    CHECK_EQ(phc_capture(client, "user", "one", "{\"n\":1.50}"), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "two", NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "three", NULL), PHC_QUEUE_FULL);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_OK);
    CHECK_EQ(thread_count("phc-"), 0);
    char event[1024], small[4];
    size_t needed = phc_test_next(client, NULL, 0);
    CHECK(needed > 0);
    CHECK_EQ(phc_test_next(client, small, sizeof small), needed);
    CHECK_EQ(phc_test_next(client, event, sizeof event), needed);
    CHECK_HAS(event, "\"event\":\"one\"");
    CHECK_HAS(event, "\"n\":1.50");
    CHECK(phc_test_next(client, event, sizeof event) > 0);
    CHECK_HAS(event, "\"event\":\"two\"");
    CHECK_EQ(phc_test_next(client, event, sizeof event), 0);
    CHECK_EQ(stats_of(client).delivered, 2);
    CHECK_EQ(summary("requests"), 0);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_report_says_all_of_a_loss),
        TEST(successes_are_told_when_asked_for),
        TEST(a_poll_waits_no_longer_than_it_may),
        TEST(a_close_ends_a_poll_when_all_is_told),
        TEST(a_descriptor_is_readable_while_reports_wait),
        TEST(a_callback_has_the_reports_and_a_poller_none),
        TEST(a_callback_that_comes_and_goes_costs_no_report),
        TEST(a_slow_callback_delays_no_delivery),
        TEST(what_nobody_fetches_is_counted),
        TEST(losses_are_logged_when_nobody_listens),
        TEST(a_disabled_client_says_so_once),
        TEST(a_change_of_codec_is_logged),
        TEST(counters_as_text_name_every_reason),
        TEST(test_mode_sends_nothing_and_shows_the_wire_bytes),
    };
    return RUN_TESTS(tests);
}
