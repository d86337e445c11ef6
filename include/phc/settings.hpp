// Settings of a client to be. docs/settings.md lists all keys.
#ifndef PHC_SETTINGS_HPP
#define PHC_SETTINGS_HPP

#include "json.hpp"

#include <memory>

namespace phc {
inline namespace PHC_CPP_MODE {

// No limit, where a call takes a time limit. Zero is no wait.
inline constexpr std::chrono::milliseconds no_limit = std::chrono::milliseconds::max();

enum class compression { none, gzip, deflate, zstd, br };
enum class overflow { drop_newest, drop_oldest, block };
enum class reports { losses, all };

namespace detail {

// Negative is no wait; what does not fit is no limit.
inline std::uint32_t timeout_ms(std::chrono::milliseconds limit) noexcept {
    if (limit.count() <= 0) return 0;
    if (limit.count() >= static_cast<std::chrono::milliseconds::rep>(PHC_NO_LIMIT)) return PHC_NO_LIMIT;
    return static_cast<std::uint32_t>(limit.count());
}

// Text that ends in a NUL, for calls of C that take such. One with a NUL inside would reach them cut short.
class c_text {
public:
    c_text(std::string_view text) : text_(text) {}
    bool whole() const noexcept { return text_.find('\0') == std::string::npos; }
    const char *get() const noexcept { return text_.c_str(); }

private:
    std::string text_;
};

inline constexpr status nul_inside{code::invalid_argument,
                                   "a text has a NUL inside, which this call cannot take"};

// Whether the library that was loaded is the one this header knows.
inline bool library_fits() noexcept { return phc_abi_version() == PHC_ABI_VERSION; }

inline std::string library_mismatch() {
    return "phc.hpp " PHC_CPP_VERSION " was compiled for binary interface " +
           std::to_string(PHC_ABI_VERSION) + " of libphc, but the library that was loaded is " +
           phc_version() + " with binary interface " + std::to_string(phc_abi_version()) +
           "; install the library that came with the header, or compile again";
}

struct free_config {
    void operator()(phc_config *config) const noexcept { phc_config_free(config); }
};

} // namespace detail

// Every setter answers the settings, to go on with. One that is not accepted changes nothing and throws; where nothing
// throws, it makes the settings test false, and the client that is made of them too, with the text of the first one.
class settings {
public:
    // The project key (phc_…), which is trimmed. With an empty one the client is disabled.
    explicit settings(std::string_view api_key) {
        if (!detail::library_fits()) {
            fail(code::wrong_library, detail::library_mismatch());
            return;
        }
        const detail::c_text key(api_key);
        config_.reset(phc_config_new(key.get()));
        if (!key.whole()) fail(code::invalid_setting, "the project key has a NUL inside");
        set("sdk_name", "posthog-cpp-phc").set("sdk_version", PHC_CPP_VERSION);
    }

    // Any setting, by its key.
    settings &set(std::string_view key, std::string_view value) {
        if (!config_) return *this;
        const detail::c_text name(key), text(value);
        if (!name.whole() || !text.whole()) {
            fail(code::invalid_setting, std::string(name.get()) + ": its key or value has a NUL inside");
        } else if (phc_config_set(config_.get(), name.get(), text.get()) != PHC_OK) {
            fail(code::invalid_setting, phc_config_error(config_.get()));
        }
        return *this;
    }
    // A whole number, or a bool.
    template <class T, std::enable_if_t<std::is_integral_v<T> && !detail::is_character<T>, int> = 0>
    settings &set(std::string_view key, T value) {
        std::string text;
        detail::write(text, value);
        return set(key, std::string_view(text));
    }
    settings &set(std::string_view key, const char *value) { return set(key, std::string_view(value)); }
    settings &set(std::string_view key, std::chrono::milliseconds value) { return set(key, value.count()); }

    // An additional header in every request.
    settings &header(std::string_view name, std::string_view value) {
        return set(std::string("header.").append(name), value);
    }

    // The ones that are changed most. Names and meanings are those of docs/settings.md, without the unit.
    settings &host(std::string_view url) { return set("host", url); }
    settings &flush_at(std::uint32_t events) { return set("flush_at", events); }
    settings &flush_interval(std::chrono::milliseconds time) { return set("flush_interval_ms", time); }
    settings &max_batch_events(std::uint32_t events) { return set("max_batch_events", events); }
    settings &queue_max_events(std::uint32_t events) { return set("queue_max_events", events); }
    settings &queue_max_bytes(std::uint64_t bytes) { return set("queue_max_bytes", bytes); }
    settings &overflow(phc::overflow what) {
        static constexpr const char *names[] = {"drop_newest", "drop_oldest", "block"};
        return set("overflow", names[static_cast<int>(what)]);
    }
    settings &block_timeout(std::chrono::milliseconds time) { return set("block_timeout_ms", time); }
    settings &max_retries(std::uint32_t count) { return set("max_retries", count); }
    settings &request_timeout(std::chrono::milliseconds time) { return set("request_timeout_ms", time); }
    settings &connect_timeout(std::chrono::milliseconds time) { return set("connect_timeout_ms", time); }
    settings &shutdown_timeout(std::chrono::milliseconds time) { return set("shutdown_timeout_ms", time); }
    settings &exit_flush(std::chrono::milliseconds time) { return set("exit_flush_ms", time); }
    settings &compression(phc::compression codec) {
        static constexpr const char *names[] = {"none", "gzip", "deflate", "zstd", "br"};
        return set("compression", names[static_cast<int>(codec)]);
    }
    settings &reports(phc::reports which) {
        return set("reports", which == phc::reports::all ? "all" : "losses");
    }
    settings &disable_geoip(bool on = true) { return set("disable_geoip", on); }
    settings &is_server(bool on = true) { return set("is_server", on); }
    settings &historical_migration(bool on = true) { return set("historical_migration", on); }
    settings &proxy(std::string_view url) { return set("proxy", url); }
    settings &ca_file(std::string_view path) { return set("ca_file", path); }
    settings &test_mode(bool on = true) { return set("test_mode", on); }

    explicit operator bool() const noexcept { return status_.ok() && config_ != nullptr; }
    phc::status status() const noexcept { return status_; }
    // What was wrong with the first setting that was not accepted; empty when none was.
    const std::string &error_message() const noexcept { return error_message_; }
    const phc_config *native_handle() const noexcept { return config_.get(); }

private:
    void fail(code of, std::string text) {
        if constexpr (PHC_CPP_THROWS != 0) detail::raise(of, text);
        if (!status_.ok()) return;
        status_ = of;
        error_message_ = std::move(text);
    }

    std::unique_ptr<phc_config, detail::free_config> config_;
    phc::status status_;
    std::string error_message_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
