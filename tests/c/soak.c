/*
 * A long run at random, by seed: eight threads capture, flush, poll, set and unset callbacks,
 * fork and close, against a server that misbehaves. It consists of clients that exist for a few
 * seconds; after each, what was captured and reported is compared with what the server has
 * stored, event by event.
 *
 * PHC_SOAK_SECONDS (10) and PHC_SOAK_SEED (1) change the run.
 */
#include "harness.h"
#include "hostile.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8

/* -- chance -- */

static __thread uint64_t chance;
static void seed_chance(uint64_t seed) { chance = seed * 0x9E3779B97F4A7C15u | 1; }
static unsigned below(unsigned bound) {
    chance ^= chance >> 12, chance ^= chance << 25, chance ^= chance >> 27;
    return (unsigned)((chance * 0x2545F4914F6CDD1Du) >> 33) % bound;
}

/* -- what became of each event -- */

enum { TAKEN = 'c', DELIVERED = 'd', LOST = 'l', MAYBE = 'm' };
typedef struct {
    char uuid[36], outcome;
} record;

typedef struct {
    pthread_mutex_t lock;
    record *list;
    size_t count, capacity;
    uint64_t missed;
} records;

static void add(records *to, const char *uuid, char outcome) {
    pthread_mutex_lock(&to->lock);
    if (to->count == to->capacity) {
        to->capacity = to->capacity * 2 + 4096;
        to->list = realloc(to->list, to->capacity * sizeof *to->list);
    }
    memcpy(to->list[to->count].uuid, uuid, 36);
    to->list[to->count++].outcome = outcome;
    pthread_mutex_unlock(&to->lock);
}

static void add_report(records *to, const phc_report *report, int failures_only) {
    __atomic_add_fetch(&to->missed, phc_report_missed_events(report), __ATOMIC_RELAXED);
    for (size_t i = 0; i < phc_report_event_count(report); i++) {
        phc_event_report event;
        phc_report_event(report, i, &event, sizeof event);
        /* The delivery callback gets events with a warning, too. */
        if (failures_only && event.loss == PHC_LOSS_NONE) continue;
        add(to, event.uuid, event.loss == PHC_LOSS_NONE ? DELIVERED : event.maybe_delivered ? MAYBE : LOST);
    }
}

/* A child has records of its own: those of its parent may be locked for ever. */
static records parents = {.lock = PTHREAD_MUTEX_INITIALIZER}, childs = {.lock = PTHREAD_MUTEX_INITIALIZER};
static records *own_records = &parents;
/* What children have passed on when they ended. */
static records from_children = {.lock = PTHREAD_MUTEX_INITIALIZER};

static phc_client *client;
static volatile int over;
static int forks;
static uint64_t captures_refused, totals[5];

/* What gets the reports of a client. With changing callbacks some reports are for no callback: then
 * there may be events without a reported outcome. */
enum { BY_POLL, BY_CALLBACKS, CHANGING, RECEIVERS };
static unsigned receiver;

static void on_failure(const phc_report *report, void *user_data) {
    (void)user_data;
    add_report(own_records, report, 1);
}

static void on_delivery(const phc_report *report, void *user_data) {
    (void)user_data;
    add_report(own_records, report, 0);
}

static void on_log(phc_log_level level, const char *message, void *user_data) {
    (void)level, (void)user_data;
    CHECK(message[0] != '\0');
}

static int32_t keep(phc_outgoing *event, void *user_data) {
    (void)user_data;
    CHECK(phc_outgoing_json(event, NULL)[0] == '{');
    return PHC_BEFORE_SEND_KEEP;
}

/* Replaces a callback, by itself or by none. */
static void change_callback(void) {
    int on = receiver == BY_CALLBACKS || below(2);
    switch (below(receiver == BY_POLL ? 2 : 4)) {
    case 0: phc_set_log_callback(client, below(2) ? on_log : NULL, NULL, NULL); break;
    case 1: phc_set_before_send_callback(client, below(2) ? keep : NULL, NULL, NULL); break;
    case 2: phc_set_error_callback(client, on ? on_failure : NULL, NULL, NULL); break;
    default: phc_set_delivery_callback(client, on ? on_delivery : NULL, NULL, NULL); break;
    }
}

static void drain(unsigned timeout_ms) {
    phc_report *report;
    while ((report = phc_poll(client, timeout_ms)) != NULL) {
        add_report(own_records, report, 0);
        phc_report_free(report);
        timeout_ms = 0;
    }
}

static int capture_one(void) {
    char json[4096], filler[3000], uuid[37];
    unsigned size = below(100) == 0 ? below(2900) : below(200);
    memset(filler, 'x', size);
    filler[size] = '\0';
    int len =
        snprintf(json, sizeof json,
                 "{\"event\":\"soak %u\",\"distinct_id\":\"user %u\",\"properties\":{\"n\":%u,\"s\":\"%s\"}}",
                 below(20), below(1000), below(1000000), filler);
    phc_status status = phc_capture_json(client, json, (size_t)len, uuid);
    if (status == PHC_OK) add(own_records, uuid, TAKEN);
    else if (status == PHC_QUEUE_FULL) __atomic_add_fetch(&captures_refused, 1, __ATOMIC_RELAXED);
    else if (status != PHC_CLOSED) CHECK_EQ(status, PHC_OK);
    return status == PHC_OK;
}

/* -- children -- */

static void run_child(int to_parent) {
    own_records = &childs;
    childs.count = 0;
    childs.missed = 0;
    int taken = 0;
    for (unsigned i = below(200); i > 0; i--) taken += capture_one();
    if (below(4) == 0) phc_flush(client, below(300), NULL, 0);
    phc_client_close(client, below(2) ? below(100) : 2000);
    drain(0);
    phc_stats stats = stats_of(client);
    /* The callbacks have got all reports when the client is freed. */
    phc_client_free(client);
    int good = stats.captured == (uint64_t)taken && stats.pending_events == 0;
    good = good && (receiver == CHANGING || (childs.count == 2 * (size_t)taken && childs.missed == 0));
    size_t bytes = childs.count * sizeof *childs.list, at = 0;
    if (!good || write(to_parent, &bytes, sizeof bytes) != sizeof bytes) _exit(3);
    while (at < bytes) {
        ssize_t put = write(to_parent, (char *)childs.list + at, bytes - at);
        if (put <= 0) _exit(4);
        at += (size_t)put;
    }
    _exit(0);
}

static void make_a_child(void) {
    int ends[2];
    if (pipe(ends) != 0) return;
    unsigned seed = below(1u << 30);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(60);
        seed_chance(seed);
        run_child(ends[1]);
    }
    close(ends[1]);
    size_t bytes = 0, at = 0;
    int passed_on = read(ends[0], &bytes, sizeof bytes) == sizeof bytes;
    char *text = malloc(bytes + 1);
    while (passed_on && at < bytes) {
        ssize_t got = read(ends[0], text + at, bytes - at);
        if (got <= 0) break;
        at += (size_t)got;
    }
    close(ends[0]);
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    CHECK_EQ(at, bytes);
    for (size_t i = 0; i < at / sizeof(record); i++) {
        const record *own = (const record *)text + i;
        add(&from_children, own->uuid, own->outcome);
    }
    free(text);
    __atomic_add_fetch(&forks, 1, __ATOMIC_RELAXED);
}

/* -- one client -- */

static void act(int may_close) {
    unsigned action = below(1000);
    uint64_t flush;
    if (action < 930) {
        capture_one();
    } else if (action < 950) {
        stats_of(client);
    } else if (action < 965) {
        drain(below(20));
    } else if (action < 975) {
        phc_flush(client, below(50), NULL, 0);
    } else if (action < 983) {
        if (phc_flush_begin(client, &flush) == PHC_OK) phc_flush_wait(client, flush, below(20), NULL, 0);
    } else if (action < 988) {
        change_callback();
    } else if (action < 990) {
        make_a_child();
    } else if (action == 999 && may_close && below(20) == 0) {
        phc_client_close(client, below(2) ? below(50) : 2000);
        over = 1;
    } else {
        usleep(below(20000));
    }
}

static void *act_at_random(void *seed) {
    seed_chance((uint64_t)(uintptr_t)seed);
    while (!over) {
        act(1);
        usleep(below(800));
    }
    return NULL;
}

static int by_uuid(const void *a, const void *b) {
    const record *one = a, *other = b;
    int order = memcmp(one->uuid, other->uuid, 36);
    return order != 0 ? order : one->outcome - other->outcome;
}

/* Each event was taken once and ended once. Leaves the outcomes, sorted; an event without a reported
 * outcome may be stored or not. */
static void settle(records *own) {
    qsort(own->list, own->count, sizeof *own->list, by_uuid);
    size_t outcomes = 0;
    for (size_t i = 0; i < own->count;) {
        record taken = own->list[i++];
        CHECK_EQ(taken.outcome, TAKEN); /* 'c' sorts before the outcomes */
        record outcome = taken;
        outcome.outcome = MAYBE;
        if (i < own->count && memcmp(taken.uuid, own->list[i].uuid, 36) == 0) outcome = own->list[i++];
        else CHECK_EQ(receiver, CHANGING);
        CHECK(outcome.outcome != TAKEN);
        own->list[outcomes++] = outcome;
    }
    own->count = outcomes;
}

static int by_text(const void *a, const void *b) { return memcmp(*(char *const *)a, *(char *const *)b, 36); }

/* What is reported as delivered is stored; what else is stored was reported as maybe delivered. */
static void compare_with_the_server(const char *namespace, records *all) {
    char view[128];
    snprintf(view, sizeof view, "%s/_accepted", namespace);
    char *text = sink_get(view);
    size_t lines = count(text, "\n"), n = 0, found = 0;
    char **stored = calloc(lines + 1, sizeof *stored);
    for (char *at = text; n < lines; at += 37) stored[n++] = at;
    qsort(stored, n, sizeof *stored, by_text);
    qsort(all->list, all->count, sizeof *all->list, by_uuid);
    for (size_t i = 0, at = 0; i < all->count; i++) {
        while (at < n && memcmp(stored[at], all->list[i].uuid, 36) < 0) at++;
        int is_stored = at < n && memcmp(stored[at], all->list[i].uuid, 36) == 0;
        char outcome = all->list[i].outcome;
        if (outcome == DELIVERED) CHECK(is_stored);
        if (is_stored) CHECK(outcome == DELIVERED || outcome == MAYBE);
        found += (size_t)is_stored;
        totals[0]++;
        totals[outcome == DELIVERED ? 1 : outcome == LOST ? 2 : 3]++;
        totals[4] += is_stored && outcome == MAYBE;
    }
    CHECK_EQ(found, lines);
    free(stored);
    free(text);
    snprintf(view, sizeof view, "%s/_violations", namespace);
    text = sink_get(view);
    check_at(strcmp(text, "[]") == 0, __FILE__, __LINE__, "%s: %.2000s", namespace, text);
    free(text);
    snprintf(view, sizeof view, "%s/_reset", namespace);
    sink_post(view, "");
}

static void one_client(unsigned seed) {
    seed_chance(seed + 1);
    char namespace[32], view[64], host[300], text[400];
    snprintf(namespace, sizeof namespace, "client-%u", seed);
    snprintf(view, sizeof view, "%s/_chaos", namespace);
    snprintf(host, sizeof host, "%s/%s", namespace_host(), namespace);
    snprintf(
        text, sizeof text,
        "{\"seed\":%u,\"status503\":0.0%u,\"status413\":0.01,\"status502\":0.01,\"retry\":0.%02u,\"drop\":0.02,"
        "\"warning\":0.01,\"cut\":0.0%u,\"retry_after\":0.01,\"delay_ms_max\":%u}",
        seed, below(10), below(30), below(10), below(60));
    sink_post(view, text);

    const char *codecs[] = {"zstd", "gzip", "deflate", "br", "none"},
               *overflow[] = {"drop_newest", "drop_oldest", "block"};
    const char *batches[] = {"7", "50", "2000"}, *flights[] = {"1", "4", "16"},
               *queues[] = {"100", "1000", "100000"};
    client = make_client_at(host, "compression", codecs[below(5)], "overflow", overflow[below(3)],
                            "max_batch_events", batches[below(3)], "max_in_flight", flights[below(3)],
                            "queue_max_events", queues[below(3)], "block_timeout_ms", "20", "flush_at",
                            below(2) ? "10" : "100", "flush_interval_ms", "50", "retry_initial_ms", "2",
                            "retry_max_ms", "20", NULL);
    parents.count = from_children.count = 0;
    parents.missed = over = 0;
    receiver = seed % RECEIVERS;
    if (receiver == BY_CALLBACKS) {
        CHECK_EQ(phc_set_error_callback(client, on_failure, NULL, NULL), PHC_OK);
        CHECK_EQ(phc_set_delivery_callback(client, on_delivery, NULL, NULL), PHC_OK);
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, act_at_random, (void *)(uintptr_t)(seed * 100 + (unsigned)i + 7));
    double end = now_ms() + 1000 + below(4000);
    while (!over && now_ms() < end) usleep(10000);
    over = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    phc_client_close(client, below(2) ? below(200) : 5000);
    phc_stats stats = stats_of(client);
    drain(0);
    phc_client_free(client);
    CHECK_EQ(thread_count("phc-"), 0);

    CHECK_EQ(stats.pending_events, 0);
    if (receiver != CHANGING) CHECK_EQ(parents.missed, 0);
    settle(&parents);
    settle(&from_children);
    CHECK_EQ(stats.captured, parents.count);
    for (size_t i = 0; i < from_children.count; i++) {
        add(&parents, from_children.list[i].uuid, from_children.list[i].outcome);
    }
    compare_with_the_server(namespace, &parents);
}

static void soak(void) {
    const char *wanted = getenv("PHC_SOAK_SECONDS"), *first = getenv("PHC_SOAK_SEED");
    double seconds = wanted == NULL ? 10 : atof(wanted), start = now_ms(), said = start;
    unsigned seed = first == NULL ? 1 : (unsigned)atoi(first), clients = 0;
    long early = 0;
    allow_seconds((unsigned)seconds + 120);
    while (now_ms() - start < seconds * 1000) {
        one_client(seed + clients++);
        if (early == 0 && now_ms() - start > seconds * 500) early = resident_now();
        if (now_ms() - said > 30000) {
            said = now_ms();
            printf("    %.0f s: %u clients, %llu events, %ld kB\n", (said - start) / 1000, clients,
                   (unsigned long long)totals[0], resident_now());
            fflush(stdout);
        }
    }
    long late = resident_now();
    printf(
        "    %u clients, %d children; %llu events: %llu delivered, %llu lost, %llu maybe delivered (%llu of them "
        "stored); %llu captures refused; %ld kB after a half, %ld kB at the end\n",
        clients, forks, (unsigned long long)totals[0], (unsigned long long)totals[1],
        (unsigned long long)totals[2], (unsigned long long)totals[3], (unsigned long long)totals[4],
        (unsigned long long)captures_refused, early, late);
    CHECK(totals[1] > 0);
    /* In a short run what the lists of this program need is still growing. */
    check_at(seconds < 60 || late - early < 10000, __FILE__, __LINE__, "memory grew by %ld kB", late - early);
}

int main(int argc, char **argv) {
    const test_case tests[] = {TEST(soak)};
    return RUN_TESTS(tests);
}
