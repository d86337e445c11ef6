/* Threads of the host and of the library. */
#include "harness.h"
#include "hostile.h"

#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* older glibc */
#endif

#define THREADS 8
#define EACH 5000

static void *capture_many(void *client) {
    for (int i = 0; i < EACH; i++) CHECK_EQ(phc_capture(client, "user", "event", "{\"n\":1}"), PHC_OK);
    return NULL;
}

static void eight_threads_capture_at_once(void) {
    phc_client *client = make_client(NULL, NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, capture_many, client);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, THREADS * EACH);
    CHECK_EQ(summary("accepted"), THREADS * EACH);
    CHECK_EQ(summary("events"), THREADS * EACH);
    finish(client);
}

static void there_is_one_thread_and_only_while_it_is_needed(void) {
    CHECK_EQ(thread_count(""), 1);
    phc_client *client = make_client(NULL, NULL), *other = make_client(NULL, NULL);
    phc_client *unused = make_client(NULL, NULL);
    CHECK_EQ(thread_count(""), 1);
    capture(client, "event");
    capture(other, "event");
    CHECK_EQ(thread_count(""), 2);
    CHECK_EQ(thread_appears("phc-io"), 1);
    finish(client);
    CHECK_EQ(thread_count("phc-io"), 1);
    CHECK_EQ(phc_client_close(other, 10000), PHC_OK);
    CHECK_EQ(thread_count("phc-io"), 1);
    finish(other);
    CHECK_EQ(thread_count(""), 1);
    finish(unused);
    CHECK_EQ(summary("accepted"), 2);
}

static void without_descriptors_a_capture_is_refused_and_a_later_one_is_taken(void) {
    phc_client *client = make_client(NULL, NULL);
    struct rlimit before, none;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = open("/dev/null", O_RDONLY);
    CHECK(lowest > 0);
    close(lowest);
    none = before;
    none.rlim_cur = (rlim_t)lowest; /* all below it are open */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    phc_status status = phc_capture(client, "user", "event", NULL);
    char text[512];
    snprintf(text, sizeof text, "%s", phc_last_error());
    ptrdiff_t fd = phc_poll_fd(client);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(status, PHC_OUT_OF_RESOURCES);
    CHECK_HAS(text, "the I/O thread could not be started: ");
    CHECK_EQ(fd, -1);
    CHECK_HAS(phc_last_error(), "no descriptor could be created: ");
    CHECK_EQ(thread_count("phc-"), 0);
    CHECK(phc_poll_fd(client) >= 0);
    capture(client, "event");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 1);
    CHECK_EQ(stats.refused_by_status[PHC_OUT_OF_RESOURCES], 1);
    finish(client);
}

static void two_clients_do_not_mix(void) {
    char host[300];
    snprintf(host, sizeof host, "%s/other", namespace_host());
    phc_client *here = make_client(NULL, NULL), *there = make_client_at(host, NULL, NULL);
    for (int i = 0; i < 100; i++) {
        phc_capture(here, "user", "here", NULL);
        phc_capture(there, "user", "there", NULL);
    }
    CHECK_EQ(phc_flush(here, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flush(there, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events"), *others = sink_get("other/_events");
    CHECK_EQ(count(events, "\"here\""), 100);
    CHECK_EQ(count(events, "\"there\""), 0);
    CHECK_EQ(count(others, "\"there\""), 100);
    CHECK_EQ(count(others, "\"here\""), 0);
    CHECK_EQ(stats_of(here).delivered, 100);
    CHECK_EQ(stats_of(there).delivered, 100);
    free(events);
    free(others);
    finish(here);
    finish(there);
}

static int open_files(void) {
    int open = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder) != NULL) open++;
    closedir(folder);
    return open;
}

static void on_report(const phc_report *report, void *user_data) { (void)report, (void)user_data; }

static void make_and_free(int times, int captures) {
    for (int i = 0; i < times; i++) {
        phc_client *client = make_client(NULL, NULL);
        phc_set_error_callback(client, on_report, NULL, NULL);
        capture_n(client, captures);
        CHECK(phc_poll_fd(client) >= 0);
        phc_client_free(client);
    }
}

static void a_client_made_and_freed_ten_thousand_times_leaks_nothing(void) {
    const char *wanted = getenv("PHC_LEAK_CLIENTS");
    int clients = wanted == NULL ? 10000 : atoi(wanted), used = clients / 40;
    make_and_free(clients / 10, 0);
    make_and_free(used, 1);
    int files = open_files();
    long kb = resident_now();
    make_and_free(clients, 0);
    make_and_free(used, 1);
    CHECK_EQ(thread_count(""), 1);
    CHECK_EQ(open_files(), files);
    /* A leak of a hundred bytes a client would be a megabyte. */
    long grown = resident_now() - kb;
    check_at(grown < 1000, __FILE__, __LINE__, "%ld kB more after %d clients", grown, clients);
    CHECK_EQ(summary("accepted"), 2 * used);
}

static __thread int is_the_hosts;
static int handled, on_our_thread;
static void on_signal(int number) {
    (void)number;
    add_to(&handled, 1);
    if (!is_the_hosts) add_to(&on_our_thread, 1);
}

static volatile int stop;
static int marked; /* threads of the host that have said so */
static const char *closing_server;

/* Clients come and go, so that threads of the library begin and end under the signals, too. */
static void *use_clients_until_stopped(void *unused) {
    is_the_hosts = 1;
    add_to(&marked, 1);
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    while (!stop) {
        phc_client *client = make_client_at(closing_server, "flush_at", "20", "compression", "none",
                                            "max_retries", "0", "retry_max_ms", "1", NULL);
        phc_set_error_callback(client, on_report, NULL, NULL);
        for (int i = 0; i < 2000 && !stop; i++) {
            phc_capture(client, "user", "event", "{\"n\":1}");
            usleep(20);
        }
        phc_client_close(client, 0);
        phc_client_free(client);
    }
    return unused;
}

static void a_hosts_handlers_never_run_on_our_threads(void) {
    const int signals[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGPROF, SIGPIPE, SIGCHLD, SIGHUP, SIGALRM};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before[8];
    for (int i = 0; i < 8; i++) sigaction(signals[i], &action, &before[i]);
    is_the_hosts = 1;
    handled = on_our_thread = stop = marked = 0;
    /* A server that closes while it is being written to: what raises SIGPIPE. */
    script("{\"then\":{\"close\":\"before_read\"}}");
    closing_server = namespace_host();
    /* A thread of the host takes a signal only once it has said whose it is, and this one takes none: it
     * would be preferred. */
    sigset_t all, own;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &own);
    pthread_t users[2];
    for (int i = 0; i < 2; i++) pthread_create(&users[i], NULL, use_clients_until_stopped, NULL);
    CHECK_EQ(reaches(&marked, 2), 2);
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &often, NULL);
    double start = now_ms();
    int seen[2] = {0, 0}; /* of the library's two kinds of threads */
    for (int i = 0, enough = 0; !enough && now_ms() - start < 30000; i++) {
        kill(getpid(), signals[i % 8]);
        if (i % 100 != 0) continue;
        seen[0] |= thread_count("phc-io"), seen[1] |= thread_count("phc-callback");
        enough = now_ms() - start > 500 && seen[0] && seen[1] &&
                 __atomic_load_n(&handled, __ATOMIC_SEQ_CST) > 1000;
    }
    setitimer(ITIMER_PROF, &never, NULL);
    stop = 1;
    for (int i = 0; i < 2; i++) pthread_join(users[i], NULL);
    pthread_sigmask(SIG_SETMASK, &own, NULL);
    CHECK(seen[0] && seen[1]);
    CHECK(handled > 1000);
    CHECK_EQ(on_our_thread, 0);
    for (int i = 0; i < 8; i++) sigaction(signals[i], &before[i], NULL);
}

static void on_crash(int number) { _exit(is_the_hosts ? 1 : 40 + (number == SIGSEGV)); }

static void a_crash_reporter_sees_a_crash_of_our_thread(void) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        is_the_hosts = 1;
        struct sigaction action = {.sa_handler = on_crash};
        sigaction(SIGSEGV, &action, NULL);
        phc_client *client = make_client(NULL, NULL);
        phc_capture(client, "user", "event", NULL);
        thread_appears("phc-io");
        syscall(SYS_tgkill, getpid(), thread_id("phc-io"), SIGSEGV);
        for (;;) pause();
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 41);
}

/* The signals that a thread blocks, from /proc. */
static unsigned long long blocked_signals(const char *name) {
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", thread_id(name));
    FILE *file = fopen(path, "r");
    unsigned long long mask = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "SigBlk:", 7) == 0) mask = strtoull(line + 7, NULL, 16);
    }
    if (file != NULL) fclose(file);
    return mask;
}

static void our_threads_block_what_is_not_theirs(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_set_delivery_callback(client, on_report, NULL, NULL), PHC_OK);
    capture(client, "event");
    const char *const names[] = {"phc-io", "phc-callback"};
    const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    unsigned long long expected = ~0ull;
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) expected &= ~(1ull << (open[i] - 1));
    /* Nothing can block these two, and those between SIGSYS and SIGRTMIN are libc's own. */
    expected &= ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1));
    for (int signal = SIGSYS + 1; signal < SIGRTMIN; signal++) expected &= ~(1ull << (signal - 1));
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(thread_appears(names[i]), 1);
        unsigned long long mask = blocked_signals(names[i]);
        check_at(mask == expected, __FILE__, __LINE__, "%s blocks %llx, not %llx", names[i], mask, expected);
    }
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

/* libc does not write the part of a set that the system has no signals for. */
static uint64_t signals_in(const sigset_t *set) {
    uint64_t bits = 0;
    for (int signal = 1; signal < 65; signal++)
        if (sigismember(set, signal) == 1) bits |= UINT64_C(1) << (signal - 1);
    return bits;
}

/* What a process has only once. */
typedef struct {
    struct {
        void (*handler)(int);
        int flags;
        uint64_t mask;
    } actions[65];
    uint64_t mask;
    char locale[64], folder[512];
    char **variables;
    size_t variable_count;
    mode_t umask;
} process_wide;

static void look(process_wide *seen) {
    memset(seen, 0, sizeof *seen);
    for (int signal = 1; signal < 65; signal++) {
        struct sigaction action;
        if (sigaction(signal, NULL, &action) != 0) continue; /* libc keeps it to itself */
        seen->actions[signal].handler = action.sa_handler;
        seen->actions[signal].flags = action.sa_flags;
        seen->actions[signal].mask = signals_in(&action.sa_mask);
    }
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->mask = signals_in(&mask);
    snprintf(seen->locale, sizeof seen->locale, "%s", setlocale(LC_ALL, NULL));
    CHECK(getcwd(seen->folder, sizeof seen->folder) != NULL);
    seen->variables = environ;
    while (environ[seen->variable_count] != NULL) seen->variable_count++;
    seen->umask = umask(0);
    umask(seen->umask);
}

static void nothing_that_the_process_has_once_is_changed(void) {
    /* Another locale than the first one, in which a library could think that nothing is set. */
    CHECK(setlocale(LC_CTYPE, "C.UTF-8") != NULL);
    static process_wide before, during, after;
    look(&before);
    phc_client *client = make_client("exit_flush_ms", "1", NULL);
    CHECK_EQ(phc_set_error_callback(client, on_report, NULL, NULL), PHC_OK);
    capture(client, "event");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    look(&during);
    finish(client);
    look(&after);
    setlocale(LC_CTYPE, "C");
    CHECK_EQ(memcmp(&before, &during, sizeof before), 0);
    CHECK_EQ(memcmp(&before, &after, sizeof before), 0);
}

/* As system calls: musl's functions of these names do nothing. */
#define sched_getscheduler(thread) ((int)syscall(SYS_sched_getscheduler, thread))
#define sched_getparam(thread, parameters) syscall(SYS_sched_getparam, thread, parameters)
#define sched_setscheduler(thread, policy, parameters)                                                       \
    syscall(SYS_sched_setscheduler, thread, policy, parameters)

/* How a thread is scheduled. */
typedef struct {
    int policy, priority, niceness;
    cpu_set_t cpus;
} scheduling;

static scheduling scheduling_of(int thread) {
    scheduling found;
    struct sched_param parameters;
    memset(&found, 0, sizeof found);
    found.policy = sched_getscheduler(thread);
    sched_getparam(thread, &parameters);
    found.priority = parameters.sched_priority;
    found.niceness = getpriority(PRIO_PROCESS, (id_t)thread);
    sched_getaffinity(thread, sizeof found.cpus, &found.cpus);
    return found;
}

static void check_ordinary(const char *name, const char *made_by, scheduling wanted) {
    scheduling found = scheduling_of(thread_id(name));
    check_at(found.policy == wanted.policy && found.priority == 0, __FILE__, __LINE__,
             "%s, made by %s: policy %d, priority %d", name, made_by, found.policy, found.priority);
    check_at(found.niceness == wanted.niceness, __FILE__, __LINE__, "%s, made by %s: niceness %d, not %d",
             name, made_by, found.niceness, wanted.niceness);
    check_at(CPU_EQUAL(&found.cpus, &wanted.cpus), __FILE__, __LINE__, "%s, made by %s: %d CPUs, not %d",
             name, made_by, CPU_COUNT(&found.cpus), CPU_COUNT(&wanted.cpus));
}

/* A thread as real hosts have them. What the system does not permit is left out. */
static void real_time(void) {
    struct sched_param high = {.sched_priority = 70};
    sched_setscheduler(0, SCHED_FIFO, &high);
}
static void round_robin(void) {
    struct sched_param low = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR, &low);
}
static void batch(void) {
    struct sched_param none = {.sched_priority = 0};
    sched_setscheduler(0, SCHED_BATCH, &none);
}
static void on_one_cpu(void) {
    cpu_set_t allowed, one;
    sched_getaffinity(0, sizeof allowed, &allowed);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}
static void favoured(void) { setpriority(PRIO_PROCESS, 0, -5); }
static void unfavoured(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NICE, &limit);
    /* Without a privilege there is no way back. */
    if (geteuid() == 0 || limit.rlim_cur >= 20) setpriority(PRIO_PROCESS, 0, 5);
}
static const struct {
    const char *name;
    void (*become)(void);
} special_threads[] = {{"a real-time thread", real_time}, {"a round-robin thread", round_robin},
                       {"a batch thread", batch},         {"a thread on one CPU", on_one_cpu},
                       {"a favoured thread", favoured},   {"an unfavoured thread", unfavoured}};
enum { SPECIAL = sizeof special_threads / sizeof special_threads[0] };

typedef struct {
    phc_client *client;
    void (*become)(void);
} first_capture;
static void *capture_first(void *given) {
    first_capture *first = given;
    first->become();
    capture(first->client, "event");
    return NULL;
}

static int lines;
static void on_line(phc_log_level level, const char *line, void *user_data) {
    (void)level, (void)line, (void)user_data;
    add_to(&lines, 1);
}

static void check_threads_made_by(int special, scheduling wanted) {
    lines = 0;
    first_capture first = {make_client("log_level", "debug", NULL), special_threads[special].become};
    CHECK_EQ(phc_set_log_callback(first.client, on_line, NULL, NULL), PHC_OK);
    pthread_t thread;
    pthread_create(&thread, NULL, capture_first, &first);
    pthread_join(thread, NULL);
    CHECK_EQ(phc_flush(first.client, 10000, NULL, 0), PHC_OK);
    CHECK(reaches(&lines, 1) >= 1); /* both threads have begun their work */
    check_ordinary("phc-io", special_threads[special].name, wanted);
    check_ordinary("phc-callback", special_threads[special].name, wanted);
    finish(first.client);
}

static void our_threads_are_ordinary_whatever_thread_captures_first(void) {
    for (int i = 0; i < SPECIAL; i++) check_threads_made_by(i, scheduling_of(getpid()));
    CHECK_EQ(summary("accepted"), SPECIAL);
}

/* Makes the main thread of a child special, and captures on it. */
static void check_main_thread(void (*become)(void), int policy) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30);
        become();
        scheduling of_main = scheduling_of(getpid());
        phc_client *client = make_client(NULL, NULL);
        capture(client, "event");
        if (phc_flush(client, 10000, NULL, 0) != PHC_OK) _exit(1);
        scheduling found = scheduling_of(thread_id("phc-io"));
        if (found.policy != policy || found.priority != 0) _exit(2);
        if (!CPU_EQUAL(&found.cpus, &of_main.cpus)) _exit(3);
        finish(client);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
}

static void our_threads_are_scheduled_as_the_main_thread_but_never_real_time(void) {
    check_main_thread(real_time, SCHED_OTHER);
    check_main_thread(batch, SCHED_BATCH);
    check_main_thread(on_one_cpu, SCHED_OTHER);
}

/* A signal every 100 microseconds at one thread, whose handler interrupts system calls. */
static volatile sig_atomic_t storms;
static void on_storm(int signal) {
    (void)signal;
    storms++;
}

/* The harness's own system calls do not go on after a signal. */
static void without_storm(void (*call)(void)) {
    sigset_t storm;
    sigemptyset(&storm);
    sigaddset(&storm, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &storm, NULL);
    call();
    pthread_sigmask(SIG_UNBLOCK, &storm, NULL);
}
static void never_respond(void) { script("{\"then\":{\"never\":true}}"); }

static void *work_in_a_storm(void *unused) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    struct itimerspec often = {{0, 100000}, {0, 100000}};
    timer_settime(timer, 0, &often, NULL);

    phc_client *client = make_client("flush_at", "50", NULL), *full;
    for (int i = 0; i < 2000; i++) capture(client, "event");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK(phc_poll_fd(client) > 2);
    phc_report *report = phc_poll(client, 20000);
    CHECK(report != NULL);
    phc_report_free(report);
    /* Waits for what does not come are as long as they should be. */
    without_storm(never_respond);
    full = make_client("flush_at", "1", "queue_max_events", "1", "overflow", "block", "block_timeout_ms",
                       "200", NULL);
    capture(full, "event");
    const char *const waits[] = {"a blocked capture", "a flush", "a poll", "a close"};
    for (int i = 0; i < 4; i++) {
        double start = now_ms();
        if (i == 0) CHECK_EQ(phc_capture(full, "user", "blocked", NULL), PHC_QUEUE_FULL);
        if (i == 1) CHECK_EQ(phc_flush(full, 200, NULL, 0), PHC_TIMEOUT);
        if (i == 2) CHECK(phc_poll(full, 200) == NULL);
        if (i == 3) CHECK_EQ(phc_client_close(full, 200), PHC_LOST_EVENTS);
        double took = now_ms() - start;
        check_at(took >= 200 && took < SOON_MS, __FILE__, __LINE__, "%s took %.0f ms", waits[i], took);
    }
    phc_client_free(full);
    without_storm(respond_now);
    CHECK_EQ(phc_client_close(client, 20000), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 2000);
    phc_client_free(client);
    timer_delete(timer);
    return unused;
}

static void a_storm_of_signals_delays_and_breaks_nothing(void) {
    struct sigaction action = {.sa_handler = on_storm}, before;
    sigaction(SIGRTMIN, &action, &before);
    storms = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, work_in_a_storm, NULL);
    pthread_join(thread, NULL);
    sigaction(SIGRTMIN, &before, NULL);
    CHECK(storms > 1000);
}

/* Calls on a thread with a small stack; how much of it they use is seen by what they overwrite. */
static phc_client *on_small_stack;
static char *nested; /* properties, 64 levels deep */
static int32_t keep(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    return PHC_BEFORE_SEND_KEEP;
}
static void small_new(void) { on_small_stack = make_client("exit_flush_ms", "1", NULL); }
static void small_first(void) { capture(on_small_stack, "first"); }
static void small_captures(void) {
    for (int i = 0; i < 1000; i++) capture(on_small_stack, "event");
}
static void small_nested(void) { CHECK_EQ(phc_capture(on_small_stack, "user", "event", nested), PHC_OK); }
static void small_other(void) {
    CHECK_EQ(phc_identify(on_small_stack, "user", "{\"a\":1}", NULL, NULL), PHC_OK);
    phc_event *event = phc_event_new("user", "event");
    CHECK_EQ(phc_event_set_json(event, "a", "{\"b\":[1,2]}"), PHC_OK);
    CHECK_EQ(phc_capture_event(on_small_stack, event, NULL), PHC_OK);
}
static void small_setters(void) {
    CHECK_EQ(phc_set_log_callback(on_small_stack, on_line, NULL, NULL), PHC_OK);
    CHECK_EQ(phc_set_delivery_callback(on_small_stack, on_report, NULL, NULL), PHC_OK);
    CHECK_EQ(phc_set_delivery_callback(on_small_stack, NULL, NULL, NULL), PHC_OK);
    CHECK_EQ(phc_set_before_send_callback(on_small_stack, keep, NULL, NULL), PHC_OK);
}
static void small_flush(void) { CHECK_EQ(phc_flush(on_small_stack, 20000, NULL, 0), PHC_OK); }
static void small_reports(void) {
    CHECK(phc_poll_fd(on_small_stack) > 2);
    phc_report *report = phc_poll(on_small_stack, 20000);
    CHECK(strlen(phc_report_json(report)) > 0);
    phc_report_free(report);
}
static void small_free(void) { phc_client_free(on_small_stack); }

static const struct {
    const char *name;
    void (*run)(void);
    size_t limit; /* what docs/embedding.md names, in KiB */
} small_calls[] = {
    {"phc_client_new", small_new, 64},
    {"the first capture", small_first, 64},
    {"captures", small_captures, 32},
    {"a capture of nested properties", small_nested, 32},
    {"captures of other kinds", small_other, 32},
    {"setters", small_setters, 64},
    {"a flush", small_flush, 32},
    {"reports", small_reports, 64},
    {"phc_client_free", small_free, 64},
};

enum { STACK = 1024 * 1024, UNUSED = 0xA5 };

typedef struct {
    void (*run)(void);
    const unsigned char *stack;
    size_t used;
} small_call;

/* It measures before the thread ends: an older glibc (Debian 11's) then gives the pages of the stack back. */
static void *run_small_call(void *argument) {
    small_call *call = argument;
    call->run();
    size_t unused = 0;
    while (unused < STACK && call->stack[unused] == UNUSED) unused++;
    call->used = STACK - unused;
    return NULL;
}

static void small_stacks_suffice(void) {
    nested = calloc(1, 1024);
    for (int i = 0; i < 64; i++) strcat(nested, "{\"a\":");
    strcat(nested, "1");
    for (int i = 0; i < 64; i++) strcat(nested, "}");
    for (size_t i = 0; i < sizeof small_calls / sizeof small_calls[0]; i++) {
        unsigned char *stack =
            mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        memset(stack, UNUSED, STACK);
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stack, STACK);
        pthread_t thread;
        small_call call = {small_calls[i].run, stack, 0};
        CHECK_EQ(pthread_create(&thread, &attributes, run_small_call, &call), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        check_at(call.used > 0 && call.used <= small_calls[i].limit * 1024, __FILE__, __LINE__,
                 "%s: %zu bytes of stack", small_calls[i].name, call.used);
        munmap(stack, STACK);
    }
    free(nested);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(there_is_one_thread_and_only_while_it_is_needed),
        TEST(eight_threads_capture_at_once),
        TEST(without_descriptors_a_capture_is_refused_and_a_later_one_is_taken),
        TEST(two_clients_do_not_mix),
        TEST(a_client_made_and_freed_ten_thousand_times_leaks_nothing),
        TEST(our_threads_block_what_is_not_theirs),
        TEST(nothing_that_the_process_has_once_is_changed),
        TEST(our_threads_are_ordinary_whatever_thread_captures_first),
        TEST(our_threads_are_scheduled_as_the_main_thread_but_never_real_time),
        TEST(small_stacks_suffice),
        TEST(a_storm_of_signals_delays_and_breaks_nothing),
        TEST(a_hosts_handlers_never_run_on_our_threads),
        TEST(a_crash_reporter_sees_a_crash_of_our_thread),
    };
    return RUN_TESTS(tests);
}
