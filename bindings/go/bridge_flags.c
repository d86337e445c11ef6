//go:build cgo && (phc_dynamic || (linux && !android && (amd64 || arm64)))

/* Feature flags: a whole query in one call, and reads that may call BeforeSend. */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"

#include "_cgo_export.h"

/* The next text of a query. */
static const char *next(const char **at) {
    const char *text = *at;
    *at += strlen(text) + 1;
    return text;
}

static phc_status fill(phc_flags_query *query, const char *at, const bridge_query *about) {
    phc_status status = PHC_OK;
    const char *device = next(&at), *person = next(&at);
    if (device[0] != '\0') status = phc_flags_query_set_device_id(query, device);
    if (status == PHC_OK && person[0] != '\0')
        status = phc_flags_query_set_person_json(query, person, strlen(person));
    for (uint32_t i = 0; i < about->groups && status == PHC_OK; i++) {
        const char *type = next(&at), *key = next(&at), *properties = next(&at);
        status = phc_flags_query_set_group(query, type, key, properties[0] == '\0' ? NULL : properties);
    }
    for (uint32_t i = 0; i < about->keys && status == PHC_OK; i++)
        status = phc_flags_query_add_key(query, next(&at));
    for (uint32_t i = 0; i < about->contexts && status == PHC_OK; i++)
        status = phc_flags_query_add_context(query, next(&at));
    if (status == PHC_OK && about->is_silent)
        status = phc_flags_query_set_option(query, PHC_FLAGS_NO_EVENTS, 1);
    if (status == PHC_OK && about->is_remote_only)
        status = phc_flags_query_set_option(query, PHC_FLAGS_REMOTE_ONLY, 1);
    if (status == PHC_OK && about->disable_geoip >= 0)
        status = phc_flags_query_set_option(query, PHC_FLAGS_DISABLE_GEOIP, about->disable_geoip);
    return status;
}

phc_status bridge_evaluate(phc_client *client, const char *texts, const bridge_query *about,
                           bridge_evaluation *out, char *error, size_t size) {
    memset(out, 0, sizeof *out);
    phc_flags_query *query = phc_flags_query_new(next(&texts));
    phc_status status = fill(query, texts, about);
    if (status == PHC_OK) status = phc_flags_evaluate(client, query, about->timeout_ms, &out->flags);
    if (status != PHC_OK) bridge_copy_last_error(error, size);
    phc_flags_query_free(query);
    out->error = phc_flags_error(out->flags);
    return status;
}

/* The key of the only flag of a query. */
static const char *only_key(const char *texts, const bridge_query *about) {
    for (uint32_t i = 0; i < 3 + 3 * about->groups; i++) next(&texts);
    return texts;
}

typedef phc_flag_kind reader(phc_flags *flags, const char *key, const char **variant);

static phc_status evaluate_flag(reader *read, phc_client *client, const char *texts,
                                const bridge_query *about, bridge_evaluation *out, char *error, size_t size) {
    phc_status status = bridge_evaluate(client, texts, about, out, error, size);
    if (out->flags == NULL || (status == PHC_WOULD_WAIT && !about->is_final)) {
        phc_flags_free(out->flags);
        out->flags = NULL;
        out->error = "";
        return status;
    }
    const char *key = only_key(texts, about);
    out->kind = read(out->flags, key, &out->variant);
    out->payload = phc_flags_payload(out->flags, key, &out->payload_len);
    out->unresolved = "";
    if (out->kind == PHC_FLAG_ABSENT) {
        phc_flag_detail detail;
        if (phc_flags_detail(out->flags, key, &detail, sizeof detail) == PHC_OK)
            out->unresolved = phc_flag_unresolved_name(detail.unresolved);
    } else if (out->variant == NULL && out->payload == NULL && out->error[0] == '\0') {
        phc_flags_free(out->flags);
        out->flags = NULL;
        out->error = "";
    }
    return status;
}

/* Go has declared that this one never calls it. A callback may be set nevertheless, for reads in a context. */
phc_status bridge_evaluate_flag(phc_client *client, const char *texts, const bridge_query *about,
                                bridge_evaluation *out, char *error, size_t size) {
    return evaluate_flag(bridge_read_flag, client, texts, about, out, error, size);
}

static phc_flag_kind read_calling(phc_flags *flags, const char *key, const char **variant) {
    return bridge_read_flag_calling(flags, key, 0, variant);
}

phc_status bridge_evaluate_flag_calling(phc_client *client, const char *texts, const bridge_query *about,
                                        bridge_evaluation *out, char *error, size_t size) {
    return evaluate_flag(read_calling, client, texts, about, out, error, size);
}

/* Whether this thread reads a flag, and in which context. */
static _Thread_local int is_reading;
static _Thread_local uintptr_t context;

phc_flag_kind bridge_read_flag_calling(phc_flags *flags, const char *key, uintptr_t around,
                                       const char **variant) {
    is_reading = 1;
    context = around;
    phc_flag_kind kind = phc_flags_get(flags, key, variant);
    is_reading = 0;
    return kind;
}

phc_flag_kind bridge_read_flag(phc_flags *flags, const char *key, const char **variant) {
    return phc_flags_get(flags, key, variant);
}

static int32_t on_before_send(phc_outgoing *event, void *handle) {
    if (!is_reading) return PHC_BEFORE_SEND_KEEP;
    size_t len = 0;
    const char *json = phc_outgoing_json(event, &len);
    /* The code of the host may read another flag on this thread, in another context. */
    uintptr_t around = context;
    is_reading = 0;
    int32_t decision = phcGoBeforeSend((uintptr_t)handle, around, event, (char *)json, len);
    is_reading = 1;
    context = around;
    return decision;
}

static void on_free(void *handle) { phcGoRelease((uintptr_t)handle); }

phc_status bridge_set_before_send_callback(phc_client *client, uintptr_t handle) {
    return phc_set_before_send_callback(client, on_before_send, (void *)handle, on_free);
}

/* Copies a text with its NUL to this place of the buffer, if it fits; returns the place after it. */
static size_t put(const char *text, char *buf, size_t len, size_t at) {
    size_t size = strlen(text) + 1;
    if (at + size <= len) memcpy(buf + at, text, size);
    return at + size;
}

size_t bridge_flags_values(const phc_flags *flags, char *buf, size_t len) {
    size_t at = 0;
    for (size_t i = 0, count = phc_flags_count(flags); i < count; i++) {
        const char *key = phc_flags_key(flags, i), *variant = NULL;
        phc_flag_kind kind = phc_binding_flags_peek(flags, key, &variant);
        if (kind == PHC_FLAG_ABSENT) continue;
        if (at < len) buf[at] = variant != NULL ? 'v' : kind == PHC_FLAG_TRUE ? '1' : '0';
        at = put(key, buf, len, at + 1);
        at = put(variant != NULL ? variant : "", buf, len, at);
    }
    return at;
}

phc_flags *bridge_flags_only(const phc_flags *flags, const char *keys, size_t n) {
    const char **list = malloc((n + 1) * sizeof *list);
    if (list == NULL) return NULL;
    for (size_t i = 0; i < n; i++) list[i] = next(&keys);
    phc_flags *copy = phc_flags_only(flags, list, n);
    free(list);
    return copy;
}
