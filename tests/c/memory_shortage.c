/*
 * A process whose memory runs out: no call aborts, each says so by its status, and what was taken
 * is delivered or still pending. Allocations whose size depends on the events fail, one after the
 * other, and with them all that follow, until the test gives the memory back. Those of a fixed size
 * are not promised; they are smaller than LARGE here, or made before. Not for runs under tools that
 * replace malloc themselves.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "harness.h"

#include <errno.h>
#include <phc_binding.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "real_malloc.h"

/* What fails: allocations of at least so many bytes, by the main thread or by the others, after so
 * many that do not fail, and then at most so many. */
static volatile size_t least[2] = {SIZE_MAX, SIZE_MAX};
static volatile int before[2], failures[2], failed[2];

static int refused(size_t size) {
    int other = syscall(SYS_gettid) != getpid();
    if (size < least[other]) return 0;
    if (before[other] > 0) {
        before[other]--;
        return 0;
    }
    if (failures[other] == 0) return 0;
    failures[other]--;
    failed[other]++;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) { return refused(size) ? NULL : REAL(malloc)(size); }
void *calloc(size_t number, size_t size) {
    return refused(number * size) ? NULL : REAL(calloc)(number, size);
}
void *realloc(void *old, size_t size) { return refused(size) ? NULL : REAL(realloc)(old, size); }
void *memalign(size_t alignment, size_t size) {
    return refused(size) ? NULL : REAL(memalign)(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

enum { MAIN, OTHERS };
static void fail_from(int whose, size_t size, int after, int most) {
    failed[whose] = 0;
    before[whose] = after;
    failures[whose] = most;
    least[whose] = size;
}
static void fail_no_more(void) { least[MAIN] = least[OTHERS] = SIZE_MAX; }

#define LARGE 1000
static char value[20001];

static phc_status by_parts(phc_client *client) {
    static char json[sizeof value + 100];
    snprintf(json, sizeof json, "{\"k\":\"%s\",\"$lib\":1,\"l\":2}", value);
    return phc_capture(client, "user", "event", json);
}

static phc_status by_json(phc_client *client) {
    static char json[2 * sizeof value + 200];
    snprintf(
        json, sizeof json,
        "{\"event\":\"e\",\"distinct_id\":\"u\",\"$set\":{\"a\":\"%s\"},\"properties\":{\"$set\":{\"k\":\"%s\"}}}",
        value, value);
    return phc_capture_json(client, json, strlen(json), NULL);
}

/* Text that must be repaired is copied for that. */
static phc_status by_bad_text(phc_client *client) {
    static char json[sizeof value + 100];
    snprintf(json, sizeof json, "{\"k\":\"%s\xff\",\"s\":\"\\ud800\"}", value);
    return phc_capture(client, "user", "event", json);
}

static phc_status by_identify(phc_client *client) {
    static char json[sizeof value + 100];
    snprintf(json, sizeof json, "{\"k\":\"%s\"}", value);
    return phc_identify(client, "user", json, json, NULL);
}

static phc_status by_group(phc_client *client) {
    static char json[sizeof value + 100];
    snprintf(json, sizeof json, "{\"k\":\"%s\"}", value);
    return phc_group_identify(client, "company", "acme", json, NULL, NULL);
}

/* A setter that fails leaves the event as it is: the event is set again. */
static phc_status by_builder(phc_client *client) {
    phc_event *event = phc_event_new(value, "event");
    if (event == NULL) {
        CHECK_HAS(phc_last_error(), "memory");
        return PHC_OUT_OF_RESOURCES;
    }
    phc_event_free(event);
    event = phc_event_new("user", "event");
    if (event == NULL) return PHC_OUT_OF_RESOURCES;
    phc_status worst = PHC_OK, status;
#define SET(call)                                                                                            \
    if ((status = call) != PHC_OK) worst = status
    char key[20];
    for (int n = 0; n < 200; n++) {
        snprintf(key, sizeof key, "key %d", n);
        SET(phc_event_set_int(event, key, n));
        SET(phc_event_set_int(event, key, n + 1));
        snprintf(key, sizeof key, "type %d", n);
        SET(phc_event_set_group(event, key, "key"));
    }
    SET(phc_event_set_string(event, "k", value));
    SET(phc_event_set_string(event, "bad", "\xff\x01"));
    SET(phc_event_set_json(event, "j", "{\"a\":[1,2]}"));
    int depth = 0;
    for (; depth < 50; depth++) {
        if ((status = phc_event_begin_object(event, "o")) != PHC_OK) break;
        SET(phc_event_set_string(event, "inner", "text"));
    }
    if (status != PHC_OK) worst = status;
    for (; depth > 0; depth--) {
        /* Two bytes at most, but there may be none. */
        while ((status = phc_event_end(event)) == PHC_OUT_OF_RESOURCES) {
            worst = status;
            fail_no_more();
        }
        CHECK_EQ(status, PHC_OK);
    }
    status = phc_capture_event(client, event, NULL);
    return worst == PHC_OK || status != PHC_OK ? status : PHC_OUT_OF_RESOURCES;
#undef SET
}

typedef phc_status (*capture_call)(phc_client *client);
static const struct {
    const char *name;
    capture_call call;
} CALLS[] = {
    {"phc_capture", by_parts},     {"phc_capture_json", by_json},    {"text that is repaired", by_bad_text},
    {"phc_identify", by_identify}, {"phc_group_identify", by_group}, {"phc_capture_event", by_builder},
};
#define CALL_COUNT (sizeof CALLS / sizeof CALLS[0])

static void fill_value(void) { memset(value, 'v', sizeof value - 1); }

static int32_t replace_it(phc_outgoing *event, void *user_data) {
    (void)user_data;
    size_t length;
    const char *json = phc_outgoing_json(event, &length);
    phc_status status = phc_outgoing_replace(event, json, length);
    CHECK(status == PHC_OK || status == PHC_OUT_OF_RESOURCES);
    return PHC_BEFORE_SEND_KEEP;
}

/* The nth large allocation of the call fails, and perhaps all after it, for every n. */
static void each_allocation_of_a_capture(const char *kind, const char *test_mode, int with_before_send) {
    for (size_t i = 0; i < CALL_COUNT; i++) {
        int refusals = 0;
        for (int most = 1; most <= 1000; most += 999) {
            for (int n = 0, more = 1; more && n < 200; n++) {
                phc_client *client = make_client("max_batch_bytes", "65536", "max_event_bytes", "65536",
                                                 "test_mode", test_mode, NULL);
                if (with_before_send)
                    CHECK_EQ(phc_set_before_send_callback(client, replace_it, NULL, NULL), PHC_OK);
                /* What is made once, on this thread and in this client. */
                capture(client, "first");
                phc_event_free(phc_event_new("user", "event"));
                CHECK_EQ(phc_event_set_int(NULL, "k", 1), PHC_INVALID_ARGUMENT);
                fail_from(MAIN, LARGE, n, most);
                phc_status status = CALLS[i].call(client);
                fail_no_more();
                more = failed[MAIN] > 0;
                /* Without memory for what makes it faster a call may go on. */
                check_at(status == PHC_OK || (more && status == PHC_OUT_OF_RESOURCES), __FILE__, __LINE__,
                         "%s, %s: allocation %d failed: %s", kind, CALLS[i].name, n, phc_status_name(status));
                refusals += status == PHC_OUT_OF_RESOURCES;
                if (status == PHC_OUT_OF_RESOURCES) CHECK_HAS(phc_last_error(), "memory");
                CHECK_EQ(CALLS[i].call(client), PHC_OK);
                stats_of(client); /* which checks the sums */
                if (strcmp(test_mode, "true") != 0) CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
                CHECK_EQ(stats_of(client).lost, 0);
                finish(client);
            }
        }
        check_at(refusals > 0, __FILE__, __LINE__, "%s, %s: no allocation failed", kind, CALLS[i].name);
    }
}

static void a_capture_without_memory_is_refused_and_a_later_one_is_taken(void) {
    allow_seconds(120);
    fill_value();
    each_allocation_of_a_capture("sent", "false", 0);
    each_allocation_of_a_capture("test mode", "true", 0);
    each_allocation_of_a_capture("with before_send", "true", 1);
}

/* So many events wait that the queue must grow for each few of them. */
static void a_queue_that_cannot_grow_keeps_what_it_has(void) {
    fill_value();
    for (int n = 0; n < 40; n++) {
        phc_client *client = make_client("max_batch_bytes", "65536", NULL);
        capture(client, "first");
        unsigned long taken = 1, refused_captures = 0;
        for (int i = 0; i < 30; i++) {
            fail_from(MAIN, LARGE, n / 4, 1 + n % 4);
            phc_status status = by_parts(client);
            fail_no_more();
            CHECK(status == PHC_OK || status == PHC_OUT_OF_RESOURCES);
            taken += status == PHC_OK;
            refused_captures += status == PHC_OUT_OF_RESOURCES;
        }
        CHECK(n > 0 || refused_captures > 0);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.captured, taken);
        CHECK_EQ(stats.refused_by_status[PHC_OUT_OF_RESOURCES], refused_captures);
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
        CHECK_EQ(stats_of(client).delivered, taken);
        finish(client);
    }
}

/* Nothing that is as large as a batch can be allocated on the other threads: the compressed body,
 * the smaller body of a retry, the halves of a split. */
static void a_batch_needs_no_memory_to_be_sent(void) {
    const char *const scripts[] = {
        "{}",
        "{\"steps\":[{\"status\":503},{\"verdicts\":[\"ok\",\"retry\",\"ok\",\"retry\"]},{\"verdicts\":[\"retry\",\"ok\"]}]}",
        "{\"steps\":[{\"verdicts\":[\"retry\",\"ok\",\"ok\",\"retry\",\"ok\"]},{\"status\":503},{\"verdicts\":[\"ok\",\"retry\"]}]}",
        "{\"steps\":[{\"status\":413}]}",
    };
    fill_value();
    const char *const codecs[] = {"none", "zstd"};
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        for (int codec = 0; codec < 2; codec++) {
            for (int n = 0; n < 4; n++) {
                script(scripts[i]);
                phc_client *client = make_client("compression", codecs[codec], NULL);
                for (int each = 0; each < 5; each++) CHECK_EQ(by_parts(client), PHC_OK);
                /* The halves of a split wait for memory; what is left of a retry needs none. */
                int halves = i == 3;
                fail_from(OTHERS, 30000, n, halves ? 20 : 1000);
                CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
                CHECK(n > 0 || (i == 0 && codec == 0) || failed[OTHERS] > 0);
                fail_no_more();
                phc_stats stats = stats_of(client);
                CHECK_EQ(stats.delivered, 5);
                CHECK_EQ(stats.lost, 0);
                finish(client);
            }
        }
    }
    /* Of a batch of which some were evicted the others are sent. */
    script("{}");
    phc_client *client = make_client("overflow", "drop_oldest", "queue_max_events", "3", NULL);
    for (int each = 0; each < 5; each++) CHECK_EQ(by_parts(client), PHC_OK);
    fail_from(OTHERS, 30000, 0, 1000);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK(failed[OTHERS] > 0);
    fail_no_more();
    CHECK_EQ(stats_of(client).delivered, 3);
    finish(client);
}

/* What a bounded address space leaves, as under a batch system. Returns 0, or the line of a failed
 * check. */
#define NEED(condition)                                                                                      \
    if (!(condition)) return __LINE__ - first_line
static int captures_in_a_bounded_address_space(long extra) {
    const int first_line = __LINE__;
    phc_client *client = make_client_at("http://127.0.0.1:1", "queue_max_bytes", "67108864", NULL);
    capture(client, "first");
    usleep(100000);
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    NEED(file != NULL && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    const rlim_t bytes = (rlim_t)(pages * 4096 + extra);
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_AS, &limit);
    static char json[1200];
    snprintf(json, sizeof json, "{\"v\":\"%.1000s\"}", value);
    unsigned long taken = 1, refused_captures = 0;
    phc_status status = PHC_OK;
    for (int i = 0; i < 80000 && refused_captures < 1000; i++) {
        status = phc_capture(client, "user", "event", json);
        taken += status == PHC_OK;
        refused_captures += status == PHC_OUT_OF_RESOURCES;
        if (status != PHC_OK && status != PHC_OUT_OF_RESOURCES) break;
    }
    phc_stats stats = stats_of(client);
    NEED(stats.captured == taken);
    NEED(stats.refused_by_status[PHC_OUT_OF_RESOURCES] == refused_captures);
    NEED(refused_captures > 0);
    NEED(stats.captured == stats.delivered + stats.lost + stats.pending_events);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
    /* With memory it goes on. */
    NEED(phc_capture(client, "user", "event", json) == PHC_OK);
    NEED(phc_client_close(client, 0) == PHC_LOST_EVENTS);
    phc_client_free(client);
    return 0;
}

static void a_bounded_address_space_refuses_captures(void) {
    fill_value();
    for (long mib = 4; mib <= 32; mib *= 2) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            _exit(captures_in_a_bounded_address_space(mib << 20));
        }
        int status = 0;
        CHECK_EQ(waitpid(child, &status, 0), child);
        check_at(WIFEXITED(status) && WEXITSTATUS(status) == 0, __FILE__, __LINE__,
                 "with %ld MiB more the process ended with %#x", mib, (unsigned)status);
    }
}

/* What is left of an event, as it is sent. */
static const char *properties_of(phc_client *client, phc_event *event) {
    static char text[200000];
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    size_t size = phc_binding_next_test_event(client, text, sizeof text);
    CHECK(size > 0 && size < sizeof text);
    const char *properties = strstr(text, "\"properties\":");
    return properties == NULL ? text : properties;
}

/* The properties of many flags are set, or none of them. */
static void flags_are_set_on_an_event_whole_or_not_at_all(void) {
    enum { FLAGS = 500 };
    phc_client *client = make_client("test_mode", "true", NULL);
    static char json[FLAGS * 100];
    size_t at = (size_t)snprintf(json, sizeof json, "{\"flags\":[");
    for (int i = 0; i < FLAGS; i++)
        at += (size_t)snprintf(json + at, sizeof json - at,
                               "%s{\"key\":\"flag-%d\",\"active\":true,\"filters\":{\"groups\":[{}]}}",
                               i == 0 ? "" : ",", i);
    snprintf(json + at, sizeof json - at, "]}");
    CHECK_EQ(phc_flags_definitions_set(client, json, strlen(json)), PHC_OK);
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_OK);
    int refusals = 0;
    for (int most = 1; most <= 1000; most += 999) {
        for (int n = 0, more = 1; more && n < 200; n++) {
            /* An event that uses no memory again that is large enough. */
            phc_event *others[2];
            for (int i = 0; i < 2; i++) others[i] = phc_event_new("user", "event");
            phc_event *event = others[1];
            phc_event_free(others[0]);
            CHECK_EQ(phc_event_set_string(event, "$feature/flag-7", "before"), PHC_OK);
            fail_from(MAIN, LARGE, n, most);
            phc_status status = phc_event_set_flags(event, flags);
            fail_no_more();
            more = failed[MAIN] > 0;
            /* Without memory for what makes it faster the call may go on. */
            int is_refused = status != PHC_OK;
            check_at(!is_refused || (more && status == PHC_OUT_OF_RESOURCES), __FILE__, __LINE__,
                     "allocation %d failed: %s", n, phc_status_name(status));
            refusals += is_refused;
            if (is_refused) CHECK_HAS(phc_last_error(), "memory");
            const char *properties = properties_of(client, event);
            CHECK_EQ(strstr(properties, "\"before\"") != NULL, is_refused);
            CHECK_EQ(count(properties, "$feature/"), is_refused ? 1 : FLAGS);
            CHECK_EQ(count(properties, "$active_feature_flags"), is_refused ? 0 : 1);
        }
    }
    CHECK(refusals > 2);
    phc_flags_query_free(query);
    phc_flags_free(flags);
    finish(client);
}

/* A frame that must be repaired is copied for that. */
static void a_frame_without_memory_is_refused_as_that(void) {
    static char json[sizeof value + 100];
    fill_value();
    snprintf(json, sizeof json, "{\"platform\":\"ruby\",\"k\":\"%s\xff\"}", value);
    phc_exception *exception = phc_exception_new("type", "message");
    int refusals = 0;
    for (int n = 0, more = 1; more && n < 200; n++) {
        fail_from(MAIN, LARGE, n, 1);
        phc_status status = phc_exception_add_frame_json(exception, json, strlen(json));
        fail_no_more();
        more = failed[MAIN] > 0;
        check_at(status == (more ? PHC_OUT_OF_RESOURCES : PHC_OK), __FILE__, __LINE__,
                 "allocation %d failed: %s", n, phc_status_name(status));
        refusals += more;
    }
    CHECK(refusals > 0);
    phc_exception_free(exception);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_capture_without_memory_is_refused_and_a_later_one_is_taken),
        TEST(a_queue_that_cannot_grow_keeps_what_it_has),
        TEST(a_batch_needs_no_memory_to_be_sent),
        TEST(flags_are_set_on_an_event_whole_or_not_at_all),
        TEST(a_frame_without_memory_is_refused_as_that),
        TEST(a_bounded_address_space_refuses_captures),
    };
    return RUN_TESTS(tests);
}
