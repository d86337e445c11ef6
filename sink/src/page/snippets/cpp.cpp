#include <phc.hpp>

int main() {
    phc::client client(phc::settings("phc_local").host("HOST"));
    client.capture("user-1", "order placed", {{"total", 99.9}});
} // sends what is pending
