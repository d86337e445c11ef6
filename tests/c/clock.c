/* The machine's clock, which may be set while events wait. This program has its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How far the clock of the day is off, in seconds. */
static long off_by;

/* Takes the place of libc's. */
int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME) time->tv_sec += __atomic_load_n(&off_by, __ATOMIC_SEQ_CST);
    return result;
}

static void set_clock(long seconds) { __atomic_store_n(&off_by, seconds, __ATOMIC_SEQ_CST); }

/* An attempt has the time of its clock, and waits by another one, whatever is set in between. */
static void a_clock_that_is_set_between_attempts_changes_nothing_but_their_timestamps(void) {
    script("{\"steps\":[{\"status\":503,\"headers\":{\"Retry-After\":\"1\"}},"
           "{\"verdicts\":[\"retry\"],\"headers\":{\"Retry-After\":\"1\"}}]}");
    set_clock(0);
    phc_client *client = make_client("flush_at", "1", NULL);
    capture(client, "one");
    CHECK(wait_for("requests=1"));
    set_clock(-24 * 3600);
    CHECK(wait_for("requests=2"));
    set_clock(24 * 3600);
    double start = now_ms();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK(now_ms() - start < SOON_MS);
    char *requests = sink_get("_requests");
    const char *first = nth_string(requests, "posthog-request-timestamp", 0);
    const char *second = nth_string(requests, "posthog-request-timestamp", 1);
    const char *third = nth_string(requests, "posthog-request-timestamp", 2);
    check_at(strcmp(second, first) < 0 && strcmp(first, third) < 0, __FILE__, __LINE__, "%s, %s, %s", first,
             second, third);
    free(requests);
    CHECK_EQ(summary("accepted"), 1);
    CHECK_EQ(stats_of(client).delivered, 1);
    finish(client);
    set_clock(0);
}

/* Events of before and after have the times that the clock had, and the uuids stay distinct. */
static void events_have_the_time_of_the_clock(void) {
    phc_client *client = make_client(NULL, NULL);
    const long offsets[] = {0, -24 * 3600, 0, 24 * 3600};
    for (size_t i = 0; i < 4; i++) {
        set_clock(offsets[i]);
        capture(client, "one");
    }
    set_clock(0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    const char *times[4];
    for (size_t i = 0; i < 4; i++) times[i] = nth_string(events, "timestamp", i);
    CHECK(strcmp(times[1], times[0]) < 0 && strcmp(times[0], times[2]) <= 0 &&
          strcmp(times[2], times[3]) < 0);
    free(events);
    CHECK_EQ(summary("accepted"), 4);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_clock_that_is_set_between_attempts_changes_nothing_but_their_timestamps),
        TEST(events_have_the_time_of_the_clock),
    };
    return RUN_TESTS(tests);
}
