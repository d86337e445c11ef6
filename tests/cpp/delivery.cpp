// Captures, flushes, reports, counters and the end of a client, against the sink.
#include "harness.hpp"

#include <thread>

#include <poll.h>

static void every_capture_returns_the_uuid_of_its_event() {
    phc::client client(test_settings());
    const std::vector<phc::receipt> receipts{
        client.capture("u", "bare"),
        client.capture("u", "braces", {{"path", "/pricing"}, {"n", 3}}),
        client.capture("u", "object", phc::properties{{"a", 1}}),
        client.capture("u", "raw", phc::raw_json(R"({"a":1.10})")),
        client.capture(phc::event("u", "built").set("a", 1).group("company", "acme")),
        client.capture_json(R"({"event":"whole","distinct_id":"u"})"),
        client.identify("u", {{"email", "a@b.c"}}, {{"first", 1}}),
        client.identify("u", phc::raw_json(R"({"plan":"pro"})")),
        client.identify("u", phc::raw_json(R"({"plan":"free"})"), phc::raw_json(R"({"seen":1})")),
        client.identify("bare"),
        client.alias("u", "other"),
        client.group_identify("company", "acme", {{"name", "Acme"}}),
        client.group_identify("company", "acme", phc::raw_json(R"({"size":7})")),
        client.group_identify("company", "acme", {}, "u"),
    };
    for (const phc::receipt &receipt : receipts) CHECK_STATUS(receipt, ok);
    const phc::flush_result flushed = client.flush(10s);
    CHECK_STATUS(flushed, ok);
    CHECK_EQ(flushed.delivered, receipts.size());
    CHECK_EQ(flushed.settled, receipts.size());
    CHECK_EQ(flushed.pending, 0);
    const std::string events = sink("_events");
    for (const phc::receipt &receipt : receipts) {
        CHECK_EQ(receipt.uuid().size(), 36);
        CHECK_IN(events, receipt.uuid());
    }
    CHECK_IN(events, R"("$set":{"email":"a@b.c"},"$set_once":{"first":1})");
    CHECK_IN(events, R"("$set":{"plan":"free"},"$set_once":{"seen":1})");
    CHECK_IN(events, R"("alias":"other")");
    CHECK_IN(events, R"("$group_set":{"name":"Acme"})");
    CHECK_IN(events, R"("$group_set":{"size":7})");
    CHECK_IN(events, "$company_acme");
    CHECK_IN(events, R"({"a":1.10})");
    CHECK_EQ(checked_stats(client).delivered(), receipts.size());
}

static void requests_have_the_name_of_the_binding_and_the_headers() {
    phc::client client(test_settings().header("X-Studio", "blue").compression(phc::compression::gzip));
    client.capture("u", "e");
    CHECK_STATUS(client.flush(10s), ok);
    const std::string requests = sink("_requests");
    CHECK_IN(requests, R"("posthog-cpp-phc/)" PHC_CPP_VERSION "\"");
    CHECK_IN(requests, R"("x-studio":"blue")");
    CHECK_IN(requests, R"("encoding":"gzip")");
}

static void super_properties_and_opt_out() {
    phc::client client = test_mode_client();
    CHECK_STATUS(client.register_property("build", 42), ok);
    CHECK_STATUS(client.register_property("where", phc::object{{"zone", "eu"}}), ok);
    client.capture("u", "e", {{"a", 1}});
    const std::string with = next_properties(client);
    CHECK_IN(with, R"("build":42)");
    CHECK_IN(with, R"("where":{"zone":"eu"})");
    CHECK_STATUS(client.unregister_property("build"), ok);
    CHECK_STATUS(client.unregister_property("where"), ok);
    CHECK_STATUS(client.unregister_property("never registered"), ok);
    client.capture("u", "e", {{"a", 1}});
    CHECK_TEXT(next_properties(client), R"({"a":1})");
    CHECK_STATUS(client.opt_out(), ok);
    for (const phc::receipt &refused :
         {client.capture("u", "e"), client.identify("u"), client.alias("u", "other"),
          client.group_identify("company", "acme")}) {
        CHECK_STATUS(refused, opted_out);
        CHECK(refused.uuid().empty());
    }
    CHECK_STATUS(client.opt_in(), ok);
    CHECK_STATUS(client.capture("u", "e"), ok);
}

static void reports_say_how_each_event_ended() {
    script(R"({"steps":[{"verdicts":{"later":"retry","never":{"result":"drop","details":"no"},"*":"ok"}}]})");
    phc::client client(test_settings());
    const auto before = std::chrono::system_clock::now();
    const phc::receipt later = client.capture("u", "later"), never = client.capture("u", "never");
    CHECK_STATUS(client.capture("u", "now"), ok);
    const phc::flush_result flushed = client.flush(10s);
    CHECK_STATUS(flushed, lost_events);
    CHECK_EQ(flushed.delivered, 2);
    CHECK_EQ(flushed.lost, 1);
    bool saw_drop = false, saw_later = false;
    while (const std::optional<phc::report> report = client.poll()) {
        CHECK_EQ(report->request_id().size(), 36);
        CHECK_EQ(report->http_status(), 200);
        CHECK(report->sent_at() > before - 1s && report->sent_at() < std::chrono::system_clock::now() + 1s);
        std::size_t seen = 0;
        for (const phc::event_report &event : *report) {
            seen++;
            if (event.uuid() == never.uuid()) {
                saw_drop = true;
                CHECK_EQ(report->attempt(), 1);
                CHECK_EQ(report->pending_count(), 1);
                CHECK_TEXT(report->pending_uuid(0), later.uuid());
                CHECK_TEXT(report->pending_uuid(1), "");
                CHECK(!event.delivered() && !event.maybe_delivered());
                CHECK(event.loss() == phc::loss::dropped);
                CHECK_TEXT(phc::name(event.loss()), "dropped");
                CHECK_TEXT(event.verdict(), "drop");
                CHECK_TEXT(event.details(), "no");
            } else if (event.uuid() == later.uuid()) {
                saw_later = true;
                CHECK_EQ(report->attempt(), 2);
                CHECK_EQ(report->pending_count(), 0);
                CHECK(event.delivered());
            }
        }
        CHECK_EQ(seen, report->size());
        const phc::event_report beyond = (*report)[seen];
        CHECK(beyond.uuid().empty() && beyond.verdict().empty() && beyond.details().empty());
        CHECK_EQ(report->missed_reports(), 0);
        CHECK_EQ(report->missed_events(), 0);
        CHECK(report->error().empty());
        CHECK_IN(report->json(), "\"attempt\"");
    }
    CHECK(saw_drop && saw_later);
}

// What poll returns for one batch with a plain delivery, a warning, a loss and a retry.
static void what_poll_returns_follows_from_the_setting_reports() {
    const char *const steps =
        R"({"steps":[{"verdicts":{"warned":"warning","never":"drop","later":"retry","*":"ok"}}]})";
    struct {
        phc::reports setting;
        int reports, delivered, warned, lost, pending;
    } const table[] = {
        {phc::reports::losses, 1, 0, 0, 1, 1},
        {phc::reports::warnings, 1, 0, 1, 1, 1},
        {phc::reports::all, 2, 2, 1, 1, 1},
    };
    for (const auto &expected : table) {
        script(steps);
        phc::client client(test_settings().reports(expected.setting));
        for (const char *name : {"plain", "warned", "never", "later"})
            CHECK_STATUS(client.capture("u", name), ok);
        CHECK_STATUS(client.flush(10s), lost_events);
        int reports = 0, delivered = 0, warned = 0, lost = 0;
        std::size_t pending = 0;
        while (const std::optional<phc::report> report = client.poll()) {
            reports++;
            pending += report->pending_count();
            CHECK_EQ(report->pending_uuid(0).size(),
                     expected.setting == phc::reports::all && report->pending_count() > 0 ? 36 : 0);
            for (const phc::event_report &event : *report) {
                if (event.verdict() == "warning") warned++;
                else if (event.delivered()) delivered++;
                else lost++;
            }
        }
        CHECK_EQ(reports, expected.reports);
        CHECK_EQ(delivered, expected.delivered);
        CHECK_EQ(warned, expected.warned);
        CHECK_EQ(lost, expected.lost);
        CHECK_EQ(pending, expected.pending);
        CHECK_EQ(checked_stats(client).delivered_with_warning(), 1);
    }
}

static void stats_count_losses_by_reason_and_refusals_by_status() {
    script(R"({"steps":[{"verdicts":{"never":"drop","*":"ok"}},{"status":400}]})");
    phc::client client(test_settings().queue_max_events(3).max_batch_events(100));
    client.capture("u", "now");
    client.capture("u", "never");
    client.capture("u", "never");
    CHECK_STATUS(client.capture("u", "refused"), queue_full);
    CHECK_STATUS(client.flush(10s), lost_events);
    client.capture("u", "rejected");
    CHECK_STATUS(client.flush(10s), lost_events);
    CHECK_STATUS(client.opt_out(), ok);
    CHECK_STATUS(client.capture("u", "refused"), opted_out);
    CHECK_STATUS(client.capture("u", "refused"), opted_out);
    const phc::stats stats = checked_stats(client);
    CHECK_EQ(stats.captured(), 4);
    CHECK_EQ(stats.delivered(), 1);
    CHECK_EQ(stats.lost(), 3);
    CHECK_EQ(stats.lost(phc::loss::dropped), 2);
    CHECK_EQ(stats.lost(phc::loss::rejected), 1);
    CHECK_EQ(stats.lost(phc::loss::transport), 0);
    CHECK_EQ(stats.lost(phc::loss::none), 0);
    CHECK_EQ(stats.refused(), 3);
    CHECK_EQ(stats.refused(phc::code::queue_full), 1);
    CHECK_EQ(stats.refused(phc::code::opted_out), 2);
    CHECK_EQ(stats.refused(phc::code::closed), 0);
    CHECK_EQ(stats.requests(), 2);
    CHECK_EQ(stats.retries(), 0);
    CHECK_EQ(stats.pending_bytes(), 0);
    CHECK(stats.body_bytes() > 0 && stats.sent_bytes() > 0);
    // Numbers that have no slot.
    CHECK_EQ(stats.lost(static_cast<phc::loss>(PHC_LOSS_SLOTS)), 0);
    CHECK_EQ(stats.lost(static_cast<phc::loss>(-1)), 0);
    CHECK_EQ(stats.refused(static_cast<phc::code>(PHC_STATUS_SLOTS)), 0);
    CHECK_EQ(stats.refused(phc::code::wrong_library), 0);
    CHECK_IN(client.stats_json(), R"("lost":{"dropped":2,"rejected":1})");
    CHECK_IN(client.stats_json(), R"("refused":{"queue_full":1,"opted_out":2})");
}

static void a_descriptor_is_readable_while_reports_wait() {
    phc::client client(test_settings());
    pollfd readable = {static_cast<int>(client.poll_fd()), POLLIN, 0};
    CHECK(readable.fd >= 0);
    CHECK_EQ(poll(&readable, 1, 0), 0);
    client.capture("u", "e");
    client.flush(10s);
    CHECK_EQ(poll(&readable, 1, 10000), 1);
    CHECK(client.poll().has_value());
    CHECK(!client.poll(1ms).has_value());
}

static void waits_are_bounded() {
    script(R"({"then":{"never":true}})");
    phc::client client(test_settings().set("request_timeout_ms", 120000));
    client.capture("u", "e");
    double start = now_ms();
    const phc::flush_result flushed = client.flush(50ms);
    CHECK_STATUS(flushed, timeout);
    CHECK_EQ(flushed.pending, 1);
    CHECK(now_ms() - start >= 49);
    start = now_ms();
    CHECK_STATUS(client.flush(0ms), timeout);
    CHECK_STATUS(client.flush(-5s), timeout);
    CHECK_STATUS(client.close(100ms), lost_events);
    CHECK(now_ms() - start < SOON_MS);
    CHECK_STATUS(client.close(phc::no_limit), ok);
    CHECK_STATUS(client.capture("u", "e"), closed);
    CHECK_STATUS(client.flush(phc::no_limit), closed);
    const phc::stats stats = checked_stats(client);
    CHECK_EQ(stats.lost(phc::loss::closed), 1);
    CHECK_EQ(stats.maybe_delivered(), 1);
    CHECK_EQ(stats.refused(phc::code::closed), 1);
}

// A loss belongs to the flush that saw it, and to no other.
static void a_flush_returns_its_own_losses() {
    script(R"({"steps":[{"verdicts":["drop"]}]})");
    phc::client client(test_settings());
    client.capture("u", "never");
    const phc::flush_result first = client.flush(10s);
    CHECK_STATUS(first, lost_events);
    CHECK_EQ(first.lost, 1);
    client.capture("u", "e");
    const phc::flush_result second = client.flush(10s);
    CHECK_STATUS(second, ok);
    CHECK_EQ(second.lost, 0);
    CHECK_STATUS(client.close(10s), lost_events); // of everything that was captured
}

static void the_destructor_sends_what_waits() {
    {
        phc::client client(test_settings());
        client.capture("u", "e");
    }
    CHECK_EQ(summary("accepted"), 1);
}

static void an_event_can_be_captured_again_after_queue_full() {
    phc::client client(test_settings().queue_max_events(2).flush_at(100).max_batch_events(100));
    phc::event event("u", "again");
    event.set("a", 1);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_STATUS(client.capture(event), queue_full);
    CHECK_STATUS(client.flush(10s), ok);
    CHECK_STATUS(client.capture(event), ok);
    CHECK_STATUS(client.flush(10s), ok);
    CHECK_EQ(summary("accepted"), 3);
}

static void clients_move() {
    static_assert(!std::is_copy_constructible_v<phc::client> && !std::is_copy_assignable_v<phc::client>);
    static_assert(std::is_nothrow_move_constructible_v<phc::client> &&
                  std::is_nothrow_move_assignable_v<phc::client>);
    static_assert(!std::is_copy_constructible_v<phc::settings> &&
                  std::is_move_constructible_v<phc::settings>);
    std::vector<phc::client> clients;
    for (int i = 0; i < 5; i++) clients.emplace_back(test_settings());
    for (phc::client &client : clients) CHECK_STATUS(client.capture("u", "e"), ok);
    phc::client taken = std::move(clients.front());
    CHECK(taken && !clients.front());
    clients.front() = phc::client(test_settings());
    CHECK_STATUS(clients.front().capture("u", "e"), ok);
    taken = std::move(clients.back()); // closes the client that it held, which sends its event
    CHECK_EQ(summary("accepted"), 1);
    clients.clear();
    CHECK_STATUS(taken.flush(10s), ok);
    CHECK_EQ(summary("accepted"), 6);
}

static void a_report_that_was_moved_from_is_empty() {
    static_assert(!std::is_copy_constructible_v<phc::report> && !std::is_copy_assignable_v<phc::report>);
    static_assert(std::is_nothrow_move_constructible_v<phc::report> &&
                  std::is_nothrow_move_assignable_v<phc::report>);
    phc::client client(test_settings());
    for (int i = 0; i < 2; i++) {
        client.capture("u", "e");
        client.flush(10s);
    }
    std::optional<phc::report> first = client.poll(), second = client.poll();
    CHECK(first && second);
    if (!first || !second) return;
    const std::string id(second->request_id());
    *first = std::move(*second);
    CHECK_TEXT(first->request_id(), id);
    CHECK(second->empty() && second->begin() == second->end() && second->request_id().empty());
    CHECK_EQ(second->http_status(), 0);
    phc::report third = std::move(*first);
    first.reset();
    CHECK_TEXT(third.request_id(), id);
    CHECK_EQ(third.size(), 1);
}

static void a_client_is_found_by_name() {
    phc::client one = phc::client::open("shared", test_settings());
    phc::client other = phc::client::open("shared", test_settings());
    CHECK(one.native_handle() == other.native_handle());
    one = phc::client(test_settings());
    CHECK_STATUS(other.capture("u", "e"), ok);
    CHECK_STATUS(other.flush(10s), ok);
}

static void many_threads_capture() {
    phc::client client(test_settings());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&client, t] {
            for (int i = 0; i < 250; i++) client.capture("u", "e", {{"thread", t}, {"i", i}});
        });
    }
    for (std::thread &thread : threads) thread.join();
    CHECK_STATUS(client.flush(20s), ok);
    CHECK_EQ(checked_stats(client).delivered(), 1000);
    CHECK_EQ(summary("accepted"), 1000);
}

static void a_client_without_a_project_key_is_disabled() {
    phc::client client(phc::settings("  "));
    CHECK(static_cast<bool>(client));
    CHECK_STATUS(client.status(), ok);
    CHECK_STATUS(client.capture("u", "e"), disabled);
    CHECK_STATUS(client.identify("u"), disabled);
    CHECK_EQ(thread_count("phc-"), 0);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(every_capture_returns_the_uuid_of_its_event),
        TEST(requests_have_the_name_of_the_binding_and_the_headers),
        TEST(super_properties_and_opt_out),
        TEST(reports_say_how_each_event_ended),
        TEST(what_poll_returns_follows_from_the_setting_reports),
        TEST(stats_count_losses_by_reason_and_refusals_by_status),
        TEST(a_descriptor_is_readable_while_reports_wait),
        TEST(waits_are_bounded),
        TEST(a_flush_returns_its_own_losses),
        TEST(the_destructor_sends_what_waits),
        TEST(an_event_can_be_captured_again_after_queue_full),
        TEST(clients_move),
        TEST(a_report_that_was_moved_from_is_empty),
        TEST(a_client_is_found_by_name),
        TEST(many_threads_capture),
        TEST(a_client_without_a_project_key_is_disabled),
    };
    return RUN_TESTS(tests);
}
