/* holdfastctl root sign, status, merge, and the same of targets: a key holder's part, on a machine without
 * the repository; what a draft changes and who is still to sign, of one copy or of several, which merge
 * puts into one file. */
#include "server/publish/commands/ctl.h"
#include "server/publish/ceremony/draft.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/publish/ceremony/draft_roots.h"
#include "server/publish/ceremony/draft_signatures.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* The command is of root or of targets, and so must the draft be. */
static enum hf_err check_role(const struct hf_draft *draft, const struct hf_cli_call *call,
                              const char *what, struct hf_why *why)
{
    const char *role = hf_top_role_name(draft->role);
    if ((int)draft->role == call->command->variant)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "%s is a draft of %s; use holdfastctl %s %s", what, role, role,
                   strchr(call->command->name, ' ') + 1);
}

/* ---- sign ------------------------------------------------------------------------------------- */

struct sign_options {
    struct hf_ctl_options o;
    char *yes;
};

/* Everything that can be refused is refused before a question or a passphrase. */
static enum hf_err look(const struct hf_draft *draft, const struct sign_options *r,
                        struct hf_key_set *holder, struct hf_why *why)
{
    bool is_known = false;
    if (r->o.root != NULL)
        HF_TRY(hf_draft_check_follows(draft, r->o.root, why));
    HF_TRY(hf_draft_check_trusted_roots(draft, holder, &is_known, why));
    HF_TRY(hf_draft_find_keys(draft, holder, why));
    HF_TRY(hf_draft_check_clock(draft, hf_ctl_now_s(), why));
    if (!is_known && r->o.root == NULL && r->yes == NULL && isatty(STDIN_FILENO))
        fprintf(
            stderr,
            "There is no root.json beside the keys, and --root names none, so nothing here tells "
            "whether\n"
            "the draft follows your root: compare the SHA-256 of root %" PRId64 " below with what\n"
            "others know of it.\n",
            draft->root.env.version);
    return hf_draft_confirm(draft, r->yes, why);
}

/* Who was asked has seen it already. */
static void report(const struct hf_draft *draft, bool was_shown, size_t n_signed)
{
    struct hf_signature_status status = {0};
    if (!was_shown)
        hf_draft_show(draft, stdout);
    printf("signed with %zu key(s)\n", n_signed);
    if (hf_signature_status_make(draft, &status, NULL) != HF_OK)
        return;
    hf_signature_status_print(&status, stdout);
    printf("%s\n", hf_signature_status_is_complete(&status)
                       ? "That is enough: bring it to the repository and run finish"
                       : "Signatures are missing: carry it to the next key holder");
    hf_signature_status_free(&status);
}

/* A question may stand for long on the terminal, and others can change the file. */
static enum hf_err take_what_came_meanwhile(struct hf_draft *draft, const char *path,
                                            struct hf_why *why)
{
    struct hf_draft now = {0};
    HF_TRY(hf_draft_read(path, &now, why));
    enum hf_err err = hf_draft_merge(draft, &now, why);
    hf_draft_free(&now);
    return err == HF_OK ? HF_OK
                        : hf_fail_context(why,
                                          "%s was changed since it was shown, so it stays as it "
                                          "is, without your signature",
                                          path);
}

/* The draft is signed and written: keys that lie where nothing can be written are no reason to fail. */
static void renew_pins(const struct hf_draft *draft, const struct hf_key_set *holder)
{
    struct hf_why why = {0};
    if (hf_draft_update_trusted_roots(draft, holder, &why) != HF_OK)
        fprintf(stderr,
                "holdfastctl: the draft is signed, but the record beside the keys is not at root "
                "%" PRId64 " now: %s\n",
                draft->root.env.version, why.text);
}

static enum hf_err sign_draft(struct hf_draft *draft, const struct sign_options *r,
                              struct hf_why *why)
{
    struct hf_key_set holder;
    size_t n_signed = 0;
    HF_TRY(hf_key_set_init_holder(&holder, r->o.keys, r->o.passphrase_file, why));
    enum hf_err err = hf_key_set_add_extra(&holder, hf_cli_list(r->o.extra_keys),
                                           r->o.passphrase_file, why);
    if (err == HF_OK)
        err = look(draft, r, &holder, why);
    if (err == HF_OK)
        err = hf_draft_sign(draft, &holder, &n_signed, why);
    if (err == HF_OK)
        err = take_what_came_meanwhile(draft, r->o.draft, why);
    if (err == HF_OK)
        err = hf_draft_write(r->o.draft, draft, why);
    if (err == HF_OK)
        renew_pins(draft, &holder);
    if (err == HF_OK && r->o.is_json)
        err = hf_draft_print_json(draft, stdout, why);
    else if (err == HF_OK)
        report(draft, r->yes == NULL, n_signed);
    hf_key_set_free(&holder);
    return err;
}

static enum hf_err sign(struct hf_cli_call *call, struct hf_why *why)
{
    const struct sign_options *r = call->values;
    struct hf_draft draft = {0};
    const char *key = r->o.extra_keys != NULL ? r->o.extra_keys[0] : r->o.keys;
    HF_TRY(hf_cli_need(call, "--keys or --key", key));
    HF_TRY(hf_draft_read(r->o.draft, &draft, why));
    enum hf_err err = check_role(&draft, call, r->o.draft, why);
    if (err == HF_OK)
        err = sign_draft(&draft, r, why);
    hf_draft_free(&draft);
    return err;
}

#define AT(member) offsetof(struct sign_options, member)

static const struct hf_cli_option sign_options[] = {
    {"draft", 0, HF_CLI_TEXT, HF_CTL_AT(draft), "the draft; it gets the signature", "FILE"},
    HF_CTL_KEYS,
    HF_CTL_KEY,
    {"root", 0, HF_CLI_TEXT, HF_CTL_AT(root),
     "another root that you trust, besides that beside the keys; the draft must follow it", "FILE"},
    {"yes", 0, HF_CLI_TEXT, AT(yes),
     "sign the draft with this SHA-256 (16 digits or more) without a question", "SHA256"},
    HF_CTL_PASSPHRASE,
    HF_CTL_JSON("draft-report"),
    HF_CTL_HELP,
    HF_CLI_END};

#define HOW_SIGNED                                                                                 \
    "Needs only the draft and keys: all keys of a folder (DIR/offline, or DIR itself) that\n"      \
    "may sign and have not signed yet, and those that --key names. The changes are shown\n"        \
    "first, and signed only if you agree on the terminal, or with --yes and the SHA-256 that\n"    \
    "was shown. If root.json is beside the keys, the draft must follow that root or a later\n"     \
    "one, which is then stored there. If you have a token and no folder, keep a copy of the\n"     \
    "newest root and pass it with --root.\n\n"                                                     \
    "Several holders can sign copies of one draft at the same time; finish merges "                \
    "them.\n\n" HF_CTL_KEY_TEXT

const struct hf_cli_command hf_cmd_root_sign = {
    .name = "root sign",
    .summary = "Review a draft of root and sign it.",
    .arguments = "--draft FILE {--keys DIR | --key KEY} [OPTION…]",
    .about = HOW_SIGNED,
    .examples = "  holdfastctl root sign --draft /media/stick/root.draft --keys ~/holdfast-keys\n"
                "  holdfastctl root sign --draft root.draft --root my-root.json \\\n"
                "      --key 'pkcs11:token=alice;object=root'\n"
                "  holdfastctl root sign --draft root.draft --keys keys --yes 9f86d081884c7d65\n",
    .options = sign_options,
    .values_size = sizeof(struct sign_options),
    .needs = {"--draft"},
    .run = sign,
    .variant = HF_ROLE_ROOT,
};

const struct hf_cli_command hf_cmd_targets_sign = {
    .name = "targets sign",
    .summary = "Review a draft of targets and sign it.",
    .arguments = "--draft FILE {--keys DIR | --key KEY} [OPTION…]",
    .about = HOW_SIGNED,
    .examples = "  holdfastctl targets sign --draft /media/stick/targets.draft --keys ~/my-key\n",
    .options = sign_options,
    .values_size = sizeof(struct sign_options),
    .needs = {"--draft"},
    .run = sign,
    .variant = HF_ROLE_TARGETS,
};

/* ---- status ----------------------------------------------------------------------------------- */

static enum hf_err show(const struct hf_draft *draft, struct hf_why *why)
{
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    hf_draft_show(draft, stdout);
    hf_signature_status_print(&status, stdout);
    printf("%s\n", hf_signature_status_is_complete(&status)
                       ? "complete: it can be finished"
                       : "not complete: signatures are missing");
    hf_signature_status_free(&status);
    return HF_OK;
}

static enum hf_err status(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(call->words, &draft, why));
    enum hf_err err = check_role(&draft, call, "this", why);
    if (err == HF_OK)
        err = o->is_json ? hf_draft_print_json(&draft, stdout, why) : show(&draft, why);
    hf_draft_free(&draft);
    return err;
}

static const struct hf_cli_option status_options[] = {HF_CTL_JSON("draft-report"), HF_CTL_HELP,
                                                      HF_CLI_END};

#define WHAT_STATUS_SHOWS                                                                          \
    "Shows the signed changes, counts the signatures, and names the keys that have not signed\n"   \
    "yet. Several signed copies of one draft are shown together. Needs no key and no\n"            \
    "repository, and changes nothing."

const struct hf_cli_command hf_cmd_root_status = {
    .name = "root status",
    .summary = "Show the changes of a draft of root and who has not signed yet.",
    .arguments = "FILE… [--json]",
    .about = WHAT_STATUS_SHOWS,
    .examples = "  holdfastctl root status root.draft\n"
                "  holdfastctl root status alice.draft bob.draft\n"
                "  holdfastctl root status root.draft --json | jq .signatures.complete\n",
    .options = status_options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs_word = "the draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = status,
    .variant = HF_ROLE_ROOT,
};

const struct hf_cli_command hf_cmd_targets_status = {
    .name = "targets status",
    .summary = "Show the changes of a draft of targets and who has not signed yet.",
    .arguments = "FILE… [--json]",
    .about = WHAT_STATUS_SHOWS,
    .examples = "  holdfastctl targets status targets.draft\n",
    .options = status_options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs_word = "the draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = status,
    .variant = HF_ROLE_TARGETS,
};

/* ---- merge ------------------------------------------------------------------------------------ */

static enum hf_err merge_into(struct hf_draft *draft, const char *path, struct hf_why *why)
{
    struct hf_draft there = {0};
    if (!hf_file_exists(path))
        return hf_draft_create(path, draft, why);
    HF_TRY(hf_draft_read(path, &there, why));
    enum hf_err err = hf_draft_merge(draft, &there, why);
    hf_draft_free(&there);
    if (err != HF_OK)
        return hf_fail_context(why, "%s exists and is unchanged", path);
    return hf_draft_write(path, draft, why);
}

static enum hf_err say(const struct hf_ctl_options *o, const struct hf_draft *draft,
                       struct hf_why *why)
{
    struct hf_signature_status status = {0};
    char digest[HF_SHA256_HEX_LEN];
    if (o->is_json)
        return hf_draft_print_json(draft, stdout, why);
    HF_TRY(hf_signature_status_make(draft, &status, why));
    const struct hf_envelope *env = hf_draft_envelope(draft);
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    printf("%s: draft of %s %" PRId64 ", SHA-256 %s\n", o->draft, hf_top_role_name(draft->role),
           env->version, digest);
    hf_signature_status_print(&status, stdout);
    printf("%s\n", hf_signature_status_is_complete(&status)
                       ? "complete: it can be finished"
                       : "not complete: carry it to the next key holder");
    hf_signature_status_free(&status);
    return HF_OK;
}

static enum hf_err merge(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(call->words, &draft, why));
    enum hf_err err = check_role(&draft, call, "this", why);
    if (err == HF_OK)
        err = merge_into(&draft, o->draft, why);
    if (err == HF_OK)
        err = say(o, &draft, why);
    hf_draft_free(&draft);
    return err;
}

static const struct hf_cli_option merge_options[] = {{"draft", 0, HF_CLI_TEXT, HF_CTL_AT(draft),
                                                      "the file to make, or to add signatures to",
                                                      "FILE"},
                                                     HF_CTL_JSON("draft-report"),
                                                     HF_CTL_HELP,
                                                     HF_CLI_END};

#define WHAT_MERGE_DOES                                                                            \
    "Collects the signatures of several copies in one file, for the next key holder or for\n"      \
    "finish, and shows who has signed and who has not. FILE is made; if it exists, it must be\n"   \
    "a copy of the same draft and gets the missing signatures. A copy of another draft, or\n"      \
    "one with a wrong signature, is refused by name. Needs no key and no repository.\n\n"          \
    "`finish` accepts copies as well: merge is for passing on a draft before all have signed."

const struct hf_cli_command hf_cmd_root_merge = {
    .name = "root merge",
    .summary = "Merge signed copies of a draft of root.",
    .arguments = "--draft FILE COPY… [--json]",
    .about = WHAT_MERGE_DOES,
    .examples = "  holdfastctl root merge --draft root.draft alice.draft bob.draft\n",
    .options = merge_options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs = {"--draft"},
    .needs_word = "a signed copy",
    .max_words = HF_CLI_ANY_WORDS,
    .run = merge,
    .variant = HF_ROLE_ROOT,
};

const struct hf_cli_command hf_cmd_targets_merge = {
    .name = "targets merge",
    .summary = "Merge signed copies of a draft of targets.",
    .arguments = "--draft FILE COPY… [--json]",
    .about = WHAT_MERGE_DOES,
    .examples = "  holdfastctl targets merge --draft targets.draft alice.draft bob.draft\n",
    .options = merge_options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs = {"--draft"},
    .needs_word = "a signed copy",
    .max_words = HF_CLI_ANY_WORDS,
    .run = merge,
    .variant = HF_ROLE_TARGETS,
};
