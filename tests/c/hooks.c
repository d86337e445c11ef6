/* before_send: the host's say on each event, on the capturing thread. */
#include "harness.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static phc_client *hooked;
static pthread_t capturing;

static int decide(phc_outgoing *event, void *user_data) {
    CHECK(pthread_equal(pthread_self(), capturing));
    ++*(int *)user_data;
    size_t len = 0;
    const char *json = phc_outgoing_json(event, &len);
    CHECK_EQ(strlen(json), len);
    CHECK_HAS(json, "\"distinct_id\":\"user\"");
    CHECK_HAS(json, "\"timestamp\":\"");
    CHECK_EQ(phc_capture(hooked, "user", "inside", NULL), PHC_REENTRANT);
    CHECK_EQ(phc_flush(hooked, 10, NULL, 0), PHC_REENTRANT);
    if (strstr(json, "\"event\":\"dropped\"") != NULL) return PHC_DROP;
    if (strstr(json, "\"event\":\"odd\"") != NULL) return 77;
    if (strstr(json, "\"event\":\"broken\"") != NULL) {
        CHECK_EQ(phc_outgoing_replace(event, "{", 1), PHC_OK);
        return PHC_KEEP;
    }
    if (strstr(json, "\"event\":\"changed\"") != NULL) {
        const char *other =
            "{\"event\":\"other\",\"distinct_id\":\"somebody\",\"properties\":{\"$session_id\":\"s\",\"n\":1.0}}";
        CHECK_EQ(phc_outgoing_replace(event, "soon overwritten", 4), PHC_OK);
        CHECK_EQ(phc_outgoing_replace(event, other, strlen(other)), PHC_OK);
        CHECK_EQ(phc_outgoing_replace(event, NULL, 1), PHC_INVALID_ARGUMENT);
        CHECK_EQ(phc_outgoing_replace(NULL, other, 1), PHC_INVALID_ARGUMENT);
    }
    return PHC_KEEP;
}

static void it_keeps_changes_and_drops(void) {
    phc_client *client = hooked = make_client("disable_geoip", "true", NULL);
    capturing = pthread_self();
    int calls = 0;
    CHECK_EQ(phc_set_before_send_callback(client, decide, &calls, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "kept", NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "dropped", NULL), PHC_BEFORE_SEND);
    CHECK_EQ(phc_capture(client, "user", "odd", NULL), PHC_BEFORE_SEND);
    CHECK_EQ(phc_capture(client, "user", "broken", NULL), PHC_BEFORE_SEND);
    CHECK_HAS(phc_last_error(), "before_send made an event that is refused");
    char uuid[37] = "";
    const char *changed = "{\"event\":\"changed\",\"distinct_id\":\"user\"}";
    CHECK_EQ(phc_capture_json(client, changed, strlen(changed), uuid), PHC_OK);
    CHECK_EQ(calls, 5);
    CHECK_EQ(phc_set_before_send_callback(client, NULL, NULL, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "dropped", NULL), PHC_OK);
    CHECK_EQ(calls, 5);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *events = sink_get("_events");
    CHECK_EQ(count(events, "\"kept\""), 1);
    CHECK_EQ(count(events, "\"dropped\""), 1);
    CHECK_HAS(events, "\"session_id\":\"s\"");
    CHECK_HAS(events, "\"n\":1.0");
    CHECK_HAS(events, uuid);
    free(events);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.captured, 3);
    CHECK_EQ(stats.refused, 3 + 5); /* those from inside the hook, too */
    finish(client);
}

static int drop_all(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    return PHC_DROP;
}

static void a_binding_counts_what_its_own_hook_drops(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_count_dropped(client), PHC_OK);
    CHECK_EQ(phc_count_dropped(NULL), PHC_INVALID_ARGUMENT);
    char text[1024];
    phc_stats_json(client, text, sizeof text);
    CHECK_HAS(text, "\"refused\":{\"before_send\":1}");
    finish(client);
}

static volatile int inside, leave, left;
static int linger(phc_outgoing *event, void *user_data) {
    (void)event, (void)user_data;
    inside = 1;
    while (!leave) usleep(500);
    left = 1;
    return PHC_KEEP;
}

static void *capture_one(void *client) {
    CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_OK);
    return NULL;
}

static void *let_go(void *unused) {
    usleep(50000);
    leave = 1;
    return unused;
}

static int freed;
static void on_free(void *user_data) {
    (void)user_data;
    CHECK(left);
    freed++;
}

static void a_replaced_hook_runs_no_more_when_the_call_returns(void) {
    phc_client *client = make_client(NULL, NULL);
    inside = leave = left = freed = 0;
    CHECK_EQ(phc_set_before_send_callback(client, linger, NULL, on_free), PHC_OK);
    pthread_t capturer, releaser;
    pthread_create(&capturer, NULL, capture_one, client);
    double start = now_ms();
    while (!inside && now_ms() - start < 10000) usleep(500);
    pthread_create(&releaser, NULL, let_go, NULL);
    CHECK_EQ(phc_set_before_send_callback(client, drop_all, NULL, NULL), PHC_OK);
    CHECK(left);
    pthread_join(capturer, NULL);
    pthread_join(releaser, NULL);
    CHECK_EQ(phc_capture(client, "user", "b", NULL), PHC_BEFORE_SEND);
    CHECK_EQ(freed, 1);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

static int replace_itself(phc_outgoing *event, void *client) {
    (void)event;
    CHECK_EQ(phc_set_before_send_callback(client, drop_all, NULL, NULL), PHC_OK);
    return PHC_KEEP;
}

static void a_hook_may_replace_itself(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_set_before_send_callback(client, replace_itself, client, NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_OK);
    CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_BEFORE_SEND);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    finish(client);
}

static int count_calls(phc_outgoing *event, void *calls) {
    (void)event;
    __atomic_add_fetch((int *)calls, 1, __ATOMIC_SEQ_CST);
    return PHC_KEEP;
}

static void *capture_many(void *client) {
    for (int i = 0; i < 2000; i++) CHECK_EQ(phc_capture(client, "user", "a", NULL), PHC_OK);
    return NULL;
}

static void many_threads_are_asked_at_once(void) {
    phc_client *client = make_client(NULL, NULL);
    int calls = 0;
    CHECK_EQ(phc_set_before_send_callback(client, count_calls, &calls, NULL), PHC_OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, capture_many, client);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(calls, 8000);
    CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
    CHECK_EQ(summary("accepted"), 8000);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(it_keeps_changes_and_drops),
        TEST(a_binding_counts_what_its_own_hook_drops),
        TEST(a_replaced_hook_runs_no_more_when_the_call_returns),
        TEST(a_hook_may_replace_itself),
        TEST(many_threads_are_asked_at_once),
    };
    return RUN_TESTS(tests);
}
