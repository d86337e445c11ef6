// The benchmark's driver for phc.hpp. The option call says how events are made: event (phc::event) or braces.
// ../README.md describes the measures.
#include <phc.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
std::map<std::string, std::string> options;

std::string text(const char *key, const char *otherwise) {
    const auto found = options.find(key);
    return found == options.end() ? otherwise : found->second;
}

long number(const char *key, long otherwise) {
    return std::atol(text(key, std::to_string(otherwise).c_str()).c_str());
}

// Misuse throws. This ends the program if an event was not taken, or was lost.
void must(const phc::status &status) {
    if (status.ok()) return;
    std::fprintf(stderr, "%s: %s\n", status.name(), status.details());
    std::exit(1);
}

void with_event(phc::client &client) {
    const phc::receipt taken =
        client.capture(phc::event("user-1234567890", "page_viewed")
                           .set("path", "/products/kitchen/espresso-machine")
                           .set("referrer", "https://example.com/search?q=espresso+machine&sort=price&page=2")
                           .set("browser", "Firefox 128.0")
                           .set("country", "Norway")
                           .set("width", 1920)
                           .set("height", 1080)
                           .set("items", 3)
                           .set("price", 249.95)
                           .set("logged_in", true)
                           .set_object("cart", [](phc::object_writer &cart) {
                               cart.set("id", "c-77812-4f1b").set("total", 512.4).set("currency", "NOK");
                           }));
    must(taken);
}

void with_braces(phc::client &client) {
    const phc::receipt taken = client.capture(
        "user-1234567890", "page_viewed",
        {{"path", "/products/kitchen/espresso-machine"},
         {"referrer", "https://example.com/search?q=espresso+machine&sort=price&page=2"},
         {"browser", "Firefox 128.0"},
         {"country", "Norway"},
         {"width", 1920},
         {"height", 1080},
         {"items", 3},
         {"price", 249.95},
         {"logged_in", true},
         {"cart", phc::object{{"id", "c-77812-4f1b"}, {"total", 512.4}, {"currency", "NOK"}}}});
    must(taken);
}

void (*call)(phc::client &) = with_event;

void flush(phc::client &client) { must(client.flush(phc::no_limit)); }

phc::client make_client(bool quiet, phc::overflow overflow = phc::overflow::drop_newest) {
    phc::settings settings("phc_bench");
    settings.host(text("host", "http://127.0.0.1:9"))
        .overflow(overflow)
        .block_timeout(std::chrono::minutes(1));
    settings.set("compression", text("codec", "zstd"));
    if (overflow != phc::overflow::block) settings.queue_max_events(1000000).queue_max_bytes(1u << 30);
    if (quiet) {
        settings.flush_at(100000).flush_interval(std::chrono::hours(1)).max_batch_events(100000);
        settings.set("max_batch_bytes", 16777216);
    }
    return phc::client(settings);
}

double seconds_since(clock_type::time_point start) {
    return std::chrono::duration<double>(clock_type::now() - start).count();
}

// Writes the time of each call to times, unless it is null.
void calls(phc::client &client, long count, long *times) {
    auto last = clock_type::now();
    for (long i = 0; i < count; i++) {
        call(client);
        if (!times) continue;
        const auto time = clock_type::now();
        times[i] = static_cast<long>(std::chrono::nanoseconds(time - last).count());
        last = time;
    }
}

// Returns the seconds of one round.
double round_of(phc::client &client, long threads, long count, long *times) {
    const auto start = clock_type::now();
    if (threads == 1) {
        calls(client, count, times);
    } else {
        std::vector<std::thread> running;
        for (long i = 0; i < threads; i++)
            running.emplace_back(
                [&client, count, times, i] { calls(client, count, times ? times + i * count : nullptr); });
        for (std::thread &one : running) one.join();
    }
    return seconds_since(start);
}

void capture() {
    const long count = number("calls", 5000), rounds = number("rounds", 1), threads = number("threads", 1);
    const bool warm = number("warm", 0) != 0;
    std::vector<long> times(static_cast<std::size_t>(count * rounds * threads));
    phc::client client = make_client(number("quiet", 0) != 0);
    for (int i = 0; warm && i < 5; i++) {
        round_of(client, threads, count, nullptr);
        flush(client);
    }
    // Rounds in which no call is timed give the mean, the others the percentiles. A fresh process has one round,
    // which gives both.
    double bare = 0;
    for (long i = 0; i < rounds; i++) {
        if (warm) {
            bare += round_of(client, threads, count, nullptr);
            flush(client);
        }
        const double timed = round_of(client, threads, count, times.data() + i * count * threads);
        if (!warm) bare += timed;
        flush(client);
    }
    std::sort(times.begin(), times.end());
    const auto at = [&times](double share) {
        return times[static_cast<std::size_t>(static_cast<double>(times.size() - 1) * share)];
    };
    std::printf(
        "{\"mean\":%.1f,\"p50\":%ld,\"p99\":%ld,\"p999\":%ld,\"max\":%ld,\"calls\":%zu,\"seconds\":%.6f}\n",
        bare * 1e9 / static_cast<double>(times.size()) * static_cast<double>(threads), at(0.5), at(0.99),
        at(0.999), at(1), times.size(), bare);
}

void throughput() {
    const long events = number("events", 100000);
    phc::client client = make_client(false, phc::overflow::block);
    const auto start = clock_type::now();
    calls(client, events, nullptr);
    flush(client);
    std::printf("{\"seconds\":%.6f,\"events\":%ld}\n", seconds_since(start), events);
}

void once() {
    phc::client client = make_client(false);
    call(client);
    flush(client);
    std::printf("{}\n");
}

void flags() {
    std::ifstream file(text("definitions", ""));
    const std::string json((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    phc::settings settings("phc_bench");
    settings.set("test_mode", true);
    phc::client client(settings);
    must(client.set_flag_definitions(json));
    const long calls = number("calls", 1000), rounds = number("rounds", 20);
    const std::string key = text("key", "");
    std::vector<double> times;
    long on = 0;
    for (long round = -1; round < rounds; round++) {
        const auto start = clock_type::now();
        for (long i = 0; i < calls; i++) {
            phc::flags_query query("user-4711");
            query.person("country", "DE").person("email", "someone@example.com").person("version", "2.31.4");
            if (!key.empty()) query.flag(key);
            on += client.evaluate_flags(query).enabled("flag-7");
        }
        if (round >= 0) times.push_back(seconds_since(start) * 1e9 / static_cast<double>(calls));
    }
    if (on != calls * (rounds + 1)) std::abort();
    std::sort(times.begin(), times.end());
    std::printf("{\"best\":%.0f,\"median\":%.0f}\n", times.front(), times[times.size() / 2]);
}

} // namespace

int main(int argc, char **argv) {
    for (int i = 2; i < argc; i++) {
        const std::string argument = argv[i];
        const auto equals = argument.find('=');
        options[argument.substr(0, equals)] = argument.substr(equals + 1);
    }
    if (text("call", "event") == "braces") call = with_braces;
    const std::map<std::string, void (*)()> measures = {
        {"capture", capture}, {"throughput", throughput}, {"once", once}, {"flags", flags}};
    const auto found = argc > 1 ? measures.find(argv[1]) : measures.end();
    if (found == measures.end()) return 2;
    found->second();
    return 0;
}
