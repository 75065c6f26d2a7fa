/* holdfastctl root draft: the next root metadata, as a file to change and to sign; root add-key, remove-key,
 * set-threshold: changes to it before it is signed. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/publish/ceremony/draft_roots.h"
#include "server/publish/ceremony/draft_signatures.h"
#include "server/publish/ceremony/root_edit.h"
#include "server/repository/keys/public_key.h"
#include "server/repository/keys/key_set.h"
#include "server/repository/trusted_root.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- draft ------------------------------------------------------------------------------------ */

struct draft_options {
    struct hf_ctl_options o; /* `keys` NULL: trust begins at the repository's first root */
    char *from;
    long long days;
};

/* The newest root as the repository has it; appended to `file`. */
static enum hf_err read_newest(const struct hf_repo *repo, struct hf_trusted_set *set,
                               struct hf_buf *file, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_verify_roots(repo, HF_REPO_ANY_TIME, set, why));
    HF_TRY(hf_repo_role_path(HF_ROLE_ROOT, set->root->env.version, true, &path, why));
    return hf_repo_read(repo, path.text, HF_ROOT_BYTES_MAX, file, why);
}

static enum hf_err next_signing(const struct hf_root *before, long long days,
                                struct hf_signing *out, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX], last[HF_TIME_TEXT_MAX];
    int64_t now_s = hf_ctl_now_s();
    if (before->env.signed_at_s != HF_TIME_NONE && before->env.signed_at_s > now_s) {
        hf_time_format(now_s, now);
        hf_time_format(before->env.signed_at_s, last);
        return hf_fail(why, HF_E_STATE,
                       "this machine's clock says %s, but root %" PRId64 " was signed at %s; set "
                       "the clock",
                       now, before->env.version, last);
    }
    *out = (struct hf_signing){before->env.version + 1, now_s + days * HF_DAY_S, now_s};
    return HF_OK;
}

static enum hf_err compose(const struct draft_options *r, const struct hf_repo *repo,
                           struct hf_draft *out, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_buf file = {0};
    json_t *signed_part = NULL, *roots = NULL;
    struct hf_signing signing;
    enum hf_err err = read_newest(repo, &set, &file, why);
    if (err == HF_OK)
        err = next_signing(set.root, r->days, &signing, why);
    if (err == HF_OK)
        err = hf_compose_next_root(set.root->env.signed_part, &signing, &signed_part, why);
    if (err == HF_OK)
        err = hf_draft_roots_read(repo, set.root->env.version, &roots, why);
    const struct hf_draft_parts parts = {.role = HF_ROLE_ROOT,
                                         .root = hf_buf_bytes(&file),
                                         .roots = roots,
                                         .signed_part = signed_part};
    if (err == HF_OK)
        err = hf_draft_make(&parts, out, why);
    json_decref(roots);
    json_decref(signed_part);
    hf_buf_free(&file);
    hf_trusted_set_free(&set);
    return err;
}

/* From the root pinned beside the keys, where there are keys. */
static enum hf_err compose_from(const struct draft_options *r, struct hf_draft *out,
                                struct hf_why *why)
{
    struct hf_key_set keys;
    struct hf_buf pin = {0};
    struct hf_repo repo = {.dir = r->from};
    if (r->o.keys == NULL)
        return compose(r, &repo, out, why);
    HF_TRY(hf_key_set_init_holder(&keys, r->o.keys, NULL, why));
    enum hf_err err = hf_trusted_root_read(&keys.folders[HF_KEYS_OFFLINE], &pin, why);
    repo.trusted_root = hf_buf_bytes(&pin);
    if (err == HF_OK)
        err = compose(r, &repo, out, why);
    hf_buf_free(&pin);
    hf_key_set_free(&keys);
    return err;
}

static void report(const struct draft_options *r, const struct hf_draft *draft)
{
    struct hf_signature_status status = {0};
    hf_draft_show(draft, stdout);
    if (hf_signature_status_make(draft, &status, NULL) == HF_OK)
        hf_signature_status_print(&status, stdout);
    hf_signature_status_free(&status);
    printf("\nNext: change it with holdfastctl root add-key, remove-key, set-threshold; then let "
           "each\nkey holder run: holdfastctl root sign --draft %s --keys DIR\n",
           r->o.draft);
}

static enum hf_err draft_root(struct hf_cli_call *call, struct hf_why *why)
{
    const struct draft_options *r = call->values;
    struct hf_draft draft = {0};
    if (r->days < 1 || r->days > HF_EXPIRY_DAYS_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "root metadata may last 1 to %d days, not %lld",
                       HF_EXPIRY_DAYS_MAX, r->days);
    HF_TRY(compose_from(r, &draft, why));
    enum hf_err err = hf_draft_create(r->o.draft, &draft, why);
    if (err == HF_OK && r->o.is_json)
        err = hf_draft_print_json(&draft, stdout, why);
    else if (err == HF_OK)
        report(r, &draft);
    hf_draft_free(&draft);
    return err;
}

#define AT(member) offsetof(struct draft_options, member)

static const struct hf_cli_option draft_options[] =
    {{"from", 0, HF_CLI_TEXT, AT(from), "the repository whose root it follows", "REPO"},
     {"keys", 0, HF_CLI_TEXT, HF_CTL_AT(keys),
      "keys of this repository: trust starts from the root beside them", "DIR"},
     {"draft", 0, HF_CLI_TEXT, HF_CTL_AT(draft), "the file to make", "FILE"},
     {"expires", 0, HF_CLI_INT64, AT(days), "how long the new root lasts", "DAYS",
      .preset = HF_EXPIRY_ROOT_DAYS, .shows_preset = true},
     HF_CTL_JSON("draft-report"),
     HF_CTL_HELP,
     HF_CLI_END};

const struct hf_cli_command hf_cmd_root_draft = {
    .name = "root draft",
    .summary = "Write a draft of the next root metadata.",
    .arguments = "--from REPO --draft FILE [OPTION…]",
    .about =
        "The draft is the newest root of the repository with the next version and a new expiry.\n"
        "It contains everything that a key holder needs, so a machine with only this file and a\n"
        "key can sign it. Nothing in the repository changes before `root finish`. Only the root\n"
        "metadata of the repository needs to be valid.",
    .examples = "  holdfastctl root draft --from /srv/roots --draft root.draft\n"
                "  holdfastctl root draft --from /srv/roots --draft root.draft --expires 365\n",
    .options = draft_options,
    .values_size = sizeof(struct draft_options),
    .needs = {"--from", "--draft"},
    .run = draft_root,
};

/* ---- add-key, remove-key, set-threshold ------------------------------------------------------- */

enum edit { ADD_KEYS, REMOVE_KEYS, SET_THRESHOLD };

struct edit_options {
    struct hf_ctl_options o;
    char *role;
    char **keys;
    long long threshold; /* 0: not given */
    bool discards_signatures;
};

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

static enum hf_err add_one(struct hf_root_edit *edit, enum hf_top_role role, const char *which,
                           struct hf_why *why)
{
    struct hf_key_reference key = {0};
    HF_TRY(find_key(which, &key, why));
    enum hf_err err = hf_root_edit_add_key(edit, role, &key.public, key.name, why);
    hf_key_reference_free(&key);
    return err;
}

/* A key, or its id in digits: the file of a lost key is lost too. */
static enum hf_err remove_one(struct hf_root_edit *edit, enum hf_top_role role, const char *which,
                              struct hf_why *why)
{
    struct hf_key_reference key = {0};
    if (!hf_token_is_uri(which) && !hf_file_exists(which))
        return hf_root_edit_remove_key(edit, role, which, why);
    HF_TRY(find_key(which, &key, why));
    const char *id = hf_key_role_id(&edit->draft->next, role, key.public.json);
    enum hf_err err = hf_root_edit_remove_key(edit, role, id != NULL ? id : key.public.key_id, why);
    hf_key_reference_free(&key);
    return err;
}

static enum hf_err change(struct hf_draft *draft, const struct edit_options *r, enum edit what,
                          struct hf_why *why)
{
    struct hf_root_edit edit = {0};
    enum hf_top_role role = HF_ROLE_ROOT;
    HF_TRY(parse_role(r->role, &role, why));
    HF_TRY(hf_draft_read(r->o.draft, draft, why));
    HF_TRY(hf_root_edit_begin(draft, r->discards_signatures, &edit, why));
    enum hf_err err = HF_OK;
    for (size_t i = 0; r->keys != NULL && r->keys[i] != NULL && err == HF_OK; i++)
        err = what == ADD_KEYS ? add_one(&edit, role, r->keys[i], why)
                               : remove_one(&edit, role, r->keys[i], why);
    if (err == HF_OK && r->threshold != 0)
        err = hf_root_edit_set_threshold(&edit, role, r->threshold, why);
    if (err == HF_OK)
        err = hf_root_edit_end(&edit, why);
    hf_root_edit_free(&edit);
    return err;
}

static enum hf_err edit_root(struct hf_cli_call *call, struct hf_why *why)
{
    const struct edit_options *r = call->values;
    enum edit what = (enum edit)call->command->variant;
    struct hf_draft draft = {0};
    if (what == SET_THRESHOLD)
        HF_TRY(hf_cli_need(call, "--threshold", r->threshold != 0 ? "M" : NULL));
    enum hf_err err = change(&draft, r, what, why);
    if (err == HF_OK)
        err = hf_draft_write(r->o.draft, &draft, why);
    if (err == HF_OK && r->o.is_json)
        err = hf_draft_print_json(&draft, stdout, why);
    else if (err == HF_OK)
        hf_draft_show(&draft, stdout);
    hf_draft_free(&draft);
    return err;
}

#undef AT
#define AT(member) offsetof(struct edit_options, member)

static const struct hf_cli_option edit_options[] =
    {{"key", 0, HF_CLI_LIST, AT(keys),
      "a key file, a public part, or a PKCS#11 URI; for remove-key also the key id (at least 16 "
      "digits)",
      "KEY"},
     {"draft", 0, HF_CLI_TEXT, HF_CTL_AT(draft), "the draft to change", "FILE"},
     {"role", 0, HF_CLI_TEXT, AT(role), "root, targets, snapshot or timestamp", "ROLE"},
     {"threshold", 0, HF_CLI_INT64, AT(threshold), "how many keys of it must sign", "M"},
     {"discard-signatures", 0, HF_CLI_FLAG, AT(discards_signatures),
      "change it although it is signed; all must sign again", NULL},
     HF_CTL_JSON("draft-report"),
     HF_CTL_HELP,
     HF_CLI_END};

#define ONLY_UNSIGNED                                                                              \
    "A signed draft cannot be changed, because the signatures would be lost. All changes of\n"     \
    "the draft are shown afterwards."

const struct hf_cli_command hf_cmd_root_add_key = {
    .name = "root add-key",
    .summary = "Add a key to a role, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --key KEY… [OPTION…]",
    .about =
        "KEY is the public part of a key as `key generate --public` writes it, a key file, or the\n"
        "PKCS#11 URI of a key in a token (no passphrase or PIN is asked for). The key itself\n"
        "stays where it is.\n\n" ONLY_UNSIGNED,
    .examples = "  holdfastctl root add-key --draft root.draft --role root --key carol.pub\n"
                "  holdfastctl root add-key --draft root.draft --role timestamp \\\n"
                "      --key /etc/holdfast/keys/online/timestamp-2.key.json\n",
    .options = edit_options,
    .values_size = sizeof(struct edit_options),
    .needs = {"--draft", "--role", "--key"},
    .run = edit_root,
    .variant = ADD_KEYS,
};

const struct hf_cli_command hf_cmd_root_remove_key = {
    .name = "root remove-key",
    .summary = "Remove a key from a role, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --key KEY… [OPTION…]",
    .about =
        "KEY is a key as for add-key, or the key id that `root status` shows; the first 16 digits\n"
        "are enough. The role must keep as many keys as its threshold: add the new key first, or\n"
        "lower the threshold too.\n\n" ONLY_UNSIGNED,
    .examples =
        "  holdfastctl root remove-key --draft root.draft --role root --key 1f2e3d4c5b6a7988\n",
    .options = edit_options,
    .values_size = sizeof(struct edit_options),
    .needs = {"--draft", "--role", "--key"},
    .run = edit_root,
    .variant = REMOVE_KEYS,
};

const struct hf_cli_command hf_cmd_root_set_threshold = {
    .name = "root set-threshold",
    .summary = "Set how many keys of a role must sign, in a draft of root.",
    .arguments = "--draft FILE --role ROLE --threshold M [OPTION…]",
    .about = ONLY_UNSIGNED,
    .examples = "  holdfastctl root set-threshold --draft root.draft --role root --threshold 2\n",
    .options = edit_options + 1,
    .values_size = sizeof(struct edit_options),
    .needs = {"--draft", "--role"},
    .run = edit_root,
    .variant = SET_THRESHOLD,
};
