/* holdfastctl targets draft, targets finish: targets keys that lie on several machines. */
#include "server/publish/commands/cli.h"
#include "server/publish/ceremony/draft_json.h"
#include "server/publish/ceremony/draft_show.h"
#include "server/publish/ceremony/draft_sign.h"
#include "server/publish/ceremony/draft_tally.h"
#include "server/publish/bundle/publish_json.h"
#include "server/publish/ceremony/targets_draft.h"
#include "server/publish/ceremony/targets_publish.h"
#include "server/publish/ceremony/targets_release.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- draft: the same content, a new number and a new expiry ---------------------------------------- */

struct request {
    struct hf_cli_place place;
    char *draft;
    char **under; /* copies of a signed draft of root; NULL: the published root */
    int is_json;
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

static void show_text(const struct request *r, const struct hf_draft *draft)
{
    hf_draft_show(draft, stdout);
    printf("\nNext: let each key holder run: holdfastctl targets sign --draft %s --keys DIR\n",
           r->draft);
    if (r->under != NULL)
        printf("then publish both: holdfastctl root finish … %s --targets %s\n", r->under[0],
               r->draft);
}

static enum hf_err show(const struct request *r, struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read(r->draft, &draft, why));
    enum hf_err err = HF_OK;
    if (r->is_json)
        err = hf_draft_print_json(&draft, stdout, why);
    else
        show_text(r, &draft);
    hf_draft_free(&draft);
    return err;
}

static enum hf_err draft_under(const struct request *r, const struct hf_draft *under,
                               struct hf_why *why)
{
    struct hf_publication p;
    const struct hf_publication_place at = hf_cli_publication(&r->place, hf_targets_half_at_hand(
                                                                             r->place.keys));
    HF_TRY(hf_publication_open(&at, &p, why));
    enum hf_err err = draft_in(&p, under, r->draft, why);
    hf_publication_close(&p);
    return err == HF_OK ? show(r, why) : err;
}

static enum hf_err draft_targets(const struct request *r, struct hf_why *why)
{
    struct hf_draft under = {0};
    if (r->under == NULL)
        return draft_under(r, NULL, why);
    HF_TRY(hf_draft_read_all((const char *const *)r->under, &under, why));
    enum hf_err err = draft_under(r, &under, why);
    hf_draft_free(&under);
    return err;
}

static void free_request(struct request *r)
{
    hf_cli_place_free(&r->place);
    free(r->draft);
    for (size_t i = 0; r->under != NULL && r->under[i] != NULL; i++)
        free(r->under[i]);
    free(r->under);
}

static int run_draft(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    const struct poptOption options[] =
        {HF_CLI_REPO(&r.place),
         HF_CLI_KEYS(&r.place),
         {"draft", 0, POPT_ARG_STRING, &r.draft, 0, "the file to make", "FILE"},
         {"under", 0, POPT_ARG_ARGV, &r.under, 0,
          "sign as the root to come asks: its signed draft; once for each copy", "ROOT-DRAFT"},
         HF_CLI_CLOCK(&r.place),
         HF_CLI_JSON(&r.is_json, "draft-report"),
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--repo", r.place.repo) && hf_cli_need(self, "--keys", r.place.keys) &&
        hf_cli_need(self, "--draft", r.draft) && hf_cli_no_arguments(&cli))
        exit_code = hf_cli_finish(draft_targets(&r, &why), &why);
    hf_cli_end(&cli);
    free_request(&r);
    return exit_code;
}

const struct hf_command hf_cmd_targets_draft = {
    .name = "targets draft",
    .summary = "Prepare targets metadata as one file, with the same content.",
    .arguments = "--repo DIR --keys DIR --draft FILE [OPTION…]",
    .text =
        "For targets keys that lie on several machines. The draft lists what is listed today,\n"
        "with the next number and a new expiry; it is signed with `targets sign` and published\n"
        "with `targets finish`. KEYS needs no private key, only the record beside keys\n"
        "(offline/root.json, or online/root.json), from which trust begins.\n\n"
        "Where a new root gives targets other keys, and they lie elsewhere: when its draft is\n"
        "signed, --under it makes the draft that they sign, and `root finish --targets` publishes\n"
        "both. The keys before may sign along, so that no device sees anything it would refuse.",
    .examples = "  holdfastctl targets draft --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --draft targets.draft\n"
                "  holdfastctl targets draft --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --draft targets.draft --under alice.draft --under bob.draft\n",
    .run = run_draft,
};

/* ---- finish ----------------------------------------------------------------------------------- */

static enum hf_err report_json_take(struct hf_publish_report *report, const struct hf_draft *draft,
                                    struct hf_why *why)
{
    struct hf_tally tally = {0};
    HF_TRY(hf_tally_make(draft, &tally, why));
    report->signatures = hf_tally_to_json(&tally);
    hf_tally_free(&tally);
    if (report->signatures == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    return hf_publish_report_print_take(report, stdout, why);
}

static enum hf_err finish_draft(const struct hf_cli_place *place, const struct hf_draft *draft,
                                bool is_json, struct hf_why *why)
{
    struct hf_publish_report report = {0};
    const struct hf_publication_place at = hf_cli_publication(place,
                                                              hf_targets_half_at_hand(place->keys));
    if (draft->role != HF_ROLE_TARGETS)
        return hf_fail(why, HF_E_STATE, "this is a draft of root; use holdfastctl root finish");
    HF_TRY(hf_targets_publish(&at, draft, report.versions, why));
    bool is_published = report.versions[HF_ROLE_TIMESTAMP] > 0;
    report.outcome = is_published ? "published" : "waiting";
    if (is_json)
        return report_json_take(&report, draft, why);
    printf(is_published ? "published: targets %" PRId64 "\n"
                        : "signed, not published: targets %" PRId64
                          "; run holdfastctl publish where the online keys are\n",
           report.versions[HF_ROLE_TARGETS]);
    return HF_OK;
}

static enum hf_err finish(const struct hf_cli_place *place, const char *const *files, bool is_json,
                          struct hf_why *why)
{
    struct hf_draft draft = {0};
    HF_TRY(hf_draft_read_all(files, &draft, why));
    enum hf_err err = finish_draft(place, &draft, is_json, why);
    hf_draft_free(&draft);
    return err;
}

static int run_finish(const struct hf_command *self, int argc, const char **argv)
{
    struct hf_cli_place place = {0};
    int is_json = 0;
    const struct poptOption options[] = {HF_CLI_REPO(&place),
                                         HF_CLI_KEYS(&place),
                                         HF_CLI_KEY(&place),
                                         HF_CLI_PASSPHRASE(&place),
                                         HF_CLI_ONLINE_PASSPHRASE(&place),
                                         HF_CLI_CLOCK(&place),
                                         HF_CLI_JSON(&is_json, "publish-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (hf_cli_need(self, "--repo", place.repo) && hf_cli_need(self, "--keys", place.keys) &&
            hf_cli_need(self, "the signed draft", files == NULL ? NULL : files[0]))
            exit_code = hf_cli_finish(finish(&place, files, is_json != 0, &why), &why);
    }
    hf_cli_end(&cli);
    hf_cli_place_free(&place);
    return exit_code;
}

const struct hf_command hf_cmd_targets_finish = {
    .name = "targets finish",
    .summary = "Publish a signed draft of targets.",
    .arguments = "--repo DIR --keys DIR FILE… [OPTION…]",
    .text =
        "FILE is the signed draft, or several copies of it signed by different holders. It must\n"
        "follow the newest root and the newest targets. With the keys in KEYS/online it is\n"
        "published at once; without them it waits for `publish`.\n\n" HF_CLI_KEY_TEXT,
    .examples = "  holdfastctl targets finish --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      alice.draft bob.draft\n",
    .run = run_finish,
};
