/* Prints the events that libphc itself makes of the exceptions of exception_shape_test.go. */
#include <phc.h>
#include <phc_binding.h>
#include <stdio.h>
#include <string.h>

static phc_client *client;

static void frame(phc_exception *exception, int line) {
    char json[256];
    int length =
        snprintf(json, sizeof json,
                 "{\"filename\":\"/app/%d.go\",\"lineno\":%d,\"function\":\"app.f%d\",\"in_app\":true,"
                 "\"platform\":\"go\"}",
                 line, line, line);
    phc_exception_add_frame_json(exception, json, (size_t)length);
}

static void print(const char *id, phc_exception *exception) {
    static char event[2 << 20];
    if (phc_capture_exception(client, id, exception, "{\"slot\":1,\"$exception_handled\":true}", NULL) !=
        PHC_OK) {
        fprintf(stderr, "%s\n", phc_last_error());
    }
    phc_binding_next_test_event(client, event, sizeof event);
    puts(event);
}

int main(void) {
    phc_config *config = phc_config_new("k");
    phc_config_set(config, "test_mode", "true");
    client = phc_client_new(config, NULL);
    phc_config_free(config);

    phc_exception *alone = phc_exception_new("*app.Error", "it broke");
    print(NULL, alone);

    phc_exception *chain = phc_exception_new("*app.Error", "it broke");
    phc_exception_set(chain, "level", "fatal");
    phc_exception_set(chain, "handled", "false");
    phc_exception_set(chain, "fingerprint", "mine");
    frame(chain, 2);
    frame(chain, 1);
    phc_exception_add_cause(chain, "*fs.PathError", "", "unwrap");
    phc_exception_add_cause(chain, "syscall.Errno", "no space", NULL);
    print("user", chain);

    static char text[20000];
    text[0] = 'x';
    for (size_t i = 1; i + 1 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    phc_exception *large = phc_exception_new("large", text);
    for (int cause = 0; cause < 60; cause++) {
        for (int line = 0; line < 70; line++) {
            frame(large, line);
        }
        phc_exception_add_cause(large, "large", text, NULL);
    }
    print("user", large);
    phc_client_free(client);
    return 0;
}
