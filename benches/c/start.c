/*
 * What it costs to load the library, to make a client, and to capture the first
 * event, which starts the I/O thread: start library=… host=…
 */
#include <phc.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int count, char **values) {
    if (count < 3) return 2;
    double start = now();
    void *library = dlopen(strchr(values[1], '=') + 1, RTLD_NOW | RTLD_LOCAL);
    double loaded = now();
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    __typeof__(phc_config_new) *config_new = dlsym(library, "phc_config_new");
    __typeof__(phc_config_set) *config_set = dlsym(library, "phc_config_set");
    __typeof__(phc_client_new) *client_new = dlsym(library, "phc_client_new");
    __typeof__(phc_capture) *capture = dlsym(library, "phc_capture");
    __typeof__(phc_client_close) *client_close = dlsym(library, "phc_client_close");
    double named = now();
    phc_config *config = config_new("phc_bench");
    config_set(config, "host", strchr(values[2], '=') + 1);
    phc_client *client = client_new(config, NULL, 0);
    double made = now();
    phc_status first = capture(client, "user", "event", NULL);
    double captured = now();
    phc_status second = capture(client, "user", "event", NULL);
    double again = now();
    if (client_close(client, 5000) != PHC_OK || first || second) return 1;
    printf("{\"load\":%.1f,\"client\":%.1f,\"first\":%.2f,\"second\":%.2f,\"close\":%.1f}\n", loaded - start,
           made - named, captured - made, again - captured, now() - again);
    return 0;
}
