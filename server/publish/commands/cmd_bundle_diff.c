/* holdfastctl bundle diff: two versions, or a version and certificate files. Needs no key. */
#include "server/publish/commands/ctl.h"
#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "common/json/json.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/ceremony/rollout_words.h"
#include "server/repository/certs/cert_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct difference {
    const struct hf_anchor *before; /* NULL: added */
    const struct hf_anchor *after;  /* NULL: removed */
};

struct sides {
    const struct hf_bundle *before;
    const struct hf_bundle *after;
    const struct hf_rollout_plan *before_plan, *after_plan; /* NULL: none; of files too */
    int64_t before_version;
    int64_t after_version;       /* 0: files */
    struct hf_bundle from_files; /* `after` points to it then */
    struct difference *differences;
    size_t n_differences;
};

/* Compare files with a version, or two versions: by default the newest and the one before it. */
static enum hf_err find_sides(const struct hf_catalog *catalog, const struct hf_ctl_options *o,
                              const char *const *files, struct sides *s, struct hf_why *why)
{
    const struct hf_repo_bundle *old_one = NULL, *new_one = NULL;
    HF_TRY(hf_catalog_check_has(catalog, o->set, o->profile, why));
    if (files != NULL) {
        const struct hf_cert_source source = {.paths = files};
        struct hf_buf pem = {0};
        HF_TRY(hf_catalog_find(catalog, o->set, o->profile, o->old_version, &old_one, why));
        enum hf_err err = hf_cert_files_read(&source, &pem, why);
        if (err == HF_OK)
            err = hf_bundle_parse(hf_buf_bytes(&pem), NULL, &s->from_files, why);
        hf_buf_free(&pem);
        if (err != HF_OK)
            return err;
        s->after = &s->from_files;
    } else {
        HF_TRY(hf_catalog_find(catalog, o->set, o->profile, o->new_version, &new_one, why));
        if (o->old_version == 0)
            old_one = hf_catalog_before(catalog, &new_one->description);
        else
            HF_TRY(hf_catalog_find(catalog, o->set, o->profile, o->old_version, &old_one, why));
        if (old_one == NULL)
            return hf_fail(why, HF_E_NOT_FOUND,
                           "%s is the oldest version listed; there is none before it to compare "
                           "with",
                           new_one->target->path);
        s->after = &new_one->bundle;
        s->after_version = new_one->description.version;
        s->after_plan = new_one->description.plan;
    }
    s->before = &old_one->bundle;
    s->before_version = old_one->description.version;
    s->before_plan = old_one->description.plan;
    return HF_OK;
}

static enum hf_err find_differences(struct sides *s, struct hf_why *why)
{
    size_t n_all = s->before->n_anchors + s->after->n_anchors;
    s->differences = calloc(n_all + 1, sizeof *s->differences);
    if (s->differences == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu certificates", n_all);
    for (size_t i = 0; i < s->before->n_anchors; i++) {
        const struct hf_anchor *before = &s->before->anchors[i];
        const struct hf_anchor *after = hf_bundle_find(s->after, before->cert.sha256);
        /* Files contain no dates, so dates are compared between versions only. */
        if (after == NULL ||
            (s->after_version != 0 && (before->distrust_after_s != after->distrust_after_s ||
                                       before->remove_after_s != after->remove_after_s)))
            s->differences[s->n_differences++] = (struct difference){before, after};
    }
    for (size_t i = 0; i < s->after->n_anchors; i++) {
        const struct hf_anchor *after = &s->after->anchors[i];
        if (hf_bundle_find(s->before, after->cert.sha256) == NULL)
            s->differences[s->n_differences++] = (struct difference){NULL, after};
    }
    return HF_OK;
}

static void print_date(const char *what, int64_t before_s, int64_t after_s)
{
    char before[HF_TIME_TEXT_MAX], after[HF_TIME_TEXT_MAX];
    hf_time_format_last(before_s, before);
    hf_time_format_last(after_s, after);
    if (before_s != after_s)
        printf("    %s: %s, was %s\n", what, after, before);
}

/* Print the certificates that are not supported here and that `other` lacks; returns their
 * number. */
static size_t print_skipped(char sign, const struct hf_bundle *bundle,
                            const struct hf_bundle *other)
{
    size_t n = 0;
    for (size_t i = 0; i < bundle->n_skipped; i++) {
        const struct hf_unsupported_cert *cert = &bundle->skipped[i];
        char sha256[HF_SHA256_HEX_LEN];
        bool is_in_both = false;
        for (size_t k = 0; k < other->n_skipped; k++)
            is_in_both = is_in_both ||
                         memcmp(other->skipped[k].sha256, cert->sha256, HF_SHA256_LEN) == 0;
        if (is_in_both)
            continue;
        hf_hex_encode(cert->sha256, HF_SHA256_LEN, sha256);
        printf("%c %s  %s, not supported here (%s)\n", sign, sha256, cert->subject, cert->what);
        n++;
    }
    return n;
}

static void warn_of_skipped(const char *which, const struct hf_bundle *bundle)
{
    char skipped[HF_WHY_MAX];
    hf_bundle_skipped_text(bundle, skipped);
    if (skipped[0] != '\0')
        fprintf(stderr, "holdfastctl: warning: the %s side: %s\n", which, skipped);
}

/* When devices get the new version; a plan that the old one had says nothing about it. */
static void print_plans(const struct sides *s)
{
    if (s->after_plan != NULL)
        hf_rollout_words_print(s->after_plan, 0, stdout);
    else if (s->before_plan != NULL && s->after_version != 0)
        printf("every device installs version %" PRId64
               " at once: it has no rollout plan, and version "
               "%" PRId64 " has one\n",
               s->after_version, s->before_version);
}

static json_t *plan_json(const struct hf_rollout_plan *plan)
{
    return plan == NULL ? json_null() : hf_rollout_plan_to_json(plan);
}

static void print_text(const struct sides *s)
{
    size_t n = s->n_differences;
    warn_of_skipped("old", s->before);
    warn_of_skipped("new", s->after);
    for (size_t i = 0; i < s->n_differences; i++) {
        const struct difference *d = &s->differences[i];
        const struct hf_anchor *a = d->after != NULL ? d->after : d->before;
        bool is_in_both = d->before != NULL && d->after != NULL;
        char sha256[HF_SHA256_HEX_LEN], day[HF_TIME_TEXT_MAX];
        hf_hex_encode(a->cert.sha256, HF_SHA256_LEN, sha256);
        hf_time_format_day(a->cert.not_after_s, day);
        printf("%s %s  %s, until %s\n",
               is_in_both          ? "~"
               : d->before == NULL ? "+"
                                   : "-",
               sha256, a->cert.subject, day);
        if (!is_in_both)
            continue;
        print_date("distrust after", d->before->distrust_after_s, d->after->distrust_after_s);
        print_date("remove after", d->before->remove_after_s, d->after->remove_after_s);
    }
    n += print_skipped('-', s->before, s->after);
    n += print_skipped('+', s->after, s->before);
    if (n == 0)
        puts("no difference");
    print_plans(s);
}

#define OF(member) offsetof(struct hf_anchor, member)
static const struct hf_field anchor_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(cert.subject)},
    {"sha256", HF_FIELD_SHA256, OF(cert.sha256)},
    {"spki_sha256", HF_FIELD_SHA256, OF(cert.spki_sha256)},
    {"expires", HF_FIELD_TIME, OF(cert.not_after_s)},
    {0},
};
static const struct hf_field date_fields[] = {
    {"distrust_after", HF_FIELD_TIME, OF(distrust_after_s)},
    {"remove_after", HF_FIELD_TIME, OF(remove_after_s)},
    {0},
};

static enum hf_err print_json(const struct sides *s, struct hf_why *why)
{
    json_t *added = json_array(), *removed = json_array(), *changed = json_array();
    for (size_t i = 0; i < s->n_differences; i++) {
        const struct difference *d = &s->differences[i];
        json_t *object = hf_report_object(anchor_fields, d->after != NULL ? d->after : d->before,
                                          NULL);
        if (d->before == NULL) {
            added = hf_json_append_take(added, object);
        } else if (d->after == NULL) {
            removed = hf_json_append_take(removed, object);
        } else {
            json_object_set_new(object, "before", hf_report_object(date_fields, d->before, NULL));
            json_object_set_new(object, "after", hf_report_object(date_fields, d->after, NULL));
            changed = hf_json_append_take(changed, object);
        }
    }
    json_t *new_version = s->after_version == 0 ? json_null()
                                                : json_integer((json_int_t)s->after_version);
    return hf_json_print_take(
        json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:{s:o, s:o}, s:{s:o, s:o}}", "format", 1, "old",
                  (json_int_t)s->before_version, "new", new_version, "added", added, "removed",
                  removed, "changed", changed, "skipped", "old", hf_json_skipped(s->before), "new",
                  hf_json_skipped(s->after), "rollout", "old", plan_json(s->before_plan), "new",
                  plan_json(s->after_plan)),
        stdout, why);
}

static enum hf_err diff(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_catalog_view view;
    struct sides sides = {0};
    if (call->words != NULL && o->new_version != 0)
        return hf_cli_usage(call, "--new excludes files");
    enum hf_err err = hf_catalog_view_open(o->repo, &view, why);
    if (err == HF_OK)
        err = find_sides(&view.catalog, o, call->words, &sides, why);
    if (err == HF_OK)
        err = find_differences(&sides, why);
    if (err == HF_OK && o->is_json)
        err = print_json(&sides, why);
    else if (err == HF_OK)
        print_text(&sides);
    free(sides.differences);
    hf_bundle_free(&sides.from_files);
    hf_catalog_view_close(&view);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_SET,
     HF_CTL_PROFILE,
     HF_CTL_NUMBER("old", old_version, 0, 1, HF_JSON_INTEGER_MAX,
                   "compare with this version (default: the one before; with files, the newest)",
                   "N"),
     HF_CTL_NUMBER("new", new_version, 0, 1, HF_JSON_INTEGER_MAX,
                   "this version (default: the newest)", "N"),
     HF_CTL_REPORT("diff-report")};

const struct hf_cli_command hf_cmd_bundle_diff = {
    .name = "bundle diff",
    .summary = "Show what changed between two versions, or would with certificate files.",
    .arguments = "--repo DIR --set NAME --profile NAME [--old N] [--new N] [--json] [CERT…]",
    .about =
        "+ is added, - is removed, ~ has other signed dates. With CERT (PEM, DER, or a folder)\n"
        "the newest version is compared with those files, as if bundle add published them; dates\n"
        "are not compared then, because files contain none. The rollout plan of the new version\n"
        "is shown in words. The exit code is 0 whether or not there is a difference.",
    .examples = "  holdfastctl bundle diff --repo /srv/roots --set amazon-iot --profile full\n"
                "  holdfastctl bundle diff --repo /srv/roots --set amazon-iot --profile full \\\n"
                "      --old 3 --new 7 --json | jq '.removed[].subject'\n"
                "  holdfastctl bundle diff --repo /srv/roots --set amazon-iot --profile full \\\n"
                "      AmazonRootCA*.pem\n",
    .options = options,
    .needs = {"--repo", "--set", "--profile"},
    .max_words = HF_CLI_ANY_WORDS,
    .run = diff,
};
