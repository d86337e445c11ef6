// An event that is built step by step.
#ifndef PHC_EVENT_HPP
#define PHC_EVENT_HPP

#include "context.hpp"
#include "flags.hpp"
#include "json.hpp"

#include <algorithm>

namespace phc {
inline namespace PHC_CPP_MODE {

class client;

// One event. Each call writes straight into the JSON text that a capture passes to the library:
//
//     client.capture(phc::event("user-1", "order placed").set("total", 249.95).group("company", "acme"));
//
// A capture leaves the event as it is, whatever its status: it can be captured again, also after changes. It
// belongs to one thread at a time.
class event : public detail::members<event> {
public:
    event(std::string_view distinct_id, std::string_view name) {
        text_.reserve(512);
        text_ += '{';
        // Without one it has that of the context, which is known at the capture.
        has_id_ = !distinct_id.empty();
        if (has_id_) {
            text_ += "\"distinct_id\":";
            detail::write_string(text_, distinct_id);
            text_ += ',';
        }
        text_ += "\"event\":";
        detail::write_string(text_, name);
        text_ += ",\"properties\":{";
    }

    // Adds the event to a group: group("company", "acme"). Of a type that is set again the last key is sent.
    event &group(std::string_view type, std::string_view key) {
        detail::new_member member(groups_, groups_list_, type);
        detail::write_string(groups_, key);
        member.keep();
        return *this;
    }

    // Adds the flags of a snapshot that have a value, as the properties $feature/<key>, and the keys of those that
    // are on as $active_feature_flags. That does not read them. A property that is set later takes precedence.
    event &set_flags(const flags &snapshot) {
        std::vector<std::string_view> active;
        for (const std::string_view key : snapshot.keys()) {
            const flag_value value = snapshot.peek(key);
            if (!value.has_value()) continue;
            const std::string name = std::string("$feature/").append(key);
            if (value.kind() == flag_kind::variant) set(name, value.variant());
            else set(name, value.enabled());
            if (value.enabled()) active.push_back(key);
        }
        std::sort(active.begin(), active.end());
        if (!active.empty()) set("$active_feature_flags", active);
        return *this;
    }

    // Sets when the event happened, with a resolution of milliseconds. Without it, that is the time of the
    // capture.
    template <class Duration>
    event &timestamp(std::chrono::time_point<std::chrono::system_clock, Duration> when) {
        timestamp_.clear();
        detail::write(timestamp_, when);
        return *this;
    }
    // The same as RFC 3339 text with an offset: "2026-01-31T12:00:00Z".
    event &timestamp(std::string_view when) {
        timestamp_.clear();
        detail::write_string(timestamp_, when);
        return *this;
    }

    // Sets the uuid. If it is not a uuid, the capture replaces it by a new one, and counts that.
    event &uuid(std::string_view uuid) {
        uuid_.clear();
        detail::write_string(uuid_, uuid);
        return *this;
    }

    // The event as one JSON object, in the form of capture_json.
    std::string json() const {
        std::string whole;
        list_.write_to(whole, text_);
        finish(whole, {});
        return whole;
    }

private:
    friend class detail::members<event>;
    friend class client;

    std::string &text() noexcept { return text_; }
    detail::member_list &list() noexcept { return list_; }

    // Appends what stands outside the properties. It comes last, because properties can be added until the
    // capture.
    void finish(std::string &text, std::string_view id) const {
        text += '}';
        if (!has_id_) {
            text += ",\"distinct_id\":";
            detail::write_string(text, id);
        }
        if (!groups_.empty()) {
            text += ",\"groups\":{";
            groups_list_.write_to(text, groups_);
            text += '}';
        }
        if (!timestamp_.empty()) text.append(",\"timestamp\":").append(timestamp_);
        if (!uuid_.empty()) text.append(",\"uuid\":").append(uuid_);
        text += '}';
    }

    // Calls with the whole text, without a copy: it is finished in place and then restored. The context of the
    // thread adds to it.
    template <class Call> auto with_json(Call &&call) {
        list_.pack(text_);
        return with_json(call, [&](std::string_view key) { return list_.has(text_, key); });
    }
    // The same for properties that were not set one by one; `has` knows which keys there are.
    template <class Call, class Has> auto with_json(Call &&call, Has &&has) {
        detail::rollback restored(text_);
        std::string id;
        detail::complete(text_, has_id_ ? nullptr : &id, has);
        finish(text_, id);
        return call(std::string_view(text_));
    }

    std::string text_; // up to the last property; the braces are still open
    std::string groups_, timestamp_, uuid_;
    detail::member_list list_, groups_list_;
    bool has_id_ = false;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
