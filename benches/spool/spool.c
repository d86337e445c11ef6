/* One measurement of what it costs to keep events on disk, by libphc or by a table of SQLite. benches/spool/run.py runs
 * it; each run prints one line of JSON.
 *
 *     spool append|recover phc|sqlite LEVEL EVENTS FOLDER HOST
 *
 * The event is a line of JSON on standard input. A spool is for one host: both name the same.
 *
 * LEVEL is one of spool_safety. SQLite has the journal mode WAL, and at
 *     crash  a transaction for 100 events, and no sync: what was committed survives the process;
 *     call   a transaction for each event, and no sync;
 *     power  a transaction for 1,000 events, with a sync (synchronous=FULL).
 *
 * `append` ends when all events are on disk as LEVEL promises; HOST does not respond. `recover` is what the next process
 * does: libphc takes all events over, sends them to HOST and removes them; SQLite reads them and deletes them, 1,000 at
 * a time, and sends nothing. */
#include <phc.h>
#include <sqlite3.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *level, *folder, *host;
static long events;
static char event_json[4096];

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "spool: %s: %s\n", what, why);
    exit(1);
}

static int is(const char *name) { return strcmp(level, name) == 0; }

/* The times of the calls, sorted, and what the whole took. */
static uint64_t *call_times;
static int ascending(const void *a, const void *b) {
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return one < other ? -1 : one > other;
}
static void print_figures(double seconds, double cpu) {
    qsort(call_times, (size_t)events, sizeof *call_times, ascending);
    printf("{\"p50\":%llu,\"p99\":%llu,\"seconds\":%.6f,\"cpu\":%.6f}\n",
           (unsigned long long)call_times[(events - 1) / 2],
           (unsigned long long)call_times[(events - 1) * 99 / 100], seconds, cpu);
}

/* -- libphc -- */

static phc_client *make_client(void) {
    const char *settings[][2] = {
        {"host", host},
        {"spool_dir", folder},
        {"spool_safety", level},
        {"compression", "none"},
        {"flush_interval_ms", "3600000"},
        {"queue_max_events", "10000000"},
        {"queue_max_bytes", "1073741824"},
        {"spool_max_bytes", "4294967296"},
    };
    phc_config *config = phc_config_new("phc_bench");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (phc_config_set(config, settings[i][0], settings[i][1]) != PHC_OK)
            fail(settings[i][0], phc_last_error());
    phc_client *client = phc_client_new(config, NULL);
    if (client == NULL) fail("phc_client_new", phc_last_error());
    phc_config_free(config);
    return client;
}

static phc_stats stats_of(phc_client *client) {
    phc_stats stats;
    if (phc_stats_get(client, &stats, sizeof stats) != PHC_OK) fail("phc_stats_get", phc_last_error());
    return stats;
}

static void append_phc(void) {
    phc_client *client = make_client();
    size_t length = strlen(event_json);
    double begun = now_s(), cpu = cpu_s(), before = begun;
    for (long i = 0; i < events; i++) {
        if (phc_capture_json(client, event_json, length, NULL) != PHC_OK)
            fail("phc_capture_json", phc_last_error());
        double after = now_s();
        call_times[i] = (uint64_t)((after - before) * 1e9);
        before = after;
    }
    if (is("power")) {
        if (phc_persist(client, 60000) != PHC_OK) fail("phc_persist", phc_last_error());
    } else {
        while (stats_of(client).spooled < (uint64_t)events) usleep(200);
    }
    print_figures(now_s() - begun, cpu_s() - cpu);
    _exit(fflush(stdout)); /* as after a kill */
}

static void recover_phc(void) {
    double cpu = cpu_s();
    phc_client *client = make_client();
    /* Two seconds after its first event, which is sent at the end, a client looks for what others left. */
    if (phc_capture_json(client, event_json, strlen(event_json), NULL) != PHC_OK)
        fail("phc_capture_json", phc_last_error());
    while (stats_of(client).recovered == 0) usleep(1000);
    double begun = now_s();
    while (stats_of(client).delivered < (uint64_t)events) {
        if (stats_of(client).lost > 0) fail("recover", "events were lost");
        usleep(1000);
    }
    printf("{\"seconds\":%.6f,\"cpu\":%.6f}\n", now_s() - begun, cpu_s() - cpu);
    fflush(stdout);
    phc_client_free(client);
}

/* -- SQLite -- */

static sqlite3 *database;

static void execute(const char *statement) {
    char *error = NULL;
    if (sqlite3_exec(database, statement, NULL, NULL, &error) != SQLITE_OK) fail(statement, error);
}

static sqlite3_stmt *prepare(const char *text) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(database, text, -1, &statement, NULL) != SQLITE_OK)
        fail(text, sqlite3_errmsg(database));
    return statement;
}

static void open_database(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s/events.db", folder);
    if (sqlite3_open(path, &database) != SQLITE_OK) fail(path, sqlite3_errmsg(database));
    execute("PRAGMA journal_mode=WAL");
    execute(is("power") ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    execute("CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY, event TEXT NOT NULL)");
}

static void append_sqlite(void) {
    open_database();
    sqlite3_stmt *insert = prepare("INSERT INTO events (event) VALUES (?)");
    long together = is("call") ? 1 : is("power") ? 1000 : 100;
    int length = (int)strlen(event_json);
    double begun = now_s(), cpu = cpu_s(), before = begun;
    for (long i = 0; i < events; i++) {
        if (together > 1 && i % together == 0) execute("BEGIN");
        sqlite3_bind_text(insert, 1, event_json, length, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) fail("INSERT", sqlite3_errmsg(database));
        sqlite3_reset(insert);
        if (together > 1 && (i % together == together - 1 || i == events - 1)) execute("COMMIT");
        double after = now_s();
        call_times[i] = (uint64_t)((after - before) * 1e9);
        before = after;
    }
    print_figures(now_s() - begun, cpu_s() - cpu);
    _exit(fflush(stdout));
}

static void recover_sqlite(void) {
    double cpu = cpu_s(), begun = now_s();
    open_database();
    sqlite3_stmt *some = prepare("SELECT id, event FROM events ORDER BY id LIMIT 1000");
    sqlite3_stmt *removal = prepare("DELETE FROM events WHERE id <= ?");
    long found = 0, bytes = 0;
    for (int more = 1; more;) {
        sqlite3_int64 last = 0;
        while (sqlite3_step(some) == SQLITE_ROW) {
            last = sqlite3_column_int64(some, 0);
            bytes += (long)strlen((const char *)sqlite3_column_text(some, 1));
            found++;
        }
        sqlite3_reset(some);
        more = last > 0;
        sqlite3_bind_int64(removal, 1, last);
        if (more && sqlite3_step(removal) != SQLITE_DONE) fail("DELETE", sqlite3_errmsg(database));
        sqlite3_reset(removal);
    }
    if (found != events || bytes != events * (long)strlen(event_json)) fail("recover", "rows are missing");
    printf("{\"seconds\":%.6f,\"cpu\":%.6f}\n", now_s() - begun, cpu_s() - cpu);
}

int main(int argc, char **argv) {
    if (argc != 7) fail("usage", "spool append|recover phc|sqlite LEVEL EVENTS FOLDER HOST");
    int appends = strcmp(argv[1], "append") == 0, by_phc = strcmp(argv[2], "phc") == 0;
    level = argv[3], events = atol(argv[4]), folder = argv[5], host = argv[6];
    if (fgets(event_json, sizeof event_json, stdin) == NULL)
        fail("the event", "there is none on standard input");
    event_json[strcspn(event_json, "\n")] = '\0';
    call_times = calloc((size_t)events, sizeof *call_times);
    if (call_times == NULL) fail("calloc", "no memory");
    memset(call_times, 1, (size_t)events * sizeof *call_times);
    if (appends && by_phc) append_phc();
    else if (appends) append_sqlite();
    else if (by_phc) recover_phc();
    else recover_sqlite();
    return 0;
}
