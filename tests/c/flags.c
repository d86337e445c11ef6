/* Feature flags through the C interface: definitions that the program sets, queries, snapshots. */
#include "harness.h"

#include <phc_binding.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL "{\"groups\":[{}]}"
#define NONE "{\"groups\":[]}"

static void define(phc_client *client, const char *json) {
    CHECK_EQ(phc_flags_definitions_set(client, json, strlen(json)), PHC_OK);
}

/* The snapshot of a query, which is freed. */
static phc_flags *evaluated(phc_client *client, phc_flags_query *query, phc_status expected) {
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), expected);
    CHECK(flags != NULL);
    phc_flags_query_free(query);
    return flags;
}

static phc_flag_detail detail_of(const phc_flags *flags, const char *key) {
    phc_flag_detail detail;
    memset(&detail, 0x55, sizeof detail);
    CHECK_EQ(phc_flags_detail(flags, key, &detail, sizeof detail), PHC_OK);
    return detail;
}

static const char *const SHOP =
    "{\"flags\":["
    "{\"id\":1,\"key\":\"on\",\"version\":3,\"active\":true,\"has_experiment\":true,"
    "\"filters\":{\"groups\":[{\"properties\":[{\"key\":\"plan\",\"value\":\"pro\",\"type\":\"person\"}]}],"
    "\"payloads\":{\"true\":\"{\\\"color\\\": \\\"blue\\\"}\"}}},"
    "{\"id\":2,\"key\":\"off\",\"active\":false},"
    "{\"id\":3,\"key\":\"checkout-layout\",\"active\":true,\"filters\":{\"groups\":[{}],\"payloads\":{\"compact\":\"7\"},"
    "\"multivariate\":{\"variants\":[{\"key\":\"control\",\"rollout_percentage\":50},"
    "{\"key\":\"compact\",\"rollout_percentage\":50}]}}},"
    "{\"id\":4,\"key\":\"org-dashboard\",\"active\":true,\"filters\":{\"aggregation_group_type_index\":0,"
    "\"groups\":[{\"properties\":[{\"key\":\"tier\",\"value\":5,\"operator\":\"gte\",\"type\":\"group\","
    "\"group_type_index\":0}],\"rollout_percentage\":60}]}},"
    "{\"id\":5,\"key\":\"device\",\"active\":true,\"bucketing_identifier\":\"device_id\",\"filters\":" ALL
    "},"
    "{\"id\":6,\"key\":\"static\",\"active\":true,\"filters\":{\"groups\":[{\"properties\":"
    "[{\"key\":\"id\",\"value\":9,\"type\":\"cohort\"}]}]}},"
    "{\"id\":7,\"key\":\"web\",\"active\":true,\"evaluation_contexts\":[\"web\"],\"filters\":" ALL "}"
    "],\"group_type_mapping\":{\"0\":\"company\"},\"cohorts\":{}}";

static void values_payloads_and_details(void) {
    phc_client *client = make_client(NULL, NULL);
    define(client, SHOP);
    CHECK_EQ(phc_flags_ready(client, 0), PHC_OK);
    phc_flags_query *query = phc_flags_query_new("user-61");
    CHECK_EQ(phc_flags_query_set_person(query, "plan", "\"PRO\""), PHC_OK);
    CHECK_EQ(phc_flags_query_set_group(query, "company", "org-9", "{\"tier\":5}"), PHC_OK);
    phc_flags *flags = evaluated(client, query, PHC_WOULD_WAIT);

    CHECK_EQ(phc_flags_count(flags), 7);
    CHECK_STR(phc_flags_key(flags, 0), "on");
    CHECK_STR(phc_flags_key(flags, 6), "web");
    CHECK(phc_flags_key(flags, 7) == NULL);
    CHECK_EQ(phc_flags_enabled(flags, "on", 0), 1);
    CHECK_EQ(phc_flags_enabled(flags, "off", 1), 0);
    CHECK_EQ(phc_flags_enabled(flags, "static", 0), 0);
    CHECK_EQ(phc_flags_enabled(flags, "static", 1), 1);
    CHECK_EQ(phc_flags_enabled(flags, "nothing", 42), 42);
    CHECK_EQ(phc_flags_enabled(flags, "org-dashboard", 0), 1);

    const char *variant = "not written";
    CHECK_EQ(phc_flags_get(flags, "on", &variant), PHC_FLAG_TRUE);
    CHECK(variant == NULL);
    CHECK_EQ(phc_flags_get(flags, "checkout-layout", &variant), PHC_FLAG_VARIANT);
    CHECK_STR(variant, "compact");
    CHECK_EQ(phc_flags_get(flags, "off", &variant), PHC_FLAG_FALSE);
    CHECK(variant == NULL);
    CHECK_EQ(phc_flags_get(flags, "device", NULL), PHC_FLAG_ABSENT);
    CHECK_EQ(phc_flags_get(flags, "nothing", NULL), PHC_FLAG_ABSENT);

    size_t len = 0;
    CHECK_STR(phc_flags_payload(flags, "on", &len), "{\"color\": \"blue\"}");
    CHECK_EQ(len, 17);
    CHECK_STR(phc_flags_payload(flags, "checkout-layout", NULL), "7");
    CHECK(phc_flags_payload(flags, "off", &len) == NULL);
    CHECK_EQ(len, 0);

    phc_flag_detail detail = detail_of(flags, "on");
    CHECK(detail.id == 1 && detail.version == 3 && detail.kind == PHC_FLAG_TRUE && detail.is_local == 1);
    CHECK(detail.reason == PHC_FLAG_CONDITION_MATCH && detail.condition_index == 0);
    CHECK(detail.has_experiment == 1 && detail.unresolved == PHC_FLAG_RESOLVED);
    detail = detail_of(flags, "off");
    CHECK(detail.kind == PHC_FLAG_FALSE && detail.reason == PHC_FLAG_DISABLED &&
          detail.condition_index == -1);
    CHECK(detail.version == 0 && detail.has_experiment == -1);
    detail = detail_of(flags, "static");
    CHECK(detail.kind == PHC_FLAG_ABSENT && detail.unresolved == PHC_FLAG_UNSUPPORTED_DEFINITION);
    CHECK(detail.is_local == 1 && detail.reason == PHC_FLAG_REASON_NONE);
    CHECK_EQ(detail_of(flags, "device").unresolved, PHC_FLAG_MISSING_CONTEXT);
    detail = detail_of(flags, "nothing");
    CHECK(detail.kind == PHC_FLAG_ABSENT && detail.is_local == 0 && detail.unresolved == PHC_FLAG_RESOLVED);
    /* A caller that knows less of the struct, or more. */
    struct {
        phc_flag_detail known;
        char more[8];
    } larger;
    memset(&larger, 0x55, sizeof larger);
    CHECK_EQ(phc_flags_detail(flags, "on", &larger.known, 8), PHC_OK);
    CHECK(larger.known.id == 1 && larger.known.version == 0x5555555555555555);
    CHECK_EQ(phc_flags_detail(flags, "on", &larger.known, sizeof larger), PHC_OK);
    CHECK(larger.known.version == 3 && larger.more[0] == 0 && larger.more[7] == 0);

    CHECK_STR(phc_flag_reason_name(PHC_FLAG_CONDITION_MATCH), "condition_match");
    CHECK_STR(phc_flag_reason_name(PHC_FLAG_REASON_NONE), "");
    CHECK_STR(phc_flag_reason_name(-1), "unknown");
    CHECK_STR(phc_flag_reason_name(99), "unknown");
    CHECK_STR(phc_flag_unresolved_name(PHC_FLAG_MISSING_CONTEXT), "missing_context");
    CHECK_STR(phc_flag_unresolved_name(PHC_FLAG_RESOLVED), "");
    CHECK_STR(phc_flag_unresolved_name(-1), "unknown");
    CHECK_STR(phc_flag_unresolved_name(99), "unknown");
    CHECK_STR(phc_flags_error(flags), "local_evaluation_inconclusive");

    char json[4096], small[10];
    size_t whole = phc_flags_json(flags, json, sizeof json);
    CHECK_EQ(whole, strlen(json));
    CHECK_HAS(json, "\"unresolved\":{\"device\":\"missing_context\",\"static\":\"unsupported_definition\"}");
    CHECK_HAS(json,
              "\"checkout-layout\":{\"key\":\"checkout-layout\",\"enabled\":true,\"variant\":\"compact\"");
    CHECK_EQ(phc_flags_json(flags, small, sizeof small), whole);
    CHECK_STR(small, "{\"flags\":");
    phc_flags_free(flags);
    CHECK_EQ(summary("requests"), 0);
    finish(client);
}

static void the_contexts_of_a_client_are_for_queries_without_any(void) {
    phc_client *client = make_client("evaluation_contexts", " mobile , docs", NULL);
    define(client, SHOP);
    phc_flags_query *query = phc_flags_query_new("user-17");
    for (size_t expected = 6; expected <= 7; expected++) {
        phc_flags *here = NULL, *asked = NULL;
        CHECK_EQ(phc_flags_evaluate(client, query, 0, &here), PHC_WOULD_WAIT);
        CHECK_EQ(phc_flags_count(here), expected);
        CHECK_EQ(phc_flags_enabled(here, "web", 7), expected == 6 ? 7 : 1);
        CHECK_EQ(phc_flags_evaluate(client, query, 10000, &asked), PHC_OK);
        phc_flags_free(here);
        phc_flags_free(asked);
        CHECK_EQ(phc_flags_query_add_context(query, "web"), PHC_OK);
    }
    phc_flags_query_free(query);
    char *sent = sink_get("_flags");
    CHECK_EQ(count(sent, "\"evaluation_contexts\":[\"mobile\",\"docs\"]"), 1);
    CHECK_EQ(count(sent, "\"evaluation_contexts\":[\"web\"]"), 1);
    free(sent);
    finish(client);
}

static void what_a_query_says_is_what_is_evaluated(void) {
    phc_client *client = make_client(NULL, NULL);
    define(client, SHOP);
    phc_flags_query *query = phc_flags_query_new("user-17");
    const char *properties = "{\"plan\":\"free\",\"$device_id\":\"d\"}";
    CHECK_EQ(phc_flags_query_set_person_json(query, properties, strlen(properties)), PHC_OK);
    const char *keys[] = {"checkout-layout", "on", "device", "org-dashboard"};
    for (int i = 0; i < 4; i++) CHECK_EQ(phc_flags_query_add_key(query, keys[i]), PHC_OK);
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_OK);
    CHECK_EQ(phc_flags_count(flags), 4);
    CHECK_STR(phc_flags_error(flags), "");
    const char *variant = NULL;
    phc_flags_get(flags, "checkout-layout", &variant);
    CHECK_STR(variant, "control");
    CHECK_EQ(phc_flags_enabled(flags, "on", 1), 0);
    CHECK_EQ(phc_flags_enabled(flags, "device", 0), 1);
    CHECK_EQ(detail_of(flags, "org-dashboard").reason, PHC_FLAG_NO_GROUP_TYPE);
    CHECK_EQ(phc_flags_enabled(flags, "web", 7), 7);

    /* A query can be changed and evaluated again. */
    phc_flags *later = NULL;
    CHECK_EQ(phc_flags_query_set_person(query, "plan", "\"pro\""), PHC_OK);
    CHECK_EQ(phc_flags_query_set_device_id(query, "another"), PHC_OK);
    CHECK_EQ(phc_flags_query_add_context(query, "app"), PHC_OK);
    CHECK_EQ(phc_flags_query_add_key(query, "web"), PHC_OK);
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &later), PHC_OK);
    CHECK_EQ(phc_flags_count(later), 4); /* web is for another context */
    CHECK_EQ(phc_flags_enabled(later, "on", 0), 1);
    CHECK_EQ(phc_flags_enabled(flags, "on", 1), 0);
    phc_flags_free(later);
    CHECK_EQ(phc_flags_query_add_key(query, "nothing"), PHC_OK);
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &later), PHC_WOULD_WAIT);
    CHECK_STR(phc_flags_error(later), "flag_missing");
    phc_flags_free(later);
    phc_flags_query_free(query);
    phc_flags_free(flags);

    CHECK_EQ(phc_flag_enabled(client, "device", "user", 5), 5);
    CHECK_EQ(phc_flag_enabled(client, "checkout-layout", "user-17", 0), 1);
    CHECK_EQ(phc_flag_enabled(client, "off", "user-17", 1), 0);
    CHECK_EQ(phc_flag_enabled(client, "nothing", "user-17", -3), -3);
    finish(client);
}

static void copies_have_some_of_the_flags(void) {
    phc_client *client = make_client(NULL, NULL);
    define(client, SHOP);
    phc_flags *flags = evaluated(client, phc_flags_query_new("user"), PHC_WOULD_WAIT);
    phc_flags *none = phc_flags_only_accessed(flags);
    CHECK_EQ(phc_flags_count(none), 0);
    phc_flags_free(none);
    phc_flags_enabled(flags, "off", 0);
    phc_flags_payload(flags, "checkout-layout", NULL);
    detail_of(flags, "checkout-layout");
    /* A binding looks at values without a read. */
    const char *variant = NULL;
    CHECK_EQ(phc_binding_flags_peek(flags, "checkout-layout", &variant), PHC_FLAG_VARIANT);
    CHECK(variant != NULL && (strcmp(variant, "control") == 0 || strcmp(variant, "compact") == 0));
    CHECK_EQ(phc_binding_flags_peek(flags, "web", &variant), PHC_FLAG_TRUE);
    CHECK(variant == NULL);
    CHECK_EQ(phc_binding_flags_peek(flags, "static", NULL), PHC_FLAG_ABSENT);
    phc_flags_get(flags, "web", NULL);
    phc_flags *read = phc_flags_only_accessed(flags);
    CHECK_EQ(phc_flags_count(read), 2);
    CHECK_STR(phc_flags_key(read, 0), "off");
    CHECK_STR(phc_flags_key(read, 1), "web");
    const char *keys[] = {"web", "nothing", "checkout-layout"};
    phc_flags *some = phc_flags_only(flags, keys, 3);
    CHECK_EQ(phc_flags_count(some), 2);
    CHECK_EQ(phc_flags_get(some, "off", NULL), PHC_FLAG_ABSENT);
    phc_flags_free(flags);
    /* The copies do not need the original. */
    CHECK_EQ(phc_flags_get(some, "web", NULL), PHC_FLAG_TRUE);
    CHECK_EQ(phc_flags_get(read, "off", NULL), PHC_FLAG_FALSE);
    phc_flags_free(some);
    phc_flags_free(read);
    finish(client);
}

static void without_definitions_no_flag_has_a_value(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_flags_ready(client, 0), PHC_WOULD_WAIT);
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 1), 1);
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 0);
    phc_flags *flags = evaluated(client, phc_flags_query_new("user"), PHC_WOULD_WAIT);
    CHECK_EQ(phc_flags_count(flags), 0);
    CHECK_STR(phc_flags_error(flags), "");
    char json[100];
    phc_flags_json(flags, json, sizeof json);
    CHECK_STR(json, "{\"flags\":{},\"unresolved\":{},\"error\":\"\"}");
    phc_flags_free(flags);

    /* What is refused changes nothing. */
    const char *broken[] = {"", "{\"flags\":[}", "[]", "{\"flags\":{}}", "{\"flags\":[]} x"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        CHECK_EQ(phc_flags_definitions_set(client, broken[i], strlen(broken[i])), PHC_INVALID_JSON);
        CHECK_HAS(phc_last_error(), "definitions");
    }
    CHECK_EQ(phc_flags_ready(client, 0), PHC_WOULD_WAIT);
    define(client, SHOP);
    CHECK_EQ(phc_flags_definitions_set(client, "{}", 2), PHC_INVALID_JSON);
    CHECK_EQ(phc_flag_enabled(client, "checkout-layout", "user", 0), 1);
    define(client, "{\"flags\":[]}");
    CHECK_EQ(phc_flags_ready(client, 0), PHC_OK);
    CHECK_EQ(phc_flag_enabled(client, "checkout-layout", "user", 0), 0);
    finish(client);
}

static void evaluation_needs_neither_a_key_nor_an_open_client(void) {
    phc_config *config = phc_config_new("");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    define(client, SHOP);
    CHECK_EQ(phc_flag_enabled(client, "checkout-layout", "user", 0), 1);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(phc_flag_enabled(client, "checkout-layout", "user", 0), 1);
    define(client, SHOP);
    phc_flags *flags = evaluated(client, phc_flags_query_new("user-61"), PHC_WOULD_WAIT);
    phc_client_free(client);
    const char *variant = NULL;
    CHECK_EQ(phc_flags_get(flags, "checkout-layout", &variant), PHC_FLAG_VARIANT);
    CHECK_STR(variant, "compact");
    phc_flags_free(flags);
}

static void an_event_can_have_the_flags(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    define(client, SHOP);
    phc_flags_query *query = phc_flags_query_new("user-61");
    for (int i = 0; i < 3; i++) {
        const char *keys[] = {"checkout-layout", "off", "static"};
        phc_flags_query_add_key(query, keys[i]);
    }
    phc_flags *flags = evaluated(client, query, PHC_WOULD_WAIT);
    phc_event *event = phc_event_new("user-61", "bought");
    CHECK_EQ(phc_event_begin_array(event, "list"), PHC_OK);
    CHECK_EQ(phc_event_set_flags(event, flags), PHC_INVALID_EVENT);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_event_set_flags(event, flags), PHC_OK);
    CHECK_EQ(phc_event_set_string(event, "$feature/off", "my own"), PHC_OK);
    phc_flags_free(flags);
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    char json[4096];
    CHECK(phc_binding_next_test_event(client, json, sizeof json) < sizeof json);
    CHECK_HAS(json, "\"$feature/checkout-layout\":\"compact\"");
    CHECK_HAS(json, "\"$feature/off\":\"my own\"");
    CHECK_HAS(json, "\"$active_feature_flags\":[\"checkout-layout\"]");
    CHECK_EQ(count(json, "$feature/"), 2);
    finish(client);
}

/* Definitions in which both flags have the same value. */
static const char *const BOTH[2] = {
    "{\"flags\":[{\"key\":\"a\",\"active\":true,\"filters\":" NONE
    "},{\"key\":\"b\",\"active\":true,\"filters\":{"
    "\"groups\":[{\"properties\":[{\"key\":\"k\",\"operator\":\"regex\",\"value\":\"^(?i)N$\"}]}]}}]}",
    "{\"flags\":[{\"key\":\"a\",\"active\":true,\"filters\":" ALL
    "},{\"key\":\"b\",\"active\":true,\"filters\":{"
    "\"groups\":[{\"properties\":[{\"key\":\"k\",\"operator\":\"regex\",\"value\":\"^(?i)Y$\"}]}]}}]}",
};

typedef struct {
    phc_client *client;
    int stop, evaluated;
} reload;

static void *evaluate_until_stopped(void *argument) {
    reload *at = argument;
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags_query_set_person(query, "k", "\"y\"");
    while (!__atomic_load_n(&at->stop, __ATOMIC_ACQUIRE)) {
        phc_flags *flags = NULL;
        CHECK_EQ(phc_flags_evaluate(at->client, query, 0, &flags), PHC_OK);
        int a = phc_flags_enabled(flags, "a", 2), b = phc_flags_enabled(flags, "b", 2);
        if (a != b || a == 2) CHECK_EQ(a, b);
        phc_flags_free(flags);
        add_to(&at->evaluated, 1);
    }
    phc_flags_query_free(query);
    return NULL;
}

static void evaluations_see_old_or_new_definitions_and_never_both(void) {
    reload at = {make_client(NULL, NULL), 0, 0};
    define(at.client, BOTH[0]);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, evaluate_until_stopped, &at);
    for (int i = 1; i <= 300; i++) define(at.client, BOTH[i % 2]);
    int done = __atomic_load_n(&at.evaluated, __ATOMIC_ACQUIRE);
    CHECK(reaches(&at.evaluated, done + 10) >= done + 10);
    __atomic_store_n(&at.stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    finish(at.client);
}

static void *replace_until_stopped(void *argument) {
    reload *at = argument;
    for (int i = 0; !__atomic_load_n(&at->stop, __ATOMIC_ACQUIRE); i++) define(at->client, BOTH[i % 2]);
    return NULL;
}

/* In a child: what it inherited, and definitions of its own. Nothing here may wait for a thread of the parent. */
static int child(phc_client *client, phc_flags *inherited) {
    alarm(20);
    if (phc_flags_enabled(inherited, "a", 2) != phc_flags_enabled(inherited, "b", 2)) return 1;
    phc_flags_free(inherited);
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags_query_set_person(query, "k", "\"y\"");
    for (int i = 0; i < 4; i++) {
        phc_flags *flags = NULL;
        if (phc_flags_evaluate(client, query, 0, &flags) != PHC_OK) return 2;
        int a = phc_flags_enabled(flags, "a", 2), b = phc_flags_enabled(flags, "b", 2);
        if (a != b || a == 2 || (i > 0 && a != i % 2)) return 3;
        phc_flags_free(flags);
        const char *next = BOTH[(i + 1) % 2];
        if (phc_flags_definitions_set(client, next, strlen(next)) != PHC_OK) return 4;
    }
    phc_flags_query_free(query);
    phc_client_free(client);
    return 0;
}

static void a_child_goes_on_with_what_it_inherited(void) {
    reload at = {make_client(NULL, NULL), 0, 0};
    define(at.client, BOTH[1]);
    pthread_t evaluating[2], replacing;
    for (int i = 0; i < 2; i++) pthread_create(&evaluating[i], NULL, evaluate_until_stopped, &at);
    pthread_create(&replacing, NULL, replace_until_stopped, &at);
    for (int i = 0; i < 40; i++) {
        int done = __atomic_load_n(&at.evaluated, __ATOMIC_ACQUIRE);
        reaches(&at.evaluated, done + 1);
        phc_flags_query *query = phc_flags_query_new("user");
        phc_flags_query_set_person(query, "k", "\"y\"");
        phc_flags *flags = evaluated(at.client, query, PHC_OK);
        pid_t pid = fork();
        if (pid == 0) _exit(child(at.client, flags));
        int status = -1;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        phc_flags_free(flags);
    }
    __atomic_store_n(&at.stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) pthread_join(evaluating[i], NULL);
    pthread_join(replacing, NULL);
    finish(at.client);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(values_payloads_and_details),
        TEST(what_a_query_says_is_what_is_evaluated),
        TEST(the_contexts_of_a_client_are_for_queries_without_any),
        TEST(copies_have_some_of_the_flags),
        TEST(without_definitions_no_flag_has_a_value),
        TEST(evaluation_needs_neither_a_key_nor_an_open_client),
        TEST(an_event_can_have_the_flags),
        TEST(evaluations_see_old_or_new_definitions_and_never_both),
        TEST(a_child_goes_on_with_what_it_inherited),
    };
    return RUN_TESTS(tests);
}
