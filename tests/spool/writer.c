/*
 * One process with a spool, for `xtask spool-proofs`: it captures through the C interface and writes down what it was
 * promised, so that the run knows that after this process was killed or the power was cut.
 *
 *     writer RECORD [+option=value…] [setting=value…]
 *
 * RECORD is a file in shared memory, which outlives the process: counters in its first 128 bytes (see `enum counter`),
 * then one line of 64 bytes for each event. A line is `c` (the capture returned PHC_OK), `s` (it did so after the time
 * for which a capture waits for the disk) or `l` (the loss was reported), the uuid, and the time in ms since 1970.
 *
 * The process ends when its standard input does: before it has captured everything, too.
 */
#include <phc.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 64, HEAD = 128, LINES = 400000 };

/* The counters at the beginning of the record, eight bytes each. */
enum counter {
    LINES_WRITTEN,
    /* Captures that returned PHC_OK. */
    ACKNOWLEDGED,
    /* The first so many of them are on disk, as phc_stats_get says; only in an outage. */
    ON_DISK,
    /* The first so many of them were captured before a phc_persist that returned PHC_OK. */
    PERSISTED,
    /* Captures that returned PHC_QUEUE_FULL. */
    REFUSED,
    /* How far it is: see `enum stage`. */
    STAGE,
    /* The id of the disk thread, which waits until the next counter is not 0. */
    DISK_THREAD,
    DISK_THREAD_GOES_ON,
    /* Reports of which only the number is known. */
    MISSED,
    /* The largest number of bytes of pending events in memory, and how many events of others were taken over. */
    PEAK_BYTES,
    RECOVERED,
    /* How long phc_client_new and the first capture took together, without the time for which they did not run. */
    START_US
};

enum stage { BEGUN, CAPTURING, CAPTURED, ENDED };

/* Options of this program. */
static struct {
    const char *name;
    long value;
} options[] = {
    {"events", 0},      /* how many it captures; 0: until it ends */
    {"bytes", 100},     /* of a property of each */
    {"every_us", 0},    /* between two captures */
    {"burst", 1},       /* captures without a pause between them */
    {"persist", 0},     /* phc_persist after so many captures */
    {"flush_ms", 0},    /* phc_flush after the last capture, for at most so long; 0: none */
    {"close_ms", 5000}, /* for phc_client_close at the end */
    {"exit", 0},        /* ends by exit, without a close */
    {"stay", 0},        /* after the last capture, until its standard input ends */
    {"still", 0},       /* the same, without doing anything in the meantime, and after the flush */
    {"trace", 0},       /* the disk thread waits for DISK_THREAD_GOES_ON when it begins */
};
static long option(const char *name) {
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, name) == 0) return options[i].value;
    abort();
}

static char *record;
static uint64_t *counter(enum counter which) { return (uint64_t *)(void *)record + which; }
static uint64_t get(enum counter which) { return __atomic_load_n(counter(which), __ATOMIC_SEQ_CST); }
static void set(enum counter which, uint64_t value) {
    __atomic_store_n(counter(which), value, __ATOMIC_SEQ_CST);
}
static void raise_to(enum counter which, uint64_t value) {
    if (get(which) < value) set(which, value);
}

static double now_ms(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "writer: %s: %s\n", what, why);
    exit(1);
}

/* Its first byte comes last: a line that a kill cut off is not there. */
static void write_line(char kind, const char *uuid) {
    uint64_t at = get(LINES_WRITTEN);
    if (at == LINES) fail("the record", "it is full");
    char line[LINE + 1];
    snprintf(line, sizeof line, "%c %.36s %024.0f\n", kind, uuid, now_ms(CLOCK_REALTIME));
    char *place = record + HEAD + at * LINE;
    memcpy(place + 1, line + 1, LINE - 1);
    __atomic_store_n(place, kind, __ATOMIC_SEQ_CST);
    set(LINES_WRITTEN, at + 1);
}

/* It takes the place of libc's: the disk thread begins with its name, and can be traced from its first call on. */
int pthread_setname_np(pthread_t thread, const char *name) {
    (void)thread; /* each names itself */
    prctl(PR_SET_NAME, name, 0, 0, 0);
    if (record != NULL && option("trace") && strcmp(name, "phc-disk") == 0) {
        set(DISK_THREAD, (uint64_t)syscall(SYS_gettid));
        while (!get(DISK_THREAD_GOES_ON)) usleep(500);
    }
    return 0;
}

/* How long this thread has been ready to run while others had the processors. */
static double descheduled_ms(void) {
    double had = 0, missed = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    if (file != NULL && fscanf(file, "%lf %lf", &had, &missed) != 2) missed = 0;
    if (file != NULL) fclose(file);
    return missed / 1e6;
}

static phc_client *client;
static double begun_ms, missed_ms;

/* Since the beginning, without the time for which this thread was descheduled. */
static double had_ms(void) { return now_ms(CLOCK_MONOTONIC) - begun_ms - (descheduled_ms() - missed_ms); }
/* Captures that the record does not have: the first one, when the disk thread is traced. */
static uint64_t unrecorded;

static void look(void) {
    phc_stats stats;
    if (phc_stats_get(client, &stats, sizeof stats) != PHC_OK) return;
    /* The newest events are those that are written last, as long as none has ended that was never written. */
    uint64_t in_memory_only = stats.pending_events - stats.spooled;
    if (stats.delivered + stats.lost == 0 && stats.captured >= in_memory_only + unrecorded)
        raise_to(ON_DISK, stats.captured - in_memory_only - unrecorded);
    raise_to(PEAK_BYTES, stats.pending_bytes);
    set(RECOVERED, stats.recovered);
}

static void take_reports(void) {
    for (phc_report *report; (report = phc_poll(client, 0)) != NULL; phc_report_free(report)) {
        set(MISSED, get(MISSED) + phc_report_missed_events(report));
        for (size_t i = 0; i < phc_report_event_count(report); i++) {
            phc_event_report event;
            if (phc_report_event(report, i, &event, sizeof event) == PHC_OK && event.loss != PHC_LOSS_NONE) {
                write_line('l', event.uuid);
                fprintf(stderr, "writer: lost (%s): %s\n", phc_loss_name(event.loss),
                        phc_report_error(report));
            }
        }
    }
}

static void capture(const char *properties) {
    /* A host that is killed later than this has waited long enough (`call`). */
    const double disk_limit_ms = 900;
    char uuid[PHC_UUID_SIZE];
    double begun = now_ms(CLOCK_MONOTONIC);
    phc_status status = phc_capture_get_uuid(client, "user", "proof", properties, uuid);
    if (status == PHC_QUEUE_FULL) {
        set(REFUSED, get(REFUSED) + 1);
    } else if (status != PHC_OK) {
        fail("phc_capture", phc_status_name(status));
    } else {
        write_line(now_ms(CLOCK_MONOTONIC) - begun > disk_limit_ms ? 's' : 'c', uuid);
        set(ACKNOWLEDGED, get(ACKNOWLEDGED) + 1);
    }
}

static int has_input_ended(int wait_ms) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, wait_ms) > 0;
}

static phc_client *make_client(char **arguments) {
    phc_config *config = phc_config_new("phc_proofs");
    for (; *arguments != NULL; arguments++) {
        char *value = strchr(*arguments, '=');
        if (value == NULL) fail(*arguments, "an option is +name=value, a setting name=value");
        *value++ = '\0';
        if (**arguments == '+') {
            size_t i = 0, n = sizeof options / sizeof options[0];
            while (i < n && strcmp(options[i].name, *arguments + 1) != 0) i++;
            if (i == n) fail(*arguments, "there is no such option");
            options[i].value = atol(value);
        } else if (phc_config_set(config, *arguments, value) != PHC_OK) {
            fail(*arguments, phc_last_error());
        }
    }
    phc_client *made = phc_client_new(config, NULL);
    if (made == NULL) fail("phc_client_new", phc_last_error());
    phc_config_free(config);
    return made;
}

static void work(void) {
    static char properties[65536];
    long bytes = option("bytes") < 65000 ? option("bytes") : 65000;
    char *end = stpcpy(properties, "{\"a\":\"");
    memset(end, 'x', (size_t)bytes);
    strcpy(end + bytes, "\"}");
    if (option("trace")) {
        char uuid[PHC_UUID_SIZE];
        unrecorded = phc_capture_get_uuid(client, "user", "first", NULL, uuid) == PHC_OK;
        while (!get(DISK_THREAD_GOES_ON)) usleep(500);
    }
    double until_look = 0;
    for (long n = 1; option("events") == 0 || n <= option("events"); n++) {
        capture(properties);
        if (n == 1) set(START_US, (uint64_t)(had_ms() * 1000));
        if (n % option("burst") == 0) {
            if (has_input_ended(0)) return;
            if (option("every_us") > 0) usleep((useconds_t)option("every_us"));
            take_reports();
        }
        if (option("persist") > 0 && n % option("persist") == 0) {
            uint64_t before = get(ACKNOWLEDGED);
            if (phc_persist(client, 20000) == PHC_OK) set(PERSISTED, before);
        }
        if (now_ms(CLOCK_MONOTONIC) >= until_look) {
            look();
            until_look = now_ms(CLOCK_MONOTONIC) + 2;
        }
    }
}

static void flush(void) {
    if (option("flush_ms") > 0) (void)phc_flush(client, (uint32_t)option("flush_ms"), NULL, 0);
}

static void print_stats(phc_status closed) {
    phc_stats stats;
    if (phc_stats_get(client, &stats, sizeof stats) != PHC_OK) fail("phc_stats_get", "it failed");
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf(
        "closed=%s captured=%llu recovered=%llu delivered=%llu lost=%llu kept=%llu pending=%llu rss_kb=%ld\n",
        phc_status_name(closed), (unsigned long long)stats.captured, (unsigned long long)stats.recovered,
        (unsigned long long)stats.delivered, (unsigned long long)stats.lost, (unsigned long long)stats.kept,
        (unsigned long long)stats.pending_events, used.ru_maxrss);
}

int main(int argc, char **argv) {
    if (argc < 2) fail("usage", "writer RECORD [+option=value…] [setting=value…]");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int file = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, HEAD + (off_t)LINES * LINE) != 0) fail(argv[1], strerror(errno));
    void *memory = mmap(NULL, HEAD + (size_t)LINES * LINE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) fail(argv[1], strerror(errno));
    close(file);
    record = memory;
    missed_ms = descheduled_ms();
    begun_ms = now_ms(CLOCK_MONOTONIC);
    client = make_client(argv + 2);
    set(STAGE, CAPTURING);
    work();
    if (option("still")) flush();
    set(STAGE, CAPTURED);
    if (option("still")) (void)has_input_ended(-1);
    while (option("stay") && !has_input_ended(2)) {
        look();
        take_reports();
    }
    flush();
    take_reports();
    look();
    if (option("exit")) exit(0);
    phc_status closed = phc_client_close(client, (uint32_t)option("close_ms"));
    take_reports();
    print_stats(closed);
    phc_client_free(client);
    set(STAGE, ENDED);
    return 0;
}
