/*
 * versions PLUGIN LIBRARY PLUGIN LIBRARY: loads two plugins, which are linked to libraries of different ABI
 * versions. Each must call its own library. With PHC_PLUGIN defined this is the source of the plugins.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <phc.h>
#include <stdio.h>
#include <string.h>

#ifdef PHC_PLUGIN

const char *library_of_the_plugin(void);
const char *library_of_the_plugin(void) {
    Dl_info found;
    return dladdr((void *)phc_capture, &found) ? found.dli_fname : "nowhere";
}

#else

int main(int argc, char **argv) {
    int wrong = argc != 5;
    for (int i = 1; i + 1 < argc; i += 2) {
        /* With global scope, like libraries of the program itself: the second plugin searches the first. */
        void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL);
        const char *(*library)(void) = NULL;
        if (plugin != NULL) *(void **)&library = dlsym(plugin, "library_of_the_plugin");
        if (library == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        const char *slash = strrchr(library(), '/');
        printf("%s calls %s\n", argv[i], library());
        wrong += slash == NULL || strcmp(slash + 1, argv[i + 1]) != 0;
    }
    return wrong != 0;
}

#endif
