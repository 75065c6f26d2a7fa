#include "client/agent/cli.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static const struct hf_cli_text text = {
    .name = "run",
    .arguments = "[--interval SECONDS] [--state DIR]",
    .about =
        "Stays, checks at once and then about once a day, at a different time on every device;\n"
        "after a failure sooner, and less and less often while it lasts. One line on standard "
        "error\n"
        "for every check. SIGUSR1 checks now, SIGTERM and SIGINT end it: also in the middle of an\n"
        "update, which the next start then finishes.",
    .examples = "  holdfast run\n"
                "  kill -USR1 $(pidof holdfast)\n",
};

/* A device that slept must not add its sleep to the wait; nobody wakes us at its end, so we look. */
#define LOOK_EVERY_S 60

/* ---- signals ------------------------------------------------------------------------------------- */

/* Ends an update where it is: what a power cut may do to it, a signal may too, and a request to
 * stop is not kept waiting for a slow server. */
static void end_at_once(int signal_number)
{
    (void)signal_number;
    _exit(HF_EXIT_OK);
}

static sigset_t signals_of(bool with_check_now)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (with_check_now)
        sigaddset(&set, SIGUSR1);
    return set;
}

static void install_signals(void)
{
    struct sigaction action = {.sa_handler = end_at_once};
    sigset_t all = signals_of(true);

    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

static void let_signals_end_us(bool is_on)
{
    sigset_t ending = signals_of(false);

    (void)sigprocmask(is_on ? SIG_UNBLOCK : SIG_BLOCK, &ending, NULL);
}

static int64_t since_boot_s(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec;
}

/* The signal that ended the wait early, 0 if none did. */
static int wait_for(int64_t wait_s)
{
    const int64_t until_s = since_boot_s() + wait_s;
    sigset_t all = signals_of(true);

    for (;;) {
        int64_t left_s = until_s - since_boot_s();
        if (left_s <= 0)
            return 0;
        struct timespec look = {.tv_sec = (time_t)(left_s < LOOK_EVERY_S ? left_s : LOOK_EVERY_S)};
        int caught = sigtimedwait(&all, NULL, &look);
        if (caught > 0)
            return caught;
    }
}

/* ---- checks -------------------------------------------------------------------------------------- */

/* "6 h 12 min", "1 min 5 s". */
static void print_duration(FILE *out, int64_t s)
{
    if (s >= 3600)
        fprintf(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        fprintf(out, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        fprintf(out, "%" PRId64 " s", s);
}

static enum hf_err check(struct hf_posix *posix, struct hf_update_result *result,
                         struct hf_why *why)
{
    let_signals_end_us(true);
    enum hf_err err = hf_posix_update(posix, result, why);
    let_signals_end_us(false);
    return err;
}

static void print_check(struct hf_posix *posix, enum hf_err err,
                        const struct hf_update_result *result, const struct hf_why *why,
                        int64_t next_s)
{
    char now[HF_TIME_TEXT_MAX];

    hf_time_format((int64_t)time(NULL), now);
    fprintf(stderr, "%s ", now);
    if (err == HF_OK)
        hf_cli_print_result(stderr, hf_posix_config(posix), result);
    else
        fprintf(stderr, "failed: %s", why->text);
    fputs("; next check in ", stderr);
    print_duration(stderr, next_s);
    fputc('\n', stderr);
}

static void check_until_ended(struct hf_posix *posix, int64_t interval_s)
{
    unsigned failures_in_a_row = 0;

    for (;;) {
        struct hf_update_result result = {0};
        struct hf_why why = {0};
        enum hf_err err = check(posix, &result, &why);
        failures_in_a_row = err == HF_OK ? 0 : failures_in_a_row + 1;
        int64_t next_s = interval_s > 0
                             ? interval_s
                             : hf_client_next_check_s(hf_posix_client(posix), failures_in_a_row);
        print_check(posix, err, &result, &why, next_s);
        int caught = wait_for(next_s);
        if (caught == SIGTERM || caught == SIGINT)
            return;
    }
}

static enum hf_err run(const char *state_dir, const struct hf_cli_common *common,
                       int64_t interval_s, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    install_signals();
    check_until_ended(posix, interval_s);
    hf_posix_close(posix);
    return HF_OK;
}

int hf_cmd_run(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    int interval_s = 0;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"interval", 'i', POPT_ARG_INT, &interval_s, 0,
         "wait this long between checks, whatever they bring (default: the schedule)", "SECONDS"},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (!hf_cli_parse(&text, argc, argv, options, &exit_code))
        goto out;
    if (interval_s < 0)
        exit_code = hf_cli_usage(&text, "--interval is a number of seconds, 1 or more");
    else
        exit_code = hf_cli_finish(run(hf_cli_state(&common, state_dir), &common, interval_s, &why),
                                  &why);
out:
    hf_cli_common_free(&common);
    return exit_code;
}
