/* one_event HOST [KEY=VALUE]…: one event there, with these settings. Prints the
 * flush's status with the report's error, then each line of the log.
 *
 * vanish=new removes ca_file once the client is made, vanish=capture once the
 * event is captured (which then waits until it has to be sent). */
#include <phc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void log_line(phc_log_level level, const char *message, void *user_data) {
    (void)level;
    fprintf(user_data, "log: %s\n", message);
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    const char *ca_file = "", *vanish = "";
    phc_config *config = phc_config_new("phc_test");
    phc_config_set(config, "host", argv[1]);
    phc_config_set(config, "max_retries", "0");
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL) return 2;
        *value++ = '\0';
        if (strcmp(argv[i], "ca_file") == 0) ca_file = value;
        if (strcmp(argv[i], "vanish") == 0) {
            vanish = value;
        } else if (phc_config_set(config, argv[i], value) != PHC_OK) {
            printf("%s\n", phc_last_error());
            return 1;
        }
    }
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    if (client == NULL) {
        printf("%s\n", phc_last_error());
        return 1;
    }
    char lines[4096] = "";
    FILE *log = fmemopen(lines, sizeof lines, "w");
    phc_set_log_callback(client, log_line, log, NULL);
    if (strcmp(vanish, "new") == 0) unlink(ca_file);
    phc_status status = phc_capture(client, "user", "event", NULL);
    if (strcmp(vanish, "capture") == 0) unlink(ca_file);
    if (status == PHC_OK) {
        status = phc_flush(client, 20000, NULL, 0);
        phc_report *report = phc_poll(client, 0);
        phc_stats stats;
        phc_stats_get(client, &stats, sizeof stats);
        printf("%s %s (maybe_delivered=%d)\n", phc_status_name(status), phc_report_error(report),
               (int)stats.maybe_delivered);
        phc_report_free(report);
    } else {
        printf("%s %s\n", phc_status_name(status), phc_last_error());
    }
    phc_client_free(client);
    fclose(log);
    fputs(lines, stdout);
    return 0;
}
