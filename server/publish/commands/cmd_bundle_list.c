/* holdfastctl bundle list: the bundles of a repository. Needs no key and no lock. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/commands/rollout_view.h"
#include "server/publish/lint/lint.h"
#include "server/repository/base/public_key.h"

#include <inttypes.h>

static json_t *make_key(const void *at, const void *ctx)
{
    char key[16];
    (void)ctx;
    hf_cert_key_text(at, key);
    return json_string(key);
}

static json_t *make_until(const void *at, const void *ctx)
{
    char day[HF_TIME_TEXT_MAX];
    (void)ctx;
    hf_time_format_day(*(const int64_t *)at, day);
    return json_sprintf("until %s", day);
}

#define OF(member) offsetof(struct hf_anchor, member)
static const struct hf_field anchor_fields[] = {
    {NULL, HF_FIELD_INCLUDE, 0, .fields = hf_anchor_fields},
    {"key", HF_FIELD_MADE, OF(cert), .make = make_key, .column = 1},
    {NULL, HF_FIELD_MADE, OF(cert.not_after_s), .make = make_until, .column = 2},
    {NULL, HF_FIELD_SHA256, OF(cert.sha256), .column = 3},
    {NULL, HF_FIELD_CHARS, OF(cert.subject), .column = 4},
    {0},
};

static enum hf_err print_bundle(const struct hf_trusted_set *set, const struct hf_repo_bundle *b,
                                struct hf_why *why)
{
    const struct hf_description *d = &b->description;
    const struct hf_accepted accepted = hf_accepted_of(b->target);
    char day[HF_TIME_TEXT_MAX];
    printf("%s/%s %" PRId64 ": %zu certificate(s), %zu dropped on purpose%s\n", d->set, d->profile,
           d->version, b->bundle.n_anchors, d->n_drops, b->is_newest ? "" : ", older");
    hf_time_format_day(accepted.at_s, day);
    for (size_t i = 0; i < json_array_size(accepted.codes); i++) {
        const char *code = json_string_value(json_array_get(accepted.codes, i));
        if (code != NULL && hf_label_is_plain(code))
            printf("  accepted on %s: %s\n", day, code);
    }
    hf_rollout_view_print(set, b);
    if (!b->is_newest)
        return HF_OK;
    return hf_report_table(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                           sizeof *b->bundle.anchors, NULL, 2, stdout, why);
}

static enum hf_err list(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    json_t *bundles = o->is_json ? json_array() : NULL;
    struct hf_catalog_view view;
    enum hf_err err = hf_catalog_view_open(o->repo, &view, why);
    if (err == HF_OK)
        err = hf_catalog_check_has(&view.catalog, o->set, o->profile, why);
    if (err == HF_OK && view.catalog.is_waiting && !o->is_json)
        puts("Signed, and waiting for holdfastctl publish:");
    for (size_t i = 0; i < view.catalog.bundles.n_items && err == HF_OK; i++) {
        const struct hf_repo_bundle *b = &view.catalog.bundles.items[i];
        if (!hf_catalog_is_of(b, o->set, o->profile))
            continue;
        if (!o->is_json) {
            err = print_bundle(&view.set, b, why);
            continue;
        }
        const struct hf_accepted accepted = hf_accepted_of(b->target);
        json_t *codes = accepted.codes == NULL ? json_array() : json_deep_copy(accepted.codes);
        json_t *anchors = hf_report_list(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                                         sizeof *b->bundle.anchors, NULL);
        json_t *object = hf_json_set_take(hf_ctl_bundle_json(b, anchors), "accepted", codes);
        object = hf_json_set_take(object, "rollout", hf_rollout_view_bundle(&view.set, b));
        object = hf_json_set_take(object, "accepted_at", hf_json_time(accepted.at_s));
        bundles = hf_json_append_take(bundles, object);
    }
    if (err == HF_OK && o->is_json)
        err = hf_json_print_take(json_pack("{s:i, s:b, s:O}", "format", 1, "waiting",
                                           view.catalog.is_waiting, "bundles", bundles),
                                 stdout, why);
    json_decref(bundles);
    hf_catalog_view_close(&view);
    return err;
}

static const struct hf_cli_option options[] = {HF_CTL_REPO,
                                               HF_CTL_TEXT("set", set, "only this one", "NAME"),
                                               HF_CTL_TEXT("profile", profile, "only this one",
                                                           "NAME"),
                                               HF_CTL_REPORT("list-report")};

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
    .needs = {"--repo"},
    .run = list,
};
