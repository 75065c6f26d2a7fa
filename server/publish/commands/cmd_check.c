/* holdfastctl check: could a device update from this repository? Needs no key and no lock. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/cli/report.h"
#include "common/rollout/role.h"
#include "common/tuf/trusted_set.h"
#include "server/publish/commands/rollout_view.h"
#include "server/repository/repo_verify.h"

#include <inttypes.h>

struct check {
    const char *repo_dir;
    int64_t at_s;
    bool is_loaded; /* metadata and bundles verify, except for their dates */
    struct hf_trusted_set set;
    struct hf_repo_bundles bundles;
    bool is_updatable;
    struct hf_why reason; /* why not */
};

/* Metadata that verifies is not enough: there must be a bundle to install. */
static enum hf_err check_updatable(const struct hf_repo *repo, struct check *c, struct hf_why *why)
{
    /* Dates are checked last, so that the report has content if only a date is wrong. */
    HF_TRY(hf_repo_verify_metadata(repo, HF_REPO_ANY_TIME, &c->set, why));
    HF_TRY(hf_repo_verify_bundles(repo, hf_trusted_set_top_targets(&c->set),
                                  c->set.root->consistent_snapshot, &c->bundles, why));
    c->is_loaded = true;
    HF_TRY(hf_repo_verify(repo, c->at_s, why));
    if (c->bundles.n_items == 0)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "the repository lists no bundle yet; holdfastctl bundle add publishes one");
    for (size_t i = 0; i < c->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &c->bundles.items[i];
        size_t n_usable = 0;
        for (size_t k = 0; k < b->bundle.n_anchors; k++)
            n_usable += hf_policy_anchor_state(&b->bundle.anchors[k], c->at_s) == HF_ANCHOR_USABLE;
        if (b->is_newest && n_usable == 0)
            return hf_fail(why, HF_E_POLICY,
                           "no root of bundle %s is valid at that time; devices keep the roots "
                           "that they have",
                           b->target->path);
    }
    return HF_OK;
}

#define N_ROLES 4
#define N_ROWS_MAX (N_ROLES + HF_ROLLOUT_ROLES_MAX)

struct role_row {
    const char *name;
    int64_t version, threshold, expires_s, days_left;
    size_t n_keys;
};

/* The roles of rollouts, after the others. */
static size_t add_rollout_roles(const struct check *c, struct role_row *rows)
{
    const struct hf_targets *top = hf_trusted_set_top_targets(&c->set);
    size_t n = 0;
    for (size_t i = 0; i < c->set.n_targets; i++) {
        const struct hf_trusted_targets *t = c->set.targets[i];
        const struct hf_delegation *d = hf_rollout_delegation(top, t->role);
        if (d == NULL || n == HF_ROLLOUT_ROLES_MAX)
            continue;
        rows[n++] = (struct role_row){.name = t->role,
                                      .version = t->targets.env.version,
                                      .threshold = d->role.threshold,
                                      .expires_s = t->targets.env.expires_s,
                                      .days_left = hf_days_between(c->at_s,
                                                                   t->targets.env.expires_s),
                                      .n_keys = d->role.n_key_ids};
    }
    return n;
}

/* How many there are. */
static size_t fill_roles(const struct check *c, struct role_row rows[N_ROWS_MAX])
{
    const struct {
        enum hf_top_role role;
        const struct hf_envelope *env;
    } shown[N_ROLES] = {{HF_ROLE_ROOT, &c->set.root->env},
                        {HF_ROLE_TARGETS, &hf_trusted_set_top_targets(&c->set)->env},
                        {HF_ROLE_SNAPSHOT, &c->set.snapshot->env},
                        {HF_ROLE_TIMESTAMP, &c->set.timestamp->env}};
    for (size_t i = 0; i < N_ROLES; i++) {
        const struct hf_envelope *env = shown[i].env;
        const struct hf_role *role = &c->set.root->roles[shown[i].role];
        rows[i] = (struct role_row){.name = hf_top_role_name(shown[i].role),
                                    .version = env->version,
                                    .threshold = role->threshold,
                                    .expires_s = env->expires_s,
                                    .days_left = hf_days_between(c->at_s, env->expires_s),
                                    .n_keys = role->n_key_ids};
    }
    return N_ROLES + add_rollout_roles(c, rows + N_ROLES);
}

/* The stage is unknown then, as to devices. */
static void print_ended_roles(const struct check *c, const struct role_row *rows, size_t n)
{
    for (size_t i = N_ROLES; i < n; i++) {
        if (rows[i].expires_s <= c->at_s)
            printf("%s has ended: devices wait for the last day of a plan, until refresh finds its "
                   "key\n",
                   rows[i].name);
    }
}

static json_t *make_threshold(const void *at, const void *ctx)
{
    const struct role_row *row = at;
    (void)ctx;
    return json_sprintf("%" PRId64 " of %zu", row->threshold, row->n_keys);
}

#define OF(member) offsetof(struct role_row, member)
static const struct hf_field role_fields[] = {
    {NULL, HF_FIELD_TEXT, OF(name), .column = 1, .head = "role"},
    {"version", HF_FIELD_NUMBER, OF(version), .column = 2, .head = "version"},
    {NULL, HF_FIELD_MADE, 0, .make = make_threshold, .column = 3, .head = "threshold"},
    {"threshold", HF_FIELD_NUMBER, OF(threshold)},
    {"keys", HF_FIELD_COUNT, OF(n_keys)},
    {"expires", HF_FIELD_TIME, OF(expires_s), .column = 4, .head = "expires"},
    {"days_left", HF_FIELD_NUMBER, OF(days_left), .column = 5, .head = "days left"},
    {0},
};
static const struct hf_field rollout_fields[] = {
    {"role", HF_FIELD_TEXT, OF(name)},
    {NULL, HF_FIELD_INCLUDE, 0, .fields = role_fields},
    {0},
};
#undef OF

/* In these two, `ctx` is the time of the check. */
static json_t *make_days_left(const void *at, const void *ctx)
{
    return json_integer(hf_days_between(*(const int64_t *)ctx, *(const int64_t *)at));
}

static json_t *make_state(const void *at, const void *ctx)
{
    return json_string(hf_anchor_state_text(hf_policy_anchor_state(at, *(const int64_t *)ctx)));
}

#define OF(member) offsetof(struct hf_anchor, member)
static const struct hf_field anchor_fields[] = {
    {NULL, HF_FIELD_INCLUDE, 0, .fields = hf_anchor_fields},
    {NULL, HF_FIELD_TIME, OF(cert.not_after_s), .column = 1, .head = "expires",
     .shown = HF_SHOWN_DAY},
    {"days_left", HF_FIELD_MADE, OF(cert.not_after_s), .make = make_days_left, .column = 2,
     .head = "days left"},
    {NULL, HF_FIELD_TIME, OF(distrust_after_s), .column = 3, .head = "distrust after",
     .shown = HF_SHOWN_LAST_DAY},
    {NULL, HF_FIELD_TIME, OF(remove_after_s), .column = 4, .head = "remove after",
     .shown = HF_SHOWN_LAST_DAY},
    {"state", HF_FIELD_MADE, 0, .make = make_state, .column = 5, .head = "state"},
    {NULL, HF_FIELD_SHA256, OF(cert.sha256), .column = 6, .head = "SHA-256"},
    {NULL, HF_FIELD_CHARS, OF(cert.subject), .column = 7, .head = "subject"},
    {0},
};

static enum hf_err print_text(const struct check *c, struct hf_why *why)
{
    char at[HF_TIME_TEXT_MAX];
    hf_time_format(c->at_s, at);
    printf("repository %s at %s\n", c->repo_dir, at);
    if (c->is_loaded) {
        struct role_row rows[N_ROWS_MAX];
        const size_t n = fill_roles(c, rows);
        HF_TRY(hf_report_table(role_fields, rows, n, sizeof rows[0], NULL, 0, stdout, why));
        print_ended_roles(c, rows, n);
    }
    for (size_t i = 0; i < c->bundles.n_items && c->is_loaded; i++) {
        const struct hf_repo_bundle *b = &c->bundles.items[i];
        const struct hf_description *d = &b->description;
        printf("\nbundle %s/%s %" PRId64 ": %zu certificate(s)", d->set, d->profile, d->version,
               b->bundle.n_anchors);
        if (d->n_drops > 0)
            printf(", %zu dropped on purpose", d->n_drops);
        puts(b->is_newest ? "" : ", older, still listed");
        hf_rollout_view_print(&c->set, b);
        if (b->is_newest)
            HF_TRY(hf_report_table(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                                   sizeof *b->bundle.anchors, &c->at_s, 2, stdout, why));
    }
    if (c->is_updatable)
        puts("\nA device could update from it.");
    return HF_OK;
}

static enum hf_err print_json(const struct check *c, struct hf_why *why)
{
    json_t *roles = c->is_loaded ? json_object() : json_null(), *bundles = json_array();
    json_t *rollouts = NULL;
    if (c->is_loaded) {
        struct role_row rows[N_ROWS_MAX];
        const size_t n = fill_roles(c, rows);
        for (size_t i = 0; i < N_ROLES; i++)
            json_object_set_new(roles, rows[i].name, hf_report_object(role_fields, &rows[i], NULL));
        rollouts = hf_report_list(rollout_fields, rows + N_ROLES, n - N_ROLES, sizeof rows[0],
                                  NULL);
    }
    for (size_t i = 0; i < c->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &c->bundles.items[i];
        json_t *anchors = hf_report_list(anchor_fields, b->bundle.anchors, b->bundle.n_anchors,
                                         sizeof *b->bundle.anchors, &c->at_s);
        bundles = hf_json_append_take(bundles,
                                      hf_json_set_take(hf_ctl_bundle_json(b, anchors), "rollout",
                                                       hf_rollout_view_bundle(&c->set, b)));
    }
    if (rollouts == NULL)
        rollouts = json_array();
    return hf_json_print_take(json_pack("{s:i, s:o, s:b, s:s?, s:o, s:o, s:o}", "format", 1, "at",
                                        hf_json_time(c->at_s), "updatable", c->is_updatable,
                                        "reason", c->is_updatable ? NULL : c->reason.text, "roles",
                                        roles, "rollout_roles", rollouts, "bundles", bundles),
                              stdout, why);
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_self_signed self_signed = {0};
    struct hf_repo repo = {.dir = o->repo, .self_signed = &self_signed};
    struct hf_buf root = {0};
    struct check c = {.repo_dir = o->repo, .at_s = hf_ctl_now_s()};
    HF_TRY(hf_ctl_time(call, "--at", o->at, &c.at_s));
    if (hf_ctl_read_root(o->root, &root, &c.reason) == HF_OK) {
        repo.trusted_root = hf_buf_bytes(&root);
        c.is_updatable = check_updatable(&repo, &c, &c.reason) == HF_OK;
    }
    enum hf_err err = o->is_json ? print_json(&c, why) : print_text(&c, why);
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

static const struct hf_cli_option options[] = {HF_CTL_REPO, HF_CTL_ROOT,
                                               HF_CTL_TEXT("at", at,
                                                           "check as of that time instead of now",
                                                           "YYYY-MM-DD[THH:MM:SSZ]"),
                                               HF_CTL_REPORT("check-report")};

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
    .needs = {"--repo"},
    .run = run,
};
