/* holdfastctl bundle list: what a repository offers. Needs no key and no lock. */
#include "server/publish/commands/bundle_options.h"
#include "server/repository/base/json_text.h"
#include "server/repository/base/label.h"
#include "server/publish/bundle/shelf.h"
#include "server/publish/lint/lint_accepted.h"
#include "server/repository/base/table.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdlib.h>

struct request {
    struct hf_cli_place place;
    char *set;
    char *profile;
    int is_json;
};

/* ---- for people ------------------------------------------------------------------------------- */

static enum hf_err fill_anchors(const struct hf_bundle *bundle, struct hf_table *t,
                                struct hf_why *why)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_cert *cert = &bundle->anchors[i].cert;
        char key[16], day[HF_TIME_TEXT_MAX], sha256[HF_SHA256_HEX_LEN];
        hf_cert_key_text(cert, key);
        hf_time_format_day(cert->not_after_s, day);
        hf_hex_encode(cert->sha256, HF_SHA256_LEN, sha256);
        HF_TRY(hf_table_add(t, why, "%s", key));
        HF_TRY(hf_table_add(t, why, "until %s", day));
        HF_TRY(hf_table_add(t, why, "%s", sha256));
        HF_TRY(hf_table_add(t, why, "%s", cert->subject));
    }
    return HF_OK;
}

/* The errors of lint that were accepted with it. */
static void print_accepted(const struct hf_repo_bundle *b)
{
    const struct hf_accepted accepted = hf_accepted_of(b->target);
    char day[HF_TIME_TEXT_MAX];
    hf_time_format_day(accepted.at_s, day);
    for (size_t i = 0; i < json_array_size(accepted.codes); i++) {
        const char *code = json_string_value(json_array_get(accepted.codes, i));
        if (code != NULL && hf_label_is_plain(code))
            printf("  accepted on %s: %s\n", day, code);
    }
}

static enum hf_err print_bundle(const struct hf_repo_bundle *b, struct hf_why *why)
{
    const struct hf_description *d = &b->description;
    struct hf_table t = {.n_columns = 4};
    printf("%s/%s %" PRId64 ": %zu certificate(s), %zu dropped on purpose%s\n", d->set, d->profile,
           d->version, b->bundle.n_anchors, d->n_drops, b->is_newest ? "" : ", older");
    print_accepted(b);
    if (!b->is_newest)
        return HF_OK;
    enum hf_err err = fill_anchors(&b->bundle, &t, why);
    if (err == HF_OK)
        hf_table_print(&t, 2, stdout);
    hf_table_free(&t);
    return err;
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *anchor_json(const struct hf_anchor *a)
{
    char key[16];
    hf_cert_key_text(&a->cert, key);
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "subject", a->cert.subject, "key", key,
                     "sha256", hf_json_sha256(a->cert.sha256), "spki_sha256",
                     hf_json_sha256(a->cert.spki_sha256), "expires",
                     hf_json_time(a->cert.not_after_s), "distrust_after",
                     hf_json_time(a->distrust_after_s), "remove_after",
                     hf_json_time(a->remove_after_s));
}

static json_t *bundle_json(const struct hf_repo_bundle *b)
{
    json_t *anchors = json_array(), *drops = json_array();
    const struct hf_accepted accepted = hf_accepted_of(b->target);
    for (size_t i = 0; i < b->bundle.n_anchors; i++)
        anchors = hf_json_append_take(anchors, anchor_json(&b->bundle.anchors[i]));
    for (size_t i = 0; i < b->description.n_drops; i++)
        drops = hf_json_append_take(drops, hf_json_sha256(b->description.drops[i]));
    return json_pack("{s:s, s:s, s:I, s:b, s:s, s:o, s:o, s:o, s:o}", "set", b->description.set,
                     "profile", b->description.profile, "version",
                     (json_int_t)b->description.version, "newest", b->is_newest, "path",
                     b->target->path, "anchors", anchors, "drops", drops, "accepted",
                     accepted.codes == NULL ? json_array() : json_deep_copy(accepted.codes),
                     "accepted_at", hf_json_time(accepted.at_s));
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err print_all(const struct hf_shelf *shelf, const struct request *r,
                             struct hf_why *why)
{
    HF_TRY(hf_shelf_check_has(shelf, r->set, r->profile, why));
    json_t *list = r->is_json ? json_array() : NULL;
    if (shelf->is_waiting && !r->is_json)
        puts("Signed, and waiting for holdfastctl publish:");
    for (size_t i = 0; i < shelf->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &shelf->bundles.items[i];
        if (!hf_shelf_is_of(b, r->set, r->profile))
            continue;
        if (r->is_json)
            list = hf_json_append_take(list, bundle_json(b));
        else
            HF_TRY(print_bundle(b, why));
    }
    if (!r->is_json)
        return HF_OK;
    return hf_json_print_take(json_pack("{s:i, s:b, s:o}", "format", 1, "waiting",
                                        shelf->is_waiting, "bundles", list),
                              stdout, why);
}

static enum hf_err list(const struct request *r, struct hf_why *why)
{
    struct hf_shelf_view view;
    enum hf_err err = hf_shelf_view_open(r->place.repo, &view, why);
    if (err == HF_OK)
        err = print_all(&view.shelf, r, why);
    hf_shelf_view_close(&view);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    const struct poptOption options[] = {HF_CLI_REPO(&r.place),
                                         {"set", 0, POPT_ARG_STRING, &r.set, 0, "only this one",
                                          "NAME"},
                                         {"profile", 0, POPT_ARG_STRING, &r.profile, 0,
                                          "only this one", "NAME"},
                                         HF_CLI_JSON(&r.is_json, "list-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--repo", r.place.repo) && hf_cli_no_arguments(&cli))
        exit_code = hf_cli_finish(list(&r, &why), &why);
    hf_cli_end(&cli);
    hf_cli_place_free(&r.place);
    free(r.set);
    free(r.profile);
    return exit_code;
}

const struct hf_command hf_cmd_bundle_list = {
    .name = "bundle list",
    .summary = "Show the sets, profiles and versions of a repository, and their roots.",
    .arguments = "--repo DIR [--set NAME] [--profile NAME] [--json]",
    .text =
        "Shows what was signed last, also where it waits for holdfastctl publish. Signatures\n"
        "and hashes are verified from the repository's own first root; whether it is yours, and\n"
        "whether it is in date, is a question for holdfastctl check.",
    .examples = "  holdfastctl bundle list --repo /srv/roots\n"
                "  holdfastctl bundle list --repo /srv/roots --json | jq '.bundles[].path'\n",
    .run = run,
};
