#include <holdfast/runner.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A device that slept must not add its sleep to the wait; nothing wakes us at its end, so we
 * look. */
#define LOOK_EVERY_S 60

/* A check that could not even be written down (read-only disk, another process's lock) leaves the
 * schedule as it was. It must not be made again and again for that. */
#define AFTER_CHECK_MIN_S INT64_C(45)
#define UNRECORDED_FIRST_S INT64_C(60)
#define UNRECORDED_MAX_S INT64_C(21600)

struct hf_runner {
    struct hf_posix *posix;
    struct hf_runner_options options;
    int wake[2]; /* a pipe: a byte in it ends a wait */
    atomic_bool is_poked;
    atomic_bool is_stopped;
    bool has_checked;
    unsigned n_unrecorded; /* checks in a row */
};

enum hf_err hf_runner_new(struct hf_posix *posix, const struct hf_runner_options *options,
                          struct hf_runner **out, struct hf_why *why)
{
    if (options->interval_s < 0 || (options->is_on_demand && options->interval_s > 0))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected an interval of 0 or more seconds, and none for checks on demand");
    struct hf_runner *runner = calloc(1, sizeof *runner);
    if (runner == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the loop of checks");
    runner->posix = posix;
    runner->options = *options;
    if (pipe2(runner->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(runner);
        return hf_fail(why, HF_E_STORAGE, "no pipe can be opened to wake the loop by: %s",
                       strerror(errno));
    }
    *out = runner;
    return HF_OK;
}

void hf_runner_free(struct hf_runner *runner)
{
    if (runner == NULL)
        return;
    (void)close(runner->wake[0]);
    (void)close(runner->wake[1]);
    free(runner);
}

/* In a signal handler too: an atomic, then write(2). A full pipe wakes as well as one byte more. */
static void raise_flag(struct hf_runner *runner, atomic_bool *flag)
{
    int saved_errno = errno;

    atomic_store(flag, true);
    if (write(runner->wake[1], "", 1) < 0)
        errno = saved_errno;
}

void hf_runner_poke(struct hf_runner *runner)
{
    raise_flag(runner, &runner->is_poked);
}

void hf_runner_stop(struct hf_runner *runner)
{
    raise_flag(runner, &runner->is_stopped);
}

static int64_t since_boot_s(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Negative: until woken. */
static void wait_for(struct hf_runner *runner, int64_t wait_s)
{
    const struct hf_runner_options *options = &runner->options;
    const int64_t until_s = since_boot_s() + wait_s;
    const int64_t wake_s = options->wake_s > 0 ? least(options->wake_s, LOOK_EVERY_S)
                                               : LOOK_EVERY_S;
    struct pollfd wake = {.fd = runner->wake[0], .events = POLLIN};
    char bytes[64];

    while (!atomic_load(&runner->is_stopped) && !atomic_load(&runner->is_poked)) {
        int64_t left_s = wait_s < 0 ? LOOK_EVERY_S : until_s - since_boot_s();
        if (left_s <= 0)
            return;
        if (options->wakes != NULL)
            options->wakes(options->ctx);
        /* Dates may pass while no check is due. What failed is in the journal; another process that
         * holds the lock is asked for again later. */
        int64_t renew_s = LOOK_EVERY_S;
        struct hf_why why = {0};
        if (hf_posix_renew_export(runner->posix, &renew_s, &why) != HF_OK)
            renew_s = LOOK_EVERY_S;
        left_s = least(least(left_s, wake_s), renew_s > 1 ? renew_s : 1);
        (void)poll(&wake, 1, (int)left_s * 1000);
        while (read(runner->wake[0], bytes, sizeof bytes) > 0)
            continue;
    }
}

static void wait_longer(struct hf_next_check *next, int64_t wait_s)
{
    next->at_s += wait_s - next->wait_s;
    next->wait_s = wait_s;
}

/* A rotation of the certificate that is due is a reason to check, too: it is a part of an
 * update. */
static void hurry_for_rotation(struct hf_runner *runner, struct hf_next_check *next)
{
    int64_t wait_s = hf_posix_rotation_wait_s(runner->posix);

    if (wait_s >= next->wait_s)
        return;
    next->at_s -= next->wait_s - wait_s;
    next->wait_s = wait_s;
    (void)snprintf(next->reason, sizeof next->reason, "the certificate of this device is rotated");
}

static struct hf_next_check next_check(struct hf_runner *runner)
{
    struct hf_next_check next;

    hf_client_next_check(hf_posix_client(runner->posix), &next);
    hurry_for_rotation(runner, &next);
    if (runner->options.interval_s > 0) {
        wait_longer(&next, runner->has_checked ? runner->options.interval_s : 0);
    } else if (!runner->has_checked || next.wait_s >= AFTER_CHECK_MIN_S) {
        runner->n_unrecorded = 0;
    } else {
        int64_t wait_s = UNRECORDED_FIRST_S;
        for (unsigned i = 0; i < runner->n_unrecorded && wait_s < UNRECORDED_MAX_S; i++)
            wait_s *= 2;
        runner->n_unrecorded++;
        wait_longer(&next, least(wait_s, UNRECORDED_MAX_S));
    }
    return next;
}

void hf_runner_run(struct hf_runner *runner)
{
    const struct hf_runner_options *options = &runner->options;

    while (!atomic_load(&runner->is_stopped)) {
        struct hf_next_check next = {.wait_s = -1};
        struct hf_update_result result = {0};
        struct hf_why why = {0};
        if (!options->is_on_demand)
            next = next_check(runner);
        if (options->waits != NULL)
            options->waits(options->ctx, options->is_on_demand ? NULL : &next);
        wait_for(runner, next.wait_s);
        if (atomic_load(&runner->is_stopped))
            return;
        atomic_store(&runner->is_poked, false);
        if (options->begins != NULL)
            options->begins(options->ctx);
        /* A caller that stops it after this knows from `begins` that a check is running. */
        if (atomic_load(&runner->is_stopped))
            return;
        enum hf_err err = hf_posix_update(runner->posix, &result, &why);
        runner->has_checked = true;
        if (options->ended != NULL)
            options->ended(options->ctx, err, &result, &why);
    }
}
