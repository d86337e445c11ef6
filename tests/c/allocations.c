/*
 * What captures that take no event leave in memory: nothing. A host that captures too much is
 * short of memory and time just then. Not for runs under tools that replace malloc themselves.
 */
#include "harness.h"

#include <phc_binding.h>
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
    int allocates; /* to encode the event, which comes before the queue */
} CALLS[] = {
    {"phc_capture", by_parts, 0},        {"phc_capture_get_uuid", by_parts_with_uuid, 0},
    {"phc_capture_json", by_json, 0},    {"phc_capture_event", by_builder, 0},
    {"phc_identify", by_identify, 1},    {"phc_alias", by_alias, 1},
    {"phc_group_identify", by_group, 1},
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
    int encodes; /* the event before it is refused */
} REFUSALS[] = {
    {"queue full", full_client, PHC_QUEUE_FULL, 1},
    {"queue full, test mode", full_client_in_test_mode, PHC_QUEUE_FULL, 1},
    {"closed", closed_client, PHC_CLOSED, 0},
    {"opted out", opted_out_client, PHC_OPTED_OUT, 0},
    {"disabled", disabled_client, PHC_DISABLED, 0},
    {"no client", no_client, PHC_INVALID_ARGUMENT, 0},
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
            /* The error's text names the argument. */
            if (client == NULL || (REFUSALS[row].encodes && CALLS[i].allocates)) continue;
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
        TEST(a_refused_capture_allocates_nothing),
        TEST(a_refused_capture_leaves_nothing_in_memory),
        TEST(a_built_event_is_consumed_whatever_is_returned),
        TEST(a_captured_event_is_consumed),
    };
    return RUN_TESTS(tests);
}
