// Where nothing throws, misuse comes back as a status. Compiled without exceptions and RTTI, and with PHC_CPP_NO_THROW.
#include "harness.hpp"

#include <atomic>

static_assert(!PHC_CPP_THROWS, "to be compiled without exceptions or with PHC_CPP_NO_THROW");

static void delivery_as_ever() {
    phc::client client(here());
    std::atomic<int> reported{0};
    CHECK_STATUS(client.on_report(
                     [&](const phc::report_view &report) { reported += static_cast<int>(report.size()); }),
                 ok);
    CHECK_STATUS(client.capture("u", "e", {{"n", 1}}), ok);
    CHECK_STATUS(client.identify("u", {{"plan", "pro"}}), ok);
    CHECK_STATUS(client.flush(10s), ok);
    CHECK_STATUS(client.on_report(nullptr), ok);
    CHECK_EQ(balanced(client).delivered, 2);
}

static void misuse_is_a_status() {
    phc::client client(here().test_mode());
    CHECK_STATUS(client.capture("u", ""), invalid_event);
    CHECK_STATUS(client.capture("", "e"), invalid_distinct_id);
    const phc::receipt broken = client.capture("u", "e", phc::raw_json("{\"a\":}"));
    CHECK_STATUS(broken, invalid_json);
    CHECK(broken.is_misuse());
    CHECK_IN(broken.details(), "byte");
    const phc::status nul = client.alias("u", std::string_view("a\0b", 3));
    CHECK_STATUS(nul, invalid_argument);
    CHECK_IN(nul.details(), "NUL");
    CHECK_IN(nul.message(), "NUL");
}

static void settings_remember_the_first_fault() {
    phc::settings settings("phc_key");
    CHECK(static_cast<bool>(settings));
    settings.set("flush_a", 3).host("ftp://example.com").flush_at(10);
    CHECK(!settings);
    CHECK_STATUS(settings.status(), invalid_setting);
    CHECK_IN(settings.error_message(), "flush_at");
    phc::client client(settings);
    CHECK(!client);
    CHECK_TEXT(client.error_message(), settings.error_message());
    CHECK(!phc::client::open("never", settings));
}

static void a_client_that_is_none_takes_calls() {
    phc::client client(phc::settings("phc_key").host("ftp://example.com"));
    CHECK(!client);
    CHECK_STATUS(client.capture("u", "e"), invalid_argument);
    CHECK_STATUS(client.identify("u"), invalid_argument);
    CHECK_STATUS(client.on_report([](const phc::report_view &) {}), invalid_argument);
    CHECK_STATUS(client.flush(1s), invalid_argument);
    CHECK_STATUS(client.close(1s), invalid_argument);
    CHECK_EQ(client.stats().captured, 0);
    CHECK(!client.poll(10s));
}

static void before_send_drops() {
    phc::client client(here().test_mode());
    client.before_send([](std::string_view) { return phc::decision::drop(); });
    CHECK_STATUS(client.capture("u", "e"), before_send);
}

static void conflicts() {
    phc::client one = phc::client::open("named", here().test_mode());
    phc::client other = phc::client::open("named", here().test_mode().flush_at(7));
    CHECK(static_cast<bool>(one));
    CHECK(!other);
    CHECK_IN(other.error_message(), "settings");
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(delivery_as_ever),
        TEST(misuse_is_a_status),
        TEST(settings_remember_the_first_fault),
        TEST(a_client_that_is_none_takes_calls),
        TEST(before_send_drops),
        TEST(conflicts),
    };
    return RUN_TESTS(tests);
}
