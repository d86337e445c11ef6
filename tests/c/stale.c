/*
 * Kept connections that have died without the client seeing it, as after a reboot of the server, a
 * failover of a load balancer, or a NAT table that was lost: by reset, by end, and by falling silent.
 */
#include "harness.h"
#include "hostile.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How the connections die. */
typedef enum {
    RESETS,  /* the next request is met by a reset, as by a host that knows nothing of it */
    ENDS,    /* it is read, and the connection ends */
    MUTE,    /* the system of the server acknowledges nothing any more */
    IGNORES, /* everything is acknowledged, and nothing responds */
} death;
static const char *const deaths[] = {"reset", "end", "no acknowledgement", "no response"};
#define DEATHS (sizeof deaths / sizeof deaths[0])

/* What the threads of the server share. */
static struct {
    death kind;
    int wanted;   /* the first requests are responded to when there are so many of them */
    int waiting;  /* so many are there */
    int kept;     /* connections that have had their response */
    int dying;    /* whether those die now */
    int dead;     /* so many have */
    int requests; /* what arrived on other connections */
} world;

static int value_of(const int *value) { return __atomic_load_n(value, __ATOMIC_SEQ_CST); }

static void set(int *value, int wanted) { __atomic_store_n(value, wanted, __ATOMIC_SEQ_CST); }

static void world_of(death kind, int wanted) {
    memset(&world, 0, sizeof world);
    world.kind = kind;
    world.wanted = wanted;
}

/* From now on the system drops whatever arrives for this socket, unacknowledged. */
static void make_silent(int fd) {
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

static void dies(hostile *server, int fd, int number) {
    if (number > world.wanted) { /* the server is in order again */
        while (hostile_read(server, fd, NULL, 0)) {
            add_to(&world.requests, 1);
            hostile_say(fd, ACCEPTED);
        }
        return;
    }
    if (!hostile_read(server, fd, NULL, 0)) return;
    add_to(&world.waiting, 1);
    reaches(&world.waiting, world.wanted); /* so that each is on a connection of its own */
    hostile_say(fd, ACCEPTED);
    add_to(&world.kept, 1);
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    while (!value_of(&world.dying)) {
        if (poll(&readable, 1, 5) != 0) return; /* it may not be used before */
    }
    if (world.kind == MUTE) make_silent(fd);
    add_to(&world.dead, 1);
    if (world.kind == IGNORES || world.kind == MUTE) {
        hostile_await_end(fd);
        return;
    }
    if (poll(&readable, 1, -1) != 1) return;
    if (world.kind == ENDS) {
        hostile_read(server, fd, NULL, 0);
        return;
    }
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

/* A client with so many kept connections, all dead. A batch that were to wait for its back-off
 * would wait for a minute. A second without an acknowledgement is noticed. */
static phc_client *with_dead_connections(hostile *server, int count, const char *max_retries) {
    char in_flight[12];
    snprintf(in_flight, sizeof in_flight, "%d", count);
    const char *timeout = world.kind == IGNORES ? "1000" : "2000";
    phc_client *client =
        make_client_at(hostile_host(server), "flush_at", "1", "max_batch_events", "1", "max_in_flight",
                       in_flight, "max_retries", max_retries, "retry_initial_ms", "60000", "retry_max_ms",
                       "60000", "request_timeout_ms", timeout, "connect_timeout_ms", "250", NULL);
    capture_n(client, count);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    free(reports_of(client));
    CHECK_EQ(reaches(&world.kept, count), count);
    CHECK_EQ(hostile_connections(server), count);
    set(&world.dying, 1);
    CHECK_EQ(reaches(&world.dead, count), count);
    return client;
}

/* Returns how many attempts the dead connections cost. */
static uint64_t check_nothing_is_lost(death kind, int connections, int events) {
    world_of(kind, connections);
    hostile *server = hostile_start(dies, NULL);
    phc_client *client = with_dead_connections(server, connections, "1");
    double start = now_ms();
    capture_n(client, events);
    phc_status status = phc_flush(client, 20000, NULL, 0);
    double took = now_ms() - start;
    phc_stats stats = stats_of(client);
    check_at(status == PHC_OK, __FILE__, __LINE__,
             "%s, %d connections, %d events: %s after %.0f ms, %lu lost", deaths[kind], connections, events,
             phc_status_name(status), took, (unsigned long)stats.lost);
    /* One attempt each of those that met a dead connection, at once, and none of the others. */
    int stale = events < connections ? events : connections;
    CHECK(stats.retries <= (uint64_t)stale);
    CHECK_EQ(stats.requests, (uint64_t)(connections + events) + stats.retries);
    CHECK_EQ(value_of(&world.requests), events);
    /* Everything goes on on the new connections. A request that finds no idle connection begins one. So each round has as
     * many requests as there may be connections, and begins when the connections of the round before are idle. */
    for (int round = 0; round < 2; round++) {
        capture_n(client, connections);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    }
    CHECK_EQ(stats_of(client).retries, stats.retries);
    CHECK(hostile_connections(server) <= 2 * connections + 1);
    printf("   %s: %d connections, %d events, %.0f ms\n", deaths[kind], connections, events, took);
    finish(client);
    hostile_stop(server);
    return stats.retries;
}

static void check_all_numbers(death kind) {
    const int numbers[] = {1, 4, 16, 64};
    uint64_t retries = 0;
    for (size_t i = 0; i < 4; i++) {
        retries += check_nothing_is_lost(kind, numbers[i], 1);
        if (numbers[i] > 1) retries += check_nothing_is_lost(kind, numbers[i], numbers[i]);
    }
    /* How many depends on how soon the first failure is seen. */
    CHECK(retries > 0);
}

static void dead_connections_that_reset_cost_one_attempt_at_most(void) { check_all_numbers(RESETS); }
static void dead_connections_that_end_cost_one_attempt_at_most(void) { check_all_numbers(ENDS); }
static void dead_connections_that_are_silent_cost_one_attempt_at_most(void) { check_all_numbers(MUTE); }
static void connections_that_never_respond_cost_one_attempt_at_most(void) { check_all_numbers(IGNORES); }

static void a_silent_server_is_noticed_before_the_time_limit_of_the_request(void) {
    world_of(MUTE, 1);
    hostile *server = hostile_start(dies, NULL);
    phc_client *client = make_client_at(hostile_host(server), "request_timeout_ms", "60000",
                                        "connect_timeout_ms", "2000", NULL);
    free(one_event(client, PHC_OK, NULL));
    set(&world.dying, 1);
    CHECK_EQ(reaches(&world.dead, 1), 1);
    double took;
    free(one_event(client, PHC_OK, &took));
    printf("   after %.0f ms\n", took);
    CHECK(took > 4000 && took < 30000); /* 5 s, as the settings' page says, and the machine's delays */
    CHECK_EQ(stats_of(client).retries, 1);
    finish(client);
    hostile_stop(server);
}

static void a_client_without_retries_makes_none(void) {
    for (size_t kind = 0; kind < DEATHS;) {
        world_of((death)kind, 1);
        hostile *server = hostile_start(dies, NULL);
        phc_client *client = with_dead_connections(server, 1, "0");
        capture(client, "one");
        /* It may be lost before the flush begins, which does not report that then. */
        CHECK(phc_flush(client, 20000, NULL, 0) != PHC_TIMEOUT);
        char *reports = reports_of(client);
        if (hostile_connections(server) == 1) {
            CHECK_EQ(stats_of(client).lost, 1);
            CHECK_HAS(reports, "\"outcome\":\"transport\"");
            CHECK_HAS(reports, "\"attempt\":1,");
            free(one_event(client, PHC_OK, NULL));
            CHECK_EQ(stats_of(client).requests, 3);
            kind++;
        } else {
            /* It came before the last one had given its connection back. Once more. */
            CHECK_EQ(stats_of(client).lost, 0);
        }
        free(reports);
        finish(client);
        hostile_stop(server);
    }
}

static void resets_all(hostile *server, int fd, int number) {
    (void)number;
    hostile_read(server, fd, NULL, 0);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void a_server_that_resets_new_connections_is_met_with_back_off(void) {
    hostile *server = hostile_start(resets_all, NULL);
    phc_client *client = make_client_at(hostile_host(server), "max_retries", "2", "retry_initial_ms", "300",
                                        "retry_max_ms", "60000", NULL);
    double took;
    char *reports = one_event(client, PHC_LOST_EVENTS, &took);
    free(reports);
    CHECK_EQ(hostile_connections(server), 3);
    check_at(took >= 300 + 600, __FILE__, __LINE__, "three attempts within %.0f ms", took);
    finish(client);
    hostile_stop(server);
}

static void accepts_all(hostile *server, int fd, int number) {
    (void)number;
    while (hostile_read(server, fd, NULL, 0) && hostile_say(fd, ACCEPTED)) continue;
}

static void connections_are_kept(void) {
    /* On a busy machine a connection becomes free while a request has another one opened, which is then opened
     * nevertheless, and closed or kept in place of others: twice as many, where one for each batch would be 1,000. */
    const struct {
        const char *in_flight;
        int bound;
    } table[] = {{"1", 2}, {"4", 8}, {"64", 128}};
    for (size_t i = 0; i < 3; i++) {
        hostile *server = hostile_start(accepts_all, NULL);
        phc_client *client = make_client_at(hostile_host(server), "flush_at", "1", "max_batch_events", "1",
                                            "max_in_flight", table[i].in_flight, NULL);
        for (int batch = 0; batch < 1000; batch += 50) {
            capture_n(client, 50);
            if (batch % 100 == 0) CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        }
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).requests, 1000);
        check_at(hostile_connections(server) <= table[i].bound, __FILE__, __LINE__,
                 "%d connections for 1,000 batches, %s in flight", hostile_connections(server),
                 table[i].in_flight);
        finish(client);
        hostile_stop(server);
    }
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(dead_connections_that_reset_cost_one_attempt_at_most),
        TEST(dead_connections_that_end_cost_one_attempt_at_most),
        TEST(dead_connections_that_are_silent_cost_one_attempt_at_most),
        TEST(connections_that_never_respond_cost_one_attempt_at_most),
        TEST(a_silent_server_is_noticed_before_the_time_limit_of_the_request),
        TEST(a_client_without_retries_makes_none),
        TEST(a_server_that_resets_new_connections_is_met_with_back_off),
        TEST(connections_are_kept),
    };
    return RUN_TESTS(tests);
}
