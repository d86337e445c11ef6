// The client.
#ifndef PHC_CLIENT_HPP
#define PHC_CLIENT_HPP

#include "../phc_binding.h"
#include "event.hpp"
#include "exception.hpp"
#include "flags.hpp"
#include "report.hpp"
#include "settings.hpp"
#include "stats.hpp"

#include <functional>

namespace phc {
inline namespace PHC_CPP_MODE {

// What a capture returns: a status and, if the event was taken, its uuid.
class receipt : public status {
public:
    // 36 characters; empty if the event was not taken.
    std::string_view uuid() const noexcept { return uuid_; }

private:
    friend class client;
    char uuid_[PHC_UUID_SIZE] = "";
};

// What a flush returns: a status and what became of the events that were captured before it.
class flush_result : public status {
public:
    std::uint64_t settled = 0;   // delivered, lost or kept on disk since the flush began
    std::uint64_t delivered = 0; // delivered since
    std::uint64_t lost = 0;      // lost since
    std::uint64_t pending = 0;   // still neither

private:
    friend class client;
    flush_result(phc::status result, const phc_flush_result &counts) noexcept
        : status(result), settled(counts.settled), delivered(counts.delivered), lost(counts.lost),
          pending(counts.pending) {}
};

// What client::discard_spool returns: a status and how many events it ended.
class discard_result : public status {
public:
    std::uint64_t discarded = 0;

private:
    friend class client;
    discard_result(phc::status result, std::uint64_t events) noexcept : status(result), discarded(events) {}
};

// What client::remote_config returns: a status, and the payload if the server has one.
class remote_config_result : public status {
public:
    // As the project has it, mostly JSON text; empty if the remote config has none. Without a value if the project has
    // no remote config with this key, and with every status but ok.
    std::optional<std::string> payload;

private:
    friend class client;
    remote_config_result(phc::status result, const phc_remote_config *config) : status(result) {
        std::size_t length = 0;
        const char *text = result.ok() ? phc_remote_config_payload(config, &length) : nullptr;
        if (text != nullptr) payload.emplace(text, length);
    }
};

// What a before_send callback decides.
class decision {
public:
    // The event is taken.
    static decision keep() { return decision(PHC_BEFORE_SEND_KEEP, {}); }
    // The event is not taken; its capture returns before_send.
    static decision discard() { return decision(PHC_BEFORE_SEND_DISCARD, {}); }
    // This event, a JSON object in the form of capture_json, is taken in its place. If it cannot be sent, the
    // event is discarded, and the details of the capture's status say why.
    static decision replace(std::string json) { return decision(PHC_BEFORE_SEND_KEEP, std::move(json)); }
    static decision replace(const event &other) { return replace(other.json()); }

private:
    friend class client;
    decision(std::int32_t result, std::optional<std::string> json)
        : result_(result), json_(std::move(json)) {}
    std::int32_t result_;
    std::optional<std::string> json_;
};

using report_callback = std::function<void(const report_view &)>; // on_error and on_delivery
using log_callback = std::function<void(log_level, std::string_view message)>;
using before_send_callback = std::function<decision(std::string_view json)>;

// One destination with its own queue. All calls are safe from any thread, except for a move and the
// destructor, which must be the last thing that happens to it. It can be moved, but not copied.
//
// The destructor closes it, waiting for at most the setting shutdown_timeout, and so does an assignment of
// another client. In a forked child it sends nothing of the parent's. A client that was moved from or could
// not be made is false; its calls return invalid_argument or nothing.
class client {
public:
    // Copies the settings. Starts no thread and opens no connection: that happens at the first capture.
    explicit client(const settings &with) {
        make(with, [&](phc_status *why) { return phc_client_new(with.native_handle(), why); });
    }

    // Returns the client of this process with this name: a new one if there is none, the existing one if its
    // settings are the same. With different settings it is misuse (conflict). It ends with the last of
    // these objects, which share its callbacks.
    static client open(std::string_view name, const settings &with) {
        client opened;
        const detail::c_text text(name);
        if (text.is_whole()) {
            opened.make(with, [&](phc_status *why) {
                return phc_client_open(text.get(), with.native_handle(), why);
            });
        } else {
            opened.fail(detail::nul_inside, detail::nul_inside.details());
        }
        return opened;
    }

    ~client() { end(); }
    client(client &&other) noexcept = default;
    client &operator=(client &&other) noexcept {
        if (this == &other) return *this;
        end();
        handle_ = std::move(other.handle_);
        status_ = other.status_;
        error_message_ = std::move(other.error_message_);
        return *this;
    }

    // Whether there is a client.
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    // Why it could not be made, where that does not throw.
    phc::status status() const noexcept { return status_; }
    const std::string &error_message() const noexcept { return error_message_; }
    // For functions of phc.h that are not here. It belongs to this object: do not free it.
    phc_client *native_handle() const noexcept { return handle_.get(); }

    // -- captures: they never wait, unless the setting overflow is block. An empty distinct_id is that of the
    // thread's request_context --

    receipt capture(std::string_view distinct_id, std::string_view name) {
        return capture(event(distinct_id, name));
    }
    // With properties in braces: capture("user-1", "page viewed", {{"path", "/pricing"}, {"items", 3}})
    receipt capture(std::string_view distinct_id, std::string_view name,
                    std::initializer_list<property> with) {
        event built(distinct_id, name);
        for (const property &each : with) built.set(each);
        return capture(built);
    }
    receipt capture(std::string_view distinct_id, std::string_view name, const properties &with) {
        event built(distinct_id, name);
        with.write_members(built.text_);
        const auto has = [&](std::string_view key) { return with.list_.has(with.members_, key); };
        return built.with_json([this](std::string_view json) { return take(json); }, has);
    }
    // With properties as the text of a JSON object; null is one without members.
    receipt capture(std::string_view distinct_id, std::string_view name, raw_json with) {
        event built(distinct_id, name);
        std::string_view text = detail::trimmed(with.text());
        if (text == "null") text = "{}";
        if (text.size() < 2 || text.front() != '{' || text.back() != '}' || !detail::is_one_value(text)) {
            built.text_.pop_back(); // the brace of its own properties
            detail::write_raw(built.text_, with.text());
            return take(built.text_ += '}'); // it is refused
        }
        built.text_.append(detail::trimmed(text.substr(1, text.size() - 2)));
        const auto has = [&](std::string_view key) { return detail::has_member(text, key); };
        return built.with_json([this](std::string_view json) { return take(json); }, has);
    }
    // Writes to the event while the call lasts, and leaves it as it was.
    receipt capture(event &with) {
        return with.with_json([this](std::string_view json) { return take(json); });
    }
    receipt capture(event &&with) { return capture(with); }
    // A whole event as one JSON object; phc_capture_json in phc.h lists its members.
    receipt capture_json(std::string_view json) { return take(json); }

    // Captures $identify, which sets properties of a person: set replaces, set_once keeps values that exist
    // already.
    receipt identify(std::string_view distinct_id) { return do_identify(distinct_id, {}, {}); }
    receipt identify(std::string_view distinct_id, const properties &set, const properties &set_once = {}) {
        return do_identify(distinct_id, set.json(),
                           set_once.empty() ? std::nullopt : std::optional<std::string>(set_once.json()));
    }
    receipt identify(std::string_view distinct_id, raw_json set) {
        return do_identify(distinct_id, text(set), {});
    }
    receipt identify(std::string_view distinct_id, raw_json set, raw_json set_once) {
        return do_identify(distinct_id, text(set), text(set_once));
    }

    // Captures $create_alias: from now on alias is the same person as distinct_id, which is the canonical id.
    receipt alias(std::string_view distinct_id, std::string_view alias) {
        const std::optional<detail::c_text> id(distinct_id), other(alias);
        return captured("alias", all_whole(id, other), [&](char *uuid) {
            return phc_alias(handle_.get(), or_null(id), or_null(other), uuid);
        });
    }

    // Captures $groupidentify, which sets properties of a group. Without a distinct_id it is "$<type>_<key>".
    receipt group_identify(std::string_view type, std::string_view key, const properties &set = {},
                           std::optional<std::string_view> distinct_id = std::nullopt) {
        return do_group_identify(type, key, set.json(), distinct_id);
    }
    receipt group_identify(std::string_view type, std::string_view key, raw_json set,
                           std::optional<std::string_view> distinct_id = std::nullopt) {
        return do_group_identify(type, key, std::string(set.text()), distinct_id);
    }

    // Captures $exception, for error tracking: capture_exception(error, "user-1") with a std::exception, or with
    // one that was described step by step, which is used up. Without a distinct_id, or with an empty one, it
    // belongs to no person.
    receipt capture_exception(exception &described, std::string_view distinct_id = {},
                              const properties &with = {}) {
        std::string own(distinct_id), members;
        with.write_members(members);
        detail::complete(members, own.empty() ? &own : nullptr,
                         [&](std::string_view key) { return with.list_.has(with.members_, key); });
        const std::optional<detail::c_text> id(own), values("{" + members + "}");
        return captured("capture_exception", all_whole(id, values), [&](char *uuid) {
            return phc_capture_exception(handle_.get(), or_null(id), described.handle_.release(),
                                         or_null(values), uuid);
        });
    }
    receipt capture_exception(exception &&described, std::string_view distinct_id = {},
                              const properties &with = {}) {
        return capture_exception(described, distinct_id, with);
    }

    // Adds a property to every event from now on (a super property), in place of an earlier one with that
    // key. A property of the event itself has precedence.
    template <class T> phc::status register_property(std::string_view key, const T &value) {
        const detail::c_text name(key), text(detail::json_of(value));
        if (!name.is_whole() || !text.is_whole())
            return detail::checked(detail::nul_inside, "register_property");
        return detail::checked(phc_register(handle_.get(), name.get(), text.get()), "register_property");
    }
    // Stops adding it. A property that was never registered is not an error.
    phc::status unregister_property(std::string_view key) {
        const detail::c_text name(key);
        if (!name.is_whole()) return detail::checked(detail::nul_inside, "unregister_property");
        return detail::checked(phc_unregister(handle_.get(), name.get()), "unregister_property");
    }

    // From now on captures take no events and return opted_out. What was captured before is still sent.
    phc::status opt_out() { return detail::checked(phc_opt_out(handle_.get()), "opt_out"); }
    // From now on captures take events again.
    phc::status opt_in() { return detail::checked(phc_opt_in(handle_.get()), "opt_in"); }

    // -- feature flags: docs/flags.md --

    // Evaluates the flags of a query from the definitions that the client has. Without a time limit it never waits and
    // sends nothing. With one, the server is asked for what has no value then, by one request, which is waited for at
    // most that long, and never longer than the setting flags_timeout. The status of what it returns says how that
    // went; the values that are known are there whatever it is.
    phc::flags evaluate_flags(const flags_query &query,
                              std::chrono::milliseconds timeout = std::chrono::milliseconds::zero()) const {
        phc_flags *snapshot = nullptr;
        phc::status result = query.status();
        std::string why = query.error_message();
        if (result) {
            result = phc::status(phc_flags_evaluate(handle_.get(), query.native_handle(),
                                                    detail::timeout_ms(timeout), &snapshot));
            why = result.details();
        }
        phc::flags evaluated(snapshot, detail::checked(result, "evaluate_flags"));
        evaluated.error_message_ = std::move(why);
        return evaluated;
    }

    // Whether one flag is on for a person of whom nothing else is known; the default if it has no value. Never waits,
    // and does not ask the server. It counts as a read.
    bool flag_enabled(std::string_view key, std::string_view distinct_id, bool default_value = false) const {
        const detail::c_text name(key), id(distinct_id);
        if (!name.is_whole() || !id.is_whole()) return default_value;
        return phc_flag_enabled(handle_.get(), name.get(), id.get(), default_value ? 1 : 0) != 0;
    }

    // Returns ok if the client has definitions of flags. Otherwise it waits for them, for at most the timeout; the
    // first call begins to fetch them, as the first evaluation does, if there is a secret_key. Returns would_wait,
    // timeout, unavailable if the server refuses them or there is no secret_key, closed or disabled.
    phc::status flags_ready(std::chrono::milliseconds timeout = std::chrono::milliseconds::zero()) const {
        return detail::checked(phc_flags_ready(handle_.get(), detail::timeout_ms(timeout)), "flags_ready");
    }

    // Fetches the definitions now, and waits for that for at most the timeout. Returns ok if the client has the newest
    // ones; otherwise those that are there stay, and the status says why: unavailable, timeout, closed, disabled.
    phc::status reload_flags(std::chrono::milliseconds timeout) {
        return detail::checked(phc_flags_reload(handle_.get(), detail::timeout_ms(timeout)), "reload_flags");
    }

    // Sets the definitions, as PostHog's endpoint /flags/definitions returns them: from a file, a cache or a test.
    phc::status set_flag_definitions(std::string_view json) {
        return detail::checked(phc_flags_definitions_set(handle_.get(), json.data(), json.size()),
                               "set_flag_definitions");
    }

    // Asks the server for the remote config with this key, by one request, which is waited for at most the timeout, and
    // never longer than the setting flags_timeout. It needs a secret_key, and PostHog limits how often it may be asked:
    // keep the payload. Returns ok without a payload if the project has no such remote config; unavailable if the server
    // refuses or does not respond, or there is no secret_key; timeout, would_wait (without a time limit), closed or
    // disabled. An empty key, "." and ".." are misuse.
    remote_config_result remote_config(std::string_view key, std::chrono::milliseconds timeout) const {
        const detail::c_text name(key);
        if (!name.is_whole()) {
            return remote_config_result(detail::checked(detail::nul_inside, "remote_config"), nullptr);
        }
        phc_remote_config *found = nullptr;
        const phc::status result(
            phc_remote_config_fetch(handle_.get(), name.get(), detail::timeout_ms(timeout), &found));
        const std::unique_ptr<phc_remote_config, free_remote_config> config(found);
        return remote_config_result(detail::checked(result, "remote_config"), config.get());
    }

    // -- waits --

    // Sends what waits, and waits until every event that was captured before is delivered or lost, for at
    // most the timeout. Returns ok if all of them were delivered, lost_events if this flush saw some of them
    // lost, timeout if some are still pending (nothing is abandoned), closed after a close.
    flush_result flush(std::chrono::milliseconds timeout) {
        phc_flush_result counts = {};
        const phc_status result =
            phc_flush(handle_.get(), detail::timeout_ms(timeout), &counts, sizeof counts);
        return flush_result(detail::checked(result, "flush"), counts);
    }

    // Takes no more events, waits like flush, then cancels what is in flight and counts what is left as lost
    // (closed). Returns within the timeout plus 50 ms. With the setting spool_dir what is left is kept on disk for a
    // later client, which may take 250 ms more. Returns ok if every event that this process captured was delivered
    // or kept, and for a client that was closed before; lost_events if any was lost. Reports and stats can be read
    // afterwards.
    phc::status close(std::chrono::milliseconds timeout) {
        return detail::checked(phc_client_close(handle_.get(), detail::timeout_ms(timeout)), "close");
    }

    // With the setting spool_dir: waits until every event that was captured before is on disk and synced, so that
    // neither the end of the process nor a power cut loses it, for at most the timeout. It needs no network. Returns
    // timeout if the disk has not taken all of them yet (nothing is abandoned), spool if it does not take them or there
    // is no spool, closed after a close.
    phc::status persist(std::chrono::milliseconds timeout) {
        return detail::checked(phc_persist(handle_.get(), detail::timeout_ms(timeout)), "persist");
    }

    // Ends every pending event without sending it: in memory, on disk, and what ended processes with the same host
    // and key have left on disk. For an opt-out or a logout. Waits for at most the timeout until the files are removed.
    // Returns timeout if they are not yet, spool if there is no spool, closed after a close.
    discard_result discard_spool(std::chrono::milliseconds timeout) {
        std::uint64_t events = 0;
        const phc_status result = phc_spool_discard(handle_.get(), detail::timeout_ms(timeout), &events);
        return discard_result(detail::checked(result, "discard_spool"), events);
    }

    // -- callbacks --
    //
    // Each call sets a callback in place of the one before; nullptr removes it. It returns once the one
    // before runs no more, or at once from inside a callback. Callbacks stay set in a forked child.

    // Reports of failures, on a thread of the client's own: events that were lost; with reports::warnings
    // also events that the server stored with a remark, such as a warning; with reports::all also attempts
    // after which events are sent again. The callback may capture, but must not wait: flush, close and open are misuse inside
    // it. What it throws is ignored. While it or on_delivery is set, poll returns nothing.
    phc::status on_error(report_callback callback) {
        return install("on_error", std::move(callback), phc_set_error_callback, call_with_report);
    }

    // Reports of delivered events, with the server's remark if there is one, under the rules of on_error. It
    // does not depend on the setting reports.
    phc::status on_delivery(report_callback callback) {
        return install("on_delivery", std::move(callback), phc_set_delivery_callback, call_with_report);
    }

    // Lines for a log, under the rules of on_error. The setting log_level says which.
    phc::status on_log(log_callback callback) {
        return install("on_log", std::move(callback), phc_set_log_callback, call_with_line);
    }

    // Each event as it would be sent, before it is taken, on the thread that captures: several calls may run
    // at once. Inside it captures are misuse too. If it throws, the event is discarded: a filter of private
    // data must not let it out by failing. Do not set it while holding a lock that the callback before takes.
    phc::status before_send(before_send_callback callback) {
        return install("before_send", std::move(callback), phc_set_before_send_callback, call_before_send);
    }

    // -- reports without a callback, and counters --

    // Returns the oldest report that waits; if there is none, waits for one for at most the timeout. The
    // setting reports says what is reported.
    std::optional<report> poll(std::chrono::milliseconds timeout = std::chrono::milliseconds::zero()) {
        phc_report *found = phc_poll(handle_.get(), detail::timeout_ms(timeout));
        if (found == nullptr) return std::nullopt;
        return std::optional<report>(std::in_place, found);
    }

    // Returns a file descriptor that is readable while reports wait, for an event loop that then calls poll()
    // until it returns nothing. It belongs to the client. -1 if none could be created; last_error() says why.
    std::ptrdiff_t poll_fd() { return phc_poll_fd(handle_.get()); }

    phc::stats stats() const {
        phc_stats counters = {};
        detail::checked(phc_stats_get(handle_.get(), &counters, sizeof counters), "stats");
        return phc::stats(counters);
    }
    // The counters as one JSON object; empty without a client.
    std::string stats_json() const {
        return detail::text_of(
            [this](char *buffer, std::size_t size) { return phc_stats_json(handle_.get(), buffer, size); });
    }

    // With the setting test_mode: removes the oldest captured event and returns it as it would be sent.
    std::optional<std::string> next_test_event() {
        std::string json = detail::text_of([this](char *buffer, std::size_t size) {
            return phc_binding_next_test_event(handle_.get(), buffer, size);
        });
        if (json.empty()) return std::nullopt;
        return json;
    }

private:
    struct free_remote_config {
        void operator()(phc_remote_config *config) const noexcept { phc_remote_config_free(config); }
    };
    struct free_client {
        void operator()(phc_client *handle) const noexcept { phc_client_free(handle); }
    };

    client() = default;

    // Frees the client before its handle is forgotten: callbacks that run until then may call it.
    void end() noexcept {
        if (handle_) phc_client_free(handle_.get());
        static_cast<void>(handle_.release());
    }

    template <class Constructor> void make(const settings &with, Constructor &&constructor) {
        if (!with.status()) {
            fail(with.status(), with.error_message());
            return;
        }
        phc_status why = PHC_INTERNAL; // unless the library says otherwise
        handle_.reset(constructor(&why));
        if (!handle_) fail(phc::status(why), last_error());
    }

    void fail(phc::status why, const std::string &text) {
        status_ = why;
        error_message_ = text;
        if constexpr (PHC_CPP_THROWS != 0) detail::raise(why, error_message_);
    }

    // Makes a capture, which writes its uuid to the receipt, unless a text contains a NUL.
    template <class Capture> static receipt captured(const char *call, bool all_whole, Capture &&capture) {
        receipt made;
        static_cast<phc::status &>(made) = all_whole ? detail::checked(capture(made.uuid_), call)
                                                     : detail::checked(detail::nul_inside, call);
        return made;
    }

    receipt take(std::string_view json) {
        return captured("capture", true, [&](char *uuid) {
            return phc_capture_json(handle_.get(), json.data(), json.size(), uuid);
        });
    }

    static std::optional<std::string> text(raw_json json) { return std::string(json.text()); }

    static const char *or_null(const std::optional<detail::c_text> &text) noexcept {
        return text ? text->get() : nullptr;
    }

    template <class... Text> static bool all_whole(const Text &...texts) noexcept {
        return ((!texts || texts->is_whole()) && ...);
    }

    receipt do_identify(std::string_view distinct_id, const std::optional<std::string> &set,
                        const std::optional<std::string> &set_once) {
        const std::optional<detail::c_text> id(distinct_id), values(set), once(set_once);
        return captured("identify", all_whole(id, values, once), [&](char *uuid) {
            return phc_identify(handle_.get(), or_null(id), or_null(values), or_null(once), uuid);
        });
    }

    receipt do_group_identify(std::string_view type, std::string_view key, const std::string &set,
                              std::optional<std::string_view> distinct_id) {
        const std::optional<detail::c_text> kind(type), name(key), values(set), id(distinct_id);
        return captured("group_identify", all_whole(kind, name, values, id), [&](char *uuid) {
            return phc_group_identify(handle_.get(), or_null(kind), or_null(name), or_null(values),
                                      or_null(id), uuid);
        });
    }

    // Passes a callback on to the library, which frees it when it is not called any more, or at once if it is
    // refused.
    template <class Callback, class Setter, class Function>
    phc::status install(const char *call, Callback callback, Setter setter, Function function) {
        if (!callback) return detail::checked(setter(handle_.get(), nullptr, nullptr, nullptr), call);
        const auto free = [](void *data) { delete static_cast<Callback *>(data); };
        return detail::checked(setter(handle_.get(), function, new Callback(std::move(callback)), free),
                               call);
    }

    static void call_with_report(const phc_report *report, void *data) noexcept {
        detail::contained([&] { (*static_cast<report_callback *>(data))(report_view(report)); });
    }

    static void call_with_line(phc_log_level level, const char *message, void *data) noexcept {
        detail::contained(
            [&] { (*static_cast<log_callback *>(data))(static_cast<log_level>(level), message); });
    }

    static std::int32_t call_before_send(phc_outgoing *outgoing, void *data) noexcept {
        std::int32_t result = PHC_BEFORE_SEND_DISCARD;
        const bool returned = detail::contained([&] {
            std::size_t length = 0;
            const char *json = phc_outgoing_json(outgoing, &length);
            const auto &callback = *static_cast<before_send_callback *>(data);
            const decision made = callback(std::string_view(json, length));
            const std::optional<std::string> &other = made.json_;
            const bool replaced =
                !other || phc_outgoing_replace(outgoing, other->data(), other->size()) == PHC_OK;
            if (replaced) result = made.result_;
        });
        return returned ? result : PHC_BEFORE_SEND_DISCARD;
    }

    std::unique_ptr<phc_client, free_client> handle_;
    phc::status status_;
    std::string error_message_;
};

} // namespace PHC_CPP_MODE
} // namespace phc

#endif
