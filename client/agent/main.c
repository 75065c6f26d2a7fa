/* holdfast, the device's agent: its commands and its help. */
#include "client/agent/agent.h"

#include <sqlite3.h>

static const struct hf_cli_command *const commands[] = {
    &hf_cmd_init,      &hf_cmd_update,   &hf_cmd_run,    &hf_cmd_status,
    &hf_cmd_journal,   &hf_cmd_simulate, &hf_cmd_export, &hf_cmd_config,
    &hf_cmd_endpoints, &hf_cmd_enroll,   &hf_cmd_rotate, &hf_cmd_report,
    &hf_cmd_confirm,   &hf_cmd_reject,   &hf_cmd_reset,  &hf_cmd_probe,
};

static const char help[] =
    "Usage: holdfast [--state DIR] COMMAND [OPTION...]\n\n"
    "Keeps this device's root certificates up to date: fetches signed bundles of root\n"
    "certificates, verifies them (TUF) and swaps the trust store, whole or not at all.\n";

static const char help_after[] =
    "\nOptions:\n"
    "  -s, --state DIR   where the device keeps its state (default " HF_AGENT_STATE_DEFAULT ");\n"
    "                    also accepted after the command\n"
    "  -v, --verbose     log each step to standard error (also after the command)\n"
    "  -q, --quiet       print only errors (also after the command)\n"
    "  -V, --version     the version of this program\n"
    "  -h, --help        this text; holdfast help COMMAND says more about each\n"
    "\n"
    "From nothing to an up-to-date trust store:\n"
    "  holdfast --state ./device init --root 1.root.json --url https://roots.example.com \\\n"
    "      --set amazon-iot --profile full\n"
    "  holdfast --state ./device update\n"
    "  holdfast --state ./device status\n\n"
    "Environment:\n"
    "  HOLDFAST_STATE    the state folder, unless --state names one\n"
    "  http_proxy, https_proxy, all_proxy, no_proxy\n"
    "                    the proxy for requests to the repository; never used for endpoints\n"
    "  NO_COLOR          if set and not empty, the output has no colours\n"
    "  NOTIFY_SOCKET, WATCHDOG_USEC\n"
    "                    set by systemd: run reports its state there\n\n"
    "Exit code: 0 success, 1 refused or failed (one sentence on standard error says why),\n"
    "2 usage error, 3 postponed (update) until endpoints were probed for a new bundle,\n"
    "4 something fails on that day (simulate). status --check has its own for monitoring.\n";

static const struct hf_cli_option options[] = {
    HF_AGENT_STATE,  HF_AGENT_VERBOSE, HF_AGENT_QUIET, {"version", 'V', HF_CLI_VERSION},
    HF_CLI_HELP_ROW, HF_CLI_END,
};

static struct hf_agent_options before_command;

static const struct hf_cli_program program = {
    .name = "holdfast",
    .version = HF_VERSION,
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .name_width = 10,
    .help = help,
    .help_after = help_after,
    .options = options,
    .values = &before_command,
    .values_size = sizeof(struct hf_agent_options),
};

int main(int argc, const char **argv)
{
    /* This program does not read SQLite's memory statistics, which cost a lock at each
     * allocation. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return hf_cli_main(&program, argc, argv);
}
