/* Threads of the host and of the library. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 8
#define EACH 5000

static void *capture_many(void *client) {
    for (int i = 0; i < EACH; i++) CHECK_EQ(phc_capture(client, "user", "event", "{\"n\":1}"), PHC_OK);
    return NULL;
}

static void eight_threads_capture_at_once(void) {
    phc_client *client = make_client(NULL, NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, capture_many, client);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, THREADS * EACH);
    CHECK_EQ(summary("accepted"), THREADS * EACH);
    CHECK_EQ(summary("events"), THREADS * EACH);
    finish(client);
}

static void there_is_one_thread_and_only_while_it_is_needed(void) {
    CHECK_EQ(thread_count(""), 1);
    phc_client *client = make_client(NULL, NULL), *other = make_client(NULL, NULL);
    CHECK_EQ(thread_count(""), 1);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
    CHECK_EQ(phc_capture(other, "user", "event", NULL), PHC_OK);
    CHECK_EQ(thread_count(""), 2);
    CHECK_EQ(thread_appears("phc-io"), 1);
    finish(client);
    CHECK_EQ(thread_count("phc-io"), 1);
    finish(other);
    CHECK_EQ(thread_count(""), 1);
    CHECK_EQ(summary("accepted"), 2);
}

static void two_clients_do_not_mix(void) {
    char host[300];
    snprintf(host, sizeof host, "%s/other", space_host());
    phc_client *here = make_client(NULL, NULL), *there = make_client_at(host, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        phc_capture(here, "user", "here", NULL);
        phc_capture(there, "user", "there", NULL);
    }
    CHECK_EQ(phc_flush(here, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flush(there, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events"), *others = sink_get("other/_events");
    CHECK_EQ(count(events, "\"here\""), 100);
    CHECK_EQ(count(events, "\"there\""), 0);
    CHECK_EQ(count(others, "\"there\""), 100);
    free(events);
    free(others);
    finish(here);
    finish(there);
}

static void a_client_made_and_freed_a_thousand_times_leaks_no_thread(void) {
    for (int i = 0; i < 1000; i++) {
        phc_client *client = make_client(NULL, NULL);
        phc_set_error_callback(client, NULL, NULL, NULL);
        phc_client_free(client);
    }
    for (int i = 0; i < 50; i++) {
        phc_client *client = make_client(NULL, NULL);
        CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
        phc_client_free(client);
    }
    CHECK_EQ(thread_count(""), 1);
    CHECK_EQ(summary("accepted"), 50);
}

/* The signals that a thread blocks, from /proc. */
static unsigned long long blocked_signals(const char *name) {
    for (int id = 1; id < 400000; id++) {
        char path[64], line[128];
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", id);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        int ours = fgets(line, sizeof line, file) != NULL && strncmp(line, name, strlen(name)) == 0;
        fclose(file);
        if (!ours) continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/status", id);
        file = fopen(path, "r");
        unsigned long long mask = 0;
        while (fgets(line, sizeof line, file) != NULL) {
            if (strncmp(line, "SigBlk:", 7) == 0) mask = strtoull(line + 7, NULL, 16);
        }
        fclose(file);
        return mask;
    }
    return 0;
}

static void a_hosts_signals_never_reach_our_threads(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_capture(client, "user", "event", NULL), PHC_OK);
    CHECK_EQ(thread_appears("phc-io"), 1);
    unsigned long long mask = blocked_signals("phc-io");
    const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGPROF, SIGALRM, SIGCHLD};
    const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++) CHECK(mask >> (blocked[i] - 1) & 1);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) CHECK(!(mask >> (open[i] - 1) & 1));
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    CHECK(!sigismember(&own, SIGTERM));
    struct sigaction pipe_action;
    sigaction(SIGPIPE, NULL, &pipe_action);
    CHECK(pipe_action.sa_handler == SIG_DFL);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(there_is_one_thread_and_only_while_it_is_needed),
        TEST(eight_threads_capture_at_once),
        TEST(two_clients_do_not_mix),
        TEST(a_client_made_and_freed_a_thousand_times_leaks_no_thread),
        TEST(a_hosts_signals_never_reach_our_threads),
    };
    return RUN_TESTS(tests);
}
