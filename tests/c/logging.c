/* What is logged: when, at which level, how often. */
#include "harness.h"

#include <phc_binding.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    pthread_mutex_t lock;
    int lines, level; /* level of the last one */
    char last[512], all[8192];
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
        if (found || now_ms() - start > 20000) return found;
        usleep(1000);
    }
}

static void on_report(const phc_report *report, void *events) {
    add_to(events, (int)phc_report_event_count(report));
}

#define LOG                                                                                                  \
    { .lock = PTHREAD_MUTEX_INITIALIZER }
#define ALL_LOST "{\"then\":{\"status\":401,\"body\":\"{\\\"error\\\":\\\"invalid key\\\"}\"}}"

static void losses_are_logged_without_an_error_callback(void) {
    /* A delivery callback does not report losses, so it makes no difference. */
    for (int delivery_callback = 0; delivery_callback < 2; delivery_callback++) {
        script(ALL_LOST);
        log_lines log = LOG;
        phc_client *client = make_client("max_batch_events", "1", "flush_at", "1", "reports", "losses", NULL);
        int delivered = 0;
        CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
        if (delivery_callback)
            CHECK_EQ(phc_set_delivery_callback(client, on_report, &delivered, NULL), PHC_OK);
        double start = now_ms();
        capture_n(client, 200);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        CHECK(has_logged(&log, "rejected"));
        CHECK_EQ(log.level, PHC_LOG_ERROR);
        CHECK(has_logged(&log, "401"));
        finish(client);
        /* One line a second for all losses until then, and one at the end for the rest. */
        CHECK(log.lines >= 1 && log.lines <= 2 + (int)((now_ms() - start) / 1000));
        int lost = 0;
        for (const char *at = log.all; (at = strstr(at, "events lost: ")) != NULL;) {
            at += strlen("events lost: ");
            lost += atoi(at);
        }
        CHECK_EQ(lost, 200);
        CHECK_EQ(delivered, 0);
    }
}

static void an_error_callback_stands_in_for_the_lines_about_losses(void) {
    script(ALL_LOST);
    log_lines log = LOG;
    int lost = 0;
    phc_client *client = make_client("reports", "losses", NULL);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    CHECK_EQ(phc_set_error_callback(client, on_report, &lost, NULL), PHC_OK);
    capture_n(client, 10);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
    finish(client);
    CHECK_EQ(lost, 10);
    CHECK_EQ(log.lines, 0);
}

static void an_eviction_is_logged_while_nothing_is_sent(void) {
    for (int delivery_callback = 0; delivery_callback < 2; delivery_callback++) {
        log_lines log = LOG;
        int delivered = 0;
        phc_client *client = make_client("queue_max_events", "2", "overflow", "drop_oldest", NULL);
        CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
        if (delivery_callback)
            CHECK_EQ(phc_set_delivery_callback(client, on_report, &delivered, NULL), PHC_OK);
        capture(client, "a");
        CHECK_EQ(thread_appears("phc-callback"), 1);
        capture_n(client, 2);
        check_at(has_logged(&log, "1 evicted"), __FILE__, __LINE__, "%d delivery callbacks",
                 delivery_callback);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        finish(client);
    }
}

static phc_client *without_key(void) {
    phc_config *config = phc_config_new("");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    return client;
}

static void a_disabled_client_logs_it_once(void) {
    log_lines log = LOG;
    phc_client *client = without_key();
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_DISABLED);
    CHECK_EQ(log.lines, 1);
    CHECK_EQ(log.level, PHC_LOG_WARNING);
    CHECK_HAS(log.last, "project key");
    CHECK_EQ(thread_count("phc-"), 0);
    phc_client_free(client);
}

typedef struct {
    phc_client *client;
    int lines, frees;
} freeing;

static void free_client_of(phc_log_level level, const char *line, void *user_data) {
    (void)level;
    (void)line;
    freeing *of = user_data;
    of->lines++;
    phc_client_free(of->client);
    /* It is freed when the function that has called this one has ended. */
    CHECK_EQ(of->frees, 0);
}

static void count_free(void *user_data) { ((freeing *)user_data)->frees++; }

static void a_disabled_client_may_be_freed_in_its_line(void) {
    freeing of = {.client = without_key()};
    CHECK_EQ(phc_set_log_callback(of.client, free_client_of, &of, count_free), PHC_OK);
    CHECK_EQ(of.lines, 1);
    CHECK_EQ(of.frees, 1);
}

static int32_t free_and_set(phc_outgoing *event, void *user_data) {
    freeing *of = user_data;
    phc_client_free(of->client);
    /* It logs at once, on this thread, which is inside a capture of the client that was freed. */
    log_lines log = LOG;
    phc_client *disabled = without_key();
    CHECK_EQ(phc_set_log_callback(disabled, on_log, &log, NULL), PHC_OK);
    CHECK_EQ(log.lines, 1);
    phc_client_free(disabled);
    CHECK_EQ(of->frees, 0);
    size_t len = 0;
    CHECK_HAS(phc_outgoing_json(event, &len), "last");
    return PHC_BEFORE_SEND_KEEP;
}

static void a_free_in_before_send_waits_for_the_end_of_the_capture(void) {
    freeing of = {.client = make_client("shutdown_timeout_ms", "20000", NULL)};
    CHECK_EQ(phc_set_before_send_callback(of.client, free_and_set, &of, count_free), PHC_OK);
    CHECK_EQ(phc_capture(of.client, "user", "last", NULL), PHC_OK);
    CHECK_EQ(of.frees, 1);
    CHECK_EQ(summary("accepted"), 1);
}

static void a_key_that_is_not_a_projects_is_logged_once(void) {
    const char *const keys[] = {"phx_abc", "phs_abc", "phc_abc"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        log_lines log = LOG;
        phc_config *config = phc_config_new(keys[i]);
        CHECK_EQ(phc_config_set(config, "host", namespace_host()), PHC_OK);
        CHECK_EQ(phc_config_set(config, "log_level", "warning"), PHC_OK);
        phc_client *client = phc_client_new(config, NULL);
        phc_config_free(config);
        CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
        for (int n = 0; n < 2; n++) {
            capture(client, "a");
            CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        }
        finish(client);
        CHECK_EQ(log.lines, strcmp(keys[i], "phc_abc") == 0 ? 0 : 1);
        if (log.lines > 0) CHECK_HAS(log.last, "the key of a project begins with phc_");
        CHECK(strstr(log.all, keys[i]) == NULL);
    }
}

static void a_change_of_codec_is_logged(void) {
    script("{\"steps\":[{\"status\":415}]}");
    log_lines log = LOG;
    phc_client *client = make_client("compression", "zstd", NULL);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK(has_logged(&log, "gzip is used from now on"));
    finish(client);
}

static void each_kind_of_remark_is_logged_once(void) {
    script("{\"then\":{\"verdicts\":{\"a\":{\"result\":\"warning\",\"details\":\"too old\"},"
           "\"b\":{\"result\":\"warning\",\"details\":\"too new\"},\"c\":\"limited\","
           "\"d\":{\"result\":\"ok\",\"details\":\"person_processing_disabled\"}}}}");
    /* The error callback gets warnings, too: the line does not depend on it. */
    for (int callbacks = 0; callbacks < 2; callbacks++) {
        log_lines log = LOG;
        int warned = 0;
        phc_client *client = make_client("reports", "warnings", NULL);
        CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
        if (callbacks) CHECK_EQ(phc_set_error_callback(client, on_report, &warned, NULL), PHC_OK);
        for (int round = 0; round < 3; round++) {
            const char *const names[] = {"a", "b", "a", "c", "d", "d", "fine"};
            for (size_t i = 0; i < 7; i++) capture(client, names[i]);
            CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        }
        CHECK_EQ(stats_of(client).delivered_with_warning, 9);
        CHECK_EQ(stats_of(client).delivered_with_remark, 18);
        finish(client);
        CHECK_EQ(log.lines, 4);
        CHECK_EQ(log.level, PHC_LOG_WARNING);
        CHECK_EQ(count(log.all, "\"warning\" (too old)"), 1);
        CHECK_EQ(count(log.all, "\"warning\" (too new)"), 1);
        CHECK_EQ(count(log.all, "\"limited\""), 1);
        CHECK_EQ(
            count(log.all, "\"ok\" (person_processing_disabled): their distinct_id looks like a placeholder"),
            1);
        if (callbacks) CHECK_EQ(warned, 18);
    }
}

static void a_flush_and_a_close_name_the_last_reason(void) {
    const struct {
        const char *script, *reason;
    } table[] = {
        {"{\"then\":{\"status\":401}}", "; HTTP 401: "},
        {"{\"then\":{\"verdicts\":[{\"result\":\"drop\",\"details\":\"invalid_options\"}]}}",
         "; the server's verdict is \"drop\" (invalid_options)"},
    };
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        script(table[row].script);
        phc_client *client = make_client(NULL, NULL);
        capture(client, "event");
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        CHECK_HAS(phc_last_error(), "events lost: 1 of 1; ");
        CHECK_HAS(phc_last_error(), table[row].reason);
        CHECK_EQ(phc_client_close(client, 20000), PHC_LOST_EVENTS);
        CHECK_HAS(phc_last_error(), "events lost: 1; ");
        CHECK_HAS(phc_last_error(), table[row].reason);
        finish(client);
    }
}

static void the_level_decides_what_is_logged(void) {
    /* A line at each of the levels error, warning and debug. */
    const struct {
        const char *level;
        int losses, warnings, attempts;
    } table[] = {{"error", 1, 0, 0}, {"warning", 1, 1, 0}, {"info", 1, 1, 0}, {"debug", 1, 1, 3}};
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        script(
            "{\"steps\":[{\"verdicts\":{\"a\":{\"result\":\"warning\",\"details\":\"careful\"},\"b\":\"retry\"}},"
            "{\"status\":503},{\"verdicts\":[\"drop\"]}]}");
        log_lines log = LOG;
        phc_client *client = make_client("log_level", table[row].level, NULL);
        CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
        capture(client, "a");
        capture(client, "b");
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        CHECK_STR(phc_last_error(), "events lost: 1 of 2; the server's verdict is \"drop\"");
        finish(client);
        CHECK_EQ(count(log.all, "events lost: 1 (1 dropped); the server's verdict is \"drop\""),
                 table[row].losses);
        CHECK_EQ(count(log.all, "careful"), table[row].warnings);
        for (int attempt = 1; attempt <= 3; attempt++) {
            char part[32];
            snprintf(part, sizeof part, " attempt %d: ", attempt);
            CHECK_EQ(count(log.all, part), table[row].attempts / 3);
        }
        check_at(log.lines == table[row].losses + table[row].warnings + table[row].attempts, __FILE__,
                 __LINE__, "log_level = %s: %s", table[row].level, log.all);
    }
}

static void the_debug_lines_say_what_became_of_an_attempt(void) {
    script("{\"steps\":[{\"status\":503,\"headers\":{\"Retry-After\":\"1\"}},{}]}");
    log_lines log = LOG;
    phc_client *client = make_client("log_level", "debug", NULL);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    capture_n(client, 3);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    char *requests = sink_get("_requests");
    CHECK(has_logged(&log, nth_string(requests, "request_id", 0)));
    free(requests);
    CHECK(has_logged(&log, "attempt 1: 3 events, "));
    CHECK(has_logged(&log, "HTTP 503: 0 delivered, 0 lost, 3 to be sent again in 1000 ms"));
    CHECK(has_logged(&log, "HTTP 200: 3 delivered, 0 lost, 0 to be sent again"));
    CHECK_EQ(log.level, PHC_LOG_DEBUG);
    finish(client);
}

#define REMARKS                                                                                              \
    "{\"then\":{\"verdicts\":{\"a\":{\"result\":\"warning\",\"details\":\"too old\"},"                       \
    "\"b\":{\"result\":\"warning\",\"details\":\"too new\"},"                                                \
    "\"c\":{\"result\":\"warning\",\"details\":\"too long\"}}}}"

static int is_readable(phc_client *client, int within_ms) {
    struct pollfd fd = {.fd = (int)phc_poll_fd(client), .events = POLLIN};
    return poll(&fd, 1, within_ms);
}

static void deliver(phc_client *client, const char *event) {
    capture(client, event);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
}

static void a_binding_polls_for_lines(void) {
    script(REMARKS);
    phc_client *client = make_client("reports", "losses", NULL);
    phc_log_level level = 0;
    char small[20], line[512];
    deliver(client, "a");
    /* The descriptor is about reports only, until lines are asked for. */
    CHECK_EQ(is_readable(client, 0), 0);
    size_t length = phc_binding_next_log_line(client, NULL, NULL, 0);
    CHECK(length > sizeof small && length < sizeof line);
    CHECK_EQ(is_readable(client, 0), 1);
    /* It is removed only where it fits. */
    CHECK_EQ(phc_binding_next_log_line(client, &level, small, sizeof small), length);
    CHECK_EQ(phc_binding_next_log_line(client, &level, line, length), length);
    /* It belongs to this process. A child that exits leaks, by design, what it inherited; this one does not. */
    pid_t pid = fork();
    if (pid == 0) {
        if (phc_binding_next_log_line(client, &level, line, sizeof line) == 0) raise(SIGKILL);
        _exit(1);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, SIGKILL);
    CHECK_EQ(phc_binding_next_log_line(client, &level, line, length + 1), length);
    CHECK_EQ(strlen(line), length);
    CHECK_EQ(level, PHC_LOG_WARNING);
    CHECK_HAS(line, "\"warning\" (too old)");
    CHECK_EQ(phc_binding_next_log_line(client, &level, line, sizeof line), 0);
    CHECK_EQ(is_readable(client, 0), 0);
    deliver(client, "b");
    CHECK_EQ(is_readable(client, 0), 1);
    CHECK(phc_binding_next_log_line(client, NULL, line, sizeof line) > 0);
    CHECK_HAS(line, "\"warning\" (too new)");
    CHECK_EQ(is_readable(client, 0), 0);
    CHECK_EQ(phc_binding_next_log_line(NULL, &level, line, sizeof line), 0);
    finish(client);
}

static void a_log_callback_gets_the_lines_that_a_binding_polled_for(void) {
    script(REMARKS);
    phc_client *client = make_client("reports", "losses", NULL);
    char line[512];
    deliver(client, "a");
    CHECK(phc_binding_next_log_line(client, NULL, NULL, 0) > 0);
    CHECK_EQ(is_readable(client, 0), 1);
    log_lines log = LOG;
    /* Its first call waits, so that a line waits for it. */
    pthread_mutex_lock(&log.lock);
    CHECK_EQ(phc_set_log_callback(client, on_log, &log, NULL), PHC_OK);
    deliver(client, "b");
    CHECK_EQ(phc_binding_next_log_line(client, NULL, line, sizeof line), 0);
    /* A loop that waits for the descriptor would not sleep. */
    CHECK_EQ(is_readable(client, 0), 0);
    pthread_mutex_unlock(&log.lock);
    CHECK(has_logged(&log, "too new"));
    CHECK_EQ(log.lines, 2);
    /* Without it, lines are polled for again. */
    CHECK_EQ(phc_set_log_callback(client, NULL, NULL, NULL), PHC_OK);
    deliver(client, "c");
    CHECK_EQ(is_readable(client, 0), 0);
    CHECK(phc_binding_next_log_line(client, NULL, NULL, 0) > 0);
    CHECK_EQ(is_readable(client, 0), 1);
    CHECK(phc_binding_next_log_line(client, NULL, line, sizeof line) > 0);
    CHECK_HAS(line, "too long");
    CHECK_EQ(log.lines, 2);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(losses_are_logged_without_an_error_callback),
        TEST(an_error_callback_stands_in_for_the_lines_about_losses),
        TEST(an_eviction_is_logged_while_nothing_is_sent),
        TEST(a_disabled_client_logs_it_once),
        TEST(a_disabled_client_may_be_freed_in_its_line),
        TEST(a_free_in_before_send_waits_for_the_end_of_the_capture),
        TEST(a_change_of_codec_is_logged),
        TEST(a_key_that_is_not_a_projects_is_logged_once),
        TEST(each_kind_of_remark_is_logged_once),
        TEST(a_flush_and_a_close_name_the_last_reason),
        TEST(the_level_decides_what_is_logged),
        TEST(a_binding_polls_for_lines),
        TEST(a_log_callback_gets_the_lines_that_a_binding_polled_for),
        TEST(the_debug_lines_say_what_became_of_an_attempt),
    };
    return RUN_TESTS(tests);
}
