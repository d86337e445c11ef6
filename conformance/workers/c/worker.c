/*
 * The conformance worker for C: one client, driven by JSON lines on standard
 * input, each with one line in response. docs/conformance.md describes the
 * protocol. It uses nothing but phc.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

phc_client *client;

/* -- responses -- */

void respond_unsupported(const char *reason) {
    printf("{\"unsupported\":");
    json_print(reason);
    puts("}");
}

void begin_response(phc_status status) {
    printf("{\"status\":");
    json_print(phc_status_name(status));
    if (status != PHC_OK) {
        printf(",\"message\":");
        json_print(phc_last_error());
    }
}

void respond(phc_status status, const char *uuid) {
    begin_response(status);
    if (status == PHC_OK && uuid != NULL && *uuid != '\0') {
        printf(",\"uuid\":");
        json_print(uuid);
    }
    puts("}");
}

/* -- the client -- */

static void end_client(void) {
    if (client == NULL) return;
    phc_client_close(client, 0);
    phc_client_free(client);
    client = NULL;
}

typedef struct {
    phc_config *config;
    phc_status status; /* of the first setting that failed */
} settings;

static void set(slice key, slice value, void *data) {
    settings *to = data;
    if (to->status != PHC_OK) return;
    char *name = json_text(key, NULL), *text = json_text(value, NULL);
    to->status = phc_config_set(to->config, name, text);
    free(name);
    free(text);
}

static void init(slice with, const char *form) {
    (void)form;
    end_client();
    char *key = json_text(json_member(with, "api_key"), NULL);
    settings to = {phc_config_new(key), PHC_OK};
    json_members(json_member(with, "settings"), set, &to);
    if (to.status == PHC_OK) client = phc_client_new(to.config, &to.status);
    respond(to.status, NULL);
    phc_config_free(to.config);
    free(key);
}

static void reset(slice with, const char *form) {
    (void)with, (void)form;
    end_client();
    respond(PHC_OK, NULL);
}

/* -- calls about persons, groups and super properties -- */

static void identify(slice with, const char *form) {
    (void)form;
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    char *values = json_copy(json_member(with, "set")), *once = json_copy(json_member(with, "set_once"));
    char uuid[PHC_UUID_SIZE] = "";
    respond(phc_identify(client, id, values, once, uuid), uuid);
    free(id);
    free(values);
    free(once);
}

static void alias(slice with, const char *form) {
    (void)form;
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    char *other = json_text(json_member(with, "alias"), NULL);
    char uuid[PHC_UUID_SIZE] = "";
    respond(phc_alias(client, id, other, uuid), uuid);
    free(id);
    free(other);
}

static void group_identify(slice with, const char *form) {
    (void)form;
    char *type = json_text(json_member(with, "group_type"), NULL);
    char *key = json_text(json_member(with, "group_key"), NULL);
    char *values = json_copy(json_member(with, "set"));
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    char uuid[PHC_UUID_SIZE] = "";
    respond(phc_group_identify(client, type, key, values, id, uuid), uuid);
    free(type);
    free(key);
    free(values);
    free(id);
}

static void register_property(slice with, const char *form) {
    (void)form;
    char *key = json_text(json_member(with, "key"), NULL), *value = json_copy(json_member(with, "value"));
    respond(phc_register(client, key, value), NULL);
    free(key);
    free(value);
}

static void unregister_property(slice with, const char *form) {
    (void)form;
    char *key = json_text(with, NULL);
    respond(phc_unregister(client, key), NULL);
    free(key);
}

static void opt_out(slice with, const char *form) {
    (void)with, (void)form;
    respond(phc_opt_out(client), NULL);
}

static void opt_in(slice with, const char *form) {
    (void)with, (void)form;
    respond(phc_opt_in(client), NULL);
}

/* -- flush and close -- */

static unsigned long long number(slice with, const char *member) {
    return json_number(json_member(with, member));
}

static void respond_flush(phc_status status, const phc_flush_result *result) {
    begin_response(status);
    printf(",\"result\":{\"settled\":%llu,\"delivered\":%llu,\"lost\":%llu,\"pending\":%llu}}\n",
           (unsigned long long)result->settled, (unsigned long long)result->delivered,
           (unsigned long long)result->lost, (unsigned long long)result->pending);
}

static void flush(slice with, const char *form) {
    (void)form;
    phc_flush_result result = {0};
    phc_status status = phc_flush(client, (uint32_t)number(with, "timeout_ms"), &result, sizeof result);
    respond_flush(status, &result);
}

static void flush_begin(slice with, const char *form) {
    (void)with, (void)form;
    uint64_t flush = 0;
    begin_response(phc_flush_begin(client, &flush));
    printf(",\"result\":{\"flush\":%llu}}\n", (unsigned long long)flush);
}

static void flush_wait(slice with, const char *form) {
    (void)form;
    phc_flush_result result = {0};
    phc_status status = phc_flush_wait(client, number(with, "flush"), (uint32_t)number(with, "timeout_ms"),
                                       &result, sizeof result);
    respond_flush(status, &result);
}

static void close_client(slice with, const char *form) {
    (void)form;
    respond(phc_client_close(client, (uint32_t)number(with, "timeout_ms")), NULL);
}

/* -- counters and reports -- */

static void stats(slice with, const char *form) {
    (void)with, (void)form;
    char *text = NULL;
    size_t size = 0, len = phc_stats_json(client, NULL, 0);
    while (len >= size) { /* the counters may grow between two calls */
        size = len + 1;
        text = realloc(text, size);
        len = phc_stats_json(client, text, size);
    }
    printf("{\"status\":\"ok\",\"result\":%s}\n", text);
    free(text);
}

static void reports(slice with, const char *form) {
    (void)with, (void)form;
    printf("{\"status\":\"ok\",\"result\":[");
    phc_report *report;
    for (int first = 1; (report = phc_poll(client, 0)) != NULL; first = 0) {
        printf("%s%s", first ? "" : ",", phc_report_json(report));
        phc_report_free(report);
    }
    puts("]}");
}

/* -- the protocol -- */

static void hello(slice with, const char *form) {
    (void)with, (void)form;
    printf("{\"sdk_name\":\"libphc\",\"sdk_version\":\"%s\",\"forms\":[\"json\",\"args\",\"event\"]}\n",
           phc_version());
}

static const struct {
    const char *name;
    call_function *run;
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
    {"register", register_property, 1},
    {"unregister", unregister_property, 1},
    {"opt_out", opt_out, 1},
    {"opt_in", opt_in, 1},
    {"get_feature_flag", get_feature_flag, 1},
    {"reload_feature_flag_definitions", reload_definitions, 1},
    {"flush", flush, 1},
    {"flush_begin", flush_begin, 1},
    {"flush_wait", flush_wait, 1},
    {"close", close_client, 1},
    {"stats", stats, 1},
    {"reports", reports, 1},
};

static void run(slice line) {
    char *name = json_text(json_member(line, "do"), NULL);
    char *form = json_text(json_member(line, "form"), NULL);
    size_t i = 0, count = sizeof calls / sizeof *calls;
    while (i < count && (name == NULL || strcmp(name, calls[i].name) != 0)) i++;
    if (i == count) {
        respond_unsupported("the worker has no such call");
    } else if (calls[i].needs_client && client == NULL) {
        puts("{\"status\":\"invalid_argument\",\"message\":\"there is no client; call init first\"}");
    } else {
        calls[i].run(json_member(line, "with"), form == NULL ? "json" : form);
    }
    free(name);
    free(form);
}

/* Reads the next line into memory that grows with it; 0 at the end. ISO C has no getline. */
static int read_line(char **line, size_t *size) {
    size_t len = 0;
    do {
        if (*size - len < 2) *line = realloc(*line, *size = *size * 2 + 4096);
        if (fgets(*line + len, (int)(*size - len), stdin) == NULL) break;
        len += strlen(*line + len);
    } while ((*line)[len - 1] != '\n');
    return len > 0;
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    while (read_line(&line, &size)) {
        run((slice){line, strlen(line)});
        fflush(stdout);
    }
    free(line);
    end_client();
    return 0;
}
