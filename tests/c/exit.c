/* The opt-in flush at the end of the process. Each case is a child process. */
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Forks, runs the child, waits for its end; returns how it ended. */
static int child(void (*body)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        body();
        exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static phc_client *client;

static void capture_and_exit(void) {
    client = make_client("exit_flush_ms", "20000", NULL);
    for (int i = 0; i < 5; i++) phc_capture(client, "user", "a", NULL);
}

static void an_exit_waits_for_what_is_pending(void) {
    script("{\"then\":{\"delay_ms\":200}}");
    CHECK_EQ(child(capture_and_exit), 0);
    CHECK_EQ(summary("accepted"), 5);
}

static void capture_by_default(void) {
    client = make_client("flush_interval_ms", "60000", NULL);
    phc_capture(client, "user", "a", NULL);
}

static void without_the_setting_nothing_waits(void) {
    CHECK_EQ(child(capture_by_default), 0);
    CHECK_EQ(summary("requests"), 0);
}

static void capture_for_a_silent_server(void) {
    client = make_client("exit_flush_ms", "200", NULL);
    phc_capture(client, "user", "a", NULL);
}

static void an_exit_waits_no_longer_than_it_may(void) {
    script("{\"then\":{\"never\":true}}");
    double start = now_ms();
    CHECK_EQ(child(capture_for_a_silent_server), 0);
    double took = now_ms() - start;
    CHECK(took >= 200 && took < SOON_MS);
}

static void *capture_for_ever(void *unused) {
    for (;;) {
        if (phc_capture(client, "user", "b", NULL) == PHC_QUEUE_FULL) sched_yield();
    }
    return unused;
}

static void exit_while_another_captures(void) {
    client = make_client("exit_flush_ms", "60000", "queue_max_events", "2000", NULL);
    phc_capture(client, "user", "a", NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, capture_for_ever, NULL);
    while (stats_of(client).captured < 1000) usleep(500);
}

static void an_exit_ends_while_others_go_on_capturing(void) {
    double start = now_ms();
    CHECK_EQ(child(exit_while_another_captures), 0);
    CHECK(now_ms() - start < 25000); /* it does not wait for the whole of its minute */
}

static void end_at_once(void) {
    capture_and_exit();
    _exit(0);
}

static void it_does_not_run_for__exit(void) {
    CHECK_EQ(child(end_at_once), 0);
    CHECK_EQ(summary("requests"), 0);
}

static void end_by_a_signal(void) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    capture_and_exit();
    abort();
}

static void it_does_not_run_in_a_crash(void) {
    int status = child(end_by_a_signal);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK_EQ(summary("requests"), 0);
}

static void only_exit(void) {}

static void inherit_and_exit(void) {
    /* The server never responds: if the child waited for the inherited events, it would take a minute. */
    client = make_client("exit_flush_ms", "60000", "flush_at", "1", "request_timeout_ms", "120000", NULL);
    phc_capture(client, "user", "a", NULL);
    wait_for("requests=1");
    double start = now_ms();
    int status = child(only_exit);
    if (status != 0 || now_ms() - start > SOON_MS) _exit(9);
    _exit(0);
}

static void a_forked_child_does_not_wait_for_its_parents_events(void) {
    script("{\"then\":{\"never\":true}}");
    CHECK_EQ(child(inherit_and_exit), 0);
    CHECK_EQ(summary("requests"), 1);
}

static void capture_more(void) {
    for (int i = 0; i < 3; i++) phc_capture(client, "user", "child", NULL);
}

static void capture_in_both(void) {
    capture_and_exit();
    if (child(capture_more) != 0) _exit(9);
}

static void a_forked_child_waits_for_its_own(void) {
    CHECK_EQ(child(capture_in_both), 0);
    CHECK_EQ(summary("accepted"), 8);
    CHECK_EQ(summary("events"), 8);
}

static void free_and_exit(void) {
    capture_and_exit();
    phc_client_free(client);
}

static void a_freed_client_is_not_waited_for(void) {
    CHECK_EQ(child(free_and_exit), 0);
    CHECK_EQ(summary("accepted"), 5);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_exit_waits_for_what_is_pending),
        TEST(without_the_setting_nothing_waits),
        TEST(an_exit_waits_no_longer_than_it_may),
        TEST(an_exit_ends_while_others_go_on_capturing),
        TEST(it_does_not_run_for__exit),
        TEST(it_does_not_run_in_a_crash),
        TEST(a_forked_child_does_not_wait_for_its_parents_events),
        TEST(a_forked_child_waits_for_its_own),
        TEST(a_freed_client_is_not_waited_for),
    };
    return RUN_TESTS(tests);
}
