/*
 * The conformance worker for C: one client, driven by JSON lines on standard
 * input, each answered by a line. docs/conformance.md has the protocol.
 */
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static phc_client *client;

/* -- answers -- */

static void not_offered(const char *why) {
    printf("{\"not_offered\":");
    json_print(why);
    puts("}");
}

static void begin(phc_status status) {
    printf("{\"status\":");
    json_print(phc_status_name(status));
    if (status != PHC_OK) {
        printf(",\"message\":");
        json_print(phc_last_error());
    }
}

static void answer(phc_status status, const char *uuid) {
    begin(status);
    if (status == PHC_OK && uuid != NULL && *uuid != '\0') {
        printf(",\"uuid\":");
        json_print(uuid);
    }
    puts("}");
}

/* -- a client -- */

static void end_client(void) {
    if (client == NULL) return;
    phc_client_close(client, 0);
    phc_client_free(client);
    client = NULL;
}

typedef struct {
    phc_config *config;
    phc_status status;
} settings;

static void set(slice key, slice value, void *data) {
    settings *to = data;
    if (to->status != PHC_OK) return;
    char *name = json_text(key, NULL), *text = json_text(value, NULL);
    to->status = phc_config_set(to->config, name, text);
    free(name);
    free(text);
}

static void init(slice with, const char *way) {
    (void)way;
    end_client();
    char *key = json_text(json_member(with, "api_key"), NULL);
    settings to = {phc_config_new(key), PHC_OK};
    json_members(json_member(with, "settings"), set, &to);
    if (to.status == PHC_OK) {
        client = phc_client_new(to.config, NULL, 0);
        if (client == NULL) to.status = PHC_INVALID_SETTING;
    }
    answer(to.status, NULL);
    phc_config_free(to.config);
    free(key);
}

static void reset(slice with, const char *way) {
    (void)with, (void)way;
    end_client();
    answer(PHC_OK, NULL);
}

/* -- captures, in three ways -- */

static void capture_json(slice event) {
    char uuid[37] = "";
    answer(phc_capture_json(client, event.at, event.len, uuid), uuid);
}

/* What the loose arguments of C can say of an event. */
typedef struct {
    char *distinct_id, *event, *uuid, *timestamp;
    slice properties;
    int other; /* they cannot say all of it */
} loose;

static char *c_string(slice value, int *other) {
    size_t len = 0;
    char *text = json_text(value, &len);
    if (text == NULL || strlen(text) != len) *other = 1;
    return text;
}

static void sort_member(slice key, slice value, void *data) {
    loose *to = data;
    char *name = json_text(key, NULL);
    if (strcmp(name, "distinct_id") == 0 && !to->distinct_id) to->distinct_id = c_string(value, &to->other);
    else if (strcmp(name, "event") == 0 && !to->event) to->event = c_string(value, &to->other);
    else if (strcmp(name, "uuid") == 0 && !to->uuid) to->uuid = c_string(value, &to->other);
    else if (strcmp(name, "timestamp") == 0 && !to->timestamp) to->timestamp = c_string(value, &to->other);
    else if (strcmp(name, "properties") == 0 && !to->properties.at) to->properties = value;
    else to->other = 1;
    free(name);
}

static void capture_args(const loose *given) {
    if (given->uuid != NULL || given->timestamp != NULL) {
        not_offered("phc_capture takes no uuid and no timestamp");
        return;
    }
    char *properties = json_copy(given->properties);
    answer(phc_capture(client, given->distinct_id, given->event, properties), NULL);
    free(properties);
}

typedef struct {
    phc_event *event;
    phc_status status;
    int other;
} building;

static void set_property(slice key, slice value, void *data) {
    building *to = data;
    char *name = c_string(key, &to->other), *json = json_copy(value);
    if (to->status == PHC_OK && !to->other) to->status = phc_event_set_json(to->event, name, json);
    free(name);
    free(json);
}

static void capture_event(const loose *given) {
    building to = {phc_event_new(given->distinct_id, given->event), PHC_OK, 0};
    json_members(given->properties, set_property, &to);
    if (to.status == PHC_OK && given->uuid != NULL) to.status = phc_event_set_uuid(to.event, given->uuid);
    if (to.status == PHC_OK && given->timestamp != NULL)
        to.status = phc_event_set_timestamp(to.event, given->timestamp);
    char uuid[37] = "";
    if (to.other) {
        not_offered("a key of C ends at a NUL");
        phc_event_free(to.event);
    } else if (to.status != PHC_OK) {
        answer(to.status, NULL);
        phc_event_free(to.event);
    } else {
        phc_status status = phc_capture_event(client, to.event, uuid);
        if (status == PHC_QUEUE_FULL) phc_event_free(to.event);
        answer(status, uuid);
    }
}

static void capture(slice with, const char *way) {
    if (strcmp(way, "json") == 0) {
        capture_json(with);
        return;
    }
    loose given = {NULL, NULL, NULL, NULL, {NULL, 0}, 0};
    json_members(with, sort_member, &given);
    int is_object = given.properties.at == NULL || *given.properties.at == '{';
    if (given.other || given.distinct_id == NULL || given.event == NULL) {
        not_offered("loose arguments of C cannot say this");
    } else if (strcmp(way, "args") == 0) {
        capture_args(&given);
    } else if (is_object) {
        capture_event(&given);
    } else {
        not_offered("a phc_event has no properties that are no object");
    }
    free(given.distinct_id);
    free(given.event);
    free(given.uuid);
    free(given.timestamp);
}

static void capture_text(slice with, const char *way) {
    if (strcmp(way, "json") != 0) {
        not_offered("only phc_capture_json takes a whole text");
        return;
    }
    slice text = {NULL, 0};
    char *copy = json_text(with, &text.len);
    text.at = copy;
    capture_json(text);
    free(copy);
}

static void capture_hex(slice with, const char *way) {
    if (strcmp(way, "json") != 0) {
        not_offered("only phc_capture_json takes a whole text");
        return;
    }
    slice bytes = {NULL, (with.len - 2) / 2};
    char *copy = malloc(bytes.len + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned byte = 0;
        sscanf(with.at + 1 + 2 * i, "%2x", &byte);
        copy[i] = (char)byte;
    }
    bytes.at = copy;
    capture_json(bytes);
    free(copy);
}

/* -- the other calls -- */

static void identify(slice with, const char *way) {
    (void)way;
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    char *values = json_copy(json_member(with, "set")), *once = json_copy(json_member(with, "set_once"));
    answer(phc_identify(client, id, values, once), NULL);
    free(id);
    free(values);
    free(once);
}

static void alias(slice with, const char *way) {
    (void)way;
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    char *other = json_text(json_member(with, "alias"), NULL);
    answer(phc_alias(client, id, other), NULL);
    free(id);
    free(other);
}

static void group_identify(slice with, const char *way) {
    (void)way;
    char *type = json_text(json_member(with, "group_type"), NULL);
    char *key = json_text(json_member(with, "group_key"), NULL);
    char *values = json_copy(json_member(with, "set"));
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    answer(phc_group_identify(client, type, key, values, id), NULL);
    free(type);
    free(key);
    free(values);
    free(id);
}

static void super_property(slice with, const char *way) {
    (void)way;
    char *key = json_text(json_member(with, "key"), NULL), *value = json_copy(json_member(with, "value"));
    answer(phc_register(client, key, value), NULL);
    free(key);
    free(value);
}

static void no_super_property(slice with, const char *way) {
    (void)way;
    char *key = json_text(with, NULL);
    answer(phc_unregister(client, key), NULL);
    free(key);
}

static void opt_out(slice with, const char *way) {
    (void)with, (void)way;
    answer(phc_opt_out(client), NULL);
}

static void opt_in(slice with, const char *way) {
    (void)with, (void)way;
    answer(phc_opt_in(client), NULL);
}

static uint32_t time_limit(slice with) {
    slice value = json_member(with, "timeout_ms");
    return value.at == NULL ? 0 : (uint32_t)strtoul(value.at, NULL, 10);
}

static void flush(slice with, const char *way) {
    (void)way;
    phc_flush_result result = {0};
    begin(phc_flush(client, time_limit(with), &result, sizeof result));
    printf(",\"result\":{\"settled\":%llu,\"delivered\":%llu,\"lost\":%llu,\"pending\":%llu}}\n",
           (unsigned long long)result.settled, (unsigned long long)result.delivered,
           (unsigned long long)result.lost, (unsigned long long)result.pending);
}

static void close_client(slice with, const char *way) {
    (void)way;
    answer(phc_client_close(client, time_limit(with)), NULL);
}

static void stats(slice with, const char *way) {
    (void)with, (void)way;
    size_t len = phc_stats_json(client, NULL, 0);
    char *text = malloc(len + 1);
    phc_stats_json(client, text, len + 1);
    printf("{\"status\":\"ok\",\"result\":%s}\n", text);
    free(text);
}

static void reports(slice with, const char *way) {
    (void)with, (void)way;
    printf("{\"status\":\"ok\",\"result\":[");
    phc_report *report;
    for (int first = 1; (report = phc_poll(client, 0)) != NULL; first = 0) {
        printf("%s%s", first ? "" : ",", phc_report_json(report));
        phc_report_free(report);
    }
    puts("]}");
}

static void hello(slice with, const char *way) {
    (void)with, (void)way;
    printf("{\"sdk_name\":\"libphc\",\"sdk_version\":\"%s\",\"ways\":[\"json\",\"args\",\"event\"]}\n",
           phc_version());
}

static const struct {
    const char *name;
    void (*run)(slice with, const char *way);
    int needs_client;
} calls[] = {
    {"hello", hello, 0},
    {"init", init, 0},
    {"reset", reset, 0},
    {"capture", capture, 1},
    {"capture_text", capture_text, 1},
    {"capture_hex", capture_hex, 1},
    {"identify", identify, 1},
    {"alias", alias, 1},
    {"group_identify", group_identify, 1},
    {"register", super_property, 1},
    {"unregister", no_super_property, 1},
    {"opt_out", opt_out, 1},
    {"opt_in", opt_in, 1},
    {"flush", flush, 1},
    {"close", close_client, 1},
    {"stats", stats, 1},
    {"reports", reports, 1},
};

static void run(slice line) {
    char *name = json_text(json_member(line, "do"), NULL);
    char *way = json_text(json_member(line, "way"), NULL);
    slice with = json_member(line, "with");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (name == NULL || strcmp(name, calls[i].name) != 0) continue;
        if (calls[i].needs_client && client == NULL) {
            puts("{\"status\":\"invalid_argument\",\"message\":\"there is no client; init comes first\"}");
        } else {
            calls[i].run(with, way == NULL ? "json" : way);
        }
        free(name);
        free(way);
        return;
    }
    not_offered(name == NULL ? "a line without a call" : name);
    free(name);
    free(way);
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        run((slice){line, strlen(line)});
        fflush(stdout);
    }
    free(line);
    end_client();
    return 0;
}
