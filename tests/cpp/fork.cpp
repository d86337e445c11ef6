// A client in a process that forks. Not for valgrind: a child leaks what it inherited, on purpose.
#include "harness.hpp"

#include <sys/wait.h>
#include <unistd.h>

static void parent_and_child_send_their_own() {
    phc::client client(here());
    client.capture("u", "before");
    const pid_t child = fork();
    if (child == 0) {
        client.capture("u", "in the child");
        const bool ok = client.flush(10s).ok() && client.stats().captured == 1;
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

static void handlers_stay_in_a_forked_child() {
    tally seen;
    phc::client client(here());
    client.on_report([&](const phc::report_view &report) { seen.add(static_cast<int>(report.size())); });
    client.before_send([](std::string_view json) {
        return json.find("\"drop\"") == std::string_view::npos ? phc::decision::keep()
                                                               : phc::decision::drop();
    });
    const pid_t child = fork();
    if (child == 0) {
        const bool dropped = client.capture("u", "drop") == phc::code::before_send;
        client.capture("u", "e");
        const bool ok = client.flush(10s).ok() && seen.reaches(1);
        _exit(dropped && ok ? 0 : 1);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(seen.count(), 0);
}

// The end of an inherited client in a child that captured nothing returns at once and sends nothing.
static void a_child_may_end_what_it_inherited() {
    script(R"({"steps":[{"hold":true}]})");
    std::optional<phc::client> client(here().shutdown_timeout(60s).set("request_timeout_ms", 120000));
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
    answer_now();
    CHECK_STATUS(client->flush(10s), ok);
    CHECK_EQ(summary("accepted"), 1);
}

int main(int argc, char **argv) {
    static const test_case tests[] = {
        TEST(parent_and_child_send_their_own),
        TEST(handlers_stay_in_a_forked_child),
        TEST(a_child_may_end_what_it_inherited),
    };
    return RUN_TESTS(tests);
}
