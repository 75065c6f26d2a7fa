#include "client/agent/agent.h"

#include <string.h>

/* Each file NULL where it is not wanted. */
struct export_options {
    struct hf_agent_options common;
    char *file;
    char *root;
    bool keeps;
};

static enum hf_err write_files(struct hf_cli_call *call, struct hf_why *why)
{
    const struct export_options *o = call->values;
    bool is_stdout = o->file != NULL && strcmp(o->file, "-") == 0;
    struct hf_posix *posix = NULL;
    struct hf_buf pem = {0};
    enum hf_err err = HF_OK;

    if (o->file == NULL && o->root == NULL)
        return hf_cli_usage(call, "--out FILE is missing");
    if ((o->file != NULL && o->file[0] == '\0') || (o->root != NULL && o->root[0] == '\0'))
        return hf_cli_usage(call, "the name of the file to write is empty");
    if (o->keeps && o->file == NULL)
        return hf_cli_usage(call, "--keep is about --out FILE, which is missing");
    if (o->keeps && is_stdout)
        return hf_cli_usage(call, "--keep needs a file, standard output cannot be renewed");
    HF_TRY(hf_agent_open(call, &posix, why));
    if (is_stdout)
        err = hf_client_export_pem(hf_posix_client(posix), &pem, why);
    else if (o->file != NULL)
        err = hf_posix_export(posix, o->file, o->keeps, why);
    if (err == HF_OK && is_stdout)
        (void)fwrite(pem.data, 1, pem.len, stdout); /* hf_cli_main checks that it was written */
    if (err == HF_OK && o->root != NULL)
        err = hf_posix_export_root(posix, o->root, why);
    hf_buf_free(&pem);
    hf_posix_close(posix);
    return err;
}

static const struct hf_cli_option options[] = {
    {"out", 'o', HF_CLI_TEXT, offsetof(struct export_options, file),
     "the file to write; - for standard output", "FILE"},
    {"keep", 'k', HF_CLI_FLAG, offsetof(struct export_options, keeps),
     "renew it with every later update", NULL},
    {"root", 'r', HF_CLI_TEXT, offsetof(struct export_options, root),
     "write the newest root metadata here", "FILE"},
    HF_AGENT_STATE,
    HF_AGENT_VERBOSE,
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_export = {
    .name = "export",
    .summary = "the trust store as a PEM file for other programs",
    .arguments = "[--out FILE [--keep]] [--root FILE] [--state DIR]",
    .about =
        "Writes the active trust store to FILE as PEM, for programs that do not use libholdfast\n"
        "(curl, OpenSSL, Mosquitto): the roots that this device accepts now. Roots that have\n"
        "expired, are not yet valid, are past remove_after or are not for servers are left out.\n"
        "PEM cannot express distrust_after; a comment above the root does.\n\n"
        "FILE is replaced as a whole: a reader sees the old roots or the new ones, never half a\n"
        "file. With --keep, every update renews FILE, and holdfast run also when a date passes.\n"
        "There is one such file; init --export sets it from the start. With FILE - the\n"
        "PEM goes to standard output.\n\n"
        "--root writes the newest root metadata. Keep it where a factory reset of the whole\n"
        "system does not reach, and pass it to init afterwards.",
    .examples = "  holdfast export --out /etc/mosquitto/certs/roots.pem --keep\n"
                "  holdfast export --out - | openssl crl2pkcs7 -nocrl -certfile /dev/stdin \\\n"
                "      | openssl pkcs7 -print_certs -noout\n"
                "  holdfast export --root /persist/holdfast.root.json\n",
    .options = options,
    .values_size = sizeof(struct export_options),
    .run = write_files,
};
