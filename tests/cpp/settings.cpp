// Settings: what a setter sets is read back, and the library lists what there is.
#include "harness.hpp"

#include <set>

// The value that a setter leaves, as text.
static std::string value_after(phc::settings &settings, const char *key) {
    return settings.get(key).value_or("nothing");
}
#define CHECK_SETTING(setter, key, expected)                                                                 \
    do {                                                                                                     \
        phc::settings settings("phc_key");                                                                   \
        CHECK_TEXT(value_after(settings.setter, key), expected);                                             \
    } while (0)

static void every_typed_setter_sets_its_setting() {
    CHECK_SETTING(host("https://example.com/x"), "host", "https://example.com/x");
    CHECK_SETTING(flush_at(10), "flush_at", "10");
    CHECK_SETTING(flush_interval(1s), "flush_interval_ms", "1000");
    CHECK_SETTING(max_batch_events(50), "max_batch_events", "50");
    CHECK_SETTING(queue_max_events(500), "queue_max_events", "500");
    CHECK_SETTING(queue_max_bytes(std::uint64_t{5} << 32), "queue_max_bytes", "21474836480");
    CHECK_SETTING(overflow(phc::overflow::drop_newest), "overflow", "drop_newest");
    CHECK_SETTING(overflow(phc::overflow::drop_oldest), "overflow", "drop_oldest");
    CHECK_SETTING(overflow(phc::overflow::block), "overflow", "block");
    CHECK_SETTING(block_timeout(2s), "block_timeout_ms", "2000");
    CHECK_SETTING(max_retries(2), "max_retries", "2");
    CHECK_SETTING(request_timeout(4s), "request_timeout_ms", "4000");
    CHECK_SETTING(connect_timeout(3s), "connect_timeout_ms", "3000");
    CHECK_SETTING(shutdown_timeout(6s), "shutdown_timeout_ms", "6000");
    CHECK_SETTING(exit_flush(100ms), "exit_flush_ms", "100");
    CHECK_SETTING(compression(phc::compression::none), "compression", "none");
    CHECK_SETTING(compression(phc::compression::gzip), "compression", "gzip");
    CHECK_SETTING(compression(phc::compression::deflate), "compression", "deflate");
    CHECK_SETTING(compression(phc::compression::zstd), "compression", "zstd");
    CHECK_SETTING(compression(phc::compression::br), "compression", "br");
    CHECK_SETTING(reports(phc::reports::losses), "reports", "losses");
    CHECK_SETTING(reports(phc::reports::warnings), "reports", "warnings");
    CHECK_SETTING(reports(phc::reports::all), "reports", "all");
    CHECK_SETTING(log_level(phc::log_level::error), "log_level", "error");
    CHECK_SETTING(log_level(phc::log_level::warning), "log_level", "warning");
    CHECK_SETTING(log_level(phc::log_level::info), "log_level", "info");
    CHECK_SETTING(log_level(phc::log_level::debug), "log_level", "debug");
    CHECK_SETTING(disable_geoip(), "disable_geoip", "true");
    CHECK_SETTING(is_server(), "is_server", "true");
    CHECK_SETTING(is_server().is_server(false), "is_server", "false");
    CHECK_SETTING(historical_migration(), "historical_migration", "true");
    CHECK_SETTING(proxy("http://proxy:8080"), "proxy", "http://proxy:8080");
    CHECK_SETTING(ca_file("/nowhere.pem"), "ca_file", "/nowhere.pem");
    CHECK_SETTING(client_certificate("/c.pem", "/k.pem"), "client_cert_file", "/c.pem");
    CHECK_SETTING(client_certificate("/c.pem", "/k.pem"), "client_key_file", "/k.pem");
    CHECK_SETTING(client_certificate("/both.pem"), "client_key_file", "");
    CHECK_SETTING(test_mode(), "test_mode", "true");
    CHECK_SETTING(header("X-Studio", "blue"), "header.X-Studio", "blue");
    CHECK_SETTING(set("max_in_flight", 2), "max_in_flight", "2");
    CHECK_SETTING(set("retry_statuses", "500, 503"), "retry_statuses", "500,503");
    CHECK_SETTING(set("test_mode", true), "test_mode", "true");
    CHECK_SETTING(set("retry_max_ms", 7s), "retry_max_ms", "7000");
}

static void settings_begin_with_the_defaults_and_the_name_of_the_binding() {
    const phc::settings settings("phc_key");
    for (const phc::setting &known : phc::known_settings()) {
        const std::string value = settings.get(known.key).value_or("nothing");
        if (known.key == "sdk_name") CHECK_TEXT(value, "posthog-cpp-phc");
        else if (known.key == "sdk_version") CHECK_TEXT(value, PHC_CPP_VERSION);
        else CHECK_TEXT(value, known.default_value);
    }
    CHECK(!settings.get("no_such_setting"));
    CHECK(!settings.get(std::string_view("host\0", 5)));
    CHECK_IN(phc::last_error(), "no_such_setting");
}

static void known_settings_say_what_is_accepted() {
    const std::vector<phc::setting> all = phc::known_settings();
    CHECK_EQ(all.size(), phc_setting_count());
    std::set<std::string_view> keys, kinds;
    for (const phc::setting &known : all) {
        CHECK(keys.insert(known.key).second);
        kinds.insert(known.kind);
        if (known.key == "reports") CHECK_TEXT(known.accepted, "losses, warnings, all");
        if (known.key == "max_in_flight") CHECK_TEXT(known.accepted, "1 to 64");
        if (known.key == "host") CHECK_TEXT(known.accepted, "");
    }
    CHECK(kinds == (std::set<std::string_view>{"integer", "bool", "word", "list", "text"}));
    CHECK(keys.count("log_level") == 1);
}

static void a_setting_that_is_not_accepted_changes_nothing() {
    phc::settings settings("phc_key");
    settings.flush_at(7);
    try {
        settings.flush_at(0);
        CHECK(false);
    } catch (const phc::error &) {}
    CHECK_TEXT(settings.get("flush_at").value_or(""), "7");
}

// The typed setters reach the client, too.
static void a_client_has_its_settings() {
    phc::client client(test_settings().disable_geoip().is_server().test_mode());
    client.capture("u", "e");
    const std::string properties = next_properties(client);
    CHECK_IN(properties, R"("$geoip_disable":true)");
    CHECK_IN(properties, R"("$is_server":true)");
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(every_typed_setter_sets_its_setting),
        TEST(settings_begin_with_the_defaults_and_the_name_of_the_binding),
        TEST(known_settings_say_what_is_accepted),
        TEST(a_setting_that_is_not_accepted_changes_nothing),
        TEST(a_client_has_its_settings),
    };
    return RUN_TESTS(tests);
}
