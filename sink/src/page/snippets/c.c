#include <phc.h>

int main(void) {
    phc_config *config = phc_config_new("phc_local");
    phc_config_set(config, "host", "HOST");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    phc_capture(client, "user-1", "order placed", "{\"total\": 99.9}");
    phc_client_free(client); /* sends what is pending */
    return 0;
}
