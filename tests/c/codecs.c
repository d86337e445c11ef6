/* Compression: the server understands each codec; a codec that it refuses is replaced by gzip. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void deliver(const char *codec, const char *encoding) {
    phc_client *client = make_client("compression", codec, NULL);
    for (int i = 0; i < 300; i++)
        CHECK_EQ(phc_capture(client, "user", "event", "{\"text\":\"the same again and again\"}"), PHC_OK);
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *requests = sink_get("_requests"), expected[64];
    snprintf(expected, sizeof expected, "\"encoding\":\"%s\"", encoding);
    CHECK(count(requests, expected) > 0);
    CHECK_EQ(count(requests, expected), count(requests, "\"n\":"));
    free(requests);
    phc_stats stats = stats_of(client);
    CHECK_EQ(stats.delivered, 300);
    if (strcmp(codec, "none") == 0) {
        CHECK_EQ(stats.sent_bytes, stats.body_bytes);
    } else {
        CHECK(stats.sent_bytes * 2 < stats.body_bytes);
    }
    finish(client);
}

static void none(void) { deliver("none", "identity"); }
static void gzip(void) { deliver("gzip", "gzip"); }
static void deflate(void) { deliver("deflate", "deflate"); }
static void zstd(void) { deliver("zstd", "zstd"); }
static void br(void) { deliver("br", "br"); }

static void every_level_is_understood(void) {
    const char *codecs[] = {"gzip", "deflate", "zstd", "br"};
    const char *levels[] = {"0", "1", "2", "3", "11"};
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 5; j++) {
            if (strcmp(codecs[i], "zstd") == 0 && strcmp(levels[j], "11") == 0) continue;
            phc_client *client = make_client("compression", codecs[i], "compression_level", levels[j], NULL);
            capture(client, "event");
            CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
            finish(client);
        }
    }
}

static void a_level_that_is_not_built_is_refused(void) {
    phc_config *config = phc_config_new("phc_test");
    CHECK_EQ(phc_config_set(config, "compression_level", "12"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "0 to 11");
    CHECK_EQ(phc_config_set(config, "compression_level", "4"), PHC_OK);
    phc_status status = PHC_OK;
    CHECK(phc_client_new(config, &status) == NULL);
    CHECK_EQ(status, PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "use 3 or less, or another compression");
    CHECK_EQ(phc_config_set(config, "compression", "gzip"), PHC_OK);
    phc_client *client = phc_client_new(config, &status);
    CHECK(client != NULL);
    phc_client_free(client);
    phc_config_free(config);
}

static void a_small_body_is_compressed_too(void) {
    phc_client *client = make_client("compression", "gzip", NULL);
    capture(client, "event");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    char *requests = sink_get("_requests");
    CHECK_HAS(requests, "\"content-encoding\":\"gzip\"");
    free(requests);
    finish(client);
}

static void a_415_makes_it_gzip_for_life_and_costs_no_retry(void) {
    script("{\"steps\":[{\"when\":{\"encoding\":\"zstd\"},\"status\":415,\"times\":0}]}");
    phc_client *client = make_client("compression", "zstd", "max_retries", "0", NULL);
    for (int i = 0; i < 3; i++) {
        capture(client, "event");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    }
    CHECK_EQ(status_count(415), 1);
    CHECK_EQ(status_count(200), 3);
    char *requests = sink_get("_requests");
    CHECK(strcmp(nth_string(requests, "posthog-attempt", 1), "2") == 0);
    free(requests);
    finish(client);
}

static void a_415_to_gzip_is_final(void) {
    script("{\"then\":{\"status\":415}}");
    phc_client *client = make_client("compression", "gzip", NULL);
    capture(client, "event");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(summary("requests"), 1);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(none),
        TEST(gzip),
        TEST(deflate),
        TEST(zstd),
        TEST(br),
        TEST(every_level_is_understood),
        TEST(a_level_that_is_not_built_is_refused),
        TEST(a_small_body_is_compressed_too),
        TEST(a_415_makes_it_gzip_for_life_and_costs_no_retry),
        TEST(a_415_to_gzip_is_final),
    };
    return RUN_TESTS(tests);
}
