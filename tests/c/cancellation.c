/* pthread_cancel on a thread of the host that is inside a call: no call is a cancellation point.
 *
 * A request that is pending when a call begins would be met at the first cancellation point
 * inside of it, whatever the timing. So each call is made with a request pending, and must
 * return; the thread then ends at its own pthread_testcancel. Each is a child process, because a
 * thread that is cancelled inside ends the process. */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a call may use; made before the request to cancel. */
static phc_client *client, *small, *filtered, *disabled;
static uint64_t begun;

static int returned; /* whether the call came back with what it should */

static void request_cancellation(void) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
}

static void on_report(const phc_report *report, void *user_data) { (void)report, (void)user_data; }
static void on_line(phc_log_level level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
    usleep(1000);
}

/* Code of the host that has cancellation points of its own. */
static int asked, freed;
static int32_t ask(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    usleep(1000);
    pthread_testcancel();
    asked++;
    return PHC_BEFORE_SEND_KEEP;
}
static void free_slowly(void *user_data) {
    (void)user_data;
    usleep(1000);
    pthread_testcancel();
    freed++;
}
static int32_t free_inside(phc_outgoing *event, void *user_data) {
    (void)event;
    if (user_data != NULL && asked++ == 0) phc_client_free(client);
    return PHC_BEFORE_SEND_KEEP;
}

static phc_client *named(phc_status *status) {
    phc_config *config = phc_config_new("key");
    phc_config_set(config, "host", namespace_host());
    phc_client *opened = phc_client_open("named", config, status);
    phc_config_free(config);
    return opened;
}

/* Each returns whether the call did what it should. */
static int make_one(void) {
    phc_client *other =
        make_client("ca_file", "/etc/ssl/certs/ca-certificates.crt", "exit_flush_ms", "1", NULL);
    phc_client_free(other);
    return other != NULL;
}
static int open_one(void) {
    phc_status status = -1;
    phc_client *other = named(&status);
    phc_client_free(other);
    return other != NULL && status == PHC_OK;
}
static int first_capture(void) { return phc_capture(client, "user", "first", NULL) == PHC_OK; }
static int first_refused(void) { return phc_capture(client, NULL, NULL, NULL) == PHC_INVALID_ARGUMENT; }
static int many_captures(void) {
    /* Full batches wake the I/O thread, uuids use up the randomness. */
    for (int i = 0; i < 2000; i++)
        if (phc_capture(client, "user", "event", "{\"a\":1}") != PHC_OK) return 0;
    return 1;
}
static int other_captures(void) {
    const char json[] = "{\"event\":\"e\",\"distinct_id\":\"d\"}";
    phc_event *event = phc_event_new("user", "event");
    return phc_capture_json(client, json, strlen(json), NULL) == PHC_OK &&
           phc_capture_event(client, event, NULL) == PHC_OK &&
           phc_identify(client, "user", "{\"a\":1}", NULL, NULL) == PHC_OK &&
           phc_alias(client, "user", "alias", NULL) == PHC_OK &&
           phc_group_identify(client, "type", "key", NULL, NULL, NULL) == PHC_OK;
}
static int blocked_capture(void) {
    /* The queue is full and the server does not respond. */
    return phc_capture(small, "user", "blocked", NULL) == PHC_QUEUE_FULL;
}
static int evicting_capture(void) {
    for (int i = 0; i < 50; i++)
        if (phc_capture(client, "user", "event", NULL) != PHC_OK) return 0;
    return 1;
}
static int asking_capture(void) {
    return phc_capture(filtered, "user", "asked", NULL) == PHC_OK && asked == 1;
}
static int freeing_capture(void) { return phc_capture(filtered, "user", "frees", NULL) == PHC_OK; }
static int flush_all(void) { return phc_flush(client, 20000, NULL, 0) == PHC_OK; }
static int flush_in_slices(void) {
    uint64_t flush = 0;
    return phc_flush_begin(client, &flush) == PHC_OK &&
           phc_flush_wait(client, flush, 20000, NULL, 0) == PHC_OK && phc_flush_end(client, flush) == PHC_OK;
}
static int flush_that_times_out(void) { return phc_flush(small, 50, NULL, 0) == PHC_TIMEOUT; }
static int poll_one(void) {
    phc_report *report = phc_poll(client, 20000);
    phc_report_free(report);
    return report != NULL;
}
static int poll_in_vain(void) { return phc_poll(small, 50) == NULL; }
static int poll_fd(void) { return phc_poll_fd(client) > 2; }
static int set_callbacks(void) {
    return phc_set_error_callback(client, on_report, NULL, free_slowly) == PHC_OK &&
           phc_set_error_callback(client, NULL, NULL, NULL) == PHC_OK &&
           phc_set_delivery_callback(client, on_report, NULL, free_slowly) == PHC_OK &&
           phc_set_log_callback(client, on_line, NULL, free_slowly) == PHC_OK &&
           phc_set_log_callback(client, NULL, NULL, NULL) == PHC_OK &&
           phc_set_before_send_callback(client, ask, NULL, free_slowly) == PHC_OK &&
           phc_set_before_send_callback(client, NULL, NULL, NULL) == PHC_OK && freed == 3;
}
static int log_at_once(void) { return phc_set_log_callback(disabled, on_line, NULL, NULL) == PHC_OK; }
static int settings(void) {
    phc_config *config = phc_config_new("key");
    int ok = phc_config_set(config, "flush_at", "7") == PHC_OK;
    ok = ok && phc_register(client, "a", "1") == PHC_OK && phc_unregister(client, "a") == PHC_OK;
    ok = ok && phc_opt_out(client) == PHC_OK && phc_opt_in(client) == PHC_OK;
    char text[4096];
    ok = ok && phc_stats_json(client, text, sizeof text) > 0;
    phc_config_free(config);
    return ok;
}
static int close_one(void) { return phc_client_close(client, 20000) == PHC_OK; }
static int close_at_once(void) { return phc_client_close(small, 0) == PHC_LOST_EVENTS; }
static int free_one(void) {
    phc_client_free(client);
    client = NULL;
    return freed == 2;
}

/* What there is before the call. */
static void nothing(void) {}
static void a_client(void) { client = make_client("flush_at", "10", NULL); }
static void a_used_client(void) {
    a_client();
    capture_n(client, 25);
    phc_flush(client, 20000, NULL, 0);
    capture_n(client, 5);
}
static void a_reporting_client(void) {
    client = make_client("flush_at", "1", NULL);
    phc_poll_fd(client);
    capture_n(client, 5);
}
static void a_calling_client(void) {
    a_used_client();
    phc_set_delivery_callback(client, on_report, NULL, free_slowly);
    phc_set_log_callback(client, on_line, NULL, free_slowly);
    capture_n(client, 5);
}
static void a_full_client(void) {
    script("{\"then\":{\"never\":true}}");
    small = make_client("flush_at", "1", "queue_max_events", "2", "overflow", "block", "block_timeout_ms",
                        "100", "shutdown_timeout_ms", "0", NULL);
    capture_n(small, 2);
}
static void an_evicting_client(void) {
    script("{\"then\":{\"never\":true}}");
    /* What is in flight is not evicted: one event at most. */
    client = make_client("flush_at", "1", "max_batch_events", "1", "max_in_flight", "1", "queue_max_events",
                         "10", "overflow", "drop_oldest", "shutdown_timeout_ms", "0", NULL);
    phc_poll_fd(client);
}
static void an_asking_client(void) {
    filtered = make_client(NULL, NULL);
    phc_set_before_send_callback(filtered, ask, NULL, free_slowly);
}
static void a_freeing_client(void) {
    a_calling_client();
    filtered = make_client(NULL, NULL);
    phc_set_before_send_callback(filtered, free_inside, &begun, NULL);
}
static void a_disabled_client(void) {
    phc_config *config = phc_config_new("");
    disabled = phc_client_new(config, NULL);
    phc_config_free(config);
}

typedef struct {
    const char *name;
    void (*before)(void);
    int (*call)(void);
} row;
static const row rows[] = {
    {"phc_client_new and its free", nothing, make_one},
    {"phc_client_open and its free", nothing, open_one},
    {"the first capture", a_client, first_capture},
    {"a first capture that is refused", a_client, first_refused},
    {"captures that wake", a_used_client, many_captures},
    {"captures with a readiness descriptor", a_reporting_client, many_captures},
    {"captures of the other kinds", a_client, other_captures},
    {"a capture that waits for space", a_full_client, blocked_capture},
    {"captures that evict", an_evicting_client, evicting_capture},
    {"a capture whose before_send waits", an_asking_client, asking_capture},
    {"a capture that frees another client", a_freeing_client, freeing_capture},
    {"phc_flush", a_used_client, flush_all},
    {"phc_flush without an event", a_client, flush_all},
    {"phc_flush_begin, _wait, _end", a_used_client, flush_in_slices},
    {"phc_flush that times out", a_full_client, flush_that_times_out},
    {"phc_poll", a_reporting_client, poll_one},
    {"phc_poll that times out", a_full_client, poll_in_vain},
    {"phc_poll_fd", a_client, poll_fd},
    {"setters of callbacks, unused", a_client, set_callbacks},
    {"setters of callbacks, used", a_used_client, set_callbacks},
    {"phc_set_log_callback without a key", a_disabled_client, log_at_once},
    {"settings, super properties, stats", a_used_client, settings},
    {"phc_client_close", a_used_client, close_one},
    {"phc_client_close, unused", a_client, close_one},
    {"phc_client_close without time", a_full_client, close_at_once},
    {"phc_client_free", a_calling_client, free_one},
};

static void *call_with_a_request_pending(void *given) {
    const row *row = given;
    request_cancellation();
    returned = row->call();
    pthread_testcancel();
    returned = -1; /* not cancelled at all */
    return NULL;
}

static int in_one_process(const row *row) {
    row->before();
    pthread_t thread;
    void *result = NULL;
    pthread_create(&thread, NULL, call_with_a_request_pending, (void *)row);
    pthread_join(thread, &result);
    if (returned != 1) return 1;
    if (result != PTHREAD_CANCELED) return 2;
    /* Nothing is left locked, and another client works. */
    phc_client *other = make_client(NULL, NULL);
    if (phc_capture(other, "user", "afterwards", NULL) != PHC_OK) return 3;
    if (client != NULL && asked == 0) stats_of(client);
    phc_client_close(other, 1000);
    return 0;
}

static void no_call_is_a_cancellation_point(void) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        script("{}");
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            _exit(in_one_process(&rows[i]));
        }
        int status = -1;
        waitpid(pid, &status, 0);
        check_at(status == 0, __FILE__, __LINE__, "%s: ended with %s %d", rows[i].name,
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* The same with a request that comes at any time, from another thread. */
static void *capture_until_cancelled(void *given) {
    for (;;) {
        phc_capture(given, "user", "event", "{\"a\":1}");
        phc_flush(given, 1, NULL, 0);
        phc_report_free(phc_poll(given, 1));
        pthread_testcancel();
    }
    return NULL;
}

static void threads_that_capture_can_be_cancelled_at_any_time(void) {
    phc_client *shared = make_client("flush_at", "1", NULL);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, NULL, capture_until_cancelled, shared);
        usleep((useconds_t)(i * 137) % 3000);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        CHECK(result == PTHREAD_CANCELED);
    }
    capture(shared, "last");
    CHECK_EQ(phc_flush(shared, 20000, NULL, 0), PHC_OK);
    finish(shared);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(no_call_is_a_cancellation_point),
        TEST(threads_that_capture_can_be_cancelled_at_any_time),
    };
    return RUN_TESTS(tests);
}
