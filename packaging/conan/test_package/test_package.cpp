// One event in test mode, which needs no server.
#include <phc.hpp>

#include <iostream>

int main() {
    phc::client client(phc::settings("phc_test_package").test_mode());
    client.capture("user-1", "packaged", {{"by", "Conan"}});
    const std::string event = client.next_test_event().value_or("");
    std::cout << "libphc " << phc_version() << ": " << event << '\n';
    return event.find("\"by\":\"Conan\"") == std::string::npos;
}
