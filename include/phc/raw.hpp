// JSON text that others wrote: whether it is one value, and which keys it has.
#ifndef PHC_RAW_HPP
#define PHC_RAW_HPP

#include "text.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace phc {
inline namespace PHC_CPP_MODE {
namespace detail {

// -- values --

// JSON text without white space around it.
inline std::string_view trimmed(std::string_view text) noexcept {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Where the string ends whose first quote is at `begin`: at its last quote, or where the text ends.
inline std::size_t string_end(std::string_view text, std::size_t begin) noexcept {
    for (std::size_t end = begin;;) {
        end = text.find('"', end + 1);
        if (end == std::string_view::npos) return text.size();
        std::size_t slashes = 0;
        while (text[end - slashes - 1] == '\\') slashes++;
        if (slashes % 2 == 0) return end;
    }
}

// Whether text in the place of a value can be nothing else: there is something in it, its strings and brackets end
// in it, and no comma or colon stands outside of them. The value may still be malformed, which the library finds.
// Other text could end the object that it is written into, and go on with members of the object around that.
inline bool is_one_value(std::string_view text) noexcept {
    if (trimmed(text).empty()) return false;
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char character = text[i];
        if (character == '"') {
            i = string_end(text, i);
            if (i == text.size()) return false;
        } else if (character == '{' || character == '[') {
            depth++;
        } else if (character == '}' || character == ']') {
            if (depth == 0) return false;
            depth--;
        } else if (depth == 0 && (character == ',' || character == ':')) {
            return false;
        }
    }
    return depth == 0;
}

// Appends text that stands for one value. In place of other text it appends a brace, with which no value begins, so
// that the library refuses the whole.
inline void write_raw(std::string &out, std::string_view text) {
    if (is_one_value(text)) out.append(text);
    else out += '}';
}

// -- keys: all of them with their quotes --

// The same key in the form in which write_key writes it where it is UTF-8.
inline std::string repaired_key(std::string_view key) {
    std::string repaired;
    for (;;) {
        const std::size_t escape = key.find('\\');
        repaired.append(key, 0, escape);
        if (escape == std::string_view::npos) return repaired;
        key.remove_prefix(escape);
        const bool is_repair = key.substr(0, key_repair.size()) == key_repair;
        repaired.append(is_repair ? std::string_view("\xef\xbf\xbd") : key.substr(0, 2));
        key.remove_prefix(is_repair ? key_repair.size() : std::min<std::size_t>(key.size(), 2));
    }
}

inline void write_utf8(std::string &out, std::uint32_t character) {
    const auto add = [&](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (character < 0x80) return add(character);
    if (character < 0x800) add(0xc0 | character >> 6);
    else if (character < 0x10000) add(0xe0 | character >> 12);
    else add(0xf0 | character >> 18), add(0x80 | (character >> 12 & 0x3f));
    if (character >= 0x800) add(0x80 | (character >> 6 & 0x3f));
    add(0x80 | (character & 0x3f));
}

// The number of the escape \uXXXX with which a text begins; `none` if it does not begin with one.
inline std::uint32_t escaped_unit(std::string_view text, std::uint32_t none) noexcept {
    if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return none;
    std::uint32_t unit = 0;
    const std::from_chars_result end = std::from_chars(text.data() + 2, text.data() + 6, unit, 16);
    return end.ec == std::errc() && end.ptr == text.data() + 6 ? unit : none;
}

// What a key means, as the library reads it: without escapes, and with U+FFFD for what is not Unicode.
inline std::string key_meaning(std::string_view key) {
    constexpr std::uint32_t replacement = 0xfffd;
    std::string meaning;
    while (!key.empty()) {
        if (key[0] != '\\') {
            std::string_view plain = key.substr(0, key.find('\\'));
            key.remove_prefix(plain.size());
            for (std::size_t invalid = 0;; plain.remove_prefix(invalid)) {
                const std::size_t sound = utf8_length(plain, invalid);
                meaning.append(plain, 0, sound);
                plain.remove_prefix(sound);
                if (plain.empty()) break;
                write_utf8(meaning, replacement);
            }
            continue;
        }
        std::uint32_t unit = escaped_unit(key, 0x10000);
        if (unit == 0x10000) {
            static constexpr std::string_view letters = "bfnrt", stand_for = "\b\f\n\r\t";
            const char letter = key.size() > 1 ? key[1] : '\\';
            const std::size_t at = letters.find(letter);
            meaning += at == std::string_view::npos ? letter : stand_for[at];
            key.remove_prefix(std::min<std::size_t>(key.size(), 2));
            continue;
        }
        key.remove_prefix(6);
        if (unit >= 0xd800 && unit < 0xe000) {
            const std::uint32_t low = escaped_unit(key, 0);
            const bool is_pair = unit < 0xdc00 && low >= 0xdc00 && low < 0xe000;
            unit = is_pair ? 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00) : replacement;
            if (is_pair) key.remove_prefix(6);
        }
        write_utf8(meaning, unit);
    }
    return meaning;
}

inline bool is_same_key(std::string_view left, std::string_view right) {
    if (left == right) return true;
    // Without escapes, keys of other bytes are the same only if one of them is repaired.
    const auto has_escape = [](std::string_view key) { return key.find('\\') != std::string_view::npos; };
    if (!has_escape(left) && !has_escape(right) && (is_ascii(left) || is_ascii(right))) return false;
    return key_meaning(left) == key_meaning(right);
}

// Whether the text of a JSON object has a member with this key.
inline bool has_member(std::string_view object, std::string_view key) {
    std::size_t depth = 0;
    for (std::size_t i = 0; i < object.size(); i++) {
        const char character = object[i];
        if (character == '{' || character == '[') depth++;
        else if (character == '}' || character == ']') depth--;
        else if (character == '"') {
            const std::size_t begin = i;
            i = string_end(object, begin);
            if (depth != 1) continue;
            const std::size_t next = object.find_first_not_of(" \t\r\n", i + 1);
            if (next == std::string_view::npos || object[next] != ':') continue; // a value
            if (is_same_key(object.substr(begin, i + 1 - begin), key)) return true;
        }
    }
    return false;
}

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
