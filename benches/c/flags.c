/* Feature flags, evaluated locally through the C interface:
 *
 *     cc -O2 -Iinclude benches/c/flags.c target/ship/libphc.so -Wl,-rpath,$PWD/target/ship -o target/flags
 *     target/flags
 *
 * Prints the best of several rounds, in nanoseconds. */
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLAGS 100
#define ROUNDS 15

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static phc_client *client_with(const char *definitions) {
    phc_config *config = phc_config_new("phc_bench");
    /* Reads are captured, once each, and sent nowhere. */
    phc_config_set(config, "test_mode", "true");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    double begun = now_ns();
    if (phc_flags_definitions_set(client, definitions, strlen(definitions)) != PHC_OK) {
        fprintf(stderr, "%s\n", phc_last_error());
        exit(1);
    }
    printf("  compiled %zu bytes in %.0f us\n", strlen(definitions), (now_ns() - begun) / 1000);
    return client;
}

/* Flags of one form: with a rollout only, or with three filters and variants. */
static char *definitions(int with_filters) {
    static char text[200000];
    char *end = text + sprintf(text, "{\"flags\":[");
    for (int i = 0; i < FLAGS; i++) {
        end += sprintf(
            end, "%s{\"id\":%d,\"key\":\"flag-%d\",\"active\":true,\"version\":1,\"filters\":{\"groups\":[{",
            i == 0 ? "" : ",", i, i);
        if (with_filters)
            end += sprintf(
                end,
                "\"properties\":["
                "{\"key\":\"country\",\"type\":\"person\",\"operator\":\"exact\",\"value\":[\"US\",\"CA\",\"DE\",\"FR\"]},"
                "{\"key\":\"email\",\"type\":\"person\",\"operator\":\"icontains\",\"value\":\"@Example\"},"
                "{\"key\":\"version\",\"type\":\"person\",\"operator\":\"regex\",\"value\":\"^2\\\\.[0-9]+\"}],");
        end += sprintf(end, "\"rollout_percentage\":%d}]", with_filters ? 100 : 45);
        if (with_filters)
            end += sprintf(end,
                           ",\"multivariate\":{\"variants\":[{\"key\":\"control\",\"rollout_percentage\":50},"
                           "{\"key\":\"test\",\"rollout_percentage\":50}]}");
        end += sprintf(end, "}}");
    }
    sprintf(end, "]}");
    return text;
}

static phc_flags_query *query_for(const char *key) {
    phc_flags_query *query = phc_flags_query_new("user-4711");
    phc_flags_query_set_person(query, "country", "\"de\"");
    phc_flags_query_set_person(query, "email", "\"somebody@example.com\"");
    phc_flags_query_set_person(query, "version", "\"2.31.4\"");
    if (key != NULL) phc_flags_query_add_key(query, key);
    return query;
}

/* Evaluates, reads one flag, frees. */
static void measure(const char *what, const phc_client *client, const char *key, int calls) {
    phc_flags_query *query = query_for(key);
    double best = 1e18;
    long read = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double begun = now_ns();
        for (int i = 0; i < calls; i++) {
            phc_flags *flags = NULL;
            phc_flags_evaluate(client, query, 0, &flags);
            read += phc_flags_enabled(flags, "flag-7", 0);
            phc_flags_free(flags);
        }
        double each = (now_ns() - begun) / calls;
        if (each < best) best = each;
    }
    printf("%-60s %9.0f ns (%ld)\n", what, best, read);
    phc_flags_query_free(query);
}

int main(void) {
    phc_client *simple = client_with(definitions(0));
    phc_client *filtered = client_with(definitions(1));
    measure("one simple flag: evaluate, read, free", simple, "flag-7", 200000);
    measure("one flag with three filters and variants", filtered, "flag-7", 100000);
    measure("100 simple flags", simple, NULL, 3000);
    measure("100 flags with three filters and variants", filtered, NULL, 3000);
    double begun = now_ns();
    for (int i = 0; i < 100000; i++) phc_flag_enabled(simple, "flag-7", "user-4711", 0);
    printf("%-60s %9.0f ns\n", "phc_flag_enabled", (now_ns() - begun) / 100000);
    begun = now_ns();
    for (int i = 0; i < 100000; i++) phc_flags_query_free(query_for("flag-7"));
    printf("%-60s %9.0f ns\n", "a query with three properties, made and freed", (now_ns() - begun) / 100000);
    phc_client_free(simple);
    phc_client_free(filtered);
    return 0;
}
