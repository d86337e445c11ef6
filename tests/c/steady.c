/*
 * steady HOST FLUSH_AT: captures in the steady state, for `xtask guard`, which
 * looks at the allocations (with count_malloc.c preloaded) and at the system
 * calls (under a tracer) of the main thread between two marks.
 */
#include <dlfcn.h>
#include <phc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 6400

static const char *event =
    "{\"event\":\"page_viewed\",\"distinct_id\":\"user-1234567890\",\"properties\":{\"path\":\"/products/espresso-machine\","
    "\"referrer\":\"https://example.com/search?q=espresso\",\"browser\":\"Firefox 128\",\"country\":\"Norway\",\"width\":1920,"
    "\"height\":1080,\"items\":3,\"price\":249.95,\"logged_in\":true,\"cart\":{\"id\":\"c-77812\",\"total\":512.4,\"currency\":\"NOK\"}}}";

static void mark(const char *text) {
    /* To nowhere: only a tracer sees it. */
    ssize_t nowhere = write(-1, text, strlen(text));
    (void)nowhere;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    phc_config *config = phc_config_new("phc_test");
    phc_config_set(config, "host", argv[1]);
    phc_config_set(config, "flush_at", argv[2]);
    phc_config_set(config, "max_batch_events", "100000");
    phc_config_set(config, "max_batch_bytes", "16777216");
    phc_config_set(config, "flush_interval_ms", "60000");
    phc_client *client = phc_client_new(config, NULL, 0);
    phc_config_free(config);
    long *allocations = dlsym(RTLD_DEFAULT, "allocations_of_main"), none = 0, before = 0, after = 0;
    if (allocations == NULL) allocations = &none;
    unsigned long long requests = 0;
    for (int round = 0; round < 12; round++) {
        int last = round == 11;
        phc_stats stats;
        phc_stats_get(client, &stats, sizeof stats);
        requests = stats.requests;
        before = *allocations;
        if (last) {
            /* The first event after none wakes the sender, who wants the lock: let it fall asleep again. */
            if (phc_capture_json(client, event, strlen(event), NULL) != PHC_OK) return 3;
            usleep(200000);
            mark("begin");
        }
        for (int i = 0; i < EVENTS; i++) {
            if (phc_capture_json(client, event, strlen(event), NULL) != PHC_OK) return 3;
        }
        if (last) mark("end");
        after = *allocations;
        if (phc_flush(client, 30000, NULL, 0) != PHC_OK) return 4;
    }
    phc_stats stats;
    phc_stats_get(client, &stats, sizeof stats);
    printf("%ld %llu\n", after - before, (unsigned long long)stats.requests - requests);
    phc_client_free(client);
    return 0;
}
