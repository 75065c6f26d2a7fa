/* holdfastctl key change-passphrase: keys in files, sealed anew. */
#include "server/publish/commands/cli.h"
#include "server/publish/commands/key_report.h"
#include "server/repository/keys/key_rekey.h"

#include <stdlib.h>

static enum hf_err change(const char *const *files, const char *passphrase_file,
                          const char *new_passphrase_file, bool is_json, struct hf_why *why)
{
    size_t n = 0;
    HF_TRY(hf_key_rekey(files, passphrase_file, new_passphrase_file, why));
    if (is_json)
        return hf_key_report_files(files, why);
    while (files[n] != NULL)
        n++;
    printf(
        "%zu key(s) have a new passphrase; copies of the old files still open with the old one\n",
        n);
    return HF_OK;
}

static int run_change(const struct hf_command *self, int argc, const char **argv)
{
    char *passphrase_file = NULL;
    char *new_passphrase_file = NULL;
    int is_json = 0;
    const struct poptOption options[] =
        {{"passphrase-file", 0, POPT_ARG_STRING, &passphrase_file, 0,
          "its first line is the passphrase of today (default: ask)", "FILE"},
         {"new-passphrase-file", 0, POPT_ARG_STRING, &new_passphrase_file, 0,
          "its first line is the new one (default: ask twice)", "FILE"},
         HF_CLI_JSON(&is_json, "key-report"),
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "a key file", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(change(files, passphrase_file, new_passphrase_file,
                                             is_json != 0, &why),
                                      &why);
    }
    hf_cli_end(&cli);
    free(passphrase_file);
    free(new_passphrase_file);
    return exit_code;
}

const struct hf_command hf_cmd_key_change_passphrase = {
    .name = "key change-passphrase",
    .summary = "Give all keys of a folder a new passphrase.",
    .arguments = "FILE… [--passphrase-file FILE] [--new-passphrase-file FILE]",
    .text =
        "All keys of the folder that open with its passphrase are given, and get a new one with\n"
        "a new salt. Each is written beside the old file and opened again before any is renamed:\n"
        "at every moment a key is whole, under the old or the new passphrase. Begin again when\n"
        "it was cut off, with those that still have the old one.\n\n"
        "The PIN of a token is changed with the token's own tools (pkcs11-tool --change-pin, or\n"
        "its maker's).",
    .examples = "  holdfastctl key change-passphrase keys/offline/*.key.json\n",
    .run = run_change,
};
