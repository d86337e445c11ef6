// Captures a few events and says what became of them.
//
//   c++ -std=c++17 quickstart.cpp $(pkg-config --cflags --libs phc) -o quickstart
//   ./quickstart https://us.i.posthog.com phc_your_project_key
#include <phc.hpp>

#include <iostream>
#include <sstream>

int main(int argc, char **argv) try {
    using namespace std::chrono_literals;
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " HOST PROJECT_KEY\n";
        return 2;
    }
    phc::client client(phc::settings(argv[2]).host(argv[1]).reports(phc::reports::all));

    // On a thread of the client's own, for every attempt; without reports::all for losses only.
    client.on_report([](const phc::report_view &report) {
        std::ostringstream lines; // printed as one, for the main thread prints too
        for (const phc::event_report &event : report) {
            lines << "  " << event.uuid() << ' ' << phc::name(event.loss()) << ": attempt "
                  << report.attempt() << ", HTTP " << report.http_status() << ' ' << event.verdict() << ' '
                  << event.details() << '\n';
        }
        std::cout << lines.str();
    });

    // Properties in braces.
    client.capture("user-1", "page viewed", {{"path", "/pricing"}, {"$session_id", "s-1"}});

    // An event put together step by step.
    const phc::receipt order = client.capture(phc::event("user-1", "order placed")
                                                  .set("total", 249.95)
                                                  .set("items", phc::array::of("tea", "cup"))
                                                  .group("company", "acme"));
    if (order) std::cout << "captured order placed as " + std::string(order.uuid()) + "\n";

    client.identify("user-1", {{"plan", "pro"}});

    // What cannot be sent is misuse and throws here; nothing else is lost.
    try {
        client.capture("user-1", "");
    } catch (const phc::error &error) {
        std::cout << std::string("refused: ") + error.what() + "\n";
    }

    const phc::flush_result flushed = client.flush(10s);
    std::ostringstream line;
    line << "flush: " << flushed.name() << "; " << flushed.delivered << " delivered, " << flushed.lost
         << " lost, " << flushed.pending << " pending\n";
    std::cout << line.str();
    return flushed ? 0 : 1;
} catch (const phc::error &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
