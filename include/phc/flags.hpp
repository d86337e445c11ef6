// Feature flags: for whom they are evaluated, and what came of it. client::evaluate_flags does it; docs/flags.md says
// what a result means.
#ifndef PHC_FLAGS_HPP
#define PHC_FLAGS_HPP

#include "../phc_binding.h"
#include "settings.hpp"

namespace phc {
inline namespace PHC_CPP_MODE {

class client;

// For whom flags are evaluated, what is known of them, and which flags are wanted:
//
//     phc::flags_query query("user-42");
//     query.person("plan", "pro").group("company", "acme", {{"seats", 20}}).flag("new-checkout");
//
// While it is changed it belongs to one thread; after that any number of threads may evaluate it, any number of times.
//
// What is not accepted leaves the query as it was, and throws. Where nothing throws, the query is then false, status()
// and error_message() say what was wrong first, and an evaluation of it returns that status.
class flags_query {
public:
    // With an empty id, flags that need to know who the person is have no value. The id is also the person's property
    // distinct_id, unless another value is set.
    explicit flags_query(std::string_view distinct_id) {
        const detail::c_text id(distinct_id);
        if (!id.is_whole()) {
            fail(detail::nul_inside, "flags_query", detail::nul_inside.details());
            return;
        }
        query_.reset(phc_flags_query_new(id.get()));
        if (!query_) fail(code::internal, "flags_query", last_error());
    }

    // Sets a property of the person, which filters of flags compare: a value of any type that phc::event::set takes.
    // An empty std::optional changes nothing. A flag with a filter on a property that is not set has no value.
    template <class T> flags_query &person(std::string_view key, const T &value) {
        if (detail::is_absent(value)) return *this;
        const detail::c_text name(key), text(detail::json_of(value));
        return apply("person", name.is_whole() && text.is_whole(), [&](phc_flags_query *query) {
            return phc_flags_query_set_person(query, name.get(), text.get());
        });
    }
    // Sets several: person({{"plan", "pro"}, {"seats", 20}})
    flags_query &person(const properties &values) { return set_person(values.json()); }
    // The same as the text of a JSON object.
    flags_query &person(raw_json values) { return set_person(values.text()); }

    // Puts the person into a group, whose properties filters compare. Of a type that is set again the last group counts.
    flags_query &group(std::string_view type, std::string_view key, const properties &values = {}) {
        return set_group(type, key, values.json());
    }
    flags_query &group(std::string_view type, std::string_view key, raw_json values) {
        return set_group(type, key, values.text());
    }

    // Sets the device, for flags that put devices and not persons into a rollout. Without it, the person's property
    // $device_id counts.
    flags_query &device_id(std::string_view id) {
        return text("device_id", id, phc_flags_query_set_device_id);
    }
    // Asks for the flag with this key. Without any, all flags are evaluated.
    flags_query &flag(std::string_view key) { return text("flag", key, phc_flags_query_add_key); }
    // Adds an evaluation context, such as "web". Flags that have contexts exist only where one of them was added.
    flags_query &context(std::string_view name) { return text("context", name, phc_flags_query_add_context); }

    // The definitions that the client has are not used: the server evaluates all flags.
    flags_query &remote_only(bool on = true) { return option("remote_only", PHC_FLAGS_REMOTE_ONLY, on); }
    // Whether the server looks up where this machine is; the client's setting unless it is set.
    flags_query &disable_geoip(bool on = true) {
        return option("disable_geoip", PHC_FLAGS_DISABLE_GEOIP, on);
    }
    // Reads are not captured.
    flags_query &no_events(bool on = true) { return option("no_events", PHC_FLAGS_NO_EVENTS, on); }

    explicit operator bool() const noexcept { return status_.ok() && query_ != nullptr; }
    phc::status status() const noexcept { return status_; }
    // What was wrong with the first value that was not accepted; empty if all were.
    const std::string &error_message() const noexcept { return error_message_; }
    // For functions of phc.h that are not here. It belongs to this object: do not free it.
    phc_flags_query *native_handle() const noexcept { return query_.get(); }

private:
    struct free_query {
        void operator()(phc_flags_query *query) const noexcept { phc_flags_query_free(query); }
    };

    flags_query &set_person(std::string_view json) {
        return apply("person", true, [&](phc_flags_query *query) {
            return phc_flags_query_set_person_json(query, json.data(), json.size());
        });
    }

    flags_query &set_group(std::string_view type, std::string_view key, std::string_view json) {
        const detail::c_text kind(type), name(key), values(json);
        const bool all_whole = kind.is_whole() && name.is_whole() && values.is_whole();
        return apply("group", all_whole, [&](phc_flags_query *query) {
            return phc_flags_query_set_group(query, kind.get(), name.get(), values.get());
        });
    }

    flags_query &text(const char *call, std::string_view value,
                      phc_status (*set)(phc_flags_query *, const char *)) {
        const detail::c_text whole(value);
        return apply(call, whole.is_whole(), [&](phc_flags_query *query) { return set(query, whole.get()); });
    }

    flags_query &option(const char *call, phc_flags_option which, bool on) {
        return apply(call, true, [&](phc_flags_query *query) {
            return phc_flags_query_set_option(query, which, on ? 1 : 0);
        });
    }

    template <class Call> flags_query &apply(const char *name, bool all_whole, Call &&call) {
        const phc::status result = all_whole ? phc::status(call(query_.get())) : detail::nul_inside;
        if (!result) fail(result, name, result.details());
        return *this;
    }

    void fail(phc::status why, const char *call, const char *reason) {
        const std::string text = std::string(call) + ": " + reason;
        if constexpr (PHC_CPP_THROWS != 0) detail::raise(why, text);
        if (!status_.ok()) return;
        status_ = why;
        error_message_ = text;
    }

    std::unique_ptr<phc_flags_query, free_query> query_;
    phc::status status_;
    std::string error_message_;
};

// What kind of value a flag has.
enum class flag_kind : std::int32_t {
    absent = PHC_FLAG_ABSENT, // none: it is not in the snapshot, or could not be evaluated
    off = PHC_FLAG_FALSE,
    on = PHC_FLAG_TRUE,
    variant = PHC_FLAG_VARIANT, // on, with a variant
};

// The value of a flag. Its variant lives as long as the snapshot that it was read from.
class flag_value {
public:
    constexpr flag_value(flag_kind kind, std::string_view variant) noexcept
        : kind_(kind), variant_(variant) {}

    constexpr flag_kind kind() const noexcept { return kind_; }
    constexpr bool has_value() const noexcept { return kind_ != flag_kind::absent; }
    // Whether it is on, with or without a variant. No value is not the same as off: then the default counts.
    constexpr bool enabled(bool default_value = false) const noexcept {
        return has_value() ? kind_ != flag_kind::off : default_value;
    }
    // The variant; the default if it has none, whatever the reason.
    constexpr std::string_view variant(std::string_view default_value = {}) const noexcept {
        return kind_ == flag_kind::variant ? variant_ : default_value;
    }

private:
    flag_kind kind_;
    std::string_view variant_;
};

// Why a flag has its value. A number that is not listed is a reason of a newer library.
enum class flag_reason : std::int32_t {
    none = PHC_FLAG_REASON_NONE,                          // it has no value
    disabled = PHC_FLAG_DISABLED,                         // it is switched off in the project
    no_group_type = PHC_FLAG_NO_GROUP_TYPE,               // the person is in no group of its type
    no_condition_match = PHC_FLAG_NO_CONDITION_MATCH,     // no condition matches
    out_of_rollout_bound = PHC_FLAG_OUT_OF_ROLLOUT_BOUND, // one matches; the person is outside of its rollout
    condition_match = PHC_FLAG_CONDITION_MATCH,           // a condition matches
    holdout_condition_value = PHC_FLAG_HOLDOUT,           // the person is in a holdout
    super_condition_value = PHC_FLAG_SUPER_CONDITION,     // the person's enrolment decides
    missing_dependency = PHC_FLAG_MISSING_DEPENDENCY, // a flag that it depends on is missing on the server
    other = PHC_FLAG_REASON_OTHER,                    // a reason of the server; flags::json has its code
};

// Why a flag has no value. A number that is not listed is a reason of a newer library.
enum class flag_unresolved : std::int32_t {
    resolved = PHC_FLAG_RESOLVED,                           // it has one, or is not in the snapshot
    experience_continuity = PHC_FLAG_EXPERIENCE_CONTINUITY, // only the server knows what the person once had
    unsupported_definition = PHC_FLAG_UNSUPPORTED_DEFINITION, // something in its definition needs the server
    unresolved_dependency = PHC_FLAG_UNRESOLVED_DEPENDENCY,   // a flag that it depends on has no value
    missing_context = PHC_FLAG_MISSING_CONTEXT,               // the query lacks a property, a group or an id
    evaluation_failed = PHC_FLAG_EVALUATION_FAILED,           // the server could not evaluate it
};

// The code of a reason as the server has it, such as "condition_match"; empty for none. Static text, for any number.
inline const char *name(flag_reason reason) noexcept {
    return phc_flag_reason_name(static_cast<phc_flag_reason>(reason));
}
// Its name, such as "missing_context"; empty for resolved. Static text, for any number.
inline const char *name(flag_unresolved reason) noexcept {
    return phc_flag_unresolved_name(static_cast<phc_flag_unresolved>(reason));
}

// What is known of one flag.
struct flag_detail {
    flag_kind kind = flag_kind::absent;
    flag_reason reason = flag_reason::none;
    std::optional<std::int32_t> condition_index; // of the condition that the reason is about
    flag_unresolved unresolved = flag_unresolved::resolved;
    std::int64_t id = 0;                // the number of its definition; 0 if that is not known
    std::int64_t version = 0;           // the version of its definition; 0 if that is not known
    std::optional<bool> has_experiment; // whether it belongs to an experiment, if that is known
    bool is_local = false;              // evaluated from definitions, and not by the server
};

// The values of flags for one person, as of one evaluation. They never change. It may outlive its client and newer
// definitions. All calls are safe from any thread, except for a move and the destructor; texts that they return live
// as long as the snapshot.
//
// One that was moved from, or that an evaluation could not make, has no flags: reads return their defaults.
class flags {
public:
    flags() = default;
    // Takes over a snapshot of phc.h.
    explicit flags(phc_flags *owned, phc::status status = {}) noexcept : flags_(owned), status_(status) {}

    // How the evaluation went: ok if every flag that was asked for has a value or does not exist, or if the server
    // returned what it knows; otherwise would_wait, timeout, unavailable, closed, disabled or out_of_resources. The
    // values that are known are there whatever it is.
    phc::status status() const noexcept { return status_; }
    // What was wrong, and what to do; empty if nothing was.
    const std::string &error_message() const noexcept { return error_message_; }

    // Whether the flag is on; the default if it has no value. The first read of a flag is captured as
    // $feature_flag_called, unless the same value was read for the same person before.
    bool enabled(std::string_view key, bool default_value = false) const {
        return get(key).enabled(default_value);
    }
    // The variant of the flag; the default if it has none. Counts as a read, like enabled.
    std::string_view variant(std::string_view key, std::string_view default_value = {}) const {
        return get(key).variant(default_value);
    }
    // The value of the flag. Counts as a read, like enabled.
    flag_value get(std::string_view key) const {
        return value(key, [this](const char *name, const char **variant) {
            return phc_flags_get(flags_.get(), name, variant);
        });
    }

    // The payload of the flag's value as JSON text, if there is one. It does not count as a read of the value.
    std::optional<std::string_view> payload(std::string_view key) const {
        const detail::c_text name(key);
        std::size_t length = 0;
        const char *found =
            flags_ && name.is_whole() ? phc_flags_payload(flags_.get(), name.get(), &length) : nullptr;
        if (found == nullptr) return std::nullopt;
        return std::string_view(found, length);
    }

    // What is known of the flag. It does not count as a read of the value.
    flag_detail detail(std::string_view key) const {
        flag_detail known;
        phc_flag_detail found = {};
        const detail::c_text name(key);
        if (!flags_ || !name.is_whole()) return known;
        if (phc_flags_detail(flags_.get(), name.get(), &found, sizeof found) != PHC_OK) return known;
        known.kind = static_cast<flag_kind>(found.kind);
        known.reason = static_cast<flag_reason>(found.reason);
        if (found.condition_index >= 0) known.condition_index = found.condition_index;
        known.unresolved = static_cast<flag_unresolved>(found.unresolved);
        known.id = found.id;
        known.version = found.version;
        if (found.has_experiment >= 0) known.has_experiment = found.has_experiment != 0;
        known.is_local = found.is_local != 0;
        return known;
    }

    // How many flags there are, those without a value included, and their keys.
    std::size_t size() const noexcept { return flags_ ? phc_flags_count(flags_.get()) : 0; }
    bool empty() const noexcept { return size() == 0; }
    std::vector<std::string_view> keys() const {
        std::vector<std::string_view> all(size());
        for (std::size_t i = 0; i < all.size(); i++) all[i] = phc_flags_key(flags_.get(), i);
        return all;
    }

    // What the snapshot lacks, in the words of $feature_flag_error: "flag_missing", "timeout". Empty if it lacks
    // nothing.
    std::string_view error() const noexcept { return phc_flags_error(flags_.get()); }
    // The whole snapshot as one JSON object; phc_flags_json in phc.h lists its members.
    std::string json() const {
        return detail::text_of(
            [this](char *buffer, std::size_t size) { return phc_flags_json(flags_.get(), buffer, size); });
    }

    // Copies with those flags only whose keys are given, and with those only that were read.
    flags only(std::initializer_list<std::string_view> keys) const { return only_of(keys); }
    flags only(const std::vector<std::string> &keys) const { return only_of(keys); }
    flags only_accessed() const { return copy(flags_ ? phc_flags_only_accessed(flags_.get()) : nullptr); }

    // For functions of phc.h that are not here. It belongs to this object: do not free it.
    phc_flags *native_handle() const noexcept { return flags_.get(); }

private:
    friend class client;
    friend class event;
    struct free_flags {
        void operator()(phc_flags *snapshot) const noexcept { phc_flags_free(snapshot); }
    };

    // A value that is looked at, and not read.
    flag_value peek(std::string_view key) const {
        return value(key, [this](const char *name, const char **variant) {
            return phc_binding_flags_peek(flags_.get(), name, variant);
        });
    }

    template <class Look> flag_value value(std::string_view key, Look &&look) const {
        const detail::c_text name(key);
        const char *variant = nullptr;
        phc_flag_kind kind = PHC_FLAG_ABSENT;
        if (flags_ && name.is_whole()) kind = look(name.get(), &variant);
        return flag_value(static_cast<flag_kind>(kind), variant == nullptr ? "" : variant);
    }

    template <class Keys> flags only_of(const Keys &keys) const {
        std::vector<std::string> texts;
        for (const auto &key : keys) {
            // A key with a NUL is that of no flag, and would be cut short.
            if (key.find('\0') == key.npos) texts.emplace_back(key);
        }
        std::vector<const char *> names;
        for (const std::string &text : texts) names.push_back(text.c_str());
        names.push_back(nullptr); // so that there is an array without keys, too
        return copy(flags_ ? phc_flags_only(flags_.get(), names.data(), texts.size()) : nullptr);
    }

    flags copy(phc_flags *snapshot) const {
        flags made(snapshot, status_);
        made.error_message_ = error_message_;
        return made;
    }

    std::unique_ptr<phc_flags, free_flags> flags_;
    phc::status status_;
    std::string error_message_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
