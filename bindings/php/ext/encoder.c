/* Writes events as JSON. Nothing here calls code of PHP, so no value changes meanwhile. */
#include "encoder.h"

#include "php_globals.h"

#include "json.h"
#include "timestamp.h"

/* The bounds of Json.php. Beyond them a value is written as null. */
enum { MAX_DEPTH = 98, MAX_VALUES = 100000 };
/* Most events need no more. */
enum { FIRST_SIZE = 512 };

typedef struct encoder {
    smart_str *json;
    /* The values that were written. */
    uint32_t values;
} encoder;

static bool value(encoder *to, zval *from, uint32_t depth);
static bool object(encoder *to, HashTable *from, HashTable *added, bool is_properties, uint32_t depth);

static void bytes(encoder *to, const char *from, size_t length) { smart_str_appendl(to->json, from, length); }

static void byte(encoder *to, char from) { smart_str_appendc(to->json, from); }

static bool key(encoder *to, const zend_string *name, zend_ulong index) {
    if (name) {
        if (!phc_json_string(to->json, name)) return false;
    } else {
        byte(to, '"');
        smart_str_append_long(to->json, (zend_long)index);
        byte(to, '"');
    }
    byte(to, ':');
    return true;
}

static bool array(encoder *to, HashTable *from, uint32_t depth) {
    if (!zend_array_is_list(from)) return object(to, from, NULL, false, depth);
    if (depth > MAX_DEPTH) return false;
    bool is_first = true;
    zval *each;
    byte(to, '[');
    ZEND_HASH_FOREACH_VAL(from, each) {
        if (!is_first) byte(to, ',');
        is_first = false;
        if (!value(to, each, depth)) return false;
    }
    ZEND_HASH_FOREACH_END();
    byte(to, ']');
    return true;
}

/* A value in an array of this depth. */
static bool value(encoder *to, zval *from, uint32_t depth) {
    if (++to->values > MAX_VALUES) return false;
    ZVAL_DEREF(from);
    switch (Z_TYPE_P(from)) {
    case IS_NULL: bytes(to, "null", 4); return true;
    case IS_FALSE: bytes(to, "false", 5); return true;
    case IS_TRUE: bytes(to, "true", 4); return true;
    case IS_LONG: smart_str_append_long(to->json, Z_LVAL_P(from)); return true;
    case IS_DOUBLE: return phc_json_double(to->json, Z_DVAL_P(from));
    case IS_STRING: return phc_json_string(to->json, Z_STR_P(from));
    case IS_ARRAY: return array(to, Z_ARRVAL_P(from), depth + 1);
    default: return false;
    }
}

static bool is(const zend_string *name, const char *text) {
    const size_t length = strlen(text);
    return ZSTR_LEN(name) == length && memcmp(ZSTR_VAL(name), text, length) == 0;
}

/* Whether an empty array of this name in the properties is an object. */
static bool is_object_property(const zend_string *name) {
    return name && ZSTR_VAL(name)[0] == '$' &&
           (is(name, "$set") || is(name, "$set_once") || is(name, "$groups") || is(name, "$group_set"));
}

static bool has(HashTable *in, zend_string *name, zend_ulong index) {
    return name ? zend_hash_exists(in, name) : zend_hash_index_exists(in, index);
}

/* The members of an object, without braces: those of `from` that are not in `over`. */
static bool pairs(encoder *to, HashTable *from, HashTable *over, bool is_properties, bool *is_first,
                  uint32_t depth) {
    zend_ulong index;
    zend_string *name;
    zval *each;
    ZEND_HASH_FOREACH_KEY_VAL(from, index, name, each) {
        if (over && has(over, name, index)) continue;
        if (!*is_first) byte(to, ',');
        *is_first = false;
        if (!key(to, name, index)) return false;
        ZVAL_DEREF(each);
        if (is_properties && is_object_property(name) && Z_TYPE_P(each) == IS_ARRAY &&
            zend_hash_num_elements(Z_ARRVAL_P(each)) == 0) {
            to->values++;
            bytes(to, "{}", 2);
        } else if (!value(to, each, depth)) return false;
    }
    ZEND_HASH_FOREACH_END();
    return true;
}

/* An object with the members of both. Those of `from` have precedence. */
static bool object(encoder *to, HashTable *from, HashTable *added, bool is_properties, uint32_t depth) {
    if (depth > MAX_DEPTH) return false;
    bool is_first = true;
    byte(to, '{');
    if (from && !pairs(to, from, NULL, is_properties, &is_first, depth)) return false;
    if (added && !pairs(to, added, from, is_properties, &is_first, depth)) return false;
    byte(to, '}');
    return true;
}

static bool text(encoder *to, const zval *from) {
    return Z_TYPE_P(from) == IS_STRING && phc_json_string(to->json, Z_STR_P(from));
}

static bool id(encoder *to, const zval *from) {
    if (Z_TYPE_P(from) != IS_LONG) return text(to, from);
    byte(to, '"');
    smart_str_append_long(to->json, Z_LVAL_P(from));
    byte(to, '"');
    return true;
}

/* Not the nil or the largest UUID, nor one that is empty: those the package takes out. */
static bool uuid(encoder *to, const zval *from) {
    if (Z_TYPE_P(from) != IS_STRING) return false;
    const char *given = Z_STRVAL_P(from);
    const size_t length = Z_STRLEN_P(from);
    return strspn(given, "0-{} ") < length && strspn(given, "fF-{} ") < length &&
           phc_json_string(to->json, Z_STR_P(from));
}

static bool timestamp(encoder *to, const zval *from) {
    if (Z_TYPE_P(from) == IS_STRING)
        return phc_is_rfc3339(Z_STR_P(from)) && phc_json_string(to->json, Z_STR_P(from));
    char written[PHC_TIMESTAMP_SIZE];
    if (Z_TYPE_P(from) != IS_LONG || !phc_write_seconds(written, Z_LVAL_P(from))) return false;
    byte(to, '"');
    bytes(to, written, strlen(written));
    byte(to, '"');
    return true;
}

/* Members of a message, the name of each in an event, and what writes it: without one it may be any value. */
static const struct member {
    const char *message;
    const char *event;
    bool (*write)(encoder *, const zval *);
    bool is_object;
} MEMBERS[] = {
    {"event", "\"event\":", text, false},
    {"distinctId", "\"distinct_id\":", id, false},
    {"properties", "\"properties\":", NULL, true},
    {"timestamp", "\"timestamp\":", timestamp, false},
    {"groups", "\"groups\":", NULL, true},
    {"$groups", "\"groups\":", NULL, true},
    {"$set", "\"$set\":", NULL, true},
    {"$set_once", "\"$set_once\":", NULL, true},
    {"$unset", "\"$unset\":", NULL, false},
    {"uuid", "\"uuid\":", uuid, false},
    {"distinct_id", "\"distinct_id\":", id, false},
    {"session_id", "\"session_id\":", NULL, false},
    {"window_id", "\"window_id\":", NULL, false},
    {"options", "\"options\":", NULL, true},
};
enum { PROPERTIES = 2, MEMBER_COUNT = sizeof MEMBERS / sizeof MEMBERS[0] };

/* The number of a member of a message, or MEMBER_COUNT for one that is left to the package. */
static size_t member(const zend_string *name) {
    size_t i = 0;
    while (i < MEMBER_COUNT && !(name && is(name, MEMBERS[i].message))) i++;
    return i;
}

/* Whether two members of a message are the same one of the event, of which the package chooses. */
static bool is_twice(uint32_t seen, size_t i) {
    for (size_t other = 0; other < MEMBER_COUNT; other++)
        if ((seen & (1u << other)) && strcmp(MEMBERS[other].event, MEMBERS[i].event) == 0) return true;
    return false;
}

static bool event_member(encoder *to, size_t i, zval *from, HashTable *added) {
    bytes(to, MEMBERS[i].event, strlen(MEMBERS[i].event));
    if (MEMBERS[i].write) return ++to->values && MEMBERS[i].write(to, from);
    if (!MEMBERS[i].is_object) return value(to, from, 0);
    if (Z_TYPE_P(from) != IS_ARRAY) return false;
    to->values++;
    return object(to, Z_ARRVAL_P(from), i == PROPERTIES ? added : NULL, i == PROPERTIES, 1);
}

bool phc_encode(smart_str *json, HashTable *message, HashTable *added) {
    /* The package sees to php.ini's other precisions. */
    if (PG(serialize_precision) != -1) return false;
    encoder to = {.json = json};
    uint32_t seen = 0;
    zend_string *name;
    zval *each;
    smart_str_alloc(json, FIRST_SIZE, false);
    ZEND_HASH_FOREACH_STR_KEY_VAL(message, name, each) {
        const size_t i = member(name);
        if (i == MEMBER_COUNT) return false;
        ZVAL_DEREF(each);
        if (Z_TYPE_P(each) == IS_NULL) continue;
        if (is_twice(seen, i)) return false;
        byte(&to, seen ? ',' : '{');
        seen |= 1u << i;
        if (!event_member(&to, i, each, added)) return false;
    }
    ZEND_HASH_FOREACH_END();
    if (!seen) return false;
    if (!(seen & (1u << PROPERTIES)) && zend_hash_num_elements(added) > 0) {
        bytes(&to, ",\"properties\":", strlen(",\"properties\":"));
        to.values++;
        if (!object(&to, NULL, added, true, 1)) return false;
    }
    byte(&to, '}');
    return to.values <= MAX_VALUES;
}

bool phc_encode_object(smart_str *json, HashTable *members) {
    if (PG(serialize_precision) != -1) return false;
    encoder to = {.json = json};
    return object(&to, members, NULL, false, 0) && to.values <= MAX_VALUES;
}
