// The program of every consumer project: one event in test mode, which needs no server.
#include <phc.hpp>

#include <iostream>

int main() {
    phc::client client(phc::settings("phc_consumer").test_mode());
    client.capture("user-1", "built", {{"with", CONSUMER}});
    const std::string event = client.next_test_event().value_or("nothing was captured");
    std::cout << phc_version() << ' ' << event << '\n';
    return event.find("\"with\":\"" CONSUMER "\"") == std::string::npos;
}
