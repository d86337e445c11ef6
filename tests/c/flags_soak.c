/*
 * Definitions of feature flags that change every second, for a long time: threads evaluate, poll, reload, ask the
 * server and fork meanwhile, and the server fails now and then. No snapshot mixes two versions of the definitions, no
 * thread sees an older version after a newer one, and memory stays what it was.
 *
 * PHC_FLAGS_SOAK_SECONDS (10) changes the run; `xtask flags-soak SECONDS` sets it.
 */
#include "harness.h"
#include "hostile.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVALUATORS = 3, FILTERED = 60, CHANGE_MS = 1000 };

static phc_client *client;
static int over;
/* The version that the server has, and counts of what was done. */
static int current, evaluations, from_server, reloads, failed_reloads, forks;

/* -- definitions -- */

/* A version is in the name of a variant, in its payload, and in which of two flags is on; between them are flags that
 * take a while to evaluate, of which a version has more or fewer than the one before. */
static char *definitions(int version) {
    enum { LONGEST = 60000 };
    char *text = malloc(LONGEST), *end = text;
#define APPEND(...) end += snprintf(end, (size_t)(text + LONGEST - end), __VA_ARGS__)
    APPEND("{\"flags\":[{\"id\":1,\"key\":\"version\",\"active\":true,\"filters\":{\"groups\":[{}],"
           "\"payloads\":{\"v%d\":\"%d\"},"
           "\"multivariate\":{\"variants\":[{\"key\":\"v%d\",\"rollout_percentage\":100}]}}},"
           "{\"id\":2,\"key\":\"even\",\"active\":%s,\"filters\":{\"groups\":[{}]}}",
           version, version, version, version % 2 == 0 ? "true" : "false");
    for (int i = 0; i < FILTERED + version % 7; i++)
        APPEND(
            ",{\"id\":%d,\"key\":\"filtered-%d\",\"active\":true,\"filters\":{\"groups\":[{\"properties\":["
            "{\"key\":\"id\",\"type\":\"cohort\",\"value\":%d},"
            "{\"key\":\"email\",\"type\":\"person\",\"operator\":\"regex\",\"value\":\"^.*@example\\\\.(com|org)$\"},"
            "{\"key\":\"age\",\"type\":\"person\",\"operator\":\"gte\",\"value\":%d}],\"rollout_percentage\":%d}]}}",
            10 + i, i, 1 + i % 3, i % 50, (version * 7 + i) % 101);
    APPEND(",{\"id\":3,\"key\":\"not-even\",\"active\":%s,\"filters\":{\"groups\":[{}]}},"
           "{\"id\":4,\"key\":\"static\",\"active\":true,\"filters\":{\"groups\":[{\"properties\":"
           "[{\"key\":\"id\",\"value\":9,\"type\":\"cohort\"}]}]}}],\"cohorts\":{",
           version % 2 == 1 ? "true" : "false");
    for (int i = 1; i <= 3; i++)
        APPEND(
            "%s\"%d\":{\"type\":\"AND\",\"values\":[{\"type\":\"OR\",\"values\":[{\"key\":\"plan\",\"type\":\"person\","
            "\"operator\":\"exact\",\"value\":[\"plan-%d\",\"plan-%d\"]}]}]}",
            i == 1 ? "" : ",", i, i, (version + i) % 5);
    APPEND("}}");
#undef APPEND
    CHECK(end - text < LONGEST - 1);
    return text;
}

/* The next version is on the server; in some seconds it does not give it. */
static void change(void) {
    const char *failures[] = {"\"status\":500", "\"status\":503", "\"body\":\"<html>\"",
                              "\"close\":\"mid_body\"", "\"delay_ms\":300"};
    char *text = definitions(current + 1);
    sink_post("_definitions", text);
    free(text);
    add_to(&current, 1);
    if (current % 4 == 0) {
        char steps[200];
        snprintf(steps, sizeof steps,
                 "{\"steps\":[{\"when\":{\"endpoint\":\"definitions\"},%s,\"times\":0}]}",
                 failures[current / 4 % 5]);
        script(steps);
    } else {
        respond_now();
    }
}

/* -- readers -- */

static phc_flags_query *query_of(unsigned person) {
    char id[40], plan[40], age[20];
    snprintf(id, sizeof id, "user-%u", person % 5000);
    snprintf(plan, sizeof plan, "\"plan-%u\"", person % 5);
    snprintf(age, sizeof age, "%u", person % 90);
    phc_flags_query *query = phc_flags_query_new(id);
    CHECK_EQ(phc_flags_query_set_person(query, "plan", plan), PHC_OK);
    CHECK_EQ(phc_flags_query_set_person(query, "email", "\"someone@example.org\""), PHC_OK);
    CHECK_EQ(phc_flags_query_set_person(query, "age", age), PHC_OK);
    return query;
}

/* The version of a snapshot, all of which is of that version. */
static int version_of(phc_flags *flags) {
    const char *variant = NULL;
    CHECK_EQ(phc_flags_get(flags, "version", &variant), PHC_FLAG_VARIANT);
    int version = variant == NULL ? -1 : atoi(variant + 1);
    const char *payload = phc_flags_payload(flags, "version", NULL);
    CHECK_EQ(payload == NULL ? -1 : atoi(payload), version);
    CHECK_EQ(phc_flags_enabled(flags, "even", 2), version % 2 == 0);
    CHECK_EQ(phc_flags_enabled(flags, "not-even", 2), version % 2 == 1);
    char key[40];
    snprintf(key, sizeof key, "filtered-%d", FILTERED + version % 7 - 1);
    CHECK(phc_flags_enabled(flags, key, 2) != 2);
    snprintf(key, sizeof key, "filtered-%d", FILTERED + version % 7);
    CHECK_EQ(phc_flags_enabled(flags, key, 2), 2);
    return version;
}

static int version_now(unsigned person) {
    phc_flags_query *query = query_of(person);
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_WOULD_WAIT); /* for "static" */
    phc_flags_query_free(query);
    int version = version_of(flags);
    phc_event *event = phc_event_new("user", "used");
    CHECK_EQ(phc_event_set_flags(event, flags), PHC_OK);
    phc_flags_free(flags);
    if (person % 16 == 0) CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    else phc_event_free(event);
    return version;
}

static int is_over(void) { return __atomic_load_n(&over, __ATOMIC_SEQ_CST); }

static void *evaluate(void *number) {
    int newest = 0;
    for (unsigned person = (unsigned)(size_t)number; !is_over(); person += EVALUATORS) {
        int limit = __atomic_load_n(&current, __ATOMIC_SEQ_CST) + 1;
        int version = version_now(person);
        CHECK(version >= newest && version <= limit);
        newest = version;
        add_to(&evaluations, 1);
        usleep(200);
    }
    return NULL;
}

static void *ask_the_server(void *unused) {
    (void)unused;
    for (unsigned person = 0; !is_over(); person++) {
        phc_flags_query *query = query_of(person);
        phc_flags *flags = NULL;
        phc_status status = phc_flags_evaluate(client, query, 5000, &flags);
        phc_flags_query_free(query);
        if (status == PHC_OK) {
            CHECK_EQ(phc_flags_enabled(flags, "static", 2), 1);
            add_to(&from_server, 1);
        }
        CHECK(version_of(flags) >= 1);
        phc_flags_free(flags);
        usleep(20000);
    }
    return NULL;
}

static void *reload(void *unused) {
    (void)unused;
    while (!is_over()) {
        int had = __atomic_load_n(&current, __ATOMIC_SEQ_CST);
        phc_status status = phc_flags_reload(client, 10000);
        if (status == PHC_OK) CHECK(version_now(0) >= had);
        else CHECK(status == PHC_UNAVAILABLE || status == PHC_TIMEOUT);
        add_to(status == PHC_OK ? &reloads : &failed_reloads, 1);
        usleep(70000);
    }
    return NULL;
}

/* A child has what its parent had, and fetches by itself. */
static int live_as_a_child(int inherited) {
    CHECK(version_now(1) >= inherited);
    phc_status status = phc_flags_reload(client, 10000);
    CHECK(status == PHC_OK || status == PHC_UNAVAILABLE || status == PHC_TIMEOUT);
    int version = version_now(2);
    CHECK(version >= inherited);
    phc_client_free(client);
    return failed_checks();
}

static void fork_a_child(void) {
    int inherited = version_now(0), before = failed_checks();
    pid_t pid = fork();
    if (pid == 0) _exit(live_as_a_child(inherited) > before);
    CHECK(pid > 0);
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    forks++;
}

static void definitions_that_change_every_second(void) {
    const char *wanted = getenv("PHC_FLAGS_SOAK_SECONDS");
    double seconds = wanted == NULL ? 10 : atof(wanted), start = now_ms(), changed = start, said = start;
    long early = 0;
    allow_seconds((unsigned)seconds + 120);
    sink_post("_flags", "{\"static\":true}");
    change();
    client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "100", "flush_interval_ms",
                         "1000", NULL);
    CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);

    pthread_t threads[EVALUATORS + 2];
    for (size_t i = 0; i < EVALUATORS; i++) pthread_create(&threads[i], NULL, evaluate, (void *)i);
    pthread_create(&threads[EVALUATORS], NULL, ask_the_server, NULL);
    pthread_create(&threads[EVALUATORS + 1], NULL, reload, NULL);
    while (now_ms() - start < seconds * 1000) {
        fork_a_child();
        free(reports_of(client));
        if (now_ms() - changed >= CHANGE_MS) {
            changed = now_ms();
            change();
            /* The sink keeps what it was sent. */
            if (current % 16 == 0) sink_post("_clear", "");
        }
        if (early == 0 && now_ms() - start > seconds * 500) early = resident_now();
        if (now_ms() - said > 60000) {
            said = now_ms();
            printf("    %.0f s: version %d, %d evaluations, %d children, %ld kB\n", (said - start) / 1000,
                   current, evaluations, forks, resident_now());
            fflush(stdout);
        }
        usleep(100000);
    }
    respond_now();
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    for (size_t i = 0; i < EVALUATORS + 2; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(phc_flags_reload(client, 20000), PHC_OK);
    CHECK_EQ(version_now(0), current);
    long late = resident_now();
    printf(
        "    %d versions, %d evaluations, %d responses of the server, %d reloads and %d that failed, %d children; "
        "%ld kB after a half, %ld kB at the end\n",
        current, evaluations, from_server, reloads, failed_reloads, forks, early, late);
    CHECK(from_server > 0 && reloads > 0 && forks > 0);
    /* In a short run, the events that were captured once for each person are still becoming more. */
    check_at(seconds < 60 || late - early < 4000, __FILE__, __LINE__, "memory grew by %ld kB", late - early);
    finish(client);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {TEST(definitions_that_change_every_second)};
    return RUN_TESTS(tests);
}
