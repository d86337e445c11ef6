/* Pending events on disk at spool_safety = call: each capture that returned PHC_OK, and the threads that write them. */
#include "spooling.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int acknowledged[2];

static void *acknowledge_each(void *client) {
    for (int i = 0; i < 5000; i++) {
        char line[PHC_UUID_SIZE];
        if (phc_capture_get_uuid(client, "user", "a", "{\"some\":\"text\"}", line) != PHC_OK) break;
        line[PHC_UUID_SIZE - 1] = '\n';
        if (write(acknowledged[1], line, sizeof line) != sizeof line) break;
    }
    return NULL;
}

enum { KILLS = 4, WRITERS = 2 };

static void acknowledge_until_killed(void) {
    close(acknowledged[0]);
    /* Nothing but the promise of `call` writes so soon, and nothing is sent. */
    phc_client *client = SPOOLING("call", "spool_write_ms", "3600000", "flush_at", "100000",
                                  "max_batch_events", "100000", NULL);
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) pthread_create(&threads[i], NULL, acknowledge_each, client);
    pause();
}

static char *text_of_killed(int lines) {
    CHECK_EQ(pipe(acknowledged), 0);
    pid_t pid = begin_process(acknowledge_until_killed);
    close(acknowledged[1]);
    size_t size = 0;
    char *text = malloc(KILLS * 5000 * WRITERS * PHC_UUID_SIZE + 1);
    for (ssize_t got = 1; got > 0; size += (size_t)(got > 0 ? got : 0)) {
        got = read(acknowledged[0], text + size, 4096);
        if (size / PHC_UUID_SIZE >= (size_t)lines) kill(pid, SIGKILL);
    }
    close(acknowledged[0]);
    text[size] = '\0';
    killed(end_of(pid));
    return text;
}

static void at_call_what_was_acknowledged_outlives_a_kill(void) {
    folder = new_folder();
    char *texts[KILLS];
    size_t lines = 0;
    for (int i = 0; i < KILLS; i++) {
        texts[i] = text_of_killed(1 + 400 * i);
        lines += strlen(texts[i]) / PHC_UUID_SIZE;
    }
    CHECK(lines >= 1 + 401 + 801 + 1201);
    CHECK_EQ(summary("requests"), 0);
    phc_client *next = SPOOLING("crash", NULL);
    capture(next, "own");
    AWAIT(next, recovered, lines);
    AWAIT(next, delivered, lines);
    CHECK_EQ(phc_flush(next, 20000, NULL, 0), PHC_OK);
    /* A capture that was killed may have been written, and had no time to say so. */
    phc_stats stats = stats_of(next);
    CHECK(stats.recovered <= lines + KILLS * WRITERS);
    CHECK_EQ(stats.lost, 0);
    char *accepted = sink_get("_accepted");
    size_t missing = 0;
    for (int i = 0; i < KILLS; i++) {
        for (char *line = texts[i]; *line != '\0'; line += PHC_UUID_SIZE) {
            line[PHC_UUID_SIZE - 1] = '\0';
            missing += strstr(accepted, line) == NULL;
        }
        free(texts[i]);
    }
    CHECK_EQ(missing, 0);
    free(accepted);
    finish(next);
}

/* How many writes this thread has made. */
static long writes_of_this_thread(void) {
    FILE *file = fopen("/proc/thread-self/io", "r");
    char line[100];
    long writes = -1;
    while (file && fgets(line, sizeof line, file)) sscanf(line, "syscw: %ld", &writes);
    if (file) fclose(file);
    return writes;
}

#define KEEPING_ALL                                                                                          \
    "flush_at", "100000", "flush_interval_ms", "3600000", "max_batch_events", "100000", "spool_write_ms",    \
        "3600000"

/* All but the first events, for which there is no file yet. */
static void at_call_a_thread_writes_the_events_that_it_captures(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("call", KEEPING_ALL, NULL);
    capture(client, "first");
    await_segments(2); /* the second is for the next batch */
    for (int i = 0; i < 3; i++) {
        /* What may be appended is extended meanwhile. */
        long before = writes_of_this_thread();
        capture_n(client, 2000);
        long after = writes_of_this_thread();
        CHECK(before >= 0 && after - before >= 1900);
        AWAIT(client, spooled, 1 + (uint64_t)(i + 1) * 2000);
    }
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 6001);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 6001);
    finish(client);
    CHECK_EQ(segments(), 1);
    next_delivers(6001, 6002);
}

/* Batches that follow each other, each of which has a file that was made before. */
static void at_call_nothing_is_left_of_what_was_delivered(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("call", "flush_at", "10", "max_batch_events", "10", NULL);
    for (int i = 0; i < 20; i++) {
        capture_n(client, 25);
        if (i % 4 == 0) CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    }
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    await_segments(1); /* which waits for events */
    CHECK_EQ(stats_of(client).delivered, 500);
    finish(client);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 500);
}

enum { SIDES = 4, OF_EACH_SIDE = 500 };

static void *capture_one_side(void *client) {
    capture_n(client, OF_EACH_SIDE);
    return NULL;
}

/* While batches are made, sent and removed. */
static void at_call_threads_write_side_by_side(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("call", "flush_at", "10", "max_batch_events", "10", NULL);
    pthread_t threads[SIDES];
    for (int i = 0; i < SIDES; i++) pthread_create(&threads[i], NULL, capture_one_side, client);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    }
    for (int i = 0; i < SIDES; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, SIDES * OF_EACH_SIDE);
    finish(client);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), SIDES * OF_EACH_SIDE);
}

static int captured_all;

static void *capture_while_cancelled(void *client) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    capture_n(client, 100);
    captured_all = 1;
    pthread_testcancel();
    return NULL;
}

/* A write is a cancellation point, but no capture is. */
static void at_call_a_thread_is_not_cancelled_while_it_writes(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("call", KEEPING_ALL, NULL);
    capture(client, "first");
    await_segments(2);
    pthread_t thread;
    void *result = NULL;
    pthread_create(&thread, NULL, capture_while_cancelled, client);
    pthread_join(thread, &result);
    CHECK(result == PTHREAD_CANCELED);
    CHECK_EQ(captured_all, 1);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 101);
    finish(client);
    next_delivers(101, 102);
}

static off_t bytes_found;
static char bytes_below[64];
static int add_bytes(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)where;
    if (kind == FTW_F && strstr(path, bytes_below) != NULL) bytes_found += stat->st_size;
    return 0;
}

/* In the folder of one process. */
static off_t bytes_of(pid_t pid) {
    snprintf(bytes_below, sizeof bytes_below, "/i-%d-", (int)pid);
    bytes_found = 0;
    nftw(folder, add_bytes, 16, FTW_PHYS);
    return bytes_found;
}

static phc_client *of_the_parent;

static void capture_and_be_killed(void) {
    off_t before = bytes_of(getppid());
    CHECK(before > 0);
    capture_n(of_the_parent, 200);
    CHECK_EQ(stats_of(of_the_parent).captured, 200);
    CHECK_EQ(bytes_of(getppid()), before);
    CHECK(bytes_of(getpid()) > 200 * 100);
    if (!has_failed()) kill_itself();
}

static void at_call_a_child_writes_to_no_file_of_its_parent(void) {
    folder = new_folder();
    of_the_parent = SPOOLING("call", KEEPING_ALL, NULL);
    capture_n(of_the_parent, 10);
    await_segments(2);
    for (int i = 0; i < 3; i++) killed(in_process(capture_and_be_killed));
    capture_n(of_the_parent, 5);
    CHECK_EQ(stats_of(of_the_parent).captured, 15);
    CHECK_EQ(phc_client_close(of_the_parent, 0), PHC_OK);
    finish(of_the_parent);
    next_delivers(615, 616);
}

#define FITTING 100 /* events in a file, which has as many bytes as it may have */

static off_t longest_found;
static int find_longest(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)path, (void)where;
    if (kind == FTW_F && stat->st_size > longest_found) longest_found = stat->st_size;
    return 0;
}

static void capture_what_fits_and_be_killed(void) {
    capture_n(SPOOLING("call", KEEPING_ALL, NULL), FITTING);
    kill_itself();
}

static void capture_more_than_a_file_may_have(void) {
    struct rlimit limit = {(rlim_t)longest_found, (rlim_t)longest_found};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    phc_client *client = SPOOLING("call", KEEPING_ALL, NULL);
    capture_n(client, 10 * FITTING);
    phc_client_close(client, 0);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 10 * FITTING);
    CHECK(stats.kept > 0 && stats.kept <= FITTING);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_CLOSED], 10 * FITTING - stats.kept);
    finish(client);
}

/* A thread of the host that wrote to a file of that length would end its process (SIGXFSZ). */
static void at_call_a_limit_for_files_ends_no_process(void) {
    folder = new_folder();
    killed(in_process(capture_what_fits_and_be_killed));
    longest_found = 0;
    nftw(folder, find_longest, 16, FTW_PHYS);
    CHECK(longest_found > FITTING * 100);
    folder = new_folder();
    CHECK_EQ(in_process(capture_more_than_a_file_may_have), 0);
    CHECK_EQ(segments(), 1);
}

static void work_and_be_killed(void) {
    close(acknowledged[0]);
    srand((unsigned)getpid());
    phc_client *client = SPOOLING("call", "flush_at", "10", "max_batch_events", "10", "flush_interval_ms",
                                  "50", "request_timeout_ms", "500", "max_retries", "1000", NULL);
    for (int i = 0; i < 200; i++) {
        char line[PHC_UUID_SIZE];
        CHECK_EQ(phc_capture_get_uuid(client, "user", "a", NULL, line), PHC_OK);
        line[PHC_UUID_SIZE - 1] = '\n';
        CHECK_EQ(write(acknowledged[1], line, sizeof line), sizeof line);
        if (i % 20 == 0) usleep((useconds_t)rand() % 20000);
    }
    usleep((useconds_t)rand() % 1000000);
    if (!has_failed()) kill_itself();
}

/* However they die, and however the server behaves: each event arrives, from whichever process. */
static void workers_that_are_killed_lose_nothing_that_was_acknowledged(void) {
    enum { WORKERS = 6 };
    folder = new_folder();
    expect_violations();
    set_chaos("{\"seed\":42,\"status503\":0.2,\"retry\":0.1,\"cut\":0.1,\"delay_ms_max\":50}");
    CHECK_EQ(pipe(acknowledged), 0);
    pid_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) workers[i] = begin_process(work_and_be_killed);
    close(acknowledged[1]);
    static char text[WORKERS * 200 * PHC_UUID_SIZE];
    size_t size = 0;
    for (ssize_t got = 1; got > 0; size += (size_t)(got > 0 ? got : 0))
        got = read(acknowledged[0], text + size, sizeof text - size);
    close(acknowledged[0]);
    for (int i = 0; i < WORKERS; i++) killed(end_of(workers[i]));
    CHECK_EQ(size, sizeof text);
    set_chaos("{}");
    phc_client *client = SPOOLING("crash", "max_retries", "1000", NULL);
    capture(client, "own");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    wait_for("accepted=1201");
    CHECK_EQ(summary("accepted"), WORKERS * 200 + 1);
    CHECK_EQ(stats_of(client).lost, 0);
    char *accepted = sink_get("_accepted");
    for (char *line = text; line < text + size; line += PHC_UUID_SIZE) {
        line[PHC_UUID_SIZE - 1] = '\0';
        CHECK(strstr(accepted, line) != NULL);
    }
    free(accepted);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(at_call_what_was_acknowledged_outlives_a_kill),
        TEST(at_call_a_thread_writes_the_events_that_it_captures),
        TEST(at_call_nothing_is_left_of_what_was_delivered),
        TEST(at_call_threads_write_side_by_side),
        TEST(at_call_a_thread_is_not_cancelled_while_it_writes),
        TEST(at_call_a_child_writes_to_no_file_of_its_parent),
        TEST(at_call_a_limit_for_files_ends_no_process),
        TEST(workers_that_are_killed_lose_nothing_that_was_acknowledged),
    };
    return RUN_TESTS(tests);
}
