/* The uuids that captures return. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static phc_status by_parts(phc_client *client, char *uuid) {
    return phc_capture_get_uuid(client, "user", "by parts", "{\"n\":1}", uuid);
}
static phc_status by_json(phc_client *client, char *uuid) {
    const char *json = "{\"event\":\"by json\",\"distinct_id\":\"user\"}";
    return phc_capture_json(client, json, strlen(json), uuid);
}
static phc_status by_builder(phc_client *client, char *uuid) {
    return phc_capture_event(client, phc_event_new("user", "by builder"), uuid);
}
static phc_status by_identify(phc_client *client, char *uuid) {
    return phc_identify(client, "user", "{\"plan\":\"pro\"}", NULL, uuid);
}
static phc_status by_alias(phc_client *client, char *uuid) {
    return phc_alias(client, "user", "alias", uuid);
}
static phc_status by_group(phc_client *client, char *uuid) {
    return phc_group_identify(client, "company", "acme", "{\"size\":7}", NULL, uuid);
}

static const struct {
    const char *event;
    phc_status (*call)(phc_client *client, char *uuid);
} CAPTURES[] = {
    {"by parts", by_parts},     {"by json", by_json},        {"by builder", by_builder},
    {"$identify", by_identify}, {"$create_alias", by_alias}, {"$groupidentify", by_group},
};
#define CAPTURE_COUNT (sizeof CAPTURES / sizeof CAPTURES[0])

static void each_capture_returns_the_uuid_that_is_sent(void) {
    phc_client *client = make_client(NULL, NULL);
    char uuids[CAPTURE_COUNT][PHC_UUID_SIZE + 1];
    for (size_t i = 0; i < CAPTURE_COUNT; i++) {
        memset(uuids[i], '#', sizeof uuids[i]);
        CHECK_EQ(CAPTURES[i].call(client, uuids[i]), PHC_OK);
        CHECK_EQ(strlen(uuids[i]), 36);
        CHECK_EQ(uuids[i][PHC_UUID_SIZE], '#'); /* no more is written */
        for (size_t j = 0; j < i; j++) CHECK(strcmp(uuids[i], uuids[j]) != 0);
        /* NULL is accepted. */
        CHECK_EQ(CAPTURES[i].call(client, NULL), PHC_OK);
    }
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    for (size_t i = 0; i < CAPTURE_COUNT; i++) {
        /* Each kind was captured twice, and each event has its uuid twice, as the sink read it
         * and in its own text. */
        CHECK_STR(nth_string(events, "event", 2 * i), CAPTURES[i].event);
        CHECK_STR(nth_string(events, "uuid", 4 * i), uuids[i]);
    }
    free(events);
    CHECK_EQ(summary("accepted"), 2 * CAPTURE_COUNT);
    finish(client);
}

static void a_given_uuid_is_sent_in_its_canonical_form(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    const struct {
        const char *given, *sent; /* NULL: another one */
    } table[] = {
        {"0190a5b4-7c3d-7abc-8def-0123456789ab", "0190a5b4-7c3d-7abc-8def-0123456789ab"},
        {"0190A5B4-7C3D-7ABC-8DEF-0123456789AB", "0190a5b4-7c3d-7abc-8def-0123456789ab"},
        {"{0190a5b4-7c3d-7abc-8def-0123456789ab}", "0190a5b4-7c3d-7abc-8def-0123456789ab"},
        {"0190a5b47c3d7abc8def0123456789ab", "0190a5b4-7c3d-7abc-8def-0123456789ab"},
        {"not a uuid", NULL},
        {"", NULL},
    };
    uint64_t replaced = 0;
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        char json[256], from_json[PHC_UUID_SIZE] = "", from_builder[PHC_UUID_SIZE] = "";
        snprintf(json, sizeof json, "{\"event\":\"e\",\"distinct_id\":\"d\",\"uuid\":\"%s\"}",
                 table[row].given);
        CHECK_EQ(phc_capture_json(client, json, strlen(json), from_json), PHC_OK);
        phc_event *event = phc_event_new("d", "e");
        CHECK_EQ(phc_event_set_uuid(event, table[row].given), PHC_OK);
        CHECK_EQ(phc_capture_event(client, event, from_builder), PHC_OK);
        if (table[row].sent != NULL) {
            CHECK_STR(from_json, table[row].sent);
            CHECK_STR(from_builder, table[row].sent);
        } else {
            replaced += 2;
            CHECK_EQ(strlen(from_json), 36);
            CHECK(strcmp(from_json, from_builder) != 0);
        }
        CHECK_EQ(stats_of(client).uuids_replaced, replaced);
    }
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(each_capture_returns_the_uuid_that_is_sent),
        TEST(a_given_uuid_is_sent_in_its_canonical_form),
    };
    return RUN_TESTS(tests);
}
