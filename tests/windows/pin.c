/*
 * phc.dll stays loaded once there was a client, however often it is freed, because its threads
 * run its code. Before that it can be unloaded. Usage: pin.exe PATH-OF-DLL HOST
 */
#include <phc.h>
#include <stdio.h>
#include <windows.h>

#define FUNCTION(name) __typeof__(name) *name##_of = (__typeof__(name) *)(void *)GetProcAddress(dll, #name)

static int check(int ok, const char *text) {
    printf("%s %s\n", ok ? "ok" : "FAILED", text);
    return ok ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int failed = 0;
    HMODULE dll = LoadLibraryA(argv[1]);
    failed += check(dll != NULL, "the DLL loads");
    if (dll == NULL) return 1;
    FreeLibrary(dll);
    failed += check(GetModuleHandleA("phc.dll") == NULL, "without a client it can be unloaded");

    dll = LoadLibraryA(argv[1]);
    FUNCTION(phc_config_new);
    FUNCTION(phc_config_set);
    FUNCTION(phc_config_free);
    FUNCTION(phc_client_new);
    FUNCTION(phc_client_free);
    FUNCTION(phc_capture);
    phc_config *config = phc_config_new_of("key");
    failed += check(phc_config_set_of(config, "host", argv[2]) == PHC_OK, "the host is accepted");
    phc_config_set_of(config, "flush_at", "1");
    phc_client *client = phc_client_new_of(config, NULL);
    phc_config_free_of(config);
    failed += check(client != NULL, "a client is made");
    failed += check(phc_capture_of(client, "person", "before", NULL) == PHC_OK, "an event is captured");
    for (int i = 0; i < 3; i++) FreeLibrary(dll);
    failed += check(GetModuleHandleA("phc.dll") == dll, "with a client it stays loaded");
    failed += check(phc_capture_of(client, "person", "after", NULL) == PHC_OK, "and works");
    phc_client_free_of(client);
    FreeLibrary(dll);
    failed += check(GetModuleHandleA("phc.dll") == dll, "it stays when the client is gone");
    return failed > 0;
}
