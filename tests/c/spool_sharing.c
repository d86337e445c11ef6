/* Pending events on disk that several processes share: who sends what is left, living processes and their children. */
#include "spooling.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- who sends what is left */

/* Like workers that live for a few requests; more of them than are taken over at once. */
static void what_many_processes_have_left_is_delivered(void) {
    folder = new_folder();
    for (int i = 0; i < 20; i++) CHECK_EQ(in_process(leave_two), 0);
    CHECK_EQ(segments(), 20);
    next_delivers(40, 41);
}

static void *make_and_leave(void *unused) {
    leave_two();
    return unused;
}

static void two_clients_share_a_folder(void) {
    folder = new_folder();
    script(DOWN);
    phc_client *one = SPOOLING("crash", NULL), *two = SPOOLING("crash", "spool_adopt", "false", NULL);
    capture_n(one, 3);
    capture_n(two, 4);
    AWAIT(one, spooled, 3);
    AWAIT(two, spooled, 4);
    CHECK_EQ(segments(), 2);
    /* The third takes over what the first has left, and nothing of the second. */
    CHECK_EQ(phc_client_close(one, 0), PHC_OK);
    CHECK_EQ(stats_of(one).kept, 3);
    finish(one);
    phc_client *three = SPOOLING("crash", NULL);
    capture(three, "own");
    AWAIT(three, recovered, 3);
    respond_now();
    AWAIT(three, delivered, 3);
    CHECK_EQ(phc_flush(two, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flush(three, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(two).delivered, 4);
    CHECK_EQ(stats_of(two).recovered, 0);
    CHECK_EQ(stats_of(three).recovered, 3);
    finish(two);
    finish(three);
    CHECK_EQ(summary("accepted"), 8);
    CHECK_EQ(segments(), 0);
    /* Folders are made and removed by several at once. */
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, make_and_leave, NULL);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    next_delivers(16, 25);
    only_this_rule_is_broken(CUT_OFF);
}

/* What is for another host or key is not sent, and not touched. */
static void other_destinations_are_left_alone(void) {
    folder = new_folder();
    char other[300];
    snprintf(other, sizeof other, "%s/other", namespace_host());
    phc_client *client = make_client_at(other, "spool_dir", folder, "shutdown_timeout_ms", "0", NULL);
    capture_n(client, 2);
    finish(client);
    CHECK_EQ(in_process(leave_two), 0);
    client = SPOOLING("crash", NULL);
    capture(client, "own");
    AWAIT(client, delivered, 2);
    finish(client);
    CHECK_EQ(segments(), 1);
    client = make_client_at(other, "spool_dir", folder, NULL);
    capture(client, "own");
    AWAIT(client, delivered, 2);
    finish(client);
    CHECK_EQ(segments(), 0);
}

static void a_client_that_adopts_nothing(void) {
    folder = new_folder();
    CHECK_EQ(in_process(leave_two), 0);
    phc_client *client = SPOOLING("exit", "spool_adopt", "false", NULL);
    capture(client, "own");
    /* The other one looks later than this one would. */
    next_delivers(2, 3);
    CHECK_EQ(stats_of(client).recovered, 0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
}

/* -- processes that live, and their children */

static int reached[2], held[2];

/* Has the other end of `reached` read that it got here. */
static void signal_reached(void) { CHECK_EQ(write(reached[1], "x", 1), 1); }
static int has_reached(void) {
    char one;
    return read(reached[0], &one, 1) == 1;
}

static void wait_until_let_go(void) {
    char one;
    close(held[1]);
    CHECK_EQ(read(held[0], &one, 1), 0);
}

static void open_pipes(void) {
    CHECK_EQ(pipe(reached), 0);
    CHECK_EQ(pipe(held), 0);
}

static void close_pipes(void) {
    close(reached[0]);
    close(reached[1]);
    close(held[0]);
}

static void live_until_let_go(void) {
    phc_client *client = SPOOLING("crash", "spool_adopt", "false", NULL);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    signal_reached();
    wait_until_let_go();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 5);
    finish(client);
}

static void a_living_process_keeps_what_is_its_own(void) {
    for (int stopped = 0; stopped < 2; stopped++) {
        folder = new_folder();
        sink_post("_clear", "{}");
        open_pipes();
        pid_t living = begin_process(live_until_let_go);
        CHECK(has_reached());
        if (stopped) {
            kill(living, SIGSTOP);
            int status = 0;
            waitpid(living, &status, WUNTRACED);
            CHECK(WIFSTOPPED(status));
        }
        CHECK_EQ(in_process(leave_two), 0);
        phc_client *client = SPOOLING("crash", NULL);
        capture(client, "own");
        /* It has looked at both, then. */
        AWAIT(client, delivered, 2);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).recovered, 2);
        await_segments(1);
        if (stopped) kill(living, SIGCONT);
        close(held[1]);
        CHECK_EQ(end_of(living), 0);
        close_pipes();
        finish(client);
        CHECK_EQ(summary("accepted"), 8);
        CHECK_EQ(segments(), 0);
    }
}

static phc_client *inherited;

static void only_exit(void) {
    CHECK_EQ(descriptors_of_folder(), 0);
    CHECK_EQ(thread_count("phc-"), 0);
    exit(has_failed());
}

static void flush_persist_and_free(void) {
    CHECK_EQ(phc_persist(inherited, 20000), PHC_OK);
    CHECK_EQ(phc_flush(inherited, 20000, NULL, 0), PHC_OK);
    phc_client_free(inherited);
    CHECK_EQ(descriptors_of_folder(), 0);
}

static void capture_and_free(void) {
    capture_n(inherited, 2);
    AWAIT(inherited, spooled, 2);
    CHECK_EQ(segments(), 2);
    CHECK(descriptors_of_folder() > 0);
    CHECK_EQ(phc_flush(inherited, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(inherited).delivered, 2);
    CHECK(await(is_reached, &(goal){inherited, offsetof(phc_stats, delivered), 2}));
    phc_client_free(inherited);
    CHECK_EQ(segments(), 1);
}

static void discard_own(void) {
    capture_n(inherited, 3);
    uint64_t discarded = 0;
    CHECK_EQ(phc_spool_discard(inherited, 20000, &discarded), PHC_OK);
    CHECK_EQ(discarded, 3);
    CHECK_EQ(segments(), 1);
}

static void a_forked_child_leaves_its_parents_files_alone(void) {
    folder = new_folder();
    inherited = SPOOLING("crash", NULL);
    capture_n(inherited, 5);
    AWAIT(inherited, spooled, 5);
    CHECK(descriptors_of_folder() > 0);
    void (*bodies[])(void) = {only_exit, flush_persist_and_free, capture_and_free, discard_own};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        CHECK_EQ(in_process(bodies[i]), 0);
        CHECK_EQ(segments(), 1);
        CHECK_EQ(stats_of(inherited).spooled, 5);
    }
    CHECK_EQ(phc_flush(inherited, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(inherited).delivered, 5);
    finish(inherited);
    CHECK_EQ(segments(), 0);
    CHECK_EQ(summary("accepted"), 7);
}

static void has_no_descriptors(void) { CHECK_EQ(descriptors_of_folder(), 0); }

static void children_of_many_clients_have_none_of_their_descriptors(void) {
    enum { CLIENTS = 64 };
    folder = new_folder();
    phc_client *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = SPOOLING("crash", "spool_adopt", "false", "shutdown_timeout_ms", "0", NULL);
        capture(clients[i], "a");
    }
    for (int i = 0; i < CLIENTS; i++) CHECK_EQ(phc_persist(clients[i], 20000), PHC_OK);
    CHECK_EQ(in_process(has_no_descriptors), 0);
    for (int i = 0; i < CLIENTS; i++) finish(clients[i]);
    CHECK_EQ(segments(), CLIENTS);
}

static void outlive_the_parent(void) {
    wait_until_let_go();
    signal_reached();
}

static void run_a_program(void) {
    char script[60];
    close(held[1]);
    snprintf(script, sizeof script, "read x <&%d; printf x >&%d", held[0], reached[1]);
    execl("/bin/sh", "sh", "-c", script, (char *)NULL);
}

static void (*outliving)(void);

static void die_before_the_child(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    begin_process(outliving);
    if (!has_failed()) kill_itself();
}

static void what_a_dead_parent_has_left_is_taken_over_while_its_child_lives(void) {
    void (*bodies[])(void) = {outlive_the_parent, run_a_program};
    for (size_t i = 0; i < 2; i++) {
        folder = new_folder();
        sink_post("_clear", "{}");
        outliving = bodies[i];
        open_pipes();
        killed(in_process(die_before_the_child));
        next_delivers(5, 6);
        /* It lived all the time. */
        close(held[1]);
        CHECK(has_reached());
        close_pipes();
    }
}

/* As daemons do it: what was inherited is closed, and the process has files of its own under those numbers. A child
 * of it keeps them. */
static void close_all_and_fork(void) {
    enum { FILES = 200 };
    int own[FILES], gone = 0, status = -1;
    for (int i = 3; i < FILES; i++) close(i);
    for (int i = 3; i < FILES; i++) own[i] = open("/dev/zero", O_RDONLY);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 3; i < FILES; i++) gone += fcntl(own[i], F_GETFD) < 0;
        _exit(gone < 100 ? gone : 100);
    }
    waitpid(pid, &status, 0);
    /* This process may be the one that captured, whose library is without its descriptors now. */
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 101);
}

static void capture_close_all_and_fork(void) {
    phc_client *client = SPOOLING("crash", NULL);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    CHECK(descriptors_of_folder() > 0);
    close_all_and_fork();
}

static void files_of_a_host_that_closes_everything_stay_open_in_its_children(void) {
    folder = new_folder();
    CHECK_EQ(in_process(capture_close_all_and_fork), 0);
    /* A child that was made without fork handlers has inherited all. */
    phc_client *client = SPOOLING("crash", NULL);
    capture_n(client, 5);
    AWAIT(client, spooled, 5);
    fflush(NULL);
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        alarm(40);
        close_all_and_fork();
    }
    CHECK_EQ(end_of(pid), 0);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(what_many_processes_have_left_is_delivered),
        TEST(two_clients_share_a_folder),
        TEST(other_destinations_are_left_alone),
        TEST(a_client_that_adopts_nothing),
        TEST(a_living_process_keeps_what_is_its_own),
        TEST(a_forked_child_leaves_its_parents_files_alone),
        TEST(children_of_many_clients_have_none_of_their_descriptors),
        TEST(what_a_dead_parent_has_left_is_taken_over_while_its_child_lives),
        TEST(files_of_a_host_that_closes_everything_stay_open_in_its_children),
    };
    return RUN_TESTS(tests);
}
