// An event that is put together before it is captured.
#ifndef PHC_EVENT_HPP
#define PHC_EVENT_HPP

#include "json.hpp"

namespace phc {
inline namespace PHC_CPP_MODE {

class client;

// One event; everything is written straight into the JSON text that the library takes:
//
//     client.capture(phc::event("user-1", "order placed").set("total", 249.95).group("company", "acme"));
//
// It stays as it is when it is captured: it can be tried again after queue_full, or changed and captured once more.
class event : public detail::members<event> {
public:
    event(std::string_view distinct_id, std::string_view name) {
        text_.reserve(512);
        text_ += "{\"distinct_id\":";
        detail::write_string(text_, distinct_id);
        text_ += ",\"event\":";
        detail::write_string(text_, name);
        text_ += ",\"properties\":{";
    }

    // It belongs to a group: group("company", "acme").
    event &group(std::string_view type, std::string_view key) {
        detail::separate(groups_);
        detail::write_string(groups_, type);
        groups_ += ':';
        detail::write_string(groups_, key);
        return *this;
    }

    // When it happened; without it, it is the time of the capture. Sent in milliseconds.
    template <class Duration>
    event &timestamp(std::chrono::time_point<std::chrono::system_clock, Duration> when) {
        timestamp_.clear();
        detail::write(timestamp_, when);
        return *this;
    }
    // RFC 3339 with an offset.
    event &timestamp(std::string_view when) {
        timestamp_.clear();
        detail::write_string(timestamp_, when);
        return *this;
    }

    // Its uuid. What is no uuid is replaced by a new one at the capture, and counted.
    event &uuid(std::string_view uuid) {
        uuid_.clear();
        detail::write_string(uuid_, uuid);
        return *this;
    }

    // As the library takes it: also what before_send may put in place of an event.
    std::string json() const {
        std::string whole = text_;
        finish(whole);
        return whole;
    }

private:
    friend class detail::members<event>;
    friend class client;

    std::string &text() noexcept { return text_; }

    // What stands outside the properties comes last, so that properties can be added until then.
    void finish(std::string &text) const {
        text += '}';
        if (!groups_.empty()) text.append(",\"groups\":{").append(groups_) += '}';
        if (!timestamp_.empty()) text.append(",\"timestamp\":").append(timestamp_);
        if (!uuid_.empty()) text.append(",\"uuid\":").append(uuid_);
        text += '}';
    }

    // Calls with the whole text, without a copy of it.
    template <class Call> auto with_json(Call &&call) {
        detail::rollback open(text_);
        finish(text_);
        return call(std::string_view(text_));
    }

    std::string text_; // up to the last property, still open
    std::string groups_, timestamp_, uuid_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
