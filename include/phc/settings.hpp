// Settings of a client to be.
#ifndef PHC_SETTINGS_HPP
#define PHC_SETTINGS_HPP

#include "json.hpp"

#include <memory>
#include <vector>

namespace phc {
inline namespace PHC_CPP_MODE {

// No time limit, for calls that take one. Zero does not wait.
inline constexpr std::chrono::milliseconds no_limit = std::chrono::milliseconds::max();

// The values of the settings with these names; docs/settings.md explains them.
enum class compression { none, gzip, deflate, zstd, br };
enum class overflow { drop_newest, drop_oldest, block };
enum class reports { losses, warnings, all };
// Also the level of each line that client::on_log passes on.
enum class log_level : std::int32_t {
    error = PHC_LOG_ERROR,
    warning = PHC_LOG_WARNING,
    info = PHC_LOG_INFO,
    debug = PHC_LOG_DEBUG
};

namespace detail {

// A negative time does not wait, and a time that does not fit into 32 bits means no limit.
inline std::uint32_t timeout_ms(std::chrono::milliseconds limit) noexcept {
    if (limit.count() <= 0) return 0;
    if (limit.count() >= static_cast<std::chrono::milliseconds::rep>(PHC_NO_LIMIT)) return PHC_NO_LIMIT;
    return static_cast<std::uint32_t>(limit.count());
}

// Text for C functions that read up to a NUL. One that contains a NUL itself would be cut short there, so it
// is refused.
class c_text {
public:
    c_text(std::string_view text) : text_(text) {}
    bool is_whole() const noexcept { return text_.find('\0') == std::string::npos; }
    const char *get() const noexcept { return text_.c_str(); }

private:
    std::string text_;
};

// Reads a text from a function that returns the length of the whole, like snprintf. It may grow between two
// calls.
template <class Read> std::string text_of(Read &&read) {
    std::string text(1024, '\0');
    for (;;) {
        // A std::string has a place for the NUL.
        const std::size_t length = read(text.data(), text.size() + 1);
        const bool is_whole = length <= text.size();
        text.resize(length);
        if (is_whole) return text;
    }
}

inline constexpr status nul_inside{code::invalid_argument, "an argument contains a NUL byte; remove it"};

} // namespace detail

// What a setting is. The texts are static.
struct setting {
    std::string_view key;           // as settings::set takes it
    std::string_view kind;          // "integer", "bool", "word" (one of a few), "list" or "text"
    std::string_view default_value; // its value if it is not set
    std::string_view accepted;      // such as "1 to 64" or "losses, warnings, all"; empty for any text
};

// All settings that the library knows, without "header.<Name>", which stands for many.
inline std::vector<setting> known_settings() {
    std::vector<setting> all;
    if (!detail::library_fits()) {
        if constexpr (PHC_CPP_THROWS != 0) detail::raise(code::wrong_library, detail::library_mismatch());
        return all;
    }
    const std::size_t count = phc_setting_count();
    all.reserve(count);
    for (std::size_t index = 0; index < count; index++) {
        phc_setting found = {};
        if (phc_setting_at(index, &found, sizeof found) != PHC_OK) break;
        all.push_back({found.key, found.kind, found.default_value, found.accepted});
    }
    return all;
}

// Settings of a client, which copies them. Setters return the settings, so that they can be chained. A value
// that is not accepted leaves the settings as they were, and throws. Where nothing throws, the settings are
// then false, and status() and error_message() say what was wrong with the first such value; a client cannot
// be made with them.
class settings {
public:
    // Defaults, for a project key (phc_…), which is trimmed. With an empty key the client is disabled: it
    // takes no events.
    explicit settings(std::string_view api_key) {
        if (!detail::library_fits()) {
            fail(code::wrong_library, detail::library_mismatch());
            return;
        }
        const detail::c_text key(api_key);
        if (!key.is_whole()) fail(code::invalid_setting, "the project key contains a NUL byte");
        config_.reset(phc_config_new(key.get()));
        if (!config_) {
            fail(code::internal, last_error());
            return;
        }
        set("sdk_name", "posthog-cpp-phc").set("sdk_version", PHC_CPP_VERSION);
    }

    // Sets any setting by its key; docs/settings.md lists them.
    settings &set(std::string_view key, std::string_view value) {
        if (!config_) return *this;
        const detail::c_text name(key), text(value);
        if (!name.is_whole() || !text.is_whole()) {
            fail(code::invalid_setting,
                 std::string(name.get()) + ": the key or the value contains a NUL byte");
            return *this;
        }
        // First on trial: a config that has refused a value makes no client any more.
        const std::unique_ptr<phc_config, free_config> trial(phc_config_new(nullptr));
        phc::status result(phc_config_set(trial.get(), name.get(), text.get()));
        if (result) result = phc::status(phc_config_set(config_.get(), name.get(), text.get()));
        if (!result) fail(result, result.details());
        return *this;
    }
    // The same with a whole number or a bool.
    template <class T, std::enable_if_t<std::is_integral_v<T> && !detail::is_character<T>, int> = 0>
    settings &set(std::string_view key, T value) {
        std::string text;
        detail::write(text, value);
        return set(key, std::string_view(text));
    }
    settings &set(std::string_view key, const char *value) { return set(key, std::string_view(value)); }
    settings &set(std::string_view key, std::chrono::milliseconds value) { return set(key, value.count()); }

    // Adds a header to every request.
    settings &header(std::string_view name, std::string_view value) {
        return set(std::string("header.").append(name), value);
    }

    // The settings that are changed most, by the names of docs/settings.md without the unit.
    settings &host(std::string_view url) { return set("host", url); }
    settings &flush_at(std::uint32_t events) { return set("flush_at", events); }
    settings &flush_interval(std::chrono::milliseconds time) { return set("flush_interval_ms", time); }
    settings &max_batch_events(std::uint32_t events) { return set("max_batch_events", events); }
    settings &queue_max_events(std::uint32_t events) { return set("queue_max_events", events); }
    settings &queue_max_bytes(std::uint64_t bytes) { return set("queue_max_bytes", bytes); }
    settings &overflow(phc::overflow action) {
        return set("overflow", word(action, {"drop_newest", "drop_oldest", "block"}));
    }
    settings &block_timeout(std::chrono::milliseconds time) { return set("block_timeout_ms", time); }
    settings &max_retries(std::uint32_t count) { return set("max_retries", count); }
    settings &request_timeout(std::chrono::milliseconds time) { return set("request_timeout_ms", time); }
    settings &connect_timeout(std::chrono::milliseconds time) { return set("connect_timeout_ms", time); }
    settings &shutdown_timeout(std::chrono::milliseconds time) { return set("shutdown_timeout_ms", time); }
    settings &exit_flush(std::chrono::milliseconds time) { return set("exit_flush_ms", time); }
    settings &compression(phc::compression codec) {
        return set("compression", word(codec, {"none", "gzip", "deflate", "zstd", "br"}));
    }
    settings &reports(phc::reports which) {
        return set("reports", word(which, {"losses", "warnings", "all"}));
    }
    settings &log_level(phc::log_level level) {
        return set("log_level", word(level, {"", "error", "warning", "info", "debug"}));
    }
    settings &disable_geoip(bool on = true) { return set("disable_geoip", on); }
    settings &is_server(bool on = true) { return set("is_server", on); }
    settings &historical_migration(bool on = true) { return set("historical_migration", on); }
    settings &proxy(std::string_view url) { return set("proxy", url); }
    settings &ca_file(std::string_view path) { return set("ca_file", path); }
    // The certificate that a server may require of its clients, and its key: PEM files, or one for both.
    settings &client_certificate(std::string_view cert_path, std::string_view key_path = {}) {
        return set("client_cert_file", cert_path).set("client_key_file", key_path);
    }
    // With it definitions of feature flags are fetched, and flags evaluated here: phs_… or phx_….
    settings &secret_key(std::string_view key) { return set("secret_key", key); }
    settings &flags_poll_interval(std::chrono::milliseconds time) {
        return set("flags_poll_interval_ms", time);
    }
    settings &flags_timeout(std::chrono::milliseconds time) { return set("flags_timeout_ms", time); }
    // Keeps pending events in files of this folder: docs/durability.md.
    settings &spool_dir(std::string_view path) { return set("spool_dir", path); }
    settings &test_mode(bool on = true) { return set("test_mode", on); }

    // Returns the value of a setting as text, in the form that set takes; nothing if there is no such
    // setting.
    std::optional<std::string> get(std::string_view key) const {
        const detail::c_text name(key);
        const char *value = config_ && name.is_whole() ? phc_config_get(config_.get(), name.get()) : nullptr;
        if (value == nullptr) return std::nullopt;
        return std::string(value);
    }

    explicit operator bool() const noexcept { return status_.ok() && config_ != nullptr; }
    phc::status status() const noexcept { return status_; }
    // What was wrong with the first value that was not accepted; empty if all were.
    const std::string &error_message() const noexcept { return error_message_; }
    const phc_config *native_handle() const noexcept { return config_.get(); }

private:
    struct free_config {
        void operator()(phc_config *config) const noexcept { phc_config_free(config); }
    };

    // The word for a value of an enumeration, by its number.
    template <class Enum>
    static std::string_view word(Enum value, std::initializer_list<std::string_view> words) {
        const auto index = static_cast<std::size_t>(value);
        return index < words.size() ? words.begin()[index] : std::string_view("unknown");
    }

    void fail(phc::status why, std::string text) {
        if constexpr (PHC_CPP_THROWS != 0) detail::raise(why, text);
        if (!status_.ok()) return;
        status_ = why;
        error_message_ = std::move(text);
    }

    std::unique_ptr<phc_config, free_config> config_;
    phc::status status_;
    std::string error_message_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
