/* What a host learns about its events: reports by poll, by descriptor, by the error and the delivery callback. */
#include "harness.h"

#include <phc_binding.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void a_report_has_all_of_a_loss(void) {
    script(
        "{\"steps\":[{\"verdicts\":{\"a\":{\"result\":\"drop\",\"details\":\"no such project\"},\"b\":\"ok\"}}]}");
    phc_client *client = make_client("reports", "losses", NULL);
    char uuid[PHC_UUID_SIZE];
    CHECK_EQ(phc_capture_get_uuid(client, "user", "a", NULL, uuid), PHC_OK);
    capture(client, "b");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    phc_report *report = phc_poll(client, 10000);
    CHECK(report != NULL);
    CHECK_EQ(strlen(phc_report_request_id(report)), 36);
    CHECK_EQ(phc_report_attempt(report), 1);
    CHECK_EQ(phc_report_http_status(report), 200);
    CHECK_STR(phc_report_error(report), "");
    CHECK_EQ(phc_report_pending_count(report), 0);
    CHECK_STR(phc_report_pending_uuid(report, 0), "");
    CHECK_EQ(phc_report_event_count(report), 1);
    phc_event_report event;
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event), PHC_OK);
    CHECK_STR(event.uuid, uuid);
    CHECK_EQ(event.loss, PHC_LOSS_DROPPED);
    CHECK_STR(event.verdict, "drop");
    CHECK_STR(event.details, "no such project");
    CHECK_EQ(event.maybe_delivered, 0);
    CHECK_STR(phc_loss_name(event.loss), "dropped");
    CHECK_HAS(phc_report_json(report), "\"outcome\":\"dropped\"");
    char *requests = sink_get("_requests");
    CHECK_HAS(requests, phc_report_request_id(report));
    free(requests);
    phc_report_free(report);
    CHECK(phc_poll(client, 0) == NULL);
    finish(client);
}

/* The number that is the member of this key, or -1. */
static long long member(const char *json, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    return at == NULL ? -1 : atoll(at + strlen(quoted));
}

static void check_against_json(const phc_report *report) {
    const char *json = phc_report_json(report);
    const char *id = phc_report_request_id(report);
    CHECK_STR(nth_string(json, "request_id", 0), id);
    if (id[0] == '\0') CHECK_HAS(json, "\"request_id\":null");
    CHECK_EQ(member(json, "attempt"), phc_report_attempt(report));
    CHECK_EQ(member(json, "sent_at_ms"), phc_report_sent_at_ms(report));
    CHECK_EQ(member(json, "status"), phc_report_http_status(report));
    CHECK_EQ(member(json, "pending"), phc_report_pending_count(report));
    CHECK_EQ(member(json, "missed_reports"), phc_report_missed_reports(report));
    CHECK_EQ(member(json, "missed_events"), phc_report_missed_events(report));
    CHECK_STR(nth_string(json, "error", 0), phc_report_error(report));
    CHECK_EQ(count(json, "\"outcome\":"), phc_report_event_count(report));
    for (size_t i = 0; i < phc_report_event_count(report); i++) {
        phc_event_report event;
        CHECK_EQ(phc_report_event(report, i, &event, sizeof event), PHC_OK);
        CHECK_STR(nth_string(json, "uuid", i), event.uuid);
        CHECK_STR(nth_string(json, "outcome", i), phc_loss_name(event.loss));
    }
    phc_event_report none;
    CHECK_EQ(phc_report_event(report, phc_report_event_count(report), &none, sizeof none),
             PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "is not below phc_report_event_count");
    const char *pending = strstr(json, "\"pending_events\":[");
    CHECK_EQ(pending == NULL ? 0 : count(pending, "-") / 4, phc_report_pending_count(report));
    for (size_t i = 0; i < phc_report_pending_count(report); i++) {
        CHECK_EQ(strlen(phc_report_pending_uuid(report, i)), 36);
        CHECK_HAS(pending, phc_report_pending_uuid(report, i));
    }
    CHECK_STR(phc_report_pending_uuid(report, phc_report_pending_count(report)), "");
}

static void the_accessors_agree_with_the_json(void) {
    /* Some are lost, some are sent again; then no response; then events that were never sent. */
    script(
        "{\"steps\":[{\"verdicts\":{\"a\":\"drop\",\"b\":{\"result\":\"warning\",\"details\":\"x\"},\"c\":\"ok\","
        "\"*\":\"retry\"}},{\"status\":503},{}],\"then\":{\"never\":true}}");
    phc_client *client = make_client(NULL, NULL);
    const char *const names[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++) capture(client, names[i]);
    struct timespec clock;
    timespec_get(&clock, TIME_UTC);
    long long before = clock.tv_sec * 1000LL + clock.tv_nsec / 1000000;
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
    timespec_get(&clock, TIME_UTC);
    long long after = clock.tv_sec * 1000LL + clock.tv_nsec / 1000000;
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        phc_report *report = phc_poll(client, 0);
        CHECK(report != NULL);
        check_against_json(report);
        CHECK_EQ(phc_report_attempt(report), attempt);
        CHECK_EQ(phc_report_pending_count(report), attempt < 3 ? 2 : 0);
        CHECK(phc_report_sent_at_ms(report) >= before && phc_report_sent_at_ms(report) <= after);
        phc_report_free(report);
    }
    capture(client, "never sent");
    CHECK_EQ(phc_client_close(client, 0), PHC_LOST_EVENTS);
    phc_report *report = phc_poll(client, 0);
    CHECK(report != NULL);
    check_against_json(report);
    CHECK_STR(phc_report_request_id(report), "");
    CHECK_EQ(phc_report_sent_at_ms(report), 0);
    phc_report_free(report);
    CHECK(phc_poll(client, 0) == NULL);
    finish(client);
}

static void deliveries_are_polled_when_all_is_reported(void) {
    phc_client *client = make_client("reports", "all", NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
    phc_report *report = phc_poll(client, 10000);
    phc_event_report event;
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event), PHC_OK);
    CHECK_EQ(event.loss, PHC_LOSS_NONE);
    CHECK_STR(event.verdict, "");
    CHECK_EQ(phc_report_event(report, 1, &event, sizeof event), PHC_INVALID_ARGUMENT);
    phc_report_free(report);
    finish(client);
}

/* One line for each report that was passed on: "attempt: name=outcome/verdict … +pending(names)". */
typedef struct {
    pthread_mutex_t lock;
    char text[1024];
    int reports;
} journal;

static struct {
    const char *name;
    char uuid[PHC_UUID_SIZE];
} captured[5];

static const char *name_of(const char *uuid) {
    for (size_t i = 0; i < 5; i++) {
        if (strcmp(captured[i].uuid, uuid) == 0) return captured[i].name;
    }
    return uuid[0] == '\0' ? "?" : "unknown";
}

static void add_line(const phc_report *report, void *user_data) {
    journal *own = user_data;
    pthread_mutex_lock(&own->lock);
    size_t at = strlen(own->text), size = sizeof own->text;
#define ADD(...) at += (size_t)snprintf(own->text + at, at < size ? size - at : 0, __VA_ARGS__)
    ADD("%u:", phc_report_attempt(report));
    for (size_t i = 0; i < phc_report_event_count(report); i++) {
        phc_event_report event;
        phc_report_event(report, i, &event, sizeof event);
        ADD(" %s=%s/%s%s", name_of(event.uuid), phc_loss_name(event.loss), event.verdict, event.details);
    }
    ADD(" +%zu(", phc_report_pending_count(report));
    for (size_t i = 0; i < phc_report_pending_count(report); i++)
        ADD("%s", name_of(phc_report_pending_uuid(report, i)));
    ADD(")\n");
#undef ADD
    own->reports++;
    pthread_mutex_unlock(&own->lock);
}

static void each_callback_gets_its_own_events(void) {
    /* One attempt that delivers an event, delivers one with a warning and one with details of its ok,
     * loses another, and after which the last one is sent again. */
    const char *two_attempts =
        "{\"steps\":[{\"verdicts\":{\"warned\":{\"result\":\"warning\",\"details\":\"!\"},"
        "\"noted\":{\"result\":\"ok\",\"details\":\"?\"},\"lost\":\"drop\",\"again\":\"retry\",\"*\":\"ok\"}},{}]}";
#define LOST "1: lost=dropped/drop +1(?)\n"
#define LOST_OR_WARNED "1: warned=delivered/warning! noted=delivered/ok? lost=dropped/drop +1(?)\n"
#define FAILURES_OF_ALL "1: warned=delivered/warning! noted=delivered/ok? lost=dropped/drop +1(again)\n"
#define DELIVERED                                                                                            \
    "1: fine=delivered/ warned=delivered/warning! noted=delivered/ok? +1(?)\n2: again=delivered/ +0()\n"
#define DELIVERED_OF_ALL                                                                                     \
    "1: fine=delivered/ warned=delivered/warning! noted=delivered/ok? +1(again)\n2: again=delivered/ +0()\n"
#define EVERYTHING                                                                                           \
    "1: fine=delivered/ warned=delivered/warning! noted=delivered/ok? lost=dropped/drop +1(again)\n"         \
    "2: again=delivered/ +0()\n"
    enum { NONE = 0, ERROR = 1, DELIVERY = 2 };
    const struct {
        const char *reports;
        int callbacks;
        const char *errors, *deliveries, *polled;
    } table[] = {
        {"losses", NONE, "", "", LOST},
        {"warnings", NONE, "", "", LOST_OR_WARNED},
        {"all", NONE, "", "", EVERYTHING},
        {"losses", ERROR, LOST, "", ""},
        {"warnings", ERROR, LOST_OR_WARNED, "", ""},
        {"all", ERROR, FAILURES_OF_ALL, "", ""},
        {"losses", DELIVERY, "", DELIVERED, ""},
        {"warnings", DELIVERY, "", DELIVERED, ""},
        {"all", DELIVERY, "", DELIVERED_OF_ALL, ""},
        {"losses", ERROR | DELIVERY, LOST, DELIVERED, ""},
        {"warnings", ERROR | DELIVERY, LOST_OR_WARNED, DELIVERED, ""},
        {"all", ERROR | DELIVERY, FAILURES_OF_ALL, DELIVERED_OF_ALL, ""},
    };
    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        script(two_attempts);
        journal errors = {.lock = PTHREAD_MUTEX_INITIALIZER}, deliveries = errors, polled = errors;
        phc_client *client = make_client("reports", table[row].reports, NULL);
        if (table[row].callbacks & ERROR) phc_set_error_callback(client, add_line, &errors, NULL);
        if (table[row].callbacks & DELIVERY) phc_set_delivery_callback(client, add_line, &deliveries, NULL);
        const char *const names[] = {"fine", "warned", "noted", "lost", "again"};
        for (size_t i = 0; i < 5; i++) {
            captured[i].name = names[i];
            CHECK_EQ(phc_capture_get_uuid(client, "user", names[i], NULL, captured[i].uuid), PHC_OK);
        }
        CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_LOST_EVENTS);
        phc_stats stats = stats_of(client);
        CHECK_EQ(stats.delivered, 4);
        CHECK_EQ(stats.delivered_with_warning, 1);
        CHECK_EQ(stats.delivered_with_remark, 2);
        CHECK_EQ(stats.lost_by_reason[PHC_LOSS_DROPPED], 1);
        for (phc_report *report; (report = phc_poll(client, 0)) != NULL; phc_report_free(report)) {
            add_line(report, &polled);
        }
        finish(client); /* after which the callbacks have got all that they get */
        const char *texts[][3] = {{"error callback", errors.text, table[row].errors},
                                  {"delivery callback", deliveries.text, table[row].deliveries},
                                  {"poll", polled.text, table[row].polled}};
        for (size_t i = 0; i < 3; i++) {
            check_at(strcmp(texts[i][1], texts[i][2]) == 0, __FILE__, __LINE__,
                     "reports = %s, callbacks %d, %s:\n%s"
                     "is not\n%s",
                     table[row].reports, table[row].callbacks, texts[i][0], texts[i][1], texts[i][2]);
        }
    }
}

static void a_report_outlives_its_client(void) {
    script("{\"steps\":[{\"verdicts\":[{\"result\":\"drop\",\"details\":\"no such project\"}]}]}");
    phc_client *client = make_client("reports", "losses", NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    phc_report *report = phc_poll(client, 0);
    CHECK(report != NULL);
    /* Its texts stay, whatever else it is asked for. */
    const char *id = phc_report_request_id(report), *json = phc_report_json(report);
    phc_event_report event, again;
    CHECK_EQ(phc_report_event(report, 0, &event, sizeof event), PHC_OK);
    finish(client);
    CHECK_EQ(phc_report_event(report, 0, &again, sizeof again), PHC_OK);
    CHECK(again.uuid == event.uuid && again.verdict == event.verdict && again.details == event.details);
    CHECK(phc_report_request_id(report) == id && phc_report_json(report) == json);
    CHECK_STR(nth_string(json, "request_id", 0), id);
    CHECK_STR(nth_string(json, "uuid", 0), event.uuid);
    CHECK_STR(event.verdict, "drop");
    CHECK_STR(event.details, "no such project");
    phc_report_free(report);
}

static void a_poll_waits_no_longer_than_it_may(void) {
    phc_client *client = make_client(NULL, NULL);
    double start = now_ms();
    CHECK(phc_poll(client, 100) == NULL);
    double took = now_ms() - start;
    CHECK(took >= 99 && took < SOON_MS);
    finish(client);
}

static void *poll_without_limit(void *client) {
    intptr_t reports = 0;
    for (phc_report *report; (report = phc_poll(client, PHC_NO_LIMIT)) != NULL; reports++)
        phc_report_free(report);
    return (void *)reports;
}

static void a_close_ends_a_poll_when_all_is_reported(void) {
    phc_client *client = make_client("flush_at", "1", "max_batch_events", "1", NULL);
    pthread_t poller;
    pthread_create(&poller, NULL, poll_without_limit, client);
    capture_n(client, 50);
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    void *reports;
    pthread_join(poller, &reports);
    CHECK_EQ((intptr_t)reports, 50);
    finish(client);
}

static int readable(ptrdiff_t fd, int timeout_ms) {
    struct pollfd wanted = {.fd = (int)fd, .events = POLLIN};
    return poll(&wanted, 1, timeout_ms) == 1;
}

static void a_descriptor_is_readable_while_reports_wait(void) {
    phc_client *client = make_client("reports", "all", NULL);
    ptrdiff_t fd = phc_poll_fd(client);
    CHECK(fd >= 0);
    CHECK_EQ(phc_poll_fd(client), fd);
    CHECK(!readable(fd, 0));
    for (int round = 0; round < 3; round++) {
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        CHECK(readable(fd, 5000));
        phc_report *report = phc_poll(client, 0);
        CHECK(report != NULL);
        phc_report_free(report);
        CHECK(phc_poll(client, 0) == NULL);
        CHECK(!readable(fd, 0));
    }
    /* It is valid until the free, and not only until the close. */
    capture(client, "a");
    CHECK_EQ(phc_client_close(client, 10000), PHC_OK);
    CHECK_EQ(phc_poll_fd(client), fd);
    CHECK(readable(fd, 5000));
    phc_report_free(phc_poll(client, 0));
    CHECK(!readable(fd, 0));
    finish(client);
}

static void count_events(const phc_report *report, void *events) {
    CHECK_EQ(phc_report_missed_events(report), 0);
    add_to(events, (int)phc_report_event_count(report));
}

typedef phc_status (*setter)(phc_client *client, phc_error_callback callback, void *user_data,
                             phc_free_callback free);

/* Each of the two callbacks, with a setting and a script such that every event is reported to it,
 * and to phc_poll without it. */
static const struct {
    setter set;
    const char *reports, *script;
    phc_status flushed;
} RECEIVERS[] = {
    {phc_set_error_callback, "losses", "{\"then\":{\"verdicts\":[\"drop\"]}}", PHC_LOST_EVENTS},
    {phc_set_delivery_callback, "all", "{}", PHC_OK},
};

static void a_callback_gets_the_reports_and_a_poll_none(void) {
    for (size_t row = 0; row < 2; row++) {
        script(RECEIVERS[row].script);
        phc_client *client = make_client("reports", RECEIVERS[row].reports, NULL);
        ptrdiff_t fd = phc_poll_fd(client);
        int events = 0;
        CHECK_EQ(RECEIVERS[row].set(client, count_events, &events, NULL), PHC_OK);
        for (int i = 1; i <= 10; i++) {
            capture(client, "a");
            CHECK_EQ(phc_flush(client, 10000, NULL, 0), RECEIVERS[row].flushed);
            CHECK(phc_poll(client, 0) == NULL);
            CHECK(!readable(fd, 0));
        }
        CHECK_EQ(reaches(&events, 10), 10);
        /* Without it they are for phc_poll again. */
        CHECK_EQ(RECEIVERS[row].set(client, NULL, NULL, NULL), PHC_OK);
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), RECEIVERS[row].flushed);
        CHECK(readable(fd, 5000));
        phc_report *report = phc_poll(client, 0);
        CHECK(report != NULL);
        phc_report_free(report);
        CHECK_EQ(events, 10);
        finish(client);
    }
}

/* The events of the reports that wait for a poll: what no callback got is there at once, for the
 * setter has waited for the callback that still ran. */
static int polled_events(phc_client *client) {
    int events = 0;
    for (phc_report *report; (report = phc_poll(client, 0)) != NULL; phc_report_free(report)) {
        count_events(report, &events);
    }
    return events;
}

static void a_callback_that_comes_and_goes_costs_no_report(void) {
    const int captures = getenv("PHC_WRAP") == NULL ? 3000 : 300;
    for (size_t row = 0; row < 2; row++) {
        script(RECEIVERS[row].script);
        phc_client *client =
            make_client("reports", RECEIVERS[row].reports, "flush_at", "1", "max_batch_events", "1", NULL);
        int events = 0;
        capture_n(client, captures);
        for (int i = 0; stats_of(client).pending_events > 0; i++) {
            CHECK_EQ(RECEIVERS[row].set(client, i % 2 ? NULL : count_events, &events, NULL), PHC_OK);
        }
        CHECK_EQ(phc_flush(client, 30000, NULL, 0), PHC_OK);
        CHECK_EQ(RECEIVERS[row].set(client, NULL, NULL, NULL), PHC_OK);
        CHECK_EQ(events + polled_events(client), captures);
        finish(client);
    }
}

static void a_removed_callback_leaves_no_report_on_its_way(void) {
    /* The moment of the removal passes over what the thread of the callback does with a report. */
    const int rounds = getenv("PHC_WRAP") == NULL ? 2000 : 50;
    phc_client *client = make_client("flush_at", "1", NULL);
    int called = 0, polled = 0, by_callback = 0;
    for (int round = 1; round <= rounds && called + polled == round - 1; round++) {
        capture(client, "a");
        CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_OK);
        int before = called;
        CHECK_EQ(phc_set_delivery_callback(client, count_events, &called, NULL), PHC_OK);
        for (double start = now_ms(); now_ms() - start < round % 100 / 1000.0;) continue;
        CHECK_EQ(phc_set_delivery_callback(client, NULL, NULL, NULL), PHC_OK);
        polled += polled_events(client);
        by_callback += called > before;
        CHECK_EQ(called + polled, round);
    }
    printf("   of %d reports the callback got %d\n", rounds, by_callback);
    finish(client);
}

typedef struct {
    int events, go_on;
} slow_reader;

static void wait_in_callback(const phc_report *report, void *user_data) {
    slow_reader *own = user_data;
    CHECK_EQ(reaches(&own->go_on, 1), 1);
    count_events(report, &own->events);
}

static void a_slow_callback_delays_no_delivery(void) {
    for (size_t row = 0; row < 2; row++) {
        script(RECEIVERS[row].script);
        phc_client *client = make_client("reports", RECEIVERS[row].reports, "flush_at", "1", NULL);
        long long requests = summary("requests");
        slow_reader own = {0};
        CHECK_EQ(RECEIVERS[row].set(client, wait_in_callback, &own, NULL), PHC_OK);
        for (int i = 0; i < 20; i++) {
            capture(client, "a");
            phc_status status = phc_flush(client, 10000, NULL, 0);
            CHECK(status == PHC_OK || status == PHC_LOST_EVENTS);
        }
        CHECK_EQ(summary("requests"), requests + 20);
        CHECK_EQ(own.events, 0);
        add_to(&own.go_on, 1);
        CHECK_EQ(reaches(&own.events, 20), 20);
        finish(client);
    }
}

static void reports_that_are_not_read_are_counted(void) {
    /* The bound is 10,000 reports. So many requests take a minute and more under valgrind on a busy machine. */
    allow_seconds(400);
    phc_client *client = make_client("reports", "all", "flush_at", "1", "max_batch_events", "1", NULL);
    const int captures = 10100;
    capture_n(client, captures);
    CHECK_EQ(phc_flush(client, 300000, NULL, 0), PHC_OK);
    long long events = 0, missed_events = 0, missed_reports = 0;
    for (phc_report *report; (report = phc_poll(client, 0)) != NULL;) {
        events += (long long)phc_report_event_count(report);
        missed_events += (long long)phc_report_missed_events(report);
        missed_reports += (long long)phc_report_missed_reports(report);
        phc_report_free(report);
        /* The first one that is read says it. */
        CHECK_EQ(missed_reports, 100);
    }
    CHECK_EQ(missed_events, 100);
    CHECK_EQ(events + missed_events, captures);
    finish(client);
}

static void counters_as_text_name_every_reason(void) {
    script("{\"steps\":[{\"verdicts\":[\"drop\"]}]}");
    phc_client *client = make_client(NULL, NULL);
    capture(client, "a");
    CHECK_EQ(phc_flush(client, 10000, NULL, 0), PHC_LOST_EVENTS);
    CHECK_EQ(phc_capture(client, "user", "", NULL), PHC_INVALID_EVENT);
    size_t needed = phc_stats_json(client, NULL, 0);
    char *text = malloc(needed + 1);
    CHECK_EQ(phc_stats_json(client, text, needed + 1), needed);
    CHECK_HAS(text, "\"lost\":{\"dropped\":1}");
    CHECK_HAS(text, "\"refused\":{\"invalid_event\":1}");
    CHECK_HAS(text, "\"captured\":1");
    free(text);
    finish(client);
}

static void test_mode_sends_nothing_and_shows_the_wire_bytes(void) {
    phc_client *client = make_client("test_mode", "true", "queue_max_events", "2", NULL);
    CHECK_EQ(phc_capture(client, "user", "one", "{\"n\":1.50}"), PHC_OK);
    capture(client, "two");
    CHECK_EQ(phc_capture(client, "user", "three", NULL), PHC_QUEUE_FULL);
    CHECK_EQ(phc_flush(client, 0, NULL, 0), PHC_OK);
    CHECK_EQ(thread_count("phc-"), 0);
    char event[1024], small[4];
    size_t needed = phc_binding_next_test_event(client, NULL, 0);
    CHECK(needed > 0);
    CHECK_EQ(phc_binding_next_test_event(client, small, sizeof small), needed);
    CHECK_EQ(phc_binding_next_test_event(client, event, sizeof event), needed);
    CHECK_HAS(event, "\"event\":\"one\"");
    CHECK_HAS(event, "\"n\":1.50");
    CHECK(phc_binding_next_test_event(client, event, sizeof event) > 0);
    CHECK_HAS(event, "\"event\":\"two\"");
    CHECK_EQ(phc_binding_next_test_event(client, event, sizeof event), 0);
    CHECK_EQ(stats_of(client).delivered, 2);
    CHECK_EQ(summary("requests"), 0);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(a_report_has_all_of_a_loss),
        TEST(the_accessors_agree_with_the_json),
        TEST(deliveries_are_polled_when_all_is_reported),
        TEST(each_callback_gets_its_own_events),
        TEST(a_report_outlives_its_client),
        TEST(a_poll_waits_no_longer_than_it_may),
        TEST(a_close_ends_a_poll_when_all_is_reported),
        TEST(a_descriptor_is_readable_while_reports_wait),
        TEST(a_callback_gets_the_reports_and_a_poll_none),
        TEST(a_callback_that_comes_and_goes_costs_no_report),
        TEST(a_removed_callback_leaves_no_report_on_its_way),
        TEST(a_slow_callback_delays_no_delivery),
        TEST(reports_that_are_not_read_are_counted),
        TEST(counters_as_text_name_every_reason),
        TEST(test_mode_sends_nothing_and_shows_the_wire_bytes),
    };
    return RUN_TESTS(tests);
}
