/*
 * What the black-box tests share: a space of the sink for each test, its script
 * and its lists, and clients that send there.
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

/* Runs the tests (those that are named, or all), each under a time limit and in
 * a space of its own; prints `N passed, N failed`. */
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
#define CHECK_HAS(text, part)                                                                                \
    check_at(strstr(text, part) != NULL, __FILE__, __LINE__, "\"%s\" is not in: %.600s", part, text)

/* The sink, in the space of the running test. Texts are the test's to free. */
void script(const char *json);
void answer_now(void);                 /* of the answers that the script holds */
void chaos_of_space(const char *json); /* seeded trouble: sink/README.md */
char *sink_get(const char *view);
void sink_post(const char *view, const char *json);
long long summary(const char *key);
long long status_count(int status);
int wait_for(const char *condition); /* "requests=2&events=5" */
size_t count(const char *text, const char *part);
/* The value of the nth "key":"…" of a list, or "" */
const char *nth_string(const char *list, const char *key, size_t n);

/* A client of the running test's space with these settings: key, value, …, NULL.
 * Back-off is short. It reports everything. Only a flush or a full batch sends
 * (flush_interval_ms is an hour), and its end has time (shutdown_timeout_ms is 20 s):
 * a test that stands still in between goes on as if nothing had been. */
phc_client *make_client(const char *first, ...);
/* The same, for another address. */
phc_client *make_client_at(const char *host, const char *first, ...);
const char *space_host(void);

phc_stats stats_of(phc_client *client);
char *reports_of(phc_client *client); /* all waiting reports as JSON, a line each */
/* Checks that the counters add up, frees the client. */
void finish(phc_client *client);
/* At the end of a test no rule of the contract may have been broken, unless the
 * test says that it broke one on purpose. */
void expect_violations(void);

void allow_seconds(unsigned seconds); /* a longer time limit for the running test */
double now_ms(void);
/* What is right takes milliseconds, what is wrong a minute or for ever; a process
 * on a busy machine stands still for a second or two. */
#define SOON_MS 10000.0
/* How long this process stood still so far, as a thread that only looks at the
 * clock saw it, which begins with the first call. For limits that must be tight:
 * this much of what was measured is the machine's doing. */
double stood_still_ms(void);
int thread_count(const char *name_prefix);
int thread_appears(const char *name); /* waits for it; how many there are */

#endif
