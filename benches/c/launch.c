/*
 * launch CPUS COMMAND…: runs a command on these CPUs (0, or 0,1) and prints, as the last line, how much processor
 * time and memory it used. Linux counts the memory of the process before its exec in the peak; this program is
 * smaller than every command that it runs, which a Python program would not be.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(struct timeval time) { return (double)time.tv_sec + (double)time.tv_usec / 1e6; }

int main(int count, char **values) {
    if (count < 3) return 2;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (char *cpu = strtok(values[1], ","); cpu; cpu = strtok(NULL, ",")) CPU_SET(atoi(cpu), &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus)) {
        perror("sched_setaffinity");
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        execvp(values[2], values + 2);
        perror(values[2]);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) < 0) return 1;
    printf("{\"user\":%.6f,\"system\":%.6f,\"peak_kb\":%ld,\"yields\":%ld,\"preempted\":%ld}\n",
           seconds(used.ru_utime), seconds(used.ru_stime), used.ru_maxrss, used.ru_nvcsw, used.ru_nivcsw);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
