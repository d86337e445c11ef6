/* Compression that takes long: it holds up no other client, and ends with its client. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREAD "phc-compress"

/* So many KiB of events, no two alike. */
static void capture_kib(phc_client *client, int kib) {
    static unsigned random = 1;
    char properties[1100] = "{\"text\":\"";
    size_t start = strlen(properties);
    for (int i = 0; i < kib; i++) {
        size_t at = start;
        while (at < start + 900)
            properties[at++] = "etaoin shrdlu cmfwyp"[(random = random * 1103515245 + 12345) >> 16 & 15];
        strcpy(properties + at, "\"}");
        CHECK_EQ(phc_capture(client, "user", "large", properties), PHC_OK);
    }
}

/* The longest of some flushes of one event, without what the machine takes from this process. */
static double longest_flush(phc_client *client, int times) {
    double longest = 0;
    for (int i = 0; i < times; i++) {
        double took, before = descheduled_ms();
        free(one_event(client, PHC_OK, &took));
        took -= descheduled_ms() - before;
        if (took > longest) longest = took;
    }
    return longest;
}

static void a_slow_codec_delays_no_other_client(void) {
    phc_client *slow = make_client("compression", "br", "compression_level", "11", NULL);
    phc_client *other = make_client(NULL, NULL);
    longest_flush(other, 3);
    double alone = longest_flush(other, 20);
    capture_kib(slow, 2000);
    CHECK_EQ(phc_flush(slow, 0, NULL, 0), PHC_TIMEOUT);
    CHECK_EQ(thread_appears(THREAD), 1);
    double meanwhile = longest_flush(other, 20);
    int still = thread_count(THREAD);
    printf("   a flush takes %.1f ms alone and %.1f ms meanwhile\n", alone, meanwhile);
    CHECK_EQ(still, 1);
    check_at(meanwhile <= alone + 100, __FILE__, __LINE__, "%.1f ms, alone %.1f ms", meanwhile, alone);
    CHECK_EQ(phc_client_close(slow, 0), PHC_LOST_EVENTS);
    finish(slow);
    finish(other);
}

static void a_free_ends_the_compression(void) {
    phc_client *slow =
        make_client("compression", "br", "compression_level", "11", "shutdown_timeout_ms", "0", NULL);
    capture_kib(slow, 1000);
    CHECK_EQ(phc_flush(slow, 0, NULL, 0), PHC_TIMEOUT);
    CHECK_EQ(thread_appears(THREAD), 1);
    double start = now_ms();
    finish(slow);
    printf("   the free took %.0f ms\n", now_ms() - start);
    CHECK(now_ms() - start < SOON_MS);
    CHECK_EQ(threads_fall_to(0, "phc-"), 0);
    CHECK_EQ(summary("requests"), 0);
}

static void a_child_forked_during_the_compression_works(void) {
    phc_client *client = make_client("compression", "br", "compression_level", "9", NULL);
    capture_kib(client, 1000);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_TIMEOUT);
    CHECK_EQ(thread_appears(THREAD), 1);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        capture_kib(client, 300);
        phc_status status = phc_flush(client, 50000, NULL, 0);
        phc_client_free(client);
        _exit((int)status);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(phc_flush(client, 50000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).delivered, 1000);
    CHECK_EQ(summary("accepted"), 1300);
    finish(client);
}

static void many_clients_compress_on_a_few_threads(void) {
    enum { CLIENTS = 7 };
    phc_client *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = make_client("compression", "br", "compression_level", "9", "flush_at", "400", NULL);
        capture_kib(clients[i], 400);
    }
    int most = 0;
    while (summary("accepted") < CLIENTS * 400) {
        int threads = thread_count(THREAD);
        if (threads > most) most = threads;
    }
    printf("   %d threads at once\n", most);
    check_at(most >= 2 && most <= 4, __FILE__, __LINE__, "%d threads at once", most);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ(phc_flush(clients[i], 20000, NULL, 0), PHC_OK);
        finish(clients[i]);
    }
    CHECK_EQ(summary("requests"), CLIENTS);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_slow_codec_delays_no_other_client),
        TEST(a_free_ends_the_compression),
        TEST(a_child_forked_during_the_compression_works),
        TEST(many_clients_compress_on_a_few_threads),
    };
    return RUN_TESTS(tests);
}
