// Misuse throws, with words that say what to do; delivery never does. phc.hpp has the rule.
#include "harness.hpp"

#include <stdexcept>

// Whether the body throws phc::error with this status and this text in what().
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
    CHECK_THROWS(invalid_setting, "flush_at", settings.flush_at(0));
    CHECK_THROWS(invalid_setting, "host", settings.host("ftp://example.com"));
    CHECK_THROWS(invalid_setting, "Authorization", settings.header("Authorization", "x"));
    CHECK_THROWS(invalid_setting, "NUL", settings.set("proxy", std::string_view("a\0b", 3)));
    // The settings are as they were, and good.
    CHECK(static_cast<bool>(settings) && static_cast<bool>(phc::client(settings)));
    CHECK_THROWS(invalid_setting, "NUL", phc::settings(std::string_view("phc\0key", 7)));
    CHECK_THROWS(invalid_setting, "key", phc::client(phc::settings("a key with spaces\n in it")));
}

static void text_that_is_no_event() {
    phc::client client(here().test_mode());
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
    CHECK_THROWS(invalid_property, "", client.identify("u", phc::raw_json("[1]")));
    CHECK_THROWS(invalid_argument, "alias", client.alias("u", ""));
    CHECK_THROWS(invalid_argument, "group", client.group_identify("", "k"));
    CHECK_THROWS(invalid_json, "", client.register_property("k", phc::raw_json("{")));
    CHECK(!client.test_next());
}

static void a_nul_where_c_cannot_take_one() {
    phc::client client(here().test_mode());
    const std::string_view nul("a\0b", 3);
    CHECK_THROWS(invalid_argument, "NUL", client.identify(nul));
    CHECK_THROWS(invalid_argument, "NUL", client.identify("u", phc::raw_json(nul)));
    CHECK_THROWS(invalid_argument, "NUL", client.alias("u", nul));
    CHECK_THROWS(invalid_argument, "NUL", client.group_identify("company", nul));
    CHECK_THROWS(invalid_argument, "NUL", client.group_identify("company", "acme", {}, nul));
    CHECK_THROWS(invalid_argument, "NUL", client.register_property(nul, 1));
    CHECK_THROWS(invalid_argument, "NUL", client.unregister_property(nul));
    CHECK_THROWS(invalid_argument, "NUL", phc::client::open(nul, here()));
    // In an event it is text like any other.
    CHECK_STATUS(client.capture(nul, nul, {{nul, nul}}), ok);
    CHECK_TEXT(next_properties(client), R"({"a\u0000b":"a\u0000b"})");
}

static void a_client_that_was_moved_from() {
    phc::client client(here().test_mode());
    phc::client taken = std::move(client);
    CHECK_THROWS(invalid_argument, "client is NULL", client.capture("u", "e"));
    CHECK_THROWS(invalid_argument, "client is NULL", client.flush(1s));
    CHECK_THROWS(invalid_argument, "client is NULL", client.close(1s));
    CHECK_THROWS(invalid_argument, "client is NULL", client.stats());
    CHECK(client.stats_json().empty());
    CHECK(!client.poll());
    CHECK(!client.test_next());
    CHECK_EQ(client.poll_fd(), -1);
}

static void a_name_with_other_settings() {
    phc::client one = phc::client::open("named", here().test_mode());
    CHECK_THROWS(conflict, "", phc::client::open("named", here().test_mode().flush_at(7)));
}

// A status that was added to the library must be listed, and sorted, here too.
static void every_status_is_known() {
    std::size_t misuse = 0;
    for (phc_status number = 0; number < 20; number++) {
        const phc::status status(number);
        CHECK(std::strcmp(status.name(), phc_status_name(number)) == 0);
        CHECK(std::strcmp(status.message(), phc_status_message(number)) == 0);
        misuse += status.is_misuse() ? 1 : 0;
    }
    CHECK_EQ(misuse, 10);
    CHECK_TEXT(phc_status_name(20), "unknown");
    CHECK(phc::status(phc::code::wrong_library).is_misuse());
    CHECK(!phc::status(12345).is_misuse() && !phc::status(12345));
    CHECK_TEXT(phc_loss_name(9), phc_loss_name(12345));
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(settings_that_are_not_accepted), TEST(text_that_is_no_event),
        TEST(a_nul_where_c_cannot_take_one),  TEST(a_client_that_was_moved_from),
        TEST(a_name_with_other_settings),     TEST(every_status_is_known),
    };
    return RUN_TESTS(tests);
}
