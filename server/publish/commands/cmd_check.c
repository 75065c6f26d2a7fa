/* holdfastctl check: could a device update from this repository? Needs no key and no lock. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/cli/report.h"
#include "common/tuf/trusted_set.h"
#include "server/repository/repo_verify.h"

#include <inttypes.h>

struct check_options {
    struct hf_ctl_options o;
    char *at;
};

struct check {
    const char *repo_dir;
    int64_t at_s;
    bool is_loaded; /* metadata and bundles verify, their dates aside */
    struct hf_trusted_set set;
    struct hf_repo_bundles bundles;
    bool is_updatable;
    struct hf_why reason; /* why not */
};

/* ---- the verdict ------------------------------------------------------------------------------ */

static bool has_usable_anchor(const struct hf_bundle *bundle, int64_t at_s)
{
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        if (hf_policy_anchor_state(&bundle->anchors[i], at_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

/* Metadata that verifies is not enough: there must be something to update to. */
static enum hf_err judge_bundles(const struct check *check, struct hf_why *why)
{
    if (check->bundles.n_items == 0)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "the repository lists no bundle yet; holdfastctl bundle add publishes one");
    for (size_t i = 0; i < check->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &check->bundles.items[i];
        if (b->is_newest && !has_usable_anchor(&b->bundle, check->at_s))
            return hf_fail(why, HF_E_POLICY,
                           "no root of bundle %s is in its validity at that time; devices keep "
                           "what they have",
                           b->target->path);
    }
    return HF_OK;
}

/* Everything but the dates, so that there is a table to look at when only they are wrong. */
static enum hf_err load(const struct hf_repo *repo, struct check *check, struct hf_why *why)
{
    HF_TRY(hf_repo_verify_metadata(repo, HF_REPO_ANY_TIME, &check->set, why));
    HF_TRY(hf_repo_verify_bundles(repo, hf_trusted_set_top_targets(&check->set),
                                  check->set.root->consistent_snapshot, &check->bundles, why));
    check->is_loaded = true;
    return HF_OK;
}

static enum hf_err judge(const struct hf_repo *repo, struct check *check, struct hf_why *why)
{
    HF_TRY(load(repo, check, why));
    HF_TRY(hf_repo_verify(repo, check->at_s, why));
    return judge_bundles(check, why);
}

/* ---- roles ------------------------------------------------------------------------------------ */

static const enum hf_top_role shown_roles[] = {HF_ROLE_ROOT, HF_ROLE_TARGETS, HF_ROLE_SNAPSHOT,
                                               HF_ROLE_TIMESTAMP};
#define N_SHOWN_ROLES (sizeof shown_roles / sizeof shown_roles[0])

static const struct hf_envelope *envelope_of(const struct check *check, enum hf_top_role role)
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

struct role_row {
    const char *name;
    int64_t version, threshold, expires_s, days_left;
    size_t n_keys;
};

static json_t *threshold_of(const void *at, const void *ctx)
{
    const struct role_row *row = at;
    (void)ctx;
    return json_sprintf("%" PRId64 " of %zu", row->threshold, row->n_keys);
}

#define OF(member) offsetof(struct role_row, member)

static const struct hf_field role_fields[] = {
    {NULL, HF_FIELD_TEXT, OF(name), .column = 1, .head = "role"},
    {"version", HF_FIELD_NUMBER, OF(version), .column = 2, .head = "version"},
    {NULL, HF_FIELD_MADE, 0, .make = threshold_of, .column = 3, .head = "threshold"},
    {"threshold", HF_FIELD_NUMBER, OF(threshold)},
    {"keys", HF_FIELD_COUNT, OF(n_keys)},
    {"expires", HF_FIELD_TIME, OF(expires_s), .column = 4, .head = "expires"},
    {"days_left", HF_FIELD_NUMBER, OF(days_left), .column = 5, .head = "days left"},
    {0},
};

static void fill_roles(const struct check *check, struct role_row rows[N_SHOWN_ROLES])
{
    for (size_t i = 0; i < N_SHOWN_ROLES; i++) {
        const struct hf_envelope *env = envelope_of(check, shown_roles[i]);
        const struct hf_role *role = &check->set.root->roles[shown_roles[i]];
        rows[i] = (struct role_row){.name = hf_top_role_name(shown_roles[i]),
                                    .version = env->version,
                                    .threshold = role->threshold,
                                    .expires_s = env->expires_s,
                                    .days_left = hf_days_between(check->at_s, env->expires_s),
                                    .n_keys = role->n_key_ids};
    }
}

/* ---- bundles ---------------------------------------------------------------------------------- */

/* `ctx` is the moment of the check. */
static json_t *days_left(const void *at, const void *ctx)
{
    return json_integer(hf_days_between(*(const int64_t *)ctx, *(const int64_t *)at));
}

static const char *state_text(const struct hf_anchor *anchor, int64_t now_s)
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

static json_t *state_of(const void *at, const void *ctx)
{
    return json_string(state_text(at, *(const int64_t *)ctx));
}

#undef OF
#define OF(member) offsetof(struct hf_anchor, member)

static const struct hf_field anchor_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(cert.subject), .column = 7, .head = "subject"},
    {"sha256", HF_FIELD_SHA256, OF(cert.sha256), .column = 6, .head = "SHA-256"},
    {"spki_sha256", HF_FIELD_SHA256, OF(cert.spki_sha256)},
    {"expires", HF_FIELD_TIME, OF(cert.not_after_s), .column = 1, .head = "expires",
     .shown = HF_SHOWN_DAY},
    {"distrust_after", HF_FIELD_TIME, OF(distrust_after_s), .column = 3, .head = "distrust after",
     .shown = HF_SHOWN_LAST_DAY},
    {"remove_after", HF_FIELD_TIME, OF(remove_after_s), .column = 4, .head = "remove after",
     .shown = HF_SHOWN_LAST_DAY},
    {"days_left", HF_FIELD_MADE, OF(cert.not_after_s), .make = days_left, .column = 2,
     .head = "days left"},
    {"state", HF_FIELD_MADE, 0, .make = state_of, .column = 5, .head = "state"},
    {0},
};

static void print_bundle_head(const struct hf_repo_bundle *b, FILE *out)
{
    const struct hf_description *d = &b->description;
    fprintf(out, "\nbundle %s/%s %" PRId64 ": %zu certificate(s)", d->set, d->profile, d->version,
            b->bundle.n_anchors);
    if (d->n_drops > 0)
        fprintf(out, ", %zu dropped on purpose", d->n_drops);
    fputs(b->is_newest ? "\n" : ", older, still listed\n", out);
}

static json_t *bundle_json(const struct hf_repo_bundle *b, int64_t at_s)
{
    json_t *drops = json_array();
    for (size_t i = 0; i < b->description.n_drops; i++)
        drops = hf_json_append_take(drops, hf_json_sha256(b->description.drops[i]));
    return json_pack("{s:s, s:s, s:I, s:b, s:s, s:o, s:o}", "set", b->description.set, "profile",
                     b->description.profile, "version", (json_int_t)b->description.version,
                     "newest", b->is_newest, "path", b->target->path, "drops", drops, "anchors",
                     hf_report_list(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                                    sizeof *b->bundle.anchors, &at_s));
}

/* ---- the report ------------------------------------------------------------------------------- */

static enum hf_err print_text(const struct check *check, FILE *out, struct hf_why *why)
{
    char at[HF_TIME_TEXT_MAX];
    hf_time_format(check->at_s, at);
    fprintf(out, "repository %s at %s\n", check->repo_dir, at);
    if (check->is_loaded) {
        struct role_row rows[N_SHOWN_ROLES];
        fill_roles(check, rows);
        HF_TRY(
            hf_report_table(role_fields, rows, N_SHOWN_ROLES, sizeof rows[0], NULL, 0, out, why));
        for (size_t i = 0; i < check->bundles.n_items; i++) {
            const struct hf_repo_bundle *b = &check->bundles.items[i];
            print_bundle_head(b, out);
            if (b->is_newest)
                HF_TRY(hf_report_table(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                                       sizeof *b->bundle.anchors, &check->at_s, 2, out, why));
        }
    }
    if (check->is_updatable)
        fputs("\nA device could update from it.\n", out);
    return HF_OK;
}

static enum hf_err print_json(const struct check *check, FILE *out, struct hf_why *why)
{
    struct role_row rows[N_SHOWN_ROLES];
    json_t *roles = check->is_loaded ? json_object() : json_null(), *bundles = json_array();
    if (check->is_loaded) {
        fill_roles(check, rows);
        for (size_t i = 0; i < N_SHOWN_ROLES; i++)
            json_object_set_new(roles, rows[i].name, hf_report_object(role_fields, &rows[i], NULL));
    }
    for (size_t i = 0; i < check->bundles.n_items; i++)
        bundles = hf_json_append_take(bundles, bundle_json(&check->bundles.items[i], check->at_s));
    return hf_json_print_take(json_pack("{s:i, s:o, s:b, s:s?, s:o, s:o}", "format", 1, "at",
                                        hf_json_time(check->at_s), "updatable", check->is_updatable,
                                        "reason", check->is_updatable ? NULL : check->reason.text,
                                        "roles", roles, "bundles", bundles),
                              out, why);
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct check_options *r = call->values;
    struct hf_self_signed self_signed = {0};
    struct hf_repo repo = {.dir = r->o.repo, .self_signed = &self_signed};
    struct hf_buf root = {0};
    struct check c = {.repo_dir = r->o.repo, .at_s = hf_ctl_now_s()};
    if (r->at != NULL && !hf_time_parse_lenient(r->at, &c.at_s))
        return hf_cli_usage(call, "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not \"%s\"",
                            r->at);
    bool is_read = hf_ctl_read_root(r->o.root, &root, &c.reason) == HF_OK;
    repo.trusted_root = hf_buf_bytes(&root);
    c.is_updatable = is_read && judge(&repo, &c, &c.reason) == HF_OK;
    enum hf_err err = r->o.is_json ? print_json(&c, stdout, why) : print_text(&c, stdout, why);
    if (err == HF_OK && !c.is_updatable) {
        fprintf(stderr, "holdfastctl: no device could update: %s\n", c.reason.text);
        call->exit_code = HF_EXIT_FAILED;
    }
    hf_repo_bundles_free(&c.bundles);
    hf_trusted_set_free(&c.set);
    hf_self_signed_free(&self_signed);
    hf_buf_free(&root);
    return err;
}

#define AT(member) offsetof(struct check_options, member)

static const struct hf_cli_option options[] = {HF_CTL_REPO,
                                               HF_CTL_ROOT,
                                               {"at", 0, HF_CLI_TEXT, AT(at),
                                                "judge at that time instead of now",
                                                "YYYY-MM-DD[THH:MM:SSZ]"},
                                               HF_CTL_JSON("check-report"),
                                               HF_CTL_HELP,
                                               HF_CLI_END};

const struct hf_cli_command hf_cmd_check = {
    .name = "check",
    .summary = "Verify a repository as a device would, and show what it holds.",
    .arguments = "--repo DIR [--root FILE] [--at TIME] [--json]",
    .about =
        "Verifies as a device does: from the first root through every signature, version, hash\n"
        "and date to each bundle. Prints roles, thresholds, expiry dates and roots. Needs no key.\n"
        "The exit code is 0 only if a device could update from the repository at that time.\n\n"
        "The repository's own first root proves that the repository is complete, not that it is\n"
        "yours. To prove that too, give --root, for example KEYS/online/root.json or the root\n"
        "that your devices ship with.",
    .examples = "  holdfastctl check --repo /srv/roots\n"
                "  holdfastctl check --repo /srv/roots --at 2030-01-31\n"
                "  holdfastctl check --repo /srv/roots --json | jq .roles.timestamp.days_left\n",
    .options = options,
    .values_size = sizeof(struct check_options),
    .needs = {"--repo"},
    .run = run,
};
