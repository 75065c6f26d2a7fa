/* holdfastctl key generate, key import: one more key, as a file or in a token. */
#include "server/publish/commands/ctl.h"
#include "common/cli/report.h"
#include "server/publish/commands/key_report.h"
#include "server/repository/keys/signing_key.h"
#include "server/repository/keys/key_seal.h"
#include "server/repository/keys/public_key.h"

#include <stdlib.h>
#include <unistd.h>

struct key_options {
    struct hf_ctl_options o;
    char *from; /* of import; NULL: generate */
    char *key;  /* where it is to be */
    char *type;
    char *public_out;
    char *refer_out;
    bool is_insecure;
};

/* ---- what all of them look at before anything is made ------------------------------------------- */

static enum hf_err check_free(const char *path, const char *otherwise, struct hf_why *why)
{
    if (path != NULL && hf_file_exists(path))
        return hf_fail(why, HF_E_STATE, "%s exists already; %s", path, otherwise);
    return HF_OK;
}

static enum hf_err check_key_file(const char *path, struct hf_why *why)
{
    HF_TRY(hf_key_file_check_name(path, why));
    return check_free(path, "keys are never overwritten", why);
}

static enum hf_err write_public(const struct key_options *r, const json_t *public_key,
                                struct hf_why *why)
{
    return r->public_out == NULL ? HF_OK : hf_public_key_create(r->public_out, public_key, why);
}

/* ---- what is said of it ----------------------------------------------------------------------- */

static enum hf_err tell(const struct key_options *r, const struct hf_key_about *about,
                        struct hf_why *why)
{
    if (!r->o.is_json) {
        printf("%s %s %s\n", about->key, hf_key_type_word(about->public_key), about->key_id);
        return HF_OK;
    }
    json_t *keys = json_array();
    enum hf_err err = hf_key_about_append(about, keys, why);
    if (err == HF_OK)
        return hf_key_report_print_take(keys, why);
    json_decref(keys);
    return err;
}

/* ---- in a file -------------------------------------------------------------------------------- */

static enum hf_err prepare_seal(const struct key_options *r, struct hf_key_seal *out,
                                struct hf_why *why)
{
    struct hf_path folder;
    if (r->is_insecure)
        return HF_OK;
    HF_TRY(hf_path_folder(r->key, &folder, why));
    return hf_key_seal_prepare(folder.text, r->o.passphrase_file, out, why);
}

static enum hf_err write_key(const struct key_options *r, const struct hf_signing_key *key,
                             struct hf_why *why)
{
    struct hf_key_seal seal = {0};
    HF_TRY(prepare_seal(r, &seal, why));
    enum hf_err err = hf_key_file_create(r->key, key, &seal.kdf, seal.wrap_key, why);
    hf_key_seal_free(&seal);
    if (err != HF_OK)
        return err;
    err = write_public(r, key->public_key, why);
    if (err != HF_OK)
        (void)unlink(r->key);
    return err;
}

static enum hf_err make_file(const struct key_options *r, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    enum hf_token_key_type type;
    HF_TRY(hf_key_type_parse(r->type, &type, why));
    if (type != HF_TOKEN_ED25519)
        return hf_fail(why, HF_E_ARGUMENT, "keys in files are ed25519; %s is for keys in tokens",
                       r->type);
    if (r->refer_out != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--refer is for keys in tokens; %s holds the key itself",
                       r->key);
    HF_TRY(check_key_file(r->key, why));
    HF_TRY(r->from == NULL ? hf_signing_key_generate(&key, why)
                           : hf_key_import(r->from, &key, why));
    enum hf_err err = write_key(r, &key, why);
    const struct hf_key_about about = {.key = r->key,
                                       .kind = r->is_insecure ? "open" : "sealed",
                                       .key_id = key.key_id,
                                       .public_key = key.public_key};
    if (err == HF_OK)
        err = tell(r, &about, why);
    hf_signing_key_free(&key);
    return err;
}

/* ---- in a token ------------------------------------------------------------------------------- */

/* A reference holds nothing that could be sealed; what asks for the key is the PIN. */
static enum hf_err refuse_seal(const struct key_options *r, struct hf_why *why)
{
    if (r->o.passphrase_file == NULL && !r->is_insecure)
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "a key in a token has a PIN and no passphrase; leave out --passphrase-file and "
                   "--insecure-no-passphrase");
}

/* The file that refers to the key, the public part, and a line about it. */
static enum hf_err write_about(const struct key_options *r, const char *uri, const char *refer_out,
                               const struct hf_token_public *found, struct hf_why *why)
{
    char key_id[HF_SHA256_HEX_LEN];
    HF_TRY(hf_public_key_id(found->json, key_id, why));
    if (refer_out != NULL)
        HF_TRY(hf_key_file_create_reference(refer_out, found, uri, why));
    enum hf_err err = write_public(r, found->json, why);
    if (err != HF_OK && refer_out != NULL)
        (void)unlink(refer_out);
    if (err != HF_OK)
        return err;
    const struct hf_key_about about = {.key = found->uri,
                                       .kind = "token",
                                       .key_id = key_id,
                                       .public_key = found->json,
                                       .uri = found->uri};
    return tell(r, &about, why);
}

static enum hf_err make_in_token(const struct key_options *r, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public made = {0};
    enum hf_token_key_type type;
    HF_TRY(hf_key_type_parse(r->type, &type, why));
    HF_TRY(refuse_seal(r, why));
    if (r->refer_out != NULL)
        HF_TRY(check_key_file(r->refer_out, why));
    enum hf_err err = hf_token_generate(&tokens, r->key, type, &made, why);
    hf_tokens_free(tokens);
    if (err != HF_OK)
        return err;
    err = write_about(r, r->key, r->refer_out, &made, why);
    if (err != HF_OK)
        (void)hf_fail_context(why, "the key %s is made, but", made.uri);
    hf_token_public_free(&made);
    return err;
}

static enum hf_err refer(const struct key_options *r, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public found = {0};
    HF_TRY(refuse_seal(r, why));
    HF_TRY(check_key_file(r->key, why));
    HF_TRY(hf_token_check_uri(r->from, why));
    enum hf_err err = hf_token_read_public(&tokens, r->from, &found, why);
    if (err == HF_OK)
        err = write_about(r, r->from, r->key, &found, why);
    hf_token_public_free(&found);
    hf_tokens_free(tokens);
    return err;
}

/* ---- the commands ----------------------------------------------------------------------------- */

static enum hf_err make(struct hf_cli_call *call, struct hf_why *why)
{
    const struct key_options *r = call->values;
    if (r->is_insecure && r->o.passphrase_file != NULL)
        return hf_cli_usage(call, "give a passphrase file or --insecure-no-passphrase, not both");
    bool is_in_token = hf_token_is_uri(r->key);
    HF_TRY(check_free(r->public_out, "choose another name", why));
    if (r->from == NULL)
        return is_in_token ? make_in_token(r, why) : make_file(r, why);
    if (is_in_token)
        return hf_fail(why, HF_E_ARGUMENT,
                       "a key that was in a file is not put into a token; make one there with "
                       "holdfastctl key generate --key %s",
                       r->key);
    return hf_token_is_uri(r->from) ? refer(r, why) : make_file(r, why);
}

#define AT(member) offsetof(struct key_options, member)
#define PUBLIC_ROW                                                                                 \
    {                                                                                              \
        "public", 0, HF_CLI_TEXT, AT(public_out), "also write the public part", "FILE"             \
    }
#define INSECURE_ROW                                                                               \
    {                                                                                              \
        "insecure-no-passphrase", 0, HF_CLI_FLAG, AT(is_insecure),                                 \
            "leave the key open on disk: for tests only", NULL                                     \
    }

static const struct hf_cli_option generate_options[] =
    {{"key", 0, HF_CLI_TEXT, AT(key), "where to make it: a file, or a PKCS#11 URI", "KEY"},
     {"type", 0, HF_CLI_TEXT, AT(type),
      "ed25519 (default); in a token also ecdsa-p256, for tokens without the former", "TYPE"},
     PUBLIC_ROW,
     {"refer", 0, HF_CLI_TEXT, AT(refer_out),
      "of a key in a token: also write a key file that refers to it", "FILE.key.json"},
     HF_CTL_PASSPHRASE,
     INSECURE_ROW,
     HF_CTL_JSON("key-report"),
     HF_CTL_HELP,
     HF_CLI_END};

static const struct hf_cli_option import_options[] =
    {{"from", 0, HF_CLI_TEXT, AT(from), "the key: its file, or a PKCS#11 URI", "KEY"},
     {"key", 0, HF_CLI_TEXT, AT(key), "the key file to make", "FILE.key.json"},
     PUBLIC_ROW,
     HF_CTL_PASSPHRASE,
     INSECURE_ROW,
     HF_CTL_JSON("key-report"),
     HF_CTL_HELP,
     HF_CLI_END};

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
    .values_size = sizeof(struct key_options),
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
    .values_size = sizeof(struct key_options),
    .needs = {"--from", "--key"},
    .run = make,
};
