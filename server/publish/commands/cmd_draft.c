/* holdfastctl root draft, targets draft: write the next metadata of the role to a file, for key
 * holders to sign on their own machines. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/repository/drafts/draft_roots.h"
#include "server/repository/drafts/draft_signatures.h"
#include "server/repository/drafts/targets_release.h"
#include "server/repository/key_record.h"

#include <inttypes.h>

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

/* The newest root of the repository, with the next version and a new expiry. */
static enum hf_err compose_root(const struct hf_repo *repo, long long days, struct hf_draft *out,
                                struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    struct hf_buf file = {0};
    json_t *signed_part = NULL, *roots = NULL;
    struct hf_signing signing;
    enum hf_err err = hf_repo_verify_roots(repo, HF_REPO_ANY_TIME, &set, why);
    if (err == HF_OK)
        err = hf_repo_read_role(repo, HF_ROLE_ROOT, set.root->env.version, true, &file, why);
    if (err == HF_OK)
        err = next_signing(set.root, days, &signing, why);
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

static enum hf_err draft_root(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_key_set keys = {0};
    struct hf_buf trusted = {0};
    struct hf_draft draft = {0};
    enum hf_err err = HF_OK;
    /* Trust starts from the root beside the keys; without keys, from the first root of the
     * repository. */
    if (o->keys != NULL)
        err = hf_key_set_init_holder(&keys, o->keys, NULL, why);
    if (err == HF_OK && o->keys != NULL)
        err = hf_trusted_root_read(&keys.folders[HF_KEYS_OFFLINE], &trusted, why);
    const struct hf_repo repo = {.dir = o->from, .trusted_root = hf_buf_bytes(&trusted)};
    if (err == HF_OK)
        err = compose_root(&repo, o->days_root, &draft, why);
    if (err == HF_OK)
        err = hf_draft_write(o->draft, &draft, true, why);
    if (err == HF_OK && o->is_json) {
        err = hf_draft_print_json(&draft, stdout, why);
    } else if (err == HF_OK) {
        hf_draft_show(&draft, stdout);
        err = hf_draft_print_signatures(&draft, true, stdout, NULL, why);
        printf("\nNext: change it with holdfastctl root add-key, remove-key, set-threshold; then "
               "let each\nkey holder run: holdfastctl root sign --draft %s --keys DIR\n",
               o->draft);
    }
    hf_draft_free(&draft);
    hf_buf_free(&trusted);
    hf_key_set_free(&keys);
    return err;
}

static const struct hf_cli_option root_options[] =
    {HF_CTL_TEXT("from", from, "the repository whose root it follows", "REPO"),
     HF_CTL_TEXT("keys", keys, "keys of this repository: trust starts from the root beside them",
                 "DIR"),
     HF_CTL_TEXT("draft", draft, "the file to make", "FILE"),
     HF_CTL_NUMBER("expires", days_root, HF_EXPIRY_ROOT_DAYS, 1, HF_EXPIRY_DAYS_MAX,
                   "how long the new root lasts", "DAYS"),
     HF_CTL_REPORT("draft-report")};

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
    .options = root_options,
    .needs = {"--from", "--draft"},
    .run = draft_root,
};

/* Signed targets that wait to be published are the newest ones. */
static enum hf_err compose_targets(struct hf_publication *p, const struct hf_draft *under,
                                   const char *path, struct hf_why *why)
{
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    json_t *targets = NULL;
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, why);
    const struct hf_targets *before = err == HF_OK ? &pending : hf_publication_targets(p);
    if (err == HF_OK || err == HF_E_NOT_FOUND)
        err = hf_targets_next(p, before, &targets, why);
    if (err == HF_OK)
        err = hf_targets_draft(p, before, targets, under, path, why);
    json_decref(targets);
    hf_targets_free(&pending);
    hf_buf_free(&file);
    return err;
}

static enum hf_err draft_targets(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const struct hf_publication_context at = hf_ctl_targets_publication(o);
    struct hf_draft under = {0}, draft = {0};
    struct hf_publication p;
    if (o->under != NULL)
        HF_TRY(hf_draft_read_all(hf_cli_list(o->under), &under, why));
    enum hf_err err = hf_publication_open(&at, &p, why);
    if (err == HF_OK) {
        err = compose_targets(&p, o->under == NULL ? NULL : &under, o->draft, why);
        hf_publication_close(&p);
    }
    if (err == HF_OK)
        err = hf_draft_read(o->draft, &draft, why);
    if (err == HF_OK && o->is_json) {
        err = hf_draft_print_json(&draft, stdout, why);
    } else if (err == HF_OK) {
        hf_draft_show(&draft, stdout);
        printf("\nNext: let each key holder run: holdfastctl targets sign --draft %s --keys DIR\n",
               o->draft);
        if (o->under != NULL)
            printf("then publish both: holdfastctl root finish … %s --targets %s\n", o->under[0],
                   o->draft);
    }
    hf_draft_free(&draft);
    hf_draft_free(&under);
    return err;
}

static const struct hf_cli_option targets_options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     HF_CTL_TEXT("draft", draft, "the file to make", "FILE"),
     HF_CTL_LIST("under", under, "sign for the next root: its signed draft; repeat for each copy",
                 "ROOT-DRAFT"),
     HF_CTL_CLOCK,
     HF_CTL_REPORT("draft-report")};

const struct hf_cli_command hf_cmd_targets_draft = {
    .name = "targets draft",
    .summary = "Write a draft of targets metadata with the same content.",
    .arguments = "--repo DIR --keys DIR --draft FILE [OPTION…]",
    .about =
        "For targets keys on several machines. The draft lists what is listed today, with the\n"
        "next version and a new expiry. Sign it with `targets sign` and publish it with `targets\n"
        "finish`. KEYS needs no private key, only the record beside keys (offline/root.json, or\n"
        "online/root.json), where trust begins.\n\n"
        "If a new root gives targets other keys on other machines, make their draft with --under,\n"
        "from the signed draft of root; `root finish --targets` publishes both. The old keys may\n"
        "sign too, so that no device sees metadata that it would refuse.",
    .examples = "  holdfastctl targets draft --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --draft targets.draft\n"
                "  holdfastctl targets draft --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --draft targets.draft --under alice.draft --under bob.draft\n",
    .options = targets_options,
    .needs = {"--repo", "--keys", "--draft"},
    .run = draft_targets,
};
