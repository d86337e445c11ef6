/* A program that does nothing but print its own peak memory, which is subtracted from that of others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 1;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0) printf("{\"peak_kb\":%d}\n", atoi(line + 6));
    fclose(file);
    return 0;
}
