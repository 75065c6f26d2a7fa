/* holdfastctl key generate, key import: one more key, as a file. */
#include "server/publish/cli.h"
#include "server/publish/key_import.h"
#include "server/publish/key_seal.h"
#include "server/publish/public_key.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
    char *from; /* of import; NULL: generate */
    char *out;
    char *public_out;
    char *passphrase_file;
    int is_insecure;
};

/* Only files so named are found in a folder of keys. */
static enum hf_err check_name(const struct request *r, struct hf_why *why)
{
    size_t len = strlen(r->out), suffix_len = strlen(HF_KEY_FILE_SUFFIX);
    if (len <= suffix_len || strcmp(r->out + len - suffix_len, HF_KEY_FILE_SUFFIX) != 0)
        return hf_fail(why, HF_E_ARGUMENT, "the name of a key file ends in %s, %s does not",
                       HF_KEY_FILE_SUFFIX, r->out);
    if (hf_disk_exists(r->out))
        return hf_fail(why, HF_E_STATE, "%s exists already; keys are never overwritten", r->out);
    if (r->public_out != NULL && hf_disk_exists(r->public_out))
        return hf_fail(why, HF_E_STATE, "%s exists already; choose another name", r->public_out);
    return HF_OK;
}

static enum hf_err write_public(const struct request *r, const struct hf_signing_key *key,
                                struct hf_why *why)
{
    json_t *object = NULL;
    if (r->public_out == NULL)
        return HF_OK;
    HF_TRY(hf_public_key_to_json(key->public_key, &object, why));
    enum hf_err err = hf_public_key_create(r->public_out, object, why);
    json_decref(object);
    return err;
}

static enum hf_err prepare_seal(const struct request *r, struct hf_key_seal *out,
                                struct hf_why *why)
{
    struct hf_path folder;
    if (r->is_insecure)
        return HF_OK;
    HF_TRY(hf_path_folder(r->out, &folder, why));
    return hf_key_seal_prepare(folder.text, r->passphrase_file, out, why);
}

static enum hf_err write_key(const struct request *r, const struct hf_signing_key *key,
                             struct hf_why *why)
{
    struct hf_key_seal seal = {0};
    HF_TRY(prepare_seal(r, &seal, why));
    enum hf_err err = hf_key_file_create(r->out, key, &seal.kdf, seal.wrap_key, why);
    hf_key_seal_free(&seal);
    if (err != HF_OK)
        return err;
    err = write_public(r, key, why);
    if (err != HF_OK)
        (void)unlink(r->out);
    return err;
}

static enum hf_err make(const struct request *r, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    HF_TRY(check_name(r, why));
    HF_TRY(r->from == NULL ? hf_signing_key_generate(&key, why)
                           : hf_key_import(r->from, &key, why));
    enum hf_err err = write_key(r, &key, why);
    if (err == HF_OK)
        printf("%s ed25519 %s\n", r->out, key.key_id);
    hf_signing_key_free(&key);
    return err;
}

static bool is_complete(const struct hf_cli *cli, const struct request *r, bool is_import)
{
    if ((is_import && !hf_cli_need(cli->command, "--from", r->from)) ||
        !hf_cli_need(cli->command, "--out", r->out) || !hf_cli_no_arguments(cli))
        return false;
    if (!r->is_insecure || r->passphrase_file == NULL)
        return true;
    (void)hf_cli_usage(cli->command,
                       "give a passphrase file or --insecure-no-passphrase, not both");
    return false;
}

static void free_request(struct request *r)
{
    free(r->from);
    free(r->out);
    free(r->public_out);
    free(r->passphrase_file);
}

#define MAKE_OPTIONS(r)                                                                            \
    {"out", 0, POPT_ARG_STRING, &(r)->out, 0, "the key file to make", "FILE.key.json"},            \
        {"public", 0, POPT_ARG_STRING, &(r)->public_out, 0, "also write the public part", "FILE"}, \
        HF_CLI_PASSPHRASE(r),                                                                      \
        {"insecure-no-passphrase",                                                                 \
         0,                                                                                        \
         POPT_ARG_NONE,                                                                            \
         &(r)->is_insecure,                                                                        \
         0,                                                                                        \
         "leave the key open on disk: for tests only",                                             \
         NULL},                                                                                    \
        HF_CLI_HELP, HF_CLI_END

static int finish_run(struct hf_cli *cli, struct request *r, bool is_ready, int exit_code)
{
    struct hf_why why = {0};
    if (is_ready)
        exit_code = hf_cli_finish(make(r, &why), &why);
    hf_cli_end(cli);
    free_request(r);
    return exit_code;
}

static int run_generate(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    const struct poptOption options[] = {MAKE_OPTIONS(&r)};
    struct hf_cli cli;
    int exit_code = HF_EXIT_USAGE;
    bool is_ready = hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
                    is_complete(&cli, &r, false);
    return finish_run(&cli, &r, is_ready, exit_code);
}

static int run_import(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    const struct poptOption options[] = {{"from", 0, POPT_ARG_STRING, &r.from, 0,
                                          "the private key to read", "FILE"},
                                         MAKE_OPTIONS(&r)};
    struct hf_cli cli;
    int exit_code = HF_EXIT_USAGE;
    bool is_ready = hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
                    is_complete(&cli, &r, true);
    return finish_run(&cli, &r, is_ready, exit_code);
}

#define ONE_FOLDER                                                                                 \
    "Where keys lie in that folder already, it is sealed with their passphrase: one folder has "   \
    "one.\n"                                                                                       \
    "Otherwise a passphrase is chosen. Nothing is overwritten. Which role a key has is decided "   \
    "by\n"                                                                                         \
    "root metadata (`root add-key`), for which the public part is enough."

const struct hf_command hf_cmd_key_generate = {
    .name = "key generate",
    .summary = "Make one more key.",
    .arguments = "--out FILE.key.json [--public FILE] [--passphrase-file FILE]",
    .text = ONE_FOLDER,
    .examples = "  holdfastctl key generate --out ~/my-key/carol.key.json --public carol.pub\n"
                "  holdfastctl key generate --out /etc/holdfast/keys/online/timestamp-2.key.json\n",
    .run = run_generate,
};

const struct hf_command hf_cmd_key_import = {
    .name = "key import",
    .summary = "Take over an Ed25519 key that another program made.",
    .arguments = "--from FILE --out FILE.key.json [--public FILE] [--passphrase-file FILE]",
    .text =
        "FILE holds the 32 bytes of a seed, or an Ed25519 key as PKCS#8 without passphrase, PEM\n"
        "or DER, and nobody but its owner may read it. Keys of other kinds are refused. The file\n"
        "stays: destroy it when the new one has signed.\n\n" ONE_FOLDER,
    .examples = "  openssl genpkey -algorithm ed25519 -out seed.pem; chmod 600 seed.pem\n"
                "  holdfastctl key import --from seed.pem --out keys/dave.key.json\n",
    .run = run_import,
};
