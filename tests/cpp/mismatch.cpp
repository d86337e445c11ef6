// A library with another binary interface is refused, in words, before anything else is asked of it.
#include <phc.hpp>

#include <cstdio>

// In place of the library's own, as the dynamic linker sees it.
extern "C" std::uint32_t phc_abi_version() { return 99; }

static std::string refusal() {
#if PHC_CPP_THROWS
    try {
        phc::client client(phc::settings("phc_key").flush_at(10));
        return "";
    } catch (const phc::error &error) {
        return error.status() == phc::code::wrong_library ? error.what() : "";
    }
#else
    phc::client client(phc::settings("phc_key").flush_at(10));
    return client || client.capture("u", "e") ? "" : client.error_message();
#endif
}

int main() {
    const std::string text = refusal();
    const bool ok =
        text.find("binary interface 1 ") != std::string::npos && text.find("99") != std::string::npos;
    std::printf("%s mismatch.cpp: %s\n", ok ? "ok" : "FAILED", text.c_str());
    return ok ? 0 : 1;
}
