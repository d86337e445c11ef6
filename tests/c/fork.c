/* Forks, with no help from the host. */
#include "harness.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `body` in a forked child; returns 0 if that returned 0 in time. */
static int in_child(int (*body)(phc_client *), phc_client *client) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        _exit(body(client));
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static int capture_some(phc_client *client, const char *name, int n) {
    int bad = 0;
    for (int i = 0; i < n; i++) bad |= phc_capture(client, "user", name, NULL) != PHC_OK;
    return bad;
}

static int child_captures(phc_client *client) {
    if (thread_count("phc-") != 0) return 1;
    if (capture_some(client, "child", 5)) return 2;
    if (thread_appears("phc-io") != 1) return 3;
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 4;
    if (stats_of(client).captured != 5 || stats_of(client).delivered != 5) return 5;
    phc_client_free(client);
    return 0;
}

static int child_only_exits(phc_client *client) {
    (void)client;
    return thread_count("phc-") == 0 ? 0 : 1;
}

static int child_flushes_and_frees(phc_client *client) {
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 1;
    phc_client_free(client);
    return thread_count("phc-") == 0 ? 0 : 2;
}

static int child_forks_again(phc_client *client) {
    if (capture_some(client, "child", 5)) return 1;
    int grandchild = in_child(child_captures, client);
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 2;
    return grandchild;
}

/* No uuid was received twice, except on a retry. */
static void check_distinct(long long events) {
    CHECK_EQ(summary("accepted"), events);
    CHECK_EQ(summary("events"), events);
}

/* The parent captures before, children run one after the other, the parent captures again. */
static void check_fork(phc_client *client, const char *until, int before, int (*const *bodies)(phc_client *),
                       int after, int events) {
    CHECK_EQ(capture_some(client, "parent", before), 0);
    if (until != NULL) wait_for(until);
    for (; *bodies != NULL; bodies++) CHECK_EQ(in_child(*bodies, client), 0);
    respond_now(); /* what the script holds */
    CHECK_EQ(capture_some(client, "parent", after), 0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).captured, before + after);
    check_distinct(events);
    finish(client);
}
#define CHILDREN(...)                                                                                        \
    (int (*const[])(phc_client *)) { __VA_ARGS__, NULL }

static void fork_when_idle(void) {
    phc_client *client = make_client("flush_at", "5", NULL);
    check_fork(client, "accepted=5", 5, CHILDREN(child_captures, child_only_exits, child_flushes_and_frees),
               5, 15);
}

static void what_was_captured_before_belongs_to_the_parent(void) {
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    int (*bodies[22])(phc_client *) = {NULL};
    for (int i = 0; i < 20; i++) bodies[i] = child_captures;
    bodies[20] = child_only_exits;
    check_fork(client, NULL, 20, bodies, 0, 20 + 20 * 5);
}

static void fork_with_requests_in_flight(void) {
    script("{\"steps\":[{\"wait_for_script\":true,\"times\":3}]}");
    phc_client *client =
        make_client("flush_at", "1", "max_batch_events", "2", "request_timeout_ms", "120000", NULL);
    check_fork(client, "requests=3", 6, CHILDREN(child_captures, child_flushes_and_frees), 0, 11);
}

static void fork_before_the_first_capture(void) {
    check_fork(make_client(NULL, NULL), NULL, 0, CHILDREN(child_captures), 3, 8);
}

static void a_child_that_forks_again(void) {
    check_fork(make_client(NULL, NULL), NULL, 3, CHILDREN(child_forks_again), 0, 13);
}

static void fork_during_back_off(void) {
    script("{\"steps\":[{\"status\":503,\"headers\":{\"Retry-After\":\"1\"}}]}");
    phc_client *client = make_client("flush_at", "1", NULL);
    capture_some(client, "parent", 1);
    phc_report *report = phc_poll(client, 20000); /* of the first attempt: its event is in back-off now */
    CHECK_EQ(phc_report_http_status(report), 503);
    CHECK_EQ(phc_report_pending_count(report), 1);
    phc_report_free(report);
    CHECK_EQ(in_child(child_captures, client), 0);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("accepted"), 6);
    finish(client);
}

static volatile int stop;
static void *capture_until_stopped(void *client) {
    long long taken = 0;
    while (!stop && taken < 20000) taken += phc_capture(client, "user", "parent", "{\"a\":1}") == PHC_OK;
    return (void *)taken;
}

static void fork_while_four_threads_capture(void) {
    phc_client *client = make_client("queue_max_events", "1000000", NULL);
    pthread_t threads[4];
    stop = 0;
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, capture_until_stopped, client);
    int children = 0;
    for (; children < 30; children++) CHECK_EQ(in_child(child_captures, client), 0);
    stop = 1;
    long long taken = 0;
    for (int i = 0; i < 4; i++) {
        void *own;
        pthread_join(threads[i], &own);
        taken += (long long)own;
    }
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, taken);
    check_distinct(taken + 5 * children);
    finish(client);
}

static int child_captures_a_thousand(phc_client *client) {
    if (capture_some(client, "child", 1000)) return 1;
    return phc_client_close(client, 20000) == PHC_OK ? 0 : 2;
}

static void twenty_children_at_once_make_no_uuid_twice(void) {
    phc_client *client = make_client(NULL, NULL);
    capture_some(client, "parent", 10);
    pid_t children[20];
    fflush(NULL);
    for (int i = 0; i < 20; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            alarm(30);
            _exit(child_captures_a_thousand(client));
        }
    }
    capture_some(client, "parent", 10);
    for (int i = 0; i < 20; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        CHECK_EQ(status, 0);
    }
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_distinct(20 * 1000 + 20);
    finish(client);
}

static void *first_capture(void *client) {
    phc_capture(client, "user", "parent", NULL);
    return NULL;
}

static void fork_while_another_thread_makes_the_first_capture(void) {
    for (int round = 0; round < 100; round++) {
        phc_client *client = make_client(NULL, NULL);
        pthread_t thread;
        pthread_create(&thread, NULL, first_capture, client);
        CHECK_EQ(in_child(child_captures, client), 0);
        pthread_join(thread, NULL);
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        finish(client);
    }
    check_distinct(100 * 6);
}

static int child_opens_by_name(phc_client *client) {
    (void)client;
    phc_config *config = phc_config_new("key");
    phc_config_set(config, "host", namespace_host());
    phc_client *own = phc_client_open("forked", config, NULL);
    phc_config_free(config);
    return own == NULL ? 1 : child_captures(own);
}

static void a_child_can_open_a_client_by_name(void) {
    phc_config *config = phc_config_new("key");
    phc_config_set(config, "host", namespace_host());
    phc_client *client = phc_client_open("forked", config, NULL);
    CHECK(client != NULL);
    phc_config_free(config);
    capture_some(client, "parent", 2);
    CHECK_EQ(in_child(child_opens_by_name, client), 0);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_distinct(7);
    finish(client);
}

static void *close_slowly(void *client) { return (void *)(intptr_t)phc_client_close(client, 30000); }

static int child_finds_it_closed(phc_client *client) {
    if (phc_capture(client, "user", "child", NULL) != PHC_CLOSED) return 1;
    if (phc_flush(client, 1000, NULL, 0) != PHC_CLOSED) return 2;
    if (phc_client_close(client, 1000) != PHC_OK) return 3;
    phc_client_free(client);
    return thread_count("phc-") == 0 ? 0 : 4;
}

static void fork_during_close(void) {
    script("{\"then\":{\"wait_for_script\":true}}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture_some(client, "parent", 5);
    pthread_t closer;
    pthread_create(&closer, NULL, close_slowly, client);
    wait_for("requests=1");
    double start = now_ms();
    CHECK_EQ(in_child(child_finds_it_closed, client), 0);
    CHECK(now_ms() - start < SOON_MS);
    respond_now();
    void *status;
    pthread_join(closer, &status);
    CHECK_EQ((intptr_t)status, PHC_OK);
    check_distinct(5);
    finish(client);
}

static void *flush_without_limit(void *client) {
    return (void *)(intptr_t)phc_flush(client, PHC_NO_LIMIT, NULL, 0);
}

static void fork_while_another_thread_flushes(void) {
    script("{\"steps\":[{\"wait_for_script\":true}]}");
    phc_client *client = make_client("request_timeout_ms", "120000", NULL);
    capture_some(client, "parent", 5);
    pthread_t flusher;
    pthread_create(&flusher, NULL, flush_without_limit, client);
    wait_for("requests=1");
    CHECK_EQ(in_child(child_captures, client), 0);
    respond_now();
    void *status;
    pthread_join(flusher, &status);
    CHECK_EQ((intptr_t)status, PHC_OK);
    check_distinct(10);
    finish(client);
}

static int child_execs(phc_client *client) {
    (void)client;
    execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
    return 1;
}

static void a_child_that_execs(void) {
    phc_client *client = make_client("flush_interval_ms", "60000", NULL);
    capture_some(client, "parent", 5);
    CHECK_EQ(in_child(child_execs, client), 7);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(in_child(child_execs, client), 7);
    check_distinct(5);
    finish(client);
}

static pid_t called_in;
static int reported, asked, freed;
static void note_process(const phc_report *report, void *user_data) {
    (void)user_data;
    called_in = getpid();
    add_to(&reported, (int)phc_report_event_count(report));
}

static pid_t logged_in;
static int lines;
static void note_line(phc_log_level level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
    logged_in = getpid();
    add_to(&lines, 1);
}

static int32_t keep(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    asked++;
    return PHC_BEFORE_SEND_KEEP;
}

static void note_free(void *user_data) {
    (void)user_data;
    freed++;
}

static int child_is_called(phc_client *client) {
    reported = asked = freed = 0;
    if (thread_count("phc-") != 0) return 1;
    if (capture_some(client, "child", 3)) return 2;
    if (thread_appears("phc-callback") != 1) return 3;
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 4;
    if (reaches(&reported, 3) != 3 || called_in != getpid()) return 5;
    if (asked != 3) return 6;
    /* What the parent has set is not freed here, what the child sets is. */
    if (phc_set_delivery_callback(client, note_process, NULL, note_free) != PHC_OK || freed != 0) return 7;
    if (phc_set_before_send_callback(client, NULL, NULL, NULL) != PHC_OK || freed != 0) return 8;
    if (phc_set_delivery_callback(client, NULL, NULL, NULL) != PHC_OK || freed != 1) return 9;
    phc_client_free(client);
    return freed == 1 ? 0 : 10;
}

static void callbacks_stay_set_in_a_child(void) {
    phc_client *client = make_client(NULL, NULL);
    reported = freed = 0;
    CHECK_EQ(phc_set_delivery_callback(client, note_process, NULL, note_free), PHC_OK);
    CHECK_EQ(phc_set_before_send_callback(client, keep, NULL, note_free), PHC_OK);
    capture_some(client, "parent", 2);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(reaches(&reported, 2), 2);
    CHECK_EQ(in_child(child_is_called, client), 0);
    capture_some(client, "parent", 2);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(reaches(&reported, 4), 4);
    CHECK_EQ(called_in, getpid());
    check_distinct(7);
    CHECK_EQ(freed, 0);
    finish(client);
    CHECK_EQ(freed, 2);
}

static int child_loses(phc_client *client) {
    reported = lines = 0;
    if (capture_some(client, "lost", 2)) return 1;
    if (phc_flush(client, 10000, NULL, 0) != PHC_LOST_EVENTS) return 2;
    if (reaches(&reported, 2) != 2 || called_in != getpid()) return 3;
    if (reaches(&lines, 1) < 1 || logged_in != getpid()) return 4;
    phc_client_free(client);
    return 0;
}

static void the_error_and_the_log_callback_stay_set_in_a_child(void) {
    script("{\"then\":{\"verdicts\":[\"drop\"]}}");
    phc_client *client = make_client("log_level", "debug", NULL);
    CHECK_EQ(phc_set_error_callback(client, note_process, NULL, NULL), PHC_OK);
    CHECK_EQ(phc_set_log_callback(client, note_line, NULL, NULL), PHC_OK);
    reported = 0;
    CHECK_EQ(in_child(child_loses, client), 0);
    CHECK_EQ(reported, 0);
    CHECK_EQ(child_loses(client), 0);
}

static int child_keeps(phc_client *client) {
    if (phc_capture(client, "user", "child", NULL) != PHC_OPTED_OUT) return 1;
    if (phc_opt_in(client) != PHC_OK) return 2;
    if (capture_some(client, "child", 1)) return 3;
    /* What it changes is its own. */
    if (phc_unregister(client, "inherited") != PHC_OK) return 4;
    if (phc_register(client, "childs", "1") != PHC_OK) return 5;
    if (capture_some(client, "child", 1)) return 6;
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 7;
    phc_client_free(client);
    return 0;
}

static void settings_super_properties_and_the_opt_out_stay_in_a_child(void) {
    phc_client *client = make_client("header.X-Inherited", "yes", NULL);
    CHECK_EQ(phc_register(client, "inherited", "1"), PHC_OK);
    CHECK_EQ(phc_opt_out(client), PHC_OK);
    CHECK_EQ(in_child(child_keeps, client), 0);
    CHECK_EQ(phc_capture(client, "user", "parent", NULL), PHC_OPTED_OUT);
    CHECK_EQ(phc_opt_in(client), PHC_OK);
    CHECK_EQ(capture_some(client, "parent", 1), 0);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events"), *requests = sink_get("_requests");
    CHECK_EQ(count(events, "\"inherited\":1"), 2); /* of the child's first event and the parent's */
    CHECK_EQ(count(events, "\"childs\":1"), 1);
    CHECK_EQ(count(requests, "\"x-inherited\":\"yes\""), 2);
    free(events);
    free(requests);
    check_distinct(3);
    finish(client);
}

static int child_closes(phc_client *client) {
    if (capture_some(client, "child", 1)) return 1;
    return phc_client_close(client, 10000) == PHC_OK ? 0 : 2;
}

static void a_childs_close_does_not_report_its_parents_losses(void) {
    script("{\"steps\":[{\"verdicts\":[\"drop\"]}]}");
    phc_client *client = make_client(NULL, NULL);
    capture_some(client, "parent", 1);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(in_child(child_closes, client), 0);
    CHECK_EQ(phc_client_close(client, 10000), PHC_LOST_EVENTS);
    finish(client);
}

static pid_t child_of_callback;
static int32_t fork_once(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    if (child_of_callback < 0) {
        child_of_callback = fork();
        if (child_of_callback == 0) alarm(20);
    }
    return PHC_BEFORE_SEND_KEEP;
}

static void a_fork_inside_before_send_makes_no_uuid_twice(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_set_before_send_callback(client, fork_once, NULL, NULL), PHC_OK);
    child_of_callback = -1;
    fflush(NULL);
    phc_status status = phc_capture(client, "user", "forked inside", NULL);
    if (child_of_callback == 0) {
        /* The event is the parent's. The child's own ones get other uuids. */
        if (status != PHC_BEFORE_SEND || strstr(phc_last_error(), "forked") == NULL) _exit(1);
        if (phc_capture(client, "user", "child", NULL) != PHC_OK) _exit(2);
        if (phc_flush(client, 10000, NULL, 0) != PHC_OK) _exit(3);
        phc_client_free(client);
        _exit(0);
    }
    CHECK_EQ(status, PHC_OK);
    int ended = -1;
    waitpid(child_of_callback, &ended, 0);
    CHECK(WIFEXITED(ended));
    CHECK_EQ(WEXITSTATUS(ended), 0);
    capture(client, "parent");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_distinct(3);
    finish(client);
}

static int readable(ptrdiff_t fd) {
    struct pollfd wanted = {.fd = (int)fd, .events = POLLIN};
    return poll(&wanted, 1, 0) == 1;
}

static ptrdiff_t parents_fd;
static int child_polls(phc_client *client) {
    ptrdiff_t fd = phc_poll_fd(client);
    if (fd < 0 || fd == parents_fd || readable(fd)) return 1;
    if (capture_some(client, "child", 1)) return 2;
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 3;
    if (!readable(fd)) return 4;
    phc_report *report = phc_poll(client, 0);
    if (report == NULL) return 5;
    phc_report_free(report);
    return phc_poll(client, 0) == NULL && !readable(fd) ? 0 : 6;
}

static void a_child_has_reports_and_a_descriptor_of_its_own(void) {
    phc_client *client = make_client("reports", "all", NULL);
    parents_fd = phc_poll_fd(client);
    capture_some(client, "parent", 1);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(in_child(child_polls, client), 0);
    CHECK(readable(parents_fd));
    phc_report *report = phc_poll(client, 0);
    CHECK(report != NULL);
    phc_report_free(report);
    CHECK(phc_poll(client, 0) == NULL);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(fork_when_idle),
        TEST(what_was_captured_before_belongs_to_the_parent),
        TEST(fork_with_requests_in_flight),
        TEST(fork_during_back_off),
        TEST(fork_before_the_first_capture),
        TEST(a_child_that_forks_again),
        TEST(fork_while_four_threads_capture),
        TEST(twenty_children_at_once_make_no_uuid_twice),
        TEST(fork_while_another_thread_makes_the_first_capture),
        TEST(a_child_can_open_a_client_by_name),
        TEST(fork_during_close),
        TEST(fork_while_another_thread_flushes),
        TEST(a_child_that_execs),
        TEST(callbacks_stay_set_in_a_child),
        TEST(the_error_and_the_log_callback_stay_set_in_a_child),
        TEST(settings_super_properties_and_the_opt_out_stay_in_a_child),
        TEST(a_childs_close_does_not_report_its_parents_losses),
        TEST(a_fork_inside_before_send_makes_no_uuid_twice),
        TEST(a_child_has_reports_and_a_descriptor_of_its_own),
    };
    return RUN_TESTS(tests);
}
