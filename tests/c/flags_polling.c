/* Definitions of feature flags that are fetched from the server: when, how often, what each response changes, forks. */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ON "{\"flags\":[{\"key\":\"a\",\"active\":true,\"filters\":{\"groups\":[{}]}}]}"
#define OFF "{\"flags\":[{\"key\":\"a\",\"active\":false}]}"
#define DEFINITIONS "{\"when\":{\"endpoint\":\"definitions\"},"

static int value(phc_client *client) { return phc_flag_enabled(client, "a", "user", 7); }

typedef struct {
    phc_client *client;
    int wanted;
} expected;
static int has_value(void *about) {
    const expected *at = about;
    return value(at->client) == at->wanted;
}
static void becomes(phc_client *client, int wanted) {
    expected at = {client, wanted};
    CHECK(await(has_value, &at));
}

static void the_first_evaluation_begins_to_fetch(void) {
    sink_post("_definitions", ON);
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "3600000", NULL);
    capture(client, "event");
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("definition_requests"), 0);
    CHECK_EQ(value(client), 7);
    becomes(client, 1);
    CHECK_EQ(phc_flags_ready(client, 0), PHC_OK);
    char *sent = sink_get("_flags");
    CHECK_HAS(sent, "\"authorization\":\"Bearer phs_secret\"");
    CHECK_HAS(sent, "token=phc_blackbox_key");
    free(sent);
    CHECK_EQ(summary("definition_requests"), 1);
    CHECK_EQ(summary("flag_requests"), 0);
    finish(client);
}

static void without_a_secret_key_nothing_is_fetched(void) {
    phc_client *clients[] = {make_client(NULL, NULL),
                             make_client("secret_key", "phs_secret", "local_evaluation", "false", NULL),
                             make_client("secret_key", "phs_secret", "test_mode", "true", NULL)};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(value(clients[i]), 7);
        CHECK_EQ(phc_flags_ready(clients[i], 0), PHC_WOULD_WAIT);
        CHECK_EQ(phc_flags_ready(clients[i], 60000), PHC_UNAVAILABLE);
        CHECK_HAS(phc_last_error(), "secret_key");
        CHECK_EQ(phc_flags_reload(clients[i], 60000), PHC_UNAVAILABLE);
        finish(clients[i]);
    }
    CHECK_EQ(summary("definition_requests"), 0);
    phc_config *config = phc_config_new("phc_key");
    CHECK_EQ(phc_config_set(config, "secret_key", "phc_key"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "phs_");
    CHECK_EQ(phc_config_set(config, "secret_key", "phs_my secret"), PHC_INVALID_SETTING);
    CHECK(strstr(phc_last_error(), "phs_my") == NULL);
    phc_config_free(config);
}

static void ready_waits_for_the_first_definitions(void) {
    sink_post("_definitions", ON);
    script("{\"steps\":[" DEFINITIONS "\"status\":503}," DEFINITIONS "\"delay_ms\":100}]}");
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "100", NULL);
    CHECK_EQ(phc_flags_ready(client, 0), PHC_WOULD_WAIT);
    CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);
    CHECK_EQ(value(client), 1);
    finish(client);

    script("{\"steps\":[" DEFINITIONS "\"never\":true,\"times\":0}]}");
    client = make_client("secret_key", "phs_secret", NULL);
    moment begun = begin();
    CHECK_EQ(phc_flags_ready(client, 100), PHC_TIMEOUT);
    CHECK(ms_since(begun) >= 95 && ms_had_since(begun) < 2000);
    finish(client);

    /* What the server refuses is not waited for. */
    script("{\"steps\":[" DEFINITIONS "\"status\":401,\"times\":0}]}");
    client = make_client("secret_key", "phs_secret", NULL);
    begun = begin();
    CHECK_EQ(phc_flags_ready(client, 60000), PHC_UNAVAILABLE);
    CHECK_HAS(phc_last_error(), "HTTP 401");
    CHECK_EQ(phc_last_http_status(), 401);
    CHECK(ms_had_since(begun) < SOON_MS);
    finish(client);
}

static void definitions_are_fetched_again_and_again(void) {
    sink_post("_definitions", ON);
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "50", NULL);
    CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);
    CHECK_EQ(value(client), 1);
    wait_for("definition_requests=4");
    char *sent = sink_get("_flags");
    CHECK(count(sent, "\"if-none-match\":\"W/\\\"") >= 3);
    CHECK(count(sent, "\"status\":304") >= 3);
    free(sent);
    sink_post("_definitions", OFF);
    becomes(client, 0);
    sink_post("_definitions", ON);
    becomes(client, 1);
    finish(client);
}

static void what_was_fetched_survives_failures(void) {
    sink_post("_definitions", ON);
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "20", NULL);
    CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);
    const char *failures[] = {"\"status\":500", "\"status\":503",         "\"body\":\"<html>\"",
                              "\"body\":\"{\"", "\"close\":\"mid_body\"", "\"close\":\"before_response\""};
    for (int i = 0; i < 6; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"steps\":[" DEFINITIONS "%s,\"times\":0}]}", failures[i]);
        script(text);
        sink_post("_clear", "");
        wait_for("definition_requests=3");
        CHECK_EQ(value(client), 1);
    }
    respond_now();
    sink_post("_definitions", OFF);
    becomes(client, 0);
    finish(client);
}

static void a_refusal_backs_off(void) {
    const int statuses[] = {401, 403, 429, 402};
    for (int i = 0; i < 4; i++) {
        sink_post("_definitions", ON);
        respond_now();
        phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "20", NULL);
        CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);
        char text[200];
        snprintf(text, sizeof text, "{\"steps\":[" DEFINITIONS "\"status\":%d}]}", statuses[i]);
        script(text);
        sink_post("_definitions", OFF);
        /* The one that is refused, and after it none for most of a minute. */
        CHECK_EQ(phc_flags_reload(client, 20000), PHC_UNAVAILABLE);
        CHECK_HAS(phc_last_error(), "HTTP 4");
        CHECK_EQ(phc_last_http_status(), statuses[i]);
        long long before = summary("definition_requests");
        moment begun = begin();
        while (ms_since(begun) < 300) usleep(10000);
        CHECK_EQ(summary("definition_requests"), before);
        /* Definitions stay, but for a project that has used up its requests. */
        CHECK_EQ(value(client), statuses[i] == 402 ? 7 : 1);
        CHECK_EQ(phc_flags_reload(client, 20000), PHC_OK);
        CHECK_EQ(value(client), 0);
        finish(client);
        sink_post("_clear", "");
    }
}

static void a_reload_fetches_at_once(void) {
    sink_post("_definitions", ON);
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "0", NULL);
    CHECK_EQ(phc_flags_reload(client, 20000), PHC_OK);
    CHECK_EQ(value(client), 1);
    CHECK_EQ(summary("definition_requests"), 1);
    sink_post("_definitions", OFF);
    CHECK_EQ(phc_flags_reload(client, 20000), PHC_OK);
    CHECK_EQ(value(client), 0);
    CHECK_EQ(summary("definition_requests"), 2);
    sink_post("_definitions", ON);
    CHECK_EQ(phc_flags_reload(client, 0), PHC_WOULD_WAIT);
    becomes(client, 1);
    CHECK_EQ(summary("definition_requests"), 3);
    script("{\"steps\":[" DEFINITIONS "\"never\":true}]}");
    CHECK_EQ(phc_flags_reload(client, 50), PHC_TIMEOUT);
    CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
    CHECK_EQ(phc_flags_reload(client, 20000), PHC_CLOSED);
    CHECK_EQ(value(client), 1);
    finish(client);
}

static void nothing_is_fetched_while_no_flag_is_evaluated(void) {
    sink_post("_definitions", ON);
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "20",
                                     "flags_idle_pause_ms", "100", NULL);
    CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);
    /* It pauses: for a while as long as fifteen requests none comes, and what is changed then is not known. On a busy
     * machine none may come although it has not paused, so there are several tries. */
    int is_old = 0;
    for (int i = 0; i < 60 && !is_old; i++) {
        long long before = summary("definition_requests");
        usleep(300000);
        if (summary("definition_requests") != before) continue;
        sink_post("_definitions", OFF);
        is_old = value(client) == 1;
        becomes(client, 0);
        sink_post("_definitions", ON);
        becomes(client, 1);
    }
    CHECK(is_old);
    finish(client);
}

/* Stops this process, from a child, as soon as the server has got the request; lets it go on when the time limit of the
 * request is long over, and the response has long arrived. */
static pid_t be_stopped_during_a_request(void) {
    pid_t stopped = getpid(), pid = fork();
    if (pid != 0) return pid;
    if (!wait_for("definition_requests=1")) _exit(1);
    kill(stopped, SIGSTOP);
    usleep(1000000);
    kill(stopped, SIGCONT);
    _exit(0);
}

static void a_response_that_came_while_the_process_stood_still_is_read(void) {
    sink_post("_definitions", ON);
    script("{\"steps\":[" DEFINITIONS "\"delay_ms\":200}]}");
    pid_t pid = be_stopped_during_a_request();
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "0",
                                     "flags_definitions_timeout_ms", "500", NULL);
    CHECK_EQ(phc_flags_reload(client, 20000), PHC_OK);
    CHECK_EQ(value(client), 1);
    CHECK_EQ(summary("definition_requests"), 1);
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    finish(client);
}

static void *wait_and_be_ended(void *client) {
    CHECK_EQ(phc_flags_ready(client, 60000), PHC_CLOSED);
    return NULL;
}

static void a_close_ends_fetching(void) {
    script("{\"steps\":[" DEFINITIONS "\"never\":true}]}");
    phc_client *client =
        make_client("secret_key", "phs_secret", "flags_definitions_timeout_ms", "60000", NULL);
    pthread_t waiting;
    pthread_create(&waiting, NULL, wait_and_be_ended, client);
    wait_for("definition_requests=1");
    moment begun = begin();
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    pthread_join(waiting, NULL);
    CHECK(ms_had_since(begun) < SOON_MS);
    finish(client);
    CHECK_EQ(threads_fall_to(0, "phc-"), 0);
}

static void a_child_fetches_by_itself(void) {
    sink_post("_definitions", ON);
    phc_client *client = make_client("secret_key", "phs_secret", "flags_poll_interval_ms", "20", NULL);
    CHECK_EQ(phc_flags_ready(client, 20000), PHC_OK);
    for (int i = 0; i < 10; i++) {
        sink_post("_definitions", ON);
        becomes(client, 1);
        int go[2];
        CHECK_EQ(pipe(go), 0);
        pid_t pid = fork();
        if (pid == 0) {
            /* What was inherited, then what the child itself has fetched. */
            char byte;
            int ok = value(client) == 1 && read(go[0], &byte, 1) == 1;
            expected at = {client, 0};
            ok = ok && await(has_value, &at) && phc_flags_reload(client, 20000) == PHC_OK;
            phc_client_free(client);
            _exit(ok ? 0 : 1);
        }
        sink_post("_definitions", OFF);
        CHECK_EQ(write(go[1], "x", 1), 1);
        int status = -1;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        close(go[0]);
        close(go[1]);
    }
    finish(client);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(the_first_evaluation_begins_to_fetch),
        TEST(without_a_secret_key_nothing_is_fetched),
        TEST(ready_waits_for_the_first_definitions),
        TEST(definitions_are_fetched_again_and_again),
        TEST(what_was_fetched_survives_failures),
        TEST(a_refusal_backs_off),
        TEST(a_reload_fetches_at_once),
        TEST(nothing_is_fetched_while_no_flag_is_evaluated),
        TEST(a_response_that_came_while_the_process_stood_still_is_read),
        TEST(a_close_ends_fetching),
        TEST(a_child_fetches_by_itself),
    };
    return RUN_TESTS(tests);
}
