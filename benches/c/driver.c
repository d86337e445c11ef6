/*
 * The benchmark's driver for libphc from C. The option call says which call captures: capture, json, event (the
 * builder), or varied (json with events that differ). ../README.md describes the measures.
 */
#include <phc.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROPERTIES                                                                                           \
    "{\"path\":\"/products/kitchen/espresso-machine\","                                                      \
    "\"referrer\":\"https://example.com/search?q=espresso+machine&sort=price&page=2\","                      \
    "\"browser\":\"Firefox 128.0\",\"country\":\"Norway\",\"width\":1920,\"height\":1080,\"items\":3,"       \
    "\"price\":249.95,\"logged_in\":true,\"cart\":{\"id\":\"c-77812-4f1b\",\"total\":512.4,\"currency\":\"NOK\"}}"
#define EVENT "{\"event\":\"page_viewed\",\"distinct_id\":\"user-1234567890\",\"properties\":" PROPERTIES "}"

static int argument_count;
static char **arguments;

static const char *text(const char *key, const char *otherwise) {
    size_t length = strlen(key);
    for (int i = 2; i < argument_count; i++)
        if (strncmp(arguments[i], key, length) == 0 && arguments[i][length] == '=')
            return arguments[i] + length + 1;
    return otherwise;
}

static long number(const char *key, long otherwise) {
    const char *value = text(key, NULL);
    return value ? atol(value) : otherwise;
}

static uint64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t now(void) { return read_clock(CLOCK_MONOTONIC); }

static void must(phc_status status) {
    if (status == PHC_OK) return;
    fprintf(stderr, "%s: %s\n", phc_status_name(status), phc_last_error());
    exit(1);
}

/* The three calls, and the one that varies its events (for the codecs). */

static phc_status by_capture(phc_client *client, unsigned index) {
    (void)index;
    return phc_capture(client, "user-1234567890", "page_viewed", PROPERTIES);
}

static phc_status by_json(phc_client *client, unsigned index) {
    (void)index;
    return phc_capture_json(client, EVENT, sizeof EVENT - 1, NULL);
}

static phc_status by_event(phc_client *client, unsigned index) {
    (void)index;
    phc_event *event = phc_event_new("user-1234567890", "page_viewed");
    if (!event) return PHC_INTERNAL;
    must(phc_event_set_string(event, "path", "/products/kitchen/espresso-machine"));
    must(phc_event_set_string(event, "referrer",
                              "https://example.com/search?q=espresso+machine&sort=price&page=2"));
    must(phc_event_set_string(event, "browser", "Firefox 128.0"));
    must(phc_event_set_string(event, "country", "Norway"));
    must(phc_event_set_int(event, "width", 1920));
    must(phc_event_set_int(event, "height", 1080));
    must(phc_event_set_int(event, "items", 3));
    must(phc_event_set_double(event, "price", 249.95));
    must(phc_event_set_bool(event, "logged_in", 1));
    must(phc_event_set_json(event, "cart", "{\"id\":\"c-77812-4f1b\",\"total\":512.4,\"currency\":\"NOK\"}"));
    return phc_capture_event(client, event, NULL);
}

#define VARIANTS 1024
static char *variants[VARIANTS];

static void make_variants(void) {
    static const char *const browsers[] = {"Firefox 128.0", "Chrome 126", "Safari 17.5", "Edge 126"};
    static const char *const countries[] = {"Norway", "Brazil", "Japan", "Kenya",
                                            "France", "Canada", "India"};
    srandom(1);
    for (int i = 0; i < VARIANTS; i++) {
        int length = asprintf(
            &variants[i],
            "{\"event\":\"page_viewed\",\"distinct_id\":\"user-%010ld\",\"properties\":{\"path\":\"/products/%ld-%lx\","
            "\"referrer\":\"https://example.com/search?q=%lx\",\"browser\":\"%s\",\"country\":\"%s\",\"width\":%ld,"
            "\"height\":%ld,\"items\":%ld,\"price\":%ld.%02ld,\"logged_in\":%s,"
            "\"cart\":{\"id\":\"c-%ld\",\"total\":%ld.%ld,\"currency\":\"NOK\"}}}",
            random() % 1000000000, random() % 9000, random(), random(), browsers[random() % 4],
            countries[random() % 7], 1024 + random() % 2000, 700 + random() % 800, random() % 9,
            random() % 900, random() % 100, random() % 2 ? "true" : "false", random() % 99999, random() % 900,
            random() % 10);
        if (length < 0) abort();
    }
}

static phc_status by_variant(phc_client *client, unsigned index) {
    const char *json = variants[index % VARIANTS];
    return phc_capture_json(client, json, strlen(json), NULL);
}

typedef phc_status (*capture_call)(phc_client *, unsigned);
static capture_call call;

static void choose_call(void) {
    static const struct {
        const char *name;
        capture_call call;
    } calls[] = {{"capture", by_capture}, {"json", by_json}, {"event", by_event}, {"varied", by_variant}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(text("call", "json"), calls[i].name) == 0) call = calls[i].call;
    if (!call) exit(2);
    if (call == by_variant) make_variants();
}

/* settings: keys and their values in turn, up to a NULL. NULL: no further settings. */
static phc_client *make_client(const char *const *settings) {
    phc_config *config = phc_config_new("phc_bench");
    must(phc_config_set(config, "host", text("host", "http://127.0.0.1:9")));
    if (text("codec", NULL)) must(phc_config_set(config, "compression", text("codec", "")));
    for (; settings && *settings; settings += 2) must(phc_config_set(config, settings[0], settings[1]));
    phc_status status = PHC_INTERNAL;
    phc_client *client = phc_client_new(config, &status);
    phc_config_free(config);
    if (!client) must(status);
    return client;
}

/* Nothing is sent before a flush. */
static const char *const quiet[] = {"flush_at",
                                    "100000",
                                    "flush_interval_ms",
                                    "3600000",
                                    "max_batch_events",
                                    "100000",
                                    "max_batch_bytes",
                                    "16777216",
                                    "queue_max_events",
                                    "1000000",
                                    "queue_max_bytes",
                                    "1073741824",
                                    NULL};
/* No capture of a measure meets a full queue. */
static const char *const large_queue[] = {"queue_max_events", "1000000", "queue_max_bytes", "1073741824",
                                          NULL};
/* A capture that meets a full queue waits. */
static const char *const blocking[] = {"overflow", "block", "block_timeout_ms", "60000", NULL};

/* capture: what a call takes from its caller. */

typedef struct {
    pthread_t thread;
    phc_client *client;
    uint64_t *times; /* of each call; NULL: calls are not timed one by one */
    long calls;
} job;

static void *run_job(void *data) {
    job *job = data;
    uint64_t last = now();
    for (long i = 0; i < job->calls; i++) {
        must(call(job->client, (unsigned)i));
        if (!job->times) continue;
        uint64_t time = now();
        job->times[i] = time - last;
        last = time;
    }
    return NULL;
}

/* Returns the seconds of one round, and writes the time of each of its calls to times, unless it is NULL. */
static double run_round(phc_client *client, long threads, long calls, uint64_t *times) {
    job jobs[64];
    uint64_t start = now();
    for (long i = 0; i < threads; i++) {
        jobs[i] = (job){.client = client, .calls = calls, .times = times ? times + i * calls : NULL};
        if (threads == 1) run_job(&jobs[i]);
        else if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i])) abort();
    }
    for (long i = 0; threads > 1 && i < threads; i++) pthread_join(jobs[i].thread, NULL);
    return (double)(now() - start) / 1e9;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void capture(void) {
    long calls = number("calls", 5000), rounds = number("rounds", 1), threads = number("threads", 1);
    int warm = number("warm", 0) != 0;
    size_t all = (size_t)(calls * threads * rounds);
    uint64_t *times = malloc(all * sizeof *times);
    if (!times) abort();
    /* The pages are touched here, so that no call that is timed pays for it. */
    memset(times, 1, all * sizeof *times);
    phc_client *client = make_client(number("quiet", 0) ? quiet : large_queue);
    for (int i = 0; warm && i < 5; i++) {
        run_round(client, threads, calls, NULL);
        must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
    }
    /* Rounds in which no call is timed give the mean, the others the percentiles. A cold start has one
     * round, which gives both. */
    double bare = 0;
    /* Processor time of this thread if it is the only one that captures, else of the process. */
    clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID;
    uint64_t cpu = 0;
    for (long i = 0; i < rounds; i++) {
        if (warm) {
            uint64_t start = read_clock(clock);
            bare += run_round(client, threads, calls, NULL);
            cpu += read_clock(clock) - start;
            must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
        }
        double seconds = run_round(client, threads, calls, times + i * calls * threads);
        if (!warm) bare += seconds;
        must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
    }
    uint64_t first = times[0];
    qsort(times, all, sizeof *times, ascending);
    printf(
        "{\"mean\":%.1f,\"cpu\":%.1f,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu,\"first\":%llu,\"calls\":%zu,"
        "\"seconds\":%.6f}\n",
        bare * 1e9 / (double)all * (double)threads, (double)cpu / (double)all,
        (unsigned long long)times[(all - 1) / 2], (unsigned long long)times[(all - 1) * 99 / 100],
        (unsigned long long)times[(all - 1) * 999 / 1000], (unsigned long long)times[all - 1],
        (unsigned long long)first, all, bare);
    phc_client_free(client);
}

/* spool: what it adds to a capture that each event is on disk when it returns. Rounds of a client without a spool, of
 * one with a spool, and of a bare write of as many bytes to a file beside it take turns. spool_dir names a folder for
 * all of it. */
static int bare_file;
static char bare_bytes[4096];
static size_t bare_length;

static phc_status by_write(phc_client *client, unsigned index) {
    (void)client, (void)index;
    return write(bare_file, bare_bytes, bare_length) == (ssize_t)bare_length ? PHC_OK : PHC_SPOOL;
}

static void spool(void) {
    enum { QUIET = sizeof quiet / sizeof *quiet - 1, PARTS = 3 };
    const char *settings[QUIET + 5] = {NULL};
    memcpy(settings, quiet, sizeof quiet);
    settings[QUIET] = "spool_dir", settings[QUIET + 1] = text("spool_dir", "");
    settings[QUIET + 2] = "spool_safety", settings[QUIET + 3] = text("spool_safety", "call");
    phc_client *spooling = make_client(settings);
    char path[4096];
    snprintf(path, sizeof path, "%s.bare", text("spool_dir", ""));
    bare_file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0600);
    if (bare_file < 0) abort();
    /* What the event of this driver takes up in a segment. */
    bare_length = (size_t)number("bytes", 495);
    memset(bare_bytes, 'x', sizeof bare_bytes);
    const struct {
        const char *name;
        phc_client *client;
        capture_call call;
    } parts[PARTS] = {
        {"plain", make_client(quiet), call}, {"spool", spooling, call}, {"write", NULL, by_write}};
    long calls = number("calls", 1000), rounds = number("rounds", 50);
    size_t all = (size_t)(calls * rounds);
    uint64_t *times[PARTS];
    for (int i = 0; i < PARTS; i++) {
        times[i] = malloc(all * sizeof **times);
        if (!times[i]) abort();
        memset(times[i], 1, all * sizeof **times);
    }
    for (long round = -1; round < rounds; round++)
        for (int i = 0; i < PARTS; i++) {
            call = parts[i].call;
            run_round(parts[i].client, 1, calls, round < 0 ? NULL : times[i] + round * calls);
        }
    for (int i = 0; i < PARTS; i++) {
        uint64_t sum = 0;
        for (size_t j = 0; j < all; j++) sum += times[i][j];
        qsort(times[i], all, sizeof **times, ascending);
        printf("%s\"%s\":{\"mean\":%llu,\"p50\":%llu,\"p99\":%llu,\"p999\":%llu}", i ? "," : "{",
               parts[i].name, (unsigned long long)(sum / all), (unsigned long long)times[i][(all - 1) / 2],
               (unsigned long long)times[i][(all - 1) * 99 / 100],
               (unsigned long long)times[i][(all - 1) * 999 / 1000]);
    }
    puts("}");
    fflush(stdout);
    unlink(path);
    must(phc_spool_discard(spooling, PHC_NO_LIMIT, NULL));
    phc_client_free(spooling);
    _exit(0);
}

static phc_flags_query *make_query(void) {
    phc_flags_query *query = phc_flags_query_new("user-4711");
    must(phc_flags_query_set_person(query, "country", "\"DE\""));
    must(phc_flags_query_set_person(query, "email", "\"someone@example.com\""));
    must(phc_flags_query_set_person(query, "version", "\"2.31.4\""));
    const char *key = text("key", NULL);
    if (key) must(phc_flags_query_add_key(query, key));
    return query;
}

/* flags: evaluates the flags of the file `definitions` for a person, all or the one that `key` names, and reads one; the
 * nanoseconds that this takes, by rounds. With reused=1 all evaluations have one query. */
static void flags(void) {
    phc_client *client = make_client((const char *const[]){"test_mode", "true", NULL});
    static char json[1 << 18];
    FILE *file = fopen(text("definitions", ""), "r");
    if (!file) abort();
    must(phc_flags_definitions_set(client, json, fread(json, 1, sizeof json, file)));
    fclose(file);
    long calls = number("calls", 1000), rounds = number("rounds", 20), on = 0;
    phc_flags_query *reused = number("reused", 0) ? make_query() : NULL;
    uint64_t *times = malloc((size_t)rounds * sizeof *times);
    if (!times) abort();
    for (long round = -1; round < rounds; round++) {
        uint64_t begun = now();
        for (long i = 0; i < calls; i++) {
            phc_flags_query *query = reused ? reused : make_query();
            phc_flags *found = NULL;
            must(phc_flags_evaluate(client, query, 0, &found));
            on += phc_flags_enabled(found, "flag-7", 0);
            phc_flags_free(found);
            if (!reused) phc_flags_query_free(query);
        }
        if (round >= 0) times[round] = (now() - begun) / (uint64_t)calls;
    }
    if (on != calls * (rounds + 1)) abort();
    qsort(times, (size_t)rounds, sizeof *times, ascending);
    printf("{\"best\":%llu,\"median\":%llu}\n", (unsigned long long)times[0],
           (unsigned long long)times[rounds / 2]);
    phc_client_free(client);
}

/* throughput: captures so many events and waits for the last verdict. */
static void throughput(void) {
    long events = number("events", 100000);
    phc_client *client = make_client(blocking);
    uint64_t start = now();
    for (long i = 0; i < events; i++) must(call(client, (unsigned)i));
    must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
    double seconds = (double)(now() - start) / 1e9;
    phc_stats stats;
    must(phc_stats_get(client, &stats, sizeof stats));
    printf("{\"seconds\":%.6f,\"events\":%llu,\"requests\":%llu,\"body_bytes\":%llu,\"sent_bytes\":%llu}\n",
           seconds, (unsigned long long)stats.delivered, (unsigned long long)stats.requests,
           (unsigned long long)stats.body_bytes, (unsigned long long)stats.sent_bytes);
    phc_client_free(client);
}

/* feed: keeps the queue full for so long. The server counts the events. */
static void feed(void) {
    phc_client *client = make_client(blocking);
    uint64_t end = now() + (uint64_t)number("ms", 3000) * 1000000u;
    for (unsigned i = 0; now() < end; i++) must(call(client, i));
    printf("{}\n");
    fflush(stdout);
    _exit(0);
}

/* burst: captures so many events at once, with the default queue. */
static void burst(void) {
    long events = number("events", 50000), taken = 0;
    phc_client *client = make_client(NULL);
    uint64_t start = now();
    for (long i = 0; i < events; i++) {
        phc_status status = call(client, (unsigned)i);
        if (status != PHC_QUEUE_FULL) must(status);
        taken += status == PHC_OK;
    }
    double captured = (double)(now() - start) / 1e9;
    must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
    printf("{\"taken\":%ld,\"capture_seconds\":%.6f,\"seconds\":%.6f}\n", taken, captured,
           (double)(now() - start) / 1e9);
    phc_client_free(client);
}

static long status_kb(const char *key) {
    char line[256];
    long value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key) + 1);
    if (file) fclose(file);
    return value;
}

/* memory: resident memory at each of these numbers of waiting events: events=1000,10000 */
static void memory(void) {
    long before = status_kb("VmRSS"), count = 0;
    phc_client *client = make_client(large_queue);
    printf("{\"before_kb\":%ld,\"marks\":[", before);
    char *goals = strdup(text("events", "10000"));
    if (!goals) abort();
    for (char *goal = strtok(goals, ","); goal; goal = strtok(NULL, ",")) {
        for (; count < atol(goal); count++) must(call(client, 0));
        usleep(300000);
        phc_stats stats;
        must(phc_stats_get(client, &stats, sizeof stats));
        printf("%s[%ld,%ld,%llu,%ld]", goal == goals ? "" : ",", count, status_kb("VmRSS"),
               (unsigned long long)stats.pending_bytes, status_kb("VmHWM"));
    }
    printf("],\"peak_kb\":%ld}\n", status_kb("VmHWM"));
    fflush(stdout);
    _exit(0);
}

/* idle: a client that has delivered an event and has nothing to do until its input ends. */
static void idle(void) {
    phc_client *client = make_client(NULL);
    must(call(client, 0));
    must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
    printf("ready\n");
    fflush(stdout);
    getchar();
    phc_client_free(client);
}

/* once: captures and delivers one event. */
static void once(void) {
    phc_client *client = make_client(NULL);
    must(call(client, 0));
    must(phc_flush(client, PHC_NO_LIMIT, NULL, 0));
    printf("{}\n");
    phc_client_free(client);
}

int main(int count, char **values) {
    static const struct {
        const char *name;
        void (*measure)(void);
    } measures[] = {{"capture", capture}, {"throughput", throughput}, {"feed", feed},
                    {"burst", burst},     {"memory", memory},         {"idle", idle},
                    {"once", once},       {"spool", spool},           {"flags", flags}};
    argument_count = count;
    arguments = values;
    choose_call();
    for (size_t i = 0; count > 1 && i < sizeof measures / sizeof *measures; i++) {
        if (strcmp(values[1], measures[i].name) == 0) {
            measures[i].measure();
            return 0;
        }
    }
    fprintf(stderr, "usage: driver MEASURE [KEY=VALUE…]\n");
    return 2;
}
