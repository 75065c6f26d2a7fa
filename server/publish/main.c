/* holdfastctl: finds the subcommand and leaves the rest to it. */
#include "server/publish/commands/cli.h"
#include "server/publish/commands/groups.h"
#include "common/os/process.h"
#include "common/json/json.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct hf_command *const all[] = {
    &hf_cmd_init,
    &hf_cmd_bundle_add,
    &hf_cmd_bundle_import,
    &hf_cmd_bundle_remove,
    &hf_cmd_bundle_unlist,
    &hf_cmd_bundle_list,
    &hf_cmd_bundle_diff,
    &hf_cmd_lint,
    &hf_cmd_plan,
    &hf_cmd_publish,
    &hf_cmd_refresh,
    &hf_cmd_check,
    &hf_cmd_mirror,
    &hf_cmd_root_draft,
    &hf_cmd_root_add_key,
    &hf_cmd_root_remove_key,
    &hf_cmd_root_set_threshold,
    &hf_cmd_root_status,
    &hf_cmd_root_merge,
    &hf_cmd_root_sign,
    &hf_cmd_root_finish,
    &hf_cmd_targets_draft,
    &hf_cmd_targets_status,
    &hf_cmd_targets_merge,
    &hf_cmd_targets_sign,
    &hf_cmd_targets_finish,
    &hf_cmd_key_generate,
    &hf_cmd_key_import,
    &hf_cmd_key_inspect,
    &hf_cmd_key_change_passphrase,
};
static const struct hf_commands commands = {all, sizeof all / sizeof all[0]};

static void print_help(FILE *out)
{
    fputs("Usage: holdfastctl COMMAND [OPTION…]\n\n"
          "Signs bundles of root certificates and publishes them for devices to fetch (TUF "
          "1.0.34).\n\n"
          "Commands:\n",
          out);
    hf_commands_print(&commands, NULL, out);
    fputs("\nholdfastctl COMMAND --help says more about each, with examples.\n\n"
          "From nothing to a first bundle:\n"
          "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys\n"
          "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
          "      --set amazon-iot --profile full AmazonRootCA*.pem\n"
          "  holdfastctl check --repo /srv/roots\n\n"
          "Options:\n"
          "  -h, --help     show this help; holdfastctl help COMMAND shows that of a command\n"
          "  -V, --version  show the version\n"
          "  -q, --quiet    print no report; the exit code tells (also after the command)\n"
          "  -v, --verbose  log each step to standard error (also after the command)\n\n"
          "Environment:\n"
          "  CREDENTIALS_DIRECTORY  a group may read secrets in this folder (set by systemd)\n"
          "  P11_KIT_CONFIG_FILE, SOFTHSM2_CONF  are read by the modules of tokens\n"
          "No other variable counts: lint connects to endpoints directly, without a "
          "proxy.\n\n" HF_CLI_EXITS,
          out);
}

/* The number of words of `name` if the command line begins with them, else 0. */
static int words_matched(const char *name, int argc, char *const *argv)
{
    int words = 0;
    while (words < argc) {
        size_t len = strcspn(name, " ");
        if (strlen(argv[words]) != len || strncmp(argv[words], name, len) != 0)
            return 0;
        words++;
        if (name[len] == '\0')
            return words;
        name += len + 1;
    }
    return 0;
}

static int run(const struct hf_command *command, int argc, char **argv)
{
    if (sodium_init() < 0) {
        fputs("holdfastctl: libsodium does not start; there is no good random source\n", stderr);
        return HF_EXIT_FAILED;
    }
    hf_json_seed(randombytes_random());
    return command->run(command, argc, (const char **)argv);
}

/* holdfastctl help, holdfastctl help COMMAND. */
static int help(int argc, char **argv)
{
    char help_option[] = "--help";
    for (size_t i = 0; i < commands.n_items; i++) {
        int n_words = words_matched(commands.items[i]->name, argc, argv);
        char *asked[] = {argv[0], help_option, NULL};
        if (n_words > 0)
            return run(commands.items[i], 2, asked);
    }
    if (argc == 0 || argv[0][0] == '-') {
        print_help(stdout);
        return HF_EXIT_OK;
    }
    char *asked[] = {argv[0], argc > 1 ? argv[1] : help_option, NULL};
    return hf_commands_miss(&commands, 2, asked);
}

static int choose(int argc, char **argv)
{
    for (; argc > 1 && hf_cli_take_global(argv[1]); argc--, argv++)
        continue;
    if (argc < 2) {
        print_help(stderr);
        return HF_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return HF_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("holdfastctl " HF_VERSION);
        return HF_EXIT_OK;
    }
    for (size_t i = 0; i < commands.n_items; i++) {
        int words = words_matched(commands.items[i]->name, argc - 1, argv + 1);
        /* What is left begins with the last word, which takes the place of argv[0]. */
        if (words > 0)
            return run(commands.items[i], argc - words, argv + words);
    }
    return hf_commands_miss(&commands, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    hf_core_dump_forbid();
    int exit_code = choose(argc, argv);
    /* A script must not take half a report for a whole one. */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "holdfastctl: standard output could not be written\n");
    return exit_code == HF_EXIT_OK ? HF_EXIT_FAILED : exit_code;
}
