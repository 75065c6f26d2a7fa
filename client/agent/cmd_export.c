#include "client/agent/cli.h"

#include <stdlib.h>
#include <string.h>

static const struct hf_cli_text text = {
    .name = "export",
    .arguments = "[--out FILE [--keep]] [--root FILE] [--state DIR]",
    .about =
        "Writes the active trust store to FILE as PEM, for programs that do not use libholdfast\n"
        "(curl, OpenSSL, Mosquitto): the roots that this device accepts now. Roots that have\n"
        "expired, are not yet valid or are past remove_after are left out. PEM cannot express\n"
        "distrust_after; a comment above the root does.\n\n"
        "FILE is replaced as a whole: a reader sees the old roots or the new ones, never half a\n"
        "file. With --keep, every update renews FILE, and holdfast run also when a date passes.\n"
        "There is one such file; init --export sets it from the start. FILE '-' is standard\n"
        "output.\n\n"
        "--root writes the newest root metadata. Keep it where a factory reset of the whole\n"
        "system does not reach, and pass it to init afterwards.",
    .examples = "  holdfast export --out /etc/mosquitto/certs/roots.pem --keep\n"
                "  holdfast export --out - | openssl crl2pkcs7 -nocrl -certfile /dev/stdin \\\n"
                "      | openssl pkcs7 -print_certs -noout\n"
                "  holdfast export --root /persist/holdfast.root.json\n",
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

/* Each file NULL where it is not wanted. */
struct wanted {
    char *file;
    char *root;
    int keep;
};

static enum hf_err export_store(struct hf_posix *posix, const struct wanted *wanted,
                                struct hf_why *why)
{
    if (wanted->file == NULL)
        return HF_OK;
    if (strcmp(wanted->file, "-") == 0)
        return write_to_stdout(posix, why);
    return hf_posix_export(posix, wanted->file, wanted->keep != 0, why);
}

static enum hf_err export_all(const char *state_dir, const struct hf_cli_common *common,
                              const struct wanted *wanted, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = export_store(posix, wanted, why);
    if (err == HF_OK && wanted->root != NULL)
        err = hf_posix_export_root(posix, wanted->root, why);
    hf_posix_close(posix);
    return err;
}

/* NULL, or what is wrong about what was asked for. */
static const char *usage_fault(const struct wanted *wanted)
{
    if (wanted->file == NULL && wanted->root == NULL)
        return "--out FILE is missing";
    if ((wanted->file != NULL && wanted->file[0] == '\0') ||
        (wanted->root != NULL && wanted->root[0] == '\0'))
        return "the name of the file to write is empty";
    if (wanted->keep && wanted->file == NULL)
        return "--keep is about --out FILE, which is missing";
    if (wanted->keep && strcmp(wanted->file, "-") == 0)
        return "--keep needs a file, standard output cannot be renewed";
    return NULL;
}

int hf_cmd_export(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    struct wanted wanted = {0};
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"out", 'o', POPT_ARG_STRING, &wanted.file, 0, "the file to write; - for standard output",
         "FILE"},
        {"keep", 'k', POPT_ARG_NONE, &wanted.keep, 0, "renew it with every later update", NULL},
        {"root", 'r', POPT_ARG_STRING, &wanted.root, 0, "write the newest root metadata here",
         "FILE"},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (!hf_cli_parse(&text, argc, argv, options, &exit_code))
        goto out;
    if (usage_fault(&wanted) != NULL)
        exit_code = hf_cli_usage(&text, "%s", usage_fault(&wanted));
    else
        exit_code = hf_cli_finish(export_all(hf_cli_state(&common, state_dir), &common, &wanted,
                                             &why),
                                  &why);
out:
    free(wanted.file);
    free(wanted.root);
    hf_cli_common_free(&common);
    return exit_code;
}
