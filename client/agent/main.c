/* holdfast, the device's agent: finds the command and leaves the rest to it. */
#include "client/agent/cli.h"
#include "common/cli/nearest.h"
#include "common/os/process.h"
#include "common/json/json.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(const char *state_dir, int argc, const char **argv);
    const char *summary;
} commands[] = {
    {"init", hf_cmd_init, "give this device its first trust and tell it where to look"},
    {"update", hf_cmd_update, "bring the trust store up to date, once"},
    {"run", hf_cmd_run, "stay, and update on a jittered schedule"},
    {"status", hf_cmd_status, "the roots in use, what goes when, the last check and the next"},
    {"journal", hf_cmd_journal, "what has happened on this device, newest first"},
    {"simulate", hf_cmd_simulate, "what breaks on some day, and on which day that begins"},
    {"export", hf_cmd_export, "the trust store as a PEM file for other programs"},
    {"config", hf_cmd_config, "show and change what init has written down"},
    {"endpoints", hf_cmd_endpoints, "the servers that it must always reach"},
    {"confirm", hf_cmd_confirm, "the bundle on trial works"},
    {"reject", hf_cmd_reject, "it does not: back to the one before"},
    {"reset", hf_cmd_reset, "factory reset, without losing what protects this device"},
    {"probe", hf_cmd_probe, "the chain a server shows, and whether the store validates it"},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fputs("Usage: holdfast [--state DIR] COMMAND [OPTION...]\n\n"
          "Keeps this device's roots of trust up to date: fetches signed bundles of root\n"
          "certificates, verifies them (TUF) and swaps the trust store, whole or not at all.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nOptions:\n"
          "  -s, --state DIR   where the device keeps its state (default " HF_CLI_STATE_DEFAULT
          ");\n"
          "                    also accepted after the command\n"
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
          "Exit code: 0 done, 1 refused or failed (one sentence on standard error says why),\n"
          "2 wrong usage, 3 postponed (update) until the endpoints were asked about a new bundle,\n"
          "4 something breaks on that day (simulate). status --check has its own for monitoring.\n",
          out);
}

static int wrong(const char *before, const char *what, const char *after)
{
    fprintf(stderr, "holdfast: %s%s%s; see holdfast --help\n", before, what, after);
    return HF_EXIT_USAGE;
}

/* "help COMMAND" is "COMMAND --help". */
static int run_command(const char *state_dir, int n, const char **words)
{
    struct hf_nearest nearest = HF_NEAREST(words[0]);

    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, words[0]) == 0)
            return commands[i].run(state_dir, n, words);
        hf_nearest_offer(&nearest, commands[i].name);
    }
    fprintf(stderr, "holdfast: there is no command \"%s\"", words[0]);
    if (nearest.name != NULL)
        fprintf(stderr, "; did you mean \"%s\"? See holdfast --help\n", nearest.name);
    else
        fputs("; see holdfast --help\n", stderr);
    return HF_EXIT_USAGE;
}

static int dispatch(const char *state_dir, const char **words)
{
    int n = 0;

    if (words == NULL || words[0] == NULL) {
        print_help(stderr);
        return HF_EXIT_USAGE;
    }
    while (words[n] != NULL)
        n++;
    if (strcmp(words[0], "help") != 0)
        return run_command(state_dir, n, words);
    if (n > 2)
        return wrong("help takes one command, found \"", words[2], "\"");
    if (n == 2)
        return run_command(state_dir, 2, (const char *[]){words[1], "--help", NULL});
    print_help(stdout);
    return HF_EXIT_OK;
}

/* Options before the command; the first word that is none ends them. */
static int run(poptContext popt, char **state_dir)
{
    int code;

    while ((code = poptGetNextOpt(popt)) > 0) {
        if (code == 'h')
            print_help(stdout);
        else
            puts("holdfast " HF_VERSION);
        return HF_EXIT_OK;
    }
    if (code < -1)
        return wrong(poptBadOption(popt, POPT_BADOPTION_NOALIAS), ": ", poptStrerror(code));
    return dispatch(*state_dir, poptGetArgs(popt));
}

/* Output that did not reach its file must not pass for success. */
static int check_output(int exit_code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return exit_code;
    fputs("holdfast: standard output could not be written\n", stderr);
    return exit_code == HF_EXIT_OK ? HF_EXIT_FAILED : exit_code;
}

int main(int argc, const char **argv)
{
    char *state_dir = NULL;
    const struct poptOption options[] = {
        {"state", 's', POPT_ARG_STRING, &state_dir, 0, NULL, NULL},
        {"version", 'V', POPT_ARG_NONE, NULL, 'v', NULL, NULL},
        HF_CLI_HELP,
        HF_CLI_END,
    };

    hf_core_dump_forbid(); /* the device's client key may be read */
    hf_json_seed(randombytes_random());
    poptContext popt = poptGetContext("holdfast", argc, argv, options, POPT_CONTEXT_POSIXMEHARDER);
    int exit_code = check_output(run(popt, &state_dir));
    poptFreeContext(popt);
    free(state_dir);
    return exit_code;
}
