/*
 * What captures that take no event leave in memory: nothing. A host that captures too much is
 * short of memory and time just then. Not for runs under tools that replace malloc themselves.
 */
#include "harness.h"

#include <phc_binding.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "count_malloc.c"

static phc_event *built;

static phc_status by_parts(phc_client *client) { return phc_capture(client, "user", "event", "{\"n\":1}"); }
static phc_status by_parts_with_uuid(phc_client *client) {
    char uuid[PHC_UUID_SIZE];
    return phc_capture_get_uuid(client, "user", "event", "{\"n\":1}", uuid);
}
static phc_status by_json(phc_client *client) {
    const char *json = "{\"event\":\"e\",\"distinct_id\":\"user\",\"properties\":{\"n\":1}}";
    return phc_capture_json(client, json, strlen(json), NULL);
}
static phc_status by_builder(phc_client *client) { return phc_capture_event(client, built, NULL); }
static phc_status by_identify(phc_client *client) {
    return phc_identify(client, "user", "{\"a\":1}", NULL, NULL);
}
static phc_status by_alias(phc_client *client) { return phc_alias(client, "user", "alias", NULL); }
static phc_status by_group(phc_client *client) {
    return phc_group_identify(client, "company", "acme", "{\"a\":1}", NULL, NULL);
}

typedef phc_status (*capture_call)(phc_client *client);
static const struct {
    const char *name;
    capture_call call;
} CALLS[] = {
    {"phc_capture", by_parts},        {"phc_capture_get_uuid", by_parts_with_uuid},
    {"phc_capture_json", by_json},    {"phc_capture_event", by_builder},
    {"phc_identify", by_identify},    {"phc_alias", by_alias},
    {"phc_group_identify", by_group},
};
#define CALL_COUNT (sizeof CALLS / sizeof CALLS[0])

/* Clients that take no event any more. */
static phc_client *full_client(void) {
    phc_client *client = make_client("queue_max_events", "1", NULL);
    capture(client, "first");
    return client;
}

static phc_client *full_client_in_test_mode(void) {
    phc_client *client = make_client("queue_max_events", "1", "test_mode", "true", NULL);
    capture(client, "first");
    return client;
}

static phc_client *closed_client(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
    return client;
}

static phc_client *opted_out_client(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_opt_out(client), PHC_OK);
    return client;
}

static phc_client *disabled_client(void) {
    phc_config *config = phc_config_new("");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    return client;
}

static phc_client *no_client(void) { return NULL; }

static const struct {
    const char *name;
    phc_client *(*make)(void);
    phc_status status;
} REFUSALS[] = {
    {"queue full", full_client, PHC_QUEUE_FULL},
    {"queue full, test mode", full_client_in_test_mode, PHC_QUEUE_FULL},
    {"closed", closed_client, PHC_CLOSED},
    {"opted out", opted_out_client, PHC_OPTED_OUT},
    {"disabled", disabled_client, PHC_DISABLED},
    {"no client", no_client, PHC_INVALID_ARGUMENT},
};
#define REFUSAL_COUNT (sizeof REFUSALS / sizeof REFUSALS[0])

/* One call; what it returned is the status of the row. The event is built before. */
static void refuse(size_t row, capture_call call, phc_client *client, long *allocations) {
    int builds = call == by_builder;
    if (builds) {
        built = phc_event_new("user", "event");
        phc_event_set_string(built, "k", "v");
    }
    long before = allocations_of_main;
    phc_status status = call(client);
    *allocations += allocations_of_main - before;
    check_at(status == REFUSALS[row].status, __FILE__, __LINE__, "%s: %s", REFUSALS[row].name,
             phc_status_name(status));
}

/* The same call many times; what it allocates and what it leaves. */
static void refuse_often(size_t row, size_t call, phc_client *client, long *allocations, long *blocks) {
    refuse(row, CALLS[call].call, client, allocations); /* what the first one needs is kept */
    *allocations = 0;
    *blocks = blocks_of_main;
    for (int n = 0; n < 100; n++) refuse(row, CALLS[call].call, client, allocations);
    *blocks = blocks_of_main - *blocks;
}

static void a_refused_capture_allocates_nothing(void) {
    /* They are counted; called like this, since the compiler knows what malloc does. */
    void *(*volatile allocate)(size_t) = malloc;
    long before = allocations_of_main;
    free(allocate(1));
    CHECK_EQ(allocations_of_main - before, 1);
    for (size_t row = 0; row < REFUSAL_COUNT; row++) {
        phc_client *client = REFUSALS[row].make();
        for (size_t i = 0; i < CALL_COUNT; i++) {
            long allocations = 0, blocks;
            refuse_often(row, i, client, &allocations, &blocks);
            check_at(allocations == 0, __FILE__, __LINE__, "%s: 100 refused calls of %s allocated %ld times",
                     REFUSALS[row].name, CALLS[i].name, allocations);
        }
        phc_client_free(client);
    }
}

static void a_refused_capture_leaves_nothing_in_memory(void) {
    /* phc_capture_event above all, which consumes its event in every case. */
    for (size_t row = 0; row < REFUSAL_COUNT; row++) {
        phc_client *client = REFUSALS[row].make();
        for (size_t i = 0; i < CALL_COUNT; i++) {
            long allocations = 0, blocks;
            refuse_often(row, i, client, &allocations, &blocks);
            check_at(blocks == 0, __FILE__, __LINE__, "%s: 100 refused calls of %s left %ld blocks",
                     REFUSALS[row].name, CALLS[i].name, blocks);
        }
        phc_client_free(client);
    }
}

/* An evaluation allocates its snapshot, and for several flags their list; reading it nothing. */
static void an_evaluation_allocates_its_snapshot_only(void) {
    phc_client *client = make_client(NULL, NULL);
    const char *filters = "\"filters\":{\"groups\":[{\"properties\":["
                          "{\"key\":\"a\",\"operator\":\"icontains\",\"value\":\"x\"},"
                          "{\"key\":\"a\",\"operator\":\"regex\",\"value\":\"^[a-z]+$\"},"
                          "{\"key\":\"v\",\"operator\":\"semver_gte\",\"value\":\"1.2.3\"},"
                          "{\"key\":\"a\",\"operator\":\"is_not\",\"value\":[\"p\",\"q\"]}],"
                          "\"rollout_percentage\":99.9}],\"multivariate\":{\"variants\":["
                          "{\"key\":\"one\",\"rollout_percentage\":100}]}}";
    char json[2000];
    snprintf(json, sizeof json,
             "{\"flags\":[{\"key\":\"a\",\"active\":true,%s},{\"key\":\"b\",\"active\":true,%s}]}", filters,
             filters);
    CHECK_EQ(phc_flags_definitions_set(client, json, strlen(json)), PHC_OK);
    for (int keys = 0; keys < 2; keys++) {
        phc_flags_query *query = phc_flags_query_new("user");
        phc_flags_query_set_person(query, "a", "\"xyz\"");
        phc_flags_query_set_person(query, "v", "\"1.3.0\"");
        if (keys == 1) phc_flags_query_add_key(query, "b");
        long allocations = 0, blocks = 0;
        for (int i = 0; i <= 100; i++) {
            /* What the first one needs is kept. */
            if (i == 1) allocations = allocations_of_main, blocks = blocks_of_main;
            phc_flags *flags = NULL;
            CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_OK);
            const char *variant = NULL;
            CHECK_EQ(phc_flags_get(flags, "b", &variant), PHC_FLAG_VARIANT);
            CHECK_EQ(phc_flags_enabled(flags, "b", 0), 1);
            phc_flags_free(flags);
        }
        long each = keys == 1 ? 1 : 2;
        CHECK_EQ(allocations_of_main - allocations, 100 * each);
        CHECK_EQ(blocks_of_main - blocks, 0);
        phc_flags_query_free(query);
    }
    finish(client);
}

/* Events that are refused for what they contain. The error's text names it, which takes memory
 * only for the first one on a thread. */
static char long_text[5000];
static phc_client *small_client;

#define BAD_PARTS(id, event, properties) return phc_capture(small_client, id, event, properties)
#define BAD_JSON(json) return phc_capture_json(small_client, json, strlen(json), NULL)
#define BAD_EVENT(...)                                                                                       \
    phc_event *event = phc_event_new("user", "event");                                                       \
    __VA_ARGS__;                                                                                             \
    return phc_capture_event(small_client, event, NULL)
/* The event is captured nevertheless. */
#define BAD_CALL(call)                                                                                       \
    phc_event *event = phc_event_new("user", "event");                                                       \
    phc_status status = call;                                                                                \
    phc_event_free(event);                                                                                   \
    return status

static phc_status no_id(void) { BAD_PARTS(NULL, "event", NULL); }
static phc_status empty_id(void) { BAD_PARTS("", "event", NULL); }
static phc_status long_id(void) { BAD_PARTS(long_text, "event", NULL); }
static phc_status escaped_id(void) { BAD_JSON("{\"event\":\"e\",\"distinct_id\":\"\\t\\u00a0\\u2003\"}"); }
static phc_status long_escaped_id(void) {
    static char json[500];
    int at = snprintf(json, sizeof json, "{\"event\":\"e\",\"distinct_id\":\"");
    for (int i = 0; i < 201; i++) at += snprintf(json + at, sizeof json - (size_t)at, "\\\"");
    snprintf(json + at, sizeof json - (size_t)at, "\"}");
    BAD_JSON(json);
}
static phc_status no_name(void) { BAD_PARTS("user", NULL, NULL); }
static phc_status empty_name(void) { BAD_PARTS("user", "", NULL); }
static phc_status long_name(void) { BAD_PARTS("user", long_text, NULL); }
static phc_status broken_properties(void) { BAD_PARTS("user", "event", "{\"a\":[1,}"); }
static phc_status array_of_properties(void) { BAD_PARTS("user", "event", "[1]"); }
static phc_status huge_number(void) { BAD_PARTS("user", "event", "{\"a\":1e999}"); }
static phc_status groups_not_an_object(void) { BAD_PARTS("user", "event", "{\"$groups\":1}"); }
static phc_status large_properties(void) {
    static char json[sizeof long_text + 10];
    snprintf(json, sizeof json, "{\"a\":\"%s\"}", long_text);
    BAD_PARTS("user", "event", json);
}
static phc_status large_with_an_option(void) {
    static char json[sizeof long_text + 50];
    snprintf(json, sizeof json, "{\"$process_person_profile\":\"TRUE\",\"a\":\"%s\"}", long_text);
    BAD_PARTS("user", "event", json);
}
static phc_status broken_json(void) { BAD_JSON("{\"event\":"); }
static phc_status no_event_in_json(void) { BAD_JSON("{\"distinct_id\":\"u\"}"); }
static phc_status number_as_name(void) { BAD_JSON("{\"distinct_id\":\"u\",\"event\":1}"); }
static phc_status bad_time_in_json(void) {
    BAD_JSON("{\"distinct_id\":\"u\",\"event\":\"e\",\"timestamp\":\"yesterday\"}");
}
static phc_status array_in_json(void) {
    BAD_JSON("{\"distinct_id\":\"u\",\"event\":\"e\",\"properties\":[]}");
}
static phc_status large_json(void) { BAD_JSON(long_text); }
static phc_status large_built(void) { BAD_EVENT(phc_event_set_string(event, "k", long_text)); }
static phc_status open_built(void) { BAD_EVENT(phc_event_begin_object(event, "k")); }
static phc_status two_open_built(void) {
    BAD_EVENT(phc_event_begin_object(event, "k"); phc_event_begin_object(event, "k"));
}
static phc_status set_nan(void) { BAD_CALL(phc_event_set_double(event, "k", 0.0 / 0.0)); }
static phc_status set_broken_json(void) { BAD_CALL(phc_event_set_json(event, "k", "[1,")); }
static phc_status set_without_key(void) { BAD_CALL(phc_event_set_int(event, NULL, 1)); }
static phc_status end_nothing(void) { BAD_CALL(phc_event_end(event)); }
static phc_status set_bad_time(void) { BAD_CALL(phc_event_set_timestamp(event, long_text)); }
static phc_status set_far_time(void) { BAD_CALL(phc_event_set_timestamp_ms(event, INT64_MAX)); }
static phc_status bad_identify(void) { return phc_identify(small_client, "user", "[]", NULL, NULL); }
static phc_status broken_identify(void) { return phc_identify(small_client, "user", "{}", "{", NULL); }
static phc_status large_identify(void) { return phc_identify(small_client, long_text, "{}", NULL, NULL); }
static phc_status empty_alias(void) { return phc_alias(small_client, "user", "", NULL); }
static phc_status large_alias(void) { return phc_alias(small_client, "user", long_text, NULL); }
static phc_status no_group(void) { return phc_group_identify(small_client, "t", "", NULL, NULL, NULL); }
static phc_status bad_group(void) {
    return phc_group_identify(small_client, "t", "k", "{\"a\":", NULL, NULL);
}
static phc_status long_group(void) {
    return phc_group_identify(small_client, "t", long_text, NULL, NULL, NULL);
}

static void an_event_that_is_refused_allocates_nothing(void) {
    const struct {
        const char *name;
        phc_status (*call)(void);
        phc_status status;
    } table[] = {
#define ROW(call, status) {#call, call, status}
        ROW(no_id, PHC_INVALID_ARGUMENT),
        ROW(empty_id, PHC_INVALID_DISTINCT_ID),
        ROW(long_id, PHC_INVALID_DISTINCT_ID),
        ROW(escaped_id, PHC_INVALID_DISTINCT_ID),
        ROW(long_escaped_id, PHC_INVALID_DISTINCT_ID),
        ROW(no_name, PHC_INVALID_ARGUMENT),
        ROW(empty_name, PHC_INVALID_EVENT),
        ROW(long_name, PHC_INVALID_EVENT),
        ROW(broken_properties, PHC_INVALID_JSON),
        ROW(array_of_properties, PHC_INVALID_PROPERTY),
        ROW(huge_number, PHC_INVALID_JSON),
        ROW(groups_not_an_object, PHC_INVALID_PROPERTY),
        ROW(large_properties, PHC_EVENT_TOO_LARGE),
        ROW(large_with_an_option, PHC_EVENT_TOO_LARGE),
        ROW(broken_json, PHC_INVALID_JSON),
        ROW(no_event_in_json, PHC_INVALID_EVENT),
        ROW(number_as_name, PHC_INVALID_EVENT),
        ROW(bad_time_in_json, PHC_INVALID_TIMESTAMP),
        ROW(array_in_json, PHC_INVALID_PROPERTY),
        ROW(large_json, PHC_EVENT_TOO_LARGE),
        ROW(large_built, PHC_EVENT_TOO_LARGE),
        ROW(open_built, PHC_INVALID_EVENT),
        ROW(two_open_built, PHC_INVALID_EVENT),
        ROW(set_nan, PHC_INVALID_PROPERTY),
        ROW(set_broken_json, PHC_INVALID_JSON),
        ROW(set_without_key, PHC_INVALID_ARGUMENT),
        ROW(end_nothing, PHC_INVALID_ARGUMENT),
        ROW(set_bad_time, PHC_INVALID_TIMESTAMP),
        ROW(set_far_time, PHC_INVALID_TIMESTAMP),
        ROW(bad_identify, PHC_INVALID_PROPERTY),
        ROW(broken_identify, PHC_INVALID_JSON),
        ROW(large_identify, PHC_INVALID_DISTINCT_ID),
        ROW(empty_alias, PHC_INVALID_ARGUMENT),
        ROW(large_alias, PHC_INVALID_ARGUMENT),
        ROW(no_group, PHC_INVALID_ARGUMENT),
        ROW(bad_group, PHC_INVALID_JSON),
        ROW(long_group, PHC_INVALID_DISTINCT_ID),
#undef ROW
    };
    memset(long_text, 'x', sizeof long_text - 1);
    small_client = make_client("max_event_bytes", "1024", NULL);
    phc_event_free(phc_event_new("user", "event")); /* its memory is kept */
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        table[row].call(); /* what the first one needs is kept */
        long built = 0, before = allocations_of_main, blocks = blocks_of_main;
        for (int n = 0; n < 100; n++) {
            phc_status status = table[row].call();
            check_at(status == table[row].status, __FILE__, __LINE__, "%s: %s", table[row].name,
                     phc_status_name(status));
        }
        long allocations = allocations_of_main - before;
        /* The handle of an event is not reused, so that tools see an event that is used after its end. */
        before = allocations_of_main;
        phc_event_free(phc_event_new("user", "event"));
        built = allocations_of_main - before;
        int builds = strstr(table[row].name, "built") || strncmp(table[row].name, "set_", 4) == 0 ||
                     table[row].call == end_nothing;
        check_at(allocations == (builds ? 100 * built : 0), __FILE__, __LINE__,
                 "%s: 100 calls allocated %ld times", table[row].name, allocations);
        check_at(blocks_of_main == blocks, __FILE__, __LINE__, "%s: 100 calls left %ld blocks",
                 table[row].name, blocks_of_main - blocks);
        CHECK(built <= 1);
    }
    finish(small_client);
}

/* Events that are built wrongly. */
static phc_status without_a_name(phc_client *client) {
    return phc_capture_event(client, phc_event_new("user", ""), NULL);
}
static phc_status without_a_distinct_id(phc_client *client) {
    return phc_capture_event(client, phc_event_new(NULL, "event"), NULL);
}
static phc_status too_large(phc_client *client) {
    static char text[2000];
    memset(text, 'x', sizeof text - 1);
    phc_event *event = phc_event_new("user", "event");
    phc_event_set_string(event, "k", text);
    return phc_capture_event(client, event, NULL);
}
static phc_status discarded(phc_client *client) {
    return phc_capture_event(client, phc_event_new("user", "discard"), NULL);
}
/* Captured again from inside before_send, which is refused. */
static phc_status nested(phc_client *client) {
    return phc_capture_event(client, phc_event_new("user", "nest"), NULL);
}

static int32_t discard_or_nest(phc_outgoing *event, void *client) {
    if (strstr(phc_outgoing_json(event, NULL), "\"nest\"") != NULL) {
        CHECK_EQ(phc_capture_event(client, phc_event_new("user", "inner"), NULL), PHC_REENTRANT);
    }
    return PHC_BEFORE_SEND_DISCARD;
}

static void a_built_event_is_consumed_whatever_is_returned(void) {
    const struct {
        capture_call call;
        phc_status status;
    } table[] = {
        {without_a_name, PHC_INVALID_EVENT}, {without_a_distinct_id, PHC_INVALID_DISTINCT_ID},
        {too_large, PHC_EVENT_TOO_LARGE},    {discarded, PHC_BEFORE_SEND},
        {nested, PHC_BEFORE_SEND},
    };
    phc_client *client = make_client("max_event_bytes", "1024", NULL);
    CHECK_EQ(phc_set_before_send_callback(client, discard_or_nest, client, NULL), PHC_OK);
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        CHECK_EQ(table[row].call(client), table[row].status);
        long before = blocks_of_main;
        for (int n = 0; n < 100; n++) CHECK_EQ(table[row].call(client), table[row].status);
        check_at(blocks_of_main == before, __FILE__, __LINE__, "row %zu left %ld blocks", row,
                 blocks_of_main - before);
    }
    CHECK_EQ(phc_capture_event(client, NULL, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_capture_event(NULL, NULL, NULL), PHC_INVALID_ARGUMENT);
    finish(client);
}

static void a_captured_event_is_consumed(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    char text[1024];
    for (int warm = 0; warm < 2; warm++) {
        long before = blocks_of_main;
        for (int n = 0; n < 100; n++) {
            CHECK_EQ(phc_capture_event(client, phc_event_new("user", "event"), NULL), PHC_OK);
            CHECK(phc_binding_next_test_event(client, text, sizeof text) > 0);
        }
        if (warm) CHECK_EQ(blocks_of_main, before);
    }
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_evaluation_allocates_its_snapshot_only),
        TEST(a_refused_capture_allocates_nothing),
        TEST(a_refused_capture_leaves_nothing_in_memory),
        TEST(an_event_that_is_refused_allocates_nothing),
        TEST(a_built_event_is_consumed_whatever_is_returned),
        TEST(a_captured_event_is_consumed),
    };
    return RUN_TESTS(tests);
}
