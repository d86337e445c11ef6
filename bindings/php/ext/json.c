/* Text and floats in JSON. */
#include "json.h"

#include "zend_strtod.h"

#include <float.h>
#include <math.h>

/* The length of a character of UTF-8 that is not ASCII; 0 if it is not well formed. */
static size_t character(const unsigned char *at, size_t left) {
    const unsigned char first = at[0];
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || left < length) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    /* Longer than need be, a surrogate, or beyond U+10FFFF. */
    const bool is_wrong = (first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
                          (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f);
    return is_wrong ? 0 : length;
}

static void escape(smart_str *to, unsigned char from) {
    static const char letters[] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (letters[from]) {
        const char text[] = {'\\', letters[from]};
        smart_str_appendl(to, text, sizeof text);
    } else {
        static const char digits[] = "0123456789abcdef";
        const char text[] = {'\\', 'u', '0', '0', digits[from >> 4], digits[from & 15]};
        smart_str_appendl(to, text, sizeof text);
    }
}

/* Whether a byte is written as it is, and is ASCII. */
static bool is_plain(unsigned char each) {
    return each >= 0x20 && each < 0x80 && each != '"' && each != '\\';
}

/* The same of eight bytes. A carry into a byte can only come from one that is not plain. */
static bool are_plain(const unsigned char *at) {
    const uint64_t ones = UINT64_C(0x0101010101010101), highest = ones << 7;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    const uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
    return ((word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & highest) == 0;
}

bool phc_json_string(smart_str *to, const zend_string *from) {
    const unsigned char *at = (const unsigned char *)ZSTR_VAL(from), *plain = at;
    const unsigned char *end = at + ZSTR_LEN(from);
    smart_str_appendc(to, '"');
    while (at < end) {
        if (end - at >= 8 && are_plain(at)) {
            at += 8;
        } else if (is_plain(*at)) {
            at++;
        } else if (*at >= 0x80) {
            const size_t length = character(at, (size_t)(end - at));
            if (length == 0) return false;
            at += length;
        } else {
            smart_str_appendl(to, (const char *)plain, (size_t)(at - plain));
            escape(to, *at);
            plain = ++at;
        }
    }
    smart_str_appendl(to, (const char *)plain, (size_t)(at - plain));
    smart_str_appendc(to, '"');
    return true;
}

/*
 * A float that is a decimal number of a few digits, as prices are, without the general and slower way. Of at most 15
 * digits no two numbers are the same float, so the one that divides to this float is its shortest text. Returns false
 * for other floats.
 */
static bool short_decimal(smart_str *to, double from) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    enum { POWERS = sizeof powers / sizeof powers[0] };
    const double size = fabs(from);
    /* Smaller ones have an exponent. More precise intermediate results would round twice. */
    if (!(size >= 1e-4 && size < 1e15) || FLT_EVAL_METHOD != 0) return false;
    for (int decimals = 0; decimals < POWERS; decimals++) {
        const double scaled = size * powers[decimals] + 0.5;
        if (scaled >= 1e15) return false;
        uint64_t digits = (uint64_t)scaled;
        if ((double)digits / powers[decimals] != size) continue;
        char text[24], *at = text + sizeof text;
        if (decimals == 0) *--at = '0';
        for (int i = 0; i < decimals; i++, digits /= 10) *--at = (char)('0' + digits % 10);
        *--at = '.';
        do *--at = (char)('0' + digits % 10);
        while ((digits /= 10) > 0);
        if (from < 0) *--at = '-';
        smart_str_appendl(to, at, (size_t)(text + sizeof text - at));
        return true;
    }
    return false;
}

/* The shortest text that reads back the same. A whole number has a fraction of zero. */
bool phc_json_double(smart_str *to, double from) {
    if (!zend_finite(from)) return false;
    if (short_decimal(to, from)) return true;
    char text[ZEND_DOUBLE_MAX_LENGTH];
    zend_gcvt(from, -1, '.', 'e', text);
    smart_str_appends(to, text);
    if (!strchr(text, '.')) smart_str_appendl(to, ".0", 2);
    return true;
}
