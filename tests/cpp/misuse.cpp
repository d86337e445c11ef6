// Misuse throws, with a text that says what to do; delivery never does. phc.hpp has the rule.
#include "harness.hpp"

#include <cmath>
#include <stdexcept>

// Checks that the body throws phc::error with this status and this text in what().
template <class Body> static void check_throws(phc::code wanted, const char *part, Body &&body, int line) {
    try {
        body();
        check_at(0, __FILE__, line, "it does not throw");
    } catch (const phc::error &error) {
        check_at(error.status() == wanted, __FILE__, line, "the status is %s", error.status().name());
        check_at(std::strstr(error.what(), part) != nullptr, __FILE__, line, "\"%s\" is not in: %s", part,
                 error.what());
    }
}
#define CHECK_THROWS(wanted, part, ...)                                                                      \
    check_throws(                                                                                            \
        phc::code::wanted, part, [&] { __VA_ARGS__; }, __LINE__)

static void settings_that_are_not_accepted() {
    phc::settings settings("phc_key");
    CHECK_THROWS(invalid_setting, "flush_at", settings.set("flush_a", 3));
    CHECK_THROWS(invalid_setting, "1 to 100000", settings.flush_at(0));
    CHECK_THROWS(invalid_setting, "host", settings.host("ftp://example.com"));
    CHECK_THROWS(invalid_setting, "Authorization", settings.header("Authorization", "x"));
    CHECK_THROWS(invalid_setting, "NUL", settings.set("proxy", std::string_view("a\0b", 3)));
    CHECK_THROWS(invalid_setting, "NUL", settings.set(std::string_view("a\0b", 3), 1));
    CHECK_THROWS(invalid_setting, "drop_oldest", settings.overflow(static_cast<phc::overflow>(9)));
    CHECK_THROWS(invalid_setting, "NUL", phc::settings(std::string_view("phc\0key", 7)));
    // What was accepted before is still there.
    CHECK(static_cast<bool>(settings) && static_cast<bool>(phc::client(settings)));
}

// The constructors throw what the library says, with its own status.
static void clients_that_cannot_be_made() {
    CHECK_THROWS(invalid_setting, "project key", phc::client(phc::settings("a key with\na line break")));
    // Each of these two is accepted by itself.
    CHECK_THROWS(invalid_setting, "compression_level",
                 phc::client(phc::settings("phc_key").set("compression_level", 9)));
    phc::settings settings("phc_key");
    const phc::settings taken = std::move(settings);
    CHECK_THROWS(invalid_argument, "config is NULL",
                 phc::client{settings}); // NOLINT: the test is the use after the move
    const phc::client one = phc::client::open("named", test_settings().test_mode());
    CHECK_THROWS(conflict, "named", phc::client::open("named", test_settings().test_mode().flush_at(7)));
    CHECK_THROWS(invalid_argument, "NUL", phc::client::open(std::string_view("a\0b", 3), test_settings()));
}

static void text_that_is_not_an_event() {
    phc::client client = test_mode_client();
    const std::string long_text(201, 'x'), large(1 << 20, 'x');
    CHECK_THROWS(invalid_event, "capture: ", client.capture("u", ""));
    CHECK_THROWS(invalid_event, "200", client.capture("u", long_text));
    CHECK_THROWS(invalid_distinct_id, "200", client.capture(long_text, "e"));
    CHECK_THROWS(invalid_json, "", client.capture("u", "e", phc::raw_json("{\"a\":}")));
    CHECK_THROWS(invalid_json, "", client.capture_json("{"));
    CHECK_THROWS(invalid_json, "", client.capture("u", "e", {{"a", phc::raw_json("")}}));
    CHECK_THROWS(invalid_property, "", client.capture("u", "e", phc::raw_json("[1]")));
    CHECK_THROWS(invalid_timestamp, "", client.capture(phc::event("u", "e").timestamp("yesterday")));
    CHECK_THROWS(event_too_large, "", client.capture("u", "e", {{"a", large}}));
    CHECK_THROWS(invalid_property, "identify: ", client.identify("u", phc::raw_json("[1]")));
    CHECK_THROWS(invalid_distinct_id, "identify: ", client.identify(""));
    CHECK_THROWS(invalid_argument, "alias", client.alias("u", ""));
    CHECK_THROWS(invalid_argument, "group", client.group_identify("", "k"));
    CHECK_THROWS(invalid_json, "", client.register_property("k", phc::raw_json("{")));
    CHECK(!client.next_test_event());
}

// In the place of a value it would end the object around it, or add members to that.
static void raw_json_that_is_not_one_value() {
    phc::client client = test_mode_client();
    phc::request_context request;
    request.set("p", 1); // is added behind the properties
    const char *texts[] = {R"(1},"distinct_id":"victim","$set":{"admin":true)",
                           R"({"a":1},"distinct_id":"victim","$set":{"b":2})",
                           R"(null,"distinct_id":"victim")",
                           R"(1,"b":2)",
                           R"("x":1)",
                           R"("x\\","b":{"x":"\\")",
                           R"({"a":"b})",
                           R"("a\")",
                           "[1],[2]",
                           "{},{}",
                           "1]",
                           "}",
                           "[1",
                           "{",
                           "\"",
                           "",
                           " \t\r\n"};
    for (const char *text : texts) {
        const phc::raw_json raw(text);
        CHECK_THROWS(invalid_json, "", client.capture("u", "e", raw));
        CHECK_THROWS(invalid_json, "", client.capture("u", "e", {{"a", raw}}));
        CHECK_THROWS(invalid_json, "", client.capture("u", "e", phc::properties{{"a", raw}}));
        CHECK_THROWS(invalid_json, "", client.capture(phc::event("u", "e").set("a", raw)));
        CHECK_THROWS(invalid_json, "", client.capture("u", "e", {{"a", phc::array::of(1, raw)}}));
        CHECK_THROWS(invalid_json, "",
                     client.capture("u", "e", {{"a", std::vector<phc::raw_json>{raw, raw}}}));
        CHECK_THROWS(invalid_json, "", client.capture("u", "e", {{"a", std::optional<phc::raw_json>(raw)}}));
        const auto fill = [&](phc::array_writer &list) {
            list.add_object([&](phc::object_writer &a) { a.set("b", raw); });
        };
        CHECK_THROWS(invalid_json, "", client.capture(phc::event("u", "e").set_array("a", fill)));
        CHECK_THROWS(invalid_json, "", client.identify("u", {{"a", raw}}));
        CHECK_THROWS(invalid_json, "", client.capture_exception(phc::exception("a", "b"), "u", {{"a", raw}}));
        CHECK_THROWS(invalid_json, "", client.register_property("a", raw));
        CHECK_THROWS(invalid_json, "", phc::flags_query("u").person("a", raw));
        CHECK_THROWS(invalid_json, "", phc::flags_query("u").person({{"a", raw}}));
        CHECK_THROWS(invalid_json, "", {
            phc::request_context inner;
            inner.set("a", raw);
            client.capture("u", "e");
        });
    }
    CHECK_THROWS(invalid_json, "", client.capture("u", "e", phc::raw_json("{} {}")));
    CHECK(!client.next_test_event());
}

static void times_without_a_year_of_four_digits() {
    phc::client client = test_mode_client();
    const auto refused = [&](auto since_1970) {
        const std::chrono::time_point<std::chrono::system_clock, decltype(since_1970)> time(since_1970);
        CHECK_THROWS(invalid_timestamp, "", client.capture(phc::event("u", "e").timestamp(time)));
    };
    refused(std::chrono::milliseconds::min());
    refused(std::chrono::milliseconds::max());
    refused(std::chrono::seconds::min());
    refused(std::chrono::seconds::max());
    refused(std::chrono::hours(std::chrono::hours::rep(5124095576030) + 496000)); // 2^64 ms and some years
    refused(std::chrono::duration<std::int64_t, std::ratio<31556952>>::max());
    refused(std::chrono::duration<double>(1e300));
    refused(std::chrono::duration<double>(-HUGE_VAL));
    refused(std::chrono::duration<float>(NAN));
    refused(std::chrono::seconds(253402300800));
    refused(std::chrono::milliseconds(-62167219200001));
    CHECK(!client.next_test_event());
}

static void a_nul_where_c_cannot_take_one() {
    phc::client client = test_mode_client();
    const std::string_view nul("a\0b", 3);
    CHECK_THROWS(invalid_argument, "NUL", client.identify(nul));
    CHECK_THROWS(invalid_argument, "NUL", client.identify("u", phc::raw_json(nul)));
    CHECK_THROWS(invalid_argument, "NUL", client.alias("u", nul));
    CHECK_THROWS(invalid_argument, "NUL", client.group_identify("company", nul));
    CHECK_THROWS(invalid_argument, "NUL", client.group_identify("company", "acme", {}, nul));
    CHECK_THROWS(invalid_argument, "NUL", client.register_property(nul, 1));
    CHECK_THROWS(invalid_argument, "NUL", client.unregister_property(nul));
    CHECK(!client.next_test_event());
    // In an event it is text like any other.
    CHECK_STATUS(client.capture(nul, nul, {{nul, nul}}), ok);
    CHECK_TEXT(next_properties(client), R"({"a\u0000b":"a\u0000b"})");
}

static void a_client_that_was_moved_from() {
    phc::client client = test_mode_client();
    phc::client taken = std::move(client);
    CHECK_THROWS(invalid_argument, "client is NULL", client.capture("u", "e"));
    CHECK_THROWS(invalid_argument, "client is NULL", client.identify("u"));
    CHECK_THROWS(invalid_argument, "client is NULL", client.flush(1s));
    CHECK_THROWS(invalid_argument, "client is NULL", client.close(1s));
    CHECK_THROWS(invalid_argument, "client is NULL", client.on_error(nullptr));
    CHECK_THROWS(invalid_argument, "client is NULL", client.on_delivery(nullptr));
    CHECK_THROWS(invalid_argument, "client is NULL", client.stats());
    CHECK(client.stats_json().empty());
    CHECK(!client.poll());
    CHECK(!client.next_test_event());
    CHECK_EQ(client.poll_fd(), -1);
}

static void opening_a_client_inside_a_callback() {
    phc::client client = test_mode_client();
    client.before_send([](std::string_view) {
        CHECK_THROWS(reentrant, "phc_client_open", phc::client::open("inner", test_settings()));
        return phc::decision::keep();
    });
    CHECK_STATUS(client.capture("u", "e"), ok);
}

static void a_status_that_is_ok_has_no_details() {
    phc::client client = test_mode_client();
    CHECK_THROWS(invalid_event, "", client.capture("u", ""));
    CHECK(phc::last_error()[0] != '\0');
    CHECK_TEXT(client.capture("u", "e").details(), "");
}

// A status or a reason that was added to the library must be listed, and sorted, here too.
static void every_status_and_loss_is_known() {
    std::size_t misuse = 0;
    for (phc_status number = 0; number <= PHC_SPOOL; number++) {
        const phc::status status(number);
        CHECK_TEXT(status.name(), phc_status_name(number));
        CHECK_TEXT(status.message(), phc_status_message(number));
        misuse += status.is_misuse() ? 1 : 0;
    }
    CHECK_EQ(misuse, 10);
    CHECK_TEXT(phc_status_name(PHC_SPOOL + 1), "unknown");
    CHECK(phc::status(phc::code::wrong_library).is_misuse());
    CHECK(!phc::status(12345).is_misuse() && !phc::status(12345));
    CHECK_TEXT(phc::name(phc::loss::none), "delivered");
    CHECK_TEXT(phc::name(phc::loss::malformed_response), "malformed_response");
    CHECK_TEXT(phc::name(phc::loss::internal), "internal");
    CHECK_TEXT(phc::name(phc::loss::discarded), "discarded");
    CHECK_TEXT(phc_loss_name(PHC_LOSS_DISCARDED + 1), phc_loss_name(12345));
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(settings_that_are_not_accepted),      TEST(clients_that_cannot_be_made),
        TEST(text_that_is_not_an_event),           TEST(raw_json_that_is_not_one_value),
        TEST(times_without_a_year_of_four_digits), TEST(a_nul_where_c_cannot_take_one),
        TEST(a_client_that_was_moved_from),        TEST(opening_a_client_inside_a_callback),
        TEST(a_status_that_is_ok_has_no_details),  TEST(every_status_and_loss_is_known),
    };
    return RUN_TESTS(tests);
}
