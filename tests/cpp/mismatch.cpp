// A library that does not fit the header is refused, with a text that names both, before any other call.
#include <phc.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

// The dynamic linker takes these in place of the library's own.
static std::uint32_t abi_version = PHC_ABI_VERSION, version_number = PHC_VERSION_NUMBER;
extern "C" std::uint32_t phc_abi_version() { return abi_version; }
extern "C" std::uint32_t phc_version_number() { return version_number; }

// Why a client could not be made; empty if it could.
static std::string refusal() {
#if PHC_CPP_THROWS
    try {
        phc::client client(phc::settings("phc_key").flush_at(10));
        return "";
    } catch (const phc::error &error) {
        return error.status() == phc::code::wrong_library ? error.what() : "another status";
    }
#else
    phc::client client(phc::settings("phc_key").flush_at(10));
    if (client) return "";
    return client.status() == phc::code::wrong_library ? client.error_message() : "another status";
#endif
}

static bool lists_settings() {
#if PHC_CPP_THROWS
    try {
        return !phc::known_settings().empty();
    } catch (const phc::error &error) {
        if (error.status() != phc::code::wrong_library) std::abort();
        return false;
    }
#else
    return !phc::known_settings().empty();
#endif
}

static int failed = 0;

static void check(const char *what, bool ok, const std::string &text) {
    std::printf("%s mismatch.cpp: %s%s%s\n", ok ? "ok" : "FAILED", what, text.empty() ? "" : ": ",
                text.c_str());
    failed += ok ? 0 : 1;
}

int main() {
    const std::string ours =
        std::string(PHC_CPP_VERSION) + ", ABI version " + std::to_string(PHC_ABI_VERSION);
    check("the same library fits", refusal().empty() && lists_settings(), "");
    version_number = PHC_VERSION_NUMBER + 0x010203;
    check("a newer library fits", refusal().empty() && lists_settings(), "");
    version_number = PHC_VERSION_NUMBER - PHC_VERSION_NUMBER % 0x100 - 1;
    const std::string older = refusal();
    check("an older library is refused",
          older.find("install libphc " + ours) != std::string::npos && !lists_settings(), older);
    version_number = PHC_VERSION_NUMBER;
    abi_version = 99;
    const std::string other = refusal();
    check("another ABI version is refused",
          other.find(ours) != std::string::npos && other.find("ABI version 99") != std::string::npos &&
              !lists_settings(),
          other);
    phc::status status(phc::code::wrong_library);
    check("the status has a name", std::strcmp(status.name(), "wrong_library") == 0, "");
    return failed != 0;
}
