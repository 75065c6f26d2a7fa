/* holdfastctl root finish: signed copies of a draft come together and are published, and with them a
 * draft of targets that is signed under the new root. */
#include "server/publish/commands/ctl.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/ceremony/draft_signatures.h"
#include "server/publish/ceremony/root_publish.h"
#include "server/publish/ceremony/targets_release.h"

#include <inttypes.h>

struct finish_options {
    struct hf_ctl_options o;
    char **targets; /* copies of a draft of targets; NULL: none */
};

static void report(const struct hf_draft *draft, const struct hf_root_published *published)
{
    static const enum hf_top_role others[] = {HF_ROLE_TARGETS, HF_ROLE_SNAPSHOT, HF_ROLE_TIMESTAMP};
    struct hf_signature_status status = {0};
    struct hf_buf words = {0};
    if (hf_signature_status_make(draft, &status, NULL) == HF_OK &&
        hf_signature_status_words(&status, &words, NULL) == HF_OK)
        printf("signed by %s\n", (const char *)words.data);
    printf("published: root %" PRId64, draft->next.env.version);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (published->versions[others[i]] > 0)
            printf(", %s %" PRId64, hf_top_role_name(others[i]), published->versions[others[i]]);
    }
    putchar('\n');
    if (published->was_out)
        puts("It was there already; now the keys know it too.");
    if (!published->is_bridged)
        puts("Nothing was good under both roots (the old keys did not sign it): a device "
             "that\n"
             "looked in the instant of the change tries again at its next check.");
    hf_buf_free(&words);
    hf_signature_status_free(&status);
}

static enum hf_err report_json(const struct hf_draft *draft,
                               const struct hf_root_published *published, struct hf_why *why)
{
    struct hf_publish_report report = {.outcome = "published",
                                       .is_unbridged = !published->is_bridged};
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    report.signatures = hf_signature_status_to_json(&status);
    hf_signature_status_free(&status);
    if (report.signatures == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    for (int role = 0; role < HF_TOP_ROLES; role++)
        report.versions[role] = published->versions[role];
    report.versions[HF_ROLE_ROOT] = draft->next.env.version;
    return hf_publish_report_print_take(&report, stdout, why);
}

static enum hf_err read_drafts(const struct finish_options *r, const char *const *files,
                               struct hf_draft *root, struct hf_draft *targets, struct hf_why *why)
{
    HF_TRY(hf_draft_read_all(files, root, why));
    if (root->role != HF_ROLE_ROOT)
        return hf_fail(why, HF_E_STATE,
                       "this is a draft of targets; use holdfastctl targets finish");
    if (r->targets == NULL)
        return HF_OK;
    HF_TRY(hf_draft_read_all(hf_cli_list(r->targets), targets, why));
    if (targets->role == HF_ROLE_TARGETS)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "--targets %s is a draft of root, not of targets",
                   r->targets[0]);
}

static enum hf_err finish(struct hf_cli_call *call, struct hf_why *why)
{
    const struct finish_options *r = call->values;
    struct hf_draft root = {0}, targets = {0};
    struct hf_root_published published = {0};
    const struct hf_publication_context at = hf_ctl_publication(&r->o, hf_targets_location_at_hand(
                                                                           r->o.keys));
    enum hf_err err = read_drafts(r, call->words, &root, &targets, why);
    if (err == HF_OK)
        err = hf_root_publish(&at, &root, r->targets == NULL ? NULL : &targets, &published, why);
    if (err == HF_OK && r->o.is_json)
        err = report_json(&root, &published, why);
    else if (err == HF_OK)
        report(&root, &published);
    hf_draft_free(&root);
    hf_draft_free(&targets);
    return err;
}

#define AT(member) offsetof(struct finish_options, member)

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     HF_CTL_KEY,
     {"targets", 0, HF_CLI_LIST, AT(targets),
      "also publish this signed draft of targets; repeat for each copy", "FILE"},
     HF_CTL_PASSPHRASE,
     HF_CTL_ONLINE_PASSPHRASE,
     HF_CTL_CLOCK,
     HF_CTL_JSON("publish-report"),
     HF_CTL_HELP,
     HF_CLI_END};

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
    .options = options,
    .values_size = sizeof(struct finish_options),
    .needs = {"--repo", "--keys"},
    .needs_word = "the signed draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = finish,
};
