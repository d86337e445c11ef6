/* What a program can ask the library about itself: versions, statuses, reasons, settings, counters. */
#include "harness.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if PHC_VERSION_NUMBER < 0x000100 || PHC_ABI_VERSION < 1
#error "the preprocessor can compare them"
#endif

_Static_assert(PHC_NO_LIMIT == UINT32_MAX && PHC_UUID_SIZE == 37, "these numbers are part of the interface");

static void the_versions_agree(void) {
    char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", PHC_VERSION_MAJOR, PHC_VERSION_MINOR, PHC_VERSION_PATCH);
    CHECK_STR(PHC_VERSION, text);
    CHECK_EQ(PHC_VERSION_NUMBER, PHC_VERSION_MAJOR << 16 | PHC_VERSION_MINOR << 8 | PHC_VERSION_PATCH);
    CHECK_STR(phc_version(), PHC_VERSION);
    CHECK_EQ(phc_version_number(), PHC_VERSION_NUMBER);
    CHECK_EQ(phc_abi_version(), PHC_ABI_VERSION);
}

static void every_status_has_a_name_and_a_message(void) {
    CHECK_STR(phc_status_name(PHC_OK), "ok");
    CHECK_STR(phc_status_name(PHC_QUEUE_FULL), "queue_full");
    CHECK_STR(phc_status_name(PHC_OUT_OF_RESOURCES), "out_of_resources");
    CHECK_STR(phc_status_name(PHC_UNAVAILABLE), "unavailable");
    CHECK_STR(phc_status_name(PHC_WOULD_WAIT), "would_wait");
    CHECK_STR(phc_status_name(PHC_SPOOL), "spool");
    for (phc_status i = 0; i <= PHC_SPOOL; i++) {
        CHECK(phc_status_name(i)[0] != '\0' && strcmp(phc_status_name(i), "unknown") != 0);
        CHECK(phc_status_message(i)[0] != '\0');
        for (phc_status j = 0; j < i; j++) {
            CHECK(strcmp(phc_status_name(i), phc_status_name(j)) != 0);
            CHECK(strcmp(phc_status_message(i), phc_status_message(j)) != 0);
        }
    }
    const phc_status unknown[] = {PHC_SPOOL + 1, PHC_STATUS_SLOTS, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        CHECK_STR(phc_status_name(unknown[i]), "unknown");
        CHECK_HAS(phc_status_message(unknown[i]), "unknown");
    }
}

static void every_reason_has_a_name(void) {
    CHECK_STR(phc_loss_name(PHC_LOSS_NONE), "delivered");
    CHECK_STR(phc_loss_name(PHC_LOSS_MALFORMED_RESPONSE), "malformed_response");
    CHECK_STR(phc_loss_name(PHC_LOSS_EXPIRED), "expired");
    CHECK_STR(phc_loss_name(PHC_LOSS_CORRUPT), "corrupt");
    CHECK_STR(phc_loss_name(PHC_LOSS_DISCARDED), "discarded");
    for (phc_loss i = 0; i <= PHC_LOSS_DISCARDED; i++) {
        CHECK(phc_loss_name(i)[0] != '\0' && strcmp(phc_loss_name(i), "unknown") != 0);
        for (phc_loss j = 0; j < i; j++) CHECK(strcmp(phc_loss_name(i), phc_loss_name(j)) != 0);
    }
    const phc_loss unknown[] = {PHC_LOSS_DISCARDED + 1, PHC_LOSS_SLOTS, -1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        CHECK_STR(phc_loss_name(unknown[i]), "unknown");
}

/* Sets a value, and reads it back. */
static void check_round_trip(phc_config *config, const char *key, const char *value, const char *read_back) {
    phc_status status = phc_config_set(config, key, value);
    check_at(status == PHC_OK, __FILE__, __LINE__, "%s = \"%s\": %s", key, value, phc_last_error());
    const char *now = phc_config_get(config, key);
    check_at(now != NULL && strcmp(now, read_back) == 0, __FILE__, __LINE__,
             "%s = \"%s\" reads back as \"%s\"", key, value, now == NULL ? "NULL" : now);
}

static void check_refused(phc_config *config, const char *key, const char *value, const char *part) {
    char before[512];
    snprintf(before, sizeof before, "%s", phc_config_get(config, key));
    check_at(phc_config_set(config, key, value) == PHC_INVALID_SETTING, __FILE__, __LINE__,
             "%s = \"%s\" was accepted", key, value);
    CHECK_HAS(phc_last_error(), key);
    CHECK_HAS(phc_last_error(), part);
    CHECK_STR(phc_config_get(config, key), before);
}

static void check_words(phc_config *config, const phc_setting *setting) {
    char words[512];
    snprintf(words, sizeof words, "%s", setting->accepted);
    size_t found = 0;
    for (char *rest = words, *word; (word = strtok_r(rest, ", ", &rest)) != NULL; found++) {
        /* In a build without brotli this one is known and refused. */
        if (strcmp(word, "br") == 0 && phc_config_set(config, setting->key, word) != PHC_OK) continue;
        check_round_trip(config, setting->key, word, word);
    }
    CHECK(found >= 2);
    check_refused(config, setting->key, "no such word", setting->accepted);
}

static void every_setting_is_described_read_and_set(void) {
    size_t settings = phc_setting_count();
    CHECK(settings > 20);
    phc_config *config = phc_config_new("phc_test");
    for (size_t i = 0; i < settings; i++) {
        phc_setting setting, other;
        CHECK_EQ(phc_setting_at(i, &setting, sizeof setting), PHC_OK);
        for (size_t j = 0; j < i; j++) {
            CHECK_EQ(phc_setting_at(j, &other, sizeof other), PHC_OK);
            CHECK(strcmp(setting.key, other.key) != 0);
        }
        const char *value = phc_config_get(config, setting.key);
        check_at(value != NULL && strcmp(value, setting.default_value) == 0, __FILE__, __LINE__,
                 "%s is \"%s\", not \"%s\"", setting.key, value == NULL ? "NULL" : value,
                 setting.default_value);
        check_round_trip(config, setting.key, setting.default_value, setting.default_value);
        if (strcmp(setting.kind, "integer") == 0) {
            long long least, most;
            CHECK_EQ(sscanf(setting.accepted, "%lld to %lld", &least, &most), 2);
            char text[32];
            snprintf(text, sizeof text, "%lld", least);
            check_round_trip(config, setting.key, text, text);
            snprintf(text, sizeof text, "%lld", most);
            check_round_trip(config, setting.key, text, text);
            snprintf(text, sizeof text, "%lld", most + 1);
            check_refused(config, setting.key, text, setting.accepted);
            snprintf(text, sizeof text, "%lld", least - 1);
            check_refused(config, setting.key, text, setting.accepted);
            check_refused(config, setting.key, "1.5", setting.accepted);
        } else if (strcmp(setting.kind, "bool") == 0) {
            CHECK_STR(setting.accepted, "true, 1, false, 0");
            check_round_trip(config, setting.key, "1", "true");
            check_round_trip(config, setting.key, "0", "false");
            check_round_trip(config, setting.key, " true ", "true");
            check_refused(config, setting.key, "yes", "true or false");
        } else if (strcmp(setting.kind, "word") == 0) {
            check_words(config, &setting);
        } else if (strcmp(setting.kind, "list") == 0) {
            check_round_trip(config, setting.key, " 500 , 429,", "500,429");
            check_round_trip(config, setting.key, "", "");
            if (strcmp(setting.accepted, "texts, separated by commas") != 0)
                check_refused(config, setting.key, "200", "300 to 599");
        } else {
            check_at(strcmp(setting.kind, "text") == 0, __FILE__, __LINE__, "%s is a %s", setting.key,
                     setting.kind);
            CHECK_STR(setting.accepted, "");
        }
        check_round_trip(config, setting.key, setting.default_value, setting.default_value);
    }
    phc_setting past;
    CHECK_EQ(phc_setting_at(settings, &past, sizeof past), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "phc_setting_count");
    CHECK_EQ(phc_setting_at(SIZE_MAX, &past, sizeof past), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_setting_at(0, NULL, sizeof past), PHC_OK);
    /* With all of them back at their defaults, it makes a client. */
    phc_client *client = phc_client_new(config, NULL);
    CHECK(client != NULL);
    phc_client_free(client);
    phc_config_free(config);
}

static void a_setting_that_is_not_known_cannot_be_read(void) {
    phc_config *config = phc_config_new("phc_test");
    CHECK(phc_config_get(config, "flush_att") == NULL);
    CHECK_HAS(phc_last_error(), "flush_att");
    CHECK_HAS(phc_last_error(), "did you mean \"flush_at\"");
    CHECK(phc_config_get(config, "") == NULL);
    CHECK(phc_config_get(config, NULL) == NULL);
    CHECK_HAS(phc_last_error(), "key is NULL");
    CHECK(phc_config_get(NULL, "flush_at") == NULL);
    CHECK_HAS(phc_last_error(), "config is NULL");
    CHECK(phc_config_get(config, "flush_\xff") == NULL);
    /* One header is a setting of its own. */
    CHECK_EQ(phc_config_set(config, "header.X-Test", "1"), PHC_OK);
    CHECK_STR(phc_config_get(config, "header.x-test"), "1");
    phc_config_free(config);
}

static void settings_are_checked(void) {
    phc_config *config = phc_config_new("key");
    CHECK_EQ(phc_config_set(config, "flush_att", "1"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "did you mean \"flush_at\"");
    CHECK_EQ(phc_config_set(config, "flush_at", "-1"), PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "1 to 100000");
    phc_config_free(config);
    config = phc_config_new("key");
    CHECK_EQ(phc_config_set(config, "ca_file", "/no/such/file"), PHC_OK);
    phc_status status = PHC_OK;
    CHECK(phc_client_new(config, &status) == NULL);
    CHECK_EQ(status, PHC_INVALID_SETTING);
    CHECK_HAS(phc_last_error(), "/no/such/file");
    status = PHC_OK;
    CHECK(phc_client_open("checked", config, &status) == NULL);
    CHECK_EQ(status, PHC_INVALID_SETTING);
    phc_config_free(config);
    config = phc_config_new("bad\nkey");
    CHECK(phc_client_new(config, NULL) == NULL);
    CHECK_HAS(phc_last_error(), "project key");
    phc_config_free(config);
}

/* Both ways to make a client fail with this text. */
static void check_no_client(const phc_config *config, phc_status expected, const char *part) {
    phc_status status = PHC_OK;
    CHECK(phc_client_new(config, &status) == NULL);
    CHECK_EQ(status, expected);
    CHECK_HAS(phc_last_error(), part);
    status = PHC_OK;
    CHECK(phc_client_open("refused", config, &status) == NULL);
    CHECK_EQ(status, expected);
    CHECK_HAS(phc_last_error(), part);
}

/* A host that does not look at the status of phc_config_set sends nothing to the default host. */
static void a_refused_setting_leaves_no_client(void) {
    phc_config *config = phc_config_new("phc_test");
    CHECK_EQ(phc_config_set(config, "host", "not a host"), PHC_INVALID_SETTING);
    check_no_client(config, PHC_INVALID_SETTING, "not a host");
    /* Of several the first is reported; each is taken back by an accepted value. */
    CHECK_EQ(phc_config_set(config, "flush_at", NULL), PHC_INVALID_ARGUMENT);
    check_no_client(config, PHC_INVALID_SETTING, "not a host");
    CHECK_EQ(phc_config_set(config, "host", "http://127.0.0.1:9"), PHC_OK);
    check_no_client(config, PHC_INVALID_ARGUMENT, "value is NULL");
    CHECK_EQ(phc_config_set(config, "flush_at", "5"), PHC_OK);
    CHECK_EQ(phc_config_set(config, "header.X-Test", "a\nb"), PHC_INVALID_SETTING);
    check_no_client(config, PHC_INVALID_SETTING, "header.X-Test");
    CHECK_EQ(phc_config_set(config, "header.x-test", "a"), PHC_OK);
    phc_client *client = phc_client_new(config, NULL);
    CHECK(client != NULL);
    phc_client_free(client);
    CHECK_EQ(phc_config_set(config, "hots", "http://127.0.0.1:9"), PHC_INVALID_SETTING);
    check_no_client(config, PHC_INVALID_SETTING, "did you mean \"host\"");
    phc_config_free(config);
}

static void a_typing_error_is_refused_when_it_is_set(void) {
    const struct {
        const char *key, *value, *part;
    } table[] = {
        {"host", "http//x", "did you mean \"http://x\""},
        {"host", "https:/x", "did you mean \"https://x\""},
        {"host", "//x", "did you mean \"https://x\""},
        {"host", "http:x", "did you mean \"http://x\""},
        {"host", "https;//x", "did you mean \"https://x\""},
        {"host", "https://https://x", "written twice"},
        {"host", "\"https://x\"", "quotation marks"},
        {"host", "http://\"x\"", "quotation marks"},
        {"host", "\xe2\x80\x9chttps://x\xe2\x80\x9d", "quotation marks"},
        {"host", "<https://x>", "did you mean \"https://x\""},
        {"host", "https://a.example, https://b.example", "white space"},
        {"host", "a.example,b.example", "commas"},
        {"host", "https://us.i.posthog.com/i/v1/analytics/events",
         "did you mean \"https://us.i.posthog.com\""},
        {"host", "https://us.i.posthog.com/capture/", "did you mean \"https://us.i.posthog.com\""},
        {"host",
         "b\xc3\xbc"
         "cher.example",
         "xn--"},
        {"host", "::1", "brackets"},
        {"host", "x:0", "1 to 65535"},
        {"host", "x:65536", "1 to 65535"},
        {"host", "https://{host}", "'{'"},
        {"proxy", "http//x", "did you mean \"http://x\""},
        {"proxy", "//x:3128", "did you mean \"http://x:3128\""},
        {"proxy", "'http://x:3128'", "quotation marks"},
        {"proxy", "http://x:0", "1 to 65535"},
        {"client_cert_file", "-----BEGIN CERTIFICATE-----", "the path of a file"},
    };
    phc_config *config = phc_config_new("phc_test");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        check_refused(config, table[i].key, table[i].value, table[i].part);
    check_round_trip(config, "host", "localhost:8000", "https://localhost:8000");
    check_round_trip(config, "host", "http:8000/ingest/", "https://http:8000/ingest");
    check_round_trip(config, "host", "http://my_service:8000", "http://my_service:8000");
    check_round_trip(config, "proxy", "me:s,e'c\"ret@proxy:3128", "http://me:s,e'c\"ret@proxy:3128");
    check_round_trip(config, "client_key_file", "/no/such file", "/no/such file");
    /* What is refused may hold a secret. */
    CHECK_EQ(phc_config_set(config, "proxy", "socks5://me:secret@proxy:1080"), PHC_INVALID_SETTING);
    CHECK(strstr(phc_last_error(), "secret") == NULL);
    const char *key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n";
    CHECK_EQ(phc_config_set(config, "client_key_file", key), PHC_INVALID_SETTING);
    CHECK(strstr(phc_last_error(), "secret") == NULL);
    phc_config_free(config);
}

static void a_project_key_that_cannot_be_one_is_refused(void) {
    const struct {
        const char *key, *part; /* NULL: it is accepted */
    } table[] = {
        {"\"phc_abc\"", "quotation mark"},
        {"'phc_abc'", "quotation mark"},
        {"\xe2\x80\x9cphc_abc\xe2\x80\x9d", "quotation mark"},
        {"Bearer phc_abc", "Bearer"},
        {"phc_abc phc_abc", "white space"},
        {"phc_abc\nphc_abc", "white space"},
        {"  phc_abc\r\n", NULL},
        {"any-token.will:do", NULL},
        {"phx_abc", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        phc_config *config = phc_config_new(table[i].key);
        phc_status status = PHC_OK;
        phc_client *client = phc_client_new(config, &status);
        CHECK_EQ(status, table[i].part == NULL ? PHC_OK : PHC_INVALID_SETTING);
        CHECK((client != NULL) == (table[i].part == NULL));
        if (table[i].part != NULL) {
            CHECK_HAS(phc_last_error(), "project key");
            CHECK_HAS(phc_last_error(), table[i].part);
            CHECK(strstr(phc_last_error(), "phc_abc") == NULL);
        }
        phc_client_free(client);
        phc_config_free(config);
    }
}

static void each_loss_is_counted_by_its_reason(void) {
    const struct {
        phc_loss reason;
        const char *script; /* NULL: nothing listens */
        phc_status flushed;
    } table[] = {
        {PHC_LOSS_DROPPED, "{\"then\":{\"verdicts\":[\"drop\"]}}", PHC_LOST_EVENTS},
        {PHC_LOSS_RETRY_EXHAUSTED, "{\"then\":{\"verdicts\":[\"retry\"]}}", PHC_LOST_EVENTS},
        {PHC_LOSS_REJECTED, "{\"then\":{\"status\":400}}", PHC_LOST_EVENTS},
        {PHC_LOSS_TRANSPORT, NULL, PHC_LOST_EVENTS},
        {PHC_LOSS_MALFORMED_RESPONSE, "{\"then\":{\"body\":\"?\"}}", PHC_LOST_EVENTS},
        {PHC_LOSS_CLOSED, "{\"then\":{\"never\":true}}", PHC_TIMEOUT},
    };
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        if (table[row].script != NULL) script(table[row].script);
        const char *host = table[row].script == NULL ? "http://127.0.0.1:1" : namespace_host();
        phc_client *client = make_client_at(host, "max_retries", "0", "request_timeout_ms", "120000", NULL);
        capture_n(client, 2);
        CHECK_EQ(phc_flush(client, table[row].flushed == PHC_TIMEOUT ? 0 : 20000, NULL, 0),
                 table[row].flushed);
        CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.lost, 2);
        check_at(stats.lost_by_reason[table[row].reason] == 2, __FILE__, __LINE__, "%llu are counted as %s",
                 (unsigned long long)stats.lost_by_reason[table[row].reason],
                 phc_loss_name(table[row].reason));
        char text[2048], member[64];
        phc_stats_json(client, text, sizeof text);
        snprintf(member, sizeof member, "\"lost\":{\"%s\":2}", phc_loss_name(table[row].reason));
        CHECK_HAS(text, member);
        finish(client);
    }
}

static void an_older_caller_knows_smaller_structs(void) {
    phc_client *client = make_client(NULL, NULL);
    capture(client, "event");
    phc_stats stats;
    memset(&stats, 0x55, sizeof stats);
    CHECK_EQ(phc_stats_get(client, &stats, 16), PHC_OK);
    CHECK_EQ(stats.captured, 1);
    CHECK_EQ(stats.delivered_with_warning, 0x5555555555555555);
    phc_flush_result result;
    memset(&result, 0x55, sizeof result);
    CHECK_EQ(phc_flush(client, 10000, &result, 8), PHC_OK);
    CHECK_EQ(result.settled, 1);
    CHECK_EQ(result.delivered, 0x5555555555555555);
    phc_setting setting;
    memset(&setting, 0x55, sizeof setting);
    CHECK_EQ(phc_setting_at(0, &setting, sizeof setting.key), PHC_OK);
    CHECK(setting.key[0] != '\0');
    CHECK_EQ((uintptr_t)setting.kind, (uintptr_t)0x5555555555555555);
    phc_report *report = phc_poll(client, 10000);
    phc_event_report event;
    memset(&event, 0x55, sizeof event);
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event.uuid), PHC_OK);
    CHECK_EQ(strlen(event.uuid), 36);
    CHECK_EQ(event.loss, 0x55555555);
    phc_report_free(report);
    finish(client);
}

static void a_newer_caller_knows_larger_structs(void) {
    /* What this library does not know of becomes zero, and what comes after the struct stays. */
    struct {
        phc_stats known;
        uint64_t more, after;
    } stats;
    memset(&stats, 0x55, sizeof stats);
    phc_client *client = make_client(NULL, NULL);
    CHECK_EQ(phc_stats_get(client, &stats.known, sizeof stats.known + sizeof stats.more), PHC_OK);
    CHECK_EQ(stats.known.captured, 0);
    CHECK_EQ(stats.known.refused_by_status[PHC_STATUS_SLOTS - 1], 0);
    CHECK_EQ(stats.more, 0);
    CHECK_EQ(stats.after, 0x5555555555555555);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(the_versions_agree),
        TEST(every_status_has_a_name_and_a_message),
        TEST(every_reason_has_a_name),
        TEST(every_setting_is_described_read_and_set),
        TEST(a_setting_that_is_not_known_cannot_be_read),
        TEST(settings_are_checked),
        TEST(a_refused_setting_leaves_no_client),
        TEST(a_typing_error_is_refused_when_it_is_set),
        TEST(a_project_key_that_cannot_be_one_is_refused),
        TEST(each_loss_is_counted_by_its_reason),
        TEST(an_older_caller_knows_smaller_structs),
        TEST(a_newer_caller_knows_larger_structs),
    };
    return RUN_TESTS(tests);
}
