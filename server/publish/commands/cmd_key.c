/* holdfastctl key inspect, the public side of keys in files and in tokens; key change-passphrase, keys in
 * files sealed again; and the reports of these and of the commands that make keys. */
#include "server/publish/commands/key_report.h"

#include "server/publish/commands/ctl.h"
#include "common/cli/report.h"
#include "server/repository/keys/key_seal.h"
#include "server/repository/keys/public_key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is told of a key -------------------------------------------------------------------- */

struct hf_key_about hf_key_about_file(const struct hf_key_file *file)
{
    bool is_sealed = file->kdf.kind != HF_KDF_NONE;
    return (struct hf_key_about){
        .key = file->path,
        .kind = file->uri != NULL ? "reference"
                : is_sealed       ? "sealed"
                                  : "open",
        .key_id = file->key_id,
        .public_key = file->public_key,
        .uri = file->uri,
        .kdf = is_sealed ? &file->kdf : NULL,
    };
}

static const char *public_text(const struct hf_key_about *about)
{
    return json_string_value(
        json_object_get(json_object_get(about->public_key, "keyval"), "public"));
}

/* A PEM is no line; --public and --json print it. */
static void print_public(const struct hf_key_about *about, FILE *out)
{
    const char *type = hf_key_type_word(about->public_key);
    if (strchr(public_text(about), '\n') != NULL)
        fprintf(out, "  type      %s\n", type);
    else
        fprintf(out, "  %-9s %s\n", type, public_text(about));
}

void hf_key_about_print(const struct hf_key_about *about, FILE *out)
{
    fprintf(out, "%s\n  key id    %s\n", about->key, about->key_id);
    print_public(about, out);
    if (about->uri != NULL && strcmp(about->uri, about->key) != 0)
        fprintf(out, "  in token  %s\n", about->uri);
    if (about->kdf != NULL)
        fprintf(out, "  sealed    Argon2id, %" PRId64 " passes over %" PRId64 " MiB\n",
                about->kdf->passes, about->kdf->memory_bytes >> 20);
    if (strcmp(about->kind, "open") == 0)
        fputs("  sealed    no: the private key in this file is not encrypted\n", out);
    if (strcmp(about->kind, "public") == 0)
        fputs("  the public part only\n", out);
}

enum hf_err hf_key_about_append(const struct hf_key_about *about, json_t *keys, struct hf_why *why)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "key", about->key, "kind",
                               about->kind, "key_id", about->key_id, "type",
                               hf_key_type_word(about->public_key), "public", public_text(about),
                               "uri", about->uri);
    if (json_array_append_new(keys, object) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a report");
    return HF_OK;
}

enum hf_err hf_key_report_print_take(json_t *keys, struct hf_why *why)
{
    return hf_json_print_take(json_pack("{s:i, s:o}", "format", 1, "keys", keys), stdout, why);
}

/* ---- inspect ---------------------------------------------------------------------------------- */

/* Told one after the other, or gathered. */
struct report {
    json_t *keys; /* owned; NULL: print */
    struct hf_tokens *tokens;
};

static enum hf_err tell(struct report *report, const struct hf_key_about *about, struct hf_why *why)
{
    if (report->keys != NULL)
        return hf_key_about_append(about, report->keys, why);
    hf_key_about_print(about, stdout);
    return HF_OK;
}

static enum hf_err inspect_public(struct report *report, const char *path, struct hf_why *why)
{
    struct hf_public_key key = {0};
    HF_TRY(hf_public_key_read(path, &key, why));
    const struct hf_key_about about = {path, "public", key.key_id, key.json, NULL, NULL};
    enum hf_err err = tell(report, &about, why);
    hf_public_key_free(&key);
    return err;
}

/* What a file that is neither should have been, is said of a key file. */
static enum hf_err inspect_file(struct report *report, const char *path, struct hf_why *why)
{
    struct hf_key_file file = {0};
    if (hf_key_file_read(path, &file, why) != HF_OK)
        return inspect_public(report, path, NULL) == HF_OK ? HF_OK : why->code;
    const struct hf_key_about about = hf_key_about_file(&file);
    enum hf_err err = tell(report, &about, why);
    hf_key_file_free(&file);
    return err;
}

static enum hf_err inspect_token_key(struct report *report, const struct hf_token_public *found,
                                     struct hf_why *why)
{
    char key_id[HF_SHA256_HEX_LEN];
    HF_TRY(hf_public_key_id(found->json, key_id, why));
    const struct hf_key_about about = {found->uri, "token", key_id, found->json, found->uri, NULL};
    return tell(report, &about, why);
}

/* An open URI means all that it leaves open; that there are none is no answer to give in silence. */
static enum hf_err inspect_tokens(struct report *report, const char *uri, struct hf_why *why)
{
    struct hf_token_public *found = NULL;
    size_t n = 0;
    enum hf_err err = hf_token_list(&report->tokens, uri, &found, &n, why);
    if (err == HF_OK && n == 0)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "no token at hand shows a signing key that fits %s; is it plugged in, and is "
                      "its module in p11-kit's configuration, or named with module-path?",
                      uri);
    for (size_t i = 0; i < n && err == HF_OK; i++)
        err = inspect_token_key(report, &found[i], why);
    for (size_t i = 0; i < n; i++)
        hf_token_public_free(&found[i]);
    free(found);
    return err;
}

static enum hf_err inspect(struct hf_cli_call *call, struct hf_why *why)
{
    bool is_json = ((const struct hf_ctl_options *)call->values)->is_json;
    struct report report = {.keys = is_json ? json_array() : NULL};
    enum hf_err err = HF_OK;
    if (is_json && report.keys == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a report");
    for (size_t i = 0; i < call->n_words && err == HF_OK; i++)
        err = hf_token_is_uri(call->words[i]) ? inspect_tokens(&report, call->words[i], why)
                                              : inspect_file(&report, call->words[i], why);
    if (err == HF_OK && is_json)
        err = hf_key_report_print_take(json_incref(report.keys), why);
    json_decref(report.keys);
    hf_tokens_free(report.tokens);
    return err;
}

static const struct hf_cli_option inspect_options[] = {HF_CTL_JSON("key-report"), HF_CTL_HELP,
                                                       HF_CLI_END};

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
    .values_size = sizeof(struct hf_ctl_options),
    .needs_word = "a key file or PKCS#11 URI",
    .max_words = HF_CLI_ANY_WORDS,
    .run = inspect,
};

/* ---- change-passphrase ------------------------------------------------------------------------ */

struct change_options {
    struct hf_ctl_options o;
    char *new_passphrase_file;
};

static enum hf_err append_file(const char *path, json_t *keys, struct hf_why *why)
{
    struct hf_key_file file = {0};
    HF_TRY(hf_key_file_read(path, &file, why));
    const struct hf_key_about about = hf_key_about_file(&file);
    enum hf_err err = hf_key_about_append(&about, keys, why);
    hf_key_file_free(&file);
    return err;
}

static enum hf_err change(struct hf_cli_call *call, struct hf_why *why)
{
    const struct change_options *r = call->values;
    enum hf_err err = HF_OK;
    HF_TRY(hf_key_rekey(call->words, r->o.passphrase_file, r->new_passphrase_file, why));
    if (!r->o.is_json) {
        printf("%zu key(s) have a new passphrase; copies of the old files still open with the old "
               "one\n",
               call->n_words);
        return HF_OK;
    }
    json_t *keys = json_array();
    for (size_t i = 0; i < call->n_words && err == HF_OK; i++)
        err = append_file(call->words[i], keys, why);
    if (err == HF_OK)
        return hf_key_report_print_take(keys, why);
    json_decref(keys);
    return err;
}

#define AT(member) offsetof(struct change_options, member)

static const struct hf_cli_option change_options[] =
    {{"passphrase-file", 0, HF_CLI_TEXT, HF_CTL_AT(passphrase_file),
      "its first line is the passphrase of today (default: ask)", "FILE"},
     {"new-passphrase-file", 0, HF_CLI_TEXT, AT(new_passphrase_file),
      "its first line is the new one (default: ask twice)", "FILE"},
     HF_CTL_JSON("key-report"),
     HF_CTL_HELP,
     HF_CLI_END};

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
    .values_size = sizeof(struct change_options),
    .needs_word = "a key file",
    .max_words = HF_CLI_ANY_WORDS,
    .run = change,
};
