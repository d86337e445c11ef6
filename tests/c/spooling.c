/* What the tests of pending events on disk share: clients of one folder, what is in it, and processes of their own. */
#include "spooling.h"

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

const char *folder;

int is_reached(void *about) {
    const goal *own = about;
    phc_stats stats = stats_of(own->client);
    uint64_t value;
    memcpy(&value, (const char *)&stats + own->at, sizeof value);
    return value >= own->wanted;
}

static int segments_found;
static int count_segment(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)stat, (void)where;
    const char *ending = strrchr(path, '.');
    segments_found += kind == FTW_F && ending != NULL && strcmp(ending, ".phs") == 0;
    return 0;
}

int segments(void) {
    segments_found = 0;
    nftw(folder, count_segment, 16, FTW_PHYS);
    return segments_found;
}

static int are_so_many(void *wanted) { return segments() == *(const int *)wanted; }

void await_segments(int wanted) {
    check_at(await(are_so_many, &wanted), __FILE__, __LINE__, "there are %d segments, not %d", segments(),
             wanted);
}

static int failed_before; /* what a child has inherited */
int has_failed(void) { return failed_checks() > failed_before; }

pid_t begin_process(void (*body)(void)) {
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

int end_of(pid_t pid) {
    int status = -1;
    waitpid(pid, &status, 0);
    return status;
}

int in_process(void (*body)(void)) { return end_of(begin_process(body)); }

void killed(int status) { CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); }

void kill_itself(void) {
    kill(getpid(), SIGKILL);
    pause();
}

uuid_text *shared_uuids(size_t n) {
    void *memory =
        mmap(NULL, n * sizeof(uuid_text), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

void capture_uuids(phc_client *client, const char *event, uuid_text *uuids, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char properties[32];
        snprintf(properties, sizeof properties, "{\"n\":%zu}", i);
        CHECK_EQ(phc_capture_get_uuid(client, "user", event, properties, uuids[i]), PHC_OK);
    }
}

void next_delivers(uint64_t n, long long in_all) {
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
    /* A process that was killed at `call` has left a file without events, too, which no counter shows. */
    await_segments(0);
    finish(next);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), in_all);
}

void only_this_rule_is_broken(const char *rule) {
    expect_violations();
    char *violations = sink_get("_violations"), broken[64];
    snprintf(broken, sizeof broken, "\"rule\":\"%s\"", rule);
    CHECK_EQ(count(violations, "\"rule\":"), count(violations, broken));
    free(violations);
}

void leave_two(void) {
    phc_client *client = SPOOLING("exit", "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 2);
    finish(client);
}

int descriptors_of_folder(void) {
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
