/* A child is recognised however it was made, and with whatever the system offers for it. */
#include "harness.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ways to make a child. Each returns its id in the parent and 0 in the child. */
static pid_t by_fork(void) { return fork(); }

static pid_t by_fork_without_handlers(void) {
    pid_t (*without_handlers)(void) = (pid_t(*)(void))dlsym(RTLD_DEFAULT, "_Fork");
    return without_handlers == NULL ? fork() : without_handlers(); /* glibc has it since 2.34 */
}

static pid_t by_clone(void) { return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }

static pid_t by_clone3(void) {
    struct clone_args args = {.exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    return pid < 0 && (errno == ENOSYS || errno == EPERM) ? by_clone() : pid;
}

/* As a daemon does it: a child of a child in a session of its own. */
static pid_t by_daemonising(void) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    if (setsid() < 0 || chdir("/") != 0) _exit(90);
    umask(027);
    if (fork() != 0) _exit(0);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    return 0;
}

typedef struct {
    const char *name;
    pid_t (*make)(void);
} way;
static const way ways[] = {
    {"fork", by_fork},     {"_Fork", by_fork_without_handlers}, {"clone", by_clone},
    {"clone3", by_clone3}, {"daemonising", by_daemonising},
};
#define WAYS (sizeof ways / sizeof ways[0])

/* What all processes of a test write to. */
enum { UUIDS = 4096, CHILDREN = 256 };
static struct {
    int used;
    char uuids[UUIDS][40];
    int children;
    struct {
        int ended, status;
    } child[CHILDREN];
} * all;

static void share_memory(void) {
    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED);
}

static int capture_some(phc_client *client, const char *name, int n) {
    int bad = 0;
    for (int i = 0; i < n; i++) {
        int at = __atomic_fetch_add(&all->used, 1, __ATOMIC_SEQ_CST);
        bad |= at >= UUIDS || phc_capture_get_uuid(client, "user", name, NULL, all->uuids[at]) != PHC_OK;
    }
    return bad;
}

static int compare(const void *one, const void *other) {
    enum { TIME = 14 }; /* 0190a5b4-7c3d- */
    return strcmp((const char *)one + TIME, (const char *)other + TIME);
}

/* No two uuids have the same random part, and all were received once. */
static void check_uuids(int expected) {
    CHECK_EQ(all->used, expected);
    qsort(all->uuids, (size_t)all->used, sizeof all->uuids[0], compare);
    for (int i = 1; i < all->used; i++) {
        check_at(compare(all->uuids[i - 1], all->uuids[i]) != 0, __FILE__, __LINE__,
                 "the same random part twice: %s %s", all->uuids[i - 1], all->uuids[i]);
    }
    CHECK_EQ(summary("accepted"), expected);
    CHECK_EQ(summary("events"), expected);
    munmap(all, sizeof *all);
}

/* Runs `body` in a child that is made in this way; returns its status, which is 0 if all is well. */
static int in_child(const way *made, int (*body)(phc_client *, const way *), phc_client *client) {
    fflush(NULL);
    int own = __atomic_fetch_add(&all->children, 1, __ATOMIC_SEQ_CST);
    if (own >= CHILDREN) return 1001;
    pid_t pid = made->make();
    if (pid == 0) {
        alarm(30);
        all->child[own].status = body(client, made);
        add_to(&all->child[own].ended, 1);
        _exit(0);
    }
    if (pid < 0) return 1000;
    /* Not waited for by its id: a daemon is not this process's child. A child that crashes never ends. */
    int ended = reaches(&all->child[own].ended, 1);
    waitpid(pid, NULL, 0);
    return ended == 1 ? all->child[own].status : 1002;
}

static void check_children(int (*body)(phc_client *, const way *), phc_client *client) {
    for (size_t i = 0; i < WAYS; i++) {
        int status = in_child(&ways[i], body, client);
        check_at(status == 0, __FILE__, __LINE__, "a child made by %s ended with %d", ways[i].name, status);
    }
}

static int child_captures(phc_client *client, const way *made) {
    if (thread_count("phc-") != 0) return 1;
    if (stats_of(client).captured != 0) return 2;
    if (capture_some(client, made->name, 5)) return 3;
    if (thread_appears("phc-io") != 1) return 4;
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 5;
    if (stats_of(client).delivered != 5) return 6;
    double start = now_ms();
    phc_client_free(client);
    return now_ms() - start < SOON_MS ? 0 : 7;
}

static int child_only_frees(phc_client *client, const way *made) {
    (void)made;
    double start = now_ms();
    phc_client_free(client);
    return now_ms() - start < SOON_MS && thread_count("phc-") == 0 ? 0 : 1;
}

static void every_kind_of_child_is_recognised(void) {
    share_memory();
    phc_client *client = make_client(NULL, NULL);
    check_children(child_captures, client); /* before the first capture */
    CHECK_EQ(capture_some(client, "parent", 5), 0);
    check_children(child_captures, client); /* while events wait */
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_children(child_captures, client); /* with an idle thread and an open connection */
    check_children(child_only_frees, client);
    CHECK_EQ(capture_some(client, "parent", 5), 0);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 10);
    check_uuids(10 + 3 * 5 * (int)WAYS);
    finish(client);
}

/* Makes children in every way, before or after it has used the library itself. */
static int have_children(phc_client *client, int before, int after) {
    if (capture_some(client, "child", before)) return 10;
    for (size_t i = 0; i < WAYS; i++) {
        int status = in_child(&ways[i], child_captures, client);
        if (status != 0) return 100 * (1 + (int)i) + status;
    }
    if (capture_some(client, "child", after)) return 11;
    return phc_flush(client, 10000, NULL, 0) == PHC_OK ? 0 : 12;
}

static int child_forks_first(phc_client *client, const way *made) {
    (void)made;
    return have_children(client, 0, 3);
}

static int child_forks_later(phc_client *client, const way *made) {
    (void)made;
    return have_children(client, 3, 0);
}

static void children_of_children_are_recognised(void) {
    share_memory();
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(capture_some(client, "parent", 5), 0);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_children(child_forks_first, client);
    check_children(child_forks_later, client);
    check_uuids(5 + 2 * (int)WAYS * (3 + 5 * (int)WAYS));
    finish(client);
}

static const way *fork_inside;
static int is_child;
static int32_t fork_once(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    const way *made = fork_inside;
    fork_inside = NULL;
    if (made == NULL) return PHC_BEFORE_SEND_KEEP;
    fflush(NULL);
    pid_t pid = made->make();
    is_child = pid == 0;
    if (is_child) alarm(30);
    return PHC_BEFORE_SEND_KEEP;
}

/* The event is the parent's. The child captures its own afterwards. */
static int ends_as_the_child(phc_client *client, phc_status status) {
    if (status != PHC_BEFORE_SEND || strstr(phc_last_error(), "forked") == NULL) return 1;
    return child_captures(client, &ways[0]);
}

static void a_child_made_inside_before_send_is_recognised(void) {
    share_memory();
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_set_before_send_callback(client, fork_once, NULL, NULL), PHC_OK);
    CHECK_EQ(capture_some(client, "before", 5), 0);
    for (size_t i = 0; i < WAYS; i++) {
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        int slot = (int)i;
        fork_inside = &ways[i];
        int at = __atomic_fetch_add(&all->used, 1, __ATOMIC_SEQ_CST);
        char own[40];
        phc_status status = phc_capture_get_uuid(client, "user", "forks", NULL, own);
        if (is_child) {
            all->child[slot].status = ends_as_the_child(client, status);
            add_to(&all->child[slot].ended, 1);
            _exit(0);
        }
        CHECK_EQ(status, PHC_OK);
        strcpy(all->uuids[at], own);
        CHECK_EQ(capture_some(client, "after", 5), 0);
        CHECK_EQ(reaches(&all->child[slot].ended, 1), 1);
        check_at(all->child[slot].status == 0, __FILE__, __LINE__, "a child made by %s ended with %d",
                 ways[i].name, all->child[slot].status);
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    }
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_uuids(5 + (int)WAYS * (1 + 5 + 5));
    finish(client);
}

/* Threads of the parent that stand in the middle of a call when it forks. */
static int inside_before_send, waiting;
static volatile int go_on;
static int32_t stand_still(phc_outgoing *event, void *user_data) {
    (void)user_data;
    if (strstr(phc_outgoing_json(event, NULL), "\"stands\"") != NULL) {
        add_to(&inside_before_send, 1);
        while (!go_on) usleep(1000);
    }
    return PHC_BEFORE_SEND_KEEP;
}

static void *stand_in_a_capture(void *client) {
    CHECK_EQ(capture_some(client, "stands", 1), 0);
    return NULL;
}

static void *wait_in_a_flush(void *client) {
    add_to(&waiting, (int)syscall(SYS_gettid));
    CHECK_EQ(phc_flush(client, PHC_NO_LIMIT, NULL, 0), PHC_OK);
    return NULL;
}

static void *wait_in_a_poll(void *client) {
    add_to(&waiting, (int)syscall(SYS_gettid));
    phc_report_free(phc_poll(client, PHC_NO_LIMIT));
    return NULL;
}

static void calls_that_other_threads_were_in_do_not_matter(void) {
    share_memory();
    script("{\"steps\":[{\"wait_for_script\":true}]}");
    phc_client *client = make_client("flush_at", "1", NULL);
    CHECK_EQ(phc_set_before_send_callback(client, stand_still, NULL, NULL), PHC_OK);
    inside_before_send = go_on = 0;
    pthread_t threads[6];
    void *(*const bodies[])(void *) = {stand_in_a_capture, stand_in_a_capture, wait_in_a_flush,
                                       wait_in_a_flush,    wait_in_a_poll,     wait_in_a_poll};
    CHECK_EQ(capture_some(client, "parent", 1), 0);
    wait_for("requests=1");
    for (int i = 0; i < 6; i++) {
        waiting = 0;
        pthread_create(&threads[i], NULL, bodies[i], client);
        if (i < 2) continue;
        reaches(&waiting, 1);
        await_sleep(waiting);
    }
    CHECK_EQ(reaches(&inside_before_send, 2), 2);
    check_children(child_captures, client);
    check_children(child_only_frees, client);
    respond_now();
    go_on = 1;
    for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    check_uuids(1 + 2 + 5 * (int)WAYS);
    finish(client);
}

enum { RACERS = 8 };
static pthread_barrier_t start_line;
static void *race(void *client) {
    pthread_barrier_wait(&start_line);
    return capture_some(client, "racer", 20) ? client : NULL;
}

static int child_races(phc_client *client, const way *made) {
    (void)made;
    pthread_t threads[RACERS];
    pthread_barrier_init(&start_line, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) pthread_create(&threads[i], NULL, race, client);
    int bad = 0;
    for (int i = 0; i < RACERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        bad |= failed != NULL;
    }
    if (bad) return 1;
    /* One queue has all of them. */
    if (stats_of(client).captured != RACERS * 20) return 2;
    if (phc_client_close(client, 20000) != PHC_OK) return 3;
    return stats_of(client).delivered == RACERS * 20 ? 0 : 4;
}

static void threads_of_a_child_that_race_agree(void) {
    share_memory();
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(capture_some(client, "parent", 1), 0);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    for (int round = 0; round < 3; round++) check_children(child_races, client);
    check_uuids(1 + 3 * (int)WAYS * RACERS * 20);
    finish(client);
}

/* What a system may refuse. */
static int refuse_fork_handlers, refuse_exit_handlers;

#ifdef __GLIBC__
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library) {
    int (*real)(void (*)(void), void (*)(void), void (*)(void), void *) =
        (int (*)(void (*)(void), void (*)(void), void (*)(void), void *))dlsym(RTLD_NEXT,
                                                                               "__register_atfork");
    return refuse_fork_handlers ? ENOMEM : real(prepare, parent, child, library);
}

/* A library that is linked for an older glibc calls this one. */
int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    return __register_atfork(prepare, parent, child, NULL);
}

int __cxa_atexit(void (*function)(void *), void *argument, void *library);
int __cxa_atexit(void (*function)(void *), void *argument, void *library) {
    int (*real)(void (*)(void *), void *, void *) =
        (int (*)(void (*)(void *), void *, void *))dlsym(RTLD_NEXT, "__cxa_atexit");
    return refuse_exit_handlers ? -1 : real(function, argument, library);
}
#else /* musl calls no other function that could be replaced */
int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void)) {
    int (*real)(void (*)(void), void (*)(void), void (*)(void)) =
        (int (*)(void (*)(void), void (*)(void), void (*)(void)))dlsym(RTLD_NEXT, "pthread_atfork");
    return refuse_fork_handlers ? ENOMEM : real(prepare, parent, child);
}

int atexit(void (*function)(void)) {
    int (*real)(void (*)(void)) = (int (*)(void (*)(void)))dlsym(RTLD_NEXT, "atexit");
    return refuse_exit_handlers ? -1 : real(function);
}
#endif

/* From now on madvise(MADV_WIPEONFORK) fails, as it does on a kernel that does not know it. */
static void refuse_wiping(void) {
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_WIPEONFORK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof lines / sizeof lines[0], lines};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(80);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) _exit(81);
}

/* The status of a client that cannot be made, and its text. */
static phc_status refused(const char *name, const char *exit_flush_ms, char *text, size_t size) {
    phc_config *config = phc_config_new("key");
    phc_config_set(config, "host", namespace_host());
    phc_config_set(config, "exit_flush_ms", exit_flush_ms);
    phc_status status = -1;
    phc_client *client =
        name == NULL ? phc_client_new(config, &status) : phc_client_open(name, config, &status);
    snprintf(text, size, "%s", phc_last_error());
    phc_config_free(config);
    if ((client != NULL) != (status == PHC_OK)) return -2;
    phc_client_free(client);
    return status;
}

/* These run in a child, in a process that has made no client. */
static int without_wiping_there_are_handlers(phc_client *none, const way *made) {
    (void)none, (void)made;
    refuse_wiping();
    phc_client *client = make_client(NULL, NULL);
    if (capture_some(client, "parent", 5)) return 1;
    if (phc_flush(client, 10000, NULL, 0) != PHC_OK) return 2;
    int status = in_child(&ways[0], child_captures, client);
    if (status != 0) return 100 + status;
    if (capture_some(client, "parent", 5)) return 3;
    if (phc_client_close(client, 10000) != PHC_OK) return 4;
    return stats_of(client).delivered == 10 ? 0 : 5;
}

static int without_handlers_there_is_wiping(phc_client *none, const way *made) {
    (void)none, (void)made;
    refuse_fork_handlers = 1;
    phc_client *client = make_client(NULL, NULL);
    if (client == NULL || capture_some(client, "parent", 5)) return 1;
    int status = in_child(&ways[0], child_captures, client);
    if (status != 0) return 100 + status;
    return phc_client_close(client, 10000) == PHC_OK ? 0 : 2;
}

static int without_both_there_is_no_client(phc_client *none, const way *made) {
    (void)none, (void)made;
    char text[512];
    refuse_wiping();
    refuse_fork_handlers = 1;
    for (int i = 0; i < 2; i++) {
        if (refused(i == 0 ? NULL : "name", "0", text, sizeof text) != PHC_OUT_OF_RESOURCES) return 1 + i;
        if (strstr(text, "a fork could not be recognised") == NULL) return 3;
        if (strstr(text, "pthread_atfork failed: ") == NULL) return 4;
    }
    /* It is tried again. */
    refuse_fork_handlers = 0;
    if (refused(NULL, "0", text, sizeof text) != PHC_OK) return 5;
    return without_wiping_there_are_handlers(NULL, NULL);
}

static void a_system_that_hides_forks_gets_no_client(void) {
    share_memory();
    int status = in_child(&ways[0], without_wiping_there_are_handlers, NULL);
    CHECK_EQ(status, 0);
    status = in_child(&ways[0], without_handlers_there_is_wiping, NULL);
    CHECK_EQ(status, 0);
    status = in_child(&ways[0], without_both_there_is_no_client, NULL);
    CHECK_EQ(status, 0);
    check_uuids(15 + 10 + 15);
}

static int without_exit_handlers_there_is_no_client(phc_client *none, const way *made) {
    (void)none, (void)made;
    char text[512];
    refuse_exit_handlers = 1;
    for (int i = 0; i < 2; i++) {
        if (refused(i == 0 ? NULL : "name", "500", text, sizeof text) != PHC_OUT_OF_RESOURCES) return 1 + i;
        if (strstr(text, "exit_flush_ms: the exit handler could not be registered") == NULL) return 3;
    }
    /* Who does not ask for it does not need it. */
    if (refused(NULL, "0", text, sizeof text) != PHC_OK) return 4;
    refuse_exit_handlers = 0;
    if (refused(NULL, "500", text, sizeof text) != PHC_OK) return 5;
    /* Now it flushes at the exit. */
    phc_client *client = make_client("exit_flush_ms", "20000", NULL);
    if (capture_some(client, "at the exit", 3)) return 6;
    exit(0);
}

static void an_exit_handler_that_is_refused_is_reported(void) {
    share_memory();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        _exit(without_exit_handlers_there_is_no_client(NULL, NULL));
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    check_uuids(3);
}

int main(int argc, char **argv) {
    /* The first two need a process that has made no client. */
    const test_case tests[] = {
        TEST(a_system_that_hides_forks_gets_no_client),
        TEST(an_exit_handler_that_is_refused_is_reported),
        TEST(every_kind_of_child_is_recognised),
        TEST(children_of_children_are_recognised),
        TEST(a_child_made_inside_before_send_is_recognised),
        TEST(calls_that_other_threads_were_in_do_not_matter),
        TEST(threads_of_a_child_that_race_agree),
    };
    return RUN_TESTS(tests);
}
