/*
 * Servers, proxies and name servers that do their worst: time, memory and counters keep their
 * bounds. How single responses and connections are handled is in connections.c.
 */
#include "harness.h"
#include "hostile.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a server may make this process grow by, whatever it sends. */
#define MAX_GROWTH_KB (6 * 1024)

static void check_growth(const char *what, long before) {
    long growth = resident_peak() - before;
    printf("   %s: the process grew by %ld KiB\n", what, growth);
    check_at(growth <= MAX_GROWTH_KB, __FILE__, __LINE__, "%s: grew by %ld KiB", what, growth);
}

/* Memory that is taken once, at the first use, is not counted. */
static long resident_after_first_use(void) {
    phc_client *client = make_client(NULL, NULL);
    free(one_event(client, PHC_OK, NULL));
    finish(client);
    resident_reset();
    return resident_now();
}

static void a_server_that_never_accepts_is_given_up_in_time(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    CHECK(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 0) == 0);
    getsockname(listener, (struct sockaddr *)&at, &size);
    /* Its backlog is full when a connection is not made at once any more. */
    int fillers[16];
    for (int i = 0; i < 16; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&at, size);
    }
    char host[64];
    snprintf(host, sizeof host, "http://127.0.0.1:%d", ntohs(at.sin_port));
    phc_client *client = make_client_at(host, "connect_timeout_ms", "300", "max_retries", "1", NULL);
    double took;
    char *reports = one_event(client, PHC_LOST_EVENTS, &took);
    CHECK(took >= 590 && took < 9000);
    CHECK_HAS(reports, "no connection within connect_timeout_ms");
    CHECK_HAS(reports, host + strlen("http://"));
    CHECK_EQ(count(reports, "maybe_delivered\":true"), 0); /* it was never sent */
    free(reports);
    finish(client);
    for (int i = 0; i < 16; i++) close(fillers[i]);
    close(listener);
}

static void a_server_that_never_shakes_hands_is_given_up_in_time(void) {
    hostile *server = hostile_start(hostile_is_silent, NULL);
    char host[64];
    snprintf(host, sizeof host, "https://127.0.0.1:%d", hostile_port(server));
    phc_client *client = make_client_at(host, "connect_timeout_ms", "300", "max_retries", "0", NULL);
    moment begun = begin();
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK(ms_since(begun) >= 290 && ms_had_since(begun) < 4800); /* the default is 5,000 */
    CHECK_HAS(reports, "no connection within connect_timeout_ms");
    CHECK_EQ(count(reports, "maybe_delivered\":true"), 0); /* no byte of it was sent */
    free(reports);
    finish(client);
    hostile_stop(server);
}

static void reads_nothing(hostile *server, int fd, int number) {
    (void)server, (void)number;
    /* Its buffers fill up; it keeps the connection until the client gives up. */
    struct pollfd end = {.fd = fd, .events = POLLRDHUP};
    poll(&end, 1, 20000);
}

static void a_server_that_reads_nothing_is_given_up_in_time(void) {
    hostile *server = hostile_start(reads_nothing, NULL);
    phc_client *client =
        make_client_at(hostile_host(server), "request_timeout_ms", "500", "max_retries", "0", "compression",
                       "none", "max_event_bytes", "16777216", "max_batch_bytes", "16777216", NULL);
    size_t size = 12 << 20;
    char *value = malloc(size + 1);
    memset(value, 'v', size);
    value[size] = '\0';
    phc_event *event = phc_event_new("user", "large");
    CHECK_EQ(phc_event_set_string(event, "value", value), PHC_OK);
    free(value);
    double start = now_ms();
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_LOST_EVENTS);
    double took = now_ms() - start;
    CHECK(took >= 490 && took < 9000);
    char *reports = reports_of(client);
    CHECK_HAS(reports, "request_timeout_ms");
    free(reports);
    finish(client);
    hostile_stop(server);
}

static void drips(hostile *server, int fd, int number) {
    (void)number;
    if (!hostile_read(server, fd, NULL, 0)) return;
    for (const char *byte = hostile_data(server); *byte != '\0'; byte++) {
        if (!hostile_send(fd, byte, 1)) return;
        /* Fast through what comes before the place of the drip. */
        if (byte[0] != '\r' && byte[0] != '\n' && strchr("dD", byte[0]) == NULL) continue;
        sleep(1);
    }
    hostile_await_end(fd);
}

static void a_response_that_drips_is_given_up_in_time(void) {
    /* A byte a second where there is a d or the end of a line: in the status
     * line, in the headers, in the body, in the size of a chunk. */
    const char *responses[] = {
        "HTTP/1.1 200 dddddddddddddddd\r\n",
        "HTTP/1.1 200 OK\r\nx: dddddddddddddddd",
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ndddddddddddddddd",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0000000d\r\ndddddddd",
    };
    for (size_t i = 0; i < 4; i++) {
        hostile *server = hostile_start(drips, responses[i]);
        phc_client *client =
            make_client_at(hostile_host(server), "request_timeout_ms", "1200", "max_retries", "0", NULL);
        double took;
        char *reports = one_event(client, PHC_LOST_EVENTS, &took);
        CHECK(took >= 1190 && took < 9000);
        CHECK_HAS(reports, "request_timeout_ms (1200 ms)");
        CHECK_HAS(reports, "\"outcome\":\"transport\",\"maybe_delivered\":true");
        free(reports);
        finish(client);
        hostile_stop(server);
    }
}

/* One event for each of two responses: what is reported of it, and what the process grows by. */
static void check_large_responses(const char *what, const char *steps, const char *const reported[2]) {
    long before = resident_after_first_use();
    script(steps);
    for (size_t i = 0; i < 2; i++) {
        phc_client *client = make_client("max_retries", "0", NULL);
        double took;
        char *reports = one_event(client, PHC_LOST_EVENTS, &took);
        CHECK(took < SOON_MS);
        CHECK_HAS(reports, reported[i]);
        free(reports);
        finish(client);
    }
    check_growth(what, before);
}

static void a_gigabyte_of_response_is_not_read(void) {
    const char *const reported[] = {"larger than its bound", "\"status\":400"};
    check_large_responses(
        "a response of 1 GB",
        "{\"steps\":[{\"body_size\":1000000000},{\"status\":400,\"body_size\":1000000000}]}", reported);
}

static void a_compressed_response_is_not_expanded(void) {
    const char *const reported[] = {"\"outcome\":\"malformed_response\"", "\"outcome\":\"rejected\""};
    check_large_responses("1 GB compressed into 1 MB",
                          "{\"steps\":[{\"bomb\":true},{\"status\":400,\"bomb\":true}]}", reported);
    /* The server has been asked not to compress. */
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "\"accept-encoding\":\"identity\""), count(requests, "\"accept-encoding\""));
    CHECK(count(requests, "\"accept-encoding\"") >= 2);
    free(requests);
}

/* What is sent again and again, after a text that is sent once. */
typedef struct {
    const char *first, *again;
} flood;

static void floods(hostile *server, int fd, int number) {
    (void)number;
    const flood *it = hostile_data(server);
    if (!hostile_read(server, fd, NULL, 0) || !hostile_say(fd, it->first)) return;
    size_t len = strlen(it->again), filled = 0;
    /* Not on the stack: a thread of musl has 128 KiB of it. */
    static _Thread_local char block[65536];
    while (filled + len <= sizeof block) {
        memcpy(block + filled, it->again, len);
        filled += len;
    }
    while (hostile_send(fd, block, filled)) continue;
}

static void floods_are_bounded(void) {
    const struct {
        const char *what;
        flood it;
    } table[] = {
        {"header lines for ever", {"HTTP/1.1 200 OK\r\n", "x-line: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"}},
        {"one header for ever", {"HTTP/1.1 200 OK\r\nx: ", "y"}},
        {"one header name for ever", {"HTTP/1.1 200 OK\r\n", "n"}},
        {"a status line for ever", {"HTTP/1.1 200 ", "O"}},
        {"1xx responses for ever", {"", "HTTP/1.1 102 Processing\r\n\r\n"}},
        {"1xx responses with headers for ever",
         {"", "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"}},
        {"empty lines for ever", {"", "\r\n"}},
        {"zeros of a chunk's size for ever", {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "0"}},
        {"a chunk's extension for ever", {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", "e"}},
        {"tiny chunks for ever", {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"}},
        {"trailers for ever", {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", "t: u\r\n"}},
        {"a body without an end", {"HTTP/1.1 200 OK\r\n\r\n", " "}},
    };
    allow_seconds(250);
    long before = resident_after_first_use();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        hostile *server = hostile_start(floods, &table[i].it);
        phc_client *client = make_client_at(hostile_host(server), "flush_at", "1", "request_timeout_ms",
                                            "800", "max_retries", "0", NULL);
        /* Another client of the same thread is served meanwhile. */
        phc_client *other = make_client("flush_at", "1", "reports", "losses", NULL);
        resident_reset();
        moment start = begin();
        capture(client, "one");
        double slowest = 0;
        do {
            moment begun = begin();
            capture(other, "meanwhile");
            CHECK_EQ(phc_flush(other, 30000, NULL, 0), PHC_OK);
            double other_took = ms_had_since(begun);
            if (other_took > slowest) slowest = other_took;
            usleep(1000);
        } while (stats_of(client).pending_events > 0 && ms_since(start) < 40000);
        double took = ms_had_since(start);
        printf("   %s: over after %.0f ms, the slowest other event %.0f ms\n", table[i].what, took, slowest);
        /* A server that sends as fast as memory can be copied gets a share of the
         * thread that is coarse on a busy machine, but no more than a share. */
        check_at(took < 15000, __FILE__, __LINE__, "%s: over after %.0f ms", table[i].what, took);
        check_at(slowest < 10000, __FILE__, __LINE__, "%s: another event took %.0f ms", table[i].what,
                 slowest);
        CHECK_EQ(stats_of(client).lost, 1);
        check_growth(table[i].what, before);
        finish(other);
        finish(client);
        hostile_stop(server);
    }
}

static void close_is_in_time_during_a_flood(void) {
    const flood it = {"", "HTTP/1.1 102 Processing\r\n\r\n"};
    hostile *server = hostile_start(floods, &it);
    for (int i = 0; i < 10; i++) {
        phc_client *client = make_client_at(hostile_host(server), "flush_at", "1", NULL);
        int before = hostile_requests(server);
        capture(client, "one");
        while (hostile_requests(server) == before) usleep(1000);
        moment begun = begin();
        CHECK_EQ(phc_client_close(client, 100), PHC_LOST_EVENTS);
        double took = ms_had_since(begun);
        check_at(took < 400, __FILE__, __LINE__, "close(100) took %.0f ms", took);
        finish(client);
    }
    hostile_stop(server);
}

static int looked_up, may_end, ended;

/* In place of libc's: a name that ends in .slow is never found, one that ends in .held not before the test
 * says so. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    typedef int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    size_t len = name == NULL ? 0 : strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".slow") == 0) sleep(30);
    if (len > 5 && strcmp(name + len - 5, ".held") == 0) {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        CHECK(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGPIPE) && sigismember(&mask, SIGRTMIN));
        CHECK(!sigismember(&mask, SIGSEGV));
        add_to(&looked_up, 1);
        CHECK_EQ(reaches(&may_end, 1), 1);
        add_to(&ended, 1);
        return EAI_NONAME;
    }
    return ((function)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
}

static void a_look_up_by_libc_that_hangs_delays_no_other_client(void) {
    phc_client *client = make_client_at("http://one.slow", "resolver", "system", "flush_at", "1",
                                        "connect_timeout_ms", "300", "max_retries", "1", NULL);
    phc_client *other = make_client(NULL, NULL);
    double took;
    char *reports = one_event(client, PHC_LOST_EVENTS, &took);
    CHECK(took >= 560 && took < 9000);
    CHECK_HAS(reports, "look-up of one.slow: the system's resolver has not responded within 285 ms");
    CHECK_EQ(count(reports, "maybe_delivered\":true"), 0);
    free(reports);
    capture(client, "two");
    free(one_event(other, PHC_OK, &took));
    CHECK(took < SOON_MS);
    finish(other);
    /* A look-up that hangs is not waited for. */
    double start = now_ms();
    CHECK_EQ(phc_client_close(client, 100), PHC_LOST_EVENTS);
    CHECK(now_ms() - start < SOON_MS);
    start = now_ms();
    finish(client);
    CHECK(now_ms() - start < SOON_MS);
}

static void libc_looks_names_up_on_two_threads_a_client_that_end(void) {
    looked_up = may_end = ended = 0;
    phc_client *clients[2];
    for (int i = 0; i < 2; i++) {
        char host[64];
        snprintf(host, sizeof host, "http://name-%d.held", i);
        clients[i] = make_client_at(host, "resolver", "system", "flush_at", "1", "max_batch_events", "1",
                                    "max_retries", "0", "connect_timeout_ms", "60000", "request_timeout_ms",
                                    "60000", NULL);
        capture_n(clients[i], 4);
    }
    CHECK_EQ(reaches(&looked_up, 4), 4);
    /* Their thread has come so far with all eight when it has served another client. */
    phc_client *other = make_client(NULL, NULL);
    free(one_event(other, PHC_OK, NULL));
    CHECK_EQ(looked_up, 4);
    CHECK_EQ(thread_count("phc-lookup"), 4);
    CHECK_EQ(thread_count("phc-io"), 1);
    add_to(&may_end, 1);
    CHECK_EQ(reaches(&ended, 8), 8);
    for (int i = 0; i < 2; i++) {
        (void)phc_flush(clients[i], 20000, NULL, 0); /* the events may be lost before */
        CHECK_EQ(stats_of(clients[i]).lost_by_reason[PHC_LOSS_TRANSPORT], 4);
    }
    CHECK_EQ(threads_fall_to(0, "phc-lookup"), 0);
    for (int i = 0; i < 2; i++) finish(clients[i]);
    finish(other);
}

static void a_proxy_can_be_hostile_too(void) {
    const struct {
        const char *says, *means;
    } table[] = {
        {"", "the proxy did not connect to the host"},
        {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "the proxy refused to connect"},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy refused to connect"},
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy requires a name and a password"},
        {"HTTP/1.1 200 OK\r\n\r\n", "the connection was closed during the TLS handshake"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        hostile *server = hostile_start(hostile_responds_once, table[i].says);
        phc_client *client =
            make_client_at("https://events.example", "proxy", hostile_host(server), "max_retries", "0", NULL);
        char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
        CHECK_HAS(reports, table[i].means);
        CHECK_HAS(reports, "through the proxy http://127.0.0.1:");
        free(reports);
        finish(client);
        hostile_stop(server);
    }

    const flood it = {"HTTP/1.1 200 OK\r\n", "x-line: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"};
    hostile *servers[] = {hostile_start(hostile_is_silent, NULL), hostile_start(floods, &it)};
    for (size_t i = 0; i < 2; i++) {
        phc_client *client = make_client_at("https://events.example", "proxy", hostile_host(servers[i]),
                                            "connect_timeout_ms", "400", "max_retries", "0", NULL);
        moment begun = begin();
        char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
        CHECK(ms_had_since(begun) < 4800); /* the default is 5,000 */
        CHECK_HAS(reports,
                  i == 0 ? "no connection within connect_timeout_ms" : "the proxy refused to connect");
        free(reports);
        finish(client);
        hostile_stop(servers[i]);
    }
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_server_that_never_accepts_is_given_up_in_time),
        TEST(a_server_that_never_shakes_hands_is_given_up_in_time),
        TEST(a_server_that_reads_nothing_is_given_up_in_time),
        TEST(a_response_that_drips_is_given_up_in_time),
        TEST(a_gigabyte_of_response_is_not_read),
        TEST(a_compressed_response_is_not_expanded),
        TEST(floods_are_bounded),
        TEST(close_is_in_time_during_a_flood),
        TEST(libc_looks_names_up_on_two_threads_a_client_that_end),
        TEST(a_look_up_by_libc_that_hangs_delays_no_other_client),
        TEST(a_proxy_can_be_hostile_too),
    };
    return RUN_TESTS(tests);
}
