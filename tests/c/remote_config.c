/* Remote configs: what is asked for, what each response means, time limits, outages, forks. */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG "{\"when\":{\"endpoint\":\"remote_config\"},"
#define WITH_KEY "secret_key", "phs_secret"

/* What the client has for a key. */
static phc_remote_config *fetch(phc_client *client, const char *key, uint32_t timeout_ms,
                                phc_status expected) {
    phc_remote_config *config = NULL;
    phc_status status = phc_remote_config_fetch(client, key, timeout_ms, &config);
    check_at(status == expected, __FILE__, __LINE__, "%s, not %s: %s", phc_status_name(status),
             phc_status_name(expected), status == PHC_OK ? "" : phc_last_error());
    CHECK_EQ(config != NULL, status == PHC_OK);
    return config;
}

/* The same, for what is not looked at. */
static void fetch_only(phc_client *client, uint32_t timeout_ms, phc_status expected) {
    phc_remote_config_free(fetch(client, "limits", timeout_ms, expected));
}

/* Checks the payload for a key; NULL: there is no such remote config. */
static void has_payload(phc_client *client, const char *key, const char *expected) {
    phc_remote_config *config = fetch(client, key, 20000, PHC_OK);
    size_t len = 7;
    const char *payload = phc_remote_config_payload(config, &len);
    CHECK_EQ(payload != NULL, expected != NULL);
    CHECK_EQ(len, expected != NULL ? strlen(expected) : 0);
    if (payload != NULL && expected != NULL) CHECK_STR(payload, expected);
    CHECK(phc_remote_config_payload(config, NULL) == payload);
    phc_remote_config_free(config);
}

static void a_payload_is_fetched_by_its_key(void) {
    sink_post("_remote_config",
              "{\"limits\":{\"max\":5},\"text\":\"\\\"ü\\\"\",\"a/b?c#d %\":[1],\"none\":null,"
              "\"nul\":\"a\\u0000b\"}");
    phc_client *client = make_client(WITH_KEY, "local_evaluation", "false", NULL);
    has_payload(client, "limits", "{\"max\":5}");
    has_payload(client, "text", "\"ü\"");
    has_payload(client, "a/b?c#d %", "[1]");
    has_payload(client, "none", "");
    phc_remote_config *config = fetch(client, "nul", PHC_NO_LIMIT, PHC_OK);
    size_t len = 0;
    const char *payload = phc_remote_config_payload(config, &len);
    CHECK_EQ(len, 3);
    CHECK(payload != NULL && memcmp(payload, "a\0b", 4) == 0);
    phc_remote_config_free(config);
    CHECK_EQ(summary("remote_config_requests"), 5);
    CHECK_EQ(summary("definition_requests"), 0);
    CHECK_EQ(summary("requests"), 0);
    char *sent = sink_get("_flags");
    CHECK_EQ(count(sent, "\"authorization\":\"Bearer phs_secret\""), 5);
    CHECK_EQ(count(sent, "\"query\":\"token=phc_blackbox_key\""), 5);
    CHECK_EQ(count(sent, "\"content-type\""), 0);
    CHECK_HAS(sent, "/a%2Fb%3Fc%23d%20%25/remote_config");
    free(sent);

    /* It outlives its client. */
    config = fetch(client, "limits", 20000, PHC_OK);
    finish(client);
    CHECK_STR(phc_remote_config_payload(config, NULL), "{\"max\":5}");
    phc_remote_config_free(config);
}

static void a_key_without_a_remote_config_is_no_failure(void) {
    sink_post("_remote_config", "{\"limits\":1}");
    phc_client *client = make_client(WITH_KEY, NULL);
    for (int i = 0; i < 5; i++) has_payload(client, "other", NULL);
    has_payload(client, "limits", "1");
    CHECK_EQ(summary("remote_config_requests"), 6);
    finish(client);
}

static void every_refusal_says_what_to_do(void) {
    sink_post("_remote_config", "{\"limits\":1}");
    phc_client *client = make_client(WITH_KEY, "flags_timeout_ms", "60000", NULL);
    const int statuses[] = {401, 402, 403, 429, 400, 500, 503};
    const char *reasons[] = {"secret key", "billing",  "feature_flag:read", "less often",
                             "HTTP 400",   "HTTP 500", "HTTP 503"};
    for (int i = 0; i < 7; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"steps\":[" CONFIG "\"status\":%d}]}", statuses[i]);
        script(text);
        sink_post("_clear", "");
        fetch_only(client, 60000, PHC_UNAVAILABLE);
        CHECK_HAS(phc_last_error(), reasons[i]);
        CHECK_EQ(phc_last_http_status(), statuses[i]);
        CHECK_EQ(summary("remote_config_requests"), 1);
    }
    const char *unreadable[] = {"\"body\":\"<html>\"", "\"body\":\"\\\"cut off\"", "\"body_size\":8388609"};
    for (int i = 0; i < 3; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"steps\":[" CONFIG "%s,\"times\":0}]}", unreadable[i]);
        script(text);
        fetch_only(client, 60000, PHC_UNAVAILABLE);
        CHECK_HAS(phc_last_error(), i < 2 ? "not JSON" : "more than 8 MiB");
        CHECK_EQ(phc_last_http_status(), 0);
    }
    respond_now();
    has_payload(client, "limits", "1");
    finish(client);
}

static void only_what_may_help_is_tried_again(void) {
    sink_post("_remote_config", "{\"limits\":{\"max\":5}}");
    phc_client *client = make_client(WITH_KEY, "flags_timeout_ms", "60000", NULL);
    const char *passing[] = {"\"status\":502", "\"status\":504", "\"close\":\"before_response\"",
                             "\"close\":\"mid_body\""};
    for (int i = 0; i < 4; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"steps\":[" CONFIG "%s}]}", passing[i]);
        script(text);
        sink_post("_clear", "");
        moment begun = begin();
        has_payload(client, "limits", "{\"max\":5}");
        CHECK_EQ(summary("remote_config_requests"), 2);
        CHECK(ms_since(begun) >= 295);
    }
    finish(client);
    script("{\"steps\":[" CONFIG "\"status\":502}]}");
    sink_post("_clear", "");
    client = make_client(WITH_KEY, "flags_max_retries", "0", NULL);
    fetch_only(client, 20000, PHC_UNAVAILABLE);
    CHECK_EQ(summary("remote_config_requests"), 1);
    finish(client);
}

static void a_time_limit_holds(void) {
    script("{\"steps\":[" CONFIG "\"never\":true,\"times\":0}]}");
    phc_client *client = make_client(WITH_KEY, "flags_timeout_ms", "60000", NULL);
    moment begun = begin();
    fetch_only(client, 200, PHC_TIMEOUT);
    CHECK(ms_since(begun) >= 195 && ms_had_since(begun) < 2000);
    finish(client);

    /* The client's own limit, although the call has none. */
    client = make_client(WITH_KEY, "flags_timeout_ms", "300", NULL);
    begun = begin();
    fetch_only(client, PHC_NO_LIMIT, PHC_TIMEOUT);
    CHECK(ms_since(begun) >= 295 && ms_had_since(begun) < 2000);
    finish(client);
}

static int responds(void *client) {
    phc_remote_config *config = NULL;
    phc_status status = phc_remote_config_fetch(client, "limits", 10000, &config);
    phc_remote_config_free(config);
    return status == PHC_OK;
}

static void an_outage_is_remembered_apart_from_that_of_flags(void) {
    sink_post("_remote_config", "{\"limits\":1}");
    sink_post("_flags", "{\"a\":true}");
    script("{\"steps\":[" CONFIG "\"status\":503,\"times\":0}]}");
    phc_client *client = make_client(WITH_KEY, "local_evaluation", "false", NULL);
    moment begun = begin();
    for (int i = 0; i < 3; i++) fetch_only(client, 10000, PHC_UNAVAILABLE);
    CHECK(strstr(phc_last_error(), "not asked") == NULL);
    int held = 0;
    for (int i = 0; i < 100; i++) {
        fetch_only(client, 10000, PHC_UNAVAILABLE);
        held += strstr(phc_last_error(), "requests for remote configs failed, and the server is not asked "
                                         "for a while") != NULL;
        CHECK_EQ(phc_last_http_status(), 503);
    }
    /* One more request in each second at most, should this process have stood still. */
    CHECK(100 - held <= ms_since(begun) / 1000);
    CHECK_EQ(summary("remote_config_requests"), 3 + 100 - held);

    phc_flags_query *query = phc_flags_query_new("user");
    phc_flags *flags = NULL;
    CHECK_EQ(phc_flags_evaluate(client, query, 10000, &flags), PHC_OK);
    CHECK_EQ(phc_flags_enabled(flags, "a", 0), 1);
    phc_flags_free(flags);
    phc_flags_query_free(query);

    respond_now();
    CHECK(await(responds, client));
    has_payload(client, "limits", "1");
    finish(client);
}

static void without_a_server_to_ask_nothing_is_sent(void) {
    phc_client *client = make_client(NULL, NULL);
    fetch_only(client, 20000, PHC_UNAVAILABLE);
    CHECK_HAS(phc_last_error(), "secret_key");
    finish(client);
    client = make_client(WITH_KEY, "test_mode", "true", NULL);
    fetch_only(client, 20000, PHC_UNAVAILABLE);
    CHECK_HAS(phc_last_error(), "test_mode");
    finish(client);
    client = make_client(WITH_KEY, NULL);
    fetch_only(client, 0, PHC_WOULD_WAIT);
    CHECK_HAS(phc_last_error(), "time limit");
    const char *impossible[] = {"", ".", ".."};
    for (int i = 0; i < 3; i++) {
        CHECK(fetch(client, impossible[i], 20000, PHC_INVALID_ARGUMENT) == NULL);
        CHECK_HAS(phc_last_error(), "key");
    }
    CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
    fetch_only(client, 20000, PHC_CLOSED);
    finish(client);
    phc_config *config = phc_config_new("");
    phc_config_set(config, "secret_key", "phs_secret");
    client = phc_client_new(config, NULL);
    phc_config_free(config);
    fetch_only(client, 20000, PHC_DISABLED);
    phc_client_free(client);
    CHECK_EQ(summary("remote_config_requests"), 0);
}

static void *fetch_and_be_ended(void *client) {
    fetch_only(client, PHC_NO_LIMIT, PHC_UNAVAILABLE);
    return NULL;
}

static void a_close_ends_what_waits(void) {
    script("{\"steps\":[" CONFIG "\"never\":true,\"times\":0}]}");
    phc_client *client = make_client(WITH_KEY, "flags_timeout_ms", "60000", NULL);
    pthread_t fetching[3];
    for (int i = 0; i < 3; i++) pthread_create(&fetching[i], NULL, fetch_and_be_ended, client);
    wait_for("remote_config_requests=3");
    moment begun = begin();
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    for (int i = 0; i < 3; i++) pthread_join(fetching[i], NULL);
    CHECK(ms_had_since(begun) < SOON_MS);
    finish(client);
}

static void a_child_fetches_by_itself(void) {
    sink_post("_remote_config", "{\"limits\":{\"max\":5},\"child\":7}");
    phc_client *client = make_client(WITH_KEY, NULL);
    phc_remote_config *inherited = fetch(client, "limits", 20000, PHC_OK);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_STR(phc_remote_config_payload(inherited, NULL), "{\"max\":5}");
        phc_remote_config_free(inherited);
        has_payload(client, "child", "7");
        phc_client_free(client);
        _exit(failed_checks() == 0 ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(summary("remote_config_requests"), 2);
    CHECK_STR(phc_remote_config_payload(inherited, NULL), "{\"max\":5}");
    phc_remote_config_free(inherited);
    has_payload(client, "limits", "{\"max\":5}");
    finish(client);
}

static void events_do_not_delay_a_remote_config(void) {
    sink_post("_remote_config", "{\"limits\":1}");
    script("{\"then\":{\"wait_for_script\":true}}");
    phc_client *client = make_client(WITH_KEY, "max_in_flight", "1", "flush_at", "1", NULL);
    capture(client, "slow");
    wait_for("requests=1");
    has_payload(client, "limits", "1");
    respond_now();
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    finish(client);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(a_payload_is_fetched_by_its_key),
        TEST(a_key_without_a_remote_config_is_no_failure),
        TEST(every_refusal_says_what_to_do),
        TEST(only_what_may_help_is_tried_again),
        TEST(a_time_limit_holds),
        TEST(an_outage_is_remembered_apart_from_that_of_flags),
        TEST(without_a_server_to_ask_nothing_is_sent),
        TEST(a_close_ends_what_waits),
        TEST(a_child_fetches_by_itself),
        TEST(events_do_not_delay_a_remote_config),
    };
    return RUN_TESTS(tests);
}
