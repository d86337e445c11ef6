// Callbacks: what each of them gets, what an exception does, and how long they live.
#include "harness.hpp"

#include <atomic>
#include <thread>

// Counts the events that a callback gets, by how they ended.
struct seen_events {
    tally delivered, warned, lost, pending;

    phc::report_callback counter() {
        return [this](const phc::report_view &report) {
            for (const phc::event_report &event : report) {
                if (!event.delivered()) lost.add();
                else if (event.verdict() == "warning") warned.add();
                else delivered.add();
            }
            pending.add(static_cast<int>(report.pending_count()));
        };
    }
};

// One attempt that loses an event, delivers two, one of them with a warning, and leaves one to be sent again
// calls both callbacks, each with its own events.
static void each_callback_gets_its_own_events() {
    struct {
        phc::reports setting;
        int warned; // those that the error callback gets
    } const table[] = {{phc::reports::losses, 0}, {phc::reports::warnings, 1}, {phc::reports::all, 1}};
    for (const auto &expected : table) {
        script(R"({"steps":[{"verdicts":{"warned":"warning","never":"drop","later":"retry","*":"ok"}}]})");
        seen_events errors, deliveries;
        phc::client client(test_settings().reports(expected.setting));
        CHECK_STATUS(client.on_error(errors.counter()), ok);
        CHECK_STATUS(client.on_delivery(deliveries.counter()), ok);
        for (const char *name : {"plain", "warned", "never", "later"}) client.capture("u", name);
        CHECK_STATUS(client.flush(10s), lost_events);
        CHECK(deliveries.delivered.reaches(2)); // "later", too
        CHECK(!client.poll().has_value());
        // They return once no call runs any more.
        CHECK_STATUS(client.on_error(nullptr), ok);
        CHECK_STATUS(client.on_delivery(nullptr), ok);
        CHECK_EQ(errors.lost.count(), 1);
        CHECK_EQ(errors.warned.count(), expected.warned);
        CHECK_EQ(errors.delivered.count(), 0);
        CHECK_EQ(errors.pending.count(), 1);
        CHECK_EQ(deliveries.lost.count(), 0);
        CHECK_EQ(deliveries.warned.count(), 1);
        CHECK_EQ(deliveries.delivered.count(), 2);
    }
}

// With reports::all the error callback gets an attempt after which every event is sent again, with their
// uuids.
static void the_error_callback_gets_retries_with_reports_all() {
    for (const phc::reports setting : {phc::reports::warnings, phc::reports::all}) {
        script(R"({"steps":[{"status":503}]})");
        tally attempts, ends;
        std::string uuid, error;
        phc::client client(test_settings().reports(setting));
        client.on_error([&](const phc::report_view &report) {
            uuid = report.pending_uuid(0);
            error = report.error();
            if (report.http_status() == 503 && report.empty() && report.pending_count() == 1) attempts.add();
        });
        client.on_delivery([&](const phc::report_view &report) {
            if (report.attempt() == 2) ends.add();
        });
        const phc::receipt receipt = client.capture("u", "e");
        CHECK_STATUS(client.flush(10s), ok);
        CHECK(ends.reaches(1));
        client.on_error(nullptr);
        CHECK_EQ(attempts.count(), setting == phc::reports::all ? 1 : 0);
        if (setting == phc::reports::all) CHECK_TEXT(uuid, receipt.uuid());
        if (setting == phc::reports::all) CHECK_IN(error, "503");
    }
}

// The delivery callback needs no setting, and without an error callback losses are not reported to it.
static void a_delivery_callback_alone_gets_deliveries() {
    script(R"({"steps":[{"verdicts":{"warned":"warning","never":"drop","*":"ok"}}]})");
    seen_events seen;
    phc::client client(test_settings().reports(phc::reports::losses));
    client.on_delivery(seen.counter());
    for (const char *name : {"plain", "warned", "never"}) client.capture("u", name);
    client.flush(10s);
    CHECK(seen.delivered.reaches(1) && seen.warned.reaches(1));
    client.on_delivery(nullptr);
    CHECK_EQ(seen.lost.count(), 0);
}

static void an_error_callback_alone_gets_failures() {
    script(R"({"then":{"verdicts":{"never":"drop","*":"ok"}}})");
    seen_events seen;
    phc::client client(test_settings());
    client.on_error(seen.counter());
    client.capture("u", "fine");
    client.flush(10s);
    client.capture("u", "never");
    client.flush(10s);
    CHECK(seen.lost.reaches(1));
    client.on_error(nullptr);
    CHECK_EQ(seen.delivered.count(), 0);
    // From now on poll has the reports again.
    client.capture("u", "fine");
    client.flush(10s);
    CHECK(client.poll(10s).has_value());
}

static void a_callback_may_capture_and_throw_but_not_wait() {
    script(R"({"steps":[{"verdicts":["drop"]}]})");
    tally calls, reentrant;
    phc::client client(test_settings());
    const auto callback = [&](const phc::report_view &) {
        if (calls.count() == 0) client.capture("u", "from the callback");
        for (const auto wait :
             {+[](phc::client &inner) { inner.flush(1s); }, +[](phc::client &inner) { inner.close(1s); }}) {
            try {
                wait(client);
            } catch (const phc::error &error) {
                if (error.status() == phc::code::reentrant) reentrant.add();
            }
        }
        CHECK_EQ(client.stats().lost(), 1);
        CHECK(!client.poll(10s));
        calls.add();
        throw 42;
    };
    client.on_error(callback);
    client.on_delivery(callback);
    client.capture("u", "never");
    client.flush(10s);
    CHECK(calls.reaches(1));
    client.flush(10s);
    CHECK(calls.reaches(2));
    CHECK_EQ(reentrant.count(), 4);
    CHECK_EQ(checked_stats(client).delivered(), 1);
}

static void a_callback_may_replace_itself() {
    script(R"({"then":{"verdicts":["drop"]}})");
    tally first, second;
    const auto owned = std::make_shared<int>(7);
    phc::client client(test_settings());
    client.on_error([&client, &first, &second, owned](const phc::report_view &) {
        CHECK_STATUS(client.on_error([&second](const phc::report_view &) { second.add(); }), ok);
        CHECK_EQ(*owned, 7); // what the running callback owns is still there
        first.add();
    });
    for (int i = 0; i < 2; i++) {
        client.capture("u", "never");
        client.flush(10s);
        CHECK(first.reaches(1));
    }
    CHECK(second.reaches(1));
    CHECK_EQ(first.count(), 1);
    client.on_error(nullptr);
    CHECK_EQ(owned.use_count(), 1);
}

// Until the callbacks of a client have ended it is there, also if another one takes its place.
static void callbacks_that_run_at_the_end_still_see_their_client() {
    for (const bool is_replaced : {false, true}) {
        tally calls;
        {
            phc::client client(test_settings().shutdown_timeout(0s));
            CHECK_STATUS(client.on_error([&](const phc::report_view &report) {
                CHECK(static_cast<bool>(client));
                CHECK_STATUS(client.capture("u", "late"), closed);
                CHECK_EQ(client.stats().captured(), 2);
                calls.add(static_cast<int>(report.size()));
            }),
                         ok);
            for (int i = 0; i < 2; i++) CHECK_STATUS(client.capture("u", "e"), ok);
            if (is_replaced) {
                client = test_mode_client();
                CHECK_EQ(calls.count(), 2);
                CHECK_EQ(client.stats().captured(), 0);
                CHECK_STATUS(client.capture("u", "e"), ok);
                phc::client &same = client;
                client = std::move(same);
                CHECK_EQ(client.stats().captured(), 1);
            }
        }
        CHECK_EQ(calls.count(), 2);
    }
}

static void a_client_may_be_destroyed_inside_its_callback() {
    script(R"({"then":{"verdicts":["drop"]}})");
    tally calls;
    const auto owned = std::make_shared<int>(7);
    auto client = std::make_unique<phc::client>(test_settings());
    tally flushed; // only then may the other thread reset the pointer
    client->on_error([&, owned](const phc::report_view &) {
        CHECK(flushed.reaches(1));
        client.reset();
        CHECK_EQ(*owned, 7);
        calls.add();
    });
    client->capture("u", "never");
    CHECK_STATUS(client->flush(10s), lost_events);
    flushed.add();
    CHECK(calls.reaches(1));
    for (const double start = now_ms(); owned.use_count() > 1 && now_ms() - start < 20000;) {
        std::this_thread::sleep_for(1ms);
    }
    CHECK_EQ(owned.use_count(), 1);
}

static void before_send_keeps_discards_and_replaces() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.before_send([](std::string_view json) {
        if (json.find("\"secret\"") != std::string_view::npos) return phc::decision::discard();
        if (json.find("\"rename\"") != std::string_view::npos) {
            return phc::decision::replace(phc::event("u", "renamed").set("by", "before_send"));
        }
        if (json.find("\"malformed\"") != std::string_view::npos) return phc::decision::replace("{");
        return phc::decision::keep();
    }),
                 ok);
    CHECK_STATUS(client.capture("u", "kept"), ok);
    CHECK_STATUS(client.capture("u", "secret"), before_send);
    const phc::receipt renamed = client.capture("u", "rename");
    CHECK_STATUS(renamed, ok);
    const phc::receipt malformed = client.capture("u", "malformed");
    CHECK_STATUS(malformed, before_send);
    CHECK_IN(malformed.details(), "byte 1");
    CHECK_IN(client.next_test_event().value_or(""), "\"kept\"");
    const std::string sent = client.next_test_event().value_or("");
    CHECK_IN(sent, R"("event":"renamed")");
    CHECK_IN(sent, renamed.uuid());
    CHECK(!client.next_test_event());
    CHECK_EQ(client.stats().refused(phc::code::before_send), 2);
    CHECK_STATUS(client.before_send(nullptr), ok);
    CHECK_STATUS(client.capture("u", "secret"), ok);
}

static void a_before_send_that_throws_discards() {
    phc::client client = test_mode_client();
    client.before_send([](std::string_view) -> phc::decision { throw std::runtime_error("of the test"); });
    const phc::receipt receipt = client.capture("u", "e");
    CHECK_STATUS(receipt, before_send);
    CHECK(receipt.uuid().empty());
    CHECK_STATUS(client.identify("u"), before_send);
    CHECK(!client.next_test_event());
    CHECK_EQ(client.stats().refused(phc::code::before_send), 2);
}

static void before_send_must_not_capture() {
    phc::client client = test_mode_client();
    bool reentrant = false;
    client.before_send([&](std::string_view) {
        try {
            client.capture("u", "inner");
        } catch (const phc::error &error) {
            reentrant = error.status() == phc::code::reentrant;
        }
        CHECK_STATUS(client.register_property("seen", true), ok);
        return phc::decision::keep();
    });
    CHECK_STATUS(client.capture("u", "outer"), ok);
    CHECK(reentrant);
    CHECK_IN(client.next_test_event().value_or(""), "\"outer\"");
    CHECK(!client.next_test_event());
}

static void before_send_may_run_on_several_threads() {
    std::atomic<int> calls{0};
    phc::client client(test_settings());
    client.before_send([&](std::string_view) {
        calls++;
        return phc::decision::keep();
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&client] {
            for (int i = 0; i < 100; i++) client.capture("u", "e");
        });
    }
    for (std::thread &thread : threads) thread.join();
    CHECK_STATUS(client.flush(20s), ok);
    CHECK_EQ(calls.load(), 400);
}

static void the_log_says_what_is_lost() {
    script(R"({"then":{"status":401}})");
    tally lines;
    std::atomic<bool> error{false};
    phc::client client(test_settings());
    CHECK_STATUS(client.on_log([&](phc::log_level level, std::string_view message) {
        if (level == phc::log_level::error && message.find("401") != std::string_view::npos) error = true;
        lines.add();
        throw std::runtime_error("of the test");
    }),
                 ok);
    client.capture("u", "e");
    CHECK_STATUS(client.flush(10s), lost_events);
    CHECK(lines.reaches(1));
    client.on_log(nullptr);
    CHECK(error.load());
}

static void the_log_level_says_which_lines() {
    for (const phc::log_level setting : {phc::log_level::info, phc::log_level::debug}) {
        tally debug, delivered;
        phc::client client(test_settings().log_level(setting));
        client.on_log([&](phc::log_level level, std::string_view) {
            if (level == phc::log_level::debug) debug.add();
        });
        client.on_delivery([&](const phc::report_view &) { delivered.add(); });
        client.capture("u", "e");
        CHECK_STATUS(client.flush(10s), ok);
        CHECK(delivered.reaches(1));
        if (setting == phc::log_level::debug) CHECK(debug.reaches(1));
        client.on_log(nullptr);
        if (setting == phc::log_level::info) CHECK_EQ(debug.count(), 0);
    }
}

static void a_disabled_client_logs_that_at_once() {
    std::string line;
    phc::client client(phc::settings(""));
    client.on_log([&](phc::log_level, std::string_view message) { line = message; });
    CHECK_IN(line, "key");
}

// What a callback owns is freed when it is replaced, when it is removed, and with the client.
static void callbacks_are_freed() {
    const auto owned = std::make_shared<int>(0);
    const auto error = [owned](const phc::report_view &) {};
    const auto delivery = [owned](const phc::report_view &) {};
    const auto before_send = [owned](std::string_view) { return phc::decision::keep(); };
    const auto log = [owned](phc::log_level, std::string_view) {};
    CHECK_EQ(owned.use_count(), 5);
    {
        phc::client client(test_settings());
        for (int i = 0; i < 2; i++) {
            client.on_error(error);
            client.on_delivery(delivery);
            client.before_send(before_send);
            client.on_log(log);
            CHECK_EQ(owned.use_count(), 9);
        }
        client.on_log(nullptr);
        client.on_delivery(nullptr);
        CHECK_EQ(owned.use_count(), 7);
        client.capture("u", "e");
        client.flush(10s);
    }
    CHECK_EQ(owned.use_count(), 5);
    {
        // One that is refused is freed, too.
        phc::client client(test_settings());
        const phc::client taken = std::move(client);
        try {
            client.on_error(error); // NOLINT: the test is the use after the move
            CHECK(false);
        } catch (const phc::error &) {}
        CHECK_EQ(owned.use_count(), 5);
    }
}

static void callbacks_move_with_their_client() {
    tally seen;
    phc::client client(test_settings());
    client.on_delivery([&](const phc::report_view &report) { seen.add(static_cast<int>(report.size())); });
    client.before_send([](std::string_view) { return phc::decision::keep(); });
    phc::client moved = std::move(client);
    moved.capture("u", "e");
    CHECK_STATUS(moved.flush(10s), ok);
    CHECK(seen.reaches(1));
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(each_callback_gets_its_own_events),
        TEST(the_error_callback_gets_retries_with_reports_all),
        TEST(a_delivery_callback_alone_gets_deliveries),
        TEST(an_error_callback_alone_gets_failures),
        TEST(a_callback_may_capture_and_throw_but_not_wait),
        TEST(a_callback_may_replace_itself),
        TEST(callbacks_that_run_at_the_end_still_see_their_client),
        TEST(a_client_may_be_destroyed_inside_its_callback),
        TEST(before_send_keeps_discards_and_replaces),
        TEST(a_before_send_that_throws_discards),
        TEST(before_send_must_not_capture),
        TEST(before_send_may_run_on_several_threads),
        TEST(the_log_says_what_is_lost),
        TEST(the_log_level_says_which_lines),
        TEST(a_disabled_client_logs_that_at_once),
        TEST(callbacks_are_freed),
        TEST(callbacks_move_with_their_client),
    };
    return RUN_TESTS(tests);
}
