/*
 * Captures, in the three forms in which C can be given an event:
 *
 *   json   phc_capture_json, with the whole event as one text
 *   args   phc_capture_get_uuid, with separate arguments
 *   event  phc_capture_event, with an event built property by property
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

static void capture_json(slice event) {
    char uuid[PHC_UUID_SIZE] = "";
    respond(phc_capture_json(client, event.at, event.len, uuid), uuid);
}

/* A text with its length, since it may contain NUL. */
typedef struct {
    char *at; /* NULL: absent; to be freed */
    size_t len;
} text;

static text text_of(slice string) {
    text of = {NULL, 0};
    of.at = json_text(string, &of.len);
    return of;
}

static int has_nul(text of) { return of.at != NULL && strlen(of.at) != of.len; }

/* The members of an event, as separate arguments. */
typedef struct {
    text distinct_id, event, uuid, timestamp;
    slice properties;
    int incomplete; /* a member has a wrong type, occurs twice, or has no argument */
} parts;

static void sort_member(slice key, slice value, void *data) {
    parts *to = data;
    const struct {
        const char *key;
        text *to;
    } texts[] = {
        {"\"distinct_id\"", &to->distinct_id},
        {"\"event\"", &to->event},
        {"\"uuid\"", &to->uuid},
        {"\"timestamp\"", &to->timestamp},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strlen(texts[i].key) != key.len || memcmp(texts[i].key, key.at, key.len) != 0) continue;
        if (texts[i].to->at != NULL) to->incomplete = 1;
        else *texts[i].to = text_of(value);
        if (texts[i].to->at == NULL) to->incomplete = 1;
        return;
    }
    const char properties[] = "\"properties\"";
    if (key.len == strlen(properties) && memcmp(key.at, properties, key.len) == 0 &&
        to->properties.at == NULL) {
        to->properties = value;
    } else {
        to->incomplete = 1;
    }
}

static void capture_args(const parts *of) {
    if (of->uuid.at != NULL || of->timestamp.at != NULL) {
        respond_unsupported("phc_capture has no argument for a uuid or a timestamp");
        return;
    }
    if (has_nul(of->distinct_id) || has_nul(of->event)) {
        respond_unsupported("an argument of phc_capture ends at a NUL");
        return;
    }
    char *properties = json_copy(of->properties);
    char uuid[PHC_UUID_SIZE] = "";
    respond(phc_capture_get_uuid(client, of->distinct_id.at, of->event.at, properties, uuid), uuid);
    free(properties);
}

/* -- the form "event": each value with the call for its type -- */

typedef struct {
    phc_event *event;
    phc_status status; /* of the first call that failed */
} builder;

static void set_value(builder *to, text key, slice value);

static void set_member(slice key, slice value, void *data) {
    builder *to = data;
    if (to->status != PHC_OK) return;
    text name = text_of(key);
    set_value(to, name, value);
    free(name.at);
}

static void add_element(slice value, void *data) {
    builder *to = data;
    if (to->status == PHC_OK) set_value(to, (text){NULL, 0}, value);
}

/* Whether a double prints exactly as it is written here. */
static int prints_as(double number, const char *written) {
    for (int digits = 1; digits <= 17; digits++) {
        char printed[32];
        snprintf(printed, sizeof printed, "%.*g", digits, number);
        if (strcmp(printed, written) == 0) return 1;
    }
    return 0;
}

/* Numbers that neither an integer nor a double keeps digit by digit go as JSON. */
static phc_status set_number(phc_event *event, text key, slice value) {
    char *written = json_copy(value), *end = NULL;
    phc_status status;
    errno = 0;
    long long whole = strtoll(written, &end, 10);
    int is_whole = *end == '\0' && strcmp(written, "-0") != 0;
    if (is_whole && errno == 0) {
        status = phc_event_set_int_n(event, key.at, key.len, whole);
    } else {
        errno = 0;
        unsigned long long large = strtoull(written, &end, 10);
        double number = strtod(written, NULL);
        if (is_whole && *written != '-' && errno == 0) {
            status = phc_event_set_uint_n(event, key.at, key.len, large);
        } else if (prints_as(number, written) && !is_whole) {
            status = phc_event_set_double_n(event, key.at, key.len, number);
        } else {
            status = phc_event_set_json_n(event, key.at, key.len, value.at, value.len);
        }
    }
    free(written);
    return status;
}

/* Sets a property; or, without a key, adds an element to the array that was begun. */
static void set_value(builder *to, text key, slice value) {
    phc_event *event = to->event;
    switch (*value.at) {
    case '{':
    case '[':
        to->status = *value.at == '{' ? phc_event_begin_object_n(event, key.at, key.len)
                                      : phc_event_begin_array_n(event, key.at, key.len);
        json_members(value, set_member, to);
        json_elements(value, add_element, to);
        if (to->status == PHC_OK) to->status = phc_event_end(event);
        break;
    case '"': {
        text string = text_of(value);
        to->status = phc_event_set_string_n(event, key.at, key.len, string.at, string.len);
        free(string.at);
        break;
    }
    case 't':
    case 'f': to->status = phc_event_set_bool_n(event, key.at, key.len, *value.at == 't'); break;
    case 'n': to->status = phc_event_set_null_n(event, key.at, key.len); break;
    default: to->status = set_number(event, key, value); break;
    }
}

static void capture_event(const parts *of) {
    builder to = {phc_event_new_n(of->distinct_id.at, of->distinct_id.len, of->event.at, of->event.len),
                  PHC_OK};
    json_members(of->properties, set_member, &to);
    if (to.status == PHC_OK && of->uuid.at != NULL) to.status = phc_event_set_uuid(to.event, of->uuid.at);
    if (to.status == PHC_OK && of->timestamp.at != NULL) {
        to.status = phc_event_set_timestamp(to.event, of->timestamp.at);
    }
    if (to.status != PHC_OK) {
        respond(to.status, NULL);
        phc_event_free(to.event);
        return;
    }
    char uuid[PHC_UUID_SIZE] = "";
    respond(phc_capture_event(client, to.event, uuid), uuid);
}

/* -- the calls of the protocol -- */

void capture(slice with, const char *form) {
    if (strcmp(form, "json") == 0) {
        capture_json(with);
        return;
    }
    parts of = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0};
    json_members(with, sort_member, &of);
    int is_object = of.properties.at == NULL || *of.properties.at == '{';
    if (of.incomplete || of.distinct_id.at == NULL || of.event.at == NULL) {
        respond_unsupported("separate arguments cannot express this event");
    } else if (has_nul(of.uuid) || has_nul(of.timestamp)) {
        respond_unsupported("an argument for a uuid or a timestamp ends at a NUL");
    } else if (strcmp(form, "args") == 0) {
        capture_args(&of);
    } else if (is_object) {
        capture_event(&of);
    } else {
        respond_unsupported("the properties of a phc_event are always an object");
    }
    free(of.distinct_id.at);
    free(of.event.at);
    free(of.uuid.at);
    free(of.timestamp.at);
}

void capture_text(slice with, const char *form) {
    if (strcmp(form, "json") != 0) {
        respond_unsupported("only phc_capture_json takes a whole text");
        return;
    }
    text whole = text_of(with);
    capture_json((slice){whole.at, whole.len});
    free(whole.at);
}

void capture_hex(slice with, const char *form) {
    if (strcmp(form, "json") != 0) {
        respond_unsupported("only phc_capture_json takes a whole text");
        return;
    }
    size_t len = (with.len - 2) / 2;
    char *bytes = malloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        sscanf(with.at + 1 + 2 * i, "%2x", &byte);
        bytes[i] = (char)byte;
    }
    capture_json((slice){bytes, len});
    free(bytes);
}
