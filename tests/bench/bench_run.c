/*
 * Run a program and print how long it took, how much time of a processor (its own and the kernel's
 * for it) and how much memory it held at its peak, as JSON on the last line. It is small itself:
 * the kernel counts what a process was before exec as its peak, too, so a large interpreter cannot
 * do this.
 */
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double ms(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

int main(int argc, char **argv)
{
    struct timespec begin, end;
    struct rusage usage;
    pid_t child;
    int status;
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_run PROGRAM [ARGUMENT…]\n");
        return 2;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    if (posix_spawnp(&child, argv[1], NULL, NULL, argv + 1, environ) != 0 ||
        wait4(child, &status, 0, &usage) != child) {
        perror(argv[1]);
        return 1;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    double wall_ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 +
                     (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
    printf("{\"wall_ms\":%.3f,\"cpu_ms\":%.3f,\"peak_kib\":%ld}\n", wall_ms,
           ms(usage.ru_utime) + ms(usage.ru_stime), usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
