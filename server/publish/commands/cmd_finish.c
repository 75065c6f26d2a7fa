/* holdfastctl root finish, targets finish: merge the signed copies of a draft and publish it; with
 * a root, also a draft of targets that is signed under it. */
#include "server/publish/commands/ctl.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/repository/drafts/draft_signatures.h"
#include "server/repository/drafts/root_publish.h"
#include "server/repository/drafts/targets_release.h"

#include <inttypes.h>

/* Print the report, with the signatures of the draft. */
static enum hf_err print_json(struct hf_publish_report *report, const struct hf_draft *draft,
                              struct hf_why *why)
{
    HF_TRY(hf_draft_signatures_json(draft, &report->signatures, why));
    return hf_publish_report_print_take(report, stdout, why);
}

static enum hf_err report_root(const struct hf_draft *draft,
                               const struct hf_root_published *published, bool is_json,
                               struct hf_why *why)
{
    static const enum hf_top_role others[] = {HF_ROLE_TARGETS, HF_ROLE_SNAPSHOT, HF_ROLE_TIMESTAMP};
    struct hf_publish_report report = {.outcome = "published",
                                       .is_unbridged = !published->is_bridged};
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++)
        report.versions[role] = published->versions[role];
    report.versions[HF_ROLE_ROOT] = draft->next.env.version;
    if (is_json)
        return print_json(&report, draft, why);
    HF_TRY(hf_draft_print_signatures(draft, false, stdout, NULL, why));
    printf("published: root %" PRId64, draft->next.env.version);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (published->versions[others[i]] > 0)
            printf(", %s %" PRId64, hf_top_role_name(others[i]), published->versions[others[i]]);
    }
    putchar('\n');
    if (published->was_out)
        puts("It was published before; root.json beside the keys is now up to date.");
    if (!published->is_bridged)
        puts("The old keys did not sign, so no metadata was valid under both roots: a device that\n"
             "checked during the change retries at its next check.");
    return HF_OK;
}

static enum hf_err finish_root(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft root = {0}, targets = {0};
    struct hf_root_published published = {0};
    const struct hf_publication_context at = hf_ctl_publication(o, hf_targets_location_at_hand(
                                                                       o->keys));
    HF_TRY(hf_draft_read_all(call->words, &root, why));
    enum hf_err err = HF_OK;
    if (root.role != HF_ROLE_ROOT)
        err = hf_fail(why, HF_E_STATE,
                      "this is a draft of targets; use holdfastctl targets finish");
    if (err == HF_OK && o->targets != NULL)
        err = hf_draft_read_all(hf_cli_list(o->targets), &targets, why);
    if (err == HF_OK && o->targets != NULL && targets.role != HF_ROLE_TARGETS)
        err = hf_fail(why, HF_E_STATE, "--targets %s is a draft of root, not of targets",
                      o->targets[0]);
    if (err == HF_OK)
        err = hf_root_publish(&at, &root, o->targets == NULL ? NULL : &targets, &published, why);
    if (err == HF_OK)
        err = report_root(&root, &published, o->is_json, why);
    hf_draft_free(&root);
    hf_draft_free(&targets);
    return err;
}

static const struct hf_cli_option root_options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     HF_CTL_KEY,
     HF_CTL_LIST("targets", targets,
                 "also publish this signed draft of targets; repeat for each copy", "FILE"),
     HF_CTL_SIGNING,
     HF_CTL_REPORT("publish-report")};

const struct hf_cli_command hf_cmd_root_finish = {
    .name = "root finish",
    .summary = "Publish a signed draft as the newest root.",
    .arguments = "--repo DIR --keys DIR FILE… [OPTION…]",
    .about =
        "FILE is the signed draft, or several copies of it signed by different holders. It is\n"
        "published if the threshold of the root before and its own threshold have signed, and the\n"
        "whole repository verifies under it.\n\n"
        "If the keys of targets, snapshot or timestamp change, the new keys, which must be in\n"
        "KEYS, sign this metadata again. The old ones sign too if they are still there, so that\n"
        "no device sees metadata that it would refuse. Remove them afterwards. Do not keep a\n"
        "stolen key for this. New targets keys on another machine sign before, with `targets\n"
        "draft --under` and `targets sign`; pass the result with --targets, and both are\n"
        "published together.\n\n"
        "If a finish was interrupted, run it again with the same files.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl root finish --repo /srv/roots --keys ~/holdfast-keys root.draft\n"
                "  holdfastctl root finish --repo /srv/roots --keys /etc/holdfast/keys \\\n"
                "      alice.draft bob.draft\n"
                "  holdfastctl root finish --repo /srv/roots --keys ~/holdfast-keys root.draft \\\n"
                "      --targets carol.draft --targets dave.draft\n",
    .options = root_options,
    .needs = {"--repo", "--keys"},
    .needs_word = "the signed draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = finish_root,
};

static enum hf_err finish_targets(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_draft draft = {0};
    struct hf_publish_report report = {0};
    const struct hf_publication_context at = hf_ctl_publication(o, hf_targets_location_at_hand(
                                                                       o->keys));
    HF_TRY(hf_draft_read_all(call->words, &draft, why));
    enum hf_err err = HF_OK;
    if (draft.role != HF_ROLE_TARGETS)
        err = hf_fail(why, HF_E_STATE, "this is a draft of root; use holdfastctl root finish");
    if (err == HF_OK)
        err = hf_targets_publish(&at, &draft, report.versions, why);
    bool is_published = report.versions[HF_ROLE_TIMESTAMP] > 0;
    report.outcome = is_published ? "published" : "waiting";
    if (err == HF_OK && o->is_json)
        err = print_json(&report, &draft, why);
    else if (err == HF_OK)
        printf(is_published ? "published: targets %" PRId64 "\n"
                            : "signed, not published: targets %" PRId64
                              "; run holdfastctl publish where the online keys are\n",
               report.versions[HF_ROLE_TARGETS]);
    hf_draft_free(&draft);
    return err;
}

static const struct hf_cli_option targets_options[] = {HF_CTL_REPO, HF_CTL_KEYS, HF_CTL_KEY,
                                                       HF_CTL_SIGNING,
                                                       HF_CTL_REPORT("publish-report")};

const struct hf_cli_command hf_cmd_targets_finish = {
    .name = "targets finish",
    .summary = "Publish a signed draft of targets.",
    .arguments = "--repo DIR --keys DIR FILE… [OPTION…]",
    .about =
        "FILE is the signed draft, or several copies of it signed by different holders. It must\n"
        "follow the newest root and the newest targets. With the keys in KEYS/online it is\n"
        "published at once; without them it waits for `publish`.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl targets finish --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      alice.draft bob.draft\n",
    .options = targets_options,
    .needs = {"--repo", "--keys"},
    .needs_word = "the signed draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = finish_targets,
};
