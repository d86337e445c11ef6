// What a capture costs through phc.hpp, next to the same event through phc.h. Nothing is sent: the bounds are beyond
// reach, so that only the call is measured.
//
//   capture WAY COUNT      captures in one way, for a tool that counts instructions in measured()
//   capture                the least time of each way of many rounds in turn: what disturbs only ever adds
#include <phc.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

// The event of benches/capture.rs: ten properties, about 300 bytes.
constexpr const char *whole =
    R"({"event":"page_viewed","distinct_id":"user-1234567890","properties":{"path":"/products/espresso-machine","referrer":"https://example.com/search?q=espresso","browser":"Firefox 128","country":"Norway","width":1920,"height":1080,"items":3,"price":249.95,"logged_in":true,"cart":{"id":"c-77812","total":512.4,"currency":"NOK"}}})";
constexpr const char *properties_json =
    R"({"path":"/products/espresso-machine","referrer":"https://example.com/search?q=espresso","browser":"Firefox 128","country":"Norway","width":1920,"height":1080,"items":3,"price":249.95,"logged_in":true,"cart":{"id":"c-77812","total":512.4,"currency":"NOK"}})";
constexpr const char *id = "user-1234567890", *name = "page_viewed";

void c_capture(phc::client &client) { phc_capture(client.native_handle(), id, name, properties_json); }

void c_capture_json(phc::client &client) {
    char uuid[37];
    phc_capture_json(client.native_handle(), whole, std::strlen(whole), uuid);
}

// The text is put together as a program in C would, and its numbers are values too.
void c_printf(phc::client &client) {
    char text[1024];
    std::snprintf(text, sizeof text,
                  R"({"path":"%s","referrer":"%s","browser":"%s","country":"%s","width":%d,"height":%d,"items":%d,)"
                  R"("price":%.17g,"logged_in":%s,"cart":{"id":"%s","total":%.17g,"currency":"%s"}})",
                  "/products/espresso-machine", "https://example.com/search?q=espresso", "Firefox 128", "Norway", 1920,
                  1080, 3, 249.95, "true", "c-77812", 512.4, "NOK");
    phc_capture(client.native_handle(), id, name, text);
}

void c_event(phc::client &client) {
    phc_event *event = phc_event_new(id, name);
    phc_event_set_string(event, "path", "/products/espresso-machine");
    phc_event_set_string(event, "referrer", "https://example.com/search?q=espresso");
    phc_event_set_string(event, "browser", "Firefox 128");
    phc_event_set_string(event, "country", "Norway");
    phc_event_set_int(event, "width", 1920);
    phc_event_set_int(event, "height", 1080);
    phc_event_set_int(event, "items", 3);
    phc_event_set_double(event, "price", 249.95);
    phc_event_set_bool(event, "logged_in", 1);
    phc_event_set_json(event, "cart", R"({"id":"c-77812","total":512.4,"currency":"NOK"})");
    phc_capture_event(client.native_handle(), event, nullptr);
}

void cpp_raw(phc::client &client) { client.capture(id, name, phc::raw_json(properties_json)); }

void cpp_braces(phc::client &client) {
    client.capture(id, name,
                   {{"path", "/products/espresso-machine"},
                    {"referrer", "https://example.com/search?q=espresso"},
                    {"browser", "Firefox 128"},
                    {"country", "Norway"},
                    {"width", 1920},
                    {"height", 1080},
                    {"items", 3},
                    {"price", 249.95},
                    {"logged_in", true},
                    {"cart", phc::object{{"id", "c-77812"}, {"total", 512.4}, {"currency", "NOK"}}}});
}

void cpp_event(phc::client &client) {
    client.capture(phc::event(id, name)
                       .set("path", "/products/espresso-machine")
                       .set("referrer", "https://example.com/search?q=espresso")
                       .set("browser", "Firefox 128")
                       .set("country", "Norway")
                       .set("width", 1920)
                       .set("height", 1080)
                       .set("items", 3)
                       .set("price", 249.95)
                       .set("logged_in", true)
                       .set_object("cart", [](phc::object_writer &cart) {
                           cart.set("id", "c-77812").set("total", 512.4).set("currency", "NOK");
                       }));
}

void cpp_reused(phc::client &client) {
    static phc::event event = [] {
        phc::event made(id, name);
        made.set("cart", phc::raw_json(properties_json));
        return made;
    }();
    client.capture(event);
}

struct way {
    const char *name;
    void (*capture)(phc::client &);
};
constexpr way ways[] = {
    {"phc_capture, text at hand", c_capture},
    {"phc_capture_json, text at hand", c_capture_json},
    {"phc_capture, text by snprintf", c_printf},
    {"phc_event, ten setters", c_event},
    {"phc.hpp, raw_json at hand", cpp_raw},
    {"phc.hpp, braces", cpp_braces},
    {"phc.hpp, phc::event", cpp_event},
    {"phc.hpp, an event again", cpp_reused},
};
constexpr std::size_t way_count = sizeof ways / sizeof *ways;

phc::client idle() {
    return phc::client(phc::settings("phc_bench")
                           .host("http://127.0.0.1:9")
                           .flush_at(100000)
                           .flush_interval(std::chrono::hours(1))
                           .max_batch_events(100000)
                           .set("max_batch_bytes", 16777216)
                           .shutdown_timeout(std::chrono::milliseconds::zero()));
}

} // namespace

extern "C" __attribute__((noinline)) void measured(void (*capture)(phc::client &), phc::client &client, int count) {
    for (int i = 0; i < count; i++) capture(client);
}

int main(int argc, char **argv) {
    if (argc == 3) {
        phc::client client = idle();
        const way &chosen = ways[static_cast<std::size_t>(std::atoi(argv[1])) % way_count];
        chosen.capture(client);
        measured(chosen.capture, client, std::atoi(argv[2]));
        std::printf("%s\n", chosen.name);
        return 0;
    }
    constexpr int rounds = 100, count = 2000;
    std::vector<double> times[way_count];
    for (int round = 0; round < rounds; round++) {
        for (std::size_t i = 0; i < way_count; i++) {
            phc::client client = idle();
            measured(ways[i].capture, client, count); // its memory is there then
            const auto start = std::chrono::steady_clock::now();
            measured(ways[i].capture, client, count);
            const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
            times[i].push_back(took.count() / count);
        }
    }
    for (std::size_t i = 0; i < way_count; i++) {
        std::printf("%zu\t%.0f\t%s\n", i, *std::min_element(times[i].begin(), times[i].end()), ways[i].name);
    }
}
