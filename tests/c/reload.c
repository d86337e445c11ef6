/* reload LIBRARY HOST: loads the library, uses it, unloads it, twenty times, and
 * forks in between: its threads are gone, its fork handler is still there. */
#include <dirent.h>
#include <dlfcn.h>
#include <phc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int threads(void) {
    int found = -2;
    DIR *tasks = opendir("/proc/self/task");
    while (readdir(tasks) != NULL) found++;
    closedir(tasks);
    return found;
}

#define FIND(name)                                                                                           \
    __typeof__(&name) own_##name;                                                                            \
    *(void **)&own_##name = dlsym(library, #name);                                                           \
    if (own_##name == NULL) return fprintf(stderr, "%s\n", dlerror()), 1

static int use(const char *path, const char *host) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
    FIND(phc_config_new);
    FIND(phc_config_set);
    FIND(phc_config_free);
    FIND(phc_client_new);
    FIND(phc_client_close);
    FIND(phc_client_free);
    FIND(phc_capture);
    phc_config *config = own_phc_config_new("phc_test");
    own_phc_config_set(config, "host", host);
    phc_client *client = own_phc_client_new(config, NULL);
    own_phc_config_free(config);
    if (own_phc_capture(client, "user", "reloaded", NULL) != PHC_OK) return 2;
    if (threads() != 2) return 3;
    if (own_phc_client_close(client, 10000) != PHC_OK) return 4;
    own_phc_client_free(client);
    return dlclose(library) == 0 ? 0 : 5;
}

int main(int argc, char **argv) {
    if (argc != 3) return 9;
    for (int i = 0; i < 20; i++) {
        int bad = use(argv[1], argv[2]);
        /* The system may list a thread for a moment after it was joined. */
        for (int wait = 0; threads() != 1 && wait < 20000; wait++) usleep(1000);
        if (bad || threads() != 1) return fprintf(stderr, "round %d: %d, %d threads\n", i, bad, threads()), 1;
        pid_t pid = fork();
        if (pid == 0) _exit(use(argv[1], argv[2]));
        int status = -1;
        waitpid(pid, &status, 0);
        if (status != 0) return fprintf(stderr, "round %d: the child ended with %d\n", i, status), 1;
    }
    return 0;
}
