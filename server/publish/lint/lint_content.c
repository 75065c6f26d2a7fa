#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "server/publish/lint/lint.h"

#include <mbedtls/asn1.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
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

/* What a CA says that it may be used for, beyond what devices enforce (RFC 5280, 4.2.1.10 and 4.2.1.12). */
struct cert_limits {
    bool has_name_constraints;
    bool is_for_servers; /* extendedKeyUsage is absent, or has serverAuth or anyExtendedKeyUsage */
};

/* id-ce-nameConstraints, which Mbed TLS does not name. */
#define OID_NAME_CONSTRAINTS MBEDTLS_OID_ID_CE "\x1E"

/* Extensions ::= SEQUENCE OF SEQUENCE { extnID OBJECT IDENTIFIER, … }. Mbed TLS has parsed them, and
 * skips what it does not know. */
static bool has_extension(const mbedtls_x509_buf *extensions, const char *oid, size_t oid_len)
{
    unsigned char *p = extensions->p;
    size_t len = 0;
    if (p == NULL)
        return false;
    const unsigned char *end = p + extensions->len;
    if (mbedtls_asn1_get_tag(&p, end, &len, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) != 0)
        return false;
    while (p < end && mbedtls_asn1_get_tag(&p, end, &len,
                                           MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) == 0) {
        unsigned char *next = p + len;
        size_t id_len = 0;
        if (mbedtls_asn1_get_tag(&p, next, &id_len, MBEDTLS_ASN1_OID) == 0 &&
            hf_bytes_equal((struct hf_bytes){p, id_len},
                           (struct hf_bytes){(const uint8_t *)oid, oid_len}))
            return true;
        p = next;
    }
    return false;
}

/* Critical name constraints are no reason to refuse here. */
static int take_unknown(void *ctx, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid,
                        int critical, const unsigned char *p, const unsigned char *end)
{
    (void)ctx;
    (void)crt;
    (void)oid;
    (void)critical;
    (void)p;
    (void)end;
    return 0;
}

/* HF_E_FORMAT for what Mbed TLS cannot read. */
static enum hf_err parse_cert_limits(struct hf_bytes der, struct cert_limits *out,
                                     struct hf_why *why)
{
    mbedtls_x509_crt crt;
    enum hf_err err = HF_OK;
    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der_with_ext_cb(&crt, der.data, der.len, 0, take_unknown, NULL) != 0)
        err = hf_fail(why, HF_E_FORMAT, "the extensions of a certificate cannot be read");
    else
        *out = (struct cert_limits){
            .has_name_constraints = has_extension(&crt.v3_ext, OID_NAME_CONSTRAINTS,
                                                  MBEDTLS_OID_SIZE(OID_NAME_CONSTRAINTS)),
            .is_for_servers = mbedtls_x509_crt_check_extended_key_usage(
                                  &crt, MBEDTLS_OID_SERVER_AUTH,
                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) == 0,
        };
    mbedtls_x509_crt_free(&crt);
    return err;
}

/* Limits that a CA has set itself, and that a device does not apply to an anchor. */
static enum hf_err find_limits(const struct hf_lint_line *line, struct hf_findings *out,
                               struct hf_why *why)
{
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &line->bundle->anchors[i];
        struct cert_limits limits = {0};
        HF_TRY(parse_cert_limits(anchor->der, &limits, why));
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

/* ---- change ---------------------------------------------------------------------------------- */

/* A device keeps what it relies on unless its going was signed; it would refuse such a version. */
static enum hf_err find_shrinking(const struct hf_lint_line *line, struct hf_findings *out,
                                  struct hf_why *why)
{
    for (size_t i = 0; i < line->before->n_anchors; i++) {
        const struct hf_cert *cert = &line->before->anchors[i].cert;
        if (hf_bundle_find_key(line->bundle, cert->spki_sha256) != NULL ||
            hf_description_drops(line->description, cert->spki_sha256))
            continue;
        HF_TRY(hf_findings_add(out, HF_LINT_SHRINKS, line->where, why,
                               "\"%s\" was in the version before and is neither here nor among the "
                               "signed drops; add it, or drop it on purpose",
                               cert->subject));
    }
    return HF_OK;
}

/* Old and new must be good together for a while: a fleet does not swap in one night. */
static bool has_overlap(const struct hf_lint *lint, const struct hf_lint_line *line)
{
    for (size_t i = 0; i < line->before->n_anchors; i++) {
        const struct hf_anchor *now = hf_bundle_find_key(line->bundle,
                                                         line->before->anchors[i].cert.spki_sha256);
        if (now != NULL && hf_policy_anchor_state(now, lint->at_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

static bool had_usable(const struct hf_lint *lint, const struct hf_bundle *before)
{
    for (size_t i = 0; i < before->n_anchors; i++) {
        if (hf_policy_anchor_state(&before->anchors[i], lint->at_s) == HF_ANCHOR_USABLE)
            return true;
    }
    return false;
}

enum hf_err hf_lint_change(const struct hf_lint *lint, const struct hf_lint_line *line,
                           struct hf_findings *out, struct hf_why *why)
{
    if (line->before == NULL)
        return HF_OK;
    HF_TRY(find_shrinking(line, out, why));
    if (has_overlap(lint, line) || !had_usable(lint, line->before))
        return HF_OK;
    return hf_findings_add(out, HF_LINT_NO_OVERLAP, line->where, why,
                           "it shares no usable root with the version before; publish old and new "
                           "together first, and drop the old ones when the lead time is over");
}
