/* holdfastctl key inspect: the public side of keys, in files and in tokens. */
#include "server/publish/commands/cli.h"
#include "server/publish/commands/key_report.h"
#include "server/repository/keys/public_key.h"

#include <stdlib.h>

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

/* ---- where they are --------------------------------------------------------------------------- */

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
        err = hf_key_report_print_take(json_incref(report.keys), why);
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
