// Handlers: what they see, what becomes of what they throw, and how long they live.
#include "harness.hpp"

#include <atomic>
#include <thread>
#include <vector>

static void every_event_is_reported() {
    script(R"({"steps":[{"verdicts":{"never":"drop","*":"ok"}}]})");
    tally delivered, lost;
    phc::client client(here());
    CHECK_STATUS(client.on_report([&](const phc::report_view &report) {
        for (const phc::event_report &event : report) (event.delivered() ? delivered : lost).add();
    }),
                 ok);
    client.capture("u", "now");
    client.capture("u", "never");
    CHECK_STATUS(client.flush(10s), lost_events);
    CHECK(delivered.reaches(1) && lost.reaches(1));
    CHECK(!client.poll().has_value());
}

static void only_losses_unless_asked() {
    script(R"({"then":{"verdicts":{"never":"drop","*":"ok"}}})");
    tally delivered, lost;
    phc::client client(here().reports(phc::reports::losses));
    client.on_report([&](const phc::report_view &report) {
        for (const phc::event_report &event : report) (event.delivered() ? delivered : lost).add();
    });
    client.capture("u", "fine");
    client.flush(10s);
    client.capture("u", "never");
    client.flush(10s);
    CHECK(lost.reaches(1));
    CHECK_EQ(lost.count() + delivered.count(), 1);
}

static void a_report_handler_may_capture_and_throw() {
    script(R"({"steps":[{"verdicts":{"never":"drop","*":"ok"}}]})");
    tally seen, reentrant;
    phc::client client(here());
    client.on_report([&](const phc::report_view &) {
        if (seen.count() == 0) client.capture("u", "from the handler");
        try {
            client.flush(1s);
        } catch (const phc::error &error) {
            if (error.status() == phc::code::reentrant) reentrant.add();
        }
        seen.add();
        throw 42;
    });
    client.capture("u", "never");
    client.flush(10s);
    CHECK(seen.reaches(1));
    client.flush(10s);
    CHECK(seen.reaches(2));
    CHECK_EQ(reentrant.count(), seen.count());
    CHECK_EQ(balanced(client).delivered, 1);
}

static void before_send_keeps_drops_and_replaces() {
    phc::client client(here().test_mode());
    CHECK_STATUS(client.before_send([](std::string_view json) {
        if (json.find("\"secret\"") != std::string_view::npos) return phc::decision::drop();
        if (json.find("\"rename\"") != std::string_view::npos) {
            return phc::decision::replace(phc::event("u", "renamed").set("by", "hook"));
        }
        if (json.find("\"broken\"") != std::string_view::npos) return phc::decision::replace("{");
        return phc::decision::keep();
    }),
                 ok);
    CHECK_STATUS(client.capture("u", "kept"), ok);
    CHECK_STATUS(client.capture("u", "secret"), before_send);
    CHECK_STATUS(client.capture("u", "rename"), ok);
    const phc::receipt broken = [&] {
        try {
            return client.capture("u", "broken");
        } catch (const phc::error &) {
            return phc::receipt();
        }
    }();
    CHECK(broken.uuid().empty());
    CHECK_IN(client.test_next().value_or(""), "\"kept\"");
    CHECK_IN(client.test_next().value_or(""), R"("event":"renamed")");
    CHECK(!client.test_next());
    CHECK_STATUS(client.before_send(nullptr), ok);
    CHECK_STATUS(client.capture("u", "secret"), ok);
}

static void before_send_that_throws_lets_nothing_out() {
    phc::client client(here().test_mode());
    client.before_send([](std::string_view) -> phc::decision { throw std::runtime_error("as a test"); });
    CHECK_STATUS(client.capture("u", "e"), before_send);
    CHECK(!client.test_next());
    CHECK_EQ(client.stats().refused, 1);
}

static void before_send_may_run_on_several_threads() {
    std::atomic<int> calls{0};
    phc::client client(here());
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
    phc::client client(here());
    CHECK_STATUS(client.on_log([&](phc::log_level level, std::string_view message) {
        if (level == phc::log_level::error && message.find("401") != std::string_view::npos) error = true;
        lines.add();
        throw std::runtime_error("as a test");
    }),
                 ok);
    client.capture("u", "e");
    CHECK_STATUS(client.flush(10s), lost_events);
    CHECK(lines.reaches(1));
    client.on_log(nullptr); // returns once no line is told any more
    CHECK(error.load());
}

static void a_disabled_client_says_so_at_once() {
    std::string said;
    phc::client client(phc::settings(""));
    client.on_log([&](phc::log_level, std::string_view message) { said = message; });
    CHECK_IN(said, "key");
}

// A handler's captures are freed when it is replaced, when it is taken away, and with the client.
static void handlers_are_freed() {
    const auto owned = std::make_shared<int>(0);
    const auto report = [owned](const phc::report_view &) {};
    const auto hook = [owned](std::string_view) { return phc::decision::keep(); };
    const auto log = [owned](phc::log_level, std::string_view) {};
    CHECK_EQ(owned.use_count(), 4);
    {
        phc::client client(here());
        client.on_report(report);
        client.before_send(hook);
        client.on_log(log);
        CHECK_EQ(owned.use_count(), 7);
        client.on_report(report);
        client.before_send(hook);
        client.on_log(log);
        CHECK_EQ(owned.use_count(), 7);
        client.on_log(nullptr);
        CHECK_EQ(owned.use_count(), 6);
        client.capture("u", "e");
        client.flush(10s);
    }
    CHECK_EQ(owned.use_count(), 4);
    {
        // One that is refused is freed too.
        phc::client empty(here());
        phc::client moved = std::move(empty);
        try {
            empty.on_report(report); // NOLINT: on purpose
        } catch (const phc::error &) {}
        CHECK_EQ(owned.use_count(), 4);
    }
}

static void handlers_survive_a_move() {
    tally seen;
    phc::client client(here());
    client.on_report([&](const phc::report_view &report) { seen.add(static_cast<int>(report.size())); });
    client.before_send([](std::string_view) { return phc::decision::keep(); });
    phc::client moved = std::move(client);
    moved.capture("u", "e");
    CHECK_STATUS(moved.flush(10s), ok);
    CHECK(seen.reaches(1));
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(every_event_is_reported),
        TEST(only_losses_unless_asked),
        TEST(a_report_handler_may_capture_and_throw),
        TEST(before_send_keeps_drops_and_replaces),
        TEST(before_send_that_throws_lets_nothing_out),
        TEST(before_send_may_run_on_several_threads),
        TEST(the_log_says_what_is_lost),
        TEST(a_disabled_client_says_so_at_once),
        TEST(handlers_are_freed),
        TEST(handlers_survive_a_move),
    };
    return RUN_TESTS(tests);
}
