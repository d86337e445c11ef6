/*
 * Responses and connections that are broken, or unusual and correct: what counts as a response,
 * and what a connection costs that ends.
 */
#include "harness.h"
#include "hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_non_http_response_is_a_transport_error(void) {
    const char *responses[] = {
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
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        hostile *server = hostile_start(hostile_responds_once, responses[i]);
        phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
        char *reports = one_event(client, PHC_OK, NULL);
        phc_stats stats = stats_of(client);
        check_at(stats.requests == 2, __FILE__, __LINE__, "%lu requests after %.60s: %s",
                 (unsigned long)stats.requests, responses[i], reports);
        check_at(count(reports, "\"status\":0,") == 1, __FILE__, __LINE__, "after %.60s: %s", responses[i],
                 reports);
        CHECK_EQ(hostile_connections(server), 2);
        free(reports);
        finish(client);
        hostile_stop(server);
    }
}

static void unusual_responses_that_are_correct_are_accepted(void) {
    const char *responses[] = {
        "HTTP/1.0 200 OK\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200\r\nCONTENT-LENGTH: 14\r\n\r\n{\"results\":{}}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nE;x=y\r\n{\"results\":{}}\r\n0\r\nt: u\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" ACCEPTED,
        ACCEPTED "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", /* and one without a request */
    };
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++) {
        hostile *server = hostile_start(hostile_responds_once, responses[i]);
        phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
        free(one_event(client, PHC_OK, NULL));
        CHECK_EQ(stats_of(client).requests, 1);
        free(one_event(client, PHC_OK, NULL));
        CHECK_EQ(stats_of(client).delivered, 2);
        finish(client);
        hostile_stop(server);
    }
}

static void switching_protocols_is_not_a_success(void) {
    hostile *server = hostile_start(
        hostile_responds_once,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    phc_client *client = make_client_at(hostile_host(server), "max_retries", "0", NULL);
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, "HTTP 101");
    free(reports);
    finish(client);
    hostile_stop(server);
}

static void responds_early(hostile *server, int fd, int number) {
    (void)number;
    char head[8192];
    ssize_t got = recv(fd, head, sizeof head, 0);
    if (got <= 0) return;
    hostile_say(fd, hostile_data(server));
    /* As nginx does it: what still comes is not read, the connection is over. */
    shutdown(fd, SHUT_WR);
    usleep(50000);
}

static void a_response_before_the_body_is_read(void) {
    /* Small bodies are sent before the response is seen; of large ones the rest may
     * meet a closed connection. It is the response that counts, or else a transport
     * error: never a hang, and SIGPIPE has no effect. */
    const char *response = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const size_t sizes[] = {10, 100000, 4000000, 12000000};
    for (size_t i = 0; i < 4; i++) {
        hostile *server = hostile_start(responds_early, response);
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
        check_at(rejected || strstr(reports, "\"outcome\":\"transport\"") != NULL, __FILE__, __LINE__, "%s",
                 reports);
        printf("   a body of %zu bytes: %s\n", sizes[i],
               rejected ? "the response was seen" : "a transport error");
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

static void a_connection_that_was_closed_while_idle_costs_nothing(void) {
    hostile *server = hostile_start(hangs_up_when_idle, NULL);
    phc_client *client = make_client_at(hostile_host(server), NULL, NULL);
    for (int i = 1; i <= 20; i++) {
        char *reports = one_event(client, PHC_OK, NULL);
        CHECK_EQ(count(reports, "\"attempt\":3,"), 0);
        free(reports);
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
    for (int i = 0; i < 10; i++) {
        char *reports = one_event(client, PHC_OK, NULL);
        CHECK_EQ(count(reports, "\"attempt\":3,"), 0);
        free(reports);
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
    /* The same with the sink, which records what it stores: the second request of
     * each connection is cut, before or after it was stored. */
    script(
        "{\"steps\":[{},{\"close\":\"before_read\"},{},{\"close\":\"before_response\"},{},{\"close\":\"after_headers\"},{},"
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
    /* There is no flush, and the events of the backlog are due in an hour: it is
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

static void check_one_line(const char *text) {
    for (const char *byte = text; *byte != '\0'; byte++) {
        check_at((unsigned char)*byte >= ' ' && *byte != 0x7f, __FILE__, __LINE__, "byte %d in: %s", *byte,
                 text);
    }
}

/* All lines of a client, each with a newline after it. */
static void add_line(phc_log_level level, const char *message, void *lines) {
    (void)level;
    check_one_line(message);
    strncat(strncat(lines, message, 2000), "\n", 2);
}

static void a_server_begins_no_line_in_the_log(void) {
    /* The text of an error, the target of a redirect, what is not HTTP. */
    const struct {
        const char *says, *logged;
    } table[] = {
        {"HTTP/1.1 400 Bad\r\n\r\nx\r\n\n2026 ERROR \x1b[31m forged\tline\r\n", "x 2026 ERROR"},
        {"HTTP/1.1 400 Bad\r\n\r\n{\"error\":\"x\\n2026\\u0085ERROR\\u001b\"}", "x 2026 ERROR"},
        {"HTTP/1.1 301 Moved\r\nlocation: http://x\x85\n 2026 ERROR\r\ncontent-length: 0\r\n\r\n", ""},
        {"HTTP/1.1 301 Moved\r\nlocation: http://x\t2026 ERROR\r\ncontent-length: 0\r\n\r\n", "301"},
        {"\n2026 ERROR forged\r\n\r\n", "no response"},
    };
    static char lines[20000];
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        hostile *server = hostile_start(hostile_responds_once, table[i].says);
        phc_client *client =
            make_client_at(hostile_host(server), "max_retries", "0", "log_level", "debug", NULL);
        lines[0] = '\0';
        CHECK_EQ(phc_set_log_callback(client, add_line, lines, NULL), PHC_OK);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
        phc_report *report = phc_poll(client, 0);
        check_one_line(phc_report_error(report));
        phc_report_free(report);
        finish(client);
        hostile_stop(server);
        CHECK_HAS(lines, table[i].logged);
        CHECK_EQ(count(lines, "\n"), 2); /* of the attempt and of the loss */
    }
    /* A warning. */
    script(
        "{\"then\":{\"verdicts\":[{\"result\":\"warn\\ning\",\"details\":\"x\\r\\n2026 ERROR\\u0007\"}]}}");
    phc_client *client = make_client(NULL, NULL);
    lines[0] = '\0';
    CHECK_EQ(phc_set_log_callback(client, add_line, lines, NULL), PHC_OK);
    free(one_event(client, PHC_OK, NULL));
    finish(client);
    CHECK_HAS(lines, "x 2026 ERROR");
    CHECK_EQ(count(lines, "\n"), 1);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_non_http_response_is_a_transport_error),
        TEST(unusual_responses_that_are_correct_are_accepted),
        TEST(switching_protocols_is_not_a_success),
        TEST(a_response_before_the_body_is_read),
        TEST(a_connection_that_was_closed_while_idle_costs_nothing),
        TEST(a_kept_connection_that_is_reset_costs_one_attempt),
        TEST(a_kept_connection_that_is_cut_neither_loses_nor_doubles),
        TEST(an_outage_is_probed_in_time_while_a_backlog_waits),
        TEST(a_server_begins_no_line_in_the_log),
    };
    return RUN_TESTS(tests);
}
