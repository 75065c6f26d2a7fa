#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"
#include "server/repository/certs/cert_limits.h"

#include <string.h>

static size_t count_keys(const struct hf_bundle *bundle)
{
    size_t n = 0;
    for (size_t i = 0; i < bundle->n_anchors; i++)
        n += hf_bundle_find_key(bundle, bundle->anchors[i].cert.spki_sha256) == &bundle->anchors[i];
    return n;
}

static enum hf_err find_single(const struct hf_lint_line *line, struct hf_findings *out,
                               struct hf_why *why)
{
    if (count_keys(line->bundle) > 1)
        return HF_OK;
    return hf_findings_add(out, HF_LINT_SINGLE_ANCHOR, line->where, why,
                           "\"%s\" is its only root; when its owner moves to another, devices that "
                           "are off on that day stay off",
                           line->bundle->anchors[0].cert.subject);
}

static enum hf_err find_intermediates(const struct hf_lint_line *line, struct hf_findings *out,
                                      struct hf_why *why)
{
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &line->bundle->anchors[i];
        if (anchor->use == HF_USE_INTERMEDIATE)
            HF_TRY(
                hf_findings_add(out, HF_LINT_INTERMEDIATE_KEPT, line->where, why,
                                "\"%s\" is an intermediate, trusted as a root on purpose; its CA "
                                "\"%s\" may replace it any day",
                                anchor->cert.subject, anchor->cert.issuer));
    }
    return HF_OK;
}

/* Limits that a CA has set itself, and that a device does not apply to an anchor. */
static enum hf_err find_limits(const struct hf_lint_line *line, struct hf_findings *out,
                               struct hf_why *why)
{
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &line->bundle->anchors[i];
        struct hf_cert_limits limits = {0};
        HF_TRY(hf_cert_limits_parse(anchor->der, &limits, why));
        if (limits.has_name_constraints)
            HF_TRY(
                hf_findings_add(out, HF_LINT_NAME_CONSTRAINTS, line->where, why,
                                "\"%s\" has name constraints, which devices do not enforce: "
                                "they trust it for every name; leave it out, or drop it where it "
                                "is no longer needed",
                                anchor->cert.subject));
        if (!limits.is_for_servers)
            HF_TRY(hf_findings_add(out, HF_LINT_NOT_FOR_SERVERS, line->where, why,
                                   "\"%s\" is not meant for servers: its extendedKeyUsage lacks "
                                   "serverAuth. Other programs refuse its chains, and it must not "
                                   "be a trust anchor for servers; leave it out",
                                   anchor->cert.subject));
    }
    return HF_OK;
}

static bool holds_key(const struct hf_bundle *bundle, const struct hf_known_root *root)
{
    return hf_bundle_find_key(bundle, root->spki_sha256) != NULL;
}

/* A root that its program distrusts already is not missed. */
static bool is_missed(const struct hf_lint *lint, const struct hf_known_root *root)
{
    return !root->is_removed &&
           (root->distrust_s == HF_TIME_NONE || root->distrust_s > lint->at_s) &&
           root->not_after_s > lint->at_s;
}

static enum hf_err find_missing(const struct hf_lint *lint, const struct hf_lint_line *line,
                                struct hf_findings *out, struct hf_why *why)
{
    if (strcmp(line->description->profile, "full") != 0)
        return HF_OK;
    for (size_t i = 0; i < lint->known->n_items; i++) {
        const struct hf_known_root *root = &lint->known->items[i];
        if (!hf_known_roots_is_table_of(root->set, line->description->set) ||
            !is_missed(lint, root) || holds_key(line->bundle, root))
            continue;
        HF_TRY(
            hf_findings_add(out, HF_LINT_KNOWN_ROOT_MISSING, line->where, why,
                            "\"%s\" of the table of known roots \"%s\" is not in it; an endpoint "
                            "may move to it any day",
                            root->name, root->set));
    }
    return HF_OK;
}

static bool is_of_profile(const struct hf_cert *cert, const char *profile)
{
    return (strcmp(profile, "rsa") == 0 && cert->key == HF_CERT_KEY_RSA) ||
           (strcmp(profile, "ecc") == 0 && cert->key != HF_CERT_KEY_RSA);
}

static enum hf_err find_behind(const struct hf_lint_line *line, struct hf_findings *out,
                               struct hf_why *why)
{
    for (size_t i = 0; line->full != NULL && i < line->full->n_anchors; i++) {
        const struct hf_cert *cert = &line->full->anchors[i].cert;
        if (!is_of_profile(cert, line->description->profile) ||
            hf_bundle_find_key(line->bundle, cert->spki_sha256) != NULL)
            continue;
        HF_TRY(hf_findings_add(out, HF_LINT_PROFILE_BEHIND, line->where, why,
                               "\"%s\" is in the profile full and not in this one; derive it again",
                               cert->subject));
    }
    return HF_OK;
}

/* Published by a newer holdfastctl. Devices without support for it skip it. */
static enum hf_err find_unsupported(const struct hf_lint_line *line, struct hf_findings *out,
                                    struct hf_why *why)
{
    for (size_t i = 0; i < line->bundle->n_skipped; i++)
        HF_TRY(hf_findings_add(out, HF_LINT_ANCHOR_UNUSABLE, line->where, why,
                               "\"%s\" is not supported here: Mbed TLS cannot use its %s; devices "
                               "with the same software skip it",
                               line->bundle->skipped[i].subject, line->bundle->skipped[i].what));
    return HF_OK;
}

enum hf_err hf_lint_tables(const struct hf_known_roots *known, int64_t now_s,
                           struct hf_findings *out, struct hf_why *why)
{
    char day[HF_TIME_TEXT_MAX];
    if (!hf_known_roots_is_old(known, now_s))
        return HF_OK;
    hf_time_format_day(known->as_of_s, day);
    return hf_findings_add(
        out, HF_LINT_TABLES_OLD, known->oldest, why,
        "this table of known roots is of %s, older than half a year: newer roots "
        "and dates of distrust are not in it. Install a newer holdfastctl, or "
        "renew the tables (deploy/roots/make-tables.py)",
        day);
}

enum hf_err hf_lint_content(const struct hf_lint *lint, const struct hf_lint_line *line,
                            struct hf_findings *out, struct hf_why *why)
{
    HF_TRY(find_unsupported(line, out, why));
    HF_TRY(find_single(line, out, why));
    HF_TRY(find_intermediates(line, out, why));
    HF_TRY(find_limits(line, out, why));
    HF_TRY(find_missing(lint, line, out, why));
    return find_behind(line, out, why);
}

enum hf_err hf_lint_line(const struct hf_lint *lint, const struct hf_lint_line *line,
                         struct hf_findings *out, struct hf_why *why)
{
    HF_TRY(hf_lint_content(lint, line, out, why));
    HF_TRY(hf_lint_dates(lint, line, out, why));
    HF_TRY(hf_lint_change(lint, line, out, why));
    HF_TRY(hf_lint_reach(lint, line, out, why));
    return hf_lint_algorithms(lint, line, out, why);
}
