// Exceptions for error tracking.
#ifndef PHC_EXCEPTION_HPP
#define PHC_EXCEPTION_HPP

#include "settings.hpp"

#include <exception>

#if defined(__cpp_rtti) || defined(_CPPRTTI)
#define PHC_CPP_HAS_TYPES 1
#include <typeinfo>
#if defined(__GNUC__)
#include <cstdlib>
#include <cxxabi.h>
#endif
#else
#define PHC_CPP_HAS_TYPES 0
#endif

// So that a stack begins in the function that asks for it.
#if defined(__GNUC__)
#define PHC_CPP_ALWAYS_INLINE __attribute__((always_inline)) inline
#else
#define PHC_CPP_ALWAYS_INLINE inline
#endif

namespace phc {
inline namespace PHC_CPP_MODE {

class client;

// How bad an exception is.
enum class exception_level { fatal, error, warning, log, info, debug };

#if PHC_CPP_HAS_TYPES
namespace detail {

// The name of a type as it is written in the source, as far as the compiler offers it.
inline std::string type_name(const std::type_info &type) {
#if defined(__GNUC__)
    int failed = 0;
    const std::unique_ptr<char, void (*)(void *)> name(
        abi::__cxa_demangle(type.name(), nullptr, nullptr, &failed), std::free);
    if (name && failed == 0) return name.get();
#endif
    return type.name();
}

} // namespace detail
#endif

// An exception that is being described: its type, its message, its stack and what caused it.
//
//     try { load(); } catch (const std::exception &error) { client.capture_exception(error, "user-1"); }
//
// Nothing here fails, so that it can be used where something else has failed: a text ends at a NUL in it, and
// what there is no memory for is left out. It belongs to one thread at a time. phc_exception in phc.h has the
// bounds.
class exception {
public:
    exception(std::string_view type, std::string_view message)
        : handle_(phc_exception_new(std::string(type).c_str(), std::string(message).c_str())) {}

#if PHC_CPP_HAS_TYPES
    // The type and the message of a C++ exception, and of those nested in it (std::throw_with_nested), which
    // caused it. C++ does not keep the stack of a throw: this has none, unless stack() is called.
    exception(const std::exception &error) : exception(detail::type_name(typeid(error)), error.what()) {
        add_nested(error);
    }
#endif

    // Adds the stack of the calling thread, from the function that calls this one outwards.
    PHC_CPP_ALWAYS_INLINE exception &stack(unsigned skip = 0) {
        (void)phc_exception_add_stack(handle_.get(), skip);
        return *this;
    }
    // Adds the next frame of the stack, the innermost first, where the source is known. A line of 0 is not.
    exception &frame(std::string_view function, std::string_view file, std::uint32_t line,
                     bool in_app = true) {
        (void)phc_exception_add_frame(handle_.get(), std::string(function).c_str(), std::string(file).c_str(),
                                      line, in_app ? 1 : 0);
        return *this;
    }
    // Adds the next frame of the stack, the innermost first, as a return address.
    exception &address(const void *instruction) {
        (void)phc_exception_add_address(handle_.get(), instruction);
        return *this;
    }
    // Adds what caused it, or caused the cause before. The frames that follow are its.
    exception &cause(std::string_view type, std::string_view message) {
        (void)phc_exception_add_cause(handle_.get(), std::string(type).c_str(), std::string(message).c_str(),
                                      nullptr);
        return *this;
    }

    // The default is error.
    exception &level(exception_level level) {
        static constexpr const char *names[] = {"fatal", "error", "warning", "log", "info", "debug"};
        return set("level", names[static_cast<std::size_t>(level)]);
    }
    // Whether it was caught; true is the default.
    exception &handled(bool handled) { return set("handled", handled ? "true" : "false"); }
    // Exceptions with the same fingerprint become one issue, whatever their stacks are.
    exception &fingerprint(std::string_view fingerprint) { return set("fingerprint", fingerprint); }
    // Any fact that phc_exception_set in phc.h knows. One that it does not know is left out.
    exception &set(std::string_view name, std::string_view value) {
        (void)phc_exception_set(handle_.get(), std::string(name).c_str(), std::string(value).c_str());
        return *this;
    }

private:
    friend class client;
    struct free_exception {
        void operator()(phc_exception *exception) const noexcept { phc_exception_free(exception); }
    };

#if PHC_CPP_HAS_TYPES
    void add_nested([[maybe_unused]] const std::exception &error) {
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
        try {
            std::rethrow_if_nested(error);
        } catch (const std::exception &inner) {
            cause(detail::type_name(typeid(inner)), inner.what());
            add_nested(inner);
        } catch (...) {
            cause("unknown", "an exception that is not a std::exception");
        }
#endif
    }
#endif

    std::unique_ptr<phc_exception, free_exception> handle_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
