/*
 * What differs on Windows, through the C interface: docs/platforms.md has the list.
 * Usage: platform.exe HOST, the address of the sink by the name localhost
 */
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>

static int failed;

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        int ok_ = !!(condition);                                                                             \
        printf("%s line %d: %s", ok_ ? "ok" : "FAILED", __LINE__, #condition);                               \
        if (!ok_) printf(" -- " __VA_ARGS__);                                                                \
        printf("\n");                                                                                        \
        failed += !ok_;                                                                                      \
    } while (0)

static phc_config *config_of(const char *host) {
    phc_config *config = phc_config_new("key");
    phc_config_set(config, "host", host);
    phc_config_set(config, "flush_at", "1");
    phc_config_set(config, "max_retries", "0");
    return config;
}

static void the_setting_resolver(const char *host) {
    phc_config *config = config_of(host);
    CHECK(strcmp(phc_config_get(config, "resolver"), "system") == 0);
    CHECK(phc_config_set(config, "resolver", "builtin") == PHC_INVALID_SETTING);
    CHECK(strstr(phc_last_error(), "use system") != NULL, "%s", phc_last_error());
    CHECK(phc_config_set(config, "resolver", "system") == PHC_OK);
    phc_config_free(config);
}

static void exit_flush_is_refused(const char *host) {
    phc_config *config = config_of(host);
    CHECK(phc_config_set(config, "exit_flush_ms", "100") == PHC_OK);
    phc_status status = PHC_OK;
    phc_client *client = phc_client_new(config, &status);
    CHECK(client == NULL);
    CHECK(status == PHC_INVALID_SETTING, "it is %s", phc_status_name(status));
    CHECK(strstr(phc_last_error(), "exit_flush_ms") != NULL, "%s", phc_last_error());
    phc_config_free(config);
}

/* The host is a name, so the system's resolver has to find it. */
static void events_reach_a_host_that_has_a_name(const char *host) {
    phc_config *config = config_of(host);
    phc_client *client = phc_client_new(config, NULL);
    CHECK(phc_capture(client, "person", "event", "{\"n\":1}") == PHC_OK, "%s", phc_last_error());
    phc_flush_result result = {0};
    CHECK(phc_flush(client, 20000, &result, sizeof result) == PHC_OK, "%s", phc_last_error());
    CHECK(result.delivered == 1, "%llu delivered", (unsigned long long)result.delivered);
    phc_client_free(client);
    phc_config_free(config);
}

static int is_readable(SOCKET socket, int timeout_ms) {
    WSAPOLLFD poll = {socket, POLLRDNORM, 0};
    int count = WSAPoll(&poll, 1, timeout_ms);
    return count == 1 && (poll.revents & POLLRDNORM) != 0;
}

/* Many times, because the byte of the library's pair of sockets takes some time to arrive. */
static void a_socket_is_readable_while_reports_wait(const char *host) {
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    phc_config *config = config_of(host);
    phc_config_set(config, "reports", "all");
    phc_client *client = phc_client_new(config, NULL);
    SOCKET socket = (SOCKET)phc_poll_fd(client);
    CHECK(socket != INVALID_SOCKET, "%s", phc_last_error());
    int readable_too_early = 0, never_readable = 0, no_report = 0, readable_too_late = 0;
    for (int i = 0; i < 50; i++) {
        readable_too_early += is_readable(socket, 0);
        phc_capture(client, "person", "event", NULL);
        never_readable += !is_readable(socket, 20000);
        phc_report *report = phc_poll(client, 0);
        no_report += report == NULL;
        while (report != NULL) {
            phc_report_free(report);
            report = phc_poll(client, 0);
        }
        readable_too_late += is_readable(socket, 2);
    }
    CHECK(readable_too_early == 0, "%d times", readable_too_early);
    CHECK(never_readable == 0, "%d times", never_readable);
    CHECK(no_report == 0, "%d times", no_report);
    CHECK(readable_too_late == 0, "%d times", readable_too_late);
    phc_client_free(client);
    phc_config_free(config);
}

static char logged[8192];
static void log_line(phc_log_level level, const char *line, void *user_data) {
    (void)level, (void)user_data;
    size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", line);
}

static void certificates_are_those_of_windows(void) {
    phc_config *config = config_of("https://127.0.0.1:9");
    phc_client *client = phc_client_new(config, NULL);
    phc_set_log_callback(client, log_line, NULL, NULL);
    phc_capture(client, "person", "event", NULL);
    phc_flush(client, 20000, NULL, 0);
    phc_client_free(client); /* ends the callback */
    phc_config_free(config);
    CHECK(strstr(logged, "the certificate store of Windows and the bundled Mozilla roots") != NULL, "%s",
          logged);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    the_setting_resolver(argv[1]);
    exit_flush_is_refused(argv[1]);
    events_reach_a_host_that_has_a_name(argv[1]);
    a_socket_is_readable_while_reports_wait(argv[1]);
    certificates_are_those_of_windows();
    return failed > 0;
}
