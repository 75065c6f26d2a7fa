/* holdfastctl key inspect, key change-passphrase: key files that are there. */
#include "server/publish/cli.h"
#include "server/publish/key_rekey.h"
#include "server/publish/public_key.h"

#include "common/base/hex.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- inspect ---------------------------------------------------------------------------------- */

static void print_seal(const struct hf_kdf *kdf)
{
    if (kdf->kind == HF_KDF_NONE)
        puts("  sealed    no: the private key lies open in this file");
    else
        printf("  sealed    Argon2id, %" PRId64 " passes over %" PRId64 " MiB\n", kdf->passes,
               kdf->memory_bytes >> 20);
}

static enum hf_err inspect_key_file(const char *path, struct hf_why *why)
{
    char public[2 * HF_PUBLIC_KEY_LEN + 1];
    struct hf_key_file file = {0};
    HF_TRY(hf_key_file_read(path, &file, why));
    hf_hex_encode(file.public_key, HF_PUBLIC_KEY_LEN, public);
    printf("%s\n  key id    %s\n  ed25519   %s\n", path, file.key_id, public);
    print_seal(&file.kdf);
    hf_key_file_free(&file);
    return HF_OK;
}

static enum hf_err inspect_public(const char *path, struct hf_why *why)
{
    struct hf_public_key key = {0};
    HF_TRY(hf_public_key_read(path, &key, why));
    printf("%s\n  key id    %s\n  %s, the public part only\n", path, key.key_id,
           json_string_value(json_object_get(key.json, "scheme")));
    hf_public_key_free(&key);
    return HF_OK;
}

static enum hf_err inspect(const char *const *files, struct hf_why *why)
{
    for (size_t i = 0; files[i] != NULL; i++) {
        struct hf_key_file file = {0};
        bool is_key_file = hf_key_file_read(files[i], &file, why) == HF_OK;
        if (is_key_file)
            hf_key_file_free(&file);
        if (is_key_file)
            HF_TRY(inspect_key_file(files[i], why));
        else if (inspect_public(files[i], NULL) != HF_OK)
            return why->code;
    }
    return HF_OK;
}

static int run_inspect(const struct hf_command *self, int argc, const char **argv)
{
    const struct poptOption options[] = {HF_CLI_HELP, HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "a key file", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(inspect(files, &why), &why);
    }
    hf_cli_end(&cli);
    return exit_code;
}

const struct hf_command hf_cmd_key_inspect = {
    .name = "key inspect",
    .summary = "Show the public part of keys, and how they are sealed.",
    .arguments = "FILE…",
    .text = "FILE is a key file or the public part of one. No passphrase is asked for, so it does\n"
            "not tell whether the key opens.",
    .examples = "  holdfastctl key inspect keys/offline/*.key.json\n",
    .run = run_inspect,
};

/* ---- change-passphrase -------------------------------------------------------------------------- */

static enum hf_err change(const char *const *files, const char *passphrase_file,
                          const char *new_passphrase_file, struct hf_why *why)
{
    size_t n = 0;
    HF_TRY(hf_key_rekey(files, passphrase_file, new_passphrase_file, why));
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
    const struct poptOption options[] =
        {{"passphrase-file", 0, POPT_ARG_STRING, &passphrase_file, 0,
          "its first line is the passphrase of today (default: ask)", "FILE"},
         {"new-passphrase-file", 0, POPT_ARG_STRING, &new_passphrase_file, 0,
          "its first line is the new one (default: ask twice)", "FILE"},
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "a key file", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(change(files, passphrase_file, new_passphrase_file, &why),
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
        "it was cut off, with those that still have the old one.",
    .examples = "  holdfastctl key change-passphrase keys/offline/*.key.json\n",
    .run = run_change,
};
