// Feature flags: queries, snapshots, what is read, the server, events with flags.
#include "harness.hpp"

#include <phc_binding.h>

#include <thread>
#include <utility>

// "on" needs the plan, "layout" has variants, "company" is for a group, "static" needs the server.
static const std::string_view shop = R"({"flags":[
    {"id":1,"key":"on","version":3,"active":true,"has_experiment":true,"filters":{
        "groups":[{"properties":[{"key":"plan","value":"pro","type":"person"}]}],
        "payloads":{"true":"{\"color\":\"blue\"}"}}},
    {"id":2,"key":"off","active":false},
    {"id":3,"key":"layout","active":true,"filters":{"groups":[{}],
        "multivariate":{"variants":[{"key":"compact","rollout_percentage":100}]}}},
    {"id":4,"key":"company","active":true,"filters":{"aggregation_group_type_index":0,"groups":[{"properties":
        [{"key":"seats","value":10,"operator":"gt","type":"group","group_type_index":0}]}]}},
    {"id":5,"key":"static","active":true,"filters":{"groups":[{"properties":
        [{"key":"id","value":9,"type":"cohort"}]}]}},
    {"id":6,"key":"web","active":true,"evaluation_contexts":["web"],"filters":{"groups":[{}]}},
    {"id":7,"key":"device","active":true,"bucketing_identifier":"device_id","filters":{"groups":[{}]}}],
    "group_type_mapping":{"0":"company"},"cohorts":{}})";

static phc::client shop_client() {
    phc::client client(test_settings());
    CHECK_STATUS(client.flags_ready(), would_wait);
    CHECK_STATUS(client.set_flag_definitions(shop), ok);
    CHECK_STATUS(client.flags_ready(), ok);
    return client;
}

static phc::flags_query whole_query() {
    phc::flags_query query("user-61");
    query.person("plan", "PRO").device_id("device").context("app");
    query.group("company", "acme", {{"seats", 20}});
    return query;
}

static void values_payloads_and_details() {
    const phc::client client = shop_client();
    const phc::flags flags = client.evaluate_flags(whole_query());
    CHECK_STATUS(flags.status(), would_wait);
    CHECK(!flags.error_message().empty());
    CHECK_TEXT(flags.error(), "local_evaluation_inconclusive");
    CHECK(flags.enabled("on") && !flags.enabled("off", true) && flags.enabled("company"));
    CHECK(!flags.enabled("static") && flags.enabled("static", true));
    CHECK(!flags.enabled("nothing") && flags.enabled("nothing", true));
    CHECK(flags.enabled("layout") && flags.enabled("device"));
    CHECK_TEXT(flags.variant("layout", "wide"), "compact");
    CHECK_TEXT(flags.variant("on", "wide"), "wide");
    CHECK_TEXT(flags.variant("nothing", "wide"), "wide");
    CHECK(flags.get("layout").kind() == phc::flag_kind::variant);
    CHECK(flags.get("on").kind() == phc::flag_kind::on && flags.get("off").kind() == phc::flag_kind::off);
    CHECK(!flags.get("static").has_value() && flags.get("off").has_value());
    CHECK(!flags.get(std::string_view("on\0", 3)).has_value());

    CHECK_TEXT(flags.payload("on").value_or("none"), R"({"color":"blue"})");
    CHECK(!flags.payload("off") && !flags.payload("nothing"));

    phc::flag_detail detail = flags.detail("on");
    CHECK(detail.kind == phc::flag_kind::on && detail.id == 1 && detail.version == 3 && detail.is_local);
    CHECK(detail.reason == phc::flag_reason::condition_match && detail.condition_index == 0);
    CHECK(detail.has_experiment == true);
    CHECK_TEXT(phc::name(detail.reason), "condition_match");
    detail = flags.detail("static");
    CHECK(detail.kind == phc::flag_kind::absent && !detail.condition_index && !detail.has_experiment);
    CHECK_TEXT(phc::name(detail.unresolved), "unsupported_definition");
    CHECK(flags.detail("nothing").unresolved == phc::flag_unresolved::resolved);

    // "web" is for another context.
    CHECK_EQ(flags.size(), 6);
    CHECK_TEXT(flags.keys().front(), "on");
    CHECK_TEXT(flags.keys().back(), "device");
    CHECK_IN(flags.json(), R"("unresolved":{"static":"unsupported_definition"})");
    CHECK_EQ(summary("flag_requests"), 0);
    CHECK(client.flag_enabled("layout", "user-61") && !client.flag_enabled("nothing", "user-61"));
    CHECK(client.flag_enabled("nothing", "user-61", true));
}

static void a_query_says_what_is_evaluated() {
    const phc::client client = shop_client();
    phc::flags_query query("user-61");
    query.flag("on").flag("company").flag("web").person({{"plan", "free"}, {"seats", 3}});
    phc::flags flags = client.evaluate_flags(query);
    CHECK_STATUS(flags.status(), ok);
    CHECK(flags.error_message().empty() && flags.error().empty());
    CHECK_EQ(flags.size(), 3);
    CHECK(!flags.enabled("on", true));
    CHECK_TEXT(phc::name(flags.detail("company").reason), "no_group_type");

    // It can be changed and evaluated again, and what was evaluated stays.
    query.person(phc::raw_json(R"({"plan":"pro"})"))
        .group("company", "acme", phc::raw_json(R"({"seats":5})"));
    query.person("plan", std::optional<std::string>()); // changes nothing
    const phc::flags later = client.evaluate_flags(query);
    CHECK(later.enabled("on") && !flags.enabled("on"));
    CHECK_TEXT(phc::name(later.detail("company").reason), "no_condition_match");

    const phc::flags some = later.only({"on", "nothing"});
    CHECK_EQ(some.size(), 1);
    CHECK(some.enabled("on"));
    CHECK_EQ(later.only(std::vector<std::string>{"on", "web", "on\0"}).size(), 2);
    for (const phc::flags &none : {later.only({}), later.only(std::vector<std::string>{})}) {
        CHECK_EQ(none.size(), 0);
        CHECK_IN(none.json(), R"("flags":{})");
    }
    const phc::flags fresh = client.evaluate_flags(query);
    CHECK_EQ(fresh.only_accessed().size(), 0);
    fresh.payload("on");
    fresh.detail("on");
    fresh.enabled("company");
    CHECK_EQ(fresh.only_accessed().size(), 1);

    // A moved one has no flags, and the other has them all.
    const phc::flags moved = std::move(flags);
    CHECK_EQ(moved.size(), 3);
    CHECK_EQ(flags.size(), 0); // NOLINT(bugprone-use-after-move)
    CHECK(flags.enabled("on", true) && flags.keys().empty() && flags.json().empty());
    CHECK(!flags.payload("on") && flags.only_accessed().empty() && flags.only({"on"}).empty());
}

static void a_snapshot_outlives_its_client() {
    phc::flags flags;
    {
        const phc::client client = shop_client();
        flags = client.evaluate_flags(whole_query().flag("layout"));
    }
    CHECK_TEXT(flags.variant("layout"), "compact");
}

static void an_event_has_the_flags() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.set_flag_definitions(shop), ok);
    const phc::flags flags = client.evaluate_flags(whole_query());
    phc::event event("user-61", "bought");
    event.set("$feature/on", "replaced").set_flags(flags).set("$feature/off", "mine");
    CHECK_STATUS(client.capture(event), ok);
    const std::string properties = next_properties(client);
    CHECK_IN(properties, R"("$feature/on":true)");
    CHECK_IN(properties, R"("$feature/layout":"compact")");
    CHECK_IN(properties, R"("$feature/off":"mine")");
    CHECK_IN(properties, R"("$active_feature_flags":["company","device","layout","on"])");
    CHECK(properties.find("static") == std::string::npos);
    // That was not a read: nothing else was captured.
    CHECK(!client.next_test_event());
    CHECK_EQ(flags.only_accessed().size(), 0);
    phc::event none("user-61", "bought");
    none.set_flags(phc::flags());
    CHECK_STATUS(client.capture(none), ok);
    CHECK_TEXT(next_properties(client), "{}");

    // The same properties as those of the C interface.
    phc_event *built = phc_event_new("user-61", "bought");
    CHECK_EQ(phc_event_set_flags(built, flags.native_handle()), PHC_OK);
    CHECK_EQ(phc_capture_event(client.native_handle(), built, nullptr), PHC_OK);
    const std::string expected = next_properties(client);
    CHECK_STATUS(client.capture(phc::event("user-61", "bought").set_flags(flags)), ok);
    CHECK_TEXT(next_properties(client), expected);
}

static void a_read_is_captured_once() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.set_flag_definitions(shop), ok);
    const phc::flags flags = client.evaluate_flags(whole_query());
    flags.get("layout");
    CHECK_IN(client.next_test_event().value_or(""), R"("$feature_flag_response":"compact")");
    flags.variant("layout");
    client.evaluate_flags(whole_query()).enabled("layout");
    CHECK(!client.next_test_event());
    client.evaluate_flags(phc::flags_query("another").no_events()).enabled("layout");
    CHECK(!client.next_test_event());
    CHECK(!client.flag_enabled("off", "another", true));
    CHECK_IN(client.next_test_event().value_or(""), R"("$feature_flag":"off")");
}

static void the_server_is_asked_within_a_time_limit() {
    sink_post("_flags", R"({"static":"compact","layout":false})");
    const phc::client client = shop_client();
    phc::flags flags = client.evaluate_flags(whole_query().flag("static").flag("layout"), 10s);
    CHECK_STATUS(flags.status(), ok);
    CHECK_TEXT(flags.variant("static"), "compact");
    CHECK_TEXT(flags.variant("layout"), "compact"); // what was evaluated here stays
    CHECK(!flags.detail("static").is_local && flags.detail("layout").is_local);
    flags = client.evaluate_flags(whole_query().flag("layout").remote_only().disable_geoip(), 10s);
    CHECK(!flags.enabled("layout", true));
    CHECK_IN(sink("_flags"), R"("geoip_disable":true)");
    CHECK_EQ(summary("flag_requests"), 2);

    script(R"({"steps":[{"when":{"endpoint":"flags"},"status":500},
                        {"when":{"endpoint":"flags"},"never":true}]})");
    flags = client.evaluate_flags(whole_query(), 10s);
    CHECK_STATUS(flags.status(), unavailable);
    CHECK_IN(flags.error_message(), "500");
    CHECK_TEXT(flags.error(), "api_error_500");
    CHECK(flags.enabled("layout"));
    flags = client.evaluate_flags(whole_query(), 50ms);
    CHECK_STATUS(flags.status(), timeout);
    CHECK_TEXT(flags.error(), "timeout");
}

static void definitions_are_fetched() {
    sink_post("_definitions", std::string(shop).c_str());
    phc::client client(test_settings().secret_key("phs_secret").flags_poll_interval(1h).flags_timeout(20s));
    CHECK_STATUS(client.flags_ready(20s), ok);
    CHECK(client.flag_enabled("layout", "user"));
    sink_post("_definitions", R"({"flags":[{"key":"layout","active":false}]})");
    CHECK_STATUS(client.reload_flags(20s), ok);
    CHECK(!client.flag_enabled("layout", "user", true));
    script(R"({"steps":[{"when":{"endpoint":"definitions"},"status":401}]})");
    CHECK_STATUS(client.reload_flags(20s), unavailable);
    CHECK(!client.flag_enabled("layout", "user", true));
    phc::client none(test_settings());
    CHECK_STATUS(none.flags_ready(20s), unavailable);
    CHECK_STATUS(none.reload_flags(20s), unavailable);
}

static void remote_configs_are_fetched() {
    sink_post("_remote_config", R"({"limits":{"max":5},"none":null})");
    phc::client client(test_settings().secret_key("phs_secret").flags_timeout(20s));
    phc::remote_config_result found = client.remote_config("limits", 20s);
    CHECK_STATUS(found, ok);
    CHECK_TEXT(found.payload.value_or("nothing"), R"({"max":5})");
    CHECK_TEXT(client.remote_config("none", 20s).payload.value_or("nothing"), "");
    found = client.remote_config("unknown", 20s);
    CHECK_STATUS(found, ok);
    CHECK(!found.payload);
    CHECK_STATUS(client.remote_config("limits", 0s), would_wait);
    script(R"({"steps":[{"when":{"endpoint":"remote_config"},"status":403},
                        {"when":{"endpoint":"remote_config"},"never":true,"times":0}]})");
    found = client.remote_config("limits", 20s);
    CHECK_STATUS(found, unavailable);
    CHECK_IN(found.details(), "403");
    CHECK(phc::last_http_status() == 403);
    CHECK(!found.payload);
    CHECK_STATUS(client.remote_config("limits", 50ms), timeout);
    phc::client none(test_settings());
    CHECK_STATUS(none.remote_config("limits", 20s), unavailable);
}

static void many_threads_read_one_snapshot() {
    const phc::client client = shop_client();
    const phc::flags flags = client.evaluate_flags(whole_query().no_events());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (int n = 0; n < 500; n++) {
                CHECK(flags.enabled("on") && flags.variant("layout") == "compact");
                CHECK_EQ(flags.only_accessed().size() >= 2, true);
            }
        });
    }
    for (std::thread &thread : threads) thread.join();
}

static void misuse_of_a_query() {
    const phc::client client = test_mode_client();
    const std::string_view nul("a\0b", 3);
#if PHC_CPP_THROWS
    const auto refuses = [](phc::code expected, const char *reason, auto &&call) {
        try {
            call();
            check_at(false, __FILE__, __LINE__, "nothing was thrown, expected: %s", reason);
        } catch (const phc::error &error) {
            CHECK(error.status() == expected);
            CHECK_IN(error.what(), reason);
        }
    };
    phc::flags_query query("user");
    refuses(phc::code::invalid_json, "person: ", [&] { query.person("a", phc::raw_json("{")); });
    refuses(phc::code::invalid_json, "person: ", [&] { query.person(phc::raw_json("[]")); });
    refuses(phc::code::invalid_json, "group: ", [&] { query.group("a", "b", phc::raw_json("7")); });
    refuses(phc::code::invalid_argument, "flag: an argument contains a NUL", [&] { query.flag(nul); });
    refuses(phc::code::invalid_argument, "flags_query: ", [&] { phc::flags_query named(nul); });
    refuses(phc::code::invalid_json, "set_flag_definitions: ", [&] {
        phc::client other = test_mode_client();
        other.set_flag_definitions("[]");
    });
    CHECK(static_cast<bool>(query));
    const phc::flags_query moved = std::move(query);
    refuses(phc::code::invalid_argument, "evaluate_flags: ", [&] { client.evaluate_flags(query); });
    refuses(phc::code::invalid_argument, "device_id: ", [&] { query.device_id("d"); });
    refuses(phc::code::invalid_argument, "remote_config: key is empty",
            [&] { client.remote_config("", 1s); });
    refuses(phc::code::invalid_argument, "remote_config: an argument contains a NUL",
            [&] { client.remote_config(nul, 1s); });
#else
    phc::flags_query query("user");
    query.person("a", phc::raw_json("{")).flag(nul).person("plan", "pro");
    CHECK(!query);
    CHECK_STATUS(query.status(), invalid_json);
    CHECK_IN(query.error_message(), "person: ");
    const phc::flags flags = client.evaluate_flags(query);
    CHECK_STATUS(flags.status(), invalid_json);
    CHECK_TEXT(flags.error_message(), query.error_message());
    CHECK(flags.enabled("a", true) && flags.empty());
    CHECK_STATUS(phc::flags_query(nul).status(), invalid_argument);
    CHECK_STATUS(client.remote_config("", 1s), invalid_argument);
    CHECK_STATUS(client.remote_config(nul, 1s), invalid_argument);
#endif
}

int main(int argc, char **argv) {
    const test_case tests[] = {
        TEST(values_payloads_and_details),    TEST(a_query_says_what_is_evaluated),
        TEST(a_snapshot_outlives_its_client), TEST(an_event_has_the_flags),
        TEST(a_read_is_captured_once),        TEST(the_server_is_asked_within_a_time_limit),
        TEST(definitions_are_fetched),        TEST(remote_configs_are_fetched),
        TEST(many_threads_read_one_snapshot), TEST(misuse_of_a_query),
    };
    return RUN_TESTS(tests);
}
