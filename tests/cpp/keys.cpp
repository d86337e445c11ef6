// The keys of objects and events: each is sent once, whatever is done to it, and whatever is set while another is written.
#include "harness.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <vector>

static void a_function_that_throws_leaves_nothing_behind() {
    phc::client client = test_mode_client();
    phc::event event("u", "e");
    event.set("kept", 1);
    bool threw = false;
    try {
        event.set_object("half", [](phc::object_writer &half) {
            half.set("a", 1);
            throw std::runtime_error("of the test");
        });
    } catch (const std::runtime_error &) {
        threw = true;
    }
    CHECK(threw);
    event.set("after", 2);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client), R"({"kept":1,"after":2})");
}

// The members of an object of whole numbers, sorted.
static std::vector<std::string> members_of(std::string_view object) {
    std::vector<std::string> members;
    object = object.substr(1, object.size() - 2);
    while (!object.empty()) {
        const std::size_t comma = std::min(object.find(','), object.size());
        members.emplace_back(object.substr(0, comma));
        object.remove_prefix(std::min(comma + 1, object.size()));
    }
    std::sort(members.begin(), members.end());
    return members;
}

static std::vector<std::string> members_of(const std::map<std::string, int> &model) {
    std::vector<std::string> members;
    for (const auto &[key, value] : model) members.push_back("\"" + key + "\":" + std::to_string(value));
    std::sort(members.begin(), members.end());
    return members;
}

static void a_key_that_is_set_again_is_sent_once_with_its_last_value() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture(phc::event("u", "e").set("a", 1).set("a", 2)), ok);
    CHECK_TEXT(next_properties(client), R"({"a":2})");
    CHECK_STATUS(client.capture("u", "e", {{"a", 1}, {"a", "two"}, {"a", 3}}), ok);
    CHECK_TEXT(next_properties(client), R"({"a":3})");
    const phc::properties common{{"a", 1}, {"a", nullptr}};
    CHECK_TEXT(common.json(), R"({"a":null})");
    CHECK_STATUS(client.capture("u", "e", phc::properties(common).set("a", 3)), ok);
    CHECK_TEXT(next_properties(client), R"({"a":3})");
    CHECK_STATUS(client.capture("u", "e", common), ok);
    CHECK_TEXT(next_properties(client), R"({"a":null})");
    CHECK_STATUS(client.identify("u", phc::properties{{"a", 1}, {"a", 2}}), ok);
    CHECK_TEXT(next_properties(client), R"({"$set":{"a":2}})");
    // Escapes and the prefix of another key make no difference.
    CHECK_TEXT(phc::object({{"a\"b\n", 1}, {"a", 2}, {"a\"b\n", 3}, {"", 4}, {"", 5}}).json(),
               R"({"a":2,"a\"b\n":3,"":5})");
    // Of every form a value can have.
    phc::event event("u", "e");
    event.set("k", 1)
        .set_array("k", [](phc::array_writer &list) { list.add(1); })
        .set_object("k", [](phc::object_writer &inner) {
            inner.set("a", 1).set("b", 2).set("a", 3);
            inner.set_object("b", [](phc::object_writer &b) { b.set("c", 1).set("c", 2); });
        });
    event.set("list", phc::array::of(phc::object{{"a", 1}, {"a", 2}}));
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client), R"({"k":{"a":3,"b":{"c":2}},"list":[{"a":2}]})");
    // A capture leaves the event as it is.
    CHECK_STATUS(client.capture(event.set("k", "last")), ok);
    CHECK_TEXT(next_properties(client), R"({"list":[{"a":2}],"k":"last"})");
    CHECK_TEXT(event.json(), R"({"distinct_id":"u","event":"e","properties":{"list":[{"a":2}],"k":"last"}})");
    CHECK_TEXT(phc::array::of(std::multimap<std::string, int>{{"a", 1}, {"a", 2}, {"b", 3}}).json(),
               R"([{"a":2,"b":3}])");
    const char here[] = "a", there[] = "a";
    const int last = std::map<const char *, int>{{here, 1}, {there, 2}}.rbegin()->second;
    CHECK_TEXT(phc::array::of(std::map<const char *, int>{{here, 1}, {there, 2}}).json(),
               R"([{"a":)" + std::to_string(last) + "}]");
    CHECK_STATUS(client.capture(phc::event("u", "e").group("t", "old").group("s", "x").group("t", "new")),
                 ok);
    CHECK_TEXT(next_properties(client), R"({"$groups":{"s":"x","t":"new"}})");
    // What the contract takes out of the properties, too.
    CHECK_STATUS(client.capture("u", "e", {{"$session_id", "old"}, {"$session_id", "new"}}), ok);
    const std::string json = client.next_test_event().value_or("");
    CHECK_IN(json, R"("session_id":"new")");
    CHECK_EQ(count(json.c_str(), "session_id"), 1);
}

static void a_key_stays_as_it_was_when_its_new_value_is_not_written() {
    phc::client client = test_mode_client();
    phc::event event("u", "e");
    event.set("a", 1).set("a", std::optional<int>());
    for (int i = 0; i < 3; i++) {
        try {
            event.set_object("a", [&](phc::object_writer &half) {
                half.set("a", 2).set("a", 3);
                throw std::runtime_error("of the test");
            });
        } catch (const std::runtime_error &) {}
    }
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client), R"({"a":1})");
    event.set("b", 2).set("a", 3);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client), R"({"b":2,"a":3})");
    phc::object object{{"a", 1}};
    object.clear();
    CHECK_TEXT(object.set("a", 2).json(), R"({"a":2})");
    const phc::object moved = std::move(object);
    CHECK_TEXT(moved.json(), R"({"a":2})");
}

// As the library reads them: each invalid sequence is one U+FFFD.
static void keys_that_are_the_same_after_their_repair_are_one() {
    phc::client client = test_mode_client();
    const std::string keys[] = {"caf\xE9", "caf\xE8", "caf\xF0\x9F\x8E", "caf\xE2\x82", "caf\xEF\xBF\xBD"};
    phc::event event("u", "e");
    int value = 0;
    for (const std::string &key : keys) event.set(key, ++value);
    // What is sent needed no repair.
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client), "{\"caf\xEF\xBF\xBD\":5}");
    CHECK_EQ(client.stats().repaired(), 0);
    CHECK_STATUS(client.capture(event.set("caf\xE9", 6)), ok);
    CHECK_TEXT(next_properties(client), R"({"caf\ufffd":6})");
    CHECK_EQ(client.stats().repaired(), 1);
    // Beside other escapes, one that looks like that of a repair, and so many keys that they are looked up in a tree.
    phc::object object;
    for (int i = 0; i < 70; i++) object.set("key " + std::to_string(i), i);
    for (const std::string &key : keys) object.set("\n\\ud800" + key, ++value).set("\n\\ud800caf?", 0);
    const std::string json = object.json();
    CHECK_EQ(count(json.c_str(), R"(\n\\ud800caf)"), 2);
    CHECK_IN(json, ",\"\\n\\\\ud800caf\xEF\xBF\xBD\":" + std::to_string(value));
}

// A callback that sets members of the event itself writes them into its own value; if it throws, the event is as before.
static void a_value_that_is_given_up_takes_what_was_set_meanwhile_along() {
    phc::client client = test_mode_client();
    for (const int others : {0, 100}) {
        phc::event event("u", "e");
        event.set("a", 1).set("b", 1).set("b", 2);
        for (int i = 0; i < others; i++) event.set("other " + std::to_string(i), i);
        const std::string before = event.json();
        for (int i = 0; i < 3; i++) {
            try {
                event.set_object("c", [&](phc::object_writer &c) {
                    c.set("d", 1).set("d", 2);
                    event.set("a", 2).set("b", 3).set("a", 4).set("c", 5);
                    event.set_object("a", [&](phc::object_writer &) { event.set("a", 6); });
                    throw std::runtime_error("of the test");
                });
            } catch (const std::runtime_error &) {}
            CHECK_TEXT(event.json(), before);
        }
        CHECK_STATUS(client.capture(event), ok);
        CHECK_IN(next_properties(client), R"("a":1,"b":2)");
        CHECK_STATUS(client.capture(event.set("a", 7).set("c", 8)), ok);
        const std::string after = next_properties(client);
        CHECK_IN(after, R"("a":7,"c":8)");
        CHECK_EQ(count(after.c_str(), R"("a":)"), 1);
    }
}

static void what_a_value_takes_replaces_no_member_of_its_event() {
    phc::event event("u", "e");
    event.set("a", 1).set("b", 1).set("b", 2);
    event.set_object("c", [&](phc::object_writer &) { event.set("a", 2).set("b", 3).set("c", 4); });
    CHECK_TEXT(event.json(),
               R"({"distinct_id":"u","event":"e","properties":{"a":1,"b":2,"c":{"a":2,"b":3,"c":4}}})");
    event.set("b", 4).set("a", 5);
    CHECK_TEXT(event.json(),
               R"({"distinct_id":"u","event":"e","properties":{"c":{"a":2,"b":3,"c":4},"b":4,"a":5}})");
}

static void objects_that_were_moved_from_can_be_used_again() {
    const auto fill = [](phc::object &object, int value) {
        for (int i = 0; i < 70; i++) object.set("key " + std::to_string(i), value);
    };
    phc::object object, other;
    fill(object, 1);
    fill(object, 2);
    fill(other, 3);
    const std::string before = object.json();
    const phc::object made(std::move(object));
    CHECK_TEXT(made.json(), before);
    CHECK(object.empty()); // NOLINT(bugprone-use-after-move)
    phc::object assigned;
    assigned.set("gone", 1);
    assigned = std::move(other);
    CHECK_EQ(count(assigned.json().c_str(), "\"key 0\":3"), 1);
    CHECK_EQ(count(assigned.json().c_str(), "gone"), 0);
    for (phc::object *each : {&object, &other, &assigned}) {
        fill(*each, 4);
        fill(*each, 5);
        CHECK_EQ(count(each->json().c_str(), "\"key "), 70);
        CHECK_EQ(count(each->json().c_str(), ":5"), 70);
    }
}

static void random_sets_are_as_a_map() {
    std::uint32_t state = 1;
    const auto below = [&](std::uint32_t bound) {
        return (state = state * 1664525 + 1013904223) / 65536 % bound;
    };
    for (int round = 0; round < 300; round++) {
        std::map<std::string, int> model;
        phc::object object;
        const std::uint32_t keys = below(round % 3 == 0 ? 300 : 12) + 1, sets = below(600);
        for (std::uint32_t i = 0; i < sets; i++) {
            const std::string key = "key " + std::to_string(below(keys));
            const int value = static_cast<int>(i);
            if (below(20) == 0) {
                // It is given up, with what is set meanwhile.
                try {
                    object.set_object(key, [&](phc::object_writer &inner) {
                        for (std::uint32_t n = below(4); n > 0; n--) {
                            object.set("key " + std::to_string(below(keys)), -1);
                            inner.set("key", -1);
                        }
                        throw std::runtime_error("of the test");
                    });
                } catch (const std::runtime_error &) {}
            }
            model[key] = value;
            object.set(key, value);
            if (i % 50 == 0 && members_of(object.json()) != members_of(model)) {
                CHECK_TEXT(object.json(), "what the map has");
                return;
            }
        }
        const phc::object copy = object;
        phc::event event("u", "e");
        event.set_object("o", [&](phc::object_writer &inner) {
            for (const auto &[key, value] : model) inner.set(key, 0).set(key, value);
        });
        std::string inner = event.json();
        inner = inner.substr(inner.find("\"o\":") + 4);
        inner.resize(inner.size() - 2);
        CHECK(members_of(copy.json()) == members_of(model));
        CHECK(members_of(inner) == members_of(model));
    }
}

// Each with each, these would be ten billion comparisons, and as many bytes moved for each of them.
static void many_keys_that_are_set_again_take_linear_time() {
    phc::event event("u", "e");
    event.set("large", std::string(100000, 'x'));
    for (int round = 0; round < 5; round++) {
        for (int n = 0; n < 20000; n++) event.set("key " + std::to_string(n), n * 10 + round);
    }
    for (int n = 0; n < 100000; n++) event.set("one key", n);
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture(event), ok);
    const std::string properties = next_properties(client);
    CHECK(properties.size() < 600000);
    CHECK_EQ(count(properties.c_str(), "\"key "), 20000);
    CHECK_IN(properties, R"("key 19999":199994,"one key":99999})");
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(a_function_that_throws_leaves_nothing_behind),
        TEST(a_key_that_is_set_again_is_sent_once_with_its_last_value),
        TEST(a_key_stays_as_it_was_when_its_new_value_is_not_written),
        TEST(keys_that_are_the_same_after_their_repair_are_one),
        TEST(a_value_that_is_given_up_takes_what_was_set_meanwhile_along),
        TEST(what_a_value_takes_replaces_no_member_of_its_event),
        TEST(objects_that_were_moved_from_can_be_used_again),
        TEST(random_sets_are_as_a_map),
        TEST(many_keys_that_are_set_again_take_linear_time),
    };
    return RUN_TESTS(tests);
}
