/* holdfastctl targets draft, targets finish: targets keys that lie on several machines. */
#include "server/publish/commands/ctl.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/ceremony/draft_diff.h"
#include "server/publish/ceremony/draft_signatures.h"
#include "server/publish/ceremony/targets_release.h"

#include <inttypes.h>

/* ---- draft: the same content, a new number and a new expiry ----------------------------------- */

struct draft_options {
    struct hf_ctl_options o;
    char **under; /* copies of a signed draft of root; NULL: the published root */
};

/* What is signed and waits counts as newest. */
static enum hf_err draft_after(struct hf_publication *p, const struct hf_targets *before,
                               const struct hf_draft *under, const char *path, struct hf_why *why)
{
    json_t *targets = NULL;
    HF_TRY(hf_targets_next(p, before, &targets, why));
    enum hf_err err = hf_targets_draft(p, before, targets, under, path, why);
    json_decref(targets);
    return err;
}

static enum hf_err draft_in(struct hf_publication *p, const struct hf_draft *under,
                            const char *path, struct hf_why *why)
{
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, why);
    hf_buf_free(&file);
    if (err == HF_E_NOT_FOUND)
        return draft_after(p, hf_publication_targets(p), under, path, why);
    if (err == HF_OK)
        err = draft_after(p, &pending, under, path, why);
    hf_targets_free(&pending);
    return err;
}

static void show_text(const struct draft_options *r, const struct hf_draft *draft)
{
    hf_draft_show(draft, stdout);
    printf("\nNext: let each key holder run: holdfastctl targets sign --draft %s --keys DIR\n",
           r->o.draft);
    if (r->under != NULL)
        printf("then publish both: holdfastctl root finish … %s --targets %s\n", r->under[0],
               r->o.draft);
}

static enum hf_err show(const struct draft_options *r, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read(r->o.draft, &draft, why));
    enum hf_err err = HF_OK;
    if (r->o.is_json)
        err = hf_draft_print_json(&draft, stdout, why);
    else
        show_text(r, &draft);
    hf_draft_free(&draft);
    return err;
}

static enum hf_err draft(struct hf_cli_call *call, struct hf_why *why)
{
    const struct draft_options *r = call->values;
    struct hf_draft under = {0};
    struct hf_publication p;
    const struct hf_publication_context at = hf_ctl_publication(&r->o, hf_targets_location_at_hand(
                                                                           r->o.keys));
    if (r->under != NULL)
        HF_TRY(hf_draft_read_all(hf_cli_list(r->under), &under, why));
    enum hf_err err = hf_publication_open(&at, &p, why);
    if (err == HF_OK) {
        err = draft_in(&p, r->under == NULL ? NULL : &under, r->o.draft, why);
        hf_publication_close(&p);
    }
    hf_draft_free(&under);
    return err == HF_OK ? show(r, why) : err;
}

#define AT(member) offsetof(struct draft_options, member)

static const struct hf_cli_option draft_options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     {"draft", 0, HF_CLI_TEXT, HF_CTL_AT(draft), "the file to make", "FILE"},
     {"under", 0, HF_CLI_LIST, AT(under),
      "sign for the next root: its signed draft; repeat for each copy", "ROOT-DRAFT"},
     HF_CTL_CLOCK,
     HF_CTL_JSON("draft-report"),
     HF_CTL_HELP,
     HF_CLI_END};

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
    .options = draft_options,
    .values_size = sizeof(struct draft_options),
    .needs = {"--repo", "--keys", "--draft"},
    .run = draft,
};

/* ---- finish ----------------------------------------------------------------------------------- */

static enum hf_err report_json_take(struct hf_publish_report *report, const struct hf_draft *draft,
                                    struct hf_why *why)
{
    struct hf_signature_status status = {0};
    HF_TRY(hf_signature_status_make(draft, &status, why));
    report->signatures = hf_signature_status_to_json(&status);
    hf_signature_status_free(&status);
    if (report->signatures == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    return hf_publish_report_print_take(report, stdout, why);
}

static enum hf_err finish_draft(const struct hf_ctl_options *o, const struct hf_draft *draft,
                                struct hf_why *why)
{
    struct hf_publish_report report = {0};
    const struct hf_publication_context at = hf_ctl_publication(o, hf_targets_location_at_hand(
                                                                       o->keys));
    if (draft->role != HF_ROLE_TARGETS)
        return hf_fail(why, HF_E_STATE, "this is a draft of root; use holdfastctl root finish");
    HF_TRY(hf_targets_publish(&at, draft, report.versions, why));
    bool is_published = report.versions[HF_ROLE_TIMESTAMP] > 0;
    report.outcome = is_published ? "published" : "waiting";
    if (o->is_json)
        return report_json_take(&report, draft, why);
    printf(is_published ? "published: targets %" PRId64 "\n"
                        : "signed, not published: targets %" PRId64
                          "; run holdfastctl publish where the online keys are\n",
           report.versions[HF_ROLE_TARGETS]);
    return HF_OK;
}

static enum hf_err finish(struct hf_cli_call *call, struct hf_why *why)
{
    struct hf_draft signed_draft = {0};
    HF_TRY(hf_draft_read_all(call->words, &signed_draft, why));
    enum hf_err err = finish_draft(call->values, &signed_draft, why);
    hf_draft_free(&signed_draft);
    return err;
}

static const struct hf_cli_option finish_options[] = {HF_CTL_REPO,
                                                      HF_CTL_KEYS,
                                                      HF_CTL_KEY,
                                                      HF_CTL_PASSPHRASE,
                                                      HF_CTL_ONLINE_PASSPHRASE,
                                                      HF_CTL_CLOCK,
                                                      HF_CTL_JSON("publish-report"),
                                                      HF_CTL_HELP,
                                                      HF_CLI_END};

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
    .options = finish_options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs = {"--repo", "--keys"},
    .needs_word = "the signed draft",
    .max_words = HF_CLI_ANY_WORDS,
    .run = finish,
};
