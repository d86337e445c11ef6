/* Events that are built property by property: what is sent of each setter, and what is refused. */
#include "harness.h"

#include <math.h>
#include <phc_binding.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static phc_client *client;

/* The event as it is sent; it is captured, and so consumed. */
static const char *sent(phc_event *event) {
    static char text[65536];
    phc_status status = phc_capture_event(client, event, NULL);
    check_at(status == PHC_OK, __FILE__, __LINE__, "the capture returned %s: %s", phc_status_name(status),
             phc_last_error());
    size_t size = phc_binding_next_test_event(client, text, sizeof text);
    CHECK(size > 0 && size < sizeof text);
    return text;
}

/* Events that are sent have these properties. */
static void check_properties(phc_event *event, const char *properties) {
    char member[4096];
    snprintf(member, sizeof member, "\"properties\":%s", properties);
    CHECK_HAS(sent(event), member);
}

static void in_test_mode(void) { client = make_client("test_mode", "true", NULL); }

static phc_event *new_event(void) { return phc_event_new("user", "built"); }

static void each_setter_writes_its_value(void) {
    in_test_mode();
    phc_event *plain = new_event(), *sized = phc_event_new_n("user", 4, "built", 5);
    CHECK_EQ(phc_event_set_string(plain, "string", "te\"xt"), PHC_OK);
    CHECK_EQ(phc_event_set_int(plain, "int", INT64_MIN), PHC_OK);
    CHECK_EQ(phc_event_set_uint(plain, "uint", UINT64_MAX), PHC_OK);
    CHECK_EQ(phc_event_set_double(plain, "double", 0.1), PHC_OK);
    CHECK_EQ(phc_event_set_bool(plain, "true", -7), PHC_OK);
    CHECK_EQ(phc_event_set_bool(plain, "false", 0), PHC_OK);
    CHECK_EQ(phc_event_set_null(plain, "null"), PHC_OK);
    CHECK_EQ(phc_event_set_json(plain, "json", " {\"a\": [1, 2]} "), PHC_OK);
    CHECK_EQ(phc_event_set_group(plain, "company", "acme"), PHC_OK);
    /* The same; what follows a text of a given length is not read. */
    CHECK_EQ(phc_event_set_string_n(sized, "string#", 6, "te\"xt#", 5), PHC_OK);
    CHECK_EQ(phc_event_set_int_n(sized, "int#", 3, INT64_MIN), PHC_OK);
    CHECK_EQ(phc_event_set_uint_n(sized, "uint#", 4, UINT64_MAX), PHC_OK);
    CHECK_EQ(phc_event_set_double_n(sized, "double#", 6, 0.1), PHC_OK);
    CHECK_EQ(phc_event_set_bool_n(sized, "true#", 4, 1), PHC_OK);
    CHECK_EQ(phc_event_set_bool_n(sized, "false#", 5, 0), PHC_OK);
    CHECK_EQ(phc_event_set_null_n(sized, "null#", 4), PHC_OK);
    CHECK_EQ(phc_event_set_json_n(sized, "json#", 4, " {\"a\": [1, 2]} #", 15), PHC_OK);
    CHECK_EQ(phc_event_set_group_n(sized, "company#", 7, "acme#", 4), PHC_OK);
    phc_event *both[] = {plain, sized};
    for (size_t i = 0; i < 2; i++) {
        const char *text = sent(both[i]);
        CHECK_HAS(text, "\"event\":\"built\"");
        CHECK_HAS(text, "\"distinct_id\":\"user\"");
        CHECK_HAS(text,
                  "\"string\":\"te\\\"xt\",\"int\":-9223372036854775808,\"uint\":18446744073709551615,"
                  "\"double\":0.1,\"true\":true,\"false\":false,\"null\":null,\"json\":{\"a\": [1, 2]}");
        CHECK_HAS(text, "\"$groups\":{\"company\":\"acme\"}");
    }
    finish(client);
}

static void numbers_are_sent_exactly(void) {
    const struct {
        double value;
        const char *text;
    } doubles[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {0.1, "0.1"},
        {1e15, "1000000000000000.0"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e308"},
        {-2.5, "-2.5"},
    };
    in_test_mode();
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        phc_event *event = new_event();
        CHECK_EQ(phc_event_set_double(event, "n", doubles[i].value), PHC_OK);
        const char *text = sent(event), *at = strstr(text, "\"n\":");
        CHECK(at != NULL);
        /* It reads back as the same double, and as a double and not as a whole number. */
        if (at == NULL) continue;
        double back = strtod(at + 4, NULL);
        CHECK(memcmp(&back, &doubles[i].value, sizeof back) == 0);
        check_at(strncmp(at + 4, doubles[i].text, strlen(doubles[i].text)) == 0, __FILE__, __LINE__,
                 "%.40s, not %s", at + 4, doubles[i].text);
    }
    const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN};
    const char *const int_texts[] = {"{\"n\":0}", "{\"n\":-1}", "{\"n\":9223372036854775807}",
                                     "{\"n\":-9223372036854775808}"};
    for (size_t i = 0; i < 4; i++) {
        phc_event *event = new_event();
        CHECK_EQ(phc_event_set_int(event, "n", ints[i]), PHC_OK);
        check_properties(event, int_texts[i]);
    }
    const uint64_t uints[] = {0, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    const char *const uint_texts[] = {"{\"n\":0}", "{\"n\":9223372036854775808}",
                                      "{\"n\":18446744073709551615}"};
    for (size_t i = 0; i < 3; i++) {
        phc_event *event = new_event();
        CHECK_EQ(phc_event_set_uint(event, "n", uints[i]), PHC_OK);
        check_properties(event, uint_texts[i]);
    }
    finish(client);
}

static void texts_with_a_length_may_contain_nul(void) {
    in_test_mode();
    phc_event *event = phc_event_new_n("us\0er", 5, "bu\0ilt", 6);
    CHECK_EQ(phc_event_set_string_n(event, "k\0ey", 4, "a\0b\xff", 4), PHC_OK);
    CHECK_EQ(phc_event_set_string_n(event, "empty", 5, "", 0), PHC_OK);
    CHECK_EQ(phc_event_set_group_n(event, "ty\0pe", 5, "k\0ey", 4), PHC_OK);
    const char *text = sent(event);
    CHECK_HAS(text, "\"us\\u0000er\"");
    CHECK_HAS(text, "\"bu\\u0000ilt\"");
    CHECK_HAS(text, "\"k\\u0000ey\":\"a\\u0000b\xef\xbf\xbd\",\"empty\":\"\"");
    CHECK_HAS(text, "\"ty\\u0000pe\":\"k\\u0000ey\"");
    CHECK_EQ(stats_of(client).repaired, 1);
    finish(client);
}

static void a_key_that_is_set_again_replaces_its_value(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_set_int(event, "a", 1), PHC_OK);
    CHECK_EQ(phc_event_set_string(event, "b", "other"), PHC_OK);
    CHECK_EQ(phc_event_set_json(event, "a", "[2]"), PHC_OK);
    CHECK_EQ(phc_event_set_null_n(event, "a", 1), PHC_OK);
    CHECK_EQ(phc_event_set_group(event, "company", "old"), PHC_OK);
    CHECK_EQ(phc_event_set_group(event, "company", "new"), PHC_OK);
    const char *text = sent(event);
    CHECK_EQ(count(text, "\"a\":"), 1);
    CHECK_HAS(text, "\"a\":null");
    CHECK_HAS(text, "\"b\":\"other\"");
    CHECK_HAS(text, "\"$groups\":{\"company\":\"new\"}");
    finish(client);
}

static void json_text_keeps_its_duplicate_keys(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_set_json(event, "inner", "{\"a\":0}"), PHC_OK);
    CHECK_EQ(phc_event_set_json(event, "inner", "{\"a\":1,\"a\":2,\"\\u0061\":3}"), PHC_OK);
    check_properties(event, "{\"inner\":{\"a\":1,\"a\":2,\"\\u0061\":3}}");
    CHECK_EQ(phc_capture(client, "user", "text", "{\"a\":1,\"b\":2,\"a\":3}"), PHC_OK);
    char text[1024];
    CHECK(phc_binding_next_test_event(client, text, sizeof text) > 0);
    CHECK_HAS(text, "\"properties\":{\"a\":1,\"b\":2,\"a\":3}");
    const char *json =
        "{\"event\":\"e\",\"distinct_id\":\"u\",\"properties\":{\"a\":{\"k\":1,\"k\":2},\"a\":3}}";
    CHECK_EQ(phc_capture_json(client, json, strlen(json), NULL), PHC_OK);
    CHECK(phc_binding_next_test_event(client, text, sizeof text) > 0);
    CHECK_HAS(text, "\"properties\":{\"a\":{\"k\":1,\"k\":2},\"a\":3}");
    finish(client);
}

static void what_is_refused_changes_nothing(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_set_int(event, "kept", 0), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "kept", 1), PHC_OK);
    CHECK_EQ(phc_event_set_double(event, "kept", NAN), PHC_INVALID_PROPERTY);
    CHECK_EQ(phc_event_set_string(event, "kept", NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_double(event, "n", NAN), PHC_INVALID_PROPERTY);
    CHECK_HAS(phc_last_error(), "\"n\"");
    CHECK_EQ(phc_event_set_double_n(event, "n", 1, INFINITY), PHC_INVALID_PROPERTY);
    CHECK_EQ(phc_event_set_double(event, "n", -INFINITY), PHC_INVALID_PROPERTY);
    CHECK_EQ(phc_event_set_json(event, "n", "{"), PHC_INVALID_JSON);
    CHECK_EQ(phc_event_set_json_n(event, "n", 1, "[1]", 2), PHC_INVALID_JSON);
    CHECK_EQ(phc_event_set_json(event, "kept", "1 2"), PHC_INVALID_JSON);
    CHECK_EQ(phc_event_set_timestamp(event, "yesterday"), PHC_INVALID_TIMESTAMP);
    CHECK_EQ(phc_event_set_timestamp_ms(event, INT64_MAX), PHC_INVALID_TIMESTAMP);
    /* Outside of arrays a value needs a key. */
    CHECK_EQ(phc_event_set_int(event, NULL, 1), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_string_n(event, NULL, 0, "v", 1), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_string(event, "n", NULL), PHC_INVALID_ARGUMENT);
    check_properties(event, "{\"kept\":1}");
    finish(client);
}

static void the_time_of_an_event_can_be_set(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_set_timestamp(event, "2026-01-31T12:00:00+01:00"), PHC_OK);
    CHECK_HAS(sent(event), "\"timestamp\":\"2026-01-31T11:00:00.000Z\"");
    event = new_event();
    CHECK_EQ(phc_event_set_timestamp_ms(event, 1), PHC_OK);
    CHECK_HAS(sent(event), "\"timestamp\":\"1970-01-01T00:00:00.001Z\"");
    finish(client);
}

static void objects_and_arrays_can_be_nested(void) {
    in_test_mode();
    /* Once with plain keys, once with their lengths. */
    for (int sized = 0; sized < 2; sized++) {
        phc_event *event = new_event();
        CHECK_EQ(phc_event_set_int(event, "before", 1), PHC_OK);
        CHECK_EQ(sized ? phc_event_begin_object_n(event, "cart#", 4) : phc_event_begin_object(event, "cart"),
                 PHC_OK);
        CHECK_EQ(sized ? phc_event_begin_array_n(event, "items#", 5) : phc_event_begin_array(event, "items"),
                 PHC_OK);
        CHECK_EQ(sized ? phc_event_begin_object_n(event, NULL, 0) : phc_event_begin_object(event, NULL),
                 PHC_OK);
        CHECK_EQ(phc_event_set_int(event, "id", 7), PHC_OK);
        CHECK_EQ(phc_event_set_string(event, "name", "tea"), PHC_OK);
        CHECK_EQ(phc_event_end(event), PHC_OK);
        CHECK_EQ(sized ? phc_event_begin_array_n(event, NULL, 0) : phc_event_begin_array(event, NULL),
                 PHC_OK);
        CHECK_EQ(phc_event_set_bool(event, NULL, 1), PHC_OK);
        CHECK_EQ(phc_event_set_null(event, NULL), PHC_OK);
        CHECK_EQ(phc_event_set_uint_n(event, NULL, 0, 2), PHC_OK);
        CHECK_EQ(phc_event_set_double(event, NULL, 0.5), PHC_OK);
        CHECK_EQ(phc_event_set_json(event, NULL, "{\"x\":[]}"), PHC_OK);
        CHECK_EQ(phc_event_end(event), PHC_OK);
        CHECK_EQ(phc_event_set_string_n(event, NULL, 0, "text", 4), PHC_OK);
        CHECK_EQ(phc_event_end(event), PHC_OK); /* items */
        CHECK_EQ(phc_event_set_int(event, "total", 3), PHC_OK);
        CHECK_EQ(phc_event_begin_object(event, "empty"), PHC_OK);
        CHECK_EQ(phc_event_end(event), PHC_OK);
        CHECK_EQ(phc_event_begin_array(event, "none"), PHC_OK);
        CHECK_EQ(phc_event_end(event), PHC_OK);
        CHECK_EQ(phc_event_end(event), PHC_OK); /* cart */
        CHECK_EQ(phc_event_set_int(event, "after", 2), PHC_OK);
        check_properties(
            event,
            "{\"before\":1,\"cart\":{\"items\":[{\"id\":7,\"name\":\"tea\"},"
            "[true,null,2,0.5,{\"x\":[]}],\"text\"],\"total\":3,\"empty\":{},\"none\":[]},\"after\":2}");
    }
    finish(client);
}

static void keys_belong_to_the_innermost_object(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_set_int(event, "a", 1), PHC_OK);
    CHECK_EQ(phc_event_begin_object(event, "inner"), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "a", 2), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "a", 3), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "b", 4), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "b", 5), PHC_OK);
    const char *text = sent(event);
    CHECK_EQ(count(text, "\"a\":"), 2);
    CHECK_EQ(count(text, "\"b\":"), 2);
    CHECK_EQ(count(text, "\"a\":2"), 0);
    CHECK_HAS(text, "\"a\":1");
    CHECK_HAS(text, "\"b\":5");
    /* A value that was an object is replaced like any other, and the other way round. */
    event = new_event();
    CHECK_EQ(phc_event_begin_object(event, "k"), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "gone", 1), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, "k", 1), PHC_OK);
    check_properties(event, "{\"k\":1}");
    event = new_event();
    CHECK_EQ(phc_event_set_int(event, "k", 1), PHC_OK);
    CHECK_EQ(phc_event_begin_array(event, "k"), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, NULL, 2), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    check_properties(event, "{\"k\":[2]}");
    finish(client);
}

static void a_wrong_key_is_refused_and_changes_nothing(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_begin_object(event, NULL), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_begin_array_n(event, NULL, 0), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_begin_array(event, "list"), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, NULL, 1), PHC_OK);
    CHECK_EQ(phc_event_set_string(event, "key", "v"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_string_n(event, "key", 3, "v", 1), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_int(event, "", 9), PHC_INVALID_ARGUMENT); /* empty, but not NULL */
    CHECK_EQ(phc_event_set_json(event, "key", "1"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_begin_object(event, "key"), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_begin_array_n(event, "key", 3), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "array");
    CHECK_EQ(phc_event_set_int(event, NULL, 2), PHC_OK);
    CHECK_EQ(phc_event_begin_object(event, NULL), PHC_OK);
    CHECK_EQ(phc_event_set_int(event, NULL, 9), PHC_INVALID_ARGUMENT);
    CHECK_HAS(phc_last_error(), "key");
    CHECK_EQ(phc_event_set_int(event, "a", 3), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    check_properties(event, "{\"list\":[1,2,{\"a\":3}]}");
    finish(client);
}

static void an_event_that_has_not_ended_cannot_be_captured(void) {
    in_test_mode();
    for (int depth = 1; depth <= 3; depth++) {
        phc_event *event = new_event();
        for (int i = 0; i < depth; i++) CHECK_EQ(phc_event_begin_object(event, "k"), PHC_OK);
        CHECK_EQ(phc_event_set_int(event, "n", 1), PHC_OK);
        CHECK_EQ(phc_capture_event(client, event, NULL), PHC_INVALID_EVENT);
        CHECK_HAS(phc_last_error(), "end");
        CHECK_EQ(stats_of(client).refused_by_status[PHC_INVALID_EVENT], depth);
    }
    /* Nor does it leave anything to the next event. */
    phc_event *event = new_event();
    CHECK_EQ(phc_event_set_int(event, "n", 1), PHC_OK);
    check_properties(event, "{\"n\":1}");
    /* It can be freed at any time. */
    event = new_event();
    CHECK_EQ(phc_event_begin_array(event, "k"), PHC_OK);
    phc_event_free(event);
    check_properties(new_event(), "{}");
    finish(client);
}

static void an_end_too_many_is_refused_and_changes_nothing(void) {
    in_test_mode();
    phc_event *event = new_event();
    CHECK_EQ(phc_event_end(event), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_begin_array(event, "k"), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_INVALID_ARGUMENT);
    CHECK_EQ(phc_event_set_int(event, "n", 1), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_INVALID_ARGUMENT);
    check_properties(event, "{\"k\":[],\"n\":1}");
    CHECK_EQ(phc_event_end(NULL), PHC_INVALID_ARGUMENT);
    finish(client);
}

static void nesting_is_bounded(void) {
    in_test_mode();
    phc_event *event = new_event();
    int depth = 0;
    phc_status status;
    while ((status = phc_event_begin_array(event, depth == 0 ? "k" : NULL)) == PHC_OK && depth < 1000)
        depth++;
    CHECK_EQ(status, PHC_INVALID_PROPERTY);
    CHECK_HAS(phc_last_error(), "deeper than 100");
    CHECK(depth >= 50 && depth <= 100);
    CHECK_EQ(phc_event_set_int(event, NULL, 1), PHC_OK);
    for (int i = 0; i < depth; i++) CHECK_EQ(phc_event_end(event), PHC_OK);
    const char *text = sent(event);
    CHECK_EQ(count(text, "["), depth);
    CHECK_EQ(count(text, "]"), depth);
    finish(client);
}

static void a_nested_event_passes_the_server(void) {
    client = make_client(NULL, NULL);
    phc_event *event = new_event();
    CHECK_EQ(phc_event_begin_object(event, "$set"), PHC_OK);
    CHECK_EQ(phc_event_set_string(event, "plan", "pro"), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_event_begin_array(event, "list"), PHC_OK);
    CHECK_EQ(phc_event_set_string(event, NULL, "\xff"), PHC_OK);
    CHECK_EQ(phc_event_end(event), PHC_OK);
    CHECK_EQ(phc_capture_event(client, event, NULL), PHC_OK);
    CHECK_EQ(phc_flush(client, 20000, NULL, 0), PHC_OK);
    CHECK_EQ(stats_of(client).repaired, 1);
    char *events = sink_get("_events");
    CHECK_HAS(events, "\"$set\":{\"plan\":\"pro\"}");
    CHECK_HAS(events, "\"list\":[\"\xef\xbf\xbd\"]");
    free(events);
    finish(client);
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(each_setter_writes_its_value),
        TEST(numbers_are_sent_exactly),
        TEST(texts_with_a_length_may_contain_nul),
        TEST(a_key_that_is_set_again_replaces_its_value),
        TEST(json_text_keeps_its_duplicate_keys),
        TEST(what_is_refused_changes_nothing),
        TEST(the_time_of_an_event_can_be_set),
        TEST(objects_and_arrays_can_be_nested),
        TEST(keys_belong_to_the_innermost_object),
        TEST(a_wrong_key_is_refused_and_changes_nothing),
        TEST(an_event_that_has_not_ended_cannot_be_captured),
        TEST(an_end_too_many_is_refused_and_changes_nothing),
        TEST(nesting_is_bounded),
        TEST(a_nested_event_passes_the_server),
    };
    return RUN_TESTS(tests);
}
