#include "harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int failures;
static int violations_expected;
static char own_namespace[128];
static const char *running = "";

void check_at(int ok, const char *file, int line, const char *text, ...) {
    if (ok) return;
    add_to(&failures, 1);
    va_list args;
    va_start(args, text);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, text, args);
    fputc('\n', stderr);
    va_end(args);
}

static const char *sink_address(void) {
    const char *address = getenv("PHC_SINK");
    if (address == NULL) {
        fprintf(stderr, "PHC_SINK is not set; run make test-c NAME=…\n");
        exit(2);
    }
    return address;
}

const char *namespace_host(void) {
    /* Several threads make clients. */
    static _Thread_local char host[256];
    snprintf(host, sizeof host, "http://%s%s", sink_address(), own_namespace);
    return host;
}

/* One HTTP/1.0 request; returns the body of the response. */
static char *http(const char *method, const char *path, const char *body) {
    char address[64];
    snprintf(address, sizeof address, "%s", sink_address());
    char *colon = strrchr(address, ':');
    *colon = '\0';
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
    inet_pton(AF_INET, address, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("the sink does not respond");
        exit(2);
    }
    dprintf(fd, "%s %s%s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", method, own_namespace, path,
            strlen(body), body);
    size_t size = 0, capacity = 65536;
    char *text = malloc(capacity + 1);
    ssize_t got;
    while ((got = read(fd, text + size, capacity - size)) > 0) {
        size += (size_t)got;
        if (size == capacity) text = realloc(text, (capacity *= 2) + 1);
    }
    close(fd);
    text[size] = '\0';
    char *start = strstr(text, "\r\n\r\n");
    char *response = strdup(start == NULL ? "" : start + 4);
    free(text);
    return response;
}

void sink_post(const char *view, const char *json) {
    char path[256];
    snprintf(path, sizeof path, "/%s", view);
    char *response = http("POST", path, json);
    check_at(strstr(response, "\"ok\":true") != NULL, __FILE__, __LINE__, "%s: %s", path, response);
    free(response);
}

void script(const char *json) { sink_post("_script", json); }
void respond_now(void) { script("{}"); }
void set_chaos(const char *json) { sink_post("_chaos", json); }

char *sink_get(const char *view) {
    char path[256];
    snprintf(path, sizeof path, "/%s", view);
    return http("GET", path, "");
}

static long long number_after(const char *text, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(text, quoted);
    return at == NULL ? 0 : atoll(at + strlen(quoted));
}

long long summary(const char *key) {
    char *text = sink_get("_summary");
    long long value = number_after(text, key);
    free(text);
    return value;
}

long long status_count(int status) {
    char key[16];
    snprintf(key, sizeof key, "%d", status);
    return summary(key);
}

int wait_for(const char *condition) {
    /* In steps, so that time in which this process or the sink is descheduled costs few of them. */
    enum { STEPS = 40 };
    char view[200], *text = NULL;
    snprintf(view, sizeof view, "_wait?timeout_ms=500&%s", condition);
    int ok = 0;
    for (int step = 0; !ok && step < STEPS; step++) {
        free(text);
        text = sink_get(view);
        ok = strstr(text, "\"ok\":true") != NULL;
    }
    check_at(ok, __FILE__, __LINE__, "not reached: %s: %s", condition, text);
    free(text);
    return ok;
}

size_t count(const char *text, const char *part) {
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) found++;
    return found;
}

const char *nth_string(const char *list, const char *key, size_t n) {
    static char values[8][128];
    static unsigned turn;
    char *value = values[turn++ % 8];
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
    value[0] = '\0';
    const char *at = list;
    for (size_t i = 0; (at = strstr(at, quoted)) != NULL; i++) {
        at += strlen(quoted);
        if (i == n) {
            snprintf(value, sizeof values[0], "%.*s", (int)strcspn(at, "\""), at);
            break;
        }
    }
    return value;
}

static phc_client *make(const char *host, const char *first, va_list args) {
    phc_config *config = phc_config_new("phc_blackbox_key");
    phc_config_set(config, "host", host);
    phc_config_set(config, "reports", "all");
    phc_config_set(config, "retry_initial_ms", "10");
    phc_config_set(config, "retry_max_ms", "50");
    phc_config_set(config, "flush_interval_ms", "3600000");
    phc_config_set(config, "shutdown_timeout_ms", "20000");
    phc_config_set(config, "flags_timeout_ms", "20000");
    for (const char *key = first; key != NULL; key = va_arg(args, const char *)) {
        const char *value = va_arg(args, const char *);
        if (phc_config_set(config, key, value) != PHC_OK) {
            check_at(0, __FILE__, __LINE__, "%s", phc_last_error());
        }
    }
    phc_status status = -1;
    phc_client *client = phc_client_new(config, &status);
    check_at(client != NULL && status == PHC_OK, __FILE__, __LINE__, "phc_client_new: %s", phc_last_error());
    phc_config_free(config);
    return client;
}

phc_client *make_client(const char *first, ...) {
    va_list args;
    va_start(args, first);
    phc_client *client = make(namespace_host(), first, args);
    va_end(args);
    return client;
}

phc_client *make_client_at(const char *host, const char *first, ...) {
    va_list args;
    va_start(args, first);
    phc_client *client = make(host, first, args);
    va_end(args);
    return client;
}

void capture(phc_client *client, const char *event) {
    phc_status status = phc_capture(client, "user", event, NULL);
    check_at(status == PHC_OK, __FILE__, __LINE__, "the capture of %s returned %s: %s", event,
             phc_status_name(status), phc_last_error());
}

void capture_n(phc_client *client, int n) {
    for (int i = 0; i < n; i++) capture(client, "event");
}

char *one_event(phc_client *client, phc_status expected, double *took) {
    double start = now_ms();
    capture(client, "one");
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), expected);
    if (took != NULL) *took = now_ms() - start;
    return reports_of(client);
}

phc_stats stats_of(phc_client *client) {
    phc_stats stats;
    CHECK_EQ(phc_stats_get(client, &stats, sizeof stats), PHC_OK);
    CHECK_EQ(stats.captured + stats.recovered,
             stats.delivered + stats.lost + stats.kept + stats.pending_events);
    CHECK(stats.spooled <= stats.pending_events);
    uint64_t lost = 0, refused = 0;
    for (size_t i = 0; i < PHC_LOSS_SLOTS; i++) lost += stats.lost_by_reason[i];
    for (size_t i = 0; i < PHC_STATUS_SLOTS; i++) refused += stats.refused_by_status[i];
    CHECK_EQ(lost, stats.lost);
    CHECK_EQ(refused, stats.refused);
    CHECK_EQ(stats.lost_by_reason[PHC_LOSS_NONE], 0);
    CHECK_EQ(stats.refused_by_status[PHC_OK], 0);
    CHECK(stats.maybe_delivered <= stats.lost);
    CHECK(stats.delivered_with_warning <= stats.delivered_with_remark);
    CHECK(stats.delivered_with_remark <= stats.delivered);
    return stats;
}

char *reports_of(phc_client *client) {
    char *all = calloc(1, 1);
    phc_report *report;
    while ((report = phc_poll(client, 0)) != NULL) {
        const char *json = phc_report_json(report);
        all = realloc(all, strlen(all) + strlen(json) + 2);
        strcat(strcat(all, json), "\n");
        phc_report_free(report);
    }
    return all;
}

void finish(phc_client *client) {
    stats_of(client);
    phc_client_free(client);
}

static char folders[8][40];
static size_t folders_made;

int has_spool(void) {
    phc_config *config = phc_config_new("phc_blackbox_key");
    phc_status status = phc_config_set(config, "spool_dir", "/tmp");
    phc_config_free(config);
    return status == PHC_OK;
}

const char *new_folder(void) {
    if (folders_made == sizeof folders / sizeof folders[0]) {
        fprintf(stderr, "%s makes too many folders\n", running);
        exit(2);
    }
    char *folder = folders[folders_made++];
    snprintf(folder, sizeof folders[0], "/tmp/phc-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        exit(2);
    }
    return folder;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *where) {
    (void)stat, (void)kind, (void)where;
    return remove(path);
}

static void remove_folders(void) {
    while (folders_made > 0) nftw(folders[--folders_made], remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int failed_checks(void) { return failures; }

void allow_seconds(unsigned seconds) { alarm(seconds); }

void expect_violations(void) { violations_expected = 1; }

double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* The thread that reads the clock, and what it saw. Without a lock, which a fork could find locked. */
static const char CLOCK_NAME[] = "clock-of-test";
static pid_t clock_runs_in; /* a forked child does not have the thread */
static double clock_seen, clock_missed;

static double load(const double *value) {
    double loaded;
    __atomic_load(value, &loaded, __ATOMIC_SEQ_CST);
    return loaded;
}

static void store(double *value, double new) { __atomic_store(value, &new, __ATOMIC_SEQ_CST); }

static void *watch_clock(void *unused) {
    pthread_setname_np(pthread_self(), CLOCK_NAME);
    for (;;) {
        usleep(1000);
        double now = now_ms(), gap = now - load(&clock_seen);
        /* A time slice of another process takes a few milliseconds. */
        if (gap > 5) store(&clock_missed, load(&clock_missed) + gap - 1);
        store(&clock_seen, now);
    }
    return unused;
}

double descheduled_ms(void) {
    static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
    double asked = now_ms();
    if (__atomic_load_n(&clock_runs_in, __ATOMIC_SEQ_CST) != getpid()) {
        pthread_mutex_lock(&starting);
        if (clock_runs_in != getpid()) {
            store(&clock_seen, asked);
            /* Signals are for the threads of the test. */
            sigset_t all, before;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before);
            pthread_t watcher;
            pthread_create(&watcher, NULL, watch_clock, NULL);
            pthread_detach(watcher);
            pthread_sigmask(SIG_SETMASK, &before, NULL);
            __atomic_store_n(&clock_runs_in, getpid(), __ATOMIC_SEQ_CST);
        }
        pthread_mutex_unlock(&starting);
    }
    /* Until it has seen all that was before. */
    while (load(&clock_seen) < asked) usleep(200);
    return load(&clock_missed);
}

/* How long the library's I/O thread could have run so far, and had no processor. */
static double waited_ms(void) {
    char path[64];
    double waited = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", thread_id("phc-io"));
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%*s %lf", &waited) != 1) waited = 0;
    fclose(file);
    return waited / 1e6;
}

moment begin(void) {
    moment begun = {.missed = descheduled_ms(), .waited = waited_ms()};
    begun.at = now_ms();
    return begun;
}

double ms_since(moment begun) { return now_ms() - begun.at; }

double ms_had_since(moment begun) {
    double passed = now_ms() - begun.at;
    double missed = descheduled_ms() - begun.missed, waited = waited_ms() - begun.waited;
    return passed - (missed > waited ? missed : waited);
}

/* A wait that sleeps between looks: true until it has had 20 s. A look and its sleep that took longer than
 * the whole step is credited with were interrupted by others. */
#define STEP_MS 20.0
typedef struct {
    double seen, had;
} patience;

static int goes_on(patience *own, useconds_t nap) {
    usleep(nap);
    double now = now_ms(), step = own->seen == 0 ? 0 : now - own->seen;
    own->seen = now;
    own->had += step < STEP_MS ? step : STEP_MS;
    return own->had < 20000;
}

int await(int (*is_true)(void *about), void *about) {
    patience own = {0};
    while (!is_true(about)) {
        if (!goes_on(&own, 500)) return is_true(about);
    }
    return 1;
}

int reaches(const int *value, int wanted) {
    patience own = {0};
    while (__atomic_load_n(value, __ATOMIC_SEQ_CST) < wanted && goes_on(&own, 500)) continue;
    return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

void add_to(int *value, int more) { __atomic_add_fetch(value, more, __ATOMIC_SEQ_CST); }

/* Counts the threads whose names begin so; id, unless it is NULL, gets the id of one of them. */
static int find_threads(const char *name_prefix, int *id) {
    enum { EXITING = 4 }; /* PF_EXITING of the kernel: such a thread may have been joined already */
    int found = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.') continue;
        char path[300], text[512] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        /* 1234 (name) S 1 1 1 0 -1 flags … */
        char *name = NULL, *end = NULL;
        unsigned flags = EXITING;
        if (fgets(text, sizeof text, file) != NULL) name = strchr(text, '('), end = strrchr(text, ')');
        if (end != NULL) sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
        fclose(file);
        if (flags & EXITING || strncmp(name + 1, name_prefix, strlen(name_prefix)) != 0) continue;
        if (strncmp(name + 1, CLOCK_NAME, strlen(CLOCK_NAME)) == 0) continue;
        found++;
        if (id != NULL) *id = atoi(task->d_name);
    }
    closedir(tasks);
    return found;
}

int thread_count(const char *name_prefix) { return find_threads(name_prefix, NULL); }

int thread_id(const char *name_prefix) {
    int id = -1;
    find_threads(name_prefix, &id);
    return id;
}

int thread_appears(const char *name) {
    /* A new thread gives itself its name. */
    patience own = {0};
    while (thread_count(name) == 0 && goes_on(&own, 100)) continue;
    return thread_count(name);
}

int threads_fall_to(int wanted, const char *name_prefix) {
    patience own = {0};
    while (thread_count(name_prefix) > wanted && goes_on(&own, 1000)) continue;
    return thread_count(name_prefix);
}

void await_sleep(int thread) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int asleep = 0;
    /* Twice in a row: on its way there it may sleep for another reason. */
    for (double start = now_ms(); asleep < 2 && now_ms() - start < 2000; usleep(1000)) {
        FILE *file = fopen(path, "r");
        if (file == NULL) return;
        size_t got = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        text[got] = '\0';
        const char *state = strrchr(text, ')');
        asleep = state != NULL && strncmp(state, ") S", 3) == 0 ? asleep + 1 : 0;
    }
}

static void too_slow(int signal) {
    (void)signal;
    fprintf(stderr, "%s hangs\n", running);
    _exit(3);
}

int run_tests(const char *file, const test_case *tests, size_t count, int argc, char **argv) {
    int passed = 0, failed = 0;
    struct sigaction action = {.sa_handler = too_slow};
    sigaction(SIGALRM, &action, NULL);
    const char *base = strrchr(file, '/') == NULL ? file : strrchr(file, '/') + 1;
    for (int j = 1; j < argc; j++) {
        int known = 0;
        for (size_t i = 0; i < count; i++) known |= strcmp(argv[j], tests[i].name) == 0;
        if (!known) {
            fprintf(stderr, "%s has no test %s\n", base, argv[j]);
            return 2;
        }
    }
    for (size_t i = 0; i < count; i++) {
        int chosen = argc < 2;
        for (int j = 1; j < argc; j++) chosen |= strcmp(argv[j], tests[i].name) == 0;
        if (!chosen) continue;
        running = tests[i].name;
        failures = violations_expected = 0;
        snprintf(own_namespace, sizeof own_namespace, "/%s/%d/%s", base, (int)getpid(), tests[i].name);
        /* Under a tool that slows it down a test may take longer. */
        alarm(getenv("PHC_WRAP") == NULL ? 60 : 400);
        tests[i].run();
        alarm(0);
        remove_folders();
        char *violations = sink_get("_violations");
        if (!violations_expected)
            check_at(strcmp(violations, "[]") == 0, file, 0, "violations: %.2000s", violations);
        free(violations);
        printf("%s %s: %s\n", failures ? "FAILED" : "ok", base, tests[i].name);
        failures ? failed++ : passed++;
        fflush(stdout);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
