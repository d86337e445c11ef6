/*
 * A long life at random, by seed: eight threads capture, flush, poll, set and
 * unset callbacks, fork and close, against a server that misbehaves. It is cut
 * into lives of a few seconds; each ends with the books being held against the
 * server's, event by event.
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
    char uuid[36], fate;
} record;

typedef struct {
    pthread_mutex_t lock;
    record *records;
    size_t count, room;
    uint64_t missed;
} ledger;

static void write_down(ledger *to, const char *uuid, char fate) {
    pthread_mutex_lock(&to->lock);
    if (to->count == to->room)
        to->records = realloc(to->records, (to->room = to->room * 2 + 4096) * sizeof *to->records);
    memcpy(to->records[to->count].uuid, uuid, 36);
    to->records[to->count++].fate = fate;
    pthread_mutex_unlock(&to->lock);
}

static void write_report(ledger *to, const phc_report *report) {
    to->missed += phc_report_missed_events(report);
    for (size_t i = 0; i < phc_report_event_count(report); i++) {
        phc_event_report event;
        phc_report_event(report, i, &event, sizeof event);
        write_down(to, event.uuid,
                   event.loss == PHC_LOSS_NONE ? DELIVERED
                   : event.maybe_delivered     ? MAYBE
                                               : LOST);
    }
}

/* A child keeps books of its own: those of its parent may be locked for ever. */
static ledger parents = {.lock = PTHREAD_MUTEX_INITIALIZER}, childs = {.lock = PTHREAD_MUTEX_INITIALIZER};
static ledger *books = &parents;
/* What children have told when they ended. */
static ledger from_children = {.lock = PTHREAD_MUTEX_INITIALIZER};

static phc_client *client;
static volatile int over;
static int forks;
static uint64_t captures_refused, totals[5];

static void on_report(const phc_report *report, void *user_data) {
    (void)user_data;
    write_report(books, report);
}

static void drain(unsigned timeout_ms) {
    phc_report *report;
    while ((report = phc_poll(client, timeout_ms)) != NULL) {
        write_report(books, report);
        phc_report_free(report);
        timeout_ms = 0;
    }
}

static int capture(void) {
    char json[4096], filler[3000], uuid[37];
    unsigned size = below(100) == 0 ? below(2900) : below(200);
    memset(filler, 'x', size);
    filler[size] = '\0';
    int len =
        snprintf(json, sizeof json,
                 "{\"event\":\"soak %u\",\"distinct_id\":\"user %u\",\"properties\":{\"n\":%u,\"s\":\"%s\"}}",
                 below(20), below(1000), below(1000000), filler);
    phc_status status = phc_capture_json(client, json, (size_t)len, uuid);
    if (status == PHC_OK) write_down(books, uuid, TAKEN);
    else if (status == PHC_QUEUE_FULL) __atomic_add_fetch(&captures_refused, 1, __ATOMIC_RELAXED);
    else if (status != PHC_CLOSED) CHECK_EQ(status, PHC_OK);
    return status == PHC_OK;
}

static void check_stats(void) {
    phc_stats stats;
    phc_stats_get(client, &stats, sizeof stats);
    CHECK_EQ(stats.captured, stats.delivered + stats.lost + stats.pending_events);
}

/* -- children -- */

static void live_as_a_child(int to_parent) {
    books = &childs;
    childs.count = 0;
    childs.missed = 0;
    int taken = 0;
    for (unsigned i = below(200); i > 0; i--) taken += capture();
    if (below(4) == 0) phc_flush(client, below(300), NULL, 0);
    phc_client_close(client, below(2) ? below(100) : 2000);
    drain(0);
    phc_stats stats;
    phc_stats_get(client, &stats, sizeof stats);
    /* With a callback set, its thread has told all when the client is freed. */
    phc_client_free(client);
    int good = stats.captured == (uint64_t)taken && stats.pending_events == 0 && childs.missed == 0;
    good = good && childs.count == 2 * (size_t)taken;
    size_t bytes = childs.count * sizeof *childs.records, at = 0;
    if (!good || write(to_parent, &bytes, sizeof bytes) != sizeof bytes) _exit(3);
    while (at < bytes) {
        ssize_t put = write(to_parent, (char *)childs.records + at, bytes - at);
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
        live_as_a_child(ends[1]);
    }
    close(ends[1]);
    size_t bytes = 0, at = 0;
    int told = read(ends[0], &bytes, sizeof bytes) == sizeof bytes;
    char *text = malloc(bytes + 1);
    while (told && at < bytes) {
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
        write_down(&from_children, own->uuid, own->fate);
    }
    free(text);
    __atomic_add_fetch(&forks, 1, __ATOMIC_RELAXED);
}

/* -- a life -- */

static void act(int may_close) {
    unsigned action = below(1000);
    uint64_t ticket;
    if (action < 930) {
        capture();
    } else if (action < 950) {
        check_stats();
    } else if (action < 965) {
        drain(below(20));
    } else if (action < 975) {
        phc_flush(client, below(50), NULL, 0);
    } else if (action < 983) {
        if (phc_flush_begin(client, &ticket) == PHC_OK) phc_flush_wait(client, ticket, below(20), NULL, 0);
    } else if (action < 988) {
        phc_set_error_callback(client, below(2) ? on_report : NULL, NULL, NULL);
    } else if (action < 990) {
        make_a_child();
    } else if (action == 999 && may_close && below(20) == 0) {
        phc_client_close(client, below(2) ? below(50) : 2000);
        over = 1;
    } else {
        usleep(below(20000));
    }
}

static void *live(void *seed) {
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
    return order != 0 ? order : one->fate - other->fate;
}

/* Each event was taken once and ended once. Leaves the ends, sorted. */
static void settle(ledger *own) {
    qsort(own->records, own->count, sizeof *own->records, by_uuid);
    CHECK_EQ(own->count % 2, 0);
    size_t ends = 0;
    for (size_t i = 0; i + 1 < own->count; i += 2) {
        record taken = own->records[i], end = own->records[i + 1];
        CHECK(memcmp(taken.uuid, end.uuid, 36) == 0);
        CHECK_EQ(taken.fate, TAKEN); /* 'c' sorts before the ends */
        CHECK(end.fate != TAKEN);
        own->records[ends++] = end;
    }
    own->count = ends;
}

static int by_text(const void *a, const void *b) { return memcmp(*(char *const *)a, *(char *const *)b, 36); }

/* What is reported delivered is stored; what else is stored was reported as perhaps delivered. */
static void hold_against_the_server(const char *space, ledger *all) {
    char view[128];
    snprintf(view, sizeof view, "%s/_accepted", space);
    char *text = sink_get(view);
    size_t lines = count(text, "\n"), n = 0, found = 0;
    char **stored = calloc(lines + 1, sizeof *stored);
    for (char *at = text; n < lines; at += 37) stored[n++] = at;
    qsort(stored, n, sizeof *stored, by_text);
    qsort(all->records, all->count, sizeof *all->records, by_uuid);
    for (size_t i = 0, at = 0; i < all->count; i++) {
        while (at < n && memcmp(stored[at], all->records[i].uuid, 36) < 0) at++;
        int is_stored = at < n && memcmp(stored[at], all->records[i].uuid, 36) == 0;
        char fate = all->records[i].fate;
        if (fate == DELIVERED) CHECK(is_stored);
        if (is_stored) CHECK(fate == DELIVERED || fate == MAYBE);
        found += (size_t)is_stored;
        totals[0]++;
        totals[fate == DELIVERED ? 1 : fate == LOST ? 2 : 3]++;
        totals[4] += is_stored && fate == MAYBE;
    }
    CHECK_EQ(found, lines);
    free(stored);
    free(text);
    snprintf(view, sizeof view, "%s/_violations", space);
    text = sink_get(view);
    check_at(strcmp(text, "[]") == 0, __FILE__, __LINE__, "%s: %.2000s", space, text);
    free(text);
    snprintf(view, sizeof view, "%s/_reset", space);
    sink_post(view, "");
}

static void one_life(unsigned seed) {
    seed_chance(seed + 1);
    char space[32], view[64], host[300], text[400];
    snprintf(space, sizeof space, "life-%u", seed);
    snprintf(view, sizeof view, "%s/_chaos", space);
    snprintf(host, sizeof host, "%s/%s", space_host(), space);
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
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, live, (void *)(uintptr_t)(seed * 100 + (unsigned)i + 7));
    double end = now_ms() + 1000 + below(4000);
    while (!over && now_ms() < end) usleep(10000);
    over = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    phc_client_close(client, below(2) ? below(200) : 5000);
    check_stats();
    phc_stats stats;
    phc_stats_get(client, &stats, sizeof stats);
    drain(0);
    phc_client_free(client);
    CHECK_EQ(thread_count("phc-"), 0);

    CHECK_EQ(stats.pending_events, 0);
    CHECK_EQ(parents.missed, 0);
    settle(&parents);
    settle(&from_children);
    CHECK_EQ(stats.captured, parents.count);
    for (size_t i = 0; i < from_children.count; i++) {
        write_down(&parents, from_children.records[i].uuid, from_children.records[i].fate);
    }
    hold_against_the_server(space, &parents);
}

static void soak(void) {
    const char *wanted = getenv("PHC_SOAK_SECONDS"), *first = getenv("PHC_SOAK_SEED");
    double seconds = wanted == NULL ? 10 : atof(wanted), start = now_ms(), said = start;
    unsigned seed = first == NULL ? 1 : (unsigned)atoi(first), lives = 0;
    long early = 0;
    allow_seconds((unsigned)seconds + 120);
    while (now_ms() - start < seconds * 1000) {
        one_life(seed + lives++);
        if (early == 0 && now_ms() - start > seconds * 500) early = resident_now();
        if (now_ms() - said > 30000) {
            said = now_ms();
            printf("    %.0f s: %u lives, %llu events, %ld kB\n", (said - start) / 1000, lives,
                   (unsigned long long)totals[0], resident_now());
            fflush(stdout);
        }
    }
    long late = resident_now();
    printf(
        "    %u lives, %d children; %llu events: %llu delivered, %llu lost, %llu lost without an answer (%llu of them stored all "
        "the same); %llu captures refused; %ld kB after a half, %ld kB at the end\n",
        lives, forks, (unsigned long long)totals[0], (unsigned long long)totals[1],
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
