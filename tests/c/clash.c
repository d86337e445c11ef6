/*
 * A host that has its own zstd and ring, by name: linking it against libphc.a
 * must neither clash nor mix them up.
 */
#include <phc.h>
#include <stdio.h>

int ZSTD_compress(void);
int ZSTD_compress2(void);
int ZSTD_createCCtx(void);
int ring_core_0_17_14__OPENSSL_cpuid_setup(void);

static int host_calls;
int ZSTD_compress(void) { return ++host_calls; }
int ZSTD_compress2(void) { return ++host_calls; }
int ZSTD_createCCtx(void) { return ++host_calls; }
int ring_core_0_17_14__OPENSSL_cpuid_setup(void) { return ++host_calls; }

int main(int argc, char **argv) {
    phc_config *config = phc_config_new("phc_test");
    phc_config_set(config, "host", argc > 1 ? argv[1] : "http://127.0.0.1:9");
    phc_config_set(config, "compression", "zstd");
    phc_client *client = phc_client_new(config, NULL);
    phc_config_free(config);
    phc_status captured = phc_capture(client, "user", "clash", NULL);
    phc_status flushed = phc_flush(client, 10000, NULL, 0);
    phc_client_free(client);
    printf("capture %s, flush %s, calls into the host's symbols: %d\n", phc_status_name(captured),
           phc_status_name(flushed), host_calls);
    return captured == PHC_OK && flushed == PHC_OK && host_calls == 0 ? 0 : 1;
}
