// The part of modes.cpp that is compiled in three ways. MODE_ENTRY is the name of its function.
#include <phc.hpp>

int MODE_ENTRY();

// Returns 0 if misuse throws, or is a status, as this way of compiling promises.
int MODE_ENTRY() {
    phc::client client(phc::settings("phc_key").test_mode());
    if (!client.capture("u", "e")) return 1;
    // The first of the three begins a context, which the others find.
    const bool is_first = phc::context_of_thread::innermost == nullptr;
    if (is_first) {
        static phc::request_context request;
        request.distinct_id("user-1");
    }
    (void)client.next_test_event();
    if (!client.capture("", "e")) return 1;
    if (client.next_test_event().value_or("").find("user-1") == std::string::npos) return 1;
#if PHC_CPP_THROWS
    try {
        client.capture("u", "");
        return 1;
    } catch (const phc::error &) {
        return 0;
    }
#else
    return client.capture("u", "") == phc::code::invalid_event ? 0 : 1;
#endif
}
