/* A host that runs without its standard descriptors, or closes descriptors while it runs. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the body in a child, whose descriptors it may close; returns how that ended. */
static int in_child(int (*body)(int), int argument) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(40);
        _exit(body(argument));
    }
    int status = -1;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

static void close_these(int standard) {
    for (int i = 0; i < 3; i++)
        if (standard & 1 << i) close(i);
}

/* Whether something that can carry the host's output away, or the library's wake-ups, has the number. */
static int is_ours(int descriptor) {
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    if (readlink(path, target, sizeof target - 1) < 0) return 0;
    return strncmp(target, "socket:", 7) == 0 || strncmp(target, "anon_inode:", 11) == 0;
}

/* What was closed stays without effect for the host: a write fails, a read finds nothing. */
static int looks_closed(int standard) {
    char byte;
    for (int i = 0; i < 3; i++) {
        if (is_ours(i)) return 0;
        if (!(standard & 1 << i)) continue;
        if (write(i, "the host's text\n", 16) != -1 || errno != EBADF) return 0;
        if (read(i, &byte, 1) > 0) return 0;
    }
    return 1;
}

/* Each event needs a connection of its own, and the host goes on printing. */
static int deliver(phc_client *client, int standard, int events) {
    for (int i = 0; i < events; i++) {
        if (phc_capture(client, "user", "event", NULL) != PHC_OK) return 1;
        /* The server takes its time, so that the connection is seen, too. */
        phc_status status = PHC_TIMEOUT;
        for (double start = now_ms(); status == PHC_TIMEOUT && now_ms() - start < 20000;) {
            status = phc_flush(client, 5, NULL, 0);
            if (!looks_closed(standard)) return 2;
        }
        if (status != PHC_OK) return 3;
    }
    return 0;
}

static const char *address; /* of the sink, as the client gets it */
static int own_fork;

static int with_them_closed(int standard) {
    close_these(standard);
    phc_client *client = make_client_at(address, NULL, NULL);
    if (phc_poll_fd(client) < 3) return 10;
    int status = deliver(client, standard, 3);
    if (status != 0) return status;
    if (own_fork) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            close_these(standard); /* also what has been put there */
            if (phc_poll_fd(client) < 3) _exit(10);
            _exit(deliver(client, standard, 1));
        }
        if (waitpid(pid, &status, 0) != pid || status != 0) return 11;
    }
    phc_client_free(client);
    return looks_closed(standard) ? 0 : 12;
}

static void each_subset(int expected_events) {
    script("{\"then\":{\"delay_ms\":40,\"headers\":{\"Connection\":\"close\"}}}");
    for (int standard = 1; standard < 8; standard++) {
        int status = in_child(with_them_closed, standard);
        check_at(status == 0, __FILE__, __LINE__, "with the set %d closed: %d", standard, status);
    }
    CHECK_EQ(summary("accepted"), 7 * expected_events);
}

static void closed_standard_descriptors_are_never_ours(void) {
    address = namespace_host();
    own_fork = 0;
    each_subset(3);
}

static void nor_those_of_a_forked_child(void) {
    address = namespace_host();
    own_fork = 1;
    each_subset(4);
}

static void nor_are_they_used_for_a_name(void) {
    static char by_name[300];
    const char *at = namespace_host();
    snprintf(by_name, sizeof by_name, "http://localhost%s", strrchr(at, ':'));
    address = by_name;
    own_fork = 0;
    each_subset(3);
}

static int with_them_closed_later(int standard) {
    phc_client *client = make_client(NULL, NULL);
    int status = deliver(client, 0, 2);
    if (status != 0) return 20 + status;
    /* While the I/O thread sleeps. */
    await_sleep(thread_id("phc-io"));
    close_these(standard);
    status = deliver(client, 0, 3);
    if (status != 0) return status;
    phc_client_free(client);
    return 0;
}

static void nor_are_those_that_are_closed_later(void) {
    script("{\"then\":{\"delay_ms\":40,\"headers\":{\"Connection\":\"close\"}}}");
    for (int standard = 1; standard < 8; standard++) {
        int status = in_child(with_them_closed_later, standard);
        check_at(status == 0, __FILE__, __LINE__, "with the set %d closed: %d", standard, status);
    }
    CHECK_EQ(summary("accepted"), 7 * 5);
}

/* What the host puts there stays. */
static int with_files_of_the_host(int unused) {
    (void)unused;
    close_these(7);
    phc_client *client = make_client(NULL, NULL);
    int status = deliver(client, 7, 1);
    if (status != 0) return status;
    char name[] = "/tmp/phc-descriptors-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    for (int i = 0; i < 3; i++) dup2(file, i);
    phc_client *other = make_client(NULL, NULL);
    if (deliver(other, 0, 1) != 0) return 5;
    phc_client_free(client);
    phc_client_free(other);
    struct stat expected, found;
    fstat(file, &expected);
    for (int i = 0; i < 3; i++) {
        if (fstat(i, &found) != 0 || found.st_ino != expected.st_ino) return 6;
        if (write(i, "x", 1) != 1) return 7;
    }
    return fstat(file, &found) == 0 && found.st_size == 3 ? 0 : 8;
}

static void what_the_host_opens_there_stays(void) {
    script("{\"then\":{\"delay_ms\":40,\"headers\":{\"Connection\":\"close\"}}}");
    CHECK_EQ(in_child(with_files_of_the_host, 0), 0);
    CHECK_EQ(summary("accepted"), 2);
}

static int while_none_is_closed(int unused) {
    (void)unused;
    struct stat before[3], after;
    for (int i = 0; i < 3; i++) fstat(i, &before[i]);
    phc_client *client = make_client(NULL, NULL);
    if (deliver(client, 0, 2) != 0) return 1;
    phc_client_free(client);
    for (int i = 0; i < 3; i++)
        if (fstat(i, &after) != 0 || after.st_ino != before[i].st_ino) return 2;
    return 0;
}

static void open_ones_are_left_alone(void) { CHECK_EQ(in_child(while_none_is_closed, 0), 0); }

/* As daemons do it, in the process that has captured: the library's descriptors are closed, too. */
static double cpu_ms(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static int closing_everything(int from_three) {
    phc_client *client = make_client("shutdown_timeout_ms", "300", NULL);
    int status = deliver(client, 0, 1);
    if (status != 0) return 20 + status;
    phc_poll_fd(client);
    await_sleep(thread_id("phc-io"));
    /* That it can wake nothing is an internal error, which a panic prints. */
    dup2(open("/dev/null", O_WRONLY), 2);
    for (int i = from_three ? 3 : 0; i < 1024; i++) close(i);
    double start = now_ms();
    for (int i = 0; i < 10; i++) {
        status = phc_capture(client, "user", "into nothing", NULL);
        if (status != PHC_OK && status != PHC_INTERNAL) return 30;
        status = phc_flush(client, 20, NULL, 0);
        if (status == PHC_OK) return 31; /* it cannot have been delivered */
        phc_report_free(phc_poll(client, 10));
    }
    phc_client_free(client);
    if (now_ms() - start > SOON_MS) return 32;
    /* It neither spins nor hangs, and the process can begin anew. */
    start = now_ms();
    double used = cpu_ms();
    while (now_ms() - start < 500) usleep(10000);
    if (cpu_ms() - used > 250) return 33;
    client = make_client(NULL, NULL);
    status = deliver(client, from_three ? 0 : 7, 2);
    phc_client_free(client);
    return status;
}

static void a_host_that_closes_everything_can_begin_anew(void) {
    CHECK_EQ(in_child(closing_everything, 0), 0);
    CHECK_EQ(in_child(closing_everything, 1), 0);
    CHECK_EQ(summary("accepted"), 6);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(closed_standard_descriptors_are_never_ours),
        TEST(nor_those_of_a_forked_child),
        TEST(nor_are_they_used_for_a_name),
        TEST(nor_are_those_that_are_closed_later),
        TEST(what_the_host_opens_there_stays),
        TEST(open_ones_are_left_alone),
        TEST(a_host_that_closes_everything_can_begin_anew),
    };
    return RUN_TESTS(tests);
}
