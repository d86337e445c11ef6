/*
 * How names become addresses: /etc/hosts, /etc/resolv.conf and DNS as the built-in resolver reads
 * them. Both files are the test's own, in a mount namespace of its own, and so are the name
 * servers; that needs root.
 */
#include "harness.h"
#include "hostile.h"
#include "name_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int libc_look_ups;

/* In place of libc's, which it calls: the built-in resolver must not. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    typedef int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    add_to(&libc_look_ups, 1);
    return ((function)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
}

static void put_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

static void put_conf(const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_file("/etc/resolv.conf", text);
}

/* Addresses of this process alone: all of 127.0.0.0/8 belongs to the machine. */
static const char *server_address(int number) {
    static char texts[8][32];
    char *text = texts[number % 8];
    int pid = (int)getpid();
    snprintf(text, sizeof texts[0], "127.%d.%d.%d", 64 + pid / 250 % 128, 1 + pid % 250, 53 + number);
    return text;
}

/* A name server whom resolv.conf names, alone. */
static name_server *only_server(const name_row *rows) {
    put_conf("nameserver %s\n", server_address(0));
    return name_server_start(server_address(0), rows);
}

/* The same; a look-up by it lasts as long as the client lets it. */
static name_server *only_server_that_may_be_silent(const name_row *rows) {
    name_server *server = only_server(rows);
    put_conf("nameserver %s\noptions timeout:30 attempts:5\n", server_address(0));
    return server;
}

static const char *url(const char *name, hostile *server) {
    static char texts[8][400];
    static unsigned turn;
    char *text = texts[turn++ % 8];
    snprintf(text, sizeof texts[0], "http://%s:%d", name, hostile_port(server));
    return text;
}

/* One event to this name, which arrives. */
static void check_arrives(const char *name, hostile *server) {
    int before = hostile_requests(server);
    phc_client *client = make_client_at(url(name, server), "connect_timeout_ms", "60000", NULL);
    double took;
    char *reports = one_event(client, PHC_OK, &took);
    check_at(took < SOON_MS, __FILE__, __LINE__, "%s took %.0f ms", name, took);
    check_at(hostile_requests(server) == before + 1, __FILE__, __LINE__, "%s: %s", name, reports);
    free(reports);
    finish(client);
}

/* One event to this name, which is lost for a reason that has both parts; without a request. */
static void check_lost(const char *name, hostile *server, const char *part, const char *other_part) {
    int before = hostile_requests(server);
    phc_client *client =
        make_client_at(url(name, server), "max_retries", "0", "connect_timeout_ms", "500", NULL);
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, part);
    CHECK_HAS(reports, other_part);
    CHECK_HAS(reports, "\"outcome\":\"transport\"");
    CHECK_EQ(count(reports, "maybe_delivered\":true"), 0);
    CHECK_EQ(hostile_requests(server), before);
    free(reports);
    finish(client);
}

static void the_hosts_file_comes_first(void) {
    const name_row rows[] = {{.name = "listed.test", .v4 = "127.0.0.9"}, {0}};
    name_server *names = only_server(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    put_file("/etc/hosts", "127.0.0.1 listed.test second # third.test\n::1 both.test\n127.0.0.1 both.test\n");
    check_arrives("listed.test", server);
    check_arrives("LISTED.test", server);
    check_arrives("second", server);
    check_arrives("both.test", server);
    CHECK_EQ(name_server_queries(names, "listed.test", TYPE_ANY), 0);
    /* Names that stand for this machine by a standard need no entry. */
    check_arrives("localhost", server);
    check_arrives("any.localhost", server);
    CHECK_EQ(name_server_queries(names, "localhost", TYPE_ANY), 0);
    CHECK_EQ(name_server_queries(names, "any.localhost", TYPE_ANY), 0);
    hostile_stop(server);
    name_server_stop(names);
}

static void a_changed_hosts_file_is_noticed(void) {
    const name_row rows[] = {{0}};
    name_server *names = only_server(rows);
    hostile *one = hostile_start(hostile_closes_after_each, NULL);
    hostile *two = hostile_start_at("127.0.0.2", hostile_port(one), hostile_closes_after_each, NULL);
    put_file("/etc/hosts", "127.0.0.1 moves.test\n");
    phc_client *client = make_client_at(url("moves.test", one), NULL);
    free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(hostile_requests(one), 1);
    put_file("/etc/hosts", "127.0.0.2 moves.test\n");
    free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(hostile_requests(two), 1);
    put_file("/etc/hosts", "127.0.0.2 other.test\n");
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, "no such name: moves.test");
    free(reports);
    finish(client);
    hostile_stop(one);
    hostile_stop(two);
    name_server_stop(names);
}

static void names_are_looked_up_by_dns(void) {
    const name_row rows[] = {
        {.name = "v4.test", .v4 = "127.0.0.1"},
        {.name = "first-dead.test", .v4 = "127.0.0.9,127.0.0.1"},
        {.name = "v6-dead.test", .v4 = "127.0.0.1", .v6 = "::1"},
        {.name = "no-route.test", .v4 = "127.0.0.1", .v6 = "2001:db8::1"},
        {.name = "alias.test", .v4 = "127.0.0.1", .alias = "real.test"},
        {.name = "silent-aaaa.test", .v4 = "127.0.0.1", .flags = NAME_SILENT_AAAA},
        {.name = "late-aaaa.test", .v4 = "127.0.0.1", .v6 = "::1", .delay_aaaa_ms = 20},
        {.name = "truncated.test", .v4 = "127.0.0.1", .flags = NAME_TRUNCATED},
        {.name = "no-edns.test", .v4 = "127.0.0.1", .flags = NAME_NO_EDNS},
        {.name = "lost-datagram.test", .v4 = "127.0.0.1", .flags = NAME_LOSES_FIRST},
        {.name = "late.test", .v4 = "127.0.0.1", .delay_a_ms = 400},
        {0},
    };
    name_server *names = only_server(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    for (const name_row *row = rows; row->name != NULL; row++) check_arrives(row->name, server);
    check_arrives("V4.Test", server);
    check_arrives("v4.test.", server);
    CHECK_EQ(name_server_tcp_queries(names), 2); /* for both kinds of address of one name */
    hostile_stop(server);
    name_server_stop(names);
}

static void a_name_with_ipv6_only_is_reached(void) {
    const name_row rows[] = {
        {.name = "v6.test", .v6 = "::1"},
        {.name = "silent-a.test", .v6 = "::1", .flags = NAME_SILENT_A},
        {.name = "late-aaaa.test", .v6 = "::1", .delay_aaaa_ms = 400},
        {0},
    };
    name_server *names = only_server(rows);
    hostile *server = hostile_start_at("::1", 0, hostile_closes_after_each, NULL);
    for (const name_row *row = rows; row->name != NULL; row++) check_arrives(row->name, server);
    hostile_stop(server);
    name_server_stop(names);
}

static void the_search_list_completes_short_names(void) {
    const name_row rows[] = {
        {.name = "short.second.test", .v4 = "127.0.0.1"},
        {.name = "full.test", .v4 = "127.0.0.1"},
        {.name = "two.parts.second.test", .v4 = "127.0.0.1"},
        {.name = "broken.first.test", .flags = NAME_SERVFAIL},
        {.name = "broken.second.test", .v4 = "127.0.0.1"},
        {0},
    };
    name_server *names = only_server(rows);
    put_conf("search first.test second.test\nnameserver %s\n", server_address(0));
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    check_arrives("short", server);
    CHECK_EQ(name_server_queries(names, "short", TYPE_ANY), 0);
    check_arrives("full.test", server);
    CHECK_EQ(name_server_queries(names, "full.test.first.test", TYPE_ANY), 0);
    check_arrives("two.parts", server);
    check_arrives("broken", server);
    check_lost("short.", server, "no such name", server_address(0));
    CHECK_EQ(name_server_queries(names, "short", TYPE_A), 1);
    put_conf("domain second.test\noptions ndots:3\nnameserver %s\n", server_address(0));
    check_arrives("two.parts", server);
    CHECK_EQ(name_server_queries(names, "two.parts", TYPE_A), 1); /* that of before */
    hostile_stop(server);
    name_server_stop(names);
}

static void each_failure_says_what_and_which_server(void) {
    const name_row rows[] = {
        {.name = "empty.test", .ttl = 5},
        {.name = "servfail.test", .flags = NAME_SERVFAIL},
        {.name = "refused.test", .flags = NAME_REFUSED},
        {.name = "silent.test", .flags = NAME_SILENT},
        {0},
    };
    char long_name[400] = "";
    for (int i = 0; i < 6; i++) strcat(long_name, "a-part-of-fifty-characters-so-that-it-is-too-long-x.");
    strcat(long_name, "test");
    put_file("/etc/hosts", "");
    name_server *names = only_server(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    const char *at = server_address(0);
    check_lost("none.test", server, "the name of the host was not found (dns error: no such name: none.test",
               at);
    check_lost("empty.test", server, "no address: empty.test", at);
    check_lost("servfail.test", server, "look-up of servfail.test: the name server", "SERVFAIL");
    check_lost("refused.test", server, at, "REFUSED");
    check_lost("silent.test", server, at, "has not responded within 475 ms");
    check_lost(long_name, server, "the name of the host was not found", "is not a valid host name");
    char address[64];
    snprintf(address, sizeof address, "never.invalid:%d: the name of the host was not found",
             hostile_port(server));
    check_lost("never.invalid", server, address, "no such name: never.invalid");
    CHECK_EQ(name_server_queries(names, "never.invalid", TYPE_ANY), 0);
    /* What else libc would have tried. */
    put_file("/etc/nsswitch.conf", "hosts: files mdns4_minimal [NOTFOUND=return] dns\n");
    check_lost("none.test", server, "also names mdns4_minimal", "set resolver to system");
    put_file("/etc/nsswitch.conf", "hosts: files dns\n");
    put_conf("nameserver %s\n", server_address(3));
    check_lost("none.test", server, server_address(3), "cannot be reached: Connection refused");
    put_conf("nameserver 10.0.0.300\n");
    check_lost("none.test", server, "/etc/resolv.conf", "nameserver 10.0.0.300");
    /* A proxy is looked up in the same way. */
    put_conf("nameserver %s\n", at);
    phc_client *client =
        make_client_at("https://events.test", "proxy", url("none.test", server), "max_retries", "0", NULL);
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, "the name of the proxy was not found");
    free(reports);
    finish(client);
    client =
        make_client_at("http://events.test", "proxy", url("servfail.test", server), "max_retries", "0", NULL);
    reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, "the name of the proxy could not be looked up");
    free(reports);
    finish(client);
    hostile_stop(server);
    name_server_stop(names);
}

static void another_name_server_takes_over(void) {
    const name_row good[] = {{.name = "host.test", .v4 = "127.0.0.1"}, {0}};
    const name_row silent[] = {{.name = "host.test", .flags = NAME_SILENT}, {0}};
    const name_row failing[] = {{.name = "host.test", .flags = NAME_SERVFAIL}, {0}};
    name_server *first = name_server_start(server_address(0), silent);
    name_server *second = name_server_start(server_address(1), silent);
    name_server *third = name_server_start(server_address(2), good);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    put_conf("nameserver %s\nnameserver %s\nnameserver %s\n", server_address(0), server_address(1),
             server_address(2));
    check_arrives("host.test", server);
    CHECK_EQ(name_server_queries(first, "host.test", TYPE_A), 1);
    name_server_says(second, failing);
    check_arrives("host.test", server);
    /* The first is not even there. */
    put_conf("nameserver %s\nnameserver %s\n", server_address(4), server_address(2));
    check_arrives("host.test", server);
    put_conf("nameserver %s\nnameserver %s\noptions rotate\n", server_address(2), server_address(2));
    check_arrives("host.test", server);
    hostile_stop(server);
    name_server_stop(first);
    name_server_stop(second);
    name_server_stop(third);
}

static void a_result_is_used_as_long_as_its_ttl(void) {
    const name_row before[] = {{.name = "short.test", .v4 = "127.0.0.1", .ttl = 1},
                               {.name = "long.test", .v4 = "127.0.0.1", .ttl = 3600},
                               {.name = "never.test", .v4 = "127.0.0.1", .ttl = 0},
                               {0}};
    const name_row after[] = {{.name = "short.test", .v4 = "127.0.0.2", .ttl = 1},
                              {.name = "long.test", .v4 = "127.0.0.2", .ttl = 3600},
                              {.name = "never.test", .v4 = "127.0.0.2", .ttl = 0},
                              {0}};
    name_server *names = only_server(before);
    hostile *one = hostile_start(hostile_closes_after_each, NULL);
    hostile *two = hostile_start_at("127.0.0.2", hostile_port(one), hostile_closes_after_each, NULL);
    const char *const texts[] = {"long.test", "never.test", "short.test"};
    phc_client *clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = make_client_at(url(texts[i], one), NULL);
        for (int n = 0; n < 3; n++) free(one_event(clients[i], PHC_OK, NULL));
    }
    CHECK_EQ(hostile_requests(one), 9);
    CHECK_EQ(name_server_queries(names, "long.test", TYPE_A), 1);
    CHECK_EQ(name_server_queries(names, "never.test", TYPE_A), 3);
    name_server_says(names, after);
    /* The server moves: a client follows once the time is over, and not before. */
    double start = now_ms();
    while (hostile_requests(two) == 0 && now_ms() - start < SOON_MS) {
        free(one_event(clients[2], PHC_OK, NULL));
        usleep(50000);
    }
    CHECK_EQ(hostile_requests(two), 1);
    free(one_event(clients[1], PHC_OK, NULL));
    CHECK_EQ(hostile_requests(two), 2);
    free(one_event(clients[0], PHC_OK, NULL));
    CHECK_EQ(hostile_requests(two), 2);
    CHECK_EQ(name_server_queries(names, "long.test", TYPE_A), 1);
    for (int i = 0; i < 3; i++) finish(clients[i]);
    hostile_stop(one);
    hostile_stop(two);
    name_server_stop(names);
}

static void a_changed_resolv_conf_is_noticed(void) {
    const name_row one_says[] = {{.name = "host.test", .v4 = "127.0.0.1", .ttl = 3600}, {0}};
    const name_row two_says[] = {{.name = "host.test", .v4 = "127.0.0.2", .ttl = 3600}, {0}};
    name_server *names = only_server(one_says);
    name_server *others = name_server_start(server_address(1), two_says);
    hostile *one = hostile_start(hostile_closes_after_each, NULL);
    hostile *two = hostile_start_at("127.0.0.2", hostile_port(one), hostile_closes_after_each, NULL);
    /* At first the network is not there. */
    put_conf("nameserver %s\n", server_address(3));
    phc_client *client = make_client_at(url("host.test", one), "max_retries", "0", NULL);
    free(one_event(client, PHC_LOST_EVENTS, NULL));
    put_conf("nameserver %s\n", server_address(0));
    free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(hostile_requests(one), 1);
    /* Another network has another view of the name. */
    put_conf("nameserver %s\n", server_address(1));
    free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(hostile_requests(two), 1);
    finish(client);
    hostile_stop(one);
    hostile_stop(two);
    name_server_stop(names);
    name_server_stop(others);
}

/* The slowest of some events of a client that looks its name up for each. */
static double slowest_of(phc_client *client, int n) {
    double slowest = 0;
    for (int i = 0; i < n; i++) {
        double missed = descheduled_ms(), took;
        free(one_event(client, PHC_OK, &took));
        took -= descheduled_ms() - missed;
        if (took > slowest) slowest = took;
    }
    return slowest;
}

static void a_dead_name_delays_no_other_client(void) {
    const name_row rows[] = {{.name = "alive.test", .v4 = "127.0.0.1"},
                             {.name = "dead.test", .flags = NAME_SILENT},
                             {.name = "half-dead.test", .flags = NAME_SERVFAIL, .delay_a_ms = 200},
                             {0}};
    name_server *names = only_server_that_may_be_silent(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    double alone = 0, together = 1e9;
    /* On a busy machine a thread may not run for longer than that: once is enough. */
    for (int round = 0; round < 5 && together > alone + 100; round++) {
        phc_client *client = make_client_at(url("alive.test", server), NULL);
        alone = slowest_of(client, 40);
        phc_client *dead[4];
        for (int i = 0; i < 4; i++) {
            dead[i] = make_client_at(url(i < 3 ? "dead.test" : "half-dead.test", server), "flush_at", "1",
                                     "connect_timeout_ms", "60000", "request_timeout_ms", "60000",
                                     "shutdown_timeout_ms", "0", NULL);
            capture_n(dead[i], 4);
        }
        double start = now_ms();
        while (name_server_queries(names, "dead.test", TYPE_A) < 3 && now_ms() - start < SOON_MS) usleep(500);
        together = slowest_of(client, 40);
        printf("   the slowest event: %.1f ms alone, %.1f ms beside dead names\n", alone, together);
        finish(client);
        for (int i = 0; i < 4; i++) finish(dead[i]);
    }
    CHECK(together <= alone + 100);
    hostile_stop(server);
    name_server_stop(names);
}

static int open_descriptors(void) {
    int n = -1; /* that of the folder itself */
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static int descriptors_fall_to(int wanted) {
    double start = now_ms();
    while (open_descriptors() > wanted && now_ms() - start < SOON_MS) usleep(500);
    return open_descriptors();
}

/* As the kernel lists them, those of this process and its children. */
static int sockets_to_the_name_server(void) {
    struct in_addr server;
    inet_pton(AF_INET, server_address(0), &server);
    FILE *file = fopen("/proc/self/net/udp", "r");
    char line[512];
    int n = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned address = 0, port = 0;
        sscanf(line, " %*d: %*x:%*x %x:%x", &address, &port);
        n += address == server.s_addr && port == 53;
    }
    fclose(file);
    return n;
}

static void nothing_of_a_look_up_outlives_its_client(void) {
    const name_row rows[] = {
        {.name = "alive.test", .v4 = "127.0.0.1"}, {.name = "dead.test", .flags = NAME_SILENT}, {0}};
    name_server *names = only_server_that_may_be_silent(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    phc_client *other = make_client_at(url("alive.test", server), NULL);
    free(one_event(other, PHC_OK, NULL));
    for (int i = 0; i < 10; i++) free(one_event(other, PHC_OK, NULL));
    /* The last connection to the server may take its time to close. */
    int idle = open_descriptors();
    for (double start = now_ms(); now_ms() - start < 300; usleep(1000)) {
        int now = open_descriptors();
        if (now < idle) idle = now;
    }
    CHECK_EQ(sockets_to_the_name_server(), 0);
    for (int i = 0; i < 40; i++) {
        int asked = name_server_queries(names, "dead.test", TYPE_ANY);
        phc_client *client =
            make_client_at(url("dead.test", server), "flush_at", "1", "connect_timeout_ms", "60000",
                           "request_timeout_ms", "60000", "shutdown_timeout_ms", "0", NULL);
        capture_n(client, 3);
        double start = now_ms();
        while (name_server_queries(names, "dead.test", TYPE_ANY) < asked + 2 && now_ms() - start < SOON_MS)
            usleep(500);
        CHECK(sockets_to_the_name_server() >= 2);
        finish(client);
        CHECK(descriptors_fall_to(idle) <= idle);
        CHECK_EQ(sockets_to_the_name_server(), 0);
        CHECK_EQ(thread_count("phc-"), 1);
    }
    free(one_event(other, PHC_OK, NULL));
    finish(other);
    hostile_stop(server);
    name_server_stop(names);
}

static int may_respond;

/* The first request has its response when the test says so; the connection stays open. */
static void holds_the_first_response(hostile *server, int fd, int number) {
    if (!hostile_read(server, fd, NULL, 0)) return;
    if (number == 1) reaches(&may_respond, 1);
    while (hostile_say(fd, ACCEPTED) && hostile_read(server, fd, NULL, 0)) continue;
}

static void a_look_up_whose_request_needs_it_no_more_ends_with_the_client(void) {
    const name_row alive[] = {{.name = "host.test", .v4 = "127.0.0.1"}, {0}};
    const name_row silent[] = {{.name = "host.test", .flags = NAME_SILENT}, {0}};
    name_server *names = only_server_that_may_be_silent(alive);
    hostile *server = hostile_start(holds_the_first_response, NULL);
    phc_client *other = make_client(NULL, NULL);
    free(one_event(other, PHC_OK, NULL));
    phc_client *client = make_client_at(url("host.test", server), "flush_at", "1", "connect_timeout_ms",
                                        "60000", "request_timeout_ms", "60000", NULL);
    may_respond = 0;
    capture(client, "one");
    double start = now_ms();
    while (hostile_requests(server) < 1 && now_ms() - start < SOON_MS) usleep(500);
    name_server_says(names, silent);
    capture(client, "two");
    while (name_server_queries(names, "host.test", TYPE_ANY) < 4 && now_ms() - start < SOON_MS) usleep(500);
    CHECK(sockets_to_the_name_server() >= 2);
    /* The second request takes the connection of the first, and nothing waits for its look-up. */
    add_to(&may_respond, 1);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
    for (start = now_ms(); sockets_to_the_name_server() > 0 && now_ms() - start < SOON_MS;) usleep(500);
    CHECK_EQ(sockets_to_the_name_server(), 0);
    free(one_event(other, PHC_OK, NULL));
    finish(other);
    hostile_stop(server);
    name_server_stop(names);
}

static int must_stop;

static void *sends_again_and_again(void *argument) {
    while (!__atomic_load_n(&must_stop, __ATOMIC_SEQ_CST)) free(one_event(argument, PHC_OK, NULL));
    return NULL;
}

/* Looks the name up as a host does, and sends one event. */
static int child_looks_up_and_sends(phc_client *client) {
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo("host.test", "80", &hints, &found) != 0) return 1;
    freeaddrinfo(found);
    if (phc_capture(client, "user", "child", NULL) != PHC_OK) return 2;
    if (phc_flush(client, 20000, NULL, 0) != PHC_OK) return 3;
    return 0;
}

static void children_that_are_forked_during_look_ups_can_look_up_and_send(void) {
    const name_row rows[] = {{.name = "host.test", .v4 = "127.0.0.1,127.0.0.1", .v6 = "::1"}, {0}};
    const char *number = getenv("PHC_NAMES_FORKS");
    int forks = number == NULL ? 100 : atoi(number), failed = 0;
    allow_seconds(60 + (unsigned)forks);
    name_server *names = only_server(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    phc_client *clients[2];
    pthread_t threads[2];
    must_stop = 0;
    for (int i = 0; i < 2; i++) {
        clients[i] = make_client_at(url("host.test", server), NULL);
        pthread_create(&threads[i], NULL, sends_again_and_again, clients[i]);
    }
    for (int i = 0; i < forks; i++) {
        usleep((unsigned)(i * 137 % 3000));
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            _exit(child_looks_up_and_sends(clients[i % 2]));
        }
        int status = -1;
        waitpid(child, &status, 0);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    __atomic_store_n(&must_stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        finish(clients[i]);
    }
    printf("   %d of %d children failed\n", failed, forks);
    CHECK_EQ(failed, 0);
    hostile_stop(server);
    name_server_stop(names);
}

static void libc_looks_names_up_only_if_it_is_to(void) {
    const name_row rows[] = {{.name = "host.test", .v4 = "127.0.0.1"}, {0}};
    name_server *names = only_server(rows);
    hostile *server = hostile_start(hostile_closes_after_each, NULL);
    libc_look_ups = 0;
    check_arrives("host.test", server);
    CHECK_EQ(libc_look_ups, 0);
    phc_client *client =
        make_client_at(url("host.test", server), "resolver", "system", "max_retries", "0", NULL);
    free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(libc_look_ups, 1);
    CHECK_EQ(threads_fall_to(0, "phc-lookup"), 0);
    finish(client);
    client = make_client_at(url("none.test", server), "resolver", "system", "max_retries", "0", NULL);
    char *reports = one_event(client, PHC_LOST_EVENTS, NULL);
    CHECK_HAS(reports, "look-up of none.test: the system's resolver says");
    free(reports);
    finish(client);
    hostile_stop(server);
    name_server_stop(names);
}

/* Puts a file of this process in the place of one of the machine's, for this process alone. */
static void replace(const char *path, const char *text) {
    char own[64];
    snprintf(own, sizeof own, "/tmp/phc-names-XXXXXX");
    int fd = mkstemp(own);
    if (fd < 0 || fchmod(fd, 0644) != 0 || mount(own, path, NULL, MS_BIND, NULL) != 0) {
        perror(path);
        exit(2);
    }
    close(fd);
    unlink(own);
    put_file(path, text);
}

/* Starts this program again as root, if that needs no password. */
static void run_as_root(char **argv) {
    char sink[300];
    snprintf(sink, sizeof sink, "PHC_SINK=%s", getenv("PHC_SINK") == NULL ? "" : getenv("PHC_SINK"));
    char *words[16] = {"sudo", "-n", sink};
    for (int i = 0; i < 12 && argv[i] != NULL; i++) words[3 + i] = argv[i];
    execvp(words[0], words);
}

int main(int argc, char **argv) {
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        int error = errno;
        if (getuid() != 0) run_as_root(argv);
        fprintf(stderr, "mounts of its own: %s; these tests need root\n", strerror(error));
        return 2;
    }
    replace("/etc/resolv.conf", "");
    replace("/etc/hosts", "127.0.0.1 localhost\n");
    replace("/etc/nsswitch.conf", "hosts: files dns\n");
    const test_case tests[] = {
        TEST(the_hosts_file_comes_first),
        TEST(a_changed_hosts_file_is_noticed),
        TEST(names_are_looked_up_by_dns),
        TEST(a_name_with_ipv6_only_is_reached),
        TEST(the_search_list_completes_short_names),
        TEST(each_failure_says_what_and_which_server),
        TEST(another_name_server_takes_over),
        TEST(a_result_is_used_as_long_as_its_ttl),
        TEST(a_changed_resolv_conf_is_noticed),
        TEST(a_dead_name_delays_no_other_client),
        TEST(nothing_of_a_look_up_outlives_its_client),
        TEST(a_look_up_whose_request_needs_it_no_more_ends_with_the_client),
        TEST(children_that_are_forked_during_look_ups_can_look_up_and_send),
        TEST(libc_looks_names_up_only_if_it_is_to),
    };
    return RUN_TESTS(tests);
}
