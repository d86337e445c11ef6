// Strings, numbers and times as JSON text, appended to a std::string.
#ifndef PHC_TEXT_HPP
#define PHC_TEXT_HPP

#include "status.hpp"

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace phc {
inline namespace PHC_CPP_MODE {
namespace detail {

// -- text --

struct escapes {
    bool needed[256] = {};
    constexpr escapes() noexcept {
        for (int control = 0; control < 0x20; control++) needed[control] = true;
        needed[static_cast<int>('"')] = needed[static_cast<int>('\\')] = true;
    }
};

inline bool needs_escape(char character) noexcept {
    static constexpr escapes table;
    return table.needed[static_cast<unsigned char>(character)];
}

// How many bytes at the start need no escape. Most texts need none at all, so it tests eight bytes at once:
// subtracting borrows into the highest bit of a byte that is a quote, a backslash (each XORed to zero) or
// below 0x20. Where one of the eight may need an escape, it goes on byte by byte.
inline std::size_t plain_length(std::string_view text) noexcept {
    constexpr std::uint64_t each = 0x0101010101010101, high = 0x8080808080808080;
    std::size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        std::uint64_t word;
        std::memcpy(&word, text.data() + i, 8);
        const std::uint64_t quote = word ^ (each * '"'), slash = word ^ (each * '\\');
        if ((((word - each * 0x20) & ~word) | ((quote - each) & ~quote) | ((slash - each) & ~slash)) & high)
            break;
    }
    while (i < text.size() && !needs_escape(text[i])) i++;
    return i;
}

// Appends what stands between the quotes.
inline void write_escaped(std::string &out, std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    for (;;) {
        const std::size_t plain = plain_length(text);
        out.append(text, 0, plain);
        if (plain == text.size()) break;
        const char character = text[plain];
        text.remove_prefix(plain + 1);
        out += '\\';
        switch (character) {
        case '"':
        case '\\': out += character; break;
        case '\n': out += 'n'; break;
        case '\r': out += 'r'; break;
        case '\t': out += 't'; break;
        default: out.append("u00").append(1, hex[character >> 4]).append(1, hex[character & 15]);
        }
    }
}

inline void write_string(std::string &out, std::string_view text) {
    out += '"';
    write_escaped(out, text);
    out += '"';
}

// How many bytes at the start are UTF-8. What follows is invalid, and `invalid` gets the number of its bytes
// for which U+FFFD stands once.
inline std::size_t utf8_length(std::string_view text, std::size_t &invalid) noexcept {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    for (std::size_t i = 0; i < text.size(); i += invalid) {
        const unsigned lead = byte(i);
        const std::size_t size = lead < 0x80                   ? 1
                                 : lead >= 0xc2 && lead < 0xe0 ? 2
                                 : lead >= 0xe0 && lead < 0xf0 ? 3
                                 : lead >= 0xf0 && lead < 0xf5 ? 4
                                                               : 0;
        // The second byte excludes overlong forms, surrogates and what is beyond U+10FFFF.
        unsigned least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        unsigned most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        invalid = 1;
        while (invalid < size && i + invalid < text.size() && byte(i + invalid) >= least &&
               byte(i + invalid) <= most) {
            invalid++;
            least = 0x80, most = 0xbf;
        }
        if (invalid != size) return i;
    }
    return text.size();
}

inline bool is_ascii(std::string_view text) noexcept {
    std::uint64_t all = 0, word = 0;
    std::size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        std::memcpy(&word, text.data() + i, 8);
        all |= word;
    }
    for (; i < text.size(); i++) all |= static_cast<unsigned char>(text[i]);
    return (all & 0x8080808080808080) == 0;
}

// What write_key writes where a key is not UTF-8: an escape that the library replaces by that of U+FFFD, and counts.
constexpr std::string_view key_repair = "\\ud800";

// Returns whether the key can be written in two ways: whether U+FFFD is in it, by itself or in place of something else.
inline bool write_key(std::string &out, std::string_view key) {
    if (is_ascii(key)) {
        write_string(out, key);
        return false;
    }
    bool is_ambiguous = key.find("\xef\xbf\xbd") != std::string_view::npos;
    out += '"';
    for (;;) {
        std::size_t invalid = 0;
        const std::size_t sound = utf8_length(key, invalid);
        write_escaped(out, key.substr(0, sound));
        if (sound == key.size()) break;
        out += key_repair;
        is_ambiguous = true;
        key.remove_prefix(sound + invalid);
    }
    out += '"';
    return is_ambiguous;
}

// -- numbers --

template <class Integer> void write_integer(std::string &out, Integer value) {
    char digits[24];
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
    out.append(digits, static_cast<std::size_t>(end.ptr - digits));
}

// The shortest text that reads back as the same number. JSON has no NaN and no infinities: they become null,
// so that such a value does not make the whole event fail.
template <class Float> void write_number(std::string &out, Float value) {
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    char digits[48];
#if defined(__cpp_lib_to_chars) && !defined(PHC_CPP_NO_TO_CHARS)
    const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
    out.append(digits, static_cast<std::size_t>(end.ptr - digits));
#else
    // An older standard library: snprintf writes the decimal point of the locale.
    const int precision = sizeof(Float) == sizeof(float) ? 9 : 17;
    const int length = std::snprintf(digits, sizeof digits, "%.*g", precision, static_cast<double>(value));
    for (int i = 0; i < length; i++) {
        const bool part = (digits[i] >= '0' && digits[i] <= '9') || digits[i] == '-' || digits[i] == '+' ||
                          digits[i] == 'e';
        out += part ? digits[i] : '.';
    }
#endif
}

// -- time --

using milliseconds_since_1970 = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// The milliseconds of a time in any unit. Of one that may not have 64 bits of them, and of what is not a number, another
// time whose year has not four digits.
template <class Duration>
milliseconds_since_1970
in_milliseconds(std::chrono::time_point<std::chrono::system_clock, Duration> time) noexcept {
    constexpr std::int64_t most = 300000000000; // in the year 11476, and as long before 1970 in -7537
    const double seconds = std::chrono::duration<double>(time.time_since_epoch()).count();
    if (seconds < static_cast<double>(-most)) return milliseconds_since_1970(std::chrono::seconds(-most));
    if (!(seconds < static_cast<double>(most))) return milliseconds_since_1970(std::chrono::seconds(most));
    return std::chrono::floor<std::chrono::milliseconds>(time);
}

inline void write_digits(std::string &out, std::int64_t value, int width) {
    char digits[20];
    int count = 0;
    for (; value > 0 || count < width; value /= 10) digits[count++] = static_cast<char>('0' + value % 10);
    while (count > 0) out += digits[--count];
}

// RFC 3339 in UTC. A year outside 0000 to 9999 is written too; the capture then refuses the event.
inline void write_time(std::string &out, milliseconds_since_1970 time) {
    const std::int64_t ms = time.time_since_epoch().count();
    constexpr std::int64_t day_ms = 86400000;
    const std::int64_t days = ms / day_ms - (ms % day_ms < 0 ? 1 : 0);
    const std::int64_t rest = ms % day_ms + (ms % day_ms < 0 ? day_ms : 0);
    // Counted in years that begin in March, so that a leap day is the last day of its year. 0000-03-01 is
    // 719468 days before 1970.
    const std::int64_t shifted = days + 719468;
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const std::int64_t day_of_era = shifted - era * 146097;
    const std::int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t march = (5 * day_of_year + 2) / 153;
    const std::int64_t month = march < 10 ? march + 3 : march - 9;
    const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    out += '"';
    if (year < 0) out += '-';
    write_digits(out, year < 0 ? -year : year, 4);
    write_digits(out += '-', month, 2);
    write_digits(out += '-', day_of_year - (153 * march + 2) / 5 + 1, 2);
    write_digits(out += 'T', rest / 3600000, 2);
    write_digits(out += ':', rest / 60000 % 60, 2);
    write_digits(out += ':', rest / 1000 % 60, 2);
    write_digits(out += '.', rest % 1000, 3);
    out += "Z\"";
}

// Appends a comma, unless the next member or element is the first one.
inline void separate(std::string &out) {
    if (!out.empty() && out.back() != '{' && out.back() != '[') out += ',';
}

} // namespace detail
} // namespace PHC_CPP_MODE
} // namespace phc

#endif
