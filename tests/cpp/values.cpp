// The JSON of C++ values, as the events of test mode show it.
#include "harness.hpp"

#include <array>
#include <clocale>
#include <cmath>
#include <limits>
#include <list>
#include <map>
#include <vector>

// The JSON of one property as it would be sent.
template <class T> static std::string wire(const T &value) {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture(phc::event("u", "e").set("p", value)), ok);
    const std::string properties = next_properties(client);
    return properties.size() < 6 ? properties : properties.substr(5, properties.size() - 6);
}

static void whole_numbers() {
    CHECK_TEXT(wire(0), "0");
    CHECK_TEXT(wire(std::numeric_limits<std::int64_t>::max()), "9223372036854775807");
    CHECK_TEXT(wire(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    CHECK_TEXT(wire(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    CHECK_TEXT(wire(static_cast<unsigned char>(200)), "200");
    CHECK_TEXT(wire(static_cast<std::int8_t>(-3)), "-3");
    CHECK_TEXT(wire(static_cast<short>(-7)), "-7");
    CHECK_TEXT(wire(true), "true");
    CHECK_TEXT(wire(false), "false");
}

static void decimals() {
    // As a reader reads them: which digits are written is up to the standard library.
    for (const double value :
         {0.1, 249.95, -2.5, 1e300, 5e-324, 1.7976931348623157e308, 123456789.125, 1e21}) {
        CHECK(std::strtod(wire(value).c_str(), nullptr) == value);
    }
    for (const float value : {0.1F, -3.25F, 3.4028235e38F})
        CHECK(std::strtof(wire(value).c_str(), nullptr) == value);
    CHECK_TEXT(wire(2.5L), "2.5");
#if defined(__cpp_lib_to_chars) && !defined(PHC_CPP_NO_TO_CHARS)
    CHECK_TEXT(wire(0.1F), "0.1");
    CHECK_TEXT(wire(249.95), "249.95");
#endif
}

static void nan_and_infinities_become_null() {
    phc::client client = test_mode_client();
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    CHECK_STATUS(client.capture("u", "e", {{"a", nan}, {"b", infinity}, {"c", -infinity}, {"d", 1}}), ok);
    CHECK_TEXT(next_properties(client), R"({"a":null,"b":null,"c":null,"d":1})");
    CHECK_TEXT(wire(std::numeric_limits<float>::quiet_NaN()), "null");
    CHECK_TEXT(wire(std::vector<double>{1, nan, 2}), "[1,null,2]");
}

static void numbers_in_another_locale() {
    // de_DE has a decimal comma. If it is not installed, this tests the C locale.
    std::setlocale(LC_ALL, "de_DE.UTF-8");
    CHECK(std::strchr(wire(2.5).c_str(), ',') == nullptr);
    CHECK_TEXT(wire(2.5), "2.5");
    std::setlocale(LC_ALL, "C");
}

static void text() {
    CHECK_TEXT(wire("plain"), R"("plain")");
    CHECK_TEXT(wire(std::string("Zürich 🎉")), R"("Zürich 🎉")");
    CHECK_TEXT(wire(std::string_view("a\"b\\c\nd\re\tf\x01g\x7f")),
               "\"a\\\"b\\\\c\\nd\\re\\tf\\u0001g\x7f\"");
    CHECK_TEXT(wire(std::string_view("x\0y", 3)), R"("x\u0000y")");
    CHECK_TEXT(wire(""), R"("")");
    CHECK_TEXT(wire(static_cast<const char *>(nullptr)), "null");
    char writable[] = "writable";
    CHECK_TEXT(wire(static_cast<char *>(writable)), R"("writable")");
#ifdef __cpp_char8_t
    CHECK_TEXT(wire(u8"é"), "\"\xC3\xA9\"");
    CHECK_TEXT(wire(std::u8string(u8"é")), "\"\xC3\xA9\"");
#endif
}

// Every byte at every position, because texts are read eight bytes at a time.
static void escapes_at_every_position() {
    for (std::size_t length = 1; length <= 20; length++) {
        for (std::size_t place = 0; place < length; place++) {
            for (int byte = 0; byte < 128; byte++) {
                std::string plain(length, 'x'), expected, actual;
                plain[place] = static_cast<char>(byte);
                for (const char each : plain) {
                    char escaped[8];
                    if (each == '"' || each == '\\') (expected += '\\') += each;
                    else if (each == '\n') expected += "\\n";
                    else if (each == '\r') expected += "\\r";
                    else if (each == '\t') expected += "\\t";
                    else if (each >= 0x20) expected += each;
                    else
                        expected.append(escaped, static_cast<std::size_t>(std::snprintf(
                                                     escaped, sizeof escaped, "\\u%04x", each)));
                }
                phc::detail::write(actual, plain);
                if (actual != "\"" + expected + "\"") CHECK_TEXT(actual, expected);
            }
        }
    }
    // High bytes are text too.
    std::string umlauts, actual;
    for (int i = 0; i < 40; i++) umlauts += "\xC3\xBC";
    phc::detail::write(actual, umlauts);
    CHECK_TEXT(actual, "\"" + umlauts + "\"");
}

static void bad_utf8_is_repaired() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture("u", "e", {{"a", "x\xFFy"}, {"b", 1}}), ok);
    CHECK_TEXT(next_properties(client), "{\"a\":\"x\xEF\xBF\xBDy\",\"b\":1}");
    CHECK_EQ(client.stats().repaired(), 1);
}

static void nothing_and_null() {
    phc::client client = test_mode_client();
    const std::optional<int> none, some = 7;
    CHECK_STATUS(client.capture("u", "e", {{"none", none}, {"some", some}, {"null", nullptr}}), ok);
    CHECK_TEXT(next_properties(client), R"({"some":7,"null":null})");
    CHECK_STATUS(client.capture(phc::event("u", "e").set("none", none).set("some", some)), ok);
    CHECK_TEXT(next_properties(client), R"({"some":7})");
    CHECK_TEXT(wire(std::vector<std::optional<int>>{1, std::nullopt, 2}), "[1,null,2]");
}

static void ranges_and_maps() {
    CHECK_TEXT(wire(std::vector<int>{1, 2, 3}), "[1,2,3]");
    CHECK_TEXT(wire(std::vector<bool>{true, false}), "[true,false]");
    CHECK_TEXT(wire(std::list<std::string>{"a", "b"}), R"(["a","b"])");
    CHECK_TEXT(wire(std::array<double, 2>{{0.5, 1.5}}), "[0.5,1.5]");
    const int numbers[] = {4, 5};
    CHECK_TEXT(wire(numbers), "[4,5]");
    CHECK_TEXT(wire(std::vector<int>{}), "[]");
    CHECK_TEXT(wire(std::map<std::string, int>{{"a", 1}, {"b\"", 2}}), R"({"a":1,"b\"":2})");
    CHECK_TEXT(wire(std::map<std::string, std::vector<int>>{{"a", {1, 2}}}), R"({"a":[1,2]})");
    CHECK_TEXT(wire(std::vector<phc::object>{phc::object{{"a", 1}}, phc::object{}}), R"([{"a":1},{}])");
}

static void nested_objects_and_arrays() {
    CHECK_TEXT(wire(phc::object{{"a", phc::object{{"b", phc::array::of(1, "x", nullptr, phc::object{})}}},
                                {"c", 2}}),
               R"({"a":{"b":[1,"x",null,{}]},"c":2})");
    CHECK_TEXT(wire(phc::array()), "[]");
    phc::client client = test_mode_client();
    phc::event event("u", "e");
    event.set("first", 1)
        .set_object("cart",
                    [](phc::object_writer &cart) {
                        cart.set("total", 12.5).set_array("items", [](phc::array_writer &items) {
                            items.add("tea").add_object([](phc::object_writer &item) { item.set("n", 2); });
                            items.add_array([](phc::array_writer &empty) { static_cast<void>(empty); });
                        });
                    })
        .set("last", true);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client),
               R"({"first":1,"cart":{"total":12.5,"items":["tea",{"n":2},[]]},"last":true})");
}

static void raw_json_is_sent_as_it_is() {
    CHECK_TEXT(wire(phc::raw_json("[1.10, 1E5]")), "[1.10, 1E5]");
    CHECK_TEXT(wire(phc::raw_json(std::string("123456789012345678901234567890"))),
               "123456789012345678901234567890");
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture("u", "e", phc::raw_json(R"({"n":1.50})")), ok);
    CHECK_TEXT(next_properties(client), R"({"n":1.50})");
    // Brackets, commas and colons of its own, also in strings, and white space around it.
    for (const char *text : {R"({"a":"},\"b\":[","c":[{},"\\",{"d":[1,2]}]})", R"("a,b:c}]\\")", R"([[],{}])",
                             R"("")", "null"}) {
        CHECK_TEXT(wire(phc::raw_json(text)), text);
        CHECK_TEXT(wire(phc::array::of(phc::raw_json(std::string("\n ") + text + "\t\r"), 1)),
                   std::string("[\n ") + text + "\t\r,1]");
    }
    CHECK_STATUS(client.capture("u", "e", phc::raw_json(" null\n")), ok);
    CHECK_TEXT(next_properties(client), "{}");
}

static void what_is_set_in_itself_is_a_copy() {
    phc::object object{{"a", 0}, {"a", 1}};
    object.set("self", object);
    CHECK_TEXT(object.json(), R"({"a":1,"self":{"a":1}})");
    object.set("self", object).set({"again", object});
    CHECK_TEXT(object.json(),
               R"({"a":1,"self":{"a":1,"self":{"a":1}},"again":{"a":1,"self":{"a":1,"self":{"a":1}}}})");
    phc::object outer{{"a", 1}};
    outer.set_object("b", [&](phc::object_writer &b) { b.set("c", 2).set("outer", outer).set("d", 3); });
    CHECK_TEXT(outer.json(), R"({"a":1,"b":{"c":2,"outer":{"a":1},"d":3}})");
    phc::object none;
    CHECK_TEXT(none.set("none", none).json(), R"({"none":{}})");
    phc::array array = phc::array::of(1, "two");
    CHECK_TEXT(array.add(array).add(array).json(), R"([1,"two",[1,"two"],[1,"two",[1,"two"]]])");
    object.set("array", array);
    CHECK_TEXT(wire(object), object.json());
}

static void times() {
    using time = std::chrono::system_clock::time_point;
    CHECK_TEXT(wire(time()), R"("1970-01-01T00:00:00.000Z")");
    CHECK_TEXT(wire(time(1500ms)), R"("1970-01-01T00:00:01.500Z")");
    CHECK_TEXT(wire(time(-1ms)), R"("1969-12-31T23:59:59.999Z")");
    CHECK_TEXT(wire(time(951782400s)), R"("2000-02-29T00:00:00.000Z")");
    CHECK_TEXT(wire(time(1709210096s + 7ms)), R"("2024-02-29T12:34:56.007Z")");
    CHECK_TEXT(wire(time(4107542400s)), R"("2100-03-01T00:00:00.000Z")");
}

template <class Rep, class Period> static auto since_1970(std::chrono::duration<Rep, Period> duration) {
    return std::chrono::time_point<std::chrono::system_clock, std::chrono::duration<Rep, Period>>(duration);
}

// In other units than that of system_clock.
static void times_of_any_unit() {
    CHECK_TEXT(wire(since_1970(-1h)), R"("1969-12-31T23:00:00.000Z")");
    CHECK_TEXT(wire(since_1970(-1us)), R"("1969-12-31T23:59:59.999Z")");
    CHECK_TEXT(wire(since_1970(std::chrono::duration<double>(1.25))), R"("1970-01-01T00:00:01.250Z")");
    CHECK_TEXT(wire(since_1970(std::chrono::duration<std::int32_t, std::ratio<604800>>(2))),
               R"("1970-01-15T00:00:00.000Z")");
    CHECK_TEXT(wire(since_1970(-62167219200s)), R"("0000-01-01T00:00:00.000Z")");
    CHECK_TEXT(wire(since_1970(-62167219200001ms)), R"("-0001-12-31T23:59:59.999Z")");
    CHECK_TEXT(wire(since_1970(253402300799999ms)), R"("9999-12-31T23:59:59.999Z")");
    CHECK_TEXT(wire(since_1970(253402300800s)), R"("10000-01-01T00:00:00.000Z")");
    // Those that 64 bits of milliseconds may not hold.
    CHECK_TEXT(wire(since_1970(std::chrono::seconds::max())), R"("11476-08-15T05:20:00.000Z")");
    CHECK_TEXT(wire(since_1970(std::chrono::hours::min())), R"("-7537-05-18T18:40:00.000Z")");
}

// Every day until 64 bits of nanoseconds end, against a calendar that counts days.
static void times_against_another_calendar() {
    phc::client client = test_mode_client();
    static const int days_of_month[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    std::chrono::system_clock::time_point at;
    for (int year = 1970; year < 2370; year++) {
        for (int month = 1; month <= 12; month++) {
            const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            const int days = days_of_month[month - 1] + (month == 2 && leap ? 1 : 0);
            for (int day = 1; day <= days; day++, at += 24h) {
                char expected[40];
                std::snprintf(expected, sizeof expected, "\"%04d-%02d-%02dT00:00:00.000Z\"", year, month,
                              day);
                std::string actual;
                phc::detail::write(actual, at);
                if (actual != expected) CHECK_TEXT(actual, expected);
                if (year >= 2262) return; // the last year of system_clock with nanoseconds
            }
        }
    }
}

static void members_outside_the_properties() {
    phc::client client = test_mode_client();
    const auto when = std::chrono::system_clock::time_point(1709210096s);
    const phc::receipt receipt = client.capture(phc::event("u\"1", "order placed")
                                                    .group("company", "acme")
                                                    .set("total", 1)
                                                    .timestamp(when)
                                                    .group("team", "blue")
                                                    .uuid("0190B6C4-0000-7000-8000-000000000001"));
    CHECK_STATUS(receipt, ok);
    CHECK_TEXT(receipt.uuid(), "0190b6c4-0000-7000-8000-000000000001");
    const std::string json = client.next_test_event().value_or("");
    CHECK_IN(json, R"("distinct_id":"u\"1")");
    CHECK_IN(json, R"("event":"order placed")");
    CHECK_IN(json, R"("timestamp":"2024-02-29T12:34:56.000Z")");
    CHECK_IN(json, R"("uuid":"0190b6c4-0000-7000-8000-000000000001")");
    CHECK_IN(json, R"("$groups":{"company":"acme","team":"blue"})");
    CHECK_STATUS(client.capture(phc::event("u", "e").timestamp("2024-02-29T12:34:56+02:00")), ok);
    CHECK_IN(client.next_test_event().value_or(""), R"("timestamp":"2024-02-29T10:34:56.000Z")");
}

static void properties_that_the_contract_lifts() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture("u", "e", {{"$session_id", "s-1"}, {"$process_person_profile", false}}), ok);
    const std::string json = client.next_test_event().value_or("");
    CHECK_IN(json, R"("session_id":"s-1")");
    CHECK_IN(json, R"("options":{"process_person_profile":false})");
}

static void an_event_can_be_captured_again() {
    phc::client client = test_mode_client();
    phc::event event("u", "e");
    event.set("a", 1);
    CHECK_STATUS(client.capture(event), ok);
    event.set("b", 2);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(event.json(), R"({"distinct_id":"u","event":"e","properties":{"a":1,"b":2}})");
    CHECK_TEXT(next_properties(client), R"({"a":1})");
    CHECK_TEXT(next_properties(client), R"({"a":1,"b":2})");
    CHECK(!client.next_test_event());
}

static void properties_are_reused() {
    phc::client client = test_mode_client();
    phc::properties common{{"build", 42}, {"platform", "linux"}};
    CHECK_STATUS(client.capture("u", "a", common), ok);
    CHECK_STATUS(client.capture("u", "b", phc::properties(common).set("level", 3)), ok);
    CHECK_STATUS(client.capture("u", "c", phc::properties()), ok);
    CHECK_STATUS(client.capture("u", "d", {}), ok);
    CHECK_STATUS(client.capture("u", "e"), ok);
    CHECK_TEXT(next_properties(client), R"({"build":42,"platform":"linux"})");
    CHECK_TEXT(next_properties(client), R"({"build":42,"platform":"linux","level":3})");
    for (int i = 0; i < 3; i++) CHECK_TEXT(next_properties(client), "{}");
}

static void large_events_in_test_mode() {
    phc::client client = test_mode_client();
    const std::string filler(100000, 'x');
    CHECK_STATUS(client.capture("u", "e", {{"filler", filler}}), ok);
    CHECK_TEXT(next_properties(client), "{\"filler\":\"" + filler + "\"}");
    CHECK_EQ(thread_count("phc-"), 0);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(whole_numbers),
        TEST(decimals),
        TEST(nan_and_infinities_become_null),
        TEST(numbers_in_another_locale),
        TEST(text),
        TEST(escapes_at_every_position),
        TEST(bad_utf8_is_repaired),
        TEST(nothing_and_null),
        TEST(ranges_and_maps),
        TEST(nested_objects_and_arrays),
        TEST(raw_json_is_sent_as_it_is),
        TEST(what_is_set_in_itself_is_a_copy),
        TEST(times),
        TEST(times_of_any_unit),
        TEST(times_against_another_calendar),
        TEST(members_outside_the_properties),
        TEST(properties_that_the_contract_lifts),
        TEST(an_event_can_be_captured_again),
        TEST(properties_are_reused),
        TEST(large_events_in_test_mode),
    };
    return RUN_TESTS(tests);
}
