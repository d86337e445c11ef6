#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *at) {
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
    return at;
}

/* The place after the closing quote of the string at this place. */
static const char *string_end(const char *at) {
    for (at++; *at != '"' && *at != '\0'; at++)
        if (*at == '\\' && at[1] != '\0') at++;
    return *at == '"' ? at + 1 : at;
}

/* The end of the value at this place, for any type. */
static const char *value_end(const char *at) {
    if (*at == '"') return string_end(at);
    int depth = 0;
    for (; *at != '\0'; at++) {
        if (*at == '"') {
            at = string_end(at) - 1;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (--depth <= 0) return depth == 0 ? at + 1 : at;
        } else if (depth == 0 && strchr(", \t\r\n", *at) != NULL) {
            return at;
        }
    }
    return at;
}

void json_members(slice object, void (*each)(slice, slice, void *), void *data) {
    if (object.at == NULL || *object.at != '{') return;
    const char *at = skip_blanks(object.at + 1);
    while (*at == '"') {
        const char *end = string_end(at);
        slice key = {at, (size_t)(end - at)};
        at = skip_blanks(skip_blanks(end) + 1); /* the colon */
        end = value_end(at);
        each(key, (slice){at, (size_t)(end - at)}, data);
        at = skip_blanks(end);
        if (*at != ',') return;
        at = skip_blanks(at + 1);
    }
}

void json_elements(slice list, void (*each)(slice, void *), void *data) {
    if (list.at == NULL || *list.at != '[') return;
    const char *at = skip_blanks(list.at + 1);
    while (*at != ']' && *at != '\0') {
        const char *end = value_end(at);
        each((slice){at, (size_t)(end - at)}, data);
        at = skip_blanks(end);
        if (*at != ',') return;
        at = skip_blanks(at + 1);
    }
}

typedef struct {
    const char *key;
    slice found;
} search;

static void compare(slice key, slice value, void *data) {
    search *wanted = data;
    size_t len = strlen(wanted->key);
    if (key.len == len + 2 && memcmp(key.at + 1, wanted->key, len) == 0) wanted->found = value;
}

slice json_member(slice object, const char *key) {
    search wanted = {key, {NULL, 0}};
    json_members(object, compare, &wanted);
    return wanted.found;
}

static char *put_utf8(char *out, unsigned long code) {
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

static unsigned long hex4(const char *at) {
    char digits[5] = {at[0], at[1], at[2], at[3], '\0'};
    return strtoul(digits, NULL, 16);
}

char *json_text(slice string, size_t *len) {
    if (string.at == NULL || string.len < 2 || *string.at != '"') return NULL;
    char *text = malloc(string.len), *out = text;
    const char *end = string.at + string.len - 1;
    for (const char *at = string.at + 1; at < end; at++) {
        if (*at != '\\') {
            *out++ = *at;
            continue;
        }
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *escape = strchr(from, *++at);
        if (escape != NULL) {
            *out++ = to[escape - from];
            continue;
        }
        unsigned long code = hex4(at + 1);
        at += 4;
        if (code >= 0xD800 && code < 0xDC00 && at + 6 < end && at[1] == '\\' && at[2] == 'u') {
            code = 0x10000 + ((code - 0xD800) << 10) + (hex4(at + 3) - 0xDC00);
            at += 6;
        }
        out = put_utf8(out, code);
    }
    *out = '\0';
    if (len != NULL) *len = (size_t)(out - text);
    return text;
}

char *json_copy(slice value) {
    if (value.at == NULL) return NULL;
    char *copy = malloc(value.len + 1);
    memcpy(copy, value.at, value.len);
    copy[value.len] = '\0';
    return copy;
}

unsigned long long json_number(slice value) { return value.at == NULL ? 0 : strtoull(value.at, NULL, 10); }

void json_print(const char *text) {
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') printf("\\%c", *at);
        else if (*at < 0x20) printf("\\u%04x", *at);
        else putchar(*at);
    }
    putchar('"');
}
