#include "client/agent/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct hf_cli_text text = {
    .name = "export",
    .arguments = "--out FILE [--keep] [--state DIR]",
    .about =
        "Writes the active trust store to FILE as PEM, for programs that do not use libholdfast\n"
        "(curl, OpenSSL, Mosquitto). FILE is replaced as a whole: a reader sees the old roots or\n"
        "the new ones, never half a file. With --keep every later update renews FILE; there is "
        "one\n"
        "such file, and init --export names it from the start. FILE '-' is standard output.",
    .examples = "  holdfast export --out /etc/mosquitto/certs/roots.pem --keep\n"
                "  holdfast export --out - | openssl crl2pkcs7 -nocrl -certfile /dev/stdin \\\n"
                "      | openssl pkcs7 -print_certs -noout\n",
};

static enum hf_err write_to_stdout(struct hf_posix *posix, struct hf_why *why)
{
    struct hf_buf pem = {0};

    enum hf_err err = hf_client_export_pem(hf_posix_client(posix), &pem, why);
    if (err == HF_OK)
        (void)fwrite(pem.data, 1, pem.len, stdout); /* main looks whether it arrived */
    hf_buf_free(&pem);
    return err;
}

static enum hf_err export_to(const char *state_dir, const struct hf_cli_common *common,
                             const char *file, bool keep, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = strcmp(file, "-") == 0 ? write_to_stdout(posix, why)
                                             : hf_posix_export(posix, file, keep, why);
    hf_posix_close(posix);
    return err;
}

int hf_cmd_export(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    char *file = NULL;
    int keep = 0;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"out", 'o', POPT_ARG_STRING, &file, 0, "the file to write; - for standard output", "FILE"},
        {"keep", 'k', POPT_ARG_NONE, &keep, 0, "renew it with every later update", NULL},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (!hf_cli_parse(&text, argc, argv, options, &exit_code))
        goto out;
    if (file == NULL || file[0] == '\0')
        exit_code = hf_cli_usage(&text, "--out FILE is missing");
    else if (keep && strcmp(file, "-") == 0)
        exit_code = hf_cli_usage(&text, "--keep needs a file, standard output cannot be renewed");
    else
        exit_code = hf_cli_finish(export_to(hf_cli_state(&common, state_dir), &common, file,
                                            keep != 0, &why),
                                  &why);
out:
    free(file);
    hf_cli_common_free(&common);
    return exit_code;
}
