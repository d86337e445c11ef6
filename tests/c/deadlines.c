/* flush, close and free return in time, whatever the server does: the largest
 * delay of many runs is measured. */
#include "harness.h"
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What may pass beyond a timeout. */
#define LATE_MS 50.0

/* How late a call is: what the machine does is not the library's delay. What the library itself does to be
 * late (it waits, or keeps a processor busy) stops no thread that reads the clock. */
static double late_by(moment begun, double allowed) { return ms_had_since(begun) - allowed; }

static const unsigned TIMEOUTS[] = {0, 10, 50, 200};

/* Returns how late the call was. */
typedef double (*timed_call)(phc_client *client, unsigned timeout);

static double timed_flush(phc_client *client, unsigned timeout) {
    moment begun = begin();
    CHECK_EQ(phc_flush(client, timeout, NULL, 0), PHC_TIMEOUT);
    CHECK(ms_since(begun) >= timeout - 0.5);
    return late_by(begun, timeout);
}

static double timed_close(phc_client *client, unsigned timeout) {
    moment begun = begin();
    CHECK_EQ(phc_client_close(client, timeout), PHC_LOST_EVENTS);
    CHECK(ms_since(begun) >= timeout - 0.5);
    double late = late_by(begun, timeout);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.pending_events, 0);
    CHECK_EQ(stats.lost, 3);
    return late;
}

static phc_client *busy_client(const char *host, unsigned timeout) {
    char text[16];
    snprintf(text, sizeof text, "%u", timeout);
    return make_client_at(host, "flush_at", "1", "max_in_flight", "1", "max_batch_events", "1",
                          "shutdown_timeout_ms", text, NULL);
}

typedef struct {
    hostile *server;
    int requests;
} arrival;

static int has_arrived(void *about) {
    const arrival *wanted = about;
    return hostile_requests(wanted->server) >= wanted->requests;
}

/* One run: a request is in flight, two more events wait. How late call was goes into late[0], how
 * late the free after it into late[1]. */
static void run(hostile *server, unsigned timeout, timed_call call, double late[2]) {
    phc_client *client = busy_client(hostile_host(server), timeout);
    int before = hostile_requests(server);
    capture_n(client, 3);
    arrival next = {server, before + 1};
    CHECK(await(has_arrived, &next));
    double was_late = call == NULL ? 0 : call(client, timeout);
    if (was_late > late[0]) late[0] = was_late;
    /* After a close there is nothing left to wait for. */
    double allowed = call == timed_close ? 0 : timeout;
    moment begun = begin();
    phc_client_free(client);
    was_late = late_by(begun, allowed);
    if (was_late > late[1]) late[1] = was_late;
}

/* So many runs with each timeout. A machine that is busy with other things makes any program
 * late: what was too late is measured again, twice. */
static void measure(const char *what, hostile_connection connection, int runs, timed_call call) {
    allow_seconds(250);
    hostile *server = hostile_start(connection, NULL);
    double late[2] = {2 * LATE_MS, 2 * LATE_MS};
    for (int round = 1; round <= 3 && (late[0] > LATE_MS || late[1] > LATE_MS); round++) {
        late[0] = late[1] = 0;
        for (size_t i = 0; i < sizeof TIMEOUTS / sizeof TIMEOUTS[0]; i++) {
            for (int j = 0; j < runs; j++) run(server, TIMEOUTS[i], call, late);
        }
        printf("   %s: of %zu runs the latest was %.1f ms late, the free after it %.1f ms (round %d)\n", what,
               (size_t)runs * (sizeof TIMEOUTS / sizeof TIMEOUTS[0]), late[0], late[1], round);
        fflush(stdout);
    }
    check_at(late[0] <= LATE_MS && late[1] <= LATE_MS, __FILE__, __LINE__,
             "%s: %.1f ms late, the free %.1f ms", what, late[0], late[1]);
    hostile_stop(server);
}

static void drips(hostile *server, int fd, int number) {
    (void)number;
    if (!hostile_read(server, fd, NULL, 0)) return;
    if (!hostile_say(fd, "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n")) return;
    while (hostile_say(fd, " ")) usleep(20000);
}

static void close_is_in_time_without_a_response(void) {
    measure("close, a server that never responds", hostile_never_responds, 50, timed_close);
}
static void close_is_in_time_when_the_response_drips(void) {
    measure("close, a server that drips", drips, 12, timed_close);
}
static void flush_is_in_time_without_a_response(void) {
    measure("flush, then free", hostile_never_responds, 6, timed_flush);
}
static void free_alone_is_in_time(void) { measure("free alone", hostile_never_responds, 6, NULL); }

static void a_response_at_the_last_instant_is_not_lost(void) {
    /* The response comes about when the time is over. Whichever is first, an event ends once,
     * and what is reported is what is counted. */
    script("{\"then\":{\"delay_ms\":20}}");
    int delivered = 0;
    for (unsigned i = 0; i < 60; i++) {
        phc_client *client = make_client("flush_at", "1", NULL);
        capture(client, "event");
        phc_status status = phc_client_close(client, 15 + i % 15);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.delivered + stats.lost, 1);
        CHECK_EQ(stats.pending_events, 0);
        CHECK_EQ(status, stats.lost ? PHC_LOST_EVENTS : PHC_OK);
        char *reports = reports_of(client);
        CHECK_EQ(count(reports, "\"outcome\":"), 1);
        CHECK_EQ(count(reports, "\"outcome\":\"delivered\""), stats.delivered);
        free(reports);
        delivered += (int)stats.delivered;
        finish(client);
    }
    printf("   %d of 60 responses came in time\n", delivered);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(close_is_in_time_without_a_response),        TEST(close_is_in_time_when_the_response_drips),
        TEST(flush_is_in_time_without_a_response),        TEST(free_alone_is_in_time),
        TEST(a_response_at_the_last_instant_is_not_lost),
    };
    return RUN_TESTS(tests);
}
