// What the black-box tests in C++ have in common: the harness of the tests in C, which gives each test a
// namespace of the sink, and settings of clients that send there.
#ifndef PHC_TESTS_HARNESS_HPP
#define PHC_TESTS_HARNESS_HPP

#include <phc.hpp>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

extern "C" {
#include "../c/harness.h"
}

using namespace std::chrono_literals;

// In place of the macro for C, whose casts -Wold-style-cast refuses.
#undef CHECK_EQ
#define CHECK_EQ(actual, expected)                                                                           \
    check_eq(#actual, static_cast<long long>(actual), static_cast<long long>(expected), __FILE__, __LINE__)
inline void check_eq(const char *what, long long actual, long long expected, const char *file, int line) {
    check_at(actual == expected, file, line, "%s is %lld, not %lld", what, actual, expected);
}

// Like CHECK_HAS, for any text.
#define CHECK_IN(text, part) check_in(text, part, __FILE__, __LINE__)
inline void check_in(std::string_view text, std::string_view part, const char *file, int line) {
    const bool found = text.find(part) != std::string_view::npos;
    check_at(found, file, line, "\"%s\" is not in: %.600s", std::string(part).c_str(),
             std::string(text).c_str());
}

#define CHECK_TEXT(actual, expected) check_text(actual, expected, __FILE__, __LINE__)
inline void check_text(std::string_view actual, std::string_view expected, const char *file, int line) {
    check_at(actual == expected, file, line, "it is: %.600s\nand not: %.600s", std::string(actual).c_str(),
             std::string(expected).c_str());
}

#define CHECK_STATUS(actual, expected) check_status(actual, phc::code::expected, __FILE__, __LINE__)
inline void check_status(const phc::status &actual, phc::code expected, const char *file, int line) {
    check_at(actual == expected, file, line, "the status is %s (%s)", actual.name(), phc::last_error());
}

// Settings of a client that sends to the namespace of the running test. Back-off is short. Only a flush or a
// full batch sends, and the destructor has time, so a test process that is descheduled for seconds still
// passes.
inline phc::settings test_settings() {
    phc::settings settings("phc_blackbox_key");
    settings.host(namespace_host()).reports(phc::reports::all);
    settings.set("retry_initial_ms", 10).set("retry_max_ms", 50).flush_interval(1h).shutdown_timeout(20s);
    return settings;
}

// A client in test mode: it sends nothing and starts no thread.
inline phc::client test_mode_client() { return phc::client(test_settings().test_mode()); }

inline std::string sink(const char *view) {
    const std::unique_ptr<char, void (*)(void *)> text(sink_get(view), std::free);
    return text.get();
}

inline phc::stats checked_stats(const phc::client &client) {
    const phc::stats stats = client.stats();
    CHECK_EQ(stats.captured(), stats.delivered() + stats.lost() + stats.pending_events());
    return stats;
}

// The properties of the next event in test mode.
inline std::string next_properties(phc::client &client) {
    const std::string json = client.next_test_event().value_or("no event");
    const std::size_t from = json.find("\"properties\":"), to = json.find(",\"options\":");
    return from == std::string::npos ? json : json.substr(from + 13, to - from - 13);
}

// Counts what a callback sees, so that a test can wait for it.
class tally {
public:
    void add(int more = 1) {
        const std::lock_guard<std::mutex> lock(mutex_);
        count_ += more;
        changed_.notify_all();
    }
    bool reaches(int wanted) {
        std::unique_lock<std::mutex> lock(mutex_);
        return changed_.wait_for(lock, 20s, [&] { return count_ >= wanted; });
    }
    int count() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
};

#endif
