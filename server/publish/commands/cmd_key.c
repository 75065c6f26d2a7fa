/* holdfastctl key inspect, generate, import, change-passphrase: keys in files and in tokens. */
#include "server/publish/commands/ctl.h"
#include "common/cli/report.h"
#include "server/repository/keys/key_file.h"
#include "server/repository/keys/key_seal.h"
#include "server/repository/base/public_key.h"
#include "server/repository/keys/signing_key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the report (schema/key-report.schema.json) ---------------------------------------------- */

/* What is reported of one key. Borrowed. */
struct about {
    const char *key;  /* the file, or the URI */
    const char *kind; /* "sealed", "open", "reference", "token", "public" */
    const char *key_id;
    const json_t *public_key;
    const char *uri;          /* NULL: in no token */
    const struct hf_kdf *kdf; /* NULL: not sealed */
};

static struct about about_file(const struct hf_key_file *file)
{
    bool is_sealed = file->kdf.kind != HF_KDF_NONE;
    const char *seed_kind = is_sealed ? "sealed" : "open";
    return (struct about){.key = file->path,
                          .kind = file->uri != NULL ? "reference" : seed_kind,
                          .key_id = file->key_id,
                          .public_key = file->public_key,
                          .uri = file->uri,
                          .kdf = is_sealed ? &file->kdf : NULL};
}

/* Append it to `keys`; if that is NULL, print it as one line or as a paragraph. */
static enum hf_err report(json_t *keys, const struct about *a, bool is_line, struct hf_why *why)
{
    const char *type = hf_key_type_word(a->public_key);
    const char *public = json_string_value(
        json_object_get(json_object_get(a->public_key, "keyval"), "public"));
    if (keys != NULL) {
        json_t *object = json_pack("{s:o, s:s, s:s, s:s, s:s, s:s?}", "key", hf_json_plain(a->key),
                                   "kind", a->kind, "key_id", a->key_id, "type", type, "public",
                                   public, "uri", a->uri);
        return json_array_append_new(keys, object) == 0
                   ? HF_OK
                   : hf_fail(why, HF_E_MEMORY, "out of memory for a report");
    }
    if (is_line) {
        printf("%s %s %s\n", a->key, type, a->key_id);
        return HF_OK;
    }
    printf("%s\n  key id    %s\n", a->key, a->key_id);
    if (strchr(public, '\n') != NULL) /* a PEM; --public and --json print it */
        printf("  type      %s\n", type);
    else
        printf("  %-9s %s\n", type, public);
    if (a->uri != NULL && strcmp(a->uri, a->key) != 0)
        printf("  in token  %s\n", a->uri);
    if (a->kdf != NULL)
        printf("  sealed    Argon2id, %" PRId64 " passes over %" PRId64 " MiB\n", a->kdf->passes,
               a->kdf->memory_bytes >> 20);
    if (strcmp(a->kind, "open") == 0)
        puts("  sealed    no: the private key in this file is not encrypted");
    if (strcmp(a->kind, "public") == 0)
        puts("  the public part only");
    return HF_OK;
}

/* Print the collected report, if there is one and `err` is HF_OK. Takes `keys`. */
static enum hf_err end_report_take(json_t *keys, enum hf_err err, struct hf_why *why)
{
    if (keys == NULL || err != HF_OK) {
        json_decref(keys);
        return err;
    }
    return hf_json_print_take(json_pack("{s:i, s:o}", "format", 1, "keys", keys), stdout, why);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static enum hf_err inspect_file(json_t *keys, const char *path, struct hf_why *why)
{
    struct hf_key_file file = {0};
    struct hf_public_key key = {0};
    enum hf_err err = hf_key_file_read(path, &file, why);
    /* For a file that is neither, the error about a key file is reported. */
    if (err != HF_OK && hf_public_key_find(path, &key, NULL) == HF_OK) {
        const struct about about = {path, "public", key.key_id, key.json, NULL, NULL};
        err = report(keys, &about, false, why);
    } else if (err == HF_OK) {
        const struct about about = about_file(&file);
        err = report(keys, &about, false, why);
    }
    hf_public_key_free(&key);
    hf_key_file_free(&file);
    return err;
}

/* Report all keys that match the URI; it is an error if none does. */
static enum hf_err inspect_tokens(json_t *keys, struct hf_tokens **tokens, const char *uri,
                                  struct hf_why *why)
{
    struct hf_token_public *found = NULL;
    size_t n = 0;
    enum hf_err err = hf_token_list(tokens, uri, &found, &n, why);
    if (err == HF_OK && n == 0)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "no token shows a signing key that matches %s; check that it is plugged in, "
                      "and that its module is in p11-kit's configuration or named with module-path",
                      uri);
    for (size_t i = 0; i < n && err == HF_OK; i++) {
        char key_id[HF_SHA256_HEX_LEN];
        const struct about about = {found[i].uri,  "token",      key_id,
                                    found[i].json, found[i].uri, NULL};
        err = hf_public_key_id(found[i].json, key_id, why);
        if (err == HF_OK)
            err = report(keys, &about, false, why);
    }
    for (size_t i = 0; i < n; i++)
        hf_token_public_free(&found[i]);
    free(found);
    return err;
}

static enum hf_err inspect(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    json_t *keys = o->is_json ? json_array() : NULL;
    struct hf_tokens *tokens = NULL;
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < call->n_words && err == HF_OK; i++)
        err = hf_token_is_uri(call->words[i]) ? inspect_tokens(keys, &tokens, call->words[i], why)
                                              : inspect_file(keys, call->words[i], why);
    hf_tokens_free(tokens);
    return end_report_take(keys, err, why);
}

static const struct hf_cli_option inspect_options[] = {HF_CTL_REPORT("key-report")};

const struct hf_cli_command hf_cmd_key_inspect = {
    .name = "key inspect",
    .summary = "Show the public part of keys, and where the private one is.",
    .arguments = "KEY… [--json]",
    .about =
        "KEY is a key file, the public part of one, or a PKCS#11 URI; every signing key that\n"
        "matches the URI is listed (`pkcs11:` alone: all) with its full URI. No passphrase and no\n"
        "PIN is asked for, so the command does not test whether a key opens. A file that refers\n"
        "to a token is shown without the token.",
    .examples = "  holdfastctl key inspect keys/offline/*.key.json\n"
                "  holdfastctl key inspect 'pkcs11:token=alice'\n",
    .options = inspect_options,
    .needs_word = "a key file or PKCS#11 URI",
    .max_words = HF_CLI_ANY_WORDS,
    .run = inspect,
};

/* ---- generate, import ------------------------------------------------------------------------ */

static enum hf_err check_new_key_file(const char *path, struct hf_why *why)
{
    HF_TRY(hf_key_file_check_name(path, why));
    if (hf_file_exists(path))
        return hf_fail(why, HF_E_STATE, "%s exists already; keys are never overwritten", path);
    return HF_OK;
}

/* Write the public part, if --public asks for it, and report. On failure `file`, the new key file
 * (NULL: none), is removed again. */
static enum hf_err finish_key(const struct hf_ctl_options *o, const struct about *about,
                              const char *file, struct hf_why *why)
{
    enum hf_err err = HF_OK;
    if (o->public_out != NULL)
        err = hf_public_key_create(o->public_out, about->public_key, why);
    if (err != HF_OK) {
        if (file != NULL)
            (void)unlink(file);
        return err;
    }
    json_t *keys = o->is_json ? json_array() : NULL;
    return end_report_take(keys, report(keys, about, true, why), why);
}

static enum hf_err make_file(const struct hf_ctl_options *o, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    struct hf_key_seal seal = {0};
    struct hf_path folder;
    enum hf_token_key_type type;
    HF_TRY(hf_key_type_parse(o->type, &type, why));
    if (type != HF_TOKEN_ED25519)
        return hf_fail(why, HF_E_ARGUMENT, "keys in files are ed25519; %s is for keys in tokens",
                       o->type);
    if (o->refer_out != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--refer is for keys in tokens; %s holds the key itself",
                       o->key);
    HF_TRY(check_new_key_file(o->key, why));
    HF_TRY(hf_path_folder(o->key, &folder, why));
    HF_TRY(o->from == NULL ? hf_signing_key_make(NULL, &key, why)
                           : hf_key_import(o->from, &key, why));
    enum hf_err err = HF_OK;
    if (!o->is_insecure)
        err = hf_key_seal_prepare(folder.text, o->passphrase_file, &seal, why);
    if (err == HF_OK)
        err = hf_key_file_create(o->key, &key, &seal.kdf, seal.wrap_key, why);
    hf_key_seal_free(&seal);
    const struct about about = {.key = o->key,
                                .kind = o->is_insecure ? "open" : "sealed",
                                .key_id = key.key_id,
                                .public_key = key.public_key};
    if (err == HF_OK)
        err = finish_key(o, &about, o->key, why);
    hf_signing_key_free(&key);
    return err;
}

/* Write the key file that refers to the key (`refer_out` NULL: none) and the public part, and
 * report. */
static enum hf_err describe_token_key(const struct hf_ctl_options *o, const char *uri,
                                      const char *refer_out, const struct hf_token_public *found,
                                      struct hf_why *why)
{
    char key_id[HF_SHA256_HEX_LEN];
    const struct about about = {found->uri, "token", key_id, found->json, found->uri, NULL};
    HF_TRY(hf_public_key_id(found->json, key_id, why));
    if (refer_out != NULL)
        HF_TRY(hf_key_file_create_reference(refer_out, found, uri, why));
    return finish_key(o, &about, refer_out, why);
}

static enum hf_err make_in_token(const struct hf_ctl_options *o, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public made = {0};
    enum hf_token_key_type type;
    HF_TRY(hf_key_type_parse(o->type, &type, why));
    if (o->refer_out != NULL)
        HF_TRY(check_new_key_file(o->refer_out, why));
    enum hf_err err = hf_token_generate(&tokens, o->key, type, &made, why);
    hf_tokens_free(tokens);
    if (err != HF_OK)
        return err;
    err = describe_token_key(o, o->key, o->refer_out, &made, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "the key %s is made, but", made.uri);
    hf_token_public_free(&made);
    return err;
}

static enum hf_err refer_to_token(const struct hf_ctl_options *o, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public found = {0};
    HF_TRY(check_new_key_file(o->key, why));
    HF_TRY(hf_token_check_uri(o->from, why));
    enum hf_err err = hf_token_read_public(&tokens, o->from, &found, why);
    if (err == HF_OK)
        err = describe_token_key(o, o->from, o->key, &found, why);
    hf_token_public_free(&found);
    hf_tokens_free(tokens);
    return err;
}

static enum hf_err make(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    bool is_to_token = hf_token_is_uri(o->key);
    bool is_from_token = o->from != NULL && hf_token_is_uri(o->from);
    if (o->is_insecure && o->passphrase_file != NULL)
        return hf_cli_usage(call, "give a passphrase file or --insecure-no-passphrase, not both");
    if (o->public_out != NULL && hf_file_exists(o->public_out))
        return hf_fail(why, HF_E_STATE, "%s exists already; choose another name", o->public_out);
    if (o->from != NULL && is_to_token)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a key file cannot be imported into a token; make a new key there with "
                       "holdfastctl key generate --key %s",
                       o->key);
    if (!is_to_token && !is_from_token)
        return make_file(o, why);
    /* A reference contains nothing to encrypt; the PIN protects the key. */
    if (o->passphrase_file != NULL || o->is_insecure)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a key in a token has a PIN and no passphrase; leave out --passphrase-file "
                       "and --insecure-no-passphrase");
    return is_from_token ? refer_to_token(o, why) : make_in_token(o, why);
}

#define SEALED                                                                                     \
    HF_CTL_TEXT("public", public_out, "also write the public part", "FILE"), HF_CTL_PASSPHRASE,    \
        HF_CTL_INSECURE, HF_CTL_REPORT("key-report")

static const struct hf_cli_option generate_options[] =
    {HF_CTL_TEXT("key", key, "where to make it: a file, or a PKCS#11 URI", "KEY"),
     HF_CTL_TEXT("type", type,
                 "ed25519 (default); in a token also ecdsa-p256, for tokens without the former",
                 "TYPE"),
     HF_CTL_TEXT("refer", refer_out, "of a key in a token: also write a key file that refers to it",
                 "FILE.key.json"),
     SEALED};

static const struct hf_cli_option import_options[] =
    {HF_CTL_TEXT("from", from, "the key: its file, or a PKCS#11 URI", "KEY"),
     HF_CTL_TEXT("key", key, "the key file to make", "FILE.key.json"), SEALED};

#define ONE_FOLDER                                                                                 \
    "If the folder has keys already, the new file is encrypted with their passphrase, because\n"   \
    "a folder has one passphrase. Otherwise you choose a passphrase. Nothing is overwritten.\n"    \
    "Root metadata decides the role of a key (`root add-key`); it needs only the public part."

const struct hf_cli_command hf_cmd_key_generate = {
    .name = "key generate",
    .summary = "Make one more key.",
    .arguments = "--key KEY [--type TYPE] [--public FILE] [OPTION…]",
    .about =
        "KEY is FILE.key.json, an Ed25519 key in a file encrypted with a passphrase, or\n"
        "pkcs11:token=TOKEN;object=NAME, a key in a token (smart card, HSM) that never leaves it.\n"
        "The PIN is asked for, or read with ?pin-source=file:/PATH. The file that --refer makes\n"
        "contains no secret; it represents the key in a folder of keys. No token exports a key:\n"
        "have more keys than must sign, in several tokens.\n\n" ONE_FOLDER,
    .examples = "  holdfastctl key generate --key ~/my-key/carol.key.json --public carol.pub\n"
                "  holdfastctl key generate --key /etc/holdfast/keys/online/timestamp-2.key.json\n"
                "  holdfastctl key generate --key 'pkcs11:token=alice;object=root-1' \\\n"
                "      --refer keys/offline/root-1.key.json --public alice.pub\n",
    .options = generate_options,
    .needs = {"--key"},
    .run = make,
};

const struct hf_cli_command hf_cmd_key_import = {
    .name = "key import",
    .summary = "Import an Ed25519 key of another program, or refer to a key in a token.",
    .arguments = "--from KEY --key FILE.key.json [--public FILE] [OPTION…]",
    .about =
        "KEY is a file with the 32 bytes of a seed, or with an Ed25519 key as PKCS#8 without\n"
        "passphrase, PEM or DER. Only its owner may be able to read it. Other key types are\n"
        "refused. The file is kept: destroy it when the new one has signed.\n\n" ONE_FOLDER "\n\n"
        "Or KEY is the PKCS#11 URI of a key in a token, Ed25519 or ECDSA P-256. The key stays\n"
        "there; FILE.key.json refers to it and can be used like other key files. A pin-source or\n"
        "module-path in the URI is kept. Needs the token, but no PIN.",
    .examples = "  openssl genpkey -algorithm ed25519 -out seed.pem; chmod 600 seed.pem\n"
                "  holdfastctl key import --from seed.pem --key keys/dave.key.json\n"
                "  holdfastctl key import --from 'pkcs11:token=alice;object=root-1' \\\n"
                "      --key keys/offline/root-1.key.json\n",
    .options = import_options,
    .needs = {"--from", "--key"},
    .run = make,
};

/* ---- change-passphrase ----------------------------------------------------------------------- */

static enum hf_err change(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    enum hf_err err = HF_OK;
    HF_TRY(hf_key_rekey(call->words, o->passphrase_file, o->new_passphrase_file, why));
    if (!o->is_json) {
        printf("%zu key(s) have a new passphrase; copies of the old files still open with the old "
               "one\n",
               call->n_words);
        return HF_OK;
    }
    json_t *keys = json_array();
    for (size_t i = 0; i < call->n_words && err == HF_OK; i++)
        err = inspect_file(keys, call->words[i], why);
    return end_report_take(keys, err, why);
}

static const struct hf_cli_option change_options[] =
    {HF_CTL_TEXT("passphrase-file", passphrase_file,
                 "its first line is the passphrase of today (default: ask)", "FILE"),
     HF_CTL_TEXT("new-passphrase-file", new_passphrase_file,
                 "its first line is the new one (default: ask twice)", "FILE"),
     HF_CTL_REPORT("key-report")};

const struct hf_cli_command hf_cmd_key_change_passphrase = {
    .name = "key change-passphrase",
    .summary = "Give all keys of a folder a new passphrase.",
    .arguments = "FILE… [--passphrase-file FILE] [--new-passphrase-file FILE]",
    .about =
        "Give all keys of the folder that open with its passphrase; they get a new passphrase\n"
        "with a new salt. Each is written beside the old file and opened again before any is\n"
        "renamed: at every moment each key is complete, under the old or the new passphrase. If\n"
        "the command was interrupted, run it again with the files that still have the old\n"
        "passphrase.\n\n"
        "Change the PIN of a token with the token's own tools (pkcs11-tool --change-pin, or its\n"
        "maker's).",
    .examples = "  holdfastctl key change-passphrase keys/offline/*.key.json\n",
    .options = change_options,
    .needs_word = "a key file",
    .max_words = HF_CLI_ANY_WORDS,
    .run = change,
};
