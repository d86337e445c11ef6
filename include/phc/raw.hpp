// JSON text that others wrote: whether it is one value, and which keys it has.
#ifndef PHC_RAW_HPP
#define PHC_RAW_HPP

#include "text.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace phc {
inline namespace PHC_CPP_MODE {
namespace detail {

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

// Whether the text of a JSON object has a member with this key, which is written with its quotes.
inline bool has_member(std::string_view object, std::string_view key) noexcept {
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
            if (object.substr(begin, i + 1 - begin) == key) return true;
        }
    }
    return false;
}

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
