// loaded FILE: one event through the libphc in FILE, opened while the program runs, as FFI of Ruby and PHP does.
#include <dlfcn.h>
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;

static void *function(const char *name) {
    void *address = dlsym(library, name);
    if (address == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return address;
}
#define CALL(name) ((__typeof__(&name))function(#name))

int main(int count, char **arguments) {
    library = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "%s\n", count == 2 ? dlerror() : "usage: loaded FILE");
        return 1;
    }
    phc_config *config = CALL(phc_config_new)(getenv("POSTHOG_API_KEY"));
    CALL(phc_config_set)(config, "host", getenv("POSTHOG_HOST"));
    phc_client *client = CALL(phc_client_new)(config, NULL);
    CALL(phc_config_free)(config);
    if (client == NULL) {
        fprintf(stderr, "%s\n", CALL(phc_last_error)());
        return 1;
    }
    CALL(phc_capture)(client, "user-1", "page viewed", "{\"path\": \"/pricing\"}");
    phc_flush_result result = {0};
    phc_status status = CALL(phc_flush)(client, 10000, &result, sizeof result);
    printf("libphc %s, loaded: %s, %u delivered\n", CALL(phc_version)(), CALL(phc_status_name)(status),
           (unsigned)result.delivered);
    CALL(phc_client_free)(client);
    return status == PHC_OK ? 0 : 1;
}
