/* environment HOST PROXY EXPECTED-STATUS: one event there and back. */
#include <dlfcn.h>
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int *started = (int *)dlsym(RTLD_DEFAULT, "phc_test_started");
    if (started == NULL) return 3;
    *started = 1;
    if (strcmp(argv[1], "read-one") == 0) return getenv("HOME") == NULL;

    phc_config *config = phc_config_new("phc_test");
    phc_config_set(config, "host", argv[1]);
    phc_config_set(config, "proxy", argv[2]);
    phc_config_set(config, "max_retries", "0");
    phc_client *client = phc_client_new(config, NULL, 0);
    phc_config_free(config);
    phc_status captured = phc_capture(client, "user", "event", NULL);
    phc_status flushed = phc_flush(client, 20000, NULL, 0);
    phc_report *report = phc_poll(client, 0);
    printf("  capture %s, flush %s %s\n", phc_status_name(captured), phc_status_name(flushed),
           phc_report_error(report));
    phc_report_free(report);
    phc_client_free(client);
    return captured == PHC_OK && strcmp(phc_status_name(flushed), argv[3]) == 0 ? 0 : 1;
}
