/*
 * What the black-box tests share: a namespace of the test server (the sink) for each test, its
 * script and its records, and clients that send there.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <phc.h>
#include <stddef.h>

typedef void (*test_function)(void);
typedef struct {
    const char *name;
    test_function run;
} test_case;

/* Runs the tests (those that are named, or all), each under a time limit and in a namespace of
 * its own; prints `N passed, N failed`. */
int run_tests(const char *file, const test_case *tests, size_t count, int argc, char **argv);
#define TEST(name)                                                                                           \
    { #name, name }
#define RUN_TESTS(tests) run_tests(__FILE__, tests, sizeof(tests) / sizeof(tests)[0], argc, argv)

/* Fails the running test, which goes on. */
void check_at(int ok, const char *file, int line, const char *text, ...)
    __attribute__((format(printf, 4, 5)));
#define CHECK(condition) check_at(!!(condition), __FILE__, __LINE__, "%s", #condition)
#define CHECK_EQ(actual, expected)                                                                           \
    do {                                                                                                     \
        long long actual_ = (long long)(actual), expected_ = (long long)(expected);                          \
        check_at(actual_ == expected_, __FILE__, __LINE__, "%s is %lld, not %lld", #actual, actual_,         \
                 expected_);                                                                                 \
    } while (0)
#define CHECK_STR(actual, expected)                                                                          \
    do {                                                                                                     \
        const char *text_ = (actual);                                                                        \
        check_at(strcmp(text_, expected) == 0, __FILE__, __LINE__, "%s is \"%.600s\", not \"%s\"", #actual,  \
                 text_, expected);                                                                           \
    } while (0)
#define CHECK_HAS(text, part)                                                                                \
    do {                                                                                                     \
        const char *text_ = (text), *part_ = (part);                                                         \
        check_at(strstr(text_, part_) != NULL, __FILE__, __LINE__, "\"%s\" is not in: %.600s", part_,        \
                 text_);                                                                                     \
    } while (0)

/* The sink, in the namespace of the running test. Texts are the test's to free. */
void script(const char *json);
void respond_now(void);           /* ends the script; sends the responses that wait for that */
void set_chaos(const char *json); /* random failures by seed: sink/README.md */
char *sink_get(const char *view);
void sink_post(const char *view, const char *json);
long long summary(const char *key);
long long status_count(int status);
int wait_for(const char *condition); /* "requests=2&events=5" */
size_t count(const char *text, const char *part);
/* The value of the nth "key":"…" of a list, or "" */
const char *nth_string(const char *list, const char *key, size_t n);

/* A client of the running test's namespace with these settings: key, value, …, NULL. Its
 * back-off is short. It reports everything. Only a flush or a full batch sends
 * (flush_interval_ms is an hour), and the end of the client and requests for flags have time
 * (shutdown_timeout_ms and flags_timeout_ms are 20 s), so that a test process that is descheduled
 * for seconds still passes. */
phc_client *make_client(const char *first, ...);
/* The same, for another address. */
phc_client *make_client_at(const char *host, const char *first, ...);
const char *namespace_host(void);

void capture(phc_client *client, const char *event); /* which is taken */
void capture_n(phc_client *client, int n);
/* One event and its flush; the reports. The time that it took goes into took (may be NULL). */
char *one_event(phc_client *client, phc_status expected, double *took);
/* The counters; checks that they add up. */
phc_stats stats_of(phc_client *client);
char *reports_of(phc_client *client); /* all waiting reports as JSON, one on a line */
/* Checks that the counters add up, frees the client. */
void finish(phc_client *client);
/* At the end of a test no rule of the contract may have been broken, unless the test says that
 * it broke one on purpose. */
void expect_violations(void);

/* Whether the library has the spool, which those for Windows do not have. */
int has_spool(void);
/* A new folder, which is removed with everything in it at the end of the test. */
const char *new_folder(void);
/* How many checks of the running test have failed in this process: what a forked child exits with. */
int failed_checks(void);

void allow_seconds(unsigned seconds); /* a longer time limit for the running test */
double now_ms(void);
/* What is correct takes milliseconds, what is wrong a minute or longer; a process on a busy
 * machine is descheduled for a second or two. */
#define SOON_MS 10000.0
/* How long this process was descheduled so far, as a thread that only reads the clock saw it; that
 * thread begins with the first call. */
double descheduled_ms(void);
/* A moment of the test. What must take at least so long is held against ms_since; what may take
 * no longer, where the limit is tighter than SOON_MS, against ms_had_since: that leaves out the
 * time in which this process was descheduled, or in which the library's I/O thread had no processor. */
typedef struct {
    double at, missed, waited;
} moment;
moment begin(void);
double ms_since(moment begun);
double ms_had_since(moment begun);
/* Waits until a condition is true, for at most 20 s in which this process was not descheduled.
 * Returns whether it is. */
int await(int (*is_true)(void *about), void *about);
/* Waits in the same way until other threads have made the value this large. Returns the value. */
int reaches(const int *value, int wanted);
void add_to(int *value, int more);         /* atomic */
int thread_count(const char *name_prefix); /* without those that are ending, and the clock's */
int thread_id(const char *name_prefix);    /* of one of them; -1 if there is none */
/* These wait, like await, and return how many there are. */
int thread_appears(const char *name);
int threads_fall_to(int wanted, const char *name_prefix);
/* Waits, for at most 2 s, until the thread (its id as of gettid) sleeps: it has probably got to
 * where it waits. A test is correct without it, and sees more with it. */
void await_sleep(int thread);

#endif
