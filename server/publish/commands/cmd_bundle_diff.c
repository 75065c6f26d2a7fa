/* holdfastctl bundle diff: two versions, or a version and certificate files. Needs no key. */
#include "server/publish/commands/ctl.h"
#include "common/base/hex.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/catalog.h"
#include "server/repository/certs/cert_files.h"

#include <inttypes.h>
#include <string.h>

struct diff_options {
    struct hf_ctl_options o;
    long long old_version; /* 0: not given */
    long long new_version;
};

/* The two sides; `from_files` is what `new_one` points to where it is made of files. */
struct sides {
    const struct hf_bundle *old_one;
    const struct hf_bundle *new_one;
    int64_t old_version;
    int64_t new_version; /* 0: files */
    struct hf_bundle from_files;
};

/* ---- what differs ----------------------------------------------------------------------------- */

struct difference {
    const struct hf_anchor *before; /* NULL: added */
    const struct hf_anchor *after;  /* NULL: removed */
};

/* Files carry no dates, so none are compared with them. */
static bool has_other_dates(const struct sides *s, const struct hf_anchor *before,
                            const struct hf_anchor *after)
{
    return s->new_version != 0 && (before->distrust_after_s != after->distrust_after_s ||
                                   before->remove_after_s != after->remove_after_s);
}

typedef enum hf_err (*difference_fn)(void *ctx, const struct difference *d, struct hf_why *why);

static enum hf_err walk(const struct sides *s, difference_fn fn, void *ctx, struct hf_why *why)
{
    for (size_t i = 0; i < s->old_one->n_anchors; i++) {
        const struct hf_anchor *before = &s->old_one->anchors[i];
        const struct difference d = {before, hf_bundle_find(s->new_one, before->cert.sha256)};
        if (d.after == NULL || has_other_dates(s, before, d.after))
            HF_TRY(fn(ctx, &d, why));
    }
    for (size_t i = 0; i < s->new_one->n_anchors; i++) {
        const struct difference d = {NULL, &s->new_one->anchors[i]};
        if (hf_bundle_find(s->old_one, d.after->cert.sha256) == NULL)
            HF_TRY(fn(ctx, &d, why));
    }
    return HF_OK;
}

/* ---- for people ------------------------------------------------------------------------------- */

static void print_date(const char *what, int64_t before_s, int64_t after_s)
{
    char before[HF_TIME_TEXT_MAX], after[HF_TIME_TEXT_MAX];
    hf_time_format_last(before_s, before);
    hf_time_format_last(after_s, after);
    if (before_s != after_s)
        printf("    %s: %s, was %s\n", what, after, before);
}

static enum hf_err print_one(void *ctx, const struct difference *d, struct hf_why *why)
{
    size_t *n = ctx;
    (void)why;
    const struct hf_anchor *a = d->after != NULL ? d->after : d->before;
    char sha256[HF_SHA256_HEX_LEN], day[HF_TIME_TEXT_MAX];
    hf_hex_encode(a->cert.sha256, HF_SHA256_LEN, sha256);
    hf_time_format_day(a->cert.not_after_s, day);
    printf("%c %s  %s, until %s\n",
           d->before == NULL  ? '+'
           : d->after == NULL ? '-'
                              : '~',
           sha256, a->cert.subject, day);
    if (d->before != NULL && d->after != NULL) {
        print_date("distrust after", d->before->distrust_after_s, d->after->distrust_after_s);
        print_date("remove after", d->before->remove_after_s, d->after->remove_after_s);
    }
    (*n)++;
    return HF_OK;
}

static void warn_of_skipped(const char *which, const struct hf_bundle *bundle)
{
    char skipped[HF_WHY_MAX];
    hf_bundle_skipped_text(bundle, skipped);
    if (skipped[0] != '\0')
        fprintf(stderr, "holdfastctl: warning: the %s side: %s\n", which, skipped);
}

static bool has_skipped(const struct hf_bundle *bundle, const struct hf_unsupported_cert *cert)
{
    for (size_t i = 0; i < bundle->n_skipped; i++) {
        if (memcmp(bundle->skipped[i].sha256, cert->sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* Those of `bundle` that `other` lacks. How many. */
static size_t print_skipped(char sign, const struct hf_bundle *bundle,
                            const struct hf_bundle *other)
{
    size_t n = 0;
    for (size_t i = 0; i < bundle->n_skipped; i++) {
        const struct hf_unsupported_cert *cert = &bundle->skipped[i];
        char sha256[HF_SHA256_HEX_LEN];
        if (has_skipped(other, cert))
            continue;
        hf_hex_encode(cert->sha256, HF_SHA256_LEN, sha256);
        printf("%c %s  %s, not supported here (%s)\n", sign, sha256, cert->subject, cert->what);
        n++;
    }
    return n;
}

static enum hf_err print_text(const struct sides *s, struct hf_why *why)
{
    size_t n = 0;
    warn_of_skipped("old", s->old_one);
    warn_of_skipped("new", s->new_one);
    HF_TRY(walk(s, print_one, &n, why));
    n += print_skipped('-', s->old_one, s->new_one);
    n += print_skipped('+', s->new_one, s->old_one);
    if (n == 0)
        puts("no difference");
    return HF_OK;
}

/* ---- for scripts ------------------------------------------------------------------------------ */

struct lists {
    json_t *added;
    json_t *removed;
    json_t *changed;
};

static json_t *dates_json(const struct hf_anchor *a)
{
    return json_pack("{s:o, s:o}", "distrust_after", hf_json_time(a->distrust_after_s),
                     "remove_after", hf_json_time(a->remove_after_s));
}

static enum hf_err collect(void *ctx, const struct difference *d, struct hf_why *why)
{
    static const struct hf_field fields[] = {
        {"subject", HF_FIELD_CHARS, offsetof(struct hf_anchor, cert.subject)},
        {"sha256", HF_FIELD_SHA256, offsetof(struct hf_anchor, cert.sha256)},
        {"spki_sha256", HF_FIELD_SHA256, offsetof(struct hf_anchor, cert.spki_sha256)},
        {"expires", HF_FIELD_TIME, offsetof(struct hf_anchor, cert.not_after_s)},
        {0},
    };
    struct lists *l = ctx;
    json_t *object = hf_report_object(fields, d->after != NULL ? d->after : d->before, NULL);
    json_t *list = d->before == NULL ? l->added : d->after == NULL ? l->removed : l->changed;
    if (d->before != NULL && d->after != NULL) {
        json_object_set_new(object, "before", dates_json(d->before));
        json_object_set_new(object, "after", dates_json(d->after));
    }
    if (json_array_append_new(list, object) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the report");
    return HF_OK;
}

static enum hf_err print_json(const struct sides *s, struct hf_why *why)
{
    struct lists l = {json_array(), json_array(), json_array()};
    enum hf_err err = walk(s, collect, &l, why);
    json_t *skipped = json_pack("{s:o, s:o}", "old", hf_json_skipped(s->old_one), "new",
                                hf_json_skipped(s->new_one));
    json_t *object = json_pack("{s:i, s:I, s:o, s:o, s:o, s:o, s:o}", "format", 1, "old",
                               (json_int_t)s->old_version, "new",
                               s->new_version == 0 ? json_null()
                                                   : json_integer((json_int_t)s->new_version),
                               "added", l.added, "removed", l.removed, "changed", l.changed,
                               "skipped", skipped);
    if (err != HF_OK) {
        json_decref(object);
        return err;
    }
    return hf_json_print_take(object, stdout, why);
}

/* ---- the two sides ---------------------------------------------------------------------------- */

static enum hf_err find_version(const struct hf_catalog *catalog, const struct diff_options *r,
                                int64_t version, const struct hf_repo_bundle **out,
                                struct hf_why *why)
{
    for (size_t i = 0; i < catalog->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &catalog->bundles.items[i];
        if (hf_catalog_is_of(b, r->o.set, r->o.profile) &&
            (version == 0 ? b->is_newest : b->description.version == version)) {
            *out = b;
            return HF_OK;
        }
    }
    return hf_fail(why, HF_E_NOT_FOUND,
                   "version %" PRId64
                   " of %s/%s is not listed; holdfastctl bundle list shows which "
                   "are",
                   version, r->o.set, r->o.profile);
}

static enum hf_err read_files(const char *const *files, struct hf_bundle *out, struct hf_why *why)
{
    const struct hf_cert_source source = {.paths = files};
    struct hf_buf pem = {0};
    enum hf_err err = hf_cert_files_read(&source, &pem, why);
    if (err == HF_OK)
        err = hf_bundle_parse(hf_buf_bytes(&pem), NULL, out, why);
    hf_buf_free(&pem);
    return err;
}

/* Files are the new side of a version; else the newest is that of the one before it. */
static enum hf_err find_sides(const struct hf_catalog *catalog, const struct diff_options *r,
                              const char *const *files, struct sides *out, struct hf_why *why)
{
    const struct hf_repo_bundle *old_one = NULL, *new_one = NULL;
    HF_TRY(hf_catalog_check_has(catalog, r->o.set, r->o.profile, why));
    if (files != NULL) {
        HF_TRY(find_version(catalog, r, r->old_version, &old_one, why));
        HF_TRY(read_files(files, &out->from_files, why));
        out->new_one = &out->from_files;
    } else {
        HF_TRY(find_version(catalog, r, r->new_version, &new_one, why));
        if (r->old_version == 0)
            old_one = hf_catalog_before(catalog, &new_one->description);
        else
            HF_TRY(find_version(catalog, r, r->old_version, &old_one, why));
        if (old_one == NULL)
            return hf_fail(why, HF_E_NOT_FOUND,
                           "%s is the oldest version listed; there is none before it to compare "
                           "with",
                           new_one->target->path);
        out->new_one = &new_one->bundle;
        out->new_version = new_one->description.version;
    }
    out->old_one = &old_one->bundle;
    out->old_version = old_one->description.version;
    return HF_OK;
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err diff(struct hf_cli_call *call, struct hf_why *why)
{
    const struct diff_options *r = call->values;
    struct hf_catalog_view view;
    struct sides sides = {0};
    if (r->old_version < 0 || r->new_version < 0 || (call->words != NULL && r->new_version != 0))
        return hf_cli_usage(call, "a version is a number above 0, and --new excludes files");
    enum hf_err err = hf_catalog_view_open(r->o.repo, &view, why);
    if (err == HF_OK)
        err = find_sides(&view.catalog, r, call->words, &sides, why);
    if (err == HF_OK)
        err = r->o.is_json ? print_json(&sides, why) : print_text(&sides, why);
    hf_bundle_free(&sides.from_files);
    hf_catalog_view_close(&view);
    return err;
}

#define AT(member) offsetof(struct diff_options, member)

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_SET,
     HF_CTL_PROFILE,
     {"old", 0, HF_CLI_INT64, AT(old_version),
      "compare with this version (default: the one before; with files, the newest)", "N"},
     {"new", 0, HF_CLI_INT64, AT(new_version), "this version (default: the newest)", "N"},
     HF_CTL_JSON("diff-report"),
     HF_CTL_HELP,
     HF_CLI_END};

const struct hf_cli_command hf_cmd_bundle_diff = {
    .name = "bundle diff",
    .summary = "Show what changed between two versions, or would with certificate files.",
    .arguments = "--repo DIR --set NAME --profile NAME [--old N] [--new N] [--json] [CERT…]",
    .about =
        "+ is added, - is removed, ~ has other signed dates. With CERT (PEM, DER, or a folder)\n"
        "the newest version is compared with those files, as if bundle add published them; dates\n"
        "are not compared then, because files contain none. The exit code is 0 whether or not\n"
        "there is a difference.",
    .examples = "  holdfastctl bundle diff --repo /srv/roots --set amazon-iot --profile full\n"
                "  holdfastctl bundle diff --repo /srv/roots --set amazon-iot --profile full \\\n"
                "      --old 3 --new 7 --json | jq '.removed[].subject'\n"
                "  holdfastctl bundle diff --repo /srv/roots --set amazon-iot --profile full \\\n"
                "      AmazonRootCA*.pem\n",
    .options = options,
    .values_size = sizeof(struct diff_options),
    .needs = {"--repo", "--set", "--profile"},
    .max_words = HF_CLI_ANY_WORDS,
    .run = diff,
};
