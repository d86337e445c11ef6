// The status that calls return, and the exception that misuse throws. phc.hpp has the rule for errors.
#ifndef PHC_STATUS_HPP
#define PHC_STATUS_HPP

#include "../phc.h"

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

#if (defined(_MSVC_LANG) ? _MSVC_LANG : __cplusplus) < 201703L
#error "phc.hpp needs C++17"
#endif

// The version of this binding, which is released together with phc.h. Requests carry it as
// posthog-cpp-phc/<version>.
#define PHC_CPP_VERSION PHC_VERSION

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define PHC_CPP_EXCEPTIONS 1
#else
#define PHC_CPP_EXCEPTIONS 0
#endif

// Each way of compiling has a namespace of its own. With equal names, the linker would keep one of several
// inline functions that differ, and a program that mixes them would throw where it was compiled not to.
#if !PHC_CPP_EXCEPTIONS
#define PHC_CPP_MODE without_exceptions
#elif defined(PHC_CPP_NO_THROW)
#define PHC_CPP_MODE no_throw
#else
#define PHC_CPP_MODE throws
#define PHC_CPP_THROWS 1
#endif
#ifndef PHC_CPP_THROWS
#define PHC_CPP_THROWS 0
#endif

namespace phc {
inline namespace PHC_CPP_MODE {

// The statuses of phc.h, where each is explained. A number that is not listed comes from a newer library;
// negative numbers are this binding's own.
enum class code : std::int32_t {
    wrong_library = -1, // the library that was loaded does not fit this header
    ok = PHC_OK,
    invalid_argument = PHC_INVALID_ARGUMENT,
    invalid_setting = PHC_INVALID_SETTING,
    disabled = PHC_DISABLED,
    closed = PHC_CLOSED,
    queue_full = PHC_QUEUE_FULL,
    timeout = PHC_TIMEOUT,
    lost_events = PHC_LOST_EVENTS,
    reentrant = PHC_REENTRANT,
    conflict = PHC_CONFLICT,
    invalid_json = PHC_INVALID_JSON,
    invalid_event = PHC_INVALID_EVENT,
    invalid_distinct_id = PHC_INVALID_DISTINCT_ID,
    invalid_timestamp = PHC_INVALID_TIMESTAMP,
    invalid_property = PHC_INVALID_PROPERTY,
    event_too_large = PHC_EVENT_TOO_LARGE,
    opted_out = PHC_OPTED_OUT,
    before_send = PHC_BEFORE_SEND,
    internal = PHC_INTERNAL,
    out_of_resources = PHC_OUT_OF_RESOURCES,
    would_wait = PHC_WOULD_WAIT,
    unavailable = PHC_UNAVAILABLE,
    spool = PHC_SPOOL,
};

// What exactly was wrong with the last call that failed on this thread. Valid until the next call that fails
// on it.
inline const char *last_error() noexcept { return phc_last_error(); }

// The HTTP status of the response for which it failed, such as 401; 0 if there was none. Only calls for flags,
// definitions and remote configs have one.
inline unsigned last_http_status() noexcept { return phc_last_http_status(); }

// The outcome of a call. It is true for success, and compares with a phc::code:
//
//     if (client.capture(event) == phc::code::queue_full) …
class status {
public:
    constexpr status(phc::code code = phc::code::ok) noexcept : code_(code) {}
    constexpr explicit status(phc_status number) noexcept : code_(static_cast<phc::code>(number)) {}
    // A status of this binding, with static text.
    constexpr status(phc::code code, const char *text) noexcept : code_(code), text_(text) {}

    constexpr bool ok() const noexcept { return code_ == phc::code::ok; }
    constexpr explicit operator bool() const noexcept { return ok(); }
    constexpr phc::code value() const noexcept { return code_; }

    // A short name, such as "queue_full". Static text, for any number.
    const char *name() const noexcept {
        return code_ == phc::code::wrong_library ? "wrong_library"
                                                 : phc_status_name(static_cast<phc_status>(code_));
    }

    // What the status means and what to do next. Static text, for any number.
    const char *message() const noexcept {
        return text_ != nullptr ? text_ : phc_status_message(static_cast<phc_status>(code_));
    }

    // Which argument, key or byte was wrong; empty for success. Read it on the thread that made the call, and
    // before the next call: mostly it is phc::last_error().
    const char *details() const noexcept { return ok() ? "" : text_ != nullptr ? text_ : last_error(); }

    // Whether this status is misuse, which throws unless the program is compiled without: the same call would
    // fail in the same way again, whatever the queue, the network and the server do.
    constexpr bool is_misuse() const noexcept {
        switch (code_) {
        case phc::code::wrong_library:
        case phc::code::invalid_argument:
        case phc::code::invalid_setting:
        case phc::code::reentrant:
        case phc::code::conflict:
        case phc::code::invalid_json:
        case phc::code::invalid_event:
        case phc::code::invalid_distinct_id:
        case phc::code::invalid_timestamp:
        case phc::code::invalid_property:
        case phc::code::event_too_large: return true;
        default: return false;
        }
    }

    friend constexpr bool operator==(const status &left, const status &right) noexcept {
        return left.code_ == right.code_;
    }
    friend constexpr bool operator!=(const status &left, const status &right) noexcept {
        return !(left == right);
    }

private:
    phc::code code_;
    const char *text_ = nullptr; // NULL if the library has the text
};

#if PHC_CPP_THROWS
// Thrown for misuse, and by constructors that fail. what() names the call, the argument and the reason.
class error : public std::runtime_error {
public:
    error(phc::status status, const std::string &text) : std::runtime_error(text), status_(status) {}
    phc::status status() const noexcept { return status_; }

private:
    phc::status status_;
};
#endif

namespace detail {

[[noreturn]] inline void raise(status why, const std::string &text) {
#if PHC_CPP_THROWS
    throw error(why, text);
#else
    static_cast<void>(why), static_cast<void>(text);
    std::terminate(); // unreachable: only code that throws calls this
#endif
}

// Returns the status of a call, or throws if it is misuse.
inline status checked(status result, const char *call) {
    if constexpr (PHC_CPP_THROWS != 0) {
        if (result.is_misuse()) raise(result, std::string(call) + ": " + result.details());
    }
    return result;
}

inline status checked(phc_status result, const char *call) { return checked(status(result), call); }

// Calls code of the host from a C callback, which an exception must not leave. Returns false if it threw.
template <class Body> bool contained(Body &&body) noexcept {
#if PHC_CPP_EXCEPTIONS
    try {
        body();
        return true;
    } catch (...) {
        return false;
    }
#else
    body();
    return true;
#endif
}

// Within one ABI version, a release that adds functions has a higher second number, which the library must
// have too.
inline bool library_fits() noexcept {
    return phc_abi_version() == PHC_ABI_VERSION && phc_version_number() >> 8 >= PHC_VERSION_NUMBER >> 8;
}

inline std::string library_mismatch() {
    const std::string ours = PHC_CPP_VERSION ", ABI version " + std::to_string(PHC_ABI_VERSION);
    const std::string loaded = phc_version() + (", ABI version " + std::to_string(phc_abi_version()));
    return "the program was compiled with phc.hpp " + ours + ", but the libphc that was loaded is " + loaded +
           "; install libphc " + ours + ", or compile with the headers of the library that was loaded";
}

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
