/*
 * Shortage on this machine: no descriptor, memory, port, thread or randomness. It is not the
 * server's failure: it costs no attempt and no event, and is retried with a wait.
 *
 * The functions of libc that meet it are replaced here, for the library's threads.
 */
#include "harness.h"
#include "hostile.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The error of each function, 0 for none, and how often it was returned. */
static struct { int socket, connect, getrandom, pthread_create, open, times; } fails;

static int is_ours(void) {
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    return strncmp(name, "phc-", 4) == 0;
}

static int failing(const int *error) {
    int number = __atomic_load_n(error, __ATOMIC_SEQ_CST);
    if (number == 0) return 0;
    add_to(&fails.times, 1);
    errno = number;
    return 1;
}

static void set(int *value, int wanted) { __atomic_store_n(value, wanted, __ATOMIC_SEQ_CST); }

int socket(int domain, int type, int protocol) {
    if (is_ours() && failing(&fails.socket)) return -1;
    return (int)syscall(SYS_socket, domain, type, protocol);
}

#ifdef __GLIBC__
int connect(int fd, __CONST_SOCKADDR_ARG any, socklen_t size) {
    const struct sockaddr *address = any.__sockaddr__;
#else
int connect(int fd, const struct sockaddr *address, socklen_t size) {
#endif
    /* A connect of UDP sends nothing and needs none of it: it asks the kernel for an address. */
    int type = 0;
    socklen_t length = sizeof(type);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    if (type == SOCK_STREAM && is_ours() && failing(&fails.connect)) return -1;
    return (int)syscall(SYS_connect, fd, address, size);
}

#ifndef __GLIBC__
#define open64 open /* musl has one name for both */
#endif

/* Of certificates; the library's threads open other files, too. */
int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    int is_certificates = strstr(path, "/ssl/") || strstr(path, "/pki/");
    if (is_certificates && is_ours() && failing(&fails.open)) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

ssize_t getrandom(void *bytes, size_t size, unsigned flags) {
    if (size > 0 && is_ours() && failing(&fails.getrandom)) return -1;
    return syscall(SYS_getrandom, bytes, size, flags);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument) {
    if (failing(&fails.pthread_create)) return errno;
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT,
                                                                                       "pthread_create");
    return real(thread, attributes, body, argument);
}

/* What the log says, and standard error. */
typedef struct {
    char lines[8000];
    int line_count;
    int stderr_was, pipe[2];
} said;

static void add_line(phc_log_level level, const char *message, void *user_data) {
    (void)level;
    said *said = user_data;
    strncat(strncat(said->lines, message, 1000), "\n", 2);
    add_to(&said->line_count, 1);
}

static phc_client *listened_to(phc_client *client, said *said) {
    memset(said, 0, sizeof *said);
    CHECK_EQ(phc_set_log_callback(client, add_line, said, NULL), PHC_OK);
    CHECK_EQ(pipe2(said->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    said->stderr_was = dup(2);
    dup2(said->pipe[1], 2);
    return client;
}

/* Frees the client; nothing was printed. */
static void finish_silently(phc_client *client, said *said) {
    dup2(said->stderr_was, 2);
    close(said->stderr_was);
    close(said->pipe[1]);
    char printed[500] = "";
    ssize_t got = read(said->pipe[0], printed, sizeof printed - 1);
    check_at(got <= 0, __FILE__, __LINE__, "printed: %s", printed);
    close(said->pipe[0]);
    finish(client);
}

/* One event of this client, whose connection is gone, while the shortage lasts and afterwards. It
 * has no attempt but one. */
static void check_it_waits(phc_client *client, said *said, int *shortage, int error, const char *name) {
    phc_stats before = stats_of(client);
    set(&fails.times, 0);
    set(shortage, error);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 50, NULL, 0), PHC_TIMEOUT);
    int times = reaches(&fails.times, 3);
    CHECK(times >= 3);
    phc_stats during = stats_of(client);
    CHECK_EQ(during.lost, 0);
    CHECK_EQ(during.retries, before.retries);
    CHECK(during.requests <= before.requests + 1); /* one may be about to be taken back */
    set(shortage, 0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    phc_stats after = stats_of(client);
    CHECK_EQ(after.delivered, before.delivered + 1);
    CHECK_EQ(after.requests, before.requests + 1);
    CHECK_EQ(after.retries, before.retries);
    char *reports = reports_of(client);
    check_at(count(reports, "\"attempt\":1,") == 1 && count(reports, "\n") == 1, __FILE__, __LINE__, "%s: %s",
             name, reports);
    free(reports);
    finish_silently(client, said);
    CHECK_EQ(count(said->lines, name), 1);
    CHECK_EQ(count(said->lines, "sending goes on"), 1);
    CHECK_EQ(count(said->lines, "\n"), 2);
}

static void a_connection_that_this_machine_cannot_make_costs_no_attempt(void) {
    const struct {
        int *function, error;
        const char *name;
    } table[] = {
        {&fails.socket, EMFILE, "(EMFILE)"},
        {&fails.socket, ENFILE, "(ENFILE)"},
        {&fails.socket, ENOBUFS, "(ENOBUFS)"},
        {&fails.socket, ENOMEM, "(ENOMEM)"},
        {&fails.connect, ENOBUFS, "(ENOBUFS)"},
        {&fails.connect, ENOMEM, "(ENOMEM)"},
        {&fails.connect, EADDRNOTAVAIL, "(EADDRNOTAVAIL)"},
        {&fails.connect, EAGAIN, "(EAGAIN)"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        said said;
        phc_client *client = listened_to(
            make_client("max_retries", "0", "retry_initial_ms", "20", "retry_max_ms", "50", NULL), &said);
        check_it_waits(client, &said, table[i].function, table[i].error, table[i].name);
    }
    CHECK_EQ(summary("requests"), 8);
    CHECK_EQ(summary("accepted"), 8);
}

static void a_request_id_that_cannot_be_made_costs_no_attempt(void) {
    phc_client *running = make_client(NULL, NULL); /* the thread has what it needs for itself */
    free(one_event(running, PHC_OK, NULL));
    said said;
    phc_client *client = listened_to(
        make_client("max_retries", "0", "retry_initial_ms", "20", "retry_max_ms", "50", NULL), &said);
    check_it_waits(client, &said, &fails.getrandom, EAGAIN, "randomness");
    finish(running);
}

static void a_thread_that_begins_without_randomness_waits_for_it(void) {
    /* The client is freed while the thread still waits, and in another one it goes on. */
    for (int ends = 0; ends < 2; ends++) {
        said said;
        phc_client *client = listened_to(make_client(NULL, NULL), &said);
        set(&fails.times, 0);
        set(&fails.getrandom, EAGAIN);
        capture(client, "one");
        CHECK_EQ(phc_flush(client, 50, NULL, 0), PHC_TIMEOUT);
        CHECK(reaches(&fails.times, 3) >= 3);
        if (ends) {
            CHECK_EQ(phc_client_close(client, 50), PHC_LOST_EVENTS);
            CHECK_EQ(stats_of(client).maybe_delivered, 0);
        } else {
            set(&fails.getrandom, 0);
            CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        }
        double start = now_ms();
        finish_silently(client, &said);
        CHECK(now_ms() - start < SOON_MS);
        set(&fails.getrandom, 0);
    }
    CHECK_EQ(thread_count("phc-io"), 0);
}

static void without_randomness_it_waits_instead_of_trying_again_at_once(void) {
    phc_client *running = make_client(NULL, NULL);
    free(one_event(running, PHC_OK, NULL));
    said said;
    phc_client *client = listened_to(
        make_client("retry_initial_ms", "200", "retry_max_ms", "60000", "log_level", "debug", NULL), &said);
    set(&fails.times, 0);
    set(&fails.getrandom, EAGAIN);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 1000, NULL, 0), PHC_TIMEOUT);
    int times = __atomic_load_n(&fails.times, __ATOMIC_SEQ_CST);
    printf("   the system was asked %d times within a second\n", times);
    CHECK(times >= 1 && times <= 10);
    set(&fails.getrandom, 0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish_silently(client, &said);
    finish(running);
}

static void what_a_shortage_costs_in_the_end_is_reported_with_its_name(void) {
    said said;
    phc_client *client = listened_to(make_client("max_in_flight", "1", "max_batch_events", "2",
                                                 "retry_initial_ms", "60000", "retry_max_ms", "60000", NULL),
                                     &said);
    set(&fails.socket, EMFILE);
    capture_n(client, 5);
    CHECK_EQ(phc_flush(client, 50, NULL, 0), PHC_TIMEOUT);
    CHECK_EQ(reaches(&said.line_count, 1), 1); /* no try is in flight */
    CHECK_EQ(phc_client_close(client, 20), PHC_LOST_EVENTS);
    set(&fails.socket, 0);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"outcome\":\"closed\""), 5);
    CHECK_EQ(count(reports, "(EMFILE)"), count(reports, "\n"));
    CHECK_EQ(count(reports, "internal error"), 0);
    free(reports);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.lost, 5);
    CHECK_EQ(stats.maybe_delivered, 0);
    CHECK_EQ(stats.requests, 0);
    finish_silently(client, &said);
    CHECK_EQ(count(said.lines, "events lost: 5"), 1);
    CHECK_EQ(summary("requests"), 0);
}

static void certificates_that_cannot_be_read_for_a_shortage_are_not_replaced_by_others(void) {
    said said;
    phc_client *client = listened_to(
        make_client("host", "https://127.0.0.1:1", "retry_initial_ms", "20", "retry_max_ms", "50", NULL),
        &said);
    set(&fails.times, 0);
    set(&fails.open, EMFILE);
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 50, NULL, 0), PHC_TIMEOUT);
    CHECK(reaches(&fails.times, 3) >= 3);
    CHECK_EQ(stats_of(client).lost, 0);
    CHECK_EQ(phc_client_close(client, 20), PHC_LOST_EVENTS);
    set(&fails.open, 0);
    char *reports = reports_of(client);
    CHECK_EQ(count(reports, "\"outcome\":\"closed\""), 1);
    CHECK_EQ(count(reports, "(EMFILE)"), 1);
    free(reports);
    finish_silently(client, &said);
    CHECK_EQ(count(said.lines, "(EMFILE)"), count(said.lines, "\n"));
    CHECK_EQ(count(said.lines, "certificates are checked against"), 0);
}

/* Leaves the process so many descriptors more than it has open. */
static struct rlimit leave_descriptors(int more) {
    struct rlimit before, few;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(lowest > 0);
    close(lowest);
    few = before;
    few.rlim_cur = (rlim_t)(lowest + more);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    return before;
}

static void a_client_that_meets_the_limit_of_descriptors_goes_on_afterwards(void) {
    said said;
    phc_client *running = make_client(NULL, NULL); /* phc-io has what it needs */
    free(one_event(running, PHC_OK, NULL));
    phc_client *client = listened_to(
        make_client("max_retries", "0", "retry_initial_ms", "20", "retry_max_ms", "50", NULL), &said);
    int held[64], n = 0;
    struct rlimit before = leave_descriptors(8);
    while (n < 64 && (held[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) n++;
    capture(client, "one");
    phc_status status = phc_flush(client, 300, NULL, 0);
    /* The idle connection of the other client was given back for it. */
    CHECK_EQ(status, PHC_OK);
    phc_client *third = make_client("max_retries", "0", "retry_initial_ms", "20", "retry_max_ms", "50", NULL);
    while (n < 64 && (held[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) n++;
    free(one_event(third, PHC_OK, NULL)); /* by the connection of the second, likewise */
    for (int i = 0; i < n; i++) close(held[i]);
    setrlimit(RLIMIT_NOFILE, &before);
    free(one_event(client, PHC_OK, NULL));
    CHECK_EQ(stats_of(client).requests, 2);
    finish_silently(client, &said);
    finish(third);
    finish(running);
}

static void many_clients_share_few_descriptors(void) {
    enum { CLIENTS = 1000 };
    static phc_client *clients[CLIENTS];
    allow_seconds(120);
    for (int i = 0; i < CLIENTS; i++) clients[i] = make_client("flush_at", "1", "max_retries", "0", NULL);
    struct rlimit before = leave_descriptors(200);
    for (int i = 0; i < CLIENTS; i++) capture(clients[i], "one");
    double start = now_ms();
    int lost = 0, late = 0;
    for (int i = 0; i < CLIENTS; i++) {
        phc_status status = phc_flush(clients[i], 60000, NULL, 0);
        lost += status == PHC_LOST_EVENTS;
        late += status == PHC_TIMEOUT;
    }
    printf("   %d clients with 200 descriptors: %.0f ms\n", CLIENTS, now_ms() - start);
    CHECK_EQ(lost, 0);
    CHECK_EQ(late, 0);
    for (int i = 0; i < CLIENTS; i++) finish(clients[i]);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK_EQ(summary("accepted"), CLIENTS);
    CHECK_EQ(summary("requests"), CLIENTS);
}

static void without_threads_a_capture_is_refused_and_a_later_one_is_taken(void) {
    phc_client *client = make_client(NULL, NULL);
    set(&fails.pthread_create, EAGAIN);
    CHECK_EQ(phc_capture(client, "user", "one", NULL), PHC_OUT_OF_RESOURCES);
    CHECK_HAS(phc_last_error(), "the I/O thread could not be started: ");
    set(&fails.pthread_create, 0);
    free(one_event(client, PHC_OK, NULL));
    static said said;
    set(&fails.pthread_create, EAGAIN);
    CHECK_EQ(phc_set_log_callback(client, add_line, &said, NULL), PHC_OUT_OF_RESOURCES);
    CHECK_HAS(phc_last_error(), "the callback thread could not be started: ");
    set(&fails.pthread_create, 0);
    CHECK_EQ(phc_set_log_callback(client, add_line, &said, NULL), PHC_OK);
    CHECK_EQ(thread_appears("phc-callback"), 1);
    free(one_event(client, PHC_OK, NULL));
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 2);
    CHECK_EQ(stats.refused_by_status[PHC_OUT_OF_RESOURCES], 1);
    finish(client);
}

static void without_threads_a_body_is_compressed_all_the_same(void) {
    phc_client *client = make_client("compression", "br", "compression_level", "9", "flush_at", "1000", NULL);
    free(one_event(client, PHC_OK, NULL));
    char value[1000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 200; i++) {
        phc_event *event = phc_event_new("user", "large");
        CHECK_EQ(phc_event_set_string(event, "value", value), PHC_OK);
        CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    }
    set(&fails.times, 0);
    set(&fails.pthread_create, EAGAIN);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    set(&fails.pthread_create, 0);
    CHECK_EQ(__atomic_load_n(&fails.times, __ATOMIC_SEQ_CST), 1);
    char *requests = sink_get("_requests");
    CHECK_EQ(count(requests, "\"encoding\":\"br\""), 2);
    free(requests);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_connection_that_this_machine_cannot_make_costs_no_attempt),
        TEST(a_request_id_that_cannot_be_made_costs_no_attempt),
        TEST(a_thread_that_begins_without_randomness_waits_for_it),
        TEST(without_randomness_it_waits_instead_of_trying_again_at_once),
        TEST(what_a_shortage_costs_in_the_end_is_reported_with_its_name),
        TEST(certificates_that_cannot_be_read_for_a_shortage_are_not_replaced_by_others),
        TEST(a_client_that_meets_the_limit_of_descriptors_goes_on_afterwards),
        TEST(many_clients_share_few_descriptors),
        TEST(without_threads_a_body_is_compressed_all_the_same),
        TEST(without_threads_a_capture_is_refused_and_a_later_one_is_taken),
    };
    return RUN_TESTS(tests);
}
