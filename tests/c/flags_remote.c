/* Feature flags that the server evaluates: what is sent, what comes of each response, time limits, outages, forks. */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* "here" can be evaluated here; "static" cannot. */
static const char *const TWO =
    "{\"flags\":[{\"id\":1,\"key\":\"here\",\"active\":true,\"filters\":{\"groups\":[{}]}},"
    "{\"id\":2,\"key\":\"static\",\"active\":true,\"filters\":{\"groups\":[{\"properties\":"
    "[{\"key\":\"id\",\"value\":9,\"type\":\"cohort\"}]}]}}]}";

static void define(phc_client *client, const char *json) {
    CHECK_EQ(phc_flags_definitions_set(client, json, strlen(json)), PHC_OK);
}

/* The snapshot of a query about some keys (NULL: all). */
static phc_flags *ask(phc_client *client, const char *key, uint32_t timeout_ms, phc_status expected) {
    phc_flags_query *query = phc_flags_query_new("user");
    if (key != NULL) phc_flags_query_add_key(query, key);
    phc_flags *flags = NULL;
    phc_status status = phc_flags_evaluate(client, query, timeout_ms, &flags);
    check_at(status == expected, __FILE__, __LINE__, "%s, not %s: %s", phc_status_name(status),
             phc_status_name(expected), status == PHC_OK ? "" : phc_last_error());
    CHECK(flags != NULL);
    phc_flags_query_free(query);
    return flags;
}

/* The same, for what is not looked at. */
static void ask_only(phc_client *client, const char *key, uint32_t timeout_ms, phc_status expected) {
    phc_flags_free(ask(client, key, timeout_ms, expected));
}

static void the_server_has_what_cannot_be_evaluated_here(void) {
    sink_post("_flags", "{\"here\":false,\"static\":\"compact\",\"other\":true}");
    phc_client *client = make_client(NULL, NULL);
    define(client, TWO);
    ask_only(client, "here", 10000, PHC_OK);
    ask_only(client, NULL, 0, PHC_WOULD_WAIT);
    CHECK_EQ(summary("flag_requests"), 0);

    phc_flags *flags = ask(client, NULL, 10000, PHC_OK);
    CHECK_EQ(phc_flags_count(flags), 3);
    CHECK_STR(phc_flags_key(flags, 0), "here");
    CHECK_STR(phc_flags_key(flags, 1), "other");
    CHECK_STR(phc_flags_key(flags, 2), "static");
    CHECK_EQ(phc_flags_get(flags, "here", NULL), PHC_FLAG_TRUE);
    const char *variant = NULL;
    CHECK_EQ(phc_flags_get(flags, "static", &variant), PHC_FLAG_VARIANT);
    CHECK_STR(variant, "compact");
    CHECK_STR(phc_flags_error(flags), "");
    phc_flag_detail detail;
    CHECK_EQ(phc_flags_detail(flags, "here", &detail, sizeof detail), PHC_OK);
    CHECK_EQ(detail.is_local, 1);
    CHECK_EQ(phc_flags_detail(flags, "static", &detail, sizeof detail), PHC_OK);
    CHECK(detail.is_local == 0 && detail.reason == PHC_FLAG_CONDITION_MATCH && detail.version == 1);
    CHECK(detail.has_experiment == 0 && detail.unresolved == PHC_FLAG_RESOLVED);
    char json[4096];
    phc_flags_json(flags, json, sizeof json);
    CHECK_HAS(json, "\"error\":\"\",\"request_id\":\"00000000-0000-4000-8000-000000000001\"}");
    CHECK_EQ(count(json, "\"locally_evaluated\":false"), 2);
    phc_flags *some = phc_flags_only_accessed(flags);
    phc_flags_free(flags);
    CHECK_EQ(phc_flags_count(some), 2);
    CHECK_EQ(phc_flags_enabled(some, "static", 0), 1);
    phc_flags_free(some);

    /* A read sends nothing; a second evaluation does. */
    CHECK_EQ(summary("flag_requests"), 1);
    flags = ask(client, "missing", 10000, PHC_OK);
    CHECK_EQ(phc_flags_count(flags), 0);
    CHECK_STR(phc_flags_error(flags), "flag_missing");
    phc_flags_free(flags);
    CHECK_EQ(summary("flag_requests"), 2);
    CHECK_EQ(summary("requests"), 0);
    finish(client);
}

static void a_request_has_what_the_query_has(void) {
    phc_client *client = make_client("disable_geoip", "true", "header.X-Own", "own", NULL);
    phc_flags_query *query = phc_flags_query_new("us\"er");
    phc_flags_query_set_person(query, "plan", "\"pro\"");
    phc_flags_query_set_group(query, "company", "acme", "{\"seats\":20}");
    phc_flags_query_set_device_id(query, "device");
    phc_flags_query_add_key(query, "a");
    phc_flags_query_add_key(query, "b");
    phc_flags_query_add_context(query, "web");
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_OK);
    phc_flags_free(flags);
    char *sent = sink_get("_flags");
    CHECK_HAS(sent, "\"distinct_id\":\"us\\\"er\"");
    CHECK_HAS(sent, "\"token\":\"phc_blackbox_key\"");
    CHECK_HAS(sent, "\"flag_keys_to_evaluate\":[\"a\",\"b\"]");
    CHECK_HAS(sent, "\"groups\":{\"company\":\"acme\"}");
    CHECK_HAS(sent, "\"group_properties\":{\"company\":{\"$group_key\":\"acme\",\"seats\":20}}");
    CHECK_HAS(sent, "\"plan\":\"pro\"");
    CHECK_HAS(sent, "\"device_id\":\"device\"");
    CHECK_HAS(sent, "\"evaluation_contexts\":[\"web\"]");
    CHECK_HAS(sent, "\"geoip_disable\":true");
    CHECK_HAS(sent, "\"x-own\":\"own\"");
    free(sent);
    sink_post("_clear", "");
    CHECK_EQ(phc_flags_query_set_option(query, PHC_FLAGS_DISABLE_GEOIP, 0), PHC_OK);
    CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_OK);
    phc_flags_free(flags);
    sent = sink_get("_flags");
    CHECK_HAS(sent, "\"geoip_disable\":false");
    free(sent);
    phc_flags_query_free(query);

    /* The server alone, although the flag can be evaluated here. */
    define(client, TWO);
    sink_post("_flags", "{\"here\":false}");
    query = phc_flags_query_new("user");
    phc_flags_query_add_key(query, "here");
    CHECK_EQ(phc_flags_query_set_option(query, PHC_FLAGS_REMOTE_ONLY, 1), PHC_OK);
    CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_OK);
    CHECK_EQ(phc_flags_get(flags, "here", NULL), PHC_FLAG_FALSE);
    phc_flags_free(flags);
    phc_flags_query_free(query);
    finish(client);
}

static void every_form_of_response_is_understood(void) {
    script(
        "{\"steps\":["
        "{\"when\":{\"endpoint\":\"flags\"},\"body\":\"{\\\"featureFlags\\\":{\\\"a\\\":\\\"old\\\"},"
        "\\\"featureFlagPayloads\\\":{\\\"a\\\":\\\"7\\\"}}\"},"
        "{\"when\":{\"endpoint\":\"flags\"},\"body\":\"{\\\"flags\\\":{\\\"a\\\":{\\\"value\\\":{\\\"k\\\":1}}}}\"},"
        "{\"when\":{\"endpoint\":\"flags\"},\"body\":\"{\\\"flags\\\":{\\\"a\\\":{\\\"enabled\\\":1}}}\"},"
        "{\"when\":{\"endpoint\":\"flags\"},\"body\":\"{\\\"flags\\\":{},\\\"quotaLimited\\\":[\\\"feature_flags\\\"]}\"},"
        "{\"when\":{\"endpoint\":\"flags\"},\"body\":\"<html>\"},"
        "{\"when\":{\"endpoint\":\"flags\"},\"status\":401}]}");
    phc_client *client = make_client(NULL, NULL);
    const char *variant = NULL;
    phc_flags *flags = ask(client, "a", 10000, PHC_OK);
    CHECK_EQ(phc_flags_get(flags, "a", &variant), PHC_FLAG_VARIANT);
    CHECK_STR(variant, "old");
    CHECK_STR(phc_flags_payload(flags, "a", NULL), "7");
    phc_flags_free(flags);
    flags = ask(client, "a", 10000, PHC_OK);
    CHECK_EQ(phc_flags_get(flags, "a", NULL), PHC_FLAG_TRUE);
    CHECK_STR(phc_flags_payload(flags, "a", NULL), "{\"k\":1}");
    phc_flags_free(flags);
    flags = ask(client, "a", 10000, PHC_OK);
    CHECK_EQ(phc_flags_get(flags, "a", NULL), PHC_FLAG_ABSENT);
    CHECK_EQ(phc_flags_enabled(flags, "a", 1), 1);
    phc_flag_detail detail;
    CHECK_EQ(phc_flags_detail(flags, "a", &detail, sizeof detail), PHC_OK);
    CHECK_EQ(detail.unresolved, PHC_FLAG_EVALUATION_FAILED);
    CHECK_STR(phc_flag_unresolved_name(detail.unresolved), "evaluation_failed");
    CHECK_STR(phc_flags_error(flags), "evaluation_failed");
    phc_flags_free(flags);
    const char *words[] = {"quota_limited", "unknown_error", "api_error_401"};
    const char *reasons[] = {"used up", "not JSON", "project key"};
    for (int i = 0; i < 3; i++) {
        flags = ask(client, "a", 10000, PHC_UNAVAILABLE);
        CHECK_HAS(phc_last_error(), reasons[i]);
        CHECK_STR(phc_flags_error(flags), words[i]);
        CHECK_EQ(phc_last_http_status(), i == 2 ? 401 : 0);
        CHECK_EQ(phc_flags_count(flags), 0);
        phc_flags_free(flags);
    }
    CHECK_EQ(summary("flag_requests"), 6);
    finish(client);
}

static void only_what_may_help_is_tried_again(void) {
    sink_post("_flags", "{\"a\":true}");
    phc_client *client = make_client("flags_timeout_ms", "60000", NULL);
    const char *passing[] = {"\"status\":502", "\"status\":504", "\"close\":\"before_response\"",
                             "\"close\":\"mid_body\""};
    for (int i = 0; i < 4; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},%s}]}", passing[i]);
        script(text);
        sink_post("_clear", "");
        moment begun = begin();
        phc_flags *flags = ask(client, "a", 60000, PHC_OK);
        CHECK_EQ(phc_flags_enabled(flags, "a", 0), 1);
        phc_flags_free(flags);
        CHECK_EQ(summary("flag_requests"), 2);
        CHECK(ms_since(begun) >= 295);
    }
    const int final[] = {400, 408, 429, 500, 503};
    for (int i = 0; i < 5; i++) {
        char text[200], word[40];
        snprintf(text, sizeof text, "{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"status\":%d}]}",
                 final[i]);
        script(text);
        sink_post("_clear", "");
        phc_flags *flags = ask(client, "a", 60000, PHC_UNAVAILABLE);
        snprintf(word, sizeof word, "api_error_%d", final[i]);
        CHECK_STR(phc_flags_error(flags), word);
        CHECK_EQ(phc_last_http_status(), final[i]);
        phc_flags_free(flags);
        CHECK_EQ(summary("flag_requests"), 1);
    }
    finish(client);
}

static void a_time_limit_holds_with_its_retries(void) {
    script("{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"never\":true,\"times\":0}]}");
    phc_client *client = make_client("flags_timeout_ms", "60000", NULL);
    define(client, TWO);
    moment begun = begin();
    phc_flags *flags = ask(client, NULL, 200, PHC_TIMEOUT);
    CHECK(ms_since(begun) >= 195 && ms_had_since(begun) < 2000);
    CHECK_STR(phc_flags_error(flags), "timeout");
    CHECK_EQ(phc_flags_enabled(flags, "here", 0), 1);
    CHECK_EQ(phc_flags_enabled(flags, "static", 1), 1);
    CHECK_EQ(phc_flags_get(flags, "static", NULL), PHC_FLAG_ABSENT);
    phc_flags_free(flags);
    finish(client);

    /* The client's own limit, although the call has a longer one; with a second attempt in it. On a busy machine the
     * first one may take all of the time, so there are several tries. */
    int requests = 0;
    for (int i = 0; i < 20 && requests != 2; i++) {
        script("{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"status\":502},"
               "{\"when\":{\"endpoint\":\"flags\"},\"never\":true,\"times\":0}]}");
        sink_post("_clear", "");
        client = make_client("flags_timeout_ms", "500", NULL);
        begun = begin();
        ask_only(client, NULL, PHC_NO_LIMIT, PHC_TIMEOUT);
        CHECK(ms_since(begun) >= 495 && ms_had_since(begun) < 2000);
        requests = (int)summary("flag_requests");
        finish(client);
    }
    CHECK_EQ(requests, 2);
}

static int responds(void *client) {
    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags *flags = NULL;
    phc_status status = phc_flags_evaluate(client, query, 10000, &flags);
    phc_flags_free(flags);
    phc_flags_query_free(query);
    return status == PHC_OK;
}

static void a_server_that_does_not_respond_is_remembered(void) {
    phc_client *client = make_client_at("http://127.0.0.1:1", "flags_max_retries", "0", NULL);
    define(client, TWO);
    for (int i = 0; i < 3; i++) ask_only(client, NULL, 10000, PHC_UNAVAILABLE);
    CHECK(strstr(phc_last_error(), "not asked") == NULL);
    moment begun = begin();
    phc_flags *flags = ask(client, NULL, 10000, PHC_UNAVAILABLE);
    CHECK_HAS(phc_last_error(), "not asked for a while");
    CHECK_STR(phc_flags_error(flags), "connection_error");
    CHECK_EQ(phc_last_http_status(), 0);
    CHECK_EQ(phc_flags_enabled(flags, "here", 0), 1);
    phc_flags_free(flags);
    CHECK(ms_had_since(begun) < 500);
    finish(client);

    /* It is asked again after a second, by one call, and then by all. */
    script("{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"status\":503,\"times\":0}]}");
    client = make_client(NULL, NULL);
    begun = begin();
    for (int i = 0; i < 3; i++) ask_only(client, NULL, 10000, PHC_UNAVAILABLE);
    int held = 0;
    for (int i = 0; i < 100; i++) {
        ask_only(client, NULL, 10000, PHC_UNAVAILABLE);
        held += strstr(phc_last_error(), "not asked for a while") != NULL;
    }
    /* One more request in each second at most, should this process have stood still. */
    CHECK(100 - held <= ms_since(begun) / 1000);
    CHECK_EQ(summary("flag_requests"), 3 + 100 - held);
    respond_now();
    CHECK(await(responds, client));
    CHECK_EQ(summary("flag_requests"), 4 + 100 - held);
    for (int i = 0; i < 3; i++) ask_only(client, NULL, 10000, PHC_OK);
    CHECK_EQ(summary("flag_requests"), 7 + 100 - held);
    finish(client);
}

static void short_time_limits_learn_of_an_outage_too(void) {
    script("{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"never\":true,\"times\":0}]}");
    phc_client *client = make_client("flags_timeout_ms", "300", "flags_max_retries", "0", NULL);
    for (int i = 0; i < 3; i++) ask_only(client, NULL, 1, PHC_TIMEOUT);
    int held = 0;
    for (int i = 0; i < 200 && !held; i++) {
        phc_flags_query *query = phc_flags_query_new("user");
        phc_flags *flags = NULL;
        CHECK_EQ(phc_flags_evaluate(client, query, 20, &flags), PHC_TIMEOUT);
        held = strstr(phc_last_error(), "not asked") != NULL;
        phc_flags_free(flags);
        phc_flags_query_free(query);
    }
    CHECK(held);
    finish(client);
}

static void without_a_server_to_ask_the_snapshot_is_local(void) {
    phc_config *config = phc_config_new("");
    phc_client *disabled = phc_client_new(config, NULL);
    phc_config_free(config);
    define(disabled, TWO);
    phc_flags *flags = ask(disabled, NULL, 10000, PHC_DISABLED);
    CHECK_EQ(phc_flags_enabled(flags, "here", 0), 1);
    phc_flags_free(flags);
    phc_client_free(disabled);

    phc_client *client = make_client("test_mode", "true", NULL);
    define(client, TWO);
    ask_only(client, NULL, 10000, PHC_WOULD_WAIT);
    finish(client);
    client = make_client(NULL, NULL);
    define(client, TWO);
    phc_flags_query *empty = phc_flags_query_new("");
    CHECK_EQ(phc_flags_evaluate(client, empty, 10000, &flags), PHC_WOULD_WAIT);
    phc_flags_free(flags);
    phc_flags_query_free(empty);
    CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
    flags = ask(client, NULL, 10000, PHC_CLOSED);
    CHECK_EQ(phc_flags_enabled(flags, "here", 0), 1);
    phc_flags_free(flags);
    CHECK_EQ(summary("flag_requests"), 0);
    finish(client);
}

static void *ask_and_be_ended(void *client) {
    ask_only(client, NULL, 60000, PHC_UNAVAILABLE);
    return NULL;
}

static void a_close_ends_what_waits(void) {
    script("{\"steps\":[{\"when\":{\"endpoint\":\"flags\"},\"never\":true,\"times\":0}]}");
    phc_client *client = make_client("flags_timeout_ms", "60000", NULL);
    pthread_t asking[3];
    for (int i = 0; i < 3; i++) pthread_create(&asking[i], NULL, ask_and_be_ended, client);
    wait_for("flag_requests=3");
    moment begun = begin();
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    for (int i = 0; i < 3; i++) pthread_join(asking[i], NULL);
    CHECK(ms_had_since(begun) < SOON_MS);
    finish(client);
}

static void a_child_asks_by_itself(void) {
    sink_post("_flags", "{\"static\":true}");
    phc_client *client = make_client(NULL, NULL);
    define(client, TWO);
    ask_only(client, NULL, 10000, PHC_OK);
    phc_flags *inherited = ask(client, NULL, 10000, PHC_OK);
    pid_t pid = fork();
    if (pid == 0) {
        int ok = phc_flags_enabled(inherited, "static", 0) == 1;
        phc_flags_query *query = phc_flags_query_new("child");
        phc_flags *flags = NULL;
        ok = ok && phc_flags_evaluate(client, query, 10000, &flags) == PHC_OK;
        ok = ok && phc_flags_enabled(flags, "static", 0) == 1 && phc_flags_enabled(flags, "here", 0) == 1;
        phc_flags_free(flags);
        phc_flags_query_free(query);
        phc_flags_free(inherited);
        phc_client_free(client);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(summary("flag_requests"), 3);
    char *sent = sink_get("_flags");
    CHECK_EQ(count(sent, "\"distinct_id\":\"child\",\"evaluation_runtime\""), 1);
    free(sent);
    phc_flags_free(inherited);
    ask_only(client, NULL, 10000, PHC_OK);
    finish(client);
}

static void events_and_flags_do_not_wait_for_each_other(void) {
    sink_post("_flags", "{\"a\":true}");
    script("{\"then\":{\"wait_for_script\":true}}");
    phc_client *client = make_client("max_in_flight", "1", "flush_at", "1", NULL);
    capture(client, "slow");
    wait_for("requests=1");
    phc_flags *flags = ask(client, "a", 10000, PHC_OK);
    CHECK_EQ(phc_flags_enabled(flags, "a", 0), 1);
    phc_flags_free(flags);
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(the_server_has_what_cannot_be_evaluated_here),
        TEST(a_request_has_what_the_query_has),
        TEST(every_form_of_response_is_understood),
        TEST(only_what_may_help_is_tried_again),
        TEST(a_time_limit_holds_with_its_retries),
        TEST(a_server_that_does_not_respond_is_remembered),
        TEST(short_time_limits_learn_of_an_outage_too),
        TEST(without_a_server_to_ask_the_snapshot_is_local),
        TEST(a_close_ends_what_waits),
        TEST(a_child_asks_by_itself),
        TEST(events_and_flags_do_not_wait_for_each_other),
    };
    return RUN_TESTS(tests);
}
