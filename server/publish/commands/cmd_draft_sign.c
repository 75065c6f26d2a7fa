/* holdfastctl root sign, targets sign: a key holder's part, on a machine without the repository. */
#include "server/publish/commands/cli.h"
#include "server/publish/ceremony/draft_check.h"
#include "server/publish/ceremony/draft_json.h"
#include "server/publish/ceremony/draft_roots.h"
#include "server/publish/ceremony/draft_show.h"
#include "server/publish/ceremony/draft_sign.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

struct request {
    char *draft;
    char *keys;
    char **given_keys;
    char *passphrase_file;
    char *root;
    char *yes;
    int is_json;
    enum hf_top_role role;
};

static enum hf_err check_role(const struct hf_draft *draft, const struct request *r,
                              struct hf_why *why)
{
    if (draft->role == r->role)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "%s is a draft of %s; use holdfastctl %s sign", r->draft,
                   hf_top_role_name(draft->role), hf_top_role_name(draft->role));
}

/* Everything that can be refused is refused before a question or a passphrase. */
static enum hf_err look(const struct hf_draft *draft, const struct request *r,
                        struct hf_key_set *holder, struct hf_why *why)
{
    bool is_known = false;
    HF_TRY(check_role(draft, r, why));
    if (r->root != NULL)
        HF_TRY(hf_draft_check_follows(draft, r->root, why));
    HF_TRY(hf_draft_check_pins(draft, holder, &is_known, why));
    HF_TRY(hf_draft_find_keys(draft, holder, why));
    HF_TRY(hf_draft_check_clock(draft, hf_cli_now_s(), why));
    if (!is_known && r->root == NULL && r->yes == NULL && isatty(STDIN_FILENO))
        fprintf(stderr,
                "No root.json lies beside the keys, and --root names none, so nothing here tells "
                "whether\n"
                "the draft follows your root: compare the SHA-256 of root %" PRId64
                " below with what\n"
                "others know of it.\n",
                draft->root.env.version);
    return hf_draft_confirm(draft, r->yes, why);
}

/* Who was asked has seen it already. */
static void report(const struct hf_draft *draft, bool was_shown, size_t n_signed)
{
    struct hf_tally tally = {0};
    if (!was_shown)
        hf_draft_show(draft, stdout);
    printf("signed with %zu key(s)\n", n_signed);
    if (hf_tally_make(draft, &tally, NULL) != HF_OK)
        return;
    hf_tally_print(&tally, stdout);
    printf("%s\n", hf_tally_is_complete(&tally)
                       ? "That is enough: bring it to the repository and run finish"
                       : "Signatures are missing: carry it to the next key holder");
    hf_tally_free(&tally);
}

/* A question may stand for long on the terminal, and the file is everybody's. */
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
    if (hf_draft_renew_pins(draft, holder, &why) != HF_OK)
        fprintf(stderr,
                "holdfastctl: the draft is signed, but the record beside the keys is not at root "
                "%" PRId64 " now: %s\n",
                draft->root.env.version, why.text);
}

static enum hf_err sign_draft(struct hf_draft *draft, const struct request *r, struct hf_why *why)
{
    struct hf_key_set holder;
    size_t n_signed = 0;
    HF_TRY(hf_key_set_init_holder(&holder, r->keys, r->passphrase_file, why));
    enum hf_err err = hf_key_set_give(&holder, hf_cli_list(r->given_keys), r->passphrase_file, why);
    if (err == HF_OK)
        err = look(draft, r, &holder, why);
    if (err == HF_OK)
        err = hf_draft_sign(draft, &holder, &n_signed, why);
    if (err == HF_OK)
        err = take_what_came_meanwhile(draft, r->draft, why);
    if (err == HF_OK)
        err = hf_draft_write(r->draft, draft, why);
    if (err == HF_OK)
        renew_pins(draft, &holder);
    if (err == HF_OK && r->is_json)
        err = hf_draft_print_json(draft, stdout, why);
    else if (err == HF_OK)
        report(draft, r->yes == NULL, n_signed);
    hf_key_set_free(&holder);
    return err;
}

static enum hf_err sign_file(const struct request *r, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read(r->draft, &draft, why));
    enum hf_err err = sign_draft(&draft, r, why);
    hf_draft_free(&draft);
    return err;
}

static int run_role(const struct hf_command *self, int argc, const char **argv,
                    enum hf_top_role role)
{
    struct request r = {.role = role};
    const struct poptOption options[] =
        {{"draft", 0, POPT_ARG_STRING, &r.draft, 0, "the draft; it gets the signature", "FILE"},
         HF_CLI_KEYS(&r),
         HF_CLI_KEY(&r),
         {"root", 0, POPT_ARG_STRING, &r.root, 0,
          "a root that you trust, besides the one beside the keys; the draft must follow it",
          "FILE"},
         {"yes", 0, POPT_ARG_STRING, &r.yes, 0,
          "sign without a question the draft of this SHA-256 (16 digits or more)", "SHA256"},
         HF_CLI_PASSPHRASE(&r),
         HF_CLI_JSON(&r.is_json, "draft-report"),
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--draft", r.draft) &&
        hf_cli_need(self, "--keys or --key", r.given_keys != NULL ? r.given_keys[0] : r.keys) &&
        hf_cli_no_arguments(&cli))
        exit_code = hf_cli_finish(sign_file(&r, &why), &why);
    hf_cli_end(&cli);
    free(r.draft);
    free(r.keys);
    hf_cli_list_free(r.given_keys);
    free(r.passphrase_file);
    free(r.root);
    free(r.yes);
    return exit_code;
}

static int run_root(const struct hf_command *self, int argc, const char **argv)
{
    return run_role(self, argc, argv, HF_ROLE_ROOT);
}

#define HOW_SIGNED                                                                                 \
    "Needs nothing but the draft and keys: every key of a folder (DIR/offline, or DIR itself)\n"   \
    "that may sign and has not yet does, and those that --key names. What is signed is shown\n"    \
    "first, and signed only if you agree on the terminal, or with --yes and the SHA-256 that "     \
    "was\n"                                                                                        \
    "shown. If root.json lies beside the keys, the draft must follow that root or a later one,\n"  \
    "and then that one is kept there. Who has a token and no folder keeps a copy of the newest\n"  \
    "root and gives it with --root.\n\n"                                                           \
    "Several holders may sign copies of one draft at the same time; finish puts them "             \
    "together.\n\n" HF_CLI_KEY_TEXT

const struct hf_command hf_cmd_root_sign = {
    .name = "root sign",
    .summary = "Look at a draft of root and sign it.",
    .arguments = "--draft FILE {--keys DIR | --key KEY} [OPTION…]",
    .text = HOW_SIGNED,
    .examples = "  holdfastctl root sign --draft /media/stick/root.draft --keys ~/holdfast-keys\n"
                "  holdfastctl root sign --draft root.draft --root my-root.json \\\n"
                "      --key 'pkcs11:token=alice;object=root'\n"
                "  holdfastctl root sign --draft root.draft --keys keys --yes 9f86d081884c7d65\n",
    .run = run_root,
};

static int run_targets(const struct hf_command *self, int argc, const char **argv)
{
    return run_role(self, argc, argv, HF_ROLE_TARGETS);
}

const struct hf_command hf_cmd_targets_sign = {
    .name = "targets sign",
    .summary = "Look at a draft of targets and sign it.",
    .arguments = "--draft FILE {--keys DIR | --key KEY} [OPTION…]",
    .text = HOW_SIGNED,
    .examples = "  holdfastctl targets sign --draft /media/stick/targets.draft --keys ~/my-key\n",
    .run = run_targets,
};
