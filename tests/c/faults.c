/*
 * Programs with a fault, to prove that the sanitizers see through the library's
 * boundary. PHC_FAULT names one; xtask/src/sanitize.rs says who must catch it.
 */
#include "harness.h"

#include <pthread.h>
#include <stdlib.h>

/* The library reads a report that it was told to free. */
static void a_report_is_read_after_its_free(void) {
    phc_client *client = make_client("flush_at", "1", NULL);
    phc_capture(client, "user", "event", NULL);
    phc_report *report = phc_poll(client, 10000);
    phc_report_free(report);
    CHECK(phc_report_attempt(report) < 1000);
    phc_client_free(client);
}

/* The library writes into a buffer that is smaller than the host says. */
static void a_buffer_is_smaller_than_told(void) {
    phc_client *client = make_client(NULL, NULL);
    char *json = malloc(16);
    CHECK(phc_stats_json(client, json, 4096) > 16);
    free(json);
    phc_client_free(client);
}

static void a_client_is_never_freed(void) {
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_client_close(client, 1000), PHC_OK);
}

static volatile long long unguarded;
static int32_t count_unguarded(phc_outgoing *event, void *user_data) {
    (void)event;
    (void)user_data;
    unguarded++;
    return PHC_KEEP;
}

static void *capture_some(void *client) {
    for (int i = 0; i < 100; i++) phc_capture(client, "user", "event", NULL);
    return NULL;
}

/* Two threads write without a lock, both from deep inside the library: no
 * suppression may hide that. */
static void a_callback_writes_without_a_lock(void) {
    phc_client *client = make_client(NULL, NULL);
    phc_set_before_send_callback(client, count_unguarded, NULL, NULL);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, capture_some, client);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    phc_client_free(client);
}

int main(void) {
    const test_case tests[] = {
        TEST(a_report_is_read_after_its_free),
        TEST(a_buffer_is_smaller_than_told),
        TEST(a_client_is_never_freed),
        TEST(a_callback_writes_without_a_lock),
    };
    char *argv[] = {"faults", getenv("PHC_FAULT")};
    int argc = argv[1] == NULL ? 1 : 2;
    return RUN_TESTS(tests);
}
