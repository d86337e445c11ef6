// Where nothing throws, misuse is returned as a status. Compiled without exceptions and RTTI, and with
// PHC_CPP_NO_THROW.
#include "harness.hpp"

static_assert(!PHC_CPP_THROWS, "compile this without exceptions or with PHC_CPP_NO_THROW");

static void delivery_is_the_same() {
    script(R"({"steps":[{"verdicts":{"never":"drop","*":"ok"}}]})");
    phc::client client(test_settings());
    tally delivered, lost;
    CHECK_STATUS(client.on_delivery(
                     [&](const phc::report_view &report) { delivered.add(static_cast<int>(report.size())); }),
                 ok);
    CHECK_STATUS(
        client.on_error([&](const phc::report_view &report) { lost.add(static_cast<int>(report.size())); }),
        ok);
    CHECK_STATUS(client.capture("u", "e", {{"n", 1}}), ok);
    CHECK_STATUS(client.capture("u", "never"), ok);
    const phc::receipt identified = client.identify("u", {{"plan", "pro"}});
    CHECK_STATUS(identified, ok);
    CHECK_EQ(identified.uuid().size(), 36);
    CHECK_STATUS(client.flush(10s), lost_events);
    CHECK(delivered.reaches(2) && lost.reaches(1));
    CHECK_STATUS(client.on_error(nullptr), ok);
    CHECK_EQ(checked_stats(client).delivered(), 2);
}

static void misuse_is_a_status() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.capture("u", ""), invalid_event);
    CHECK_STATUS(client.capture("", "e"), invalid_distinct_id);
    const phc::receipt malformed = client.capture("u", "e", phc::raw_json("{\"a\":}"));
    CHECK_STATUS(malformed, invalid_json);
    CHECK(malformed.is_misuse());
    CHECK(malformed.uuid().empty());
    CHECK_IN(malformed.details(), "byte");
    CHECK_STATUS(client.capture("u", "e", {{"a", phc::raw_json(R"(1,"distinct_id":"victim")")}}),
                 invalid_json);
    CHECK_STATUS(client.register_property("a", phc::raw_json("1,2")), invalid_json);
    const phc::receipt nul = client.alias("u", std::string_view("a\0b", 3));
    CHECK_STATUS(nul, invalid_argument);
    CHECK(nul.uuid().empty());
    CHECK_IN(nul.details(), "NUL");
    CHECK_IN(nul.message(), "NUL");
    CHECK(!client.next_test_event());
}

static void settings_keep_the_first_error() {
    phc::settings settings("phc_key");
    CHECK(static_cast<bool>(settings));
    settings.set("flush_a", 3).host("ftp://example.com").flush_at(10);
    CHECK(!settings);
    CHECK_STATUS(settings.status(), invalid_setting);
    CHECK_IN(settings.error_message(), "flush_at");
    CHECK_TEXT(settings.get("flush_at").value_or(""), "10");
    phc::client client(settings);
    CHECK(!client);
    CHECK_STATUS(client.status(), invalid_setting);
    CHECK_TEXT(client.error_message(), settings.error_message());
    CHECK_STATUS(phc::client::open("never", settings).status(), invalid_setting);
}

static void a_client_that_cannot_be_made_has_a_status() {
    // Each of these two is accepted by itself.
    const phc::client level(phc::settings("phc_key").set("compression_level", 9));
    CHECK(!level);
    CHECK_STATUS(level.status(), invalid_setting);
    CHECK_IN(level.error_message(), "compression_level");
    const phc::client key(phc::settings("a key with\na line break"));
    CHECK(!key);
    CHECK_STATUS(key.status(), invalid_setting);
    CHECK_IN(key.error_message(), "project key");
    phc::settings settings("phc_key");
    const phc::settings taken = std::move(settings);
    const phc::client from_nothing(settings); // NOLINT: the test is the use after the move
    CHECK(!from_nothing);
    CHECK_STATUS(from_nothing.status(), invalid_argument);
    const phc::client nul = phc::client::open(std::string_view("a\0b", 3), test_settings());
    CHECK(!nul);
    CHECK_STATUS(nul.status(), invalid_argument);
    CHECK_IN(nul.error_message(), "NUL");
    const phc::client one = phc::client::open("named", test_settings().test_mode());
    const phc::client other = phc::client::open("named", test_settings().test_mode().flush_at(7));
    CHECK(static_cast<bool>(one));
    CHECK_STATUS(one.status(), ok);
    CHECK(!other);
    CHECK_STATUS(other.status(), conflict);
    CHECK_IN(other.error_message(), "settings");
}

static void a_client_that_is_false_takes_calls() {
    phc::client client(phc::settings("phc_key").host("ftp://example.com"));
    CHECK(!client);
    CHECK_STATUS(client.capture("u", "e"), invalid_argument);
    CHECK_STATUS(client.identify("u"), invalid_argument);
    CHECK_STATUS(client.alias("u", "other"), invalid_argument);
    CHECK_STATUS(client.on_error([](const phc::report_view &) {}), invalid_argument);
    CHECK_STATUS(client.on_delivery([](const phc::report_view &) {}), invalid_argument);
    CHECK_STATUS(client.flush(1s), invalid_argument);
    CHECK_STATUS(client.close(1s), invalid_argument);
    CHECK_EQ(client.stats().captured(), 0);
    CHECK(!client.poll(10s));
}

static void before_send_discards() {
    phc::client client = test_mode_client();
    client.before_send([](std::string_view json) {
        return json.find("\"malformed\"") == std::string_view::npos ? phc::decision::discard()
                                                                    : phc::decision::replace("{");
    });
    CHECK_STATUS(client.capture("u", "e"), before_send);
    CHECK_STATUS(client.capture("u", "malformed"), before_send);
    CHECK(!client.next_test_event());
}

static void waiting_inside_a_callback_is_a_status() {
    phc::client client = test_mode_client();
    phc::status flushed, closed;
    client.before_send([&](std::string_view) {
        flushed = client.flush(1s);
        closed = client.close(1s);
        return phc::decision::keep();
    });
    CHECK_STATUS(client.capture("u", "e"), ok);
    CHECK_STATUS(flushed, reentrant);
    CHECK_STATUS(closed, reentrant);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(delivery_is_the_same),
        TEST(misuse_is_a_status),
        TEST(settings_keep_the_first_error),
        TEST(a_client_that_cannot_be_made_has_a_status),
        TEST(a_client_that_is_false_takes_calls),
        TEST(before_send_discards),
        TEST(waiting_inside_a_callback_is_a_status),
    };
    return RUN_TESTS(tests);
}
