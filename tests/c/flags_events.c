/* Reads of feature flags as events: $feature_flag_called, once for each value that is read for a person. */
#include "harness.h"

#include <phc_binding.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FLAG(key, groups)                                                                                    \
    "{\"id\":7,\"version\":3,\"key\":\"" key                                                                 \
    "\",\"active\":true,\"has_experiment\":false,\"filters\":{\"groups\":[" groups                           \
    "],\"payloads\":{\"true\":\"{\\\"n\\\": 1}\"}}}"
#define BOTH "\"flags\":[" FLAG("on", "{}") "," FLAG("off", "") "]"

static void define(phc_client *client, const char *json) {
    CHECK_EQ(phc_flags_definitions_set(client, json, strlen(json)), PHC_OK);
}

static phc_flags *evaluated(phc_client *client, const char *id) {
    phc_flags_query *query = phc_flags_query_new(id);
    phc_flags *flags = NULL;
    phc_flags_evaluate(client, query, 0, &flags);
    CHECK(flags != NULL);
    phc_flags_query_free(query);
    return flags;
}

/* The oldest event of a client in test mode, which is removed; "" if there is none. */
static const char *next_event(phc_client *client) {
    static char json[4096];
    json[0] = '\0';
    CHECK(phc_binding_next_test_event(client, json, sizeof json) < sizeof json);
    return json;
}

static void a_read_is_captured_with_its_properties(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    define(client, "{" BOTH "}");
    CHECK_EQ(phc_register(client, "own", "\"super\""), PHC_OK);
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags_query_set_group(query, "company", "acme", NULL);
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_OK);
    phc_flags_query_free(query);
    /* Neither an evaluation nor the read of a payload or detail is one. */
    phc_flag_detail detail;
    CHECK(phc_flags_payload(flags, "on", NULL) != NULL);
    CHECK_EQ(phc_flags_detail(flags, "on", &detail, sizeof detail), PHC_OK);
    CHECK_STR(next_event(client), "");

    CHECK_EQ(phc_flags_enabled(flags, "on", 0), 1);
    const char *event = next_event(client);
    CHECK_HAS(event, "\"event\":\"$feature_flag_called\"");
    CHECK_HAS(event, "\"distinct_id\":\"user\"");
    CHECK_HAS(event, "\"$feature_flag\":\"on\",\"$feature_flag_response\":true,\"$feature/on\":true,");
    CHECK_HAS(event, "\"locally_evaluated\":true,\"$feature_flag_id\":7,\"$feature_flag_version\":3,");
    CHECK_HAS(event, "\"$feature_flag_payload\":{\"n\": 1},\"$feature_flag_reason\":\"Evaluated locally\",");
    CHECK_HAS(event, "\"$feature_flag_has_experiment\":false,\"$feature_flag_definitions_loaded_at\":1");
    CHECK_HAS(event, "\"$groups\":{\"company\":\"acme\"}");
    CHECK_HAS(event, "\"own\":\"super\"");
    CHECK_EQ(phc_flags_get(flags, "off", NULL), PHC_FLAG_FALSE);
    CHECK_HAS(next_event(client), "\"$feature_flag\":\"off\",\"$feature_flag_response\":false,");
    CHECK_EQ(phc_flags_enabled(flags, "nothing", 0), 0);
    event = next_event(client);
    CHECK_HAS(event, "\"$feature_flag\":\"nothing\",\"$feature_flag_response\":null,");
    CHECK_HAS(event, "\"$feature_flag_error\":\"flag_missing\"");
    CHECK_STR(next_event(client), "");
    phc_flags_free(flags);
    CHECK_EQ(phc_flag_enabled(client, "on", "another", 0), 1);
    CHECK_HAS(next_event(client), "\"distinct_id\":\"another\"");
    finish(client);
}

static void a_read_is_captured_once(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    define(client, "{" BOTH "}");
    for (int i = 0; i < 100; i++) {
        phc_flags *flags = evaluated(client, "user");
        CHECK_EQ(phc_flags_enabled(flags, "on", 0), 1);
        CHECK_EQ(phc_flags_get(flags, "on", NULL), PHC_FLAG_TRUE);
        phc_flags *copy = phc_flags_only_accessed(flags);
        CHECK_EQ(phc_flags_enabled(copy, "on", 0), 1);
        CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
        phc_flags_enabled(flags, "nothing", 0);
        phc_flags_free(copy);
        phc_flags_free(flags);
    }
    CHECK_EQ(stats_of(client).captured, 2);
    /* Another value is another read. */
    define(client, "{\"flags\":[" FLAG("on", "") "]}");
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 1), 0);
    CHECK_EQ(stats_of(client).captured, 3);
    /* However many there are, those that are read all the time are remembered. */
    for (int i = 0; i < 1000; i++) {
        char id[20];
        snprintf(id, sizeof id, "user-%d", i);
        phc_flag_enabled(client, "on", id, 1);
        phc_flag_enabled(client, "on", "user", 1);
    }
    CHECK_EQ(stats_of(client).captured, 1003);
    finish(client);
}

static void reads_are_captured_only_where_they_are_wanted(void) {
    phc_client *client = make_client("test_mode", "true", "flags_called_events", "false", NULL);
    define(client, "{" BOTH "}");
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    CHECK_EQ(stats_of(client).captured, 0);
    finish(client);

    client = make_client("test_mode", "true", NULL);
    define(client, "{" BOTH "}");
    CHECK_EQ(phc_flag_enabled(client, "on", "", 0), 1);
    phc_flags_query *query = phc_flags_query_new("user");
    CHECK_EQ(phc_flags_query_set_option(query, PHC_FLAGS_NO_EVENTS, 1), PHC_OK);
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_OK);
    phc_flags_query_free(query);
    CHECK_EQ(phc_flags_enabled(flags, "on", 0), 1);
    phc_flags_free(flags);
    phc_opt_out(client);
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    CHECK_EQ(stats_of(client).refused, 0);
    CHECK_EQ(stats_of(client).captured, 0);
    phc_opt_in(client);
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    CHECK_EQ(stats_of(client).captured, 1);
    flags = evaluated(client, "later");
    finish(client);
    CHECK_EQ(phc_flags_enabled(flags, "on", 0), 1);
    phc_flags_free(flags);
}

static void a_binding_gets_the_event_of_a_read_once(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    define(client, "{" BOTH "}");
    phc_flags_query *query = phc_flags_query_new("user");
    CHECK_EQ(phc_flags_query_set_option(query, PHC_FLAGS_NO_EVENTS, 1), PHC_OK);
    phc_flags *flags = NULL, *later = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &flags), PHC_OK);
    char small[40], event[1000];
    size_t size = phc_binding_flags_read(flags, "on", NULL, 0);
    CHECK(size > sizeof small && size < sizeof event);
    /* It counts as captured only where it fits. */
    CHECK_EQ(phc_binding_flags_read(flags, "on", small, sizeof small), size);
    CHECK_EQ(phc_binding_flags_read(flags, "on", event, size), size);
    CHECK_EQ(phc_binding_flags_read(flags, "on", event, sizeof event), size);
    CHECK_EQ(strlen(event), size);
    CHECK_HAS(
        event,
        "{\"event\":\"$feature_flag_called\",\"distinct_id\":\"user\",\"properties\":{\"$feature_flag\":"
        "\"on\",\"$feature_flag_response\":true,\"$feature/on\":true,");
    CHECK_HAS(event, "},\"is_minimal\":false}");
    CHECK_EQ(phc_binding_flags_read(flags, "on", event, sizeof event), 0);
    CHECK_EQ(phc_flags_get(flags, "on", NULL), PHC_FLAG_TRUE);
    /* It is a read of the snapshot, and of the person. */
    phc_flags *accessed = phc_flags_only_accessed(flags);
    CHECK_EQ(phc_flags_count(accessed), 1);
    phc_flags_free(accessed);
    CHECK_EQ(phc_flags_evaluate(client, query, 0, &later), PHC_OK);
    CHECK_EQ(phc_binding_flags_read(later, "on", event, sizeof event), 0);
    CHECK(phc_binding_flags_read(later, "nothing", event, sizeof event) > 0);
    CHECK_HAS(event, "\"$feature_flag_error\":\"flag_missing\"");
    /* libphc itself captures none of them. */
    CHECK_EQ(stats_of(client).captured, 0);
    phc_opt_out(client);
    CHECK_EQ(phc_binding_flags_read(later, "off", event, sizeof event), 0);
    phc_opt_in(client);
    CHECK_EQ(phc_client_close(client, 0), PHC_OK);
    CHECK_EQ(phc_binding_flags_read(later, "off", event, sizeof event), 0);
    phc_flags_query_free(query);
    phc_flags_free(flags);
    finish(client);
    CHECK_EQ(phc_binding_flags_read(later, "off", event, sizeof event), 0);
    phc_flags_free(later);
}

/* A binding asks until there is nothing. */
static void a_binding_gets_it_once_also_where_no_read_is_remembered(void) {
    phc_client *client = make_client("test_mode", "true", "flags_called_cache", "0", NULL);
    define(client, "{" BOTH "}");
    for (int i = 0; i < 2; i++) {
        phc_flags *flags = evaluated(client, "user");
        char event[1000];
        CHECK(phc_binding_flags_read(flags, "on", event, sizeof event) > 0);
        CHECK_EQ(phc_binding_flags_read(flags, "on", event, sizeof event), 0);
        CHECK(phc_binding_flags_read(flags, "nothing", event, sizeof event) > 0);
        CHECK_EQ(phc_binding_flags_read(flags, "nothing", event, sizeof event), 0);
        phc_flags_free(flags);
    }
    finish(client);
}

static void few_properties_where_the_server_wants_few(void) {
    phc_client *client = make_client("test_mode", "true", "is_server", "true", NULL);
    define(client, "{" BOTH ",\"minimal_flag_called_events\":true}");
    CHECK_EQ(phc_register(client, "own", "\"super\""), PHC_OK);
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    const char *event = next_event(client);
    CHECK_HAS(event, "\"$feature_flag\":\"on\",\"$feature_flag_response\":true,\"locally_evaluated\":true,");
    CHECK_HAS(event, "\"$is_server\":true");
    CHECK_EQ(count(event, "$feature/"), 0);
    CHECK_EQ(count(event, "payload"), 0);
    CHECK_EQ(count(event, "own"), 0);
    finish(client);
}

static void a_value_of_the_server_is_named_as_such(void) {
    sink_post("_flags", "{\"a\":\"compact\"}");
    phc_client *client = make_client(NULL, NULL);
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_OK);
    CHECK_EQ(phc_flags_get(flags, "a", NULL), PHC_FLAG_VARIANT);
    phc_flags_free(flags);
    script("{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"status\":500}]}");
    CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_UNAVAILABLE);
    CHECK_EQ(phc_flags_get(flags, "b", NULL), PHC_FLAG_ABSENT);
    phc_flags_free(flags);
    phc_flags_query_free(query);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_EQ(count(events, "$feature_flag_called"), 2);
    CHECK_HAS(events, "\"$feature/a\":\"compact\",\"locally_evaluated\":false");
    CHECK_HAS(events, "\"$feature_flag_reason\":\"Matched condition set 1\"");
    CHECK_HAS(events, "\"$feature_flag_request_id\":\"00000000-0000-4000-8000-000000000001\"");
    CHECK_HAS(events, "\"$feature_flag_evaluated_at\":1");
    CHECK_HAS(events, "\"$feature_flag\":\"b\",\"$feature_flag_response\":null");
    CHECK_HAS(events, "\"$feature_flag_error\":\"api_error_500\"");
    free(events);
    finish(client);
}

/* A typed record of a flag that an experiment has split. */
#define SPLIT                                                                                                \
    "{\"a\":{\"key\":\"a\",\"value\":\"red\",\"reason\":{\"code\":\"experiment_split\"},"                    \
    "\"metadata\":{\"id\":12,\"version\":4,\"config_version\":2,\"rule_type\":\"experiment\","               \
    "\"rule_id\":\"018f4f9e-0000-7000-8000-000000000001\",\"variant_key\":\"red\"}}}"

static void the_variant_of_an_experiment_is_exposed_once(void) {
    sink_post("_flags", SPLIT);
    phc_client *client = make_client("flags_request_version", "4", NULL);
    phc_flags_query *query = phc_flags_query_new("user");
    for (int i = 0; i < 2; i++) {
        phc_flags *flags = NULL;
        CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_OK);
        CHECK_EQ(phc_flags_get(flags, "a", NULL), PHC_FLAG_VARIANT);
        CHECK_EQ(phc_flags_enabled(flags, "nothing", 0), 0);
        phc_flags_free(flags);
    }
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    char *requests = sink_get("_flags"), *events = sink_get("_events");
    CHECK_EQ(count(requests, "\"query\":\"v=4\""), 2);
    free(requests);
    CHECK_EQ(count(events, "\"event\":\"$experiment_exposure\""), 1);
    CHECK_EQ(count(events, "\"event\":\"$feature_flag_called\""), 2);
    CHECK_EQ(count(events, "\"$feature_flag_rule_id\":\"018f4f9e-0000-7000-8000-000000000001\""), 2);
    CHECK_EQ(count(events, "\"$feature_flag_reason_code\":\"experiment_split\""), 1);
    /* A flag that is missing in a response, too, has the id of that. */
    CHECK_EQ(count(events, "\"$feature_flag_request_id\":\"00000000-0000-4000-8000-000000000001\""), 3);
    free(events);

    /* A binding gets one event after the other, and a second client exposes of its own. */
    phc_client *other = make_client("flags_request_version", "3", NULL);
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_query_set_option(query, PHC_FLAGS_NO_EVENTS, 1), PHC_OK);
    CHECK_EQ(phc_flags_evaluate(other, query, 10000, &flags), PHC_OK);
    char event[2000];
    CHECK(phc_binding_flags_read(flags, "a", event, sizeof event) > 0);
    CHECK_HAS(event, "{\"event\":\"$feature_flag_called\"");
    CHECK(phc_binding_flags_read(flags, "a", event, sizeof event) > 0);
    CHECK_HAS(event, "{\"event\":\"$experiment_exposure\"");
    CHECK_EQ(phc_binding_flags_read(flags, "a", event, sizeof event), 0);
    phc_flags_free(flags);
    phc_flags_query_free(query);
    finish(other);
    finish(client);
}

static void a_read_that_finds_the_queue_full_is_captured_later(void) {
    script("{\"then\":{\"wait_for_script\":true}}");
    phc_client *client =
        make_client("queue_max_events", "1", "overflow", "block", "block_timeout_ms", "600000", NULL);
    define(client, "{" BOTH "}");
    capture(client, "first");
    moment begun = begin();
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    CHECK(ms_had_since(begun) < SOON_MS);
    CHECK_EQ(stats_of(client).captured, 1);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    CHECK_EQ(stats_of(client).captured, 2);
    finish(client);
}

typedef struct {
    phc_client *client;
    phc_flags *flags;
    int freed;
} inside;

/* Reads a flag, and frees the client, inside before_send. */
static int32_t read_inside(phc_outgoing *outgoing, void *user_data) {
    (void)outgoing;
    inside *at = user_data;
    CHECK_EQ(phc_flags_enabled(at->flags, "off", 1), 0);
    if (!at->freed) {
        at->freed = 1;
        phc_client_free(at->client);
    }
    return PHC_BEFORE_SEND_KEEP;
}

static int32_t discard(phc_outgoing *outgoing, void *shown) {
    (void)outgoing;
    add_to(shown, 1);
    return PHC_BEFORE_SEND_DISCARD;
}

static void a_read_that_is_discarded_is_not_made_again(void) {
    phc_client *client = make_client("test_mode", "true", NULL);
    define(client, "{" BOTH "}");
    int shown = 0;
    CHECK_EQ(phc_set_before_send_callback(client, discard, &shown, NULL), PHC_OK);
    for (int i = 0; i < 3; i++) CHECK_EQ(phc_flag_enabled(client, "on", "user", 0), 1);
    CHECK_EQ(shown, 1);
    CHECK_EQ(stats_of(client).refused, 1);
    CHECK_EQ(phc_flag_enabled(client, "on", "another", 0), 1);
    CHECK_EQ(phc_flag_enabled(client, "off", "user", 1), 0);
    CHECK_EQ(shown, 3);
    CHECK_EQ(stats_of(client).captured, 0);
    finish(client);
}

static void a_client_can_be_freed_while_a_read_is_captured(void) {
    inside at = {make_client("shutdown_timeout_ms", "0", NULL), NULL, 0};
    define(at.client, "{" BOTH "}");
    at.flags = evaluated(at.client, "user");
    CHECK_EQ(phc_set_before_send_callback(at.client, read_inside, &at, NULL), PHC_OK);
    CHECK_EQ(phc_flags_enabled(at.flags, "on", 0), 1);
    CHECK_EQ(at.freed, 1);
    CHECK_EQ(threads_fall_to(0, "phc-"), 0);
    CHECK_EQ(phc_flags_enabled(at.flags, "on", 0), 1);
    phc_flags_free(at.flags);
}

typedef struct {
    phc_client *client;
    int reads, stop;
} reading;
static void *read_until_stopped(void *about) {
    reading *at = about;
    for (int i = 0; !__atomic_load_n(&at->stop, __ATOMIC_ACQUIRE); i++) {
        char id[20];
        snprintf(id, sizeof id, "user-%d", i);
        CHECK_EQ(phc_flag_enabled(at->client, "on", id, 0), 1);
        add_to(&at->reads, 1);
    }
    return NULL;
}

static void a_child_captures_its_reads(void) {
    reading at = {make_client("flags_called_cache", "100", NULL), 0, 0};
    define(at.client, "{" BOTH "}");
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, read_until_stopped, &at);
    for (int i = 0; i < 20; i++) {
        int done = __atomic_load_n(&at.reads, __ATOMIC_ACQUIRE);
        reaches(&at.reads, done + 10);
        phc_flags *flags = evaluated(at.client, "child");
        pid_t pid = fork();
        if (pid == 0) {
            int ok = phc_flags_enabled(flags, "on", 0) == 1;
            phc_stats stats;
            ok = ok && phc_stats_get(at.client, &stats, sizeof stats) == PHC_OK && stats.captured == 1;
            ok = ok && phc_flush(at.client, 20000, NULL, 0) == PHC_OK;
            phc_client_free(at.client);
            ok = ok && phc_flags_enabled(flags, "off", 1) == 0;
            phc_flags_free(flags);
            _exit(ok ? 0 : 1);
        }
        int status = -1;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        phc_flags_free(flags);
    }
    __atomic_store_n(&at.stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    finish(at.client);
}

static void *read_while_freed(void *about) {
    phc_flags *flags = about;
    phc_flags_enabled(flags, "on", 0);
    phc_flags_enabled(flags, "off", 0);
    phc_flags_free(flags);
    return NULL;
}

static void a_free_waits_for_no_read_and_no_read_for_a_free(void) {
    for (int i = 0; i < 300; i++) {
        phc_client *client = make_client("test_mode", "true", NULL);
        define(client, "{" BOTH "}");
        pthread_t threads[2];
        for (int j = 0; j < 2; j++)
            pthread_create(&threads[j], NULL, read_while_freed, evaluated(client, "user"));
        phc_client_free(client);
        for (int j = 0; j < 2; j++) pthread_join(threads[j], NULL);
    }
    CHECK_EQ(threads_fall_to(0, "phc-"), 0);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(a_read_is_captured_with_its_properties),
        TEST(a_read_is_captured_once),
        TEST(reads_are_captured_only_where_they_are_wanted),
        TEST(a_binding_gets_the_event_of_a_read_once),
        TEST(a_binding_gets_it_once_also_where_no_read_is_remembered),
        TEST(few_properties_where_the_server_wants_few),
        TEST(a_value_of_the_server_is_named_as_such),
        TEST(the_variant_of_an_experiment_is_exposed_once),
        TEST(a_read_that_finds_the_queue_full_is_captured_later),
        TEST(a_read_that_is_discarded_is_not_made_again),
        TEST(a_client_can_be_freed_while_a_read_is_captured),
        TEST(a_child_captures_its_reads),
        TEST(a_free_waits_for_no_read_and_no_read_for_a_free),
    };
    return RUN_TESTS(tests);
}
