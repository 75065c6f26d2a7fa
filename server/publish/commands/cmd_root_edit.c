/* holdfastctl root add-key, remove-key, set-threshold: changes to a draft before it is signed. */
#include "server/publish/commands/cli.h"
#include "server/publish/ceremony/draft_json.h"
#include "server/publish/ceremony/draft_show.h"
#include "server/publish/ceremony/draft_tally.h"
#include "server/repository/keys/key_reference.h"
#include "server/publish/ceremony/root_edit.h"
#include "server/repository/keys/key_role.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct request {
    char *draft;
    char *role;
    char **keys;
    long long threshold; /* 0: not given */
    int discards_signatures;
    int is_json;
    enum hf_top_role top_role;
};

typedef enum hf_err change_fn(struct hf_root_edit *edit, const struct request *r,
                              struct hf_why *why);

/* ---- the changes ------------------------------------------------------------------------------ */

static enum hf_err parse_role(const char *name, enum hf_top_role *out, struct hf_why *why)
{
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        if (strcmp(name, hf_top_role_name((enum hf_top_role)role)) == 0) {
            *out = (enum hf_top_role)role;
            return HF_OK;
        }
    }
    return hf_fail(why, HF_E_ARGUMENT, "--role is root, targets, snapshot or timestamp, not %s",
                   name);
}

static enum hf_err set_threshold(struct hf_root_edit *edit, const struct request *r,
                                 struct hf_why *why)
{
    if (r->threshold == 0)
        return HF_OK;
    return hf_root_edit_set_threshold(edit, r->top_role, r->threshold, why);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The public part and its name, from a file or what a token shows. */
static enum hf_err find_key(const char *key, struct hf_key_reference *out, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    struct hf_key_reference found = {0};
    enum hf_err err = hf_token_is_uri(key) ? hf_key_reference_look_up(&tokens, key, &found, why)
                                           : hf_public_key_read(key, &found.public, why);
    hf_tokens_free(tokens);
    if (err == HF_OK && found.name == NULL)
        found.name = strdup(base_name(key));
    if (err == HF_OK && found.name == NULL)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
    if (err != HF_OK) {
        hf_key_reference_free(&found);
        return err;
    }
    *out = found;
    return HF_OK;
}

static enum hf_err add_one(struct hf_root_edit *edit, const struct request *r, const char *which,
                           struct hf_why *why)
{
    struct hf_key_reference key = {0};
    HF_TRY(find_key(which, &key, why));
    enum hf_err err = hf_root_edit_add_key(edit, r->top_role, &key.public, key.name, why);
    hf_key_reference_free(&key);
    return err;
}

static enum hf_err add_keys(struct hf_root_edit *edit, const struct request *r, struct hf_why *why)
{
    for (size_t i = 0; r->keys[i] != NULL; i++)
        HF_TRY(add_one(edit, r, r->keys[i], why));
    return set_threshold(edit, r, why);
}

/* A key, or its id in digits: the file of a lost key is lost too. */
static enum hf_err remove_one(struct hf_root_edit *edit, const struct request *r, const char *which,
                              struct hf_why *why)
{
    struct hf_key_reference key = {0};
    if (!hf_token_is_uri(which) && !hf_file_exists(which))
        return hf_root_edit_remove_key(edit, r->top_role, which, why);
    HF_TRY(find_key(which, &key, why));
    const char *id = hf_key_role_id(&edit->draft->next, r->top_role, key.public.json);
    enum hf_err err = hf_root_edit_remove_key(edit, r->top_role,
                                              id != NULL ? id : key.public.key_id, why);
    hf_key_reference_free(&key);
    return err;
}

static enum hf_err remove_keys(struct hf_root_edit *edit, const struct request *r,
                               struct hf_why *why)
{
    for (size_t i = 0; r->keys[i] != NULL; i++)
        HF_TRY(remove_one(edit, r, r->keys[i], why));
    return set_threshold(edit, r, why);
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err change(struct hf_draft *draft, const struct request *r, change_fn *work,
                          struct hf_why *why)
{
    struct hf_root_edit edit = {0};
    HF_TRY(hf_root_edit_begin(draft, r->discards_signatures != 0, &edit, why));
    enum hf_err err = work(&edit, r, why);
    if (err == HF_OK)
        err = hf_root_edit_end(&edit, why);
    hf_root_edit_free(&edit);
    return err;
}

static enum hf_err change_file(struct request *r, change_fn *work, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(parse_role(r->role, &r->top_role, why));
    HF_TRY(hf_draft_read(r->draft, &draft, why));
    enum hf_err err = change(&draft, r, work, why);
    if (err == HF_OK)
        err = hf_draft_write(r->draft, &draft, why);
    if (err == HF_OK && r->is_json)
        err = hf_draft_print_json(&draft, stdout, why);
    else if (err == HF_OK)
        hf_draft_show(&draft, stdout);
    hf_draft_free(&draft);
    return err;
}

static void free_request(struct request *r)
{
    free(r->draft);
    free(r->role);
    for (size_t i = 0; r->keys != NULL && r->keys[i] != NULL; i++)
        free(r->keys[i]);
    free(r->keys);
}

static bool is_complete(const struct hf_cli *cli, const struct request *r, bool wants_keys)
{
    return hf_cli_need(cli->command, "--draft", r->draft) &&
           hf_cli_need(cli->command, "--role", r->role) &&
           (!wants_keys || hf_cli_need(cli->command, "--key", r->keys ? r->keys[0] : NULL)) &&
           (wants_keys || hf_cli_need(cli->command, "--threshold", r->threshold ? "N" : NULL)) &&
           hf_cli_no_arguments(cli);
}

static int run_change(const struct hf_command *self, int argc, const char **argv, change_fn *work,
                      bool wants_keys)
{
    struct request r = {0};
    const struct poptOption with_keys[] =
        {{"key", 0, POPT_ARG_ARGV, &r.keys, 0,
          "its file, its public part, or a PKCS#11 URI; to remove one, also its key id (16 digits "
          "do)",
          "KEY"},
         {"draft", 0, POPT_ARG_STRING, &r.draft, 0, "the draft to change", "FILE"},
         {"role", 0, POPT_ARG_STRING, &r.role, 0, "root, targets, snapshot or timestamp", "ROLE"},
         {"threshold", 0, POPT_ARG_LONGLONG, &r.threshold, 0, "how many keys of it must sign", "M"},
         {"discard-signatures", 0, POPT_ARG_NONE, &r.discards_signatures, 0,
          "change it although keys have signed; they must sign again", NULL},
         HF_CLI_JSON(&r.is_json, "draft-report"),
         HF_CLI_HELP,
         HF_CLI_END};
    const struct poptOption *options = wants_keys ? with_keys : with_keys + 1;
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        is_complete(&cli, &r, wants_keys))
        exit_code = hf_cli_finish(change_file(&r, work, &why), &why);
    hf_cli_end(&cli);
    free_request(&r);
    return exit_code;
}

static int run_add(const struct hf_command *self, int argc, const char **argv)
{
    return run_change(self, argc, argv, add_keys, true);
}

static int run_remove(const struct hf_command *self, int argc, const char **argv)
{
    return run_change(self, argc, argv, remove_keys, true);
}

static int run_threshold(const struct hf_command *self, int argc, const char **argv)
{
    return run_change(self, argc, argv, set_threshold, false);
}

#define ONLY_UNSIGNED                                                                              \
    "A draft that somebody has signed is not changed: the signatures would be lost. What\n"        \
    "the draft changes is shown afterwards."

const struct hf_command hf_cmd_root_add_key = {
    .name = "root add-key",
    .summary = "Give a role another key, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --key KEY… [OPTION…]",
    .text =
        "KEY is the public part of a key as `key generate --public` writes it, a key file, or the\n"
        "PKCS#11 URI of a key in a token (no passphrase or PIN is asked for). The key itself\n"
        "stays where it is.\n\n" ONLY_UNSIGNED,
    .examples = "  holdfastctl root add-key --draft root.draft --role root --key carol.pub\n"
                "  holdfastctl root add-key --draft root.draft --role timestamp \\\n"
                "      --key /etc/holdfast/keys/online/timestamp-2.key.json\n",
    .run = run_add,
};

const struct hf_command hf_cmd_root_remove_key = {
    .name = "root remove-key",
    .summary = "Take a key from a role, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --key KEY… [OPTION…]",
    .text = "KEY is a key as for add-key, or the key id as `root status` shows it; the first 16\n"
            "digits will do. As many keys must stay as the threshold asks for: add the new one\n"
            "first, or lower the threshold with it.\n\n" ONLY_UNSIGNED,
    .examples =
        "  holdfastctl root remove-key --draft root.draft --role root --key 1f2e3d4c5b6a7988\n",
    .run = run_remove,
};

const struct hf_command hf_cmd_root_set_threshold = {
    .name = "root set-threshold",
    .summary = "Say how many keys of a role must sign, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --threshold M [OPTION…]",
    .text = ONLY_UNSIGNED,
    .examples = "  holdfastctl root set-threshold --draft root.draft --role root --threshold 2\n",
    .run = run_threshold,
};
