// A client in a process that forks. Not for valgrind: a child leaks what it inherited, on purpose.
#include "harness.hpp"

#include <sys/wait.h>
#include <unistd.h>

static void parent_and_child_send_their_own() {
    phc::client client(test_settings());
    client.capture("u", "before");
    const pid_t child = fork();
    if (child == 0) {
        client.capture("u", "in the child");
        const bool ok = client.flush(10s).ok() && client.stats().captured() == 1;
        _exit(ok ? 0 : 1);
    }
    client.capture("u", "in the parent");
    CHECK_STATUS(client.flush(10s), ok);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(summary("accepted"), 3);
    const std::string events = sink("_events");
    for (const char *name : {"\"before\"", "\"in the child\"", "\"in the parent\""}) CHECK_IN(events, name);
}

static void callbacks_stay_set_in_a_forked_child() {
    script(R"({"steps":[{"verdicts":{"never":"drop","*":"ok"}}]})");
    tally delivered, lost;
    phc::client client(test_settings());
    client.on_delivery(
        [&](const phc::report_view &report) { delivered.add(static_cast<int>(report.size())); });
    client.on_error([&](const phc::report_view &report) { lost.add(static_cast<int>(report.size())); });
    client.before_send([](std::string_view json) {
        return json.find("\"secret\"") == std::string_view::npos ? phc::decision::keep()
                                                                 : phc::decision::discard();
    });
    const pid_t child = fork();
    if (child == 0) {
        const bool discarded = client.capture("u", "secret") == phc::code::before_send;
        client.capture("u", "e");
        client.capture("u", "never");
        const bool flushed = client.flush(10s) == phc::code::lost_events;
        _exit(discarded && flushed && delivered.reaches(1) && lost.reaches(1) ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(delivered.count() + lost.count(), 0);
}

// The destructor of an inherited client returns at once in a child that captured nothing, and sends nothing.
static void a_child_may_destroy_what_it_inherited() {
    script(R"({"steps":[{"wait_for_script":true}]})");
    std::optional<phc::client> client(
        test_settings().shutdown_timeout(60s).set("request_timeout_ms", 120000));
    client->capture("u", "e");
    const pid_t child = fork();
    if (child == 0) {
        const double start = now_ms();
        client.reset();
        _exit(now_ms() - start < SOON_MS ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    script("{}");
    CHECK_STATUS(client->flush(10s), ok);
    CHECK_EQ(summary("accepted"), 1);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(parent_and_child_send_their_own),
        TEST(callbacks_stay_set_in_a_forked_child),
        TEST(a_child_may_destroy_what_it_inherited),
    };
    return RUN_TESTS(tests);
}
