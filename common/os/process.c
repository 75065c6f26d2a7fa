#include "common/os/process.h"

#include "common/os/clock.h"

#include <holdfast/bytes.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

static void free_environment(char **env, size_t n_variables)
{
    for (size_t i = 0; env != NULL && i < n_variables; i++)
        free(env[i]);
    free(env);
}

/* `variables`, which are owned, and then the process's own without those names: of two equal names
 * some shells take the first and some the last. NULL when memory is short. */
static char **make_environment(const struct hf_variable *variables, size_t n_variables)
{
    size_t n_inherited = 0, n = n_variables;
    while (environ[n_inherited] != NULL)
        n_inherited++;
    char **env = calloc(n_variables + n_inherited + 1, sizeof *env);
    for (size_t i = 0; env != NULL && i < n_variables; i++) {
        struct hf_buf text = {0};
        if (hf_buf_printf(&text, "%s=%s", variables[i].name, variables[i].value) != HF_OK) {
            hf_buf_free(&text);
            free_environment(env, i);
            return NULL;
        }
        env[i] = (char *)text.data;
    }
    for (size_t i = 0; env != NULL && i < n_inherited; i++) {
        bool is_ours = false;
        for (size_t v = 0; v < n_variables && !is_ours; v++)
            is_ours = strncmp(env[v], environ[i], strcspn(env[v], "=") + 1) == 0;
        if (!is_ours)
            env[n++] = environ[i];
    }
    return env;
}

/* In a process group of its own, so that all of it can be killed, and with signals as a shell
 * expects them. 0 or an errno. */
static int start_shell(const char *command, char **env, pid_t *out)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    /* Standard output belongs to the program's own last line. */
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(&attributes, &all);
    if (error == 0)
        error = posix_spawnattr_setpgroup(&attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                                          POSIX_SPAWN_SETSIGDEF |
                                                          POSIX_SPAWN_SETPGROUP);
    if (error == 0)
        error = posix_spawn(out, "/bin/sh", &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* A library may not touch the application's SIGCHLD, so it looks again and again. */
static enum hf_err wait_for(pid_t child, const char *what, unsigned timeout_ms, int *status,
                            struct hf_why *why)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    const int64_t deadline_ms = hf_monotonic_ms() + timeout_ms;
    for (;;) {
        pid_t ended = waitpid(child, status, WNOHANG);
        if (ended == child)
            return HF_OK;
        if (ended < 0 && errno != EINTR)
            return hf_fail(why, HF_E_STATE, "how %s ended is unknown: %s", what, strerror(errno));
        if (hf_monotonic_ms() >= deadline_ms)
            break;
        nanosleep(&pause, NULL);
    }
    (void)kill(-child, SIGKILL);
    while (waitpid(child, status, 0) < 0 && errno == EINTR)
        continue;
    return hf_fail(why, HF_E_STATE, "%s did not end within %u seconds and was killed", what,
                   timeout_ms / 1000);
}

enum hf_err hf_shell_run(const char *command, const char *what, const struct hf_variable *variables,
                         size_t n_variables, unsigned timeout_ms, struct hf_why *why)
{
    pid_t child = -1;
    int status = 0;
    char **env = make_environment(variables, n_variables);
    if (env == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %s", what);
    int error = start_shell(command, env, &child);
    free_environment(env, n_variables);
    if (error != 0)
        return hf_fail(why, HF_E_STATE, "%s cannot be started: %s", what, strerror(error));
    HF_TRY(wait_for(child, what, timeout_ms, &status, why));
    if (WIFSIGNALED(status))
        return hf_fail(why, HF_E_STATE, "%s was killed by signal %d (%s)", what, WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return hf_fail(why, HF_E_STATE, "%s ended with exit status %d", what, WEXITSTATUS(status));
    return HF_OK;
}

void hf_core_dump_forbid(void)
{
    /* RLIMIT_CORE does not stop a collector that the kernel pipes dumps to, and children inherit
     * it. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
