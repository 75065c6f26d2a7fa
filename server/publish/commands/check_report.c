#include "server/publish/commands/check_report.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "server/repository/base/json_text.h"
#include "server/repository/base/table.h"

#include <inttypes.h>

static const enum hf_top_role shown_roles[] = {HF_ROLE_ROOT, HF_ROLE_TARGETS, HF_ROLE_SNAPSHOT,
                                               HF_ROLE_TIMESTAMP};
#define N_SHOWN_ROLES (sizeof shown_roles / sizeof shown_roles[0])

const struct hf_envelope *hf_check_envelope(const struct hf_check *check, enum hf_top_role role)
{
    switch (role) {
    case HF_ROLE_ROOT:
        return &check->set.root->env;
    case HF_ROLE_TIMESTAMP:
        return &check->set.timestamp->env;
    case HF_ROLE_SNAPSHOT:
        return &check->set.snapshot->env;
    case HF_ROLE_TARGETS:
    case HF_TOP_ROLES:
        break;
    }
    return &hf_trusted_set_top_targets(&check->set)->env;
}

int64_t hf_days_between(int64_t from_s, int64_t to_s)
{
    int64_t seconds = to_s - from_s;
    return seconds >= 0 ? seconds / HF_DAY_S : -((-seconds + HF_DAY_S - 1) / HF_DAY_S);
}

const char *hf_anchor_state_text(const struct hf_anchor *anchor, int64_t now_s)
{
    switch (hf_policy_anchor_state(anchor, now_s)) {
    case HF_ANCHOR_USABLE:
        return "usable";
    case HF_ANCHOR_NOT_YET_VALID:
        return "not yet valid";
    case HF_ANCHOR_EXPIRED:
        return "expired";
    case HF_ANCHOR_REMOVED:
        return "removed";
    }
    return "unknown";
}

/* ---- for people ------------------------------------------------------------------------------- */

static enum hf_err fill_roles(const struct hf_check *check, struct hf_table *t, struct hf_why *why)
{
    static const char *const head[] = {"role", "version", "threshold", "expires", "days left"};
    for (size_t i = 0; i < 5; i++)
        HF_TRY(hf_table_add(t, why, "%s", head[i]));
    for (size_t i = 0; i < N_SHOWN_ROLES; i++) {
        const struct hf_envelope *env = hf_check_envelope(check, shown_roles[i]);
        const struct hf_role *role = &check->set.root->roles[shown_roles[i]];
        char expires[HF_TIME_TEXT_MAX];
        hf_time_format(env->expires_s, expires);
        HF_TRY(hf_table_add(t, why, "%s", hf_top_role_name(shown_roles[i])));
        HF_TRY(hf_table_add(t, why, "%" PRId64, env->version));
        HF_TRY(hf_table_add(t, why, "%" PRId64 " of %zu", role->threshold, role->n_key_ids));
        HF_TRY(hf_table_add(t, why, "%s", expires));
        HF_TRY(hf_table_add(t, why, "%" PRId64, hf_days_between(check->at_s, env->expires_s)));
    }
    return HF_OK;
}

static enum hf_err fill_anchors(const struct hf_bundle *bundle, int64_t at_s, struct hf_table *t,
                                struct hf_why *why)
{
    static const char *const head[] = {"expires", "days left", "distrust after", "remove after",
                                       "state",   "SHA-256",   "subject"};
    for (size_t i = 0; i < 7; i++)
        HF_TRY(hf_table_add(t, why, "%s", head[i]));
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *a = &bundle->anchors[i];
        char day[HF_TIME_TEXT_MAX], sha256[HF_SHA256_HEX_LEN];
        hf_time_format_day(a->cert.not_after_s, day);
        HF_TRY(hf_table_add(t, why, "%s", day));
        HF_TRY(hf_table_add(t, why, "%" PRId64, hf_days_between(at_s, a->cert.not_after_s)));
        hf_time_format_last(a->distrust_after_s, day);
        HF_TRY(hf_table_add(t, why, "%s", day));
        hf_time_format_last(a->remove_after_s, day);
        HF_TRY(hf_table_add(t, why, "%s", day));
        HF_TRY(hf_table_add(t, why, "%s", hf_anchor_state_text(a, at_s)));
        hf_hex_encode(a->cert.sha256, HF_SHA256_LEN, sha256);
        HF_TRY(hf_table_add(t, why, "%s", sha256));
        HF_TRY(hf_table_add(t, why, "%s", a->cert.subject));
    }
    return HF_OK;
}

static void print_bundle_head(const struct hf_repo_bundle *b, FILE *out)
{
    const struct hf_description *d = &b->description;
    fprintf(out, "\nbundle %s/%s %" PRId64 ": %zu certificate(s)", d->set, d->profile, d->version,
            b->bundle.n_anchors);
    if (d->n_drops > 0)
        fprintf(out, ", %zu dropped on purpose", d->n_drops);
    fputs(b->is_newest ? "\n" : ", older, still listed\n", out);
}

static enum hf_err print_bundle(const struct hf_repo_bundle *b, int64_t at_s, FILE *out,
                                struct hf_why *why)
{
    struct hf_table t = {.n_columns = 7};
    print_bundle_head(b, out);
    if (!b->is_newest)
        return HF_OK;
    enum hf_err err = fill_anchors(&b->bundle, at_s, &t, why);
    if (err == HF_OK)
        hf_table_print(&t, 2, out);
    hf_table_free(&t);
    return err;
}

enum hf_err hf_check_print(const struct hf_check *check, FILE *out, struct hf_why *why)
{
    char at[HF_TIME_TEXT_MAX];
    hf_time_format(check->at_s, at);
    fprintf(out, "repository %s at %s\n", check->repo_dir, at);
    if (check->is_loaded) {
        struct hf_table roles = {.n_columns = 5};
        enum hf_err err = fill_roles(check, &roles, why);
        if (err == HF_OK)
            hf_table_print(&roles, 0, out);
        hf_table_free(&roles);
        for (size_t i = 0; i < check->bundles.n_items && err == HF_OK; i++)
            err = print_bundle(&check->bundles.items[i], check->at_s, out, why);
        HF_TRY(err);
    }
    if (check->is_updatable)
        fputs("\nA device could update from it.\n", out);
    return HF_OK;
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *roles_json(const struct hf_check *check)
{
    json_t *roles = json_object();
    for (size_t i = 0; i < N_SHOWN_ROLES; i++) {
        const struct hf_envelope *env = hf_check_envelope(check, shown_roles[i]);
        const struct hf_role *role = &check->set.root->roles[shown_roles[i]];
        json_object_set_new(roles, hf_top_role_name(shown_roles[i]),
                            json_pack("{s:I, s:I, s:I, s:o, s:I}", "version",
                                      (json_int_t)env->version, "threshold",
                                      (json_int_t)role->threshold, "keys",
                                      (json_int_t)role->n_key_ids, "expires",
                                      hf_json_time(env->expires_s), "days_left",
                                      (json_int_t)hf_days_between(check->at_s, env->expires_s)));
    }
    return roles;
}

static json_t *anchor_json(const struct hf_anchor *a, int64_t at_s)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:s}", "subject", a->cert.subject,
                     "sha256", hf_json_sha256(a->cert.sha256), "spki_sha256",
                     hf_json_sha256(a->cert.spki_sha256), "expires",
                     hf_json_time(a->cert.not_after_s), "distrust_after",
                     hf_json_time(a->distrust_after_s), "remove_after",
                     hf_json_time(a->remove_after_s), "days_left",
                     (json_int_t)hf_days_between(at_s, a->cert.not_after_s), "state",
                     hf_anchor_state_text(a, at_s));
}

static json_t *bundle_json(const struct hf_repo_bundle *b, int64_t at_s)
{
    json_t *anchors = json_array();
    json_t *drops = json_array();
    for (size_t i = 0; i < b->bundle.n_anchors; i++)
        anchors = hf_json_append_take(anchors, anchor_json(&b->bundle.anchors[i], at_s));
    for (size_t i = 0; i < b->description.n_drops; i++)
        drops = hf_json_append_take(drops, hf_json_sha256(b->description.drops[i]));
    return json_pack("{s:s, s:s, s:I, s:b, s:s, s:o, s:o}", "set", b->description.set, "profile",
                     b->description.profile, "version", (json_int_t)b->description.version,
                     "newest", b->is_newest, "path", b->target->path, "drops", drops, "anchors",
                     anchors);
}

static json_t *to_json(const struct hf_check *check)
{
    json_t *bundles = json_array();
    for (size_t i = 0; i < check->bundles.n_items; i++)
        bundles = hf_json_append_take(bundles, bundle_json(&check->bundles.items[i], check->at_s));
    return json_pack("{s:i, s:o, s:b, s:s?, s:o, s:o}", "format", 1, "at",
                     hf_json_time(check->at_s), "updatable", check->is_updatable, "reason",
                     check->is_updatable ? NULL : check->reason.text, "roles",
                     check->is_loaded ? roles_json(check) : json_null(), "bundles", bundles);
}

enum hf_err hf_check_print_json(const struct hf_check *check, FILE *out, struct hf_why *why)
{
    return hf_json_print_take(to_json(check), out, why);
}
