/* Servers, proxies and machines between that do their worst: time, memory and
 * the books keep their bounds. */
#include "harness.h"
#include "hostile.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void capture(phc_client *client, const char *name) {
    CHECK_EQ(phc_capture(client, "user", name, NULL), PHC_OK);
}

/* One event and its flush; the reports. How long it took goes into took. */
static char *one_event(phc_client *client, phc_status expected, double *took) {
    double start = now_ms();
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), expected);
    if (took != NULL) *took = now_ms() - start;
    return reports_of(client);
}

/* What a server may make this process grow by, whatever it sends. */
#define MAX_GROWTH_KB (6 * 1024)

static void check_growth(const char *what, long before) {
    long growth = resident_peak() - before;
    printf("   %s: the process grew by %ld KiB\n", what, growth);
    check_at(growth <= MAX_GROWTH_KB, __FILE__, __LINE__, "%s: grew by %ld KiB", what, growth);
}

/* Memory that every test of memory has taken once is not counted. */
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
    CHECK_EQ(count(reports, "maybe_delivered\":true"), 0); /* it was never sent */
    free(reports);
    finish(client);
    for (int i = 0; i < 16; i++) close(fillers[i]);
    close(listener);
}

static void is_silent(hostile *server, int fd, int number) {
    (void)server, (void)number;
    hostile_await_end(fd);
}

static void a_server_that_never_shakes_hands_is_given_up_in_time(void) {
    hostile *server = hostile_start(is_silent, NULL);
    char host[64];
    snprintf(host, sizeof host, "https://127.0.0.1:%d", hostile_port(server));
    phc_client *client = make_client_at(host, "connect_timeout_ms", "300", "max_retries", "0", NULL);
    double took;
    char *reports = one_event(client, PHC_LOST_EVENTS, &took);
    CHECK(took >= 290 && took < 4800);
    CHECK_HAS(reports, "no connection within connect_timeout_ms");
    free(reports);
    finish(client);
    hostile_stop(server);
}

static void reads_nothing(hostile *server, int fd, int number) {
    (void)server, (void)number;
    /* Its buffers fill up; it holds the connection until the client gives up. */
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

static void an_answer_that_drips_is_given_up_in_time(void) {
    /* A byte a second where there is a d or the end of a line: in the status
     * line, in the headers, in the body, in the size of a chunk. */
    const char *answers[] = {
        "HTTP/1.1 200 dddddddddddddddd\r\n",
        "HTTP/1.1 200 OK\r\nx: dddddddddddddddd",
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ndddddddddddddddd",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0000000d\r\ndddddddd",
    };
    for (size_t i = 0; i < 4; i++) {
        hostile *server = hostile_start(drips, answers[i]);
        phc_client *client =
            make_client_at(hostile_host(server), "request_timeout_ms", "1200", "max_retries", "0", NULL);
        double took;
        char *reports = one_event(client, PHC_LOST_EVENTS, &took);
        CHECK(took >= 1190 && took < 9000);
        CHECK_HAS(reports, "request_timeout_ms (1200 ms)");
        CHECK_HAS(reports, "\"ending\":\"transport\",\"maybe_delivered\":true");
        free(reports);
        finish(client);
        hostile_stop(server);
    }
}

static void a_gigabyte_of_answer_is_not_read(void) {
    const char *scripts[] = {
        "{\"steps\":[{\"body_size\":1000000000}]}",
        "{\"steps\":[{\"status\":400,\"body_size\":1000000000}]}",
    };
    long before = resident_after_first_use();
    for (size_t i = 0; i < 2; i++) {
        script(scripts[i]);
        phc_client *client = make_client("max_retries", "0", NULL);
        double took;
        char *reports = one_event(client, PHC_LOST_EVENTS, &took);
        CHECK(took < SOON_MS);
        CHECK_HAS(reports, i == 0 ? "over its bound" : "\"status\":400");
        free(reports);
        finish(client);
    }
    check_growth("an answer of 1 GB", before);
}

static void a_compressed_answer_is_not_expanded(void) {
    long before = resident_after_first_use();
    script("{\"steps\":[{\"bomb\":true},{\"status\":400,\"bomb\":true}]}");
    for (size_t i = 0; i < 2; i++) {
        phc_client *client = make_client("max_retries", "0", NULL);
        double took;
        char *reports = one_event(client, PHC_LOST_EVENTS, &took);
        CHECK(took < SOON_MS);
        CHECK_HAS(reports, i == 0 ? "\"ending\":\"malformed_answer\"" : "\"ending\":\"rejected\"");
        free(reports);
        finish(client);
    }
    check_growth("1 GB compressed into 1 MB", before);
    /* Nobody may say that we had asked for it. */
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "accept-encoding"), 0);
    free(requests);
}

/* What to send again and again, after some words that are sent once. */
typedef struct {
    const char *first, *again;
} flood;

static void floods(hostile *server, int fd, int number) {
    (void)number;
    const flood *it = hostile_data(server);
    if (!hostile_read(server, fd, NULL, 0) || !hostile_say(fd, it->first)) return;
    size_t len = strlen(it->again), filled = 0;
    char block[65536];
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
        {"1xx answers for ever", {"", "HTTP/1.1 102 Processing\r\n\r\n"}},
        {"1xx answers with headers for ever",
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
        double stood = stood_still_ms(), start = now_ms();
        capture(client, "one");
        double slowest = 0;
        do {
            double begun_stood = stood_still_ms(), begun = now_ms();
            capture(other, "meanwhile");
            CHECK_EQ(phc_flush(other, 30000, NULL, 0), PHC_OK);
            double other_took = now_ms() - begun;
            other_took -= stood_still_ms() - begun_stood;
            if (other_took > slowest) slowest = other_took;
            usleep(1000);
        } while (stats_of(client).pending_events > 0 && now_ms() - start < 40000);
        double took = now_ms() - start;
        took -= stood_still_ms() - stood;
        printf("   %s: over after %.0f ms, the slowest other event %.0f ms\n", table[i].what, took, slowest);
        /* Whoever sends as fast as memory can be copied gets a share of the
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
        double stood = stood_still_ms(), start = now_ms();
        CHECK_EQ(phc_client_close(client, 100), PHC_LOST_EVENTS);
        double took = now_ms() - start;
        took -= stood_still_ms() - stood;
        check_at(took < 400, __FILE__, __LINE__, "close(100) took %.0f ms", took);
        finish(client);
    }
    hostile_stop(server);
}

/* Once this, then what is right. */
static void answers_once(hostile *server, int fd, int number) {
    if (number == 1) {
        if (!hostile_read(server, fd, NULL, 0)) return;
        hostile_say(fd, hostile_data(server));
        /* What still comes is read, or the connection would be reset. */
        shutdown(fd, SHUT_WR);
        hostile_await_end(fd);
        return;
    }
    while (hostile_read(server, fd, NULL, 0) && hostile_say(fd, ACCEPTED)) continue;
}

/* In place of libc's: a name that ends in .slow is never found. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    typedef int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    size_t len = name == NULL ? 0 : strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".slow") == 0) sleep(30);
    return ((function)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
}

static void a_name_that_is_not_found_holds_up_nobody(void) {
    phc_client *client = make_client_at("http://one.slow", "flush_at", "1", "connect_timeout_ms", "300",
                                        "max_retries", "1", NULL);
    phc_client *other = make_client(NULL, NULL);
    double took;
    char *reports = one_event(client, PHC_LOST_EVENTS, &took);
    CHECK(took >= 590 && took < 9000);
    CHECK_HAS(reports, "no connection within connect_timeout_ms");
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

static void a_proxy_can_be_hostile_too(void) {
    const struct {
        const char *says, *means;
    } table[] = {
        {"", "the proxy did not connect to the host"},
        {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "the proxy refused to connect"},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "the proxy refused to connect"},
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy wants a name and a password"},
        {"HTTP/1.1 200 OK\r\n\r\n", "in the middle of the TLS handshake"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        hostile *server = hostile_start(answers_once, table[i].says);
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
    hostile *servers[] = {hostile_start(is_silent, NULL), hostile_start(floods, &it)};
    for (size_t i = 0; i < 2; i++) {
        phc_client *client = make_client_at("https://events.example", "proxy", hostile_host(servers[i]),
                                            "connect_timeout_ms", "400", "max_retries", "0", NULL);
        double took;
        char *reports = one_event(client, PHC_LOST_EVENTS, &took);
        CHECK(took < 4800); /* the default is 5,000 */
        CHECK_HAS(reports,
                  i == 0 ? "no connection within connect_timeout_ms" : "the proxy refused to connect");
        free(reports);
        finish(client);
        hostile_stop(servers[i]);
    }
}

static void what_is_no_answer_is_a_failure_of_transport(void) {
    const char *answers[] = {
        "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        "220 mail.example ESMTP\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: \x01\x02\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 14\r\ncontent-length: 15\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000000000\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZZ\r\n{\"results\":{}}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7fffffffffffffff\r\n{\"results\":{}}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ne\r\n{\"results\":{}}0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\ne\r\n{\"results\":{}}\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "\r\n\r\n",
        "<",
        "",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        hostile *server = hostile_start(answers_once, answers[i]);
        phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
        char *reports = one_event(client, PHC_OK, NULL);
        phc_stats stats = stats_of(client);
        check_at(stats.requests == 2, __FILE__, __LINE__, "%lu requests after %.60s: %s",
                 (unsigned long)stats.requests, answers[i], reports);
        check_at(count(reports, "\"status\":0,") == 1, __FILE__, __LINE__, "after %.60s: %s", answers[i],
                 reports);
        free(reports);
        finish(client);
        hostile_stop(server);
    }
}

static void odd_answers_that_are_right_are_taken(void) {
    const char *answers[] = {
        "HTTP/1.0 200 OK\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200\r\nCONTENT-LENGTH: 14\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nE;x=y\r\n{\"results\":{}}\r\n0\r\nt: u\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" ACCEPTED,
        ACCEPTED "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", /* and one that nobody asked for */
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        hostile *server = hostile_start(answers_once, answers[i]);
        phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
        free(one_event(client, PHC_OK, NULL));
        CHECK_EQ(stats_of(client).requests, 1);
        free(one_event(client, PHC_OK, NULL));
        CHECK_EQ(stats_of(client).delivered, 2);
        finish(client);
        hostile_stop(server);
    }
}

static void switching_protocols_is_no_success(void) {
    hostile *server = hostile_start(
        answers_once,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    phc_client *client = make_client_at(hostile_host(server), "max_retries", "0", NULL);
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, "HTTP 101");
    free(reports);
    finish(client);
    hostile_stop(server);
}

static void answers_early(hostile *server, int fd, int number) {
    (void)number;
    char head[8192];
    ssize_t got = recv(fd, head, sizeof head, 0);
    if (got <= 0) return;
    hostile_say(fd, hostile_data(server));
    /* As nginx does it: what still comes is not read, the connection is over. */
    shutdown(fd, SHUT_WR);
    usleep(50000);
}

static void an_answer_before_the_body_is_read(void) {
    /* Small bodies are out before the answer is seen; of large ones the rest may
     * meet a closed connection. It is the answer that counts, or else a failure
     * of transport: never a hang, and SIGPIPE is no matter. */
    const char *answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const size_t sizes[] = {10, 100000, 4000000, 12000000};
    for (size_t i = 0; i < 4; i++) {
        hostile *server = hostile_start(answers_early, answer);
        phc_client *client =
            make_client_at(hostile_host(server), "max_retries", "1", "compression", "none", "max_event_bytes",
                           "16777216", "max_batch_bytes", "16777216", NULL);
        char *value = malloc(sizes[i] + 1);
        memset(value, 'v', sizes[i]);
        value[sizes[i]] = '\0';
        phc_event *event = phc_event_new("user", "large");
        CHECK_EQ(phc_event_set_string(event, "value", value), PHC_OK);
        free(value);
        double start = now_ms();
        CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        CHECK(now_ms() - start < 20000);
        char *reports = reports_of(client);
        int rejected = strstr(reports, "\"status\":401") != NULL;
        check_at(rejected || strstr(reports, "\"ending\":\"transport\"") != NULL, __FILE__, __LINE__, "%s",
                 reports);
        printf("   a body of %zu bytes: %s\n", sizes[i],
               rejected ? "the answer was seen" : "a failure of transport");
        if (sizes[i] < 1000) CHECK(rejected);
        free(reports);
        finish(client);
        hostile_stop(server);
    }
}

static void hangs_up_when_idle(hostile *server, int fd, int number) {
    (void)number;
    if (hostile_read(server, fd, NULL, 0)) hostile_say(fd, ACCEPTED);
}

static void a_connection_that_was_closed_while_idle_is_no_matter(void) {
    hostile *server = hostile_start(hangs_up_when_idle, NULL);
    phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
    for (int i = 1; i <= 20; i++) {
        free(one_event(client, PHC_OK, NULL));
        CHECK_EQ(hostile_requests(server), i); /* each once */
        usleep(i % 2 ? 0 : 20000);             /* the end of the connection may be seen, or not yet */
    }
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 20);
    CHECK_EQ(hostile_requests(server), 20);
    printf("   20 events, %lu requests begun\n", (unsigned long)stats.requests);
    finish(client);
    hostile_stop(server);
}

static void resets_the_second(hostile *server, int fd, int number) {
    (void)number;
    static char first_id[64];
    char head[8192];
    if (!hostile_read(server, fd, head, sizeof head)) return;
    const char *id = strcasestr(head, "posthog-request-id:");
    const char *attempt = strcasestr(head, "posthog-attempt: 2");
    if (attempt != NULL) {
        /* The retry is the same request. */
        check_at(id != NULL && strncmp(id, first_id, 50) == 0, __FILE__, __LINE__,
                 "another request id: %.60s, %s", id, first_id);
    }
    hostile_say(fd, ACCEPTED);
    if (!hostile_read(server, fd, head, sizeof head)) return;
    id = strcasestr(head, "posthog-request-id:");
    snprintf(first_id, sizeof first_id, "%.55s", id == NULL ? "" : id);
    struct linger reset = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void a_kept_connection_that_is_reset_costs_one_attempt(void) {
    hostile *server = hostile_start(resets_the_second, NULL);
    phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
    for (int i = 0; i < 5; i++) {
        free(one_event(client, PHC_OK, NULL));
        free(one_event(client, PHC_OK, NULL));
    }
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 10);
    CHECK_EQ(stats.lost, 0);
    CHECK_EQ(stats.retries, (uint64_t)hostile_requests(server) - 10);
    CHECK(stats.retries >= 5);
    finish(client);
    hostile_stop(server);
}

static void a_kept_connection_that_is_cut_neither_loses_nor_doubles(void) {
    /* The same with a server that keeps books: the second request of each
     * connection is cut, before or after it was stored. */
    script(
        "{\"steps\":[{},{\"close\":\"before_read\"},{},{\"close\":\"before_answer\"},{},{\"close\":\"after_headers\"},{},"
        "{\"close\":\"mid_body\"},{}]}");
    phc_client *client = make_client(NULL, NULL);
    for (int i = 0; i < 5; i++) free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(summary("accepted"), 5);
    CHECK_EQ(summary("requests"), 9);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 5);
    CHECK_EQ(stats.retries, 4);
    finish(client);
}

static void an_outage_is_probed_in_time_while_a_backlog_waits(void) {
    /* Nobody flushes, and the events of the backlog are due in an hour: it is
     * the waits between the probes that count. */
    script("{\"steps\":[{\"status\":503,\"times\":12}]}");
    phc_client *client = make_client("max_retries", "0", "flush_at", "10", "max_batch_events", "10",
                                     "flush_interval_ms", "3600000", "max_in_flight", "1", NULL);
    for (int i = 0; i < 305; i++) capture(client, "one");
    double start = now_ms();
    wait_for("accepted=180");
    CHECK(now_ms() - start < SOON_MS);
    CHECK_EQ(phc_client_close(client, 10000), PHC_LOST_EVENTS);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost, 120);
    CHECK_EQ(stats.delivered, 185);
    finish(client);
}

static void a_server_begins_no_line_in_the_log(void) {
    hostile *server =
        hostile_start(answers_once, "HTTP/1.1 400 Bad\r\n\r\nx\r\n\n2026 ERROR \x1b[31m forged\tline\r\n");
    phc_client *client = make_client_at(hostile_host(server), "max_retries", "0", NULL);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    phc_report *report = phc_poll(client, 0);
    for (const char *byte = phc_report_error(report); *byte != '\0'; byte++)
        CHECK((unsigned char)*byte >= ' ');
    CHECK_HAS(phc_report_error(report), "x 2026 ERROR");
    phc_report_free(report);
    finish(client);
    hostile_stop(server);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_server_that_never_accepts_is_given_up_in_time),
        TEST(a_server_that_never_shakes_hands_is_given_up_in_time),
        TEST(a_server_that_reads_nothing_is_given_up_in_time),
        TEST(an_answer_that_drips_is_given_up_in_time),
        TEST(a_gigabyte_of_answer_is_not_read),
        TEST(a_compressed_answer_is_not_expanded),
        TEST(floods_are_bounded),
        TEST(close_is_in_time_during_a_flood),
        TEST(a_name_that_is_not_found_holds_up_nobody),
        TEST(a_proxy_can_be_hostile_too),
        TEST(what_is_no_answer_is_a_failure_of_transport),
        TEST(odd_answers_that_are_right_are_taken),
        TEST(switching_protocols_is_no_success),
        TEST(an_answer_before_the_body_is_read),
        TEST(a_connection_that_was_closed_while_idle_is_no_matter),
        TEST(a_kept_connection_that_is_reset_costs_one_attempt),
        TEST(a_kept_connection_that_is_cut_neither_loses_nor_doubles),
        TEST(an_outage_is_probed_in_time_while_a_backlog_waits),
        TEST(a_server_begins_no_line_in_the_log),
    };
    return RUN_TESTS(tests);
}
