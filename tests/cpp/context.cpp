// What the events of one request have in common.
#include "harness.hpp"

#include <memory>
#include <thread>
#include <vector>

static std::string next(phc::client &client) { return client.next_test_event().value_or(""); }

static void an_event_takes_over_what_it_does_not_have() {
    phc::client client = test_mode_client();
    phc::request_context request;
    request.distinct_id("user-1").session_id("s-1").set("a", 1).set("b", "outer").set("a", 2);
    CHECK_STATUS(client.capture("", "e"), ok);
    const std::string taken = next(client);
    CHECK_IN(taken, R"("distinct_id":"user-1")");
    CHECK_IN(taken, R"("properties":{"a":2,"b":"outer"},"options":{},"session_id":"s-1")");
    // In each of the ways in which an event is given.
    CHECK_STATUS(client.capture("user-2", "e", {{"b", "own"}}), ok);
    const std::string braces = next(client);
    CHECK_IN(braces, R"("distinct_id":"user-2")");
    CHECK_IN(braces, R"("properties":{"b":"own","a":2})");
    CHECK_STATUS(client.capture("", "e", phc::properties{{"b", "own"}, {"c", 3}}), ok);
    CHECK_TEXT(next_properties(client), R"({"b":"own","c":3,"a":2})");
    CHECK_STATUS(client.capture("", "e", phc::raw_json(R"( { "b" : "own", "c": {"a": 9}, "d": ["a"] } )")),
                 ok);
    CHECK_TEXT(next_properties(client), R"({"b" : "own", "c": {"a": 9}, "d": ["a"],"a":2})");
    CHECK_STATUS(client.capture("", "e", phc::raw_json("{ }")), ok);
    CHECK_TEXT(next_properties(client), R"({"a":2,"b":"outer"})");
    CHECK_STATUS(client.capture("", "e", phc::raw_json(" null ")), ok);
    CHECK_IN(next(client),
             R"("distinct_id":"user-1","properties":{"a":2,"b":"outer"},"options":{},"session_id":"s-1")");
    CHECK_STATUS(client.capture_exception(phc::exception("error", "message"), "", {{"b", "own"}}), ok);
    const std::string exception = next(client);
    CHECK_IN(exception, R"("distinct_id":"user-1")");
    CHECK_IN(exception, R"({"b":"own","a":2,"$exception_)");
    CHECK_STATUS(client.capture("user-1", "e", {{"$session_id", "s-2"}}), ok);
    CHECK_IN(next(client), R"("session_id":"s-2")");
}

// Keys are compared as the library reads them.
static void a_key_that_is_written_in_another_way_is_the_same() {
    phc::client client = test_mode_client();
    phc::request_context request;
    request.distinct_id("user-1").session_id("s-1");
    for (const char *key : {"größe", "a\"\\/\n\x01", "\U0001F389", "bad \xff", "bad \xef\xbf\xbd"})
        request.set(key, "outer");
    const char *own = R"({"\u0024session_id":"s-2","gr\u00f6\u00DFe":1,"\u0061\u0022\\\/\u000A\u0001":2,)"
                      R"("\ud83c\udf89":3,"bad \udead":4})";
    CHECK_STATUS(client.capture("", "e", phc::raw_json(own)), ok);
    const std::string event = next(client);
    CHECK_IN(event, R"("session_id":"s-2")");
    CHECK_EQ(count(event.c_str(), "outer"), 0);
    // Others are not.
    CHECK_STATUS(
        client.capture("", "e", phc::raw_json(R"({"grosse":1,"\\u0024session_id":2,"gr\u00f6":"größe"})")),
        ok);
    CHECK_EQ(count(next(client).c_str(), "outer"), 4);
    CHECK_STATUS(client.capture("", "e", {{"größe", 1}, {"bad \xfe", 2}}), ok);
    CHECK_EQ(count(next(client).c_str(), "outer"), 2);
}

static void an_event_is_as_before_after_its_capture() {
    phc::client client = test_mode_client();
    phc::event event("", "e");
    event.set("own", 1);
    {
        phc::request_context request;
        request.distinct_id("user-1").set("a", 1);
        for (int i = 0; i < 2; i++) {
            CHECK_STATUS(client.capture(event), ok);
            CHECK_IN(next(client), R"("distinct_id":"user-1","properties":{"own":1,"a":1})");
        }
        event.set("a", 2);
        CHECK_STATUS(client.capture(event), ok);
        CHECK_TEXT(next_properties(client), R"({"own":1,"a":2})");
    }
    CHECK_TEXT(event.json(), R"({"event":"e","properties":{"own":1,"a":2},"distinct_id":""})");
    event = phc::event("user-2", "e");
    CHECK_STATUS(client.capture(event), ok);
    CHECK_TEXT(next_properties(client), "{}");
}

static void contexts_nest() {
    phc::client client = test_mode_client();
    phc::request_context outer;
    outer.distinct_id("user-1").session_id("s-1").set("a", 1).set("b", 1);
    {
        phc::request_context inner;
        inner.session_id("s-2").set("b", 2);
        outer.set("late", true); // the inner one has begun already
        CHECK_STATUS(client.capture("", "e"), ok);
        const std::string event = next(client);
        CHECK_IN(event, R"("distinct_id":"user-1")");
        CHECK_IN(event, R"("properties":{"a":1,"b":2},"options":{},"session_id":"s-2")");
        phc::request_context own(phc::fresh);
        own.distinct_id("user-3").set("c", 3);
        CHECK_STATUS(client.capture("", "e"), ok);
        CHECK_IN(next(client), R"("distinct_id":"user-3","properties":{"c":3},"options":{})");
    }
    CHECK_STATUS(client.capture("", "e"), ok);
    CHECK_TEXT(next_properties(client), R"({"a":1,"b":1,"late":true})");
}

static void an_event_without_an_id_belongs_to_no_person() {
    phc::client client = test_mode_client();
    std::string ids[2];
    for (std::string &id : ids) {
        phc::request_context request;
        request.set("a", 1);
        CHECK_STATUS(client.capture("", "e"), ok);
        const std::string event = next(client);
        CHECK_IN(event, R"("process_person_profile":false)");
        const std::size_t at = event.find(R"("distinct_id":")") + 15;
        id = event.substr(at, 36);
        CHECK(id[14] == '4' && id[8] == '-' && id[23] == '-' && event[at + 36] == '"');
        CHECK_STATUS(client.capture("", "e", {{"$process_person_profile", true}}), ok);
        CHECK_IN(next(client), R"("process_person_profile":true)");
        CHECK_STATUS(client.capture_exception(phc::exception("error", "message")), ok);
        CHECK_IN(next(client), R"("process_person_profile":false)");
    }
    CHECK(ids[0] != ids[1]);
}

static void ids_of_a_request_are_cleaned() {
    phc::client client = test_mode_client();
    const auto id_of = [&](std::string_view id) {
        phc::request_context request;
        request.distinct_id("before").distinct_id(id);
        CHECK_STATUS(client.capture("", "e"), ok);
        const std::string event = next(client);
        const std::size_t at = event.find(R"("distinct_id":")") + 15;
        return event.substr(at, event.find('"', at) - at);
    };
    CHECK_TEXT(id_of(" us\ter-\x7f\xc2\x85\r\n1 "), "user-1");
    CHECK_TEXT(id_of("us\xc3\xa9r"), "us\xc3\xa9r");
    // All of Unicode's white space, and what is beside it.
    const std::string spaces[] = {" ",      "\u00a0", "\u1680", "\u2000", "\u2005", "\u200a",
                                  "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
    for (const std::string &space : spaces) {
        CHECK_TEXT(id_of(space), "before");
        CHECK_TEXT(id_of("\n" + space + "\x01" + space), "before");
        CHECK_TEXT(id_of(space + "\r\n" + space + "a" + space + "b\t" + space), "a" + space + "b");
        CHECK_TEXT(id_of(space + std::string(200, 'x') + space), std::string(200, 'x'));
        phc::request_context request;
        request.distinct_id("user-1").session_id("s-1").session_id(space);
        CHECK_STATUS(client.capture("", "e"), ok);
        CHECK_IN(next(client), R"("session_id":"s-1")");
    }
    for (const char *other :
         {"\u00a1", "\u1681", "\u1fff", "\u200b", "\u2030", "\u2060", "\u3001", "\ufeff", "\U00010000"}) {
        CHECK_TEXT(id_of(other), other);
    }
    for (const std::string_view absent : {std::string_view(""), std::string_view(" \t"),
                                          std::string_view("us\xff"
                                                           "er")}) {
        CHECK_TEXT(id_of(absent), "before");
    }
    CHECK_TEXT(id_of(std::string(200, 'x')), std::string(200, 'x'));
    CHECK_TEXT(id_of(std::string(201, 'x')), "before");
}

static void each_thread_has_its_own() {
    phc::client client = test_mode_client();
    phc::request_context request;
    request.distinct_id("user-0").set("thread", 0);
    std::vector<std::thread> threads;
    for (int i = 1; i <= 4; i++) {
        threads.emplace_back([&client, i] {
            phc::request_context own;
            own.distinct_id("user-" + std::to_string(i)).set("thread", i);
            for (int j = 0; j < 100; j++) CHECK_STATUS(client.capture("", "e"), ok);
        });
    }
    for (std::thread &thread : threads) thread.join();
    int count = 0;
    for (std::string event = next(client); !event.empty(); event = next(client), count++) {
        const char digit = event[event.find("user-") + 5];
        CHECK_IN(event, std::string(R"("distinct_id":"user-)") + digit + R"(","properties":{"thread":)" +
                            digit + "}");
        CHECK(digit != '0');
    }
    CHECK_EQ(count, 400);
}

static void without_a_context_an_event_needs_an_id() {
    phc::client client = test_mode_client();
    { phc::request_context ended; }
    try {
        client.capture("", "e");
        CHECK(false);
    } catch (const phc::error &error) {
        CHECK(error.status() == phc::code::invalid_distinct_id);
    }
}

static void a_whole_event_is_taken_as_it_is() {
    phc::client client = test_mode_client();
    phc::request_context request;
    request.distinct_id("user-1").set("a", 1);
    CHECK_STATUS(client.capture_json(R"({"event":"e","distinct_id":"user-2"})"), ok);
    CHECK_IN(next(client), R"("distinct_id":"user-2","properties":{})");
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(an_event_takes_over_what_it_does_not_have),
        TEST(a_key_that_is_written_in_another_way_is_the_same),
        TEST(an_event_is_as_before_after_its_capture),
        TEST(contexts_nest),
        TEST(an_event_without_an_id_belongs_to_no_person),
        TEST(ids_of_a_request_are_cleaned),
        TEST(each_thread_has_its_own),
        TEST(without_a_context_an_event_needs_an_id),
        TEST(a_whole_event_is_taken_as_it_is),
    };
    return RUN_TESTS(tests);
}
