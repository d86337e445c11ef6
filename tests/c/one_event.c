/* tls HOST CA-FILE: one event; prints the flush's status and the report's error. */
#include <phc.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    phc_config *config = phc_config_new("phc_test");
    phc_config_set(config, "host", argv[1]);
    phc_config_set(config, "ca_file", argv[2]);
    phc_config_set(config, "max_retries", "0");
    char error[256] = "";
    phc_client *client = phc_client_new(config, error, sizeof error);
    phc_config_free(config);
    if (client == NULL) {
        printf("%s\n", error);
        return 1;
    }
    phc_capture(client, "user", "event", NULL);
    phc_status status = phc_flush(client, 20000, NULL, 0);
    phc_report *report = phc_poll(client, 0);
    printf("%s %s\n", phc_status_name(status), phc_report_error(report));
    phc_report_free(report);
    phc_client_free(client);
    return 0;
}
