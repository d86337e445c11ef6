// What the events of one request have in common.
#ifndef PHC_CONTEXT_HPP
#define PHC_CONTEXT_HPP

#include "json.hpp"
#include "status.hpp"

#include <random>

namespace phc {

// Shared by objects that are compiled in different ways, so that a context of one is one of all.
namespace context_of_thread {

struct member {
    std::string key; // as it is written, with the quotes
    std::string json;
};

struct content {
    std::string distinct_id, session_id;
    std::vector<member> members;
    const content *around = nullptr;
};

inline thread_local const content *innermost = nullptr;

} // namespace context_of_thread

inline namespace PHC_CPP_MODE {

class client;
class event;

namespace detail {

// One character of UTF-8 text each: those of Unicode's category Cc, and those with its property White_Space that are
// not among them.
inline bool is_control(std::string_view character) noexcept {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(character[at]); };
    return character.size() == 1 ? byte(0) < 0x20 || byte(0) == 0x7f : byte(0) == 0xc2 && byte(1) < 0xa0;
}
inline bool is_space(std::string_view character) noexcept {
    if (character.size() < 3) return character == " " || character == "\xc2\xa0";
    if (character.substr(0, 2) == "\xe2\x80") {
        const auto last = static_cast<unsigned char>(character[2]);
        return last <= 0x8a || last == 0xa8 || last == 0xa9 || last == 0xaf;
    }
    return character == "\xe1\x9a\x80" || character == "\xe2\x81\x9f" || character == "\xe3\x80\x80";
}

} // namespace detail

// For a request_context that takes nothing from the one around it.
struct fresh_t {};
inline constexpr fresh_t fresh{};

// While it lives, the events that its thread captures have what is set here, where they have nothing of their own:
//
//     phc::request_context request;
//     request.distinct_id("user-1").session_id("s-1").set("$request_path", "/pricing");
//     client.capture("", "page viewed"); // of user-1, with both properties
//
// A distinct id that is empty becomes that of the context. An event that has none belongs to no person: it gets a
// random one, and $process_person_profile is false.
//
// Contexts nest: the inner one has what the outer one had when it began, and adds to it. They end in the order of
// scopes, and on the thread on which they began; other threads do not see them. The events are those of capture and
// capture_exception; capture_json takes its event as it is.
class request_context {
public:
    request_context() : request_context(fresh) {
        if (own_.around == nullptr) return;
        own_.distinct_id = own_.around->distinct_id;
        own_.session_id = own_.around->session_id;
        own_.members = own_.around->members;
    }
    explicit request_context(fresh_t) {
        own_.around = context_of_thread::innermost;
        context_of_thread::innermost = &own_;
    }
    request_context(const request_context &) = delete;
    request_context &operator=(const request_context &) = delete;
    ~request_context() { context_of_thread::innermost = own_.around; }

    // Of events that have none. Control characters, and Unicode's white space around it, are removed. It may come from
    // a request: one that is empty then, is not UTF-8 or has more than 200 bytes changes nothing.
    request_context &distinct_id(std::string_view id) {
        replace(own_.distinct_id, id);
        return *this;
    }
    // Becomes $session_id, by the same rules.
    request_context &session_id(std::string_view id) {
        replace(own_.session_id, id);
        return *this;
    }
    // A property of the events, of any type that phc::event::set takes. An empty std::optional changes nothing.
    template <class T> request_context &set(std::string_view key, const T &value) {
        if (detail::is_absent(value)) return *this;
        context_of_thread::member added;
        detail::write_key(added.key, key);
        detail::write(added.json, value);
        for (context_of_thread::member &each : own_.members) {
            if (!detail::is_same_key(each.key, added.key)) continue;
            each.json.swap(added.json);
            return *this;
        }
        own_.members.push_back(std::move(added));
        return *this;
    }

private:
    static constexpr std::size_t longest_id = 200;

    static void replace(std::string &old, std::string_view id) {
        std::size_t invalid = 0;
        if (detail::utf8_length(id, invalid) != id.size()) return;
        std::string clean;
        std::size_t end = 0; // of the last character that is not white space
        for (std::size_t i = 0, size; i < id.size(); i += size) {
            const auto lead = static_cast<unsigned char>(id[i]);
            size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
            const std::string_view character = id.substr(i, size);
            if (detail::is_control(character)) continue;
            const bool is_space = detail::is_space(character);
            if (is_space && clean.empty()) continue;
            clean += character;
            if (!is_space) end = clean.size();
        }
        clean.resize(end);
        if (!clean.empty() && end <= longest_id) old = std::move(clean);
    }

    context_of_thread::content own_;
};

namespace detail {

// A uuid of version 4, which says nothing of the time. Empty if the system has no randomness.
inline std::string random_id() {
    std::string id;
    contained([&] {
        std::random_device source;
        static constexpr char digits[] = "0123456789abcdef";
        std::string text;
        for (std::size_t word = 0; word < 4; word++) {
            std::uint32_t random = static_cast<std::uint32_t>(source());
            for (std::size_t i = 0; i < 8; i++, random >>= 4) text += digits[random & 15];
        }
        text[12] = '4';
        text[16] = digits[8 | (text[16] & 3)];
        static constexpr std::size_t hyphens[] = {8, 13, 18, 23};
        for (const std::size_t at : hyphens) text.insert(at, 1, '-');
        id = std::move(text);
    });
    return id;
}

// Adds what the context of this thread has and an event has not: to the text of its properties, whose last brace is
// still open, and as its distinct id, unless that is null.
template <class Has> void complete(std::string &properties, std::string *distinct_id, Has &&has) {
    const context_of_thread::content *context = context_of_thread::innermost;
    if (context == nullptr) return;
    bool has_session = has("\"$session_id\""), has_profile = has("\"$process_person_profile\"");
    const auto add = [&](std::string_view key, std::string_view json) {
        separate(properties);
        properties.append(key).append(1, ':').append(json);
    };
    for (const context_of_thread::member &each : context->members) {
        has_session |= each.key == "\"$session_id\"";
        has_profile |= each.key == "\"$process_person_profile\"";
        if (!has(each.key)) add(each.key, each.json);
    }
    if (!context->session_id.empty() && !has_session) {
        std::string json;
        write_string(json, context->session_id);
        add("\"$session_id\"", json);
    }
    if (distinct_id == nullptr) return;
    *distinct_id = context->distinct_id;
    if (!distinct_id->empty()) return;
    *distinct_id = random_id();
    if (!has_profile) add("\"$process_person_profile\"", "false");
}

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
