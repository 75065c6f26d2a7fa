/* holdfastctl root sign, status, merge, and the same of targets, on a machine without the
 * repository: sign a draft, show its changes and who must still sign, merge signed copies. The
 * variant of a command is the role. */
#include "server/publish/commands/ctl.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/repository/drafts/draft_roots.h"
#include "server/repository/drafts/draft_signatures.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* A command of root takes drafts of root, one of targets those of targets. */
static enum hf_err check_role(const struct hf_draft *draft, const struct hf_cli_call *call,
                              const char *what, struct hf_why *why)
{
    const char *role = hf_top_role_name(draft->role);
    if ((int)draft->role == call->command->variant)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "%s is a draft of %s; use holdfastctl %s %s", what, role, role,
                   strchr(call->command->name, ' ') + 1);
}

static enum hf_err print_status(const struct hf_draft *draft, struct hf_why *why)
{
    bool is_complete = false;
    HF_TRY(hf_draft_print_signatures(draft, true, stdout, &is_complete, why));
    if (!is_complete)
        puts("not complete: carry it to the next key holder");
    else if (hf_draft_is_under_coming_root(draft))
        puts("complete: run holdfastctl root finish with --targets where the repository is");
    else
        printf("complete: run holdfastctl %s finish where the repository is\n",
               hf_top_role_name(draft->role));
    return HF_OK;
}

/* Everything that can be refused is refused before a question or a passphrase. */
static enum hf_err check_and_ask(const struct hf_draft *draft, const struct hf_ctl_options *o,
                                 struct hf_key_set *holder, struct hf_why *why)
{
    bool is_known = false;
    HF_TRY(hf_key_set_add_extra(holder, hf_cli_list(o->extra_keys), o->passphrase_file, why));
    if (o->root != NULL)
        HF_TRY(hf_draft_check_follows(draft, o->root, why));
    HF_TRY(hf_draft_check_trusted_roots(draft, holder, false, &is_known, why));
    HF_TRY(hf_draft_find_keys(draft, holder, why));
    HF_TRY(hf_draft_check_clock(draft, hf_ctl_now_s(), why));
    if (!is_known && o->root == NULL && o->yes == NULL && isatty(STDIN_FILENO))
        fprintf(stderr,
                "There is no root.json beside the keys and no --root, so the draft is not compared "
                "with a root\n"
                "that you trust. Compare the SHA-256 of root %" PRId64 " below with that of other "
                "key holders.\n",
                draft->root.env.version);
    return hf_draft_confirm(draft, o->yes, why);
}

/* Write `draft` over the file at `path`, with the signatures that are there, which `draft` gets
 * too. `otherwise` says what it means when that is another draft. */
static enum hf_err write_merged(struct hf_draft *draft, const char *path, const char *otherwise,
                                struct hf_why *why)
{
    struct hf_draft there = {0};
    HF_TRY(hf_draft_read(path, &there, why));
    enum hf_err err = hf_draft_merge(draft, &there, why);
    hf_draft_free(&there);
    if (err != HF_OK)
        return hf_fail_context(why, "%s %s", path, otherwise);
    return hf_draft_write(path, draft, false, why);
}

static enum hf_err sign(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft draft = {0};
    struct hf_key_set holder = {0};
    struct hf_why note = {0};
    size_t n_signed = 0;
    bool is_known = false;
    HF_TRY(
        hf_cli_need(call, "--keys or --key", o->extra_keys != NULL ? o->extra_keys[0] : o->keys));
    HF_TRY(hf_draft_read(o->draft, &draft, why));
    enum hf_err err = check_role(&draft, call, o->draft, why);
    if (err == HF_OK)
        err = hf_key_set_init_holder(&holder, o->keys, o->passphrase_file, why);
    if (err == HF_OK)
        err = check_and_ask(&draft, o, &holder, why);
    if (err == HF_OK)
        err = hf_draft_sign(&draft, &holder, &n_signed, why);
    /* Another program may have added signatures while the question was on the terminal. */
    if (err == HF_OK)
        err = write_merged(&draft, o->draft,
                           "was changed after it was shown, so your signature was not added", why);
    /* The draft is signed and written: a folder of keys that cannot be written is no failure. */
    if (err == HF_OK &&
        hf_draft_check_trusted_roots(&draft, &holder, true, &is_known, &note) != HF_OK)
        fprintf(
            stderr,
            "holdfastctl: the draft is signed, but root.json beside the keys could not be updated "
            "to root %" PRId64 ": %s\n",
            draft.root.env.version, note.text);
    if (err == HF_OK && o->is_json) {
        err = hf_draft_print_json(&draft, stdout, why);
    } else if (err == HF_OK) {
        /* Without --yes, the question has shown it. */
        if (o->yes != NULL)
            hf_draft_show(&draft, stdout);
        printf("signed with %zu key(s)\n", n_signed);
        err = print_status(&draft, why);
    }
    hf_key_set_free(&holder);
    hf_draft_free(&draft);
    return err;
}

static const struct hf_cli_option sign_options[] =
    {HF_CTL_TEXT("draft", draft, "the draft; it gets the signature", "FILE"),
     HF_CTL_KEYS,
     HF_CTL_KEY,
     HF_CTL_TEXT(
         "root", root,
         "another root that you trust, besides that beside the keys; the draft must follow it",
         "FILE"),
     HF_CTL_TEXT("yes", yes,
                 "sign the draft with this SHA-256 (16 digits or more) without a question",
                 "SHA256"),
     HF_CTL_PASSPHRASE,
     HF_CTL_REPORT("draft-report")};

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
    .needs = {"--draft"},
    .run = sign,
    .variant = HF_ROLE_TARGETS,
};

static enum hf_err status(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(call->words, &draft, why));
    enum hf_err err = check_role(&draft, call, "this", why);
    if (err == HF_OK && o->is_json) {
        err = hf_draft_print_json(&draft, stdout, why);
    } else if (err == HF_OK) {
        hf_draft_show(&draft, stdout);
        err = print_status(&draft, why);
    }
    hf_draft_free(&draft);
    return err;
}

static enum hf_err merge(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(call->words, &draft, why));
    enum hf_err err = check_role(&draft, call, "this", why);
    if (err == HF_OK)
        err = hf_file_exists(o->draft)
                  ? write_merged(&draft, o->draft, "exists and is unchanged", why)
                  : hf_draft_write(o->draft, &draft, true, why);
    if (err == HF_OK && o->is_json) {
        err = hf_draft_print_json(&draft, stdout, why);
    } else if (err == HF_OK) {
        const struct hf_envelope *env = hf_draft_envelope(&draft);
        char digest[HF_SHA256_HEX_LEN];
        hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
        printf("%s: draft of %s %" PRId64 ", SHA-256 %s\n", o->draft, hf_top_role_name(draft.role),
               env->version, digest);
        err = print_status(&draft, why);
    }
    hf_draft_free(&draft);
    return err;
}

static const struct hf_cli_option status_options[] = {HF_CTL_REPORT("draft-report")};

static const struct hf_cli_option merge_options[] =
    {HF_CTL_TEXT("draft", draft, "the file to make, or to add signatures to", "FILE"),
     HF_CTL_REPORT("draft-report")};

#define WHAT_STATUS_SHOWS                                                                          \
    "Shows the signed changes, counts the signatures, and names the keys that have not signed\n"   \
    "yet. Several signed copies of one draft are shown together. Needs no key and no\n"            \
    "repository, and changes nothing."

#define WHAT_MERGE_DOES                                                                            \
    "Collects the signatures of several copies in one file, for the next key holder or for\n"      \
    "finish, and shows who has signed and who has not. FILE is made; if it exists, it must be\n"   \
    "a copy of the same draft and gets the missing signatures. A copy of another draft, or\n"      \
    "one with a wrong signature, is refused by name. Needs no key and no repository.\n\n"          \
    "`finish` accepts copies as well: merge is for passing on a draft before all have signed."

const struct hf_cli_command hf_cmd_root_status = {
    .name = "root status",
    .summary = "Show the changes of a draft of root and who has not signed yet.",
    .arguments = "FILE… [--json]",
    .about = WHAT_STATUS_SHOWS,
    .examples = "  holdfastctl root status root.draft\n"
                "  holdfastctl root status alice.draft bob.draft\n"
                "  holdfastctl root status root.draft --json | jq .signatures.complete\n",
    .options = status_options,
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
    .needs_word = "the draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = status,
    .variant = HF_ROLE_TARGETS,
};

const struct hf_cli_command hf_cmd_root_merge = {
    .name = "root merge",
    .summary = "Merge signed copies of a draft of root.",
    .arguments = "--draft FILE COPY… [--json]",
    .about = WHAT_MERGE_DOES,
    .examples = "  holdfastctl root merge --draft root.draft alice.draft bob.draft\n",
    .options = merge_options,
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
    .needs = {"--draft"},
    .needs_word = "a signed copy",
    .max_words = HF_CLI_ANY_WORDS,
    .run = merge,
    .variant = HF_ROLE_TARGETS,
};
