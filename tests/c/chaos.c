/*
 * Conservation: against a server that misbehaves by seed, the counters add up at
 * every sample, and what the server has stored is what was reported.
 *
 * PHC_CHAOS_EVENTS (100,000) and PHC_CHAOS_SEED (1) change the run.
 */
#include "harness.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char uuid[37];
    char delivered, lost, maybe_delivered;
} outcome;

static outcome *outcomes;
static size_t outcome_count, outcome_capacity;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int done;

static void on_report(const phc_report *report, void *user_data) {
    (void)user_data;
    pthread_mutex_lock(&lock);
    CHECK_EQ(phc_report_missed_events(report), 0);
    for (size_t i = 0; i < phc_report_event_count(report); i++) {
        phc_event_report event;
        phc_report_event(report, i, &event, sizeof event);
        if (outcome_count == outcome_capacity) {
            outcome_capacity = outcome_capacity * 2 + 1024;
            outcomes = realloc(outcomes, outcome_capacity * sizeof *outcomes);
        }
        outcome *own = &outcomes[outcome_count++];
        memcpy(own->uuid, event.uuid, 37);
        own->delivered = event.loss == PHC_LOSS_NONE;
        own->lost = !own->delivered;
        own->maybe_delivered = (char)event.maybe_delivered;
    }
    pthread_mutex_unlock(&lock);
}

static void *sample(void *client) {
    long long samples = 0;
    while (!done) {
        phc_stats stats;
        phc_stats_get(client, &stats, sizeof stats);
        if (stats.captured != stats.delivered + stats.lost + stats.pending_events) {
            fprintf(stderr, "captured %llu, delivered %llu, lost %llu, pending %llu\n",
                    (unsigned long long)stats.captured, (unsigned long long)stats.delivered,
                    (unsigned long long)stats.lost, (unsigned long long)stats.pending_events);
            exit(4);
        }
        samples++;
        /* A tool that runs one thread at a time has others to run. */
        if (getenv("PHC_WRAP") != NULL) usleep(2000);
    }
    return (void *)samples;
}

static int by_uuid(const void *a, const void *b) {
    return memcmp(((const outcome *)a)->uuid, ((const outcome *)b)->uuid, 36);
}
static int by_text(const void *a, const void *b) { return memcmp(*(char *const *)a, *(char *const *)b, 36); }

/* The uuids of a list, one a line, sorted. */
static char **sorted_lines(char *text, size_t *lines) {
    *lines = count(text, "\n");
    char **all = calloc(*lines + 1, sizeof *all);
    size_t n = 0;
    for (char *at = text; *at != '\0' && n < *lines; at += 37) all[n++] = at;
    qsort(all, n, sizeof *all, by_text);
    return all;
}

static void *capture_share(void *argument) {
    phc_client *client = ((void **)argument)[0];
    long long n = (long long)((void **)argument)[1];
    for (long long i = 0; i < n;) {
        phc_status status = phc_capture(client, "user", "chaos", "{\"path\":\"/a/b\",\"n\":12,\"ok\":true}");
        if (status == PHC_OK) i++;
        else if (status != PHC_QUEUE_FULL) {
            CHECK_EQ(status, PHC_OK);
            break;
        }
    }
    return NULL;
}

static void conservation(void) {
    const char *events = getenv("PHC_CHAOS_EVENTS"), *seed = getenv("PHC_CHAOS_SEED");
    long long wanted = events == NULL ? 100000 : atoll(events);
    char chaos[200];
    /* 10 % 503, 10 % retry verdicts, 2 % drops, 5 % cut connections. */
    snprintf(chaos, sizeof chaos,
             "{\"seed\":%s,\"status503\":0.10,\"retry\":0.10,\"drop\":0.02,\"cut\":0.05}",
             seed == NULL ? "1" : seed);
    set_chaos(chaos);
    phc_client *client =
        make_client("retry_initial_ms", "2", "retry_max_ms", "20", "max_batch_events", "200", NULL);
    phc_set_error_callback(client, on_report, NULL, NULL);
    phc_set_delivery_callback(client, on_report, NULL, NULL);
    pthread_t sampler, capturers[4];
    pthread_create(&sampler, NULL, sample, client);
    void *share[2] = {client, (void *)(intptr_t)(wanted / 4)};
    for (int i = 0; i < 4; i++) pthread_create(&capturers[i], NULL, capture_share, share);
    for (int i = 0; i < 4; i++) pthread_join(capturers[i], NULL);
    phc_status flushed = phc_flush(client, 120000, NULL, 0);
    CHECK(flushed == PHC_OK || flushed == PHC_LOST_EVENTS);
    done = 1;
    void *samples;
    pthread_join(sampler, &samples);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.pending_events, 0);
    phc_client_free(client);

    /* Every event ended exactly once. */
    CHECK_EQ(outcome_count, wanted);
    qsort(outcomes, outcome_count, sizeof *outcomes, by_uuid);
    for (size_t i = 1; i < outcome_count; i++) CHECK(memcmp(outcomes[i - 1].uuid, outcomes[i].uuid, 36) != 0);

    /* What is reported as delivered is stored; what else is stored was reported as maybe
     * delivered. */
    size_t lines;
    char *text = sink_get("_accepted"), **stored = sorted_lines(text, &lines);
    size_t delivered = 0, maybe = 0, at = 0;
    for (size_t i = 0; i < outcome_count; i++) {
        while (at < lines && memcmp(stored[at], outcomes[i].uuid, 36) < 0) at++;
        int is_stored = at < lines && memcmp(stored[at], outcomes[i].uuid, 36) == 0;
        if (outcomes[i].delivered) CHECK(is_stored);
        if (outcomes[i].lost && is_stored) CHECK(outcomes[i].maybe_delivered);
        delivered += outcomes[i].delivered;
        maybe += outcomes[i].lost && is_stored;
    }
    CHECK_EQ(delivered, stats.delivered);
    CHECK_EQ(lines, delivered + maybe);
    printf(
        "    %lld events, %lld requests: %llu delivered, %llu lost (%zu of them stored nevertheless), %lld samples\n",
        wanted, (long long)stats.requests, (unsigned long long)stats.delivered,
        (unsigned long long)stats.lost, maybe, (long long)samples);
    free(stored);
    free(text);
    free(outcomes);
}

int main(int argc, char **argv) {
    const test_case tests[] = {TEST(conservation)};
    return RUN_TESTS(tests);
}
