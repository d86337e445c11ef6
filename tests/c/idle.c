/* What a client keeps while it has nothing to do. It takes a minute, so it is a part of `make test-long`. */
#include "harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The descriptors of this process that are sockets. */
static int sockets(void) {
    DIR *folder = opendir("/proc/self/fd");
    int found = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) > 0) found += strncmp(target, "socket:", 7) == 0;
    }
    closedir(folder);
    return found;
}

static void an_idle_client_has_no_connection_after_a_minute(void) {
    allow_seconds(120);
    int before = sockets();
    phc_client *client = make_client("flush_at", "1", "max_batch_events", "1", NULL);
    capture_n(client, 50);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    double start = now_ms();
    CHECK(sockets() > before);
    while (sockets() > before && now_ms() - start < 90000) usleep(100000);
    double took = now_ms() - start;
    printf("   after %.1f s\n", took / 1000);
    CHECK(took > 20000 && took < 60000 + SOON_MS);
    free(one_event(client, PHC_OK, NULL)); /* by a new one */
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_idle_client_has_no_connection_after_a_minute),
    };
    return RUN_TESTS(tests);
}
