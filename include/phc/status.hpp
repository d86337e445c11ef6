// What a call answers, and what is thrown for misuse. The rule is at the top of phc.hpp.
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

// Of this header; posthog-cpp-phc/<version> is what the server is told.
#define PHC_CPP_VERSION "0.1.0"

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define PHC_CPP_EXCEPTIONS 1
#else
#define PHC_CPP_EXCEPTIONS 0
#endif

// Code that is compiled in another way gets other names, or the linker would merge the two.
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

// The numbers of phc.h; one that is not listed comes from a newer library. Negative ones are this header's own.
enum class code : std::int32_t {
    wrong_library = -1, // the library's binary interface is another than this header's
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
};

// What exactly was wrong with the last call of libphc that failed on this thread; good until the next one that fails.
inline const char *last_error() noexcept { return phc_last_error(); }

// The outcome of a call. True is success: if (!client.capture(…)) …; compare it with a phc::code.
class status {
public:
    constexpr status(phc::code code = phc::code::ok) noexcept : code_(code) {}
    constexpr explicit status(phc_status number) noexcept : code_(static_cast<phc::code>(number)) {}
    // A refusal of this header, with a text that lives for ever.
    constexpr status(phc::code code, const char *text) noexcept : code_(code), own_(text) {}

    constexpr bool ok() const noexcept { return code_ == phc::code::ok; }
    constexpr explicit operator bool() const noexcept { return ok(); }
    constexpr phc::code value() const noexcept { return code_; }

    // "queue_full"
    const char *name() const noexcept {
        return code_ == phc::code::wrong_library ? "wrong_library"
                                                 : phc_status_name(static_cast<phc_status>(code_));
    }

    // What it means and what to do next. Static text.
    const char *message() const noexcept {
        return own_ != nullptr ? own_ : phc_status_message(static_cast<phc_status>(code_));
    }

    // Which argument, key or byte it was. To be asked where the call was made: it is phc::last_error(), mostly.
    const char *details() const noexcept { return own_ != nullptr ? own_ : last_error(); }

    // Whether the same call would be answered the same again, whatever happens: it throws, where anything does.
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
    const char *own_ = nullptr; // otherwise the library has the text
};

#if PHC_CPP_THROWS
// Thrown for misuse. what() names the call, the argument and the reason.
class error : public std::runtime_error {
public:
    error(phc::status status, const std::string &text) : std::runtime_error(text), status_(status) {}
    phc::status status() const noexcept { return status_; }

private:
    phc::status status_;
};
#endif

namespace detail {

// Misuse, where things throw.
[[noreturn]] inline void raise(status of, const std::string &text) {
#if PHC_CPP_THROWS
    throw error(of, text);
#else
    static_cast<void>(of), static_cast<void>(text);
    std::terminate(); // never called in this mode
#endif
}

// The answer of a call, by the rule.
inline status checked(status answer, const char *call) {
    if constexpr (PHC_CPP_THROWS != 0) {
        if (answer.is_misuse()) raise(answer, std::string(call) + ": " + answer.details());
    }
    return answer;
}

inline status checked(phc_status answer, const char *call) { return checked(status(answer), call); }

// Runs code of the host inside a callback: what it throws ends here. Whether it came to its end.
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

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
