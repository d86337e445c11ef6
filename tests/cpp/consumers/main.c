/* The same in C. */
#include <phc_binding.h>
#include <string.h>

int main(void) {
    phc_config *config = phc_config_new("phc_consumer");
    phc_config_set(config, "test_mode", "true");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    char event[1024] = "";
    phc_capture(client, "user-1", "built", "{\"with\": \"C\"}");
    phc_binding_next_test_event(client, event, sizeof event);
    phc_client_free(client);
    return strstr(event, "\"with\": \"C\"") == NULL;
}
