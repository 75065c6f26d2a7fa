/* holdfast, the device's agent: finds the command and leaves the rest to it. */
#include "client/agent/cli.h"
#include "common/os/core_dump.h"

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
    fputs(
        "\nOptions:\n"
        "  -s, --state DIR   where the device keeps its state (default " HF_CLI_STATE_DEFAULT ");\n"
        "                    also accepted after the command\n"
        "  --version         the version of this program\n"
        "  -h, --help        this text; holdfast COMMAND --help says more about each\n"
        "\n"
        "From nothing to an up-to-date trust store:\n"
        "  holdfast --state ./device init --root 1.root.json --url https://roots.example.com \\\n"
        "      --set amazon-iot --profile full\n"
        "  holdfast --state ./device update\n"
        "  holdfast --state ./device status\n\n"
        "Exit code: 0 done, 1 refused or failed (one sentence on standard error says why),\n"
        "2 wrong usage, 3 postponed (update), until the endpoints were asked about a new bundle,\n"
        "4 something breaks on that day (simulate)\n",
        out);
}

static int wrong(const char *before, const char *what, const char *after)
{
    fprintf(stderr, "holdfast: %s%s%s; see holdfast --help\n", before, what, after);
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
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, words[0]) == 0)
            return commands[i].run(state_dir, n, words);
    }
    return wrong("there is no command '", words[0], "'");
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
        {"version", '\0', POPT_ARG_NONE, NULL, 'v', NULL, NULL},
        HF_CLI_HELP,
        HF_CLI_END,
    };

    hf_core_dump_forbid(); /* the device's client key may be read */
    poptContext popt = poptGetContext("holdfast", argc, argv, options, POPT_CONTEXT_POSIXMEHARDER);
    int exit_code = check_output(run(popt, &state_dir));
    poptFreeContext(popt);
    free(state_dir);
    return exit_code;
}
