/* holdfastctl key inspect: the public side of keys, in files and in tokens. */
#include "server/publish/commands/cli.h"
#include "server/publish/base/json_text.h"
#include "server/publish/keys/key_file.h"
#include "server/publish/keys/key_type.h"
#include "server/publish/keys/public_key.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is told of one key. Borrowed. */
struct description {
    const char *key; /* the file, or the URI */
    const char *kind;
    const char *key_id;
    const json_t *public_key;
    const char *uri;          /* NULL: in no token */
    const struct hf_kdf *kdf; /* NULL: not sealed */
};

/* Told one after the other, or gathered. */
struct report {
    json_t *keys; /* owned; NULL: print */
    struct hf_tokens *tokens;
};

/* ---- one key ---------------------------------------------------------------------------------- */

static const char *public_text(const struct description *d)
{
    return json_string_value(json_object_get(json_object_get(d->public_key, "keyval"), "public"));
}

/* A PEM is no line; whoever wants it takes --public, or --json. */
static void print_public(const struct description *d)
{
    const char *type = hf_key_type_word(d->public_key);
    if (strchr(public_text(d), '\n') != NULL)
        printf("  type      %s\n", type);
    else
        printf("  %-9s %s\n", type, public_text(d));
}

static void print(const struct description *d)
{
    printf("%s\n  key id    %s\n", d->key, d->key_id);
    print_public(d);
    if (d->uri != NULL && strcmp(d->uri, d->key) != 0)
        printf("  in token  %s\n", d->uri);
    if (d->kdf != NULL)
        printf("  sealed    Argon2id, %" PRId64 " passes over %" PRId64 " MiB\n", d->kdf->passes,
               d->kdf->memory_bytes >> 20);
    if (strcmp(d->kind, "open") == 0)
        puts("  sealed    no: the private key lies open in this file");
    if (strcmp(d->kind, "public") == 0)
        puts("  the public part only");
}

static json_t *to_json(const struct description *d)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "key", d->key, "kind", d->kind, "key_id",
                     d->key_id, "type", hf_key_type_word(d->public_key), "public", public_text(d),
                     "uri", d->uri);
}

static enum hf_err tell(struct report *report, const struct description *d, struct hf_why *why)
{
    if (report->keys == NULL)
        print(d);
    else if (json_array_append_new(report->keys, to_json(d)) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a report");
    return HF_OK;
}

/* ---- where they are --------------------------------------------------------------------------- */

static enum hf_err inspect_key_file(struct report *report, const struct hf_key_file *file,
                                    struct hf_why *why)
{
    bool is_sealed = file->kdf.kind != HF_KDF_NONE;
    const struct description d = {
        .key = file->path,
        .kind = file->uri != NULL ? "reference"
                : is_sealed       ? "sealed"
                                  : "open",
        .key_id = file->key_id,
        .public_key = file->public_key,
        .uri = file->uri,
        .kdf = is_sealed ? &file->kdf : NULL,
    };
    return tell(report, &d, why);
}

static enum hf_err inspect_public(struct report *report, const char *path, struct hf_why *why)
{
    struct hf_public_key key = {0};
    HF_TRY(hf_public_key_read(path, &key, why));
    const struct description d = {path, "public", key.key_id, key.json, NULL, NULL};
    enum hf_err err = tell(report, &d, why);
    hf_public_key_free(&key);
    return err;
}

/* What a file that is neither should have been, is said of a key file. */
static enum hf_err inspect_file(struct report *report, const char *path, struct hf_why *why)
{
    struct hf_key_file file = {0};
    if (hf_key_file_read(path, &file, why) != HF_OK)
        return inspect_public(report, path, NULL) == HF_OK ? HF_OK : why->code;
    enum hf_err err = inspect_key_file(report, &file, why);
    hf_key_file_free(&file);
    return err;
}

static enum hf_err inspect_token_key(struct report *report, const struct hf_token_public *found,
                                     struct hf_why *why)
{
    char key_id[HF_SHA256_HEX_LEN];
    HF_TRY(hf_public_key_id(found->json, key_id, why));
    const struct description d = {found->uri, "token", key_id, found->json, found->uri, NULL};
    return tell(report, &d, why);
}

/* An open URI means all that it leaves open; that there are none is no answer to give in silence. */
static enum hf_err inspect_tokens(struct report *report, const char *uri, struct hf_why *why)
{
    struct hf_token_public *found = NULL;
    size_t n = 0;
    enum hf_err err = hf_token_list(&report->tokens, uri, &found, &n, why);
    if (err == HF_OK && n == 0)
        err = hf_fail(why, HF_E_NOT_FOUND, "no token at hand shows a signing key that is %s", uri);
    for (size_t i = 0; i < n && err == HF_OK; i++)
        err = inspect_token_key(report, &found[i], why);
    for (size_t i = 0; i < n; i++)
        hf_token_public_free(&found[i]);
    free(found);
    return err;
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err inspect_all(struct report *report, const char *const *keys, struct hf_why *why)
{
    for (size_t i = 0; keys[i] != NULL; i++)
        HF_TRY(hf_token_is_uri(keys[i]) ? inspect_tokens(report, keys[i], why)
                                        : inspect_file(report, keys[i], why));
    return HF_OK;
}

static enum hf_err inspect(const char *const *keys, bool is_json, struct hf_why *why)
{
    struct report report = {.keys = is_json ? json_array() : NULL};
    enum hf_err err = is_json && report.keys == NULL
                          ? hf_fail(why, HF_E_MEMORY, "out of memory for a report")
                          : inspect_all(&report, keys, why);
    if (err == HF_OK && is_json)
        err = hf_json_print_take(json_pack("{s:i, s:O}", "format", 1, "keys", report.keys), stdout,
                                 why);
    json_decref(report.keys);
    hf_tokens_free(report.tokens);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    int is_json = 0;
    const struct poptOption options[] = {HF_CLI_JSON(&is_json, "key-report"), HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *keys = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "a key file or PKCS#11 URI", keys == NULL ? NULL : keys[0]))
            exit_code = hf_cli_finish(inspect(keys, is_json != 0, &why), &why);
    }
    hf_cli_end(&cli);
    return exit_code;
}

const struct hf_command hf_cmd_key_inspect = {
    .name = "key inspect",
    .summary = "Show the public part of keys, and where the private one is.",
    .arguments = "KEY… [--json]",
    .text =
        "KEY is a key file, the public part of one, or a PKCS#11 URI; every signing key that the\n"
        "URI leaves open is listed (`pkcs11:` alone: all there are) with its full URI. No\n"
        "passphrase and no PIN is asked for, so it does not tell whether a key opens. A file that\n"
        "refers to a token is shown without it.",
    .examples = "  holdfastctl key inspect keys/offline/*.key.json\n"
                "  holdfastctl key inspect 'pkcs11:token=alice'\n",
    .run = run,
};
