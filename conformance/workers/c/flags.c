/*
 * Feature flags: one flag for one person, evaluated and read, and a reload of
 * the definitions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

static int is_true(slice value) { return value.len == 4 && memcmp(value.at, "true", 4) == 0; }

/* A query, and the status of the first call that failed. */
typedef struct {
    phc_flags_query *query;
    phc_status status;
    slice group_properties;
} query;

static void add_group(slice type, slice key, void *data) {
    query *to = data;
    if (to->status != PHC_OK) return;
    char *type_text = json_text(type, NULL), *key_text = json_text(key, NULL);
    char *properties = json_copy(json_member(to->group_properties, type_text));
    to->status = phc_flags_query_set_group(to->query, type_text, key_text, properties);
    free(type_text);
    free(key_text);
    free(properties);
}

static void set_option(query *to, phc_flags_option option, slice value) {
    if (to->status != PHC_OK || value.at == NULL) return;
    to->status = phc_flags_query_set_option(to->query, option, is_true(value));
}

static query query_of(slice with) {
    char *id = json_text(json_member(with, "distinct_id"), NULL);
    char *key = json_text(json_member(with, "key"), NULL);
    query to = {phc_flags_query_new(id), PHC_OK, json_member(with, "group_properties")};
    to.status = phc_flags_query_add_key(to.query, key);
    slice person = json_member(with, "person_properties");
    if (to.status == PHC_OK && person.at != NULL)
        to.status = phc_flags_query_set_person_json(to.query, person.at, person.len);
    json_members(json_member(with, "groups"), add_group, &to);
    set_option(&to, PHC_FLAGS_DISABLE_GEOIP, json_member(with, "disable_geoip"));
    set_option(&to, PHC_FLAGS_REMOTE_ONLY, json_member(with, "force_remote"));
    free(id);
    free(key);
    return to;
}

static void print_value(phc_flags *flags, const char *key) {
    const char *variant = NULL;
    switch (phc_flags_get(flags, key, &variant)) {
    case PHC_FLAG_VARIANT: json_print(variant); break;
    case PHC_FLAG_TRUE: printf("true"); break;
    case PHC_FLAG_FALSE: printf("false"); break;
    default: printf("null"); break;
    }
}

void get_feature_flag(slice with, const char *form) {
    (void)form;
    phc_flags *flags = NULL;
    query of = query_of(with);
    if (of.status == PHC_OK) {
        int is_local = is_true(json_member(with, "only_evaluate_locally"));
        uint32_t limit = is_local ? 0 : (uint32_t)json_number(json_member(with, "timeout_ms"));
        of.status = phc_flags_evaluate(client, of.query, limit, &flags);
    }
    phc_flags_query_free(of.query);
    if (flags == NULL) {
        respond(of.status, NULL);
        return;
    }
    char *key = json_text(json_member(with, "key"), NULL);
    phc_flag_detail detail = {0};
    phc_flags_detail(flags, key, &detail, sizeof detail);
    printf("{\"status\":\"ok\",\"result\":{\"value\":");
    print_value(flags, key);
    printf(",\"locally_evaluated\":%s,\"error\":", detail.is_local ? "true" : "false");
    json_print(phc_flags_error(flags));
    puts("}}");
    free(key);
    phc_flags_free(flags);
}

void reload_definitions(slice with, const char *form) {
    (void)form;
    respond(phc_flags_reload(client, (uint32_t)json_number(json_member(with, "timeout_ms"))), NULL);
}
