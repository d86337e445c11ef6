/* A program that does nothing: what others take is measured above it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0) printf("{\"peak_kb\":%d}\n", atoi(line + 6));
    return 0;
}
