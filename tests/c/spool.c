/* Pending events on disk: what outlives the end of a process, an outage and a full memory, who sends it then, and
 * what becomes of a folder or a disk that cannot be used. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DOWN "{\"then\":{\"status\":503}}"
/* The server has the third attempt and does not respond, so that it knows of each that was begun. */
#define HOLDS_THE_THIRD "{\"steps\":[{\"status\":503,\"times\":2},{\"status\":503,\"wait_for_script\":true}]}"

/* The running test's. */
static const char *folder;

/* A client of that folder, with these settings: key, value, …, NULL. */
#define SPOOLING(safety, ...) make_client("spool_dir", folder, "spool_safety", safety, __VA_ARGS__)

/* What a client counts, and how far it is to get. */
typedef struct {
    phc_client *client;
    size_t at;
    uint64_t wanted;
} goal;

static int is_reached(void *about) {
    const goal *own = about;
    phc_stats stats = stats_of(own->client);
    uint64_t value;
    memcpy(&value, (const char *)&stats + own->at, sizeof value);
    return value >= own->wanted;
}
#define AWAIT(client, counter, n) CHECK(await(is_reached, &(goal){client, offsetof(phc_stats, counter), n}))

/* The files of the folder that hold events. */
static int segments_found;
static int count_segment(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)stat, (void)where;
    const char *ending = strrchr(path, '.');
    segments_found += kind == FTW_F && ending != NULL && strcmp(ending, ".phs") == 0;
    return 0;
}

static int segments(void) {
    segments_found = 0;
    nftw(folder, count_segment, 16, FTW_PHYS);
    return segments_found;
}

static int are_so_many(void *wanted) { return segments() == *(const int *)wanted; }

/* They are made and removed by another thread, or process. */
static void await_segments(int wanted) {
    check_at(await(are_so_many, &wanted), __FILE__, __LINE__, "there are %d segments, not %d", segments(),
             wanted);
}

static int failed_before; /* what a child has inherited */
static int has_failed(void) { return failed_checks() > failed_before; }

/* A process of its own: it ends with 0 if no check fails in it, unless the body ends it in another way. */
static pid_t begin_process(void (*body)(void)) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(40);
        failed_before = failed_checks();
        body();
        _exit(has_failed());
    }
    return pid;
}

static int end_of(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

static int in_process(void (*body)(void)) { return end_of(begin_process(body)); }

static void killed(int status) { CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); }

static void kill_itself(void) {
    kill(getpid(), SIGKILL);
    pause();
}

/* What processes signal to each other. */
typedef char uuid_text[PHC_UUID_SIZE];
static uuid_text *shared_uuids(size_t n) {
    void *memory =
        mmap(NULL, n * sizeof(uuid_text), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static void capture_uuids(phc_client *client, const char *event, uuid_text *uuids, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char properties[32];
        snprintf(properties, sizeof properties, "{\"n\":%zu}", i);
        CHECK_EQ(phc_capture_get_uuid(client, "user", event, properties, uuids[i]), PHC_OK);
    }
}

/* The server responds again: the next client takes n events over, and delivers them with one of its own. In all the
 * server has so many events then (one that was sent again after it was stored would break a rule), and nothing is left
 * in the folder. */
static void next_delivers(uint64_t n, long long in_all) {
    respond_now();
    phc_client *next = SPOOLING("crash", NULL);
    capture(next, "own");
    AWAIT(next, recovered, n);
    AWAIT(next, delivered, n);
    CHECK_EQ(phc_flush(next, 20000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(next);
    CHECK_EQ(stats.captured, 1);
    CHECK_EQ(stats.recovered, n);
    CHECK_EQ(stats.delivered, n + 1);
    CHECK_EQ(stats.lost, 0);
    CHECK_EQ(stats.kept, 0);
    finish(next);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), in_all);
}

/* At the end of a test in which this rule may be broken: all others hold. */
static void only_this_rule_is_broken(const char *rule) {
    expect_violations();
    char *violations = sink_get("_violations"), broken[64];
    snprintf(broken, sizeof broken, "\"rule\":\"%s\"", rule);
    CHECK_EQ(count(violations, "\"rule\":"), count(violations, broken));
    free(violations);
}

/* A close in an outage may cut off an attempt before the server has it: the numbers of the attempts have a gap. */
#define CUT_OFF "attempt-gap"

/* The nth wire text of an event that the sink received; its length goes into len. */
static const char *wire_text(const char *events, const char *uuid, size_t n, size_t *len) {
    char begin[64];
    snprintf(begin, sizeof begin, "{\"uuid\":\"%s\",\"request\":", uuid);
    const char *at = events;
    for (size_t i = 0; (at = strstr(at, begin)) != NULL; i++, at += strlen(begin)) {
        if (i < n) continue;
        const char *wire = strstr(at, "\"event\":{"), *end = strstr(at, "},{\"uuid\":\"");
        *len = end == NULL ? strlen(wire) - 2 : (size_t)(end - wire);
        return wire;
    }
    *len = 0;
    return "";
}

/* -- what survives the end of a client, and of a process */

static void a_close_leaves_what_the_next_client_delivers(void) {
    folder = new_folder();
    script(HOLDS_THE_THIRD);
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    uuid_text uuids[5];
    capture_uuids(client, "left", uuids, 5);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    wait_for("requests=3");
    /* It is not an error: nothing is lost. */
    CHECK_EQ(phc_client_close(client, 100), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 5);
    CHECK_EQ(stats.kept, 5);
    CHECK_EQ(stats.pending_events, 0);
    finish(client);
    CHECK_EQ(segments(), 1);
    next_delivers(5, 6);
    char *accepted = sink_get("_accepted"), *events = sink_get("_events");
    for (size_t i = 0; i < 5; i++) {
        CHECK_HAS(accepted, uuids[i]);
        size_t first_len, last_len, sent = 0;
        const char *first = wire_text(events, uuids[i], 0, &first_len), *last = first;
        for (size_t len; *wire_text(events, uuids[i], sent, &len) != '\0'; sent++)
            last = wire_text(events, uuids[i], sent, &last_len);
        CHECK(sent >= 2);
        CHECK_EQ(last_len, first_len);
        CHECK(memcmp(first, last, first_len) == 0);
    }
    free(accepted);
    free(events);
}

static void without_time_a_close_writes_and_goes(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 5);
    CHECK_EQ(segments(), 0);
    double start = now_ms();
    finish(client);
    CHECK(now_ms() - start < SOON_MS);
    CHECK_EQ(summary("requests"), 0);
    CHECK_EQ(segments(), 1);
    next_delivers(5, 6);
}

static void exit_with_pending_events(void) {
    phc_client *client = SPOOLING("exit", NULL);
    capture_n(client, 5);
    CHECK_EQ(segments(), 0);
    exit(has_failed());
}

static void end_with_pending_events(void) {
    phc_client *client = SPOOLING("exit", NULL);
    capture_n(client, 3);
    _exit(has_failed());
}

static void an_exit_writes_what_is_pending(void) {
    folder = new_folder();
    CHECK_EQ(in_process(exit_with_pending_events), 0);
    CHECK_EQ(segments(), 1);
    /* Which `exit` does not promise of other ends. */
    CHECK_EQ(in_process(end_with_pending_events), 0);
    CHECK_EQ(segments(), 1);
    CHECK_EQ(summary("requests"), 0);
    next_delivers(5, 6);
}

static void exit_while_sending(void) {
    phc_client *client = SPOOLING("exit", "exit_flush_ms", "20000", NULL);
    capture_n(client, 5);
    exit(has_failed());
}

static void what_an_exit_still_delivers_is_not_left(void) {
    folder = new_folder();
    CHECK_EQ(in_process(exit_while_sending), 0);
    CHECK_EQ(summary("accepted"), 5);
    next_delivers(0, 6);
}

/* The file of a segment stays until all of its events have ended: what was delivered is not sent again. */
static void nothing_is_left_of_what_was_delivered(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("crash", NULL);
    for (int round = 0; round < 3; round++) {
        capture_n(client, 20);
        AWAIT(client, spooled, 20);
        CHECK(segments() > 0);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        await_segments(0);
        CHECK_EQ(stats_of(client).spooled, 0);
    }
    finish(client);
    CHECK_EQ(summary("accepted"), 60);
}

static void be_killed_when_all_is_on_disk(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture_n(client, 10);
    AWAIT(client, spooled, 10);
    capture_n(client, 10);
    AWAIT(client, spooled, 20);
    if (!has_failed()) kill_itself();
}

static void at_crash_a_kill_loses_nothing_that_is_on_disk(void) {
    folder = new_folder();
    killed(in_process(be_killed_when_all_is_on_disk));
    killed(in_process(be_killed_when_all_is_on_disk));
    CHECK_EQ(summary("requests"), 0);
    next_delivers(40, 41);
}

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

/* A kill between a response and what is written of it costs a second attempt, which breaks a rule. */
static void send_until_killed(void) {
    phc_client *client = SPOOLING("crash", "flush_at", "5", "max_batch_events", "5", "spool_adopt", "false",
                                  "request_timeout_ms", "120000", NULL);
    capture_n(client, 30);
    AWAIT(client, spooled, 30);
    AWAIT(client, requests, 4);
    if (!has_failed()) kill_itself();
}

static void a_kill_while_requests_are_open_loses_nothing(void) {
    folder = new_folder();
    expect_violations();
    for (int i = 0; i < 4; i++) {
        script("{\"then\":{\"wait_for_script\":true}}");
        killed(in_process(send_until_killed));
    }
    next_delivers(120, 121);
}

static void take_over_and_be_killed(void) {
    phc_client *client = SPOOLING("exit", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 10);
    if (!has_failed()) kill_itself();
}

static void what_was_taken_over_outlives_another_kill(void) {
    folder = new_folder();
    script("{\"then\":{\"wait_for_script\":true}}");
    expect_violations(); /* it is not known whether the attempts of the killed have arrived */
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 10);
    finish(client);
    for (int i = 0; i < 2; i++) killed(in_process(take_over_and_be_killed));
    next_delivers(10, 11);
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

static void persist_and_be_killed(void) {
    phc_client *client = SPOOLING("power", "spool_write_ms", "3600000", NULL);
    capture_n(client, 5);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 5);
    if (!has_failed()) kill_itself();
}

static void what_was_persisted_outlives_a_kill(void) {
    folder = new_folder();
    killed(in_process(persist_and_be_killed));
    next_delivers(5, 6);
}

/* -- outages */

static const char *const OUTAGES[] = {DOWN, "{\"then\":{\"close\":\"before_read\"}}",
                                      "{\"then\":{\"status\":504,\"accept\":false}}"};

static void an_outage_spends_no_retries_and_loses_nothing(void) {
    for (size_t i = 0; i < sizeof OUTAGES / sizeof OUTAGES[0]; i++) {
        folder = new_folder();
        script(OUTAGES[i]);
        sink_post("_clear", "{}");
        phc_client *client = SPOOLING("crash", "flush_at", "5", "max_batch_events", "5", NULL);
        capture_n(client, 50);
        wait_for("requests=40");
        AWAIT(client, spooled, 50);
        CHECK_EQ(stats_of(client).lost, 0);
        respond_now();
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, 50);
        CHECK_EQ(summary("accepted"), 50);
        finish(client);
        CHECK_EQ(segments(), 0);
    }
}

static void at_exit_an_outage_is_written(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("exit", "flush_at", "5", NULL);
    capture_n(client, 5);
    wait_for("accepted=5");
    await_segments(0);
    script(DOWN);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    CHECK_EQ(segments(), 1);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
    CHECK_EQ(segments(), 0);
}

static int refusals, errors;
static void note_refusal(phc_log_level level, const char *line, void *status) {
    if (level != PHC_LOG_ERROR) return;
    add_to(&errors, 1);
    if (strstr(line, status) != NULL && strstr(line, "nothing is lost") != NULL) add_to(&refusals, 1);
}

/* The key, the proxy, the address or the plan: what someone mends later. */
static void a_refusal_is_held_and_said_once(void) {
    const char *statuses[] = {"401", "403", "404", "407", "302"};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        folder = new_folder();
        char json[80];
        snprintf(json, sizeof json, "{\"then\":{\"status\":%s,\"accept\":false}}", statuses[i]);
        script(json);
        sink_post("_clear", "{}");
        refusals = errors = 0;
        phc_client *client = SPOOLING("crash", "flush_at", "2", "max_batch_events", "2", NULL);
        CHECK_EQ(phc_set_log_callback(client, note_refusal, (void *)(uintptr_t)statuses[i], NULL), PHC_OK);
        capture_n(client, 10);
        wait_for("requests=8");
        AWAIT(client, spooled, 10);
        CHECK_EQ(reaches(&refusals, 1), 1);
        CHECK_EQ(stats_of(client).lost, 0);
        CHECK_EQ(errors, 1);
        respond_now();
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, 10);
        finish(client);
        CHECK_EQ(refusals, 1);
        /* Without a spool these are final, which is a rule of the contract. */
        only_this_rule_is_broken("resent-after-refusal");
    }
}

static int has_room(void *client) { return phc_capture(client, "user", "a", NULL) != PHC_QUEUE_FULL; }

/* The queue bounds what is in memory: the events of an outage leave it. */
static void an_outage_may_be_larger_than_the_queue(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", "max_batch_events",
                                  "5", "overflow", "drop_newest", NULL);
    capture_n(client, 5);
    wait_for("requests=4");
    for (int i = 5; i < 1000; i++) CHECK(await(has_room, client));
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 1000);
    CHECK_EQ(stats.pending_events, 1000);
    CHECK_EQ(stats.lost, 0);
    AWAIT(client, spooled, 1000);
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    CHECK_EQ(summary("accepted"), 1000);
    finish(client);
    CHECK_EQ(segments(), 0);
}

static void a_blocked_capture_goes_on_when_events_have_left_memory(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", "max_batch_events",
                                  "5", "overflow", "block", "block_timeout_ms", "600000", NULL);
    capture_n(client, 5);
    wait_for("requests=4");
    capture_n(client, 995);
    CHECK_EQ(stats_of(client).pending_events, 1000);
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    finish(client);
}

static void a_queue_that_is_smaller_than_a_batch_leaves_memory_too(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", NULL);
    capture_n(client, 5);
    wait_for("requests=4");
    for (int i = 5; i < 300 && !has_failed(); i++) CHECK(await(has_room, client));
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 300);
    finish(client);
}

static void a_batch_that_grew_after_it_was_written_leaves_memory_whole(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("crash", "queue_max_events", "100", "flush_at", "5", "max_batch_events",
                                  "5", "overflow", "block", "block_timeout_ms", "600000", NULL);
    capture(client, "a");
    AWAIT(client, spooled, 1);
    capture_n(client, 299);
    AWAIT(client, spooled, 300);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 300);
    CHECK_EQ(summary("accepted"), 300);
    finish(client);
}

static void what_has_left_memory_outlives_a_close(void) {
    folder = new_folder();
    /* The server has the fifth attempt and does not respond, so that it knows of each that was begun. */
    script(
        "{\"steps\":[{\"status\":503,\"times\":4},{\"status\":503,\"wait_for_script\":true,\"times\":0}]}");
    phc_client *client =
        SPOOLING("exit", "queue_max_events", "100", "flush_at", "5", "max_batch_events", "5", "max_in_flight",
                 "1", "request_timeout_ms", "120000", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 5);
    wait_for("requests=5");
    for (int i = 5; i < 400; i++) CHECK(await(has_room, client));
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 400);
    finish(client);
    next_delivers(400, 401);
}

/* Only the event that the server wants again is sent again: under the same request id, as its next attempt. */
static void verdicts_of_single_events_outlive_a_restart(void) {
    folder = new_folder();
    script(
        "{\"steps\":[{\"verdicts\":{\"again\":\"retry\",\"*\":\"ok\"}},{\"status\":503,\"wait_for_script\":true}]}");
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    uuid_text uuids[3];
    const char *events[3] = {"before", "again", "after"};
    for (int i = 0; i < 3; i++) capture_uuids(client, events[i], &uuids[i], 1);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    wait_for("requests=2");
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 2);
    CHECK_EQ(stats.kept, 1);
    finish(client);
    next_delivers(1, 4);
    char *requests = sink_get("_requests"), last[200];
    snprintf(last, sizeof last,
             "\"request_id\":\"%s\",\"attempt\":3,\"status\":200,\"event_count\":1,\"uuids\":[\"%s\"]",
             nth_string(requests, "request_id", 0), uuids[1]);
    CHECK_HAS(requests, last);
    free(requests);
}

/* Of a batch that was split, each half is sent once, whichever process sends it. */
static void a_split_outlives_a_restart(void) {
    folder = new_folder();
    script("{\"steps\":[{\"when\":{\"min_events\":3},\"status\":413,\"times\":0},"
           "{\"when\":{\"event\":\"first\"}},{\"status\":503,\"wait_for_script\":true,\"times\":0}]}");
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    uuid_text uuids[8];
    capture_uuids(client, "first", uuids, 1);
    capture_uuids(client, "other", uuids + 1, 7);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    /* 8, then 4 and 4, then four times 2, one of which is delivered. */
    wait_for("requests=7&accepted=2");
    AWAIT(client, delivered, 2);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 6);
    finish(client);
    next_delivers(6, 9);
    char *accepted = sink_get("_accepted");
    for (int i = 0; i < 8; i++) CHECK_HAS(accepted, uuids[i]);
    free(accepted);
}

static void what_was_left_is_sent_as_it_was_meant(void) {
    folder = new_folder();
    phc_client *client = SPOOLING("exit", "historical_migration", "true", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 2);
    finish(client);
    next_delivers(2, 3);
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "\"historical_migration\":true"), 1);
    CHECK_EQ(count(requests, "\"historical_migration\":false"), 1);
    free(requests);
}

/* An event that the server wants again and again waits for longer when its retries are spent, and is not lost. */
static void spent_retries_lose_nothing(void) {
    folder = new_folder();
    script("{\"then\":{\"verdicts\":{\"again\":\"retry\",\"*\":\"ok\"}}}");
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "again");
    capture(client, "other");
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    wait_for("requests=4");
    AWAIT(client, delivered, 1);
    /* Others are sent meanwhile. */
    capture(client, "more");
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    AWAIT(client, delivered, 2);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost, 0);
    CHECK_EQ(stats.kept, 1);
    CHECK_EQ(stats.requests, 5);
    finish(client);
    CHECK_EQ(segments(), 1);
}

/* What the server refuses as such is lost as ever. */
static void what_the_server_does_not_want_is_lost(void) {
    folder = new_folder();
    const char *scripts[] = {"{\"then\":{\"verdicts\":[\"drop\"]}}", "{\"then\":{\"status\":400}}"};
    for (size_t i = 0; i < 2; i++) {
        script(scripts[i]);
        phc_client *client = SPOOLING("crash", NULL);
        capture_n(client, 2);
        AWAIT(client, spooled, 2);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        CHECK_EQ(stats_of(client).lost, 2);
        await_segments(0);
        finish(client);
    }
}

static void *flush_without_limit(void *client) {
    return (void *)(intptr_t)phc_flush(client, PHC_NO_LIMIT, NULL, 0);
}

static void a_close_that_leaves_events_ends_the_flushes_of_other_threads(void) {
    folder = new_folder();
    script("{\"then\":{\"status\":503,\"wait_for_script\":true}}");
    phc_client *client = SPOOLING("exit", "request_timeout_ms", "120000", NULL);
    capture_n(client, 3);
    pthread_t flusher;
    pthread_create(&flusher, NULL, flush_without_limit, client);
    wait_for("requests=1");
    CHECK_EQ(phc_client_close(client, 50), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 3);
    void *status;
    pthread_join(flusher, &status);
    CHECK_EQ((intptr_t)status, PHC_OK);
    finish(client);
    next_delivers(3, 4);
}

/* -- who sends what is left */

static void leave_two(void) {
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 2);
    finish(client);
}

static void a_flush_does_not_wait_for_what_others_have_left(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_two), 0);
    script("{\"steps\":[{\"when\":{\"event\":\"event\"},\"wait_for_script\":true}]}");
    phc_client *client = SPOOLING("crash", "request_timeout_ms", "120000", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 2);
    wait_for("requests=1");
    phc_flush_result result = {0};
    CHECK_EQ(phc_flush(client, 20000, &result, sizeof result), PHC_OK);
    CHECK_EQ(result.settled, 1);
    CHECK_EQ(result.delivered, 1);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.pending_events, 2);
    CHECK_EQ(stats.delivered, 1);
    respond_now();
    AWAIT(client, delivered, 3);
    finish(client);
}

static void leave_one_with_spent_retries(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "again");
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    for (uint32_t attempt = 0; attempt < 4;) {
        phc_report *report = phc_poll(client, 20000);
        CHECK(report != NULL);
        attempt = report == NULL ? 4 : phc_report_attempt(report);
        phc_report_free(report);
    }
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 1);
    finish(client);
}

static void a_parked_event_holds_up_no_other(void) {
    folder = new_folder();
    script("{\"then\":{\"verdicts\":{\"again\":\"retry\",\"*\":\"ok\"}}}");
    for (int i = 0; i < 3; i++) CHECK_EQ(in_process(leave_one_with_spent_retries), 0);
    CHECK_EQ(in_process(leave_two), 0);
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "own");
    AWAIT(client, delivered, 2);
    AWAIT(client, recovered, 5);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).lost, 0);
    CHECK_EQ(stats_of(client).kept, 4);
    finish(client);
}

/* Like workers that live for a few requests; more of them than are taken over at once. */
static void what_many_processes_have_left_is_delivered(void) {
    folder = new_folder();
    for (int i = 0; i < 20; i++) CHECK_EQ(in_process(leave_two), 0);
    CHECK_EQ(segments(), 20);
    next_delivers(40, 41);
}

static void *make_and_leave(void *unused) {
    leave_two();
    return unused;
}

static void two_clients_share_a_folder(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *one = SPOOLING("crash", NULL), *two = SPOOLING("crash", "spool_adopt", "false", NULL);
    capture_n(one, 3);
    capture_n(two, 4);
    AWAIT(one, spooled, 3);
    AWAIT(two, spooled, 4);
    CHECK_EQ(segments(), 2);
    /* The third takes over what the first has left, and nothing of the second. */
    CHECK_EQ(phc_client_close(one, 0), PHC_OK);
    CHECK_EQ(stats_of(one).kept, 3);
    finish(one);
    phc_client *three = SPOOLING("crash", NULL);
    capture(three, "own");
    AWAIT(three, recovered, 3);
    respond_now();
    AWAIT(three, delivered, 3);
    CHECK_EQ(phc_flush(two, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flush(three, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(two).delivered, 4);
    CHECK_EQ(stats_of(two).recovered, 0);
    CHECK_EQ(stats_of(three).recovered, 3);
    finish(two);
    finish(three);
    CHECK_EQ(summary("accepted"), 8);
    CHECK_EQ(segments(), 0);
    /* Folders are made and removed by several at once. */
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, make_and_leave, NULL);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    next_delivers(16, 25);
    only_this_rule_is_broken(CUT_OFF);
}

/* What is for another host or key is not sent, and not touched. */
static void other_destinations_are_left_alone(void) {
    folder = new_folder();
    char other[300];
    snprintf(other, sizeof other, "%s/other", namespace_host());
    phc_client *client = make_client_at(other, "spool_dir", folder, "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 2);
    finish(client);
    CHECK_EQ(in_process(leave_two), 0);
    client = SPOOLING("crash", NULL);
    capture(client, "own");
    AWAIT(client, delivered, 2);
    finish(client);
    CHECK_EQ(segments(), 1);
    client = make_client_at(other, "spool_dir", folder, NULL);
    capture(client, "own");
    AWAIT(client, delivered, 2);
    finish(client);
    CHECK_EQ(segments(), 0);
}

static void a_client_that_adopts_nothing(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_two), 0);
    phc_client *client = SPOOLING("exit", "spool_adopt", "false", NULL);
    capture(client, "own");
    /* The other one looks later than this one would. */
    next_delivers(2, 3);
    CHECK_EQ(stats_of(client).recovered, 0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
}

/* -- processes that live, and their children */

static int reached[2], held[2];

/* Has the other end of `reached` read that it got here. */
static void signal_reached(void) { CHECK_EQ(write(reached[1], "x", 1), 1); }
static int has_reached(void) {
    char one;
    return read(reached[0], &one, 1) == 1;
}

static void wait_until_let_go(void) {
    char one;
    close(held[1]);
    CHECK_EQ(read(held[0], &one, 1), 0);
}

static void open_pipes(void) {
    CHECK_EQ(pipe(reached), 0);
    CHECK_EQ(pipe(held), 0);
}

static void close_pipes(void) {
    close(reached[0]);
    close(reached[1]);
    close(held[0]);
}

static void live_until_let_go(void) {
    phc_client *client = SPOOLING("crash", "spool_adopt", "false", NULL);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    signal_reached();
    wait_until_let_go();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 5);
    finish(client);
}

static void a_living_process_keeps_what_is_its_own(void) {
    for (int stopped = 0; stopped < 2; stopped++) {
        folder = new_folder();
        sink_post("_clear", "{}");
        open_pipes();
        pid_t living = begin_process(live_until_let_go);
        CHECK(has_reached());
        if (stopped) {
            kill(living, SIGSTOP);
            int status = 0;
            waitpid(living, &status, WUNTRACED);
            CHECK(WIFSTOPPED(status));
        }
        CHECK_EQ(in_process(leave_two), 0);
        phc_client *client = SPOOLING("crash", NULL);
        capture(client, "own");
        /* It has looked at both, then. */
        AWAIT(client, delivered, 2);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).recovered, 2);
        await_segments(1);
        if (stopped) kill(living, SIGCONT);
        close(held[1]);
        CHECK_EQ(end_of(living), 0);
        close_pipes();
        finish(client);
        CHECK_EQ(summary("accepted"), 8);
        CHECK_EQ(segments(), 0);
    }
}

/* How many descriptors this process has of the folder. */
static int descriptors_of_folder(void) {
    int found = 0;
    DIR *list = opendir("/proc/self/fd");
    for (struct dirent *one; (one = readdir(list)) != NULL;) {
        char path[300], target[300] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%s", one->d_name);
        if (readlink(path, target, sizeof target - 1) > 0)
            found += strncmp(target, folder, strlen(folder)) == 0;
    }
    closedir(list);
    return found;
}

static phc_client *inherited;

static void only_exit(void) {
    CHECK_EQ(descriptors_of_folder(), 0);
    CHECK_EQ(thread_count("phc-"), 0);
    exit(has_failed());
}

static void flush_persist_and_free(void) {
    CHECK_EQ(phc_persist(inherited, 20000), PHC_OK);
    CHECK_EQ(phc_flush(inherited, 20000, NULL, 0), PHC_OK);
    phc_client_free(inherited);
    CHECK_EQ(descriptors_of_folder(), 0);
}

static void capture_and_free(void) {
    capture_n(inherited, 2);
    AWAIT(inherited, spooled, 2);
    CHECK_EQ(segments(), 2);
    CHECK(descriptors_of_folder() > 0);
    CHECK_EQ(phc_flush(inherited, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(inherited).delivered, 2);
    CHECK(await(is_reached, &(goal){inherited, offsetof(phc_stats, delivered), 2}));
    phc_client_free(inherited);
    CHECK_EQ(segments(), 1);
}

static void discard_own(void) {
    capture_n(inherited, 3);
    uint64_t discarded = 0;
    CHECK_EQ(phc_spool_discard(inherited, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 3);
    CHECK_EQ(segments(), 1);
}

static void a_forked_child_leaves_its_parents_files_alone(void) {
    folder = new_folder();
    inherited = SPOOLING("crash", NULL);
    capture_n(inherited, 5);
    AWAIT(inherited, spooled, 5);
    CHECK(descriptors_of_folder() > 0);
    void (*bodies[])(void) = {only_exit, flush_persist_and_free, capture_and_free, discard_own};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        CHECK_EQ(in_process(bodies[i]), 0);
        CHECK_EQ(segments(), 1);
        CHECK_EQ(stats_of(inherited).spooled, 5);
    }
    CHECK_EQ(phc_flush(inherited, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(inherited).delivered, 5);
    finish(inherited);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 7);
}

static void has_no_descriptors(void) { CHECK_EQ(descriptors_of_folder(), 0); }

static void children_of_many_clients_have_none_of_their_descriptors(void) {
    enum { CLIENTS = 64 };
    folder = new_folder();
    phc_client *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = SPOOLING("crash", "spool_adopt", "false", "shutdown_timeout_ms", "0", NULL);
        capture(clients[i], "a");
    }
    for (int i = 0; i < CLIENTS; i++) CHECK_EQ(phc_persist(clients[i], 20000), PHC_OK);
    CHECK_EQ(in_process(has_no_descriptors), 0);
    for (int i = 0; i < CLIENTS; i++) finish(clients[i]);
    CHECK_EQ(segments(), CLIENTS);
}

static void outlive_the_parent(void) {
    wait_until_let_go();
    signal_reached();
}

static void run_a_program(void) {
    char script[60];
    close(held[1]);
    snprintf(script, sizeof script, "read x <&%d; printf x >&%d", held[0], reached[1]);
    execl("/bin/sh", "sh", "-c", script, (char *)NULL);
}

static void (*outliving)(void);

static void die_before_the_child(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    begin_process(outliving);
    if (!has_failed()) kill_itself();
}

static void what_a_dead_parent_has_left_is_taken_over_while_its_child_lives(void) {
    void (*bodies[])(void) = {outlive_the_parent, run_a_program};
    for (size_t i = 0; i < 2; i++) {
        folder = new_folder();
        sink_post("_clear", "{}");
        outliving = bodies[i];
        open_pipes();
        killed(in_process(die_before_the_child));
        next_delivers(5, 6);
        /* It lived all the time. */
        close(held[1]);
        CHECK(has_reached());
        close_pipes();
    }
}

/* -- what a host asks for */

static void persist_returns_what_is_true(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_persist(client, 1000), PHC_SPOOL);
    CHECK_HAS(phc_last_error(), "set spool_dir");
    finish(client);
    folder = new_folder();
    client = SPOOLING("exit", NULL);
    /* There is nothing to write. */
    CHECK_EQ(phc_persist(client, 0), PHC_OK);
    capture_n(client, 5);
    CHECK_EQ(stats_of(client).spooled, 0);
    CHECK_EQ(phc_persist(client, PHC_NO_LIMIT), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 5);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    /* Without time it does not wait for a disk that takes milliseconds. */
    phc_status status = PHC_OK;
    for (int i = 0; i < 1000 && status == PHC_OK; i++) {
        capture(client, "a");
        status = phc_persist(client, 0);
    }
    CHECK_EQ(status, PHC_TIMEOUT);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, stats_of(client).captured);
    CHECK_EQ(phc_client_close(client, 20000), PHC_OK);
    CHECK_EQ(phc_persist(client, 20000), PHC_CLOSED);
    CHECK_EQ(phc_spool_discard(client, 20000, NULL), PHC_CLOSED);
    finish(client);
    client = SPOOLING("crash", "test_mode", "true", NULL);
    CHECK_EQ(phc_persist(client, 0), PHC_SPOOL);
    finish(client);
}

static uuid_text *left_uuids;

static void leave_these(void) {
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_uuids(client, "left", left_uuids, 5);
    finish(client);
}

static void a_discard_ends_everything_that_is_pending(void) {
    folder = new_folder();
    script(DOWN);
    left_uuids = shared_uuids(5);
    phc_client *neighbour = SPOOLING("crash", NULL);
    capture_n(neighbour, 2);
    AWAIT(neighbour, spooled, 2);
    CHECK_EQ(in_process(leave_these), 0);
    phc_client *client =
        SPOOLING("exit", "flush_at", "4", "max_batch_events", "4", "reports", "losses", NULL);
    uuid_text own[6];
    capture_uuids(client, "own", own, 4);
    wait_for("requests=4");
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    capture_uuids(client, "own", own + 4, 2);
    CHECK_EQ(segments(), 3);
    uint64_t discarded = 0;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 11);
    /* That of the neighbour, which lives. */
    CHECK_EQ(segments(), 1);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.recovered, 5);
    CHECK_EQ(stats.lost, 11);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_DISCARDED], 11);
    CHECK_EQ(stats.pending_events, 0);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"discarded\""), 11);
    for (int i = 0; i < 6; i++) CHECK_HAS(reports, own[i]);
    for (int i = 0; i < 5; i++) CHECK_HAS(reports, left_uuids[i]);
    free(reports);
    respond_now();
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 0);
    capture(client, "afterwards");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flush(neighbour, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(neighbour).delivered, 2);
    CHECK_EQ(phc_client_close(client, 20000), PHC_LOST_EVENTS);
    finish(client);
    finish(neighbour);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 3);
    munmap(left_uuids, 5 * sizeof(uuid_text));
}

static void what_is_captured_during_a_discard_is_written(void) {
    const char *levels[] = {"exit", "crash", "call"};
    for (size_t i = 0; i < 3; i++) {
        folder = new_folder();
        phc_client *client = SPOOLING(levels[i], NULL);
        int missing = 0;
        for (int round = 0; round < 50; round++) {
            capture_n(client, 2);
            if (round % 3 == 0) CHECK_EQ(phc_persist(client, 20000), PHC_OK);
            phc_status status = phc_spool_discard(client, 0, NULL);
            CHECK(status == PHC_OK || status == PHC_TIMEOUT);
            capture_n(client, 3);
            CHECK_EQ(phc_persist(client, 20000), PHC_OK);
            phc_stats stats = stats_of(client);
            CHECK_EQ(stats.pending_events, 3);
            missing += (int)(stats.pending_events - stats.spooled);
            uint64_t discarded = 0;
            CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
            CHECK_EQ(discarded, 3);
        }
        CHECK_EQ(missing, 0);
        CHECK_EQ(segments(), 0);
        finish(client);
    }
    CHECK_EQ(summary("requests"), 0);
}

static void a_discard_needs_no_capture_before(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_two), 0);
    phc_client *client = SPOOLING("crash", NULL);
    uint64_t discarded = 0;
    CHECK_EQ(phc_spool_discard(client, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 2);
    CHECK_EQ(segments(), 0);
    finish(client);
    CHECK_EQ(summary("requests"), 0);
}

/* -- what cannot be sent any more */

static void what_is_too_old_is_lost_and_reported(void) {
    folder = new_folder();
    left_uuids = shared_uuids(5);
    CHECK_EQ(in_process(leave_these), 0);
    /* A client looks two seconds after its first capture. */
    phc_client *client = SPOOLING("crash", "spool_max_age_ms", "1000", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 5);
    AWAIT(client, lost, 5);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_EXPIRED], 5);
    CHECK_EQ(stats.delivered, 1);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"expired\""), 5);
    for (int i = 0; i < 5; i++) CHECK_HAS(reports, left_uuids[i]);
    free(reports);
    CHECK_EQ(phc_client_close(client, 20000), PHC_LOST_EVENTS);
    finish(client);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 1);
    munmap(left_uuids, 5 * sizeof(uuid_text));
}

static const char *wanted_text;
static int damage_one(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)where;
    if (kind != FTW_F || strstr(path, ".phs") == NULL) return 0;
    int fd = open(path, O_RDWR);
    char *bytes = malloc((size_t)stat->st_size);
    CHECK_EQ(read(fd, bytes, (size_t)stat->st_size), stat->st_size);
    char *at = memmem(bytes, (size_t)stat->st_size, wanted_text, strlen(wanted_text));
    CHECK(at != NULL);
    if (at != NULL) CHECK_EQ(pwrite(fd, "?", 1, at - bytes), 1);
    free(bytes);
    close(fd);
    return 0;
}

static void a_damaged_event_costs_no_other(void) {
    folder = new_folder();
    left_uuids = shared_uuids(5);
    CHECK_EQ(in_process(leave_these), 0);
    wanted_text = "{\"n\":2}";
    nftw(folder, damage_one, 16, FTW_PHYS);
    phc_client *client = SPOOLING("crash", NULL);
    capture(client, "own");
    AWAIT(client, recovered, 5);
    AWAIT(client, delivered, 4);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 5);
    CHECK_EQ(stats.lost, 1);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_CORRUPT], 1);
    char *reports = reports_of(client), *accepted = sink_get("_accepted");
    CHECK_HAS(reports, "\"missed_events\":1");
    for (int i = 0; i < 5; i++) CHECK_EQ(strstr(accepted, left_uuids[i]) == NULL, i == 2);
    free(reports);
    free(accepted);
    finish(client);
    CHECK_EQ(segments(), 0);
    munmap(left_uuids, 5 * sizeof(uuid_text));
}

/* -- folders and disks that cannot be used */

static void write_file(const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
}

static int entries_of(const char *path) {
    int found = 0;
    DIR *list = opendir(path);
    if (list == NULL) return -1;
    for (struct dirent *one; (one = readdir(list)) != NULL;) found += one->d_name[0] != '.';
    closedir(list);
    return found;
}

/* No client is made with this folder, and the error has both texts. */
static void check_refused_folder(const char *path, const char *why, const char *more) {
    phc_config *config = phc_config_new("phc_blackbox_key");
    phc_config_set(config, "host", namespace_host());
    CHECK_EQ(phc_config_set(config, "spool_dir", path), PHC_OK);
    phc_status status = PHC_OK;
    phc_client *client = phc_client_new(config, &status);
    check_at(client == NULL, __FILE__, __LINE__, "%s is accepted, and should not be: %s", path, why);
    CHECK_EQ(status, PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "spool_dir");
    CHECK_HAS(phc_last_error(), path);
    CHECK_HAS(phc_last_error(), why);
    CHECK_HAS(phc_last_error(), more);
    phc_client_free(client);
    phc_config_free(config);
}

static void a_folder_that_is_not_ours_is_refused(void) {
    /* Somebody's files. */
    folder = new_folder();
    write_file("notes.txt", "mine");
    check_refused_folder(folder, "notes.txt", "name a folder that is empty or new");
    CHECK_EQ(entries_of(folder), 1);
    /* Another program's marker. */
    folder = new_folder();
    write_file("phc-spool", "phc-spool 2\n");
    check_refused_folder(folder, "phc-spool", "version");
    CHECK_EQ(entries_of(folder), 1);
    /* A link, which someone may have prepared in /tmp, to a folder that would do. */
    folder = new_folder();
    char link[200], target[200], file[200], missing[200];
    snprintf(target, sizeof target, "%s/target", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    CHECK_EQ(mkdir(target, 0700), 0);
    CHECK_EQ(symlink(target, link), 0);
    check_refused_folder(link, "link", "");
    CHECK_EQ(entries_of(target), 0);
    /* Not a folder, or none that could be made. */
    write_file("file", "");
    snprintf(file, sizeof file, "%s/file", folder);
    check_refused_folder(file, "Not a directory", "");
    snprintf(missing, sizeof missing, "%s/missing/spool", folder);
    check_refused_folder(missing, "No such file or directory", "");
    /* A folder in which others may put things. */
    const mode_t modes[] = {0770, 0702, 0777, 01777};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        CHECK_EQ(chmod(target, modes[i]), 0);
        check_refused_folder(target, "others may write to it", "700");
        CHECK_EQ(entries_of(target), 0);
    }
    CHECK_EQ(chmod(target, 0700), 0);
    if (geteuid() == 0) {
        CHECK_EQ(chown(target, 65534, 65534), 0);
        check_refused_folder(target, "it belongs to user 65534", "user 0");
        CHECK_EQ(entries_of(target), 0);
    } else {
        check_refused_folder("/", "it belongs to user 0", "");
    }
}

static void a_new_folder_is_made_for_this_user_alone(void) {
    folder = new_folder();
    char path[200];
    snprintf(path, sizeof path, "%s/new", folder);
    mode_t before = umask(0);
    phc_client *client = make_client("spool_dir", path, "shutdown_timeout_ms", "0", NULL);
    capture(client, "a");
    AWAIT(client, spooled, 1);
    umask(before);
    struct stat made;
    CHECK_EQ(stat(path, &made), 0);
    CHECK_EQ(made.st_mode & 07777, 0700);
    finish(client);
    CHECK_EQ(segments(), 1);
}

/* What a host names before it becomes a daemon, whose folder is another one. */
static void leave_in_a_relative_folder(void) {
    CHECK_EQ(chdir(folder), 0);
    phc_client *client = make_client("spool_dir", "relative", "shutdown_timeout_ms", "0", NULL);
    CHECK_EQ(mkdir("elsewhere", 0700), 0);
    CHECK_EQ(chdir("elsewhere"), 0);
    capture_n(client, 2);
    finish(client);
    CHECK_EQ(entries_of("."), 0);
}

static void a_relative_folder_stays_where_it_was_named(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_in_a_relative_folder), 0);
    char path[200];
    snprintf(path, sizeof path, "%s/relative", folder);
    folder = path;
    CHECK_EQ(segments(), 1);
    next_delivers(2, 3);
}

static int warnings, recoveries;
static const char *warning_text;
static void note_disk(phc_log_level level, const char *line, void *user_data) {
    (void)user_data;
    if (level == PHC_LOG_WARNING && strstr(line, "in memory only") != NULL &&
        strstr(line, warning_text) != NULL)
        add_to(&warnings, 1);
    if (strstr(line, "the spool works again") != NULL) add_to(&recoveries, 1);
}

static void a_disk_without_free_space_is_said_once_and_loses_nothing(void) {
    folder = new_folder();
    script(DOWN);
    warnings = recoveries = 0;
    warning_text = "spool_min_free_bytes";
    phc_client *client = SPOOLING("crash", "spool_min_free_bytes", "1099511627776", "flush_at", "5", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    capture_n(client, 10);
    CHECK_EQ(reaches(&warnings, 1), 1);
    CHECK_EQ(phc_persist(client, 20000), PHC_SPOOL);
    CHECK_HAS(phc_last_error(), "still in memory");
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.spooled, 0);
    CHECK_EQ(stats.pending_events, 10);
    CHECK_EQ(segments(), 0);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 10);
    CHECK_EQ(warnings, 1);
    finish(client);
}

/* At `call` a disk that takes nothing holds up no capture. */
static void captures_do_not_wait_for_a_disk_that_takes_nothing(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *client = SPOOLING("call", "spool_min_free_bytes", "1099511627776", NULL);
    moment begun = begin();
    capture_n(client, 100);
    /* Each would wait a second. */
    CHECK(ms_had_since(begun) < SOON_MS);
    CHECK_EQ(stats_of(client).pending_events, 100);
    CHECK_EQ(phc_client_close(client, 100), PHC_LOST_EVENTS);
    CHECK_EQ(stats_of(client).lost_by_reason[PHC_LOSS_CLOSED], 100);
    finish(client);
}

static void without_descriptors_events_stay_in_memory(void) {
    folder = new_folder();
    warnings = recoveries = 0;
    warning_text = "Too many open files";
    phc_client *client = SPOOLING("crash", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    capture(client, "a");
    AWAIT(client, spooled, 1);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    await_segments(0);
    struct rlimit before, few;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    few = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    close(next);
    next = open("/dev/null", O_RDONLY); /* the last one */
    capture_n(client, 5);
    phc_status status = phc_persist(client, 20000);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(next);
    CHECK_EQ(status, PHC_SPOOL);
    CHECK_EQ(reaches(&warnings, 1), 1);
    CHECK_EQ(stats_of(client).pending_events, 5);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 5);
    CHECK_EQ(reaches(&recoveries, 1), 1);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 6);
    finish(client);
}

static void fill_the_disk(void) {
    warnings = recoveries = 0;
    warning_text = "";
    phc_client *client =
        SPOOLING("crash", "spool_min_free_bytes", "0", "flush_at", "10", "max_batch_events", "10", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    char properties[2048] = "{\"a\":\"";
    memset(properties + 6, 'x', 2000);
    strcpy(properties + 2006, "\"}");
    for (int i = 0; i < 1000; i++) CHECK_EQ(phc_capture(client, "user", "large", properties), PHC_OK);
    CHECK_EQ(reaches(&warnings, 1), 1);
    CHECK_EQ(phc_persist(client, 20000), PHC_SPOOL);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost, 0);
    CHECK_EQ(stats.pending_events, 1000);
    CHECK(stats.spooled < 1000);
    respond_now();
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    await_segments(0);
    /* There is space again. */
    capture_n(client, 3);
    AWAIT(client, spooled, 3);
    CHECK_EQ(reaches(&recoveries, 1), 1);
    CHECK_EQ(warnings, 1);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(stats_of(client).kept, 3);
    finish(client);
    next_delivers(3, 1004);
}

static void on_a_small_disk(void) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=1m,mode=700") != 0) {
        printf("NOT RUN: a disk of its own: %s; this test needs root\n", strerror(errno));
        return;
    }
    fill_the_disk();
}

static void a_full_disk_loses_nothing_and_recovers(void) {
    folder = new_folder();
    script(DOWN);
    CHECK_EQ(in_process(on_a_small_disk), 0);
    only_this_rule_is_broken(CUT_OFF);
}

static void a_folder_that_goes_away_costs_nothing(void) {
    folder = new_folder();
    script(DOWN);
    warnings = recoveries = 0;
    warning_text = "";
    phc_client *client = SPOOLING("crash", NULL);
    CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_EQ(system(command), 0);
    capture_n(client, 5);
    /* A call looks again at once: the folder is made anew. */
    phc_status status = phc_persist(client, 20000);
    CHECK(status == PHC_OK || status == PHC_SPOOL);
    CHECK_EQ(phc_persist(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).spooled, 10);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 10);
    finish(client);
}

static void the_quota_bounds_what_is_on_disk(void) {
    const char *overflows[] = {"drop_newest", "drop_oldest"};
    for (size_t i = 0; i < 2; i++) {
        folder = new_folder();
        script(DOWN);
        sink_post("_clear", "{}");
        warnings = recoveries = 0;
        warning_text = "spool_max_bytes";
        phc_client *client = SPOOLING("crash", "spool_max_bytes", "65536", "overflow", overflows[i],
                                      "flush_at", "10", "max_batch_events", "10", NULL);
        CHECK_EQ(phc_set_log_callback(client, note_disk, NULL, NULL), PHC_OK);
        char properties[2048] = "{\"a\":\"";
        memset(properties + 6, 'x', 2000);
        strcpy(properties + 2006, "\"}");
        for (int n = 0; n < 100; n++) CHECK_EQ(phc_capture(client, "user", "large", properties), PHC_OK);
        CHECK_EQ(reaches(&warnings, 1), 1);
        /* Of what is in memory nothing is lost, whichever process makes room on disk. */
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.lost, 0);
        CHECK(stats.spooled < 40);
        respond_now();
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, 100);
        finish(client);
        CHECK_EQ(segments(), 0);
    }
}

/* -- threads */

static void the_disk_has_a_thread_only_where_there_is_a_spool(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(thread_count("phc-disk"), 0);
    finish(client);
    folder = new_folder();
    client = SPOOLING("crash", NULL);
    CHECK_EQ(thread_count("phc-disk"), 0);
    CHECK_EQ(entries_of(folder), 1);
    capture(client, "a");
    CHECK_EQ(thread_appears("phc-disk"), 1);
    finish(client);
    CHECK_EQ(threads_fall_to(0, "phc-disk"), 0);
    CHECK_EQ(descriptors_of_folder(), 0);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_close_leaves_what_the_next_client_delivers),
        TEST(without_time_a_close_writes_and_goes),
        TEST(an_exit_writes_what_is_pending),
        TEST(what_an_exit_still_delivers_is_not_left),
        TEST(nothing_is_left_of_what_was_delivered),
        TEST(at_crash_a_kill_loses_nothing_that_is_on_disk),
        TEST(at_call_what_was_acknowledged_outlives_a_kill),
        TEST(a_kill_while_requests_are_open_loses_nothing),
        TEST(what_was_taken_over_outlives_another_kill),
        TEST(workers_that_are_killed_lose_nothing_that_was_acknowledged),
        TEST(what_was_persisted_outlives_a_kill),
        TEST(an_outage_spends_no_retries_and_loses_nothing),
        TEST(at_exit_an_outage_is_written),
        TEST(a_refusal_is_held_and_said_once),
        TEST(an_outage_may_be_larger_than_the_queue),
        TEST(a_blocked_capture_goes_on_when_events_have_left_memory),
        TEST(a_queue_that_is_smaller_than_a_batch_leaves_memory_too),
        TEST(a_batch_that_grew_after_it_was_written_leaves_memory_whole),
        TEST(what_has_left_memory_outlives_a_close),
        TEST(verdicts_of_single_events_outlive_a_restart),
        TEST(a_split_outlives_a_restart),
        TEST(what_was_left_is_sent_as_it_was_meant),
        TEST(spent_retries_lose_nothing),
        TEST(what_the_server_does_not_want_is_lost),
        TEST(a_close_that_leaves_events_ends_the_flushes_of_other_threads),
        TEST(a_flush_does_not_wait_for_what_others_have_left),
        TEST(a_parked_event_holds_up_no_other),
        TEST(what_many_processes_have_left_is_delivered),
        TEST(two_clients_share_a_folder),
        TEST(other_destinations_are_left_alone),
        TEST(a_client_that_adopts_nothing),
        TEST(a_living_process_keeps_what_is_its_own),
        TEST(a_forked_child_leaves_its_parents_files_alone),
        TEST(children_of_many_clients_have_none_of_their_descriptors),
        TEST(what_a_dead_parent_has_left_is_taken_over_while_its_child_lives),
        TEST(persist_returns_what_is_true),
        TEST(a_discard_ends_everything_that_is_pending),
        TEST(what_is_captured_during_a_discard_is_written),
        TEST(a_discard_needs_no_capture_before),
        TEST(what_is_too_old_is_lost_and_reported),
        TEST(a_damaged_event_costs_no_other),
        TEST(a_folder_that_is_not_ours_is_refused),
        TEST(a_new_folder_is_made_for_this_user_alone),
        TEST(a_relative_folder_stays_where_it_was_named),
        TEST(a_disk_without_free_space_is_said_once_and_loses_nothing),
        TEST(captures_do_not_wait_for_a_disk_that_takes_nothing),
        TEST(without_descriptors_events_stay_in_memory),
        TEST(a_full_disk_loses_nothing_and_recovers),
        TEST(a_folder_that_goes_away_costs_nothing),
        TEST(the_quota_bounds_what_is_on_disk),
        TEST(the_disk_has_a_thread_only_where_there_is_a_spool),
    };
    return RUN_TESTS(tests);
}
