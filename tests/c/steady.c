/*
 * steady HOST FLUSH_AT: captures in the steady state, for `xtask guard`, which
 * looks at the allocations (with count_malloc.c preloaded) and at the system
 * calls (under a tracer) of the main thread between two marks.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Whether the main thread is the only one that runs. */
static int others_sleep(void) {
    int sleep = 1;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], text[512] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
        FILE *file = task->d_name[0] == '.' || atoi(task->d_name) == getpid() ? NULL : fopen(path, "r");
        if (file == NULL) continue;
        const char *state = fgets(text, sizeof text, file) == NULL ? NULL : strrchr(text, ')');
        sleep &= state == NULL || strncmp(state, ") S", 3) == 0;
        fclose(file);
    }
    closedir(tasks);
    return sleep;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    phc_config *config = phc_config_new("phc_test");
    phc_config_set(config, "host", argv[1]);
    phc_config_set(config, "flush_at", argv[2]);
    phc_config_set(config, "max_batch_events", "100000");
    phc_config_set(config, "max_batch_bytes", "16777216");
    phc_config_set(config, "flush_interval_ms", "60000");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    volatile long *allocations = dlsym(RTLD_DEFAULT, "allocations_of_main");
    volatile long none = 0;
    long before = 0, after = 0;
    if (allocations == NULL) allocations = &none;
    unsigned long long requests = 0;
    for (int round = 0; round < 12; round++) {
        int last = round == 11;
        phc_stats stats;
        phc_stats_get(client, &stats, sizeof stats);
        requests = stats.requests;
        if (last) {
            /* The first event after none wakes the send loop, which takes the lock: let it fall asleep again. */
            if (phc_capture_json(client, event, strlen(event), NULL) != PHC_OK) return 3;
            for (int asleep = 0; asleep < 20; asleep = others_sleep() ? asleep + 1 : 0) usleep(5000);
            mark("begin");
        }
        before = *allocations;
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
