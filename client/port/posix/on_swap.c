#include "client/port/posix/on_swap.h"

#include "common/os/clock.h"

#include <holdfast/bytes.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS 20

/* ---- the environment ---------------------------------------------------------------------------- */

#define N_VARIABLES 6

struct environment {
    char *ours[N_VARIABLES]; /* owned */
    char **all;              /* ours, then the process's own; owned, its texts not */
};

static void environment_free(struct environment *env)
{
    for (size_t i = 0; i < N_VARIABLES; i++)
        free(env->ours[i]);
    free(env->all);
}

static enum hf_err variable(const char *name, const char *value, char **out)
{
    struct hf_buf text = {0};

    enum hf_err err = hf_buf_printf(&text, "%s=%s", name, value);
    if (err == HF_OK)
        *out = (char *)text.data;
    else
        hf_buf_free(&text);
    return err;
}

static enum hf_err fill_ours(const struct hf_swap_notice *n, struct environment *env)
{
    HF_TRY(variable("HOLDFAST_STATE", n->state, &env->ours[0]));
    HF_TRY(variable("HOLDFAST_SET", n->set, &env->ours[1]));
    HF_TRY(variable("HOLDFAST_PROFILE", n->profile, &env->ours[2]));
    HF_TRY(variable("HOLDFAST_OLD_VERSION", n->old_version, &env->ours[3]));
    HF_TRY(variable("HOLDFAST_NEW_VERSION", n->new_version, &env->ours[4]));
    return variable("HOLDFAST_EXPORT", n->export_file, &env->ours[5]);
}

static bool is_one_of_ours(const struct environment *env, const char *entry)
{
    for (size_t i = 0; i < N_VARIABLES; i++) {
        size_t name_len = strcspn(env->ours[i], "=");
        if (strncmp(env->ours[i], entry, name_len + 1) == 0)
            return true;
    }
    return false;
}

/* Of two equal names some shells take the first and some the last, so each stands there once. */
static enum hf_err environment_make(const struct hf_swap_notice *notice, struct environment *env)
{
    size_t n_inherited = 0;
    size_t n = N_VARIABLES;

    HF_TRY(fill_ours(notice, env));
    while (environ[n_inherited] != NULL)
        n_inherited++;
    env->all = calloc(N_VARIABLES + n_inherited + 1, sizeof(*env->all));
    if (env->all == NULL)
        return HF_E_MEMORY;
    memcpy(env->all, env->ours, sizeof(env->ours));
    for (size_t i = 0; i < n_inherited; i++) {
        if (!is_one_of_ours(env, environ[i]))
            env->all[n++] = environ[i];
    }
    return HF_OK;
}

/* ---- starting and waiting ------------------------------------------------------------------------ */

/* A process group of its own, so that all of it can be killed; signals as a shell expects them. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;

    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_setsigmask(attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    if (error == 0)
        error = posix_spawnattr_setpgroup(attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                         POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETPGROUP);
    return error;
}

static int set_streams(posix_spawn_file_actions_t *actions)
{
    int error = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

    /* Standard output belongs to the program's own last line. */
    return error != 0 ? error
                      : posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
}

static int start_shell(const char *command, char **env, pid_t *out)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int error = set_streams(&actions);
    if (error == 0)
        error = set_attributes(&attributes);
    if (error == 0)
        error = posix_spawn(out, "/bin/sh", &actions, &attributes, argv, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* The library may not touch the application's SIGCHLD, so it looks again and again. */
static enum hf_err wait_for(pid_t child, unsigned timeout_ms, int *status, struct hf_why *why)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    const int64_t deadline_ms = hf_monotonic_ms() + timeout_ms;

    for (;;) {
        pid_t ended = waitpid(child, status, WNOHANG);
        if (ended == child)
            return HF_OK;
        if (ended < 0 && errno != EINTR)
            return hf_fail(why, HF_E_STATE, "how the on-swap command ended is unknown: %s",
                           strerror(errno));
        if (hf_monotonic_ms() >= deadline_ms)
            break;
        nanosleep(&pause, NULL);
    }
    (void)kill(-child, SIGKILL);
    while (waitpid(child, status, 0) < 0 && errno == EINTR)
        continue;
    return hf_fail(why, HF_E_STATE,
                   "the on-swap command did not end within %u seconds and was killed",
                   timeout_ms / 1000);
}

static enum hf_err judge(int status, struct hf_why *why)
{
    if (WIFSIGNALED(status))
        return hf_fail(why, HF_E_STATE, "the on-swap command was killed by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        return hf_fail(why, HF_E_STATE, "the on-swap command ended with exit status %d",
                       WEXITSTATUS(status));
    return HF_OK;
}

enum hf_err hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                           unsigned timeout_ms, struct hf_why *why)
{
    struct environment env = {0};
    pid_t child = -1;
    int status = 0;

    if (environment_make(notice, &env) != HF_OK) {
        environment_free(&env);
        return hf_fail(why, HF_E_MEMORY, "out of memory for the on-swap command");
    }
    int error = start_shell(command, env.all, &child);
    environment_free(&env);
    if (error != 0)
        return hf_fail(why, HF_E_STATE, "the on-swap command cannot be started: %s",
                       strerror(error));
    HF_TRY(wait_for(child, timeout_ms, &status, why));
    return judge(status, why);
}
