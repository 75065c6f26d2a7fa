/* What a draft of targets changes: bundles that come and go, certificate by certificate. */
#include "server/publish/draft_show.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "server/publish/draft_check.h"

#include <inttypes.h>
#include <string.h>

/* Subjects are printable as the parser leaves them (fuzz harness `cert`). */
static void show_anchor(const struct hf_anchor *anchor, FILE *out)
{
    char sha256[HF_SHA256_HEX_LEN], day[HF_TIME_TEXT_MAX];
    hf_hex_encode(anchor->cert.sha256, HF_SHA256_LEN, sha256);
    hf_time_format_day(anchor->cert.not_after_s, day);
    fprintf(out, "      %s, until %s", anchor->cert.subject, day);
    hf_time_format_day(anchor->distrust_after_s, day);
    if (anchor->distrust_after_s != HF_TIME_NONE)
        fprintf(out, ", distrust after %s", day);
    hf_time_format_day(anchor->remove_after_s, day);
    if (anchor->remove_after_s != HF_TIME_NONE)
        fprintf(out, ", remove after %s", day);
    fprintf(out, "\n        %s\n", sha256);
}

static void show_bundle(const struct hf_bundle *bundle, const struct hf_description *d, FILE *out)
{
    char spki[HF_SHA256_HEX_LEN];
    for (size_t i = 0; i < bundle->n_anchors; i++)
        show_anchor(&bundle->anchors[i], out);
    for (size_t i = 0; i < d->n_drops; i++) {
        hf_hex_encode(d->drops[i], HF_SHA256_LEN, spki);
        fprintf(out, "      drops the key %s\n", spki);
    }
}

static void show_content(const struct hf_draft *draft, const struct hf_target *target, FILE *out)
{
    struct hf_description d = {0};
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};
    struct hf_bytes content = hf_draft_content(draft, target->path);
    enum hf_err err = HF_E_NOT_FOUND;
    if (target->custom != NULL)
        err = hf_description_parse(target->custom, &d, &why);
    if (err == HF_OK)
        err = hf_bundle_parse(content, &d, &bundle, &why);
    if (err == HF_OK)
        show_bundle(&bundle, &d, out);
    else
        fprintf(out, "      %zu bytes that are no bundle which a device can read\n", content.len);
    hf_bundle_free(&bundle);
    hf_description_free(&d);
}

static void show_added(const struct hf_draft *draft, FILE *out)
{
    const json_t *before = json_object_get(draft->before.env.signed_part, "targets");
    const json_t *after = json_object_get(draft->targets.env.signed_part, "targets");
    for (size_t i = 0; i < draft->targets.n_targets; i++) {
        const struct hf_target *target = &draft->targets.targets[i];
        const json_t *old = json_object_get(before, target->path);
        if (old != NULL && json_equal(old, json_object_get(after, target->path)))
            continue;
        fprintf(out, "    %s %s\n", old == NULL ? "+" : "! changed:", target->path);
        show_content(draft, target, out);
    }
}

static void show_removed(const struct hf_draft *draft, FILE *out)
{
    for (size_t i = 0; i < draft->before.n_targets; i++) {
        const char *path = draft->before.targets[i].path;
        if (hf_targets_find(&draft->targets, path) == NULL)
            fprintf(out, "    - %s\n", hf_draft_label_is_plain(path) ? path : "(odd name)");
    }
}

void hf_draft_show_targets(const struct hf_draft *draft, FILE *out)
{
    static const char *const known[] = {"_type",     "spec_version", "version", "expires",
                                        "signed_at", "targets",      NULL};
    hf_draft_show_head(draft, &draft->before.env, out);
    if (!draft->is_before_verified)
        fprintf(out,
                "  the targets before are not signed as root %" PRId64 " asks: they prove nothing, "
                "look at all that is listed\n",
                draft->root.env.version);
    fprintf(out, "  listed     %zu files (before: %zu)\n", draft->targets.n_targets,
            draft->before.n_targets);
    show_added(draft, out);
    show_removed(draft, out);
    hf_draft_show_others(draft, &draft->before.env, known, out);
}
