/*
 * From where each function may be called: every row of the table that the library's guard checks
 * (call_rules.h is generated from it) is called in each context, with valid arguments, and must
 * be refused exactly where the table says, and work elsewhere.
 *
 * A row without a caller in callers.h does not compile, and neither does a caller without a row.
 */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "callers.h"

static const struct rule {
    const char *name;
    outcome (*call)(const place *at);
    int in_before_send, in_callback;
} RULES[] = {
#define RULE(function, in_before_send, in_callback) {#function, call_##function, in_before_send, in_callback},
#include "call_rules.h"
#undef RULE
};
#define RULE_COUNT (sizeof RULES / sizeof RULES[0])

enum { OUTSIDE, IN_BEFORE_SEND, IN_CALLBACK };

static void walk(const char *name, int context, const place *at) {
    for (size_t i = 0; i < RULE_COUNT; i++) {
        const struct rule *rule = &RULES[i];
        int allowed = context == OUTSIDE          ? 1
                      : context == IN_BEFORE_SEND ? rule->in_before_send
                                                  : rule->in_callback;
        CHECK_EQ(phc_config_set(NULL, "flush_at", "1"), PHC_INVALID_ARGUMENT); /* "config is NULL" */
        outcome result = rule->call(at);
        check_at(result == (allowed ? WORKED : REFUSED), __FILE__, __LINE__,
                 "%s, %s: %s, the last error is %s", name, rule->name,
                 result == WORKED    ? "worked"
                 : result == REFUSED ? "was refused"
                                     : "failed",
                 phc_last_error());
        if (result != REFUSED) continue;
        char expected[128];
        snprintf(expected, sizeof expected, "%s cannot be called from inside %s;", rule->name,
                 context == IN_BEFORE_SEND ? "before_send" : "a callback");
        CHECK_HAS(phc_last_error(), expected);
    }
}

/* Prepares what the calls need. The polled reports are of `other`. */
static place prepare(phc_client *client) {
    place at = {.client = client};
    at.other = make_client(NULL, NULL);
    at.tested = make_client("test_mode", "true", NULL);
    capture(at.tested, "tested");
    at.spooling = make_client("spool_dir", has_spool() ? new_folder() : "", NULL);
    capture(at.spooling, "spooled");
    for (int i = 0; i < 2; i++) {
        capture(at.other, "polled");
        CHECK_EQ(phc_flush(at.other, 20000, NULL, 0), PHC_OK);
    }
    at.to_free = phc_poll(at.other, 0);
    at.report = phc_poll(at.other, 0);
    CHECK(at.to_free != NULL && at.report != NULL);
    CHECK_EQ(phc_flush_begin(at.other, &at.flush), PHC_OK);
    return at;
}

static void clean_up(place *at, const phc_report *polled) {
    phc_report_free((phc_report *)(uintptr_t)polled);
    CHECK_EQ(phc_flush(at->other, 20000, NULL, 0), PHC_OK);
    /* A refused call has changed nothing: it is not even counted. */
    phc_stats stats = stats_of(at->other);
    CHECK_EQ(stats.refused, 0);
    finish(at->other);
    finish(at->tested);
    finish(at->spooling);
}

static void each_function_works_outside_of_callbacks(void) {
    phc_client *client = make_client(NULL, NULL);
    place at = prepare(client);
    walk("outside", OUTSIDE, &at);
    clean_up(&at, at.report);
    finish(client);
}

typedef struct {
    const char *name;
    place at;
    int walked;
} visit;

/* Only the first call of the callback walks. */
static void walk_once(visit *own, int context) {
    if (__atomic_load_n(&own->walked, __ATOMIC_SEQ_CST)) return;
    walk(own->name, context, &own->at);
    add_to(&own->walked, 1);
}

static int32_t walk_in_before_send(phc_outgoing *event, void *user_data) {
    ((visit *)user_data)->at.outgoing = event;
    walk_once(user_data, IN_BEFORE_SEND);
    return PHC_BEFORE_SEND_KEEP;
}

static void walk_in_report_callback(const phc_report *report, void *user_data) {
    ((visit *)user_data)->at.report = report;
    walk_once(user_data, IN_CALLBACK);
}

static void walk_in_log_callback(phc_log_level level, const char *message, void *user_data) {
    (void)level, (void)message;
    walk_once(user_data, IN_CALLBACK);
}

static phc_status set_error(phc_client *client, visit *own) {
    return phc_set_error_callback(client, walk_in_report_callback, own, NULL);
}
static phc_status set_delivery(phc_client *client, visit *own) {
    return phc_set_delivery_callback(client, walk_in_report_callback, own, NULL);
}
static phc_status set_log(phc_client *client, visit *own) {
    return phc_set_log_callback(client, walk_in_log_callback, own, NULL);
}
static phc_status set_before_send(phc_client *client, visit *own) {
    return phc_set_before_send_callback(client, walk_in_before_send, own, NULL);
}

static void walk_inside(const char *name, phc_status (*set)(phc_client *client, visit *own)) {
    script("{\"then\":{\"verdicts\":{\"lost\":\"drop\",\"*\":\"ok\"}}}");
    phc_client *client = make_client("flush_at", "1", "log_level", "debug", NULL);
    visit own = {.name = name, .at = prepare(client)};
    const phc_report *polled = own.at.report;
    CHECK_EQ(set(client, &own), PHC_OK);
    capture(client, "delivered");
    capture(client, "lost");
    CHECK_EQ(reaches(&own.walked, 1), 1);
    phc_flush(client, 20000, NULL, 0);
    CHECK_EQ(stats_of(client).lost, 1);
    finish(client);
    clean_up(&own.at, polled);
}

static void each_function_keeps_its_rule_in_before_send(void) { walk_inside("before_send", set_before_send); }
static void each_function_keeps_its_rule_in_the_error_callback(void) { walk_inside("error", set_error); }
static void each_function_keeps_its_rule_in_the_delivery_callback(void) {
    walk_inside("delivery", set_delivery);
}
static void each_function_keeps_its_rule_in_the_log_callback(void) { walk_inside("log", set_log); }

/* A capture inside a callback may have a before_send of its own: after it, the rules are those
 * of the callback again. */
static phc_client *nested;
static int inner, outer;

static int32_t inner_before_send(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    CHECK_EQ(phc_capture(nested, "user", "inner", NULL), PHC_REENTRANT);
    CHECK_HAS(phc_last_error(), "phc_capture cannot be called from inside before_send");
    add_to(&inner, 1);
    return PHC_BEFORE_SEND_KEEP;
}

static void outer_callback(const phc_report *report, void *user_data) {
    (void)report, (void)user_data;
    add_to(&outer, 1);
    if (outer > 1) return;
    CHECK_EQ(phc_capture(nested, "user", "outer", NULL), PHC_OK);
    CHECK_EQ(phc_flush(nested, 0, NULL, 0), PHC_REENTRANT);
    CHECK_HAS(phc_last_error(), "phc_flush cannot be called from inside a callback");
    CHECK_EQ(phc_capture(nested, "user", "outer", NULL), PHC_OK);
}

static void a_callback_within_a_callback_ends_before_it(void) {
    nested = make_client("flush_at", "1", NULL);
    inner = outer = 0;
    CHECK_EQ(phc_set_before_send_callback(nested, inner_before_send, NULL, NULL), PHC_OK);
    CHECK_EQ(phc_set_delivery_callback(nested, outer_callback, NULL, NULL), PHC_OK);
    capture(nested, "first");
    CHECK_EQ(phc_flush(nested, 20000, NULL, 0), PHC_OK);
    CHECK(reaches(&outer, 2) >= 2);
    CHECK_EQ(phc_flush(nested, 20000, NULL, 0), PHC_OK);
    finish(nested);
    CHECK_EQ(inner, 3);
    CHECK_EQ(summary("accepted"), 3);
}

/* The library exports what has a rule, and nothing else. */
static void the_rules_are_those_of_the_exported_functions(void) {
    char path[512];
    snprintf(path, sizeof path, "%.*sabi/symbols.txt", (int)(sizeof __FILE__ - sizeof "tests/c/reentrancy.c"),
             __FILE__);
    FILE *file = fopen(path, "r");
    check_at(file != NULL, __FILE__, __LINE__, "%s cannot be opened", path);
    if (file == NULL) return;
    char line[128];
    int seen[RULE_COUNT] = {0};
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        size_t i = 0;
        while (i < RULE_COUNT && strcmp(RULES[i].name, line) != 0) i++;
        check_at(i < RULE_COUNT, __FILE__, __LINE__, "%s is exported and has no rule", line);
        if (i < RULE_COUNT) seen[i]++;
    }
    fclose(file);
    for (size_t i = 0; i < RULE_COUNT; i++) {
        check_at(seen[i] == 1, __FILE__, __LINE__, "%s has a rule and stands %d times in %s", RULES[i].name,
                 seen[i], path);
    }
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(the_rules_are_those_of_the_exported_functions),
        TEST(each_function_works_outside_of_callbacks),
        TEST(each_function_keeps_its_rule_in_before_send),
        TEST(each_function_keeps_its_rule_in_the_error_callback),
        TEST(each_function_keeps_its_rule_in_the_delivery_callback),
        TEST(each_function_keeps_its_rule_in_the_log_callback),
        TEST(a_callback_within_a_callback_ends_before_it),
    };
    return RUN_TESTS(tests);
}
