/* before_send: what the host decides on each event, on the capturing thread. */
#include "harness.h"

#include <phc_binding.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its result is in the user data. */
static int32_t return_number(phc_outgoing *event, void *user_data) {
    (void)event;
    return *(int32_t *)user_data;
}

static int has_name(const char *json, const char *name) {
    char member[64];
    snprintf(member, sizeof member, "\"event\":\"%s\"", name);
    return strstr(json, member) != NULL;
}

static pthread_t capturing;

static int32_t decide(phc_outgoing *event, void *user_data) {
    CHECK(pthread_equal(pthread_self(), capturing));
    ++*(int *)user_data;
    size_t len = 0;
    const char *json = phc_outgoing_json(event, &len);
    CHECK_EQ(strlen(json), len);
    CHECK(phc_outgoing_json(event, NULL) == json);
    CHECK_HAS(json, "\"distinct_id\":\"user\"");
    CHECK_HAS(json, "\"timestamp\":\"");
    if (has_name(json, "discarded")) return PHC_BEFORE_SEND_DISCARD;
    if (has_name(json, "replaced, then discarded")) {
        CHECK_EQ(phc_outgoing_replace(event, json, len), PHC_OK);
        return PHC_BEFORE_SEND_DISCARD;
    }
    if (has_name(json, "broken")) CHECK_EQ(phc_outgoing_replace(event, "{", 1), PHC_OK);
    if (has_name(json, "changed")) {
        char other[] = "{\"event\":\"other\",\"distinct_id\":\"somebody\","
                       "\"properties\":{\"$session_id\":\"s\",\"n\":1.0}}";
        CHECK_EQ(phc_outgoing_replace(event, "soon overwritten", 4), PHC_OK);
        CHECK_EQ(phc_outgoing_replace(event, other, strlen(other)), PHC_OK);
        CHECK_EQ(phc_outgoing_replace(event, NULL, 1), PHC_INVALID_ARGUMENT);
        CHECK_EQ(phc_outgoing_replace(NULL, other, 1), PHC_INVALID_ARGUMENT);
        memset(other, '#', sizeof other); /* it was copied */
    }
    return PHC_BEFORE_SEND_KEEP;
}

static void it_keeps_changes_and_discards(void) {
    phc_client *client = make_client("disable_geoip", "true", NULL);
    capturing = pthread_self();
    int calls = 0;
    CHECK_EQ(phc_set_before_send_callback(client, decide, &calls, NULL), PHC_OK);
    capture(client, "kept");
    const char *const refused[] = {"discarded", "replaced, then discarded", "broken"};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(phc_capture(client, "user", refused[i], NULL), PHC_BEFORE_SEND);
    }
    CHECK_HAS(phc_last_error(), "before_send returned an event that is refused");
    char uuid[PHC_UUID_SIZE] = "";
    const char *changed = "{\"event\":\"changed\",\"distinct_id\":\"user\"}";
    CHECK_EQ(phc_capture_json(client, changed, strlen(changed), uuid), PHC_OK);
    CHECK_EQ(calls, 5);
    CHECK_EQ(phc_set_before_send_callback(client, NULL, NULL, NULL), PHC_OK);
    capture(client, "discarded");
    CHECK_EQ(calls, 5);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_EQ(count(events, "\"kept\""), 1);
    CHECK_EQ(count(events, "\"discarded\""), 1);
    CHECK_HAS(events, "\"session_id\":\"s\"");
    CHECK_HAS(events, "\"n\":1.0");
    CHECK_HAS(events, uuid);
    free(events);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 3);
    CHECK_EQ(stats.refused_by_status[PHC_BEFORE_SEND], 3);
    finish(client);
}

/* Replaces the distinct id by the user data, which is JSON. */
static int32_t replace_id(phc_outgoing *event, void *id) {
    char json[512];
    int len = snprintf(json, sizeof json, "{\"event\":\"e\",\"distinct_id\":%s}", (const char *)id);
    CHECK_EQ(phc_outgoing_replace(event, json, (size_t)len), PHC_OK);
    return PHC_BEFORE_SEND_KEEP;
}

static void an_id_that_it_returns_is_held_to_the_same_rules(void) {
    const struct {
        const char *given, *sent; /* NULL: refused */
    } table[] = {
        {"\" \\u00a0u 1\\t\xe3\x80\x80\"", "\"distinct_id\":\"u 1\""},
        {"42", "\"distinct_id\":\"42\""},
        {"\"\\u3000 \"", NULL},
        {"4.5", NULL},
        {"null", NULL},
    };
    phc_client *client = make_client(NULL, NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        CHECK_EQ(phc_set_before_send_callback(client, replace_id, (void *)table[i].given, NULL), PHC_OK);
        check_at(phc_capture(client, "user", "e", NULL) == (table[i].sent ? PHC_OK : PHC_BEFORE_SEND),
                 __FILE__, __LINE__, "%s", table[i].given);
        if (table[i].sent == NULL) CHECK_HAS(phc_last_error(), "distinct_id");
    }
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_HAS(events, table[0].sent);
    CHECK_HAS(events, table[1].sent);
    CHECK_EQ(count(events, "\"distinct_id\""), 2);
    free(events);
    finish(client);
}

static void only_keep_keeps(void) {
    phc_client *client = make_client(NULL, NULL);
    int32_t number;
    CHECK_EQ(phc_set_before_send_callback(client, return_number, &number, NULL), PHC_OK);
    const int32_t numbers[] = {PHC_BEFORE_SEND_KEEP, PHC_BEFORE_SEND_DISCARD, 2, 77, -1, INT32_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        number = numbers[i];
        CHECK_EQ(phc_capture(client, "user", "a", NULL), i == 0 ? PHC_OK : PHC_BEFORE_SEND);
    }
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("accepted"), 1);
    finish(client);
}

static void a_binding_counts_what_its_own_callback_discards(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_binding_count_discarded(client), PHC_OK);
    CHECK_EQ(phc_binding_count_discarded(NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(stats_of(client).refused_by_status[PHC_BEFORE_SEND], 1);
    char text[1024];
    phc_stats_json(client, text, sizeof text);
    CHECK_HAS(text, "\"refused\":{\"before_send\":1}");
    finish(client);
}

static int calls_per_event;
static int32_t count_calls(phc_outgoing *event, void *calls) {
    (void)event;
    add_to(calls, 1);
    return PHC_BEFORE_SEND_KEEP;
}

static void *capture_many(void *client) {
    capture_n(client, 2000);
    return NULL;
}

static void it_may_run_on_many_threads_at_once(void) {
    phc_client *client = make_client(NULL, NULL);
    calls_per_event = 0;
    CHECK_EQ(phc_set_before_send_callback(client, count_calls, &calls_per_event, NULL), PHC_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, capture_many, client);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(calls_per_event, 8000);
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("accepted"), 8000);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(it_keeps_changes_and_discards),
        TEST(an_id_that_it_returns_is_held_to_the_same_rules),
        TEST(only_keep_keeps),
        TEST(a_binding_counts_what_its_own_callback_discards),
        TEST(it_may_run_on_many_threads_at_once),
    };
    return RUN_TESTS(tests);
}
