/* holdfastctl bundle list: what a repository offers. Needs no key and no lock. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/lint/lint_accepted.h"
#include "server/repository/base/text.h"

#include <inttypes.h>

static json_t *key_json(const void *at, const void *ctx)
{
    char key[16];
    (void)ctx;
    hf_cert_key_text(at, key);
    return json_string(key);
}

static json_t *until(const void *at, const void *ctx)
{
    char day[HF_TIME_TEXT_MAX];
    (void)ctx;
    hf_time_format_day(*(const int64_t *)at, day);
    return json_sprintf("until %s", day);
}

#define OF(member) offsetof(struct hf_anchor, member)

static const struct hf_field anchor_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(cert.subject), .column = 4},
    {"key", HF_FIELD_MADE, OF(cert), .make = key_json, .column = 1},
    {"sha256", HF_FIELD_SHA256, OF(cert.sha256), .column = 3},
    {"spki_sha256", HF_FIELD_SHA256, OF(cert.spki_sha256)},
    {"expires", HF_FIELD_TIME, OF(cert.not_after_s)},
    {NULL, HF_FIELD_MADE, OF(cert.not_after_s), .make = until, .column = 2},
    {"distrust_after", HF_FIELD_TIME, OF(distrust_after_s)},
    {"remove_after", HF_FIELD_TIME, OF(remove_after_s)},
    {0},
};

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
    printf("%s/%s %" PRId64 ": %zu certificate(s), %zu dropped on purpose%s\n", d->set, d->profile,
           d->version, b->bundle.n_anchors, d->n_drops, b->is_newest ? "" : ", older");
    print_accepted(b);
    if (!b->is_newest)
        return HF_OK;
    return hf_report_table(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                           sizeof *b->bundle.anchors, NULL, 2, stdout, why);
}

static json_t *bundle_json(const struct hf_repo_bundle *b)
{
    json_t *drops = json_array();
    const struct hf_accepted accepted = hf_accepted_of(b->target);
    for (size_t i = 0; i < b->description.n_drops; i++)
        drops = hf_json_append_take(drops, hf_json_sha256(b->description.drops[i]));
    return json_pack("{s:s, s:s, s:I, s:b, s:s, s:o, s:o, s:o, s:o}", "set", b->description.set,
                     "profile", b->description.profile, "version",
                     (json_int_t)b->description.version, "newest", b->is_newest, "path",
                     b->target->path, "anchors",
                     hf_report_list(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                                    sizeof *b->bundle.anchors, NULL),
                     "drops", drops, "accepted",
                     accepted.codes == NULL ? json_array() : json_deep_copy(accepted.codes),
                     "accepted_at", hf_json_time(accepted.at_s));
}

static enum hf_err print_all(const struct hf_catalog *catalog, const struct hf_ctl_options *r,
                             struct hf_why *why)
{
    HF_TRY(hf_catalog_check_has(catalog, r->set, r->profile, why));
    json_t *list = r->is_json ? json_array() : NULL;
    if (catalog->is_waiting && !r->is_json)
        puts("Signed, and waiting for holdfastctl publish:");
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &catalog->bundles.items[i];
        if (!hf_catalog_is_of(b, r->set, r->profile))
            continue;
        if (r->is_json)
            list = hf_json_append_take(list, bundle_json(b));
        else
            HF_TRY(print_bundle(b, why));
    }
    if (!r->is_json)
        return HF_OK;
    return hf_json_print_take(json_pack("{s:i, s:b, s:o}", "format", 1, "waiting",
                                        catalog->is_waiting, "bundles", list),
                              stdout, why);
}

static enum hf_err list(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_catalog_view view;
    enum hf_err err = hf_catalog_view_open(o->repo, &view, why);
    if (err == HF_OK)
        err = print_all(&view.catalog, o, why);
    hf_catalog_view_close(&view);
    return err;
}

static const struct hf_cli_option options[] = {HF_CTL_REPO,
                                               {"set", 0, HF_CLI_TEXT, HF_CTL_AT(set),
                                                "only this one", "NAME"},
                                               {"profile", 0, HF_CLI_TEXT, HF_CTL_AT(profile),
                                                "only this one", "NAME"},
                                               HF_CTL_JSON("list-report"),
                                               HF_CTL_HELP,
                                               HF_CLI_END};

const struct hf_cli_command hf_cmd_bundle_list = {
    .name = "bundle list",
    .summary = "Show the sets, profiles and versions of a repository, and their roots.",
    .arguments = "--repo DIR [--set NAME] [--profile NAME] [--json]",
    .about =
        "Shows what was signed last, also if it waits for holdfastctl publish. Signatures and\n"
        "hashes are verified from the repository's own first root. To check whether the\n"
        "repository is yours and in date, use holdfastctl check.",
    .examples = "  holdfastctl bundle list --repo /srv/roots\n"
                "  holdfastctl bundle list --repo /srv/roots --json | jq '.bundles[].path'\n",
    .options = options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs = {"--repo"},
    .run = list,
};
