/*
 * Captures a few events and reports what became of them.
 *
 *   cc quickstart.c $(pkg-config --cflags --libs phc) -o quickstart
 *   ./quickstart https://us.i.posthog.com phc_your_project_key
 */
#include <phc.h>
#include <stdio.h>

/* Called on a thread of the client's own: with every report of a loss as the error callback, with
 * every report of deliveries as the delivery callback. */
static void on_report(const phc_report *report, void *user_data) {
    (void)user_data;
    for (size_t i = 0; i < phc_report_event_count(report); i++) {
        phc_event_report event;
        if (phc_report_event(report, i, &event, sizeof event) != PHC_OK) continue;
        printf("  %s %s: attempt %u, HTTP %u", event.uuid, phc_loss_name(event.loss),
               phc_report_attempt(report), phc_report_http_status(report));
        if (event.verdict[0] != '\0') printf(", verdict %s %s", event.verdict, event.details);
        if (phc_report_error(report)[0] != '\0') printf(": %s", phc_report_error(report));
        printf("\n");
    }
}

static phc_client *connect_to(const char *host, const char *api_key) {
    phc_config *config = phc_config_new(api_key);
    phc_config_set(config, "host", host);
    /* Fails if a setting was refused, or if it cannot work. */
    phc_client *client = phc_client_new(config, NULL);
    if (client == NULL) fprintf(stderr, "%s\n", phc_last_error());
    phc_config_free(config);
    return client;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST PROJECT_KEY\n", argv[0]);
        return 2;
    }
    phc_client *client = connect_to(argv[1], argv[2]);
    if (client == NULL) return 1;
    phc_set_error_callback(client, on_report, NULL, NULL);
    phc_set_delivery_callback(client, on_report, NULL, NULL);

    /* Properties as JSON text. */
    phc_capture(client, "user-1", "page viewed", "{\"path\": \"/pricing\", \"$session_id\": \"s-1\"}");
    phc_capture(client, "user-1", "button clicked", "{\"label\": \"Buy\"}");

    /* An event that is built property by property. The capture frees it. */
    char uuid[PHC_UUID_SIZE];
    phc_event *order = phc_event_new("user-1", "order placed");
    phc_event_set_double(order, "total", 249.95);
    phc_event_set_int(order, "items", 3);
    phc_event_set_group(order, "company", "acme");
    if (phc_capture_event(client, order, uuid) == PHC_OK) printf("captured order placed as %s\n", uuid);

    phc_identify(client, "user-1", "{\"plan\": \"pro\"}", NULL, NULL);

    /* Input that cannot be sent is refused here, and nothing else is lost. */
    if (phc_capture(client, "user-1", "bad input", "{\"total\": }") != PHC_OK) {
        printf("refused: %s\n", phc_last_error());
    }

    phc_flush_result result = {0};
    phc_status status = phc_flush(client, 10000, &result, sizeof result);
    printf("flush: %s; %llu delivered, %llu lost, %llu pending\n", phc_status_name(status),
           (unsigned long long)result.delivered, (unsigned long long)result.lost,
           (unsigned long long)result.pending);
    /* Waits for what is pending, for at most the setting shutdown_timeout_ms, and for the callbacks. */
    phc_client_free(client);
    return status == PHC_OK ? 0 : 1;
}
