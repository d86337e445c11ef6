// Captures, helpers, waits, reports and lives of a client, against the sink.
#include "harness.hpp"

#include <thread>
#include <vector>

#include <poll.h>

static void every_kind_of_event() {
    phc::client client(here());
    CHECK_STATUS(client.capture("u", "bare"), ok);
    CHECK_STATUS(client.capture("u", "braces", {{"path", "/pricing"}, {"n", 3}}), ok);
    CHECK_STATUS(client.capture("u", "object", phc::properties{{"a", 1}}), ok);
    CHECK_STATUS(client.capture("u", "raw", phc::raw_json(R"({"a":1.10})")), ok);
    CHECK_STATUS(client.capture(phc::event("u", "built").set("a", 1).group("company", "acme")), ok);
    CHECK_STATUS(client.capture_json(R"({"event":"whole","distinct_id":"u"})"), ok);
    CHECK_STATUS(client.identify("u", {{"email", "a@b.c"}}, {{"first", 1}}), ok);
    CHECK_STATUS(client.identify("bare"), ok);
    CHECK_STATUS(client.alias("u", "other"), ok);
    CHECK_STATUS(client.group_identify("company", "acme", {{"name", "Acme"}}), ok);
    CHECK_STATUS(client.group_identify("company", "acme", {}, "u"), ok);
    const phc::flush_result flushed = client.flush(10s);
    CHECK_STATUS(flushed, ok);
    CHECK_EQ(flushed.delivered, 11);
    CHECK_EQ(flushed.pending, 0);
    const std::string events = sink("_events");
    CHECK_IN(events, R"("$set":{"email":"a@b.c"},"$set_once":{"first":1})");
    CHECK_IN(events, R"("alias":"other")");
    CHECK_IN(events, R"("$group_set":{"name":"Acme"})");
    CHECK_IN(events, "$company_acme");
    CHECK_IN(events, R"({"a":1.10})");
    CHECK_EQ(balanced(client).delivered, 11);
}

static void own_name_and_headers() {
    phc::client client(here().header("X-Studio", "blue").compression(phc::compression::gzip));
    client.capture("u", "e");
    CHECK_STATUS(client.flush(10s), ok);
    const std::string requests = sink("_requests");
    CHECK_IN(requests, R"("posthog-cpp-phc/)" PHC_CPP_VERSION "\"");
    CHECK_IN(requests, R"("x-studio":"blue")");
    CHECK_IN(requests, R"("encoding":"gzip")");
}

static void super_properties_and_opt_out() {
    phc::client client(here().test_mode());
    CHECK_STATUS(client.register_property("build", 42), ok);
    CHECK_STATUS(client.register_property("where", phc::object{{"zone", "eu"}}), ok);
    client.capture("u", "e", {{"a", 1}});
    const std::string with = next_properties(client);
    CHECK_IN(with, R"("build":42)");
    CHECK_IN(with, R"("where":{"zone":"eu"})");
    CHECK_STATUS(client.unregister_property("build"), ok);
    CHECK_STATUS(client.unregister_property("where"), ok);
    client.capture("u", "e", {{"a", 1}});
    CHECK_TEXT(next_properties(client), R"({"a":1})");
    CHECK_STATUS(client.opt_out(), ok);
    const phc::receipt refused = client.capture("u", "e");
    CHECK_STATUS(refused, opted_out);
    CHECK(refused.uuid().empty());
    CHECK_STATUS(client.opt_in(), ok);
    CHECK_STATUS(client.capture("u", "e"), ok);
}

static void a_retry_and_a_drop_are_reported() {
    script(R"({"steps":[{"verdicts":{"later":"retry","never":{"result":"drop","details":"no"},"*":"ok"}}]})");
    phc::client client(here());
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
        std::size_t seen = 0;
        for (const phc::event_report &event : *report) {
            seen++;
            if (event.uuid() == never.uuid()) {
                saw_drop = true;
                CHECK_EQ(report->attempt(), 1);
                CHECK_EQ(report->pending(), 1);
                CHECK(!event.delivered() && !event.maybe_delivered());
                CHECK(event.loss() == phc::loss::dropped);
                CHECK_TEXT(phc::name(event.loss()), "dropped");
                CHECK_TEXT(event.verdict(), "drop");
                CHECK_TEXT(event.details(), "no");
            } else if (event.uuid() == later.uuid()) {
                saw_later = true;
                CHECK_EQ(report->attempt(), 2);
                CHECK(event.delivered());
            }
        }
        CHECK_EQ(seen, report->size());
        CHECK_EQ(report->missed_events(), 0);
        CHECK(report->error().empty());
        CHECK_IN(report->json(), "\"attempt\"");
    }
    CHECK(saw_drop && saw_later);
    CHECK_IN(client.stats_json(), R"("dropped":1)");
}

static void a_descriptor_says_that_reports_wait() {
    phc::client client(here());
    pollfd readable = {client.poll_fd(), POLLIN, 0};
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
    phc::client client(here().set("request_timeout_ms", 120000));
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
    const phc_stats stats = balanced(client);
    CHECK_EQ(stats.lost, 1);
    CHECK_EQ(stats.refused, 1);
}

static void the_end_of_a_client_sends_what_waits() {
    {
        phc::client client(here());
        client.capture("u", "e");
    }
    CHECK_EQ(summary("accepted"), 1);
}

static void a_full_queue_is_no_exception() {
    phc::client client(here().queue_max_events(2).flush_at(100).flush_interval(1h).max_batch_events(100));
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
    static_assert(!std::is_copy_constructible_v<phc::report> && std::is_move_constructible_v<phc::report>);
    std::vector<phc::client> clients;
    for (int i = 0; i < 5; i++) clients.emplace_back(here());
    for (phc::client &client : clients) CHECK_STATUS(client.capture("u", "e"), ok);
    phc::client taken = std::move(clients.front());
    CHECK(taken && !clients.front());
    clients.front() = phc::client(here());
    CHECK_STATUS(clients.front().capture("u", "e"), ok);
    taken = std::move(clients.back()); // the one before sends what it has
    CHECK_EQ(summary("accepted"), 1);
    clients.clear();
    CHECK_STATUS(taken.flush(10s), ok);
    CHECK_EQ(summary("accepted"), 6);
}

static void a_client_is_found_by_name() {
    phc::client one = phc::client::open("shared", here());
    phc::client other = phc::client::open("shared", here());
    CHECK(one.native_handle() == other.native_handle());
    one = phc::client(here());
    CHECK_STATUS(other.capture("u", "e"), ok);
    CHECK_STATUS(other.flush(10s), ok);
}

static void many_threads_capture() {
    phc::client client(here());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&client, t] {
            for (int i = 0; i < 250; i++) client.capture("u", "e", {{"thread", t}, {"i", i}});
        });
    }
    for (std::thread &thread : threads) thread.join();
    CHECK_STATUS(client.flush(20s), ok);
    CHECK_EQ(balanced(client).delivered, 1000);
    CHECK_EQ(summary("accepted"), 1000);
}

static void every_setting_by_its_key() {
    // The typed ones, so that a name that is misspelt shows.
    phc::client client(here()
                           .flush_at(10)
                           .flush_interval(1s)
                           .max_batch_events(50)
                           .queue_max_events(500)
                           .queue_max_bytes(1 << 20)
                           .overflow(phc::overflow::block)
                           .overflow(phc::overflow::drop_oldest)
                           .overflow(phc::overflow::drop_newest)
                           .block_timeout(1s)
                           .max_retries(2)
                           .request_timeout(5s)
                           .connect_timeout(2s)
                           .shutdown_timeout(3s)
                           .exit_flush(100ms)
                           .compression(phc::compression::none)
                           .compression(phc::compression::deflate)
                           .compression(phc::compression::br)
                           .compression(phc::compression::zstd)
                           .reports(phc::reports::losses)
                           .disable_geoip()
                           .is_server()
                           .historical_migration()
                           .proxy("")
                           .ca_file("")
                           .set("max_in_flight", 2)
                           .set("retry_statuses", "500,503")
                           .set("test_mode", true));
    client.capture("u", "e");
    const std::string properties = next_properties(client);
    CHECK_IN(properties, R"("$geoip_disable":true)");
    CHECK_IN(properties, R"("$is_server":true)");
}

static void without_a_project_key() {
    phc::client client(phc::settings("  "));
    CHECK(static_cast<bool>(client));
    CHECK_STATUS(client.capture("u", "e"), disabled);
    CHECK_EQ(thread_count("phc-"), 0);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(every_kind_of_event),
        TEST(own_name_and_headers),
        TEST(super_properties_and_opt_out),
        TEST(a_retry_and_a_drop_are_reported),
        TEST(a_descriptor_says_that_reports_wait),
        TEST(waits_are_bounded),
        TEST(the_end_of_a_client_sends_what_waits),
        TEST(a_full_queue_is_no_exception),
        TEST(clients_move),
        TEST(a_client_is_found_by_name),
        TEST(many_threads_capture),
        TEST(every_setting_by_its_key),
        TEST(without_a_project_key),
    };
    return RUN_TESTS(tests);
}
