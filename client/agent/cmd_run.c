#include "client/agent/cli.h"
#include "common/base/timetext.h"
#include "common/os/service.h"

#include <holdfast/runner.h>

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define BY_SCHEDULE INT_MIN /* no --interval */

static const struct hf_cli_text text = {
    .name = "run",
    .arguments = "[--interval SECONDS | --on-demand] [--state DIR]",
    .about =
        "Stays and checks when it is time to: about once a day, at a different moment on every\n"
        "device; after a failure sooner, and less and less often while it lasts; more often the\n"
        "nearer the first root that is needed is to its end. When that is stands in the status,\n"
        "and a restart does not change it. One line on standard error for every check.\n\n"
        "SIGUSR1 checks now; with --on-demand nothing else does. SIGTERM and SIGINT end it: also "
        "in\n"
        "the middle of an update, which the next start then finishes.\n\n"
        "Under systemd (Type=notify) it reports when it is ready and how the last check ended,\n"
        "and serves WatchdogSec. It uses a changed configuration from its next check on.",
    .examples = "  holdfast run\n"
                "  holdfast run --on-demand &\n"
                "  kill -USR1 $(pidof holdfast)\n",
};

struct loop {
    const struct hf_cli_common *common;
    struct hf_posix *posix;
    bool has_line; /* what became of a check is printed, and its line is not ended */
};

/* ---- signals ------------------------------------------------------------------------------------- */

/* For the handlers: there is one loop in this program, in the only thread that takes signals. */
static struct hf_runner *running;
static volatile sig_atomic_t is_checking;

/* A check ends where it is: what a power cut may do to it, a signal may too, and a request to stop is
 * not kept waiting for a slow server. */
static void stop(int signal_number)
{
    (void)signal_number;
    if (is_checking)
        _exit(HF_EXIT_OK);
    hf_runner_stop(running);
}

static void poke(int signal_number)
{
    (void)signal_number;
    hf_runner_poke(running);
}

static void install_signals(void)
{
    struct sigaction on_stop = {.sa_handler = stop};
    struct sigaction on_poke = {.sa_handler = poke};

    (void)sigaction(SIGTERM, &on_stop, NULL);
    (void)sigaction(SIGINT, &on_stop, NULL);
    (void)sigaction(SIGUSR1, &on_poke, NULL);
}

/* During a check it waits: it is no reason to interrupt what the check is waiting for. So it does as
 * long as there is no loop to wake. */
static void hold_poke(bool is_on)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    (void)sigprocmask(is_on ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* ---- what is printed -------------------------------------------------------------------------------- */

static void print_now(void)
{
    char now[HF_TIME_TEXT_MAX];

    hf_time_format((int64_t)time(NULL), now);
    fprintf(stderr, "%s ", now);
}

/* A check may take 15 minutes. What it logs on the way shows the watchdog that it goes on. */
static void log_step(void *ctx, enum hf_level level, const char *line)
{
    const struct loop *loop = ctx;
    struct hf_log_port log = hf_cli_log(loop->common);

    hf_notify("WATCHDOG=1");
    if (log.write != NULL)
        log.write(log.ctx, level, line);
}

static void on_wakes(void *ctx)
{
    (void)ctx;
    hf_notify("WATCHDOG=1");
}

/* `systemctl status` shows it; without line feeds, which would be other assignments. */
static void notify_status(const char *what, const char *more)
{
    char status[HF_WHY_MAX + 64];

    int len = snprintf(status, sizeof status, "WATCHDOG=1\nSTATUS=");
    (void)snprintf(status + len, sizeof status - (size_t)len, "%s%s", what, more);
    for (char *c = status + len; *c != '\0'; c++) {
        if (*c == '\n')
            *c = ' ';
    }
    hf_notify(status);
}

static void on_waits(void *ctx, const struct hf_next_check *next)
{
    struct loop *loop = ctx;
    char in[HF_CLI_DURATION_MAX];

    if (!loop->has_line) {
        print_now();
        fputs("started", stderr);
        notify_status("waiting for the first check", "");
    }
    loop->has_line = false;
    if (next == NULL) {
        fputs("; next check on demand\n", stderr);
        return;
    }
    hf_cli_format_duration(next->wait_s, in);
    fprintf(stderr, "; next check in %s\n", in);
}

static void on_begins(void *ctx)
{
    (void)ctx;
    hold_poke(true);
    is_checking = 1;
}

static void on_ended(void *ctx, enum hf_err err, const struct hf_update_result *result,
                     const struct hf_why *why)
{
    struct loop *loop = ctx;

    is_checking = 0;
    hold_poke(false);
    print_now();
    if (err == HF_OK) {
        hf_cli_print_result(stderr, hf_posix_config(loop->posix), result);
        if (result->lost[0] != '\0')
            fprintf(stderr, " (warning: %s)", result->lost);
        notify_status(result->lost[0] != '\0' ? "the last check succeeded; warning: "
                                              : "the last check succeeded",
                      result->lost);
    } else {
        fprintf(stderr, "%s: %s", err == HF_E_POSTPONED ? "postponed" : "failed", why->text);
        notify_status(err == HF_E_POSTPONED ? "postponed: " : "the last check failed: ", why->text);
    }
    loop->has_line = true;
}

/* ---- the command ------------------------------------------------------------------------------------- */

static enum hf_err run(const char *state_dir, const struct hf_cli_common *common,
                       int64_t interval_s, bool is_on_demand, struct hf_why *why)
{
    struct loop loop = {.common = common};
    int watchdog_ms = hf_notify_watchdog_ms();
    const struct hf_runner_options options = {
        .interval_s = interval_s,
        .is_on_demand = is_on_demand,
        .wake_s = watchdog_ms > 0 && watchdog_ms < 2000 ? 1 : watchdog_ms / 2000,
        .ctx = &loop,
        .waits = on_waits,
        .wakes = on_wakes,
        .begins = on_begins,
        .ended = on_ended,
    };

    hold_poke(true);
    HF_TRY(hf_posix_open(state_dir, (struct hf_log_port){&loop, log_step}, &loop.posix, why));
    /* A read-only disk may come back, another user's folder does not. */
    enum hf_err err = hf_posix_is_writable(loop.posix, why);
    if (err != HF_E_POLICY)
        err = hf_runner_new(loop.posix, &options, &running, why);
    if (err == HF_OK) {
        install_signals();
        hold_poke(false);
        hf_notify("READY=1");
        hf_runner_run(running);
        hf_notify("STOPPING=1");
        /* Nothing is left for a signal to wake. */
        hold_poke(true);
        is_checking = 1;
        hf_runner_free(running);
    }
    hf_posix_close(loop.posix);
    return err;
}

int hf_cmd_run(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    int interval_s = BY_SCHEDULE;
    int is_on_demand = 0;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"interval", 'i', POPT_ARG_INT, &interval_s, 0,
         "check at once, and wait this long between checks, whatever they bring", "SECONDS"},
        {"on-demand", '\0', POPT_ARG_NONE, &is_on_demand, 0, "check only when told to (SIGUSR1)",
         NULL},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_QUIET,
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (!hf_cli_parse(&text, argc, argv, options, &exit_code))
        goto out;
    if (interval_s != BY_SCHEDULE && interval_s < 1)
        exit_code = hf_cli_usage(&text, "--interval is a number of seconds, 1 or more");
    else if (interval_s != BY_SCHEDULE && is_on_demand != 0)
        exit_code = hf_cli_usage(&text, "--interval and --on-demand exclude each other");
    else
        exit_code = hf_cli_finish(run(hf_cli_state(&common, state_dir), &common,
                                      interval_s == BY_SCHEDULE ? 0 : interval_s, is_on_demand != 0,
                                      &why),
                                  &why);
out:
    hf_cli_common_free(&common);
    return exit_code;
}
