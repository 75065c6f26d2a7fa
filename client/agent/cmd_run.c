#include "client/agent/agent.h"
#include "common/os/service.h"

#include <holdfast/runner.h>

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define BY_SCHEDULE INT_MIN /* no --interval */

struct loop {
    const struct hf_cli_call *call;
    struct hf_posix *posix;
    bool has_line; /* the result of a check is printed, and its line is not ended */
};

/* For the handlers: there is one loop in this program, in the only thread that takes signals. */
static struct hf_runner *running;
static volatile sig_atomic_t is_checking;

/* A check ends where it is: what a power cut may do to it, a signal may too, and a request to stop
 * is not kept waiting for a slow server. */
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

/* During a check it waits: it is no reason to interrupt what the check is waiting for. So it does
 * as long as there is no loop to wake. */
static void hold_poke(bool is_on)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    (void)sigprocmask(is_on ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* A check may take half an hour. What it logs on the way shows the watchdog that it goes on. */
static void log_step(void *ctx, enum hf_level level, const char *line)
{
    const struct loop *loop = ctx;
    struct hf_log_port log = hf_agent_log(loop->call);

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

    if (!loop->has_line) {
        fprintf(stderr, "%s started", hf_agent_time(time(NULL)).text);
        notify_status("waiting for the first check", "");
    }
    loop->has_line = false;
    if (next == NULL)
        fputs("; next check on demand\n", stderr);
    else
        fprintf(stderr, "; next check in %s\n", hf_agent_duration(next->wait_s).text);
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
    const char *warnings[HF_AGENT_WARNINGS_MAX + 1];
    hf_agent_warnings(result, warnings);

    is_checking = 0;
    hold_poke(false);
    fprintf(stderr, "%s ", hf_agent_time(time(NULL)).text);
    if (err == HF_OK) {
        char line[HF_AGENT_RESULT_MAX];
        hf_agent_format_result(hf_posix_config(loop->posix), result, line);
        fputs(line, stderr);
        notify_status(warnings[0] != NULL ? "the last check succeeded; warning: "
                                          : "the last check succeeded",
                      warnings[0] != NULL ? warnings[0] : "");
    } else {
        fprintf(stderr, "%s: %s", err == HF_E_POSTPONED ? "postponed" : "failed", why->text);
        notify_status(err == HF_E_POSTPONED ? "postponed: " : "the last check failed: ", why->text);
    }
    for (size_t i = 0; warnings[i] != NULL; i++)
        fprintf(stderr, " (warning: %s)", warnings[i]);
    loop->has_line = true;
}

struct run_options {
    struct hf_agent_options common;
    int interval_s;
    bool is_on_demand;
};

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct run_options *o = call->values;
    struct loop loop = {.call = call};
    const struct sigaction on_stop = {.sa_handler = stop}, on_poke = {.sa_handler = poke};
    int watchdog_ms = hf_notify_watchdog_ms();
    const struct hf_runner_options options = {
        .interval_s = o->interval_s == BY_SCHEDULE ? 0 : o->interval_s,
        .is_on_demand = o->is_on_demand,
        .wake_s = watchdog_ms > 0 && watchdog_ms < 2000 ? 1 : watchdog_ms / 2000,
        .ctx = &loop,
        .waits = on_waits,
        .wakes = on_wakes,
        .begins = on_begins,
        .ended = on_ended,
    };

    if (o->interval_s != BY_SCHEDULE && o->interval_s < 1)
        return hf_cli_usage(call, "--interval is a number of seconds, 1 or more");
    if (o->interval_s != BY_SCHEDULE && o->is_on_demand)
        return hf_cli_usage(call, "--interval and --on-demand exclude each other");
    hold_poke(true);
    HF_TRY(hf_posix_open(hf_agent_state(call), (struct hf_log_port){&loop, log_step}, &loop.posix,
                         why));
    /* A read-only disk may come back, another user's folder does not. */
    enum hf_err err = hf_posix_is_writable(loop.posix, why);
    if (err != HF_E_POLICY)
        err = hf_runner_new(loop.posix, &options, &running, why);
    if (err == HF_OK) {
        (void)sigaction(SIGTERM, &on_stop, NULL);
        (void)sigaction(SIGINT, &on_stop, NULL);
        (void)sigaction(SIGUSR1, &on_poke, NULL);
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

static const struct hf_cli_option options[] = {
    {"interval", 'i', HF_CLI_INT, offsetof(struct run_options, interval_s),
     "check at once, and wait this long between checks, whatever they bring", "SECONDS",
     .preset = BY_SCHEDULE},
    {"on-demand", '\0', HF_CLI_FLAG, offsetof(struct run_options, is_on_demand),
     "check only when told to (SIGUSR1)", NULL},
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_run = {
    .name = "run",
    .summary = "keep running, and update when it is time",
    .arguments = "[--interval SECONDS | --on-demand] [--state DIR]",
    .about =
        "Keeps running and checks about once a day, at a different time on every device. After a\n"
        "failure it retries sooner, with growing intervals. The nearer the first needed root is\n"
        "to its end, the more often it checks. `status` shows when the next check is; a restart\n"
        "does not change it. Each check writes one line to standard error.\n\n"
        "SIGUSR1 checks now; with --on-demand only SIGUSR1 does. SIGTERM and SIGINT end the\n"
        "program, also during an update, which the next start then finishes.\n\n"
        "Under systemd (Type=notify) it reports when it is ready and how the last check ended,\n"
        "and serves WatchdogSec. It uses a changed configuration from its next check on.",
    .examples = "  holdfast run\n"
                "  holdfast run --on-demand &\n"
                "  kill -USR1 $(pidof holdfast)\n",
    .options = options,
    .values_size = sizeof(struct run_options),
    .run = run,
};
