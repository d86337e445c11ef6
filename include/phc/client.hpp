// The client.
#ifndef PHC_CLIENT_HPP
#define PHC_CLIENT_HPP

#include "event.hpp"
#include "report.hpp"
#include "settings.hpp"

#include <functional>

namespace phc {
inline namespace PHC_CPP_MODE {

// The answer of a capture: a status and, when it is ok, the event's uuid.
class receipt : public status {
public:
    // Empty when the event was not taken.
    std::string_view uuid() const noexcept { return uuid_; }

private:
    friend class client;
    char uuid_[37] = "";
};

// The answer of a flush: a status and what became of the events that were captured before it.
class flush_result : public status {
public:
    std::uint64_t settled = 0;   // delivered or lost since the flush began
    std::uint64_t delivered = 0; // of those
    std::uint64_t lost = 0;      // of those
    std::uint64_t pending = 0;   // still neither

private:
    friend class client;
    flush_result(phc::status answer, const phc_flush_result &seen) noexcept
        : status(answer), settled(seen.settled), delivered(seen.delivered), lost(seen.lost),
          pending(seen.pending) {}
};

// What a before_send handler decides.
class decision {
public:
    static decision keep() { return decision(PHC_KEEP, {}); }
    static decision drop() { return decision(PHC_DROP, {}); }
    // Another event in place of it, as JSON text; one that is refused is dropped.
    static decision replace(std::string json) { return decision(PHC_KEEP, std::move(json)); }
    static decision replace(const event &other) { return replace(other.json()); }

private:
    friend class client;
    decision(std::int32_t answer, std::optional<std::string> json)
        : answer_(answer), json_(std::move(json)) {}
    std::int32_t answer_;
    std::optional<std::string> json_;
};

enum class log_level : std::int32_t { error = PHC_LOG_ERROR, warning = PHC_LOG_WARNING, info = PHC_LOG_INFO };

using report_handler = std::function<void(const report_view &)>;
using before_send_handler = std::function<decision(std::string_view json)>;
using log_handler = std::function<void(log_level, std::string_view message)>;

// One destination with its own queue. Movable, not copyable; safe from any thread but for moving and destroying, which
// must be the last thing done to it. One that was moved from, or could not be made, takes calls and answers
// invalid_argument. Its end closes it and waits for at most the setting shutdown_timeout_ms.
class client {
public:
    explicit client(const settings &with) {
        if (!with) {
            fail(with.status().ok() ? status(code::out_of_resources) : with.status(), with.error_message());
            return;
        }
        char text[1024] = "";
        handle_.reset(phc_client_new(with.native_handle(), text, sizeof text));
        if (!handle_) fail(code::invalid_setting, text);
    }

    // The process's client of this name: made if there is none, else the same one. With other settings it is misuse
    // (conflict). It ends with the last of those that opened it.
    static client open(std::string_view name, const settings &with) {
        client opened;
        if (!with) {
            opened.fail(with.status(), with.error_message());
            return opened;
        }
        const detail::c_text text(name);
        phc_client *handle = nullptr;
        const status answer = text.whole()
                                  ? status(phc_client_open(text.get(), with.native_handle(), &handle))
                                  : detail::nul_inside;
        opened.handle_.reset(handle);
        if (!answer) opened.fail(answer, answer.details());
        return opened;
    }

    // Whether there is a client behind it.
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    // Why it could not be made, where that does not throw.
    const std::string &error_message() const noexcept { return error_message_; }
    // For what phc.h has and this has not.
    phc_client *native_handle() const noexcept { return handle_.get(); }

    // -- captures: never wait, unless the setting overflow is block --

    receipt capture(std::string_view distinct_id, std::string_view name) {
        return capture(event(distinct_id, name));
    }
    // With properties in braces: capture("user-1", "page viewed", {{"path", "/pricing"}, {"items", 3}})
    receipt capture(std::string_view distinct_id, std::string_view name,
                    std::initializer_list<property> with) {
        event made(distinct_id, name);
        for (const property &each : with) made.set(each);
        return capture(made);
    }
    receipt capture(std::string_view distinct_id, std::string_view name, const properties &with) {
        event made(distinct_id, name);
        made.text_ += with.members_text();
        return capture(made);
    }
    // With properties that are JSON text already.
    receipt capture(std::string_view distinct_id, std::string_view name, raw_json with) {
        event made(distinct_id, name);
        made.text_.pop_back(); // the brace of its own properties
        made.text_.append(with.text()) += '}';
        return take(made.text_);
    }
    // The event is written to while the call lasts, and is then as it was.
    receipt capture(event &with) {
        return with.with_json([this](std::string_view json) { return take(json); });
    }
    receipt capture(event &&with) { return capture(with); }
    // A whole event as one JSON object; phc_capture_json in phc.h lists its members.
    receipt capture_json(std::string_view json) { return take(json); }

    // Sets properties of a person.
    status identify(std::string_view distinct_id) { return do_identify(distinct_id, {}, {}); }
    status identify(std::string_view distinct_id, const properties &set, const properties &set_once = {}) {
        return do_identify(distinct_id, set.json(),
                           set_once.empty() ? std::nullopt : std::optional<std::string>(set_once.json()));
    }
    status identify(std::string_view distinct_id, raw_json set) {
        return do_identify(distinct_id, text(set), {});
    }
    status identify(std::string_view distinct_id, raw_json set, raw_json set_once) {
        return do_identify(distinct_id, text(set), text(set_once));
    }

    // From now on alias is the same person as distinct_id, which is the canonical one.
    status alias(std::string_view distinct_id, std::string_view alias) {
        const detail::c_text id(distinct_id), other(alias);
        if (!id.whole() || !other.whole()) return detail::checked(detail::nul_inside, "alias");
        return detail::checked(phc_alias(handle_.get(), id.get(), other.get()), "alias");
    }

    // Sets properties of a group. Without a distinct_id it is "$<type>_<key>".
    status group_identify(std::string_view type, std::string_view key, const properties &set = {},
                          std::optional<std::string_view> distinct_id = std::nullopt) {
        return do_group_identify(type, key, set.json(), distinct_id);
    }
    status group_identify(std::string_view type, std::string_view key, raw_json set,
                          std::optional<std::string_view> distinct_id = std::nullopt) {
        return do_group_identify(type, key, std::string(set.text()), distinct_id);
    }

    // Adds a property to every event from now on (a super property). What an event itself has wins over it.
    template <class T> status register_property(std::string_view key, const T &value) {
        std::string json;
        detail::write(json, value);
        const detail::c_text name(key), text(json);
        if (!name.whole() || !text.whole()) return detail::checked(detail::nul_inside, "register_property");
        return detail::checked(phc_register(handle_.get(), name.get(), text.get()), "register_property");
    }
    status unregister_property(std::string_view key) {
        const detail::c_text name(key);
        if (!name.whole()) return detail::checked(detail::nul_inside, "unregister_property");
        return detail::checked(phc_unregister(handle_.get(), name.get()), "unregister_property");
    }

    // From now on captures take no event and answer opted_out. What was captured before is still sent.
    status opt_out() { return detail::checked(phc_opt_out(handle_.get()), "opt_out"); }
    status opt_in() { return detail::checked(phc_opt_in(handle_.get()), "opt_in"); }

    // -- waits --

    // Sends what waits, and waits until every event captured before is delivered or lost. timeout: some are still
    // pending, nothing is abandoned. lost_events: all settled, but something was lost since the last flush or close.
    flush_result flush(std::chrono::milliseconds timeout) {
        phc_flush_result seen = {};
        const phc_status answer = phc_flush(handle_.get(), detail::timeout_ms(timeout), &seen, sizeof seen);
        return flush_result(detail::checked(answer, "flush"), seen);
    }

    // Takes no event any more, flushes, then counts what is left as lost. Returns within the timeout and 50 ms more.
    // Reports and stats can be read until the end of the client.
    status close(std::chrono::milliseconds timeout) {
        return detail::checked(phc_client_close(handle_.get(), detail::timeout_ms(timeout)), "close");
    }

    // -- handlers; an empty one is none. Each call returns once the handler before is called no more --

    // Called with each report of losses (of all attempts, with reports::all) on a thread of the client's own. It may
    // capture; other calls are misuse there. What it throws is dropped.
    status on_report(report_handler handler) {
        return install(std::move(handler), "on_report",
                       [this](phc_free_callback free, report_handler *owned) {
                           return phc_set_error_callback(
                               handle_.get(), owned != nullptr ? call_report : nullptr, owned, free);
                       });
    }

    // Called with the JSON of each event before it is taken, on the thread that captures, perhaps on several at once.
    // When it throws, the event is dropped: a handler that removes private data must not let it out by failing.
    status before_send(before_send_handler handler) {
        return install(std::move(handler), "before_send",
                       [this](phc_free_callback free, before_send_handler *owned) {
                           return phc_set_before_send_callback(
                               handle_.get(), owned != nullptr ? call_before_send : nullptr, owned, free);
                       });
    }

    // Called with each line for a log, on the thread of on_report. What it throws is dropped.
    status on_log(log_handler handler) {
        return install(std::move(handler), "on_log", [this](phc_free_callback free, log_handler *owned) {
            return phc_set_log_callback(handle_.get(), owned != nullptr ? call_log : nullptr, owned, free);
        });
    }

    // -- reports without a handler, and counters --

    // The oldest report that waits, or the next one that comes in time. on_report has them all once it is set.
    std::optional<report> poll(std::chrono::milliseconds timeout = std::chrono::milliseconds::zero()) {
        phc_report *found = phc_poll(handle_.get(), detail::timeout_ms(timeout));
        if (found == nullptr) return std::nullopt;
        return std::optional<report>(std::in_place, found);
    }

    // Readable while reports wait, for an event loop; -1 when none could be made. phc_poll_fd in phc.h.
    int poll_fd() { return phc_poll_fd(handle_.get()); }

    // The counters of this instant; phc.h explains each.
    phc_stats stats() const {
        phc_stats counters = {};
        detail::checked(phc_stats_get(handle_.get(), &counters, sizeof counters), "stats");
        return counters;
    }
    // The same as JSON, with lost and refused by their reasons.
    std::string stats_json() const {
        return text_of(
            [this](char *room, std::size_t size) { return phc_stats_json(handle_.get(), room, size); });
    }

    // With the setting test_mode: the oldest captured event as it would be sent, taken away.
    std::optional<std::string> test_next() {
        std::string json = text_of(
            [this](char *room, std::size_t size) { return phc_test_next(handle_.get(), room, size); });
        if (json.empty()) return std::nullopt;
        return json;
    }

private:
    struct free_client {
        void operator()(phc_client *handle) const noexcept { phc_client_free(handle); }
    };

    client() = default;

    void fail(status why, const std::string &text) {
        error_message_ = text.empty() ? why.message() : text;
        if constexpr (PHC_CPP_THROWS != 0) detail::raise(why, error_message_);
    }

    receipt take(std::string_view json) {
        receipt answer;
        static_cast<status &>(answer) = detail::checked(
            phc_capture_json(handle_.get(), json.data(), json.size(), answer.uuid_), "capture");
        return answer;
    }

    static std::optional<std::string> text(raw_json json) { return std::string(json.text()); }

    static const char *or_null(const std::optional<detail::c_text> &text) noexcept {
        return text ? text->get() : nullptr;
    }

    template <class... Text> static bool all_whole(const Text &...texts) noexcept {
        return ((!texts || texts->whole()) && ...);
    }

    status do_identify(std::string_view distinct_id, const std::optional<std::string> &set,
                       const std::optional<std::string> &set_once) {
        const std::optional<detail::c_text> id(distinct_id), values(set), once(set_once);
        if (!all_whole(id, values, once)) return detail::checked(detail::nul_inside, "identify");
        return detail::checked(phc_identify(handle_.get(), id->get(), or_null(values), or_null(once)),
                               "identify");
    }

    status do_group_identify(std::string_view type, std::string_view key, const std::string &set,
                             std::optional<std::string_view> distinct_id) {
        const std::optional<detail::c_text> kind(type), name(key), values(set), id(distinct_id);
        if (!all_whole(kind, name, values, id)) return detail::checked(detail::nul_inside, "group_identify");
        return detail::checked(
            phc_group_identify(handle_.get(), kind->get(), name->get(), values->get(), or_null(id)),
            "group_identify");
    }

    // Hands a handler over to the library, which frees it when it is called no more, or at once if it is refused.
    template <class Handler, class Set> status install(Handler handler, const char *call, Set &&set) {
        Handler *owned = handler ? new Handler(std::move(handler)) : nullptr;
        const auto free = [](void *data) { delete static_cast<Handler *>(data); };
        return detail::checked(set(owned != nullptr ? +free : nullptr, owned), call);
    }

    static void call_report(const phc_report *report, void *data) noexcept {
        detail::contained([&] { (*static_cast<report_handler *>(data))(report_view(report)); });
    }

    static std::int32_t call_before_send(phc_outgoing *outgoing, void *data) noexcept {
        std::int32_t answer = PHC_DROP;
        const bool whole = detail::contained([&] {
            std::size_t length = 0;
            const char *json = phc_outgoing_json(outgoing, &length);
            const decision made = (*static_cast<before_send_handler *>(data))(std::string_view(json, length));
            answer = made.answer_;
            if (made.json_ &&
                phc_outgoing_replace(outgoing, made.json_->data(), made.json_->size()) != PHC_OK) {
                answer = PHC_DROP;
            }
        });
        return whole ? answer : PHC_DROP;
    }

    static void call_log(phc_log_level level, const char *message, void *data) noexcept {
        detail::contained(
            [&] { (*static_cast<log_handler *>(data))(static_cast<log_level>(level), message); });
    }

    // A text from a call in the manner of snprintf, which may grow between two calls.
    template <class Call> static std::string text_of(Call &&call) {
        std::string text(1024, '\0');
        for (;;) {
            const std::size_t length = call(text.data(), text.size() + 1); // std::string has room for the NUL
            if (length <= text.size()) {
                text.resize(length);
                return text;
            }
            text.resize(length);
        }
    }

    std::unique_ptr<phc_client, free_client> handle_;
    std::string error_message_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
