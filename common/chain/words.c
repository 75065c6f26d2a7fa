#include "common/chain/words.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/bundle/algorithms.h"
#include "common/bundle/distinguished_name.h"

#include <mbedtls/x509_crt.h>

#include <stdio.h>
#include <string.h>

/** Printable ASCII only: what an attacker puts into a certificate must not steer a terminal. */
static void append_name(char *out, const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hf_text_append(out, HF_NAMES_TEXT_MAX, "%c",
                       name[i] > ' ' && name[i] < 0x7f ? name[i] : '?');
}

/* The longest run of zeros in an IPv6 address is "::" (RFC 5952, 4.2). */
static void append_address(char *out, const uint8_t *p, size_t len)
{
    char text[sizeof "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] = "?";
    size_t at = 0, zeros = 8, n_zeros = 1;

    if (len == 4)
        (void)snprintf(text, sizeof text, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
    for (size_t i = 0; len == 16 && i < 8; i++) {
        size_t end = i;
        while (end < 8 && p[2 * end] == 0 && p[2 * end + 1] == 0)
            end++;
        if (end - i > n_zeros) {
            zeros = i;
            n_zeros = end - i;
        }
    }
    for (size_t i = 0; len == 16 && i < 8; i += i == zeros ? n_zeros : 1) {
        bool is_behind_colon = i == 0 || i == zeros + n_zeros;
        int n = i == zeros
                    ? snprintf(text + at, sizeof text - at, "::")
                    : snprintf(text + at, sizeof text - at, "%s%x", is_behind_colon ? "" : ":",
                               (unsigned)p[2 * i] << 8 | p[2 * i + 1]);
        at += (size_t)n;
    }
    append_name(out, (const uint8_t *)text, strlen(text));
}

static void append_name_of_kind(const struct hf_general_name *name, char *out)
{
    const struct hf_bytes value = name->value;
    char text[HF_DN_TEXT_MAX];

    if (name->kind == HF_NAME_ADDRESS && (value.len == 8 || value.len == 32)) { /* a subtree */
        append_address(out, value.data, value.len / 2);
        hf_text_append(out, HF_NAMES_TEXT_MAX, "/");
        append_address(out, value.data + value.len / 2, value.len / 2);
        return;
    }
    if (name->kind == HF_NAME_ADDRESS) {
        append_address(out, value.data, value.len);
        return;
    }
    if (name->kind != HF_NAME_DIRECTORY) {
        append_name(out, value.data, value.len);
        return;
    }
    hf_x509_form_name(value, text);
    append_name(out, (const uint8_t *)text, strlen(text));
}

static void append_comma(char *out)
{
    if (out[0] != '\0')
        hf_text_append(out, HF_NAMES_TEXT_MAX, ", ");
}

void hf_words_names(const struct hf_certificate *cert, bool has_common_names,
                    char out[HF_NAMES_TEXT_MAX])
{
    struct hf_bytes rest = cert->alt_names, common_name;
    struct hf_name_walk walk = hf_name_walk(cert->form.subject);
    struct hf_general_name name;

    out[0] = '\0';
    while (hf_general_name_take(&rest, &name))
        if (name.kind == HF_NAME_DNS || name.kind == HF_NAME_ADDRESS) {
            append_comma(out);
            append_name_of_kind(&name, out);
        }
    while (has_common_names && cert->alt_names.data == NULL &&
           hf_common_name_take(&walk, &common_name)) {
        append_comma(out);
        append_name(out, common_name.data, common_name.len);
    }
}

static bool is_address(const char *host)
{
    uint32_t address[4];

    return mbedtls_x509_crt_parse_cn_inet_pton(host, address) != 0;
}

static void append_mismatch(const struct hf_certificate *cert,
                            const struct hf_chain_context *context, char *out, size_t cap)
{
    const char *host = context->host, *wildcard = hf_certificate_wildcard_fault(cert, host);
    char names[HF_NAMES_TEXT_MAX];

    hf_words_names(cert, true, names);
    /* A common name or DNS name that reads like the address does not count. */
    if (is_address(host) && strstr(names, host) != NULL)
        hf_text_append(out, cap, ", it has no IP address %s in its subjectAltName (only as a name)",
                       host);
    else if (hf_certificate_lacks_only_alt_name(cert, host))
        hf_text_append(
            out, cap,
            ", it has the name %s only as its common name, not in a subjectAltName "
            "(`--common-names`, or `hf_trust_store_accept_common_names` in an application, accepts "
            "that of old private servers)",
            host);
    else {
        hf_words_names(cert, context->has_common_names, names);
        hf_text_append(out, cap, ", issued for %s, not for %s",
                       names[0] != '\0' ? names : "no DNS name or address", host);
        if (wildcard != NULL)
            hf_text_append(out, cap, " (%s)", wildcard);
    }
}

/* ---- one certificate of the path ------------------------------------------------------------- */

/* A certificate of the path, read again: words are rare. False: there is none, or not readable. */
static bool read_step(const struct hf_judged *j, size_t step, struct hf_certificate *out)
{
    size_t index = j->verdict->path[step].index;
    struct hf_bytes der = index == HF_VERIFY_ANCHOR ? j->verdict->anchor.der : j->certs[index];

    return hf_certificate_parse(der, out);
}

static void append_dates(const struct hf_judged *j, const struct hf_certificate *cert,
                         unsigned faults, char *out, size_t cap)
{
    const char *whose = j->context->is_asked_for ? "validated as of" : "the clock says";
    char day[HF_TIME_TEXT_MAX], today[HF_TIME_TEXT_MAX];

    hf_time_format_day(j->context->at_s, today);
    if ((faults & HF_FAULT_EXPIRED) != 0) {
        hf_time_format_day(cert->not_after_s, day);
        hf_text_append(out, cap, ", expired on %s (%s %s)", day, whose, today);
    }
    if ((faults & HF_FAULT_NOT_YET_VALID) != 0) {
        hf_time_format_day(cert->not_before_s, day);
        hf_text_append(out, cap, ", not yet valid, only from %s on (%s %s)", day, whose, today);
    }
}

static const char *constraint_words(enum hf_constraint_verdict verdict)
{
    switch (verdict) {
    case HF_CONSTRAINT_BREAKS:
        return "does not allow it";
    case HF_CONSTRAINT_UNKNOWN:
        return "are for a kind of name that is not supported here";
    case HF_CONSTRAINT_TOO_MANY:
        return "are more than can be compared in one handshake";
    case HF_CONSTRAINT_DAMAGED:
    case HF_CONSTRAINT_ALLOWS:
        break;
    }
    return "cannot be read";
}

/* Which CA above it forbids which of its names? */
static void append_constraints(const struct hf_judged *j, size_t step,
                               const struct hf_certificate *cert, unsigned *budget, char *out,
                               size_t cap)
{
    char subject[HF_DN_TEXT_MAX], text[HF_NAMES_TEXT_MAX] = "", subtree[HF_NAMES_TEXT_MAX] = "";
    struct hf_constraint_breach breach = {0};
    struct hf_certificate ca;

    for (size_t i = step + 1; i < j->verdict->n_path; i++) {
        if (!read_step(j, i, &ca))
            continue;
        enum hf_constraint_verdict verdict = hf_constraints_check(&ca, cert, step == 0, budget,
                                                                  &breach);
        if (verdict == HF_CONSTRAINT_ALLOWS)
            continue;
        hf_x509_form_name(ca.form.subject, subject);
        if (verdict == HF_CONSTRAINT_BREAKS) {
            append_name_of_kind(&breach.name, text);
            hf_text_append(out, cap, ", its name \"%s\" is not one that \"%s\" may issue for (",
                           text, subject);
            if (breach.excluded.value.data != NULL) {
                append_name_of_kind(&breach.excluded, subtree);
                hf_text_append(out, cap, "its name constraints exclude \"%s\")", subtree);
            } else {
                hf_text_append(out, cap, "its name constraints do not permit it)");
            }
        } else {
            hf_text_append(out, cap, ", the name constraints of \"%s\" %s", subject,
                           constraint_words(verdict));
        }
        return;
    }
}

/* The issuer of `child` that the server sent; false where it was not sent. Another certificate of
 * the key of a self-issued `child` is no other CA. */
static bool find_issuer(const struct hf_judged *j, const struct hf_certificate *child,
                        struct hf_certificate *out)
{
    for (size_t i = 0; i < j->n_certs && i < HF_VERIFY_CERTS_MAX; i++)
        if (hf_certificate_parse(j->certs[i], out) &&
            hf_name_equal(out->form.subject, child->form.issuer) &&
            !(child->is_self_issued && hf_bytes_equal(out->form.spki, child->form.spki)))
            return true;
    return false;
}

/* Why hf_certificate_is_issuer says no. */
static const char *issuer_fault(const struct hf_certificate *cert)
{
    return cert->is_ca ? "may not sign certificates (expected keyCertSign in its keyUsage)"
                       : "is not a CA (expected cA in its basicConstraints)";
}

static bool append_state(const struct hf_trust_anchor *anchor, int64_t now_s, char *out, size_t cap)
{
    char day[HF_TIME_TEXT_MAX];

    switch (hf_policy_state_at(anchor->not_before_s, anchor->not_after_s, anchor->remove_after_s,
                               now_s)) {
    case HF_ANCHOR_EXPIRED:
        hf_time_format_day(anchor->not_after_s, day);
        hf_text_append(out, cap, "expired on %s", day);
        return true;
    case HF_ANCHOR_NOT_YET_VALID:
        hf_time_format_day(anchor->not_before_s, day);
        hf_text_append(out, cap, "is valid only from %s on", day);
        return true;
    case HF_ANCHOR_REMOVED:
        hf_time_format_last(anchor->remove_after_s, day);
        hf_text_append(out, cap, "was to be removed after %s", day);
        return true;
    case HF_ANCHOR_USABLE:
    case HF_ANCHOR_NOT_FOR_SERVERS:
        break;
    }
    return false;
}

/* `cert` is the anchor, read. */
static void append_anchor_fault(const struct hf_trust_anchor *anchor,
                                const struct hf_certificate *cert,
                                const struct hf_certificate *child, int64_t now_s, char *out,
                                size_t cap)
{
    char day[HF_TIME_TEXT_MAX];

    if (hf_certificate_has_other_key_id(cert, child)) {
        hf_text_append(out, cap, "has another key");
        return;
    }
    if (hf_signature_verify(child, cert) < HF_SIGNATURE_WEAK) {
        hf_text_append(out, cap, "has a key with which the signature does not verify");
        return;
    }
    if (append_state(anchor, now_s, out, cap))
        return;
    if (!hf_certificate_is_issuer(cert, true)) {
        hf_text_append(out, cap, "%s", issuer_fault(cert));
        return;
    }
    if (anchor->distrust_after_s != HF_TIME_NONE) {
        hf_time_format_last(anchor->distrust_after_s, day);
        hf_text_append(out, cap, "is distrusted for server certificates issued after %s%s", day,
                       cert->path_len != HF_NO_LIMIT ? "; it " : "");
    }
    if (cert->path_len != HF_NO_LIMIT)
        hf_text_append(out, cap,
                       "allows no more than %d intermediate certificates below it (path length)",
                       cert->path_len);
    else if (anchor->distrust_after_s == HF_TIME_NONE)
        hf_text_append(out, cap, "is not accepted for it");
}

/* As clauses: "the trust anchor of that name expired on 2025-10-19", joined by "; ". */
static void append_anchors(const struct hf_anchors *anchors, const struct hf_certificate *child,
                           int64_t now_s, char *out, size_t cap)
{
    const struct hf_trust_anchor *anchor;
    struct hf_certificate cert;
    size_t at = 0;

    while ((anchor = hf_anchors_next(anchors, child->issuer_hash, &at)) != NULL) {
        if (!hf_certificate_parse(anchor->der, &cert))
            continue;
        hf_text_append(out, cap, "%sthe trust anchor of that name ", out[0] != '\0' ? "; " : "");
        append_anchor_fault(anchor, &cert, child, now_s, out, cap);
    }
}

/* The path does not go on from `cert`. Why? */
static void append_untrusted(const struct hf_judged *j, const struct hf_certificate *cert,
                             char *out, size_t cap)
{
    char name[HF_DN_TEXT_MAX], known[HF_WHY_MAX / 2] = "";
    struct hf_certificate issuer;

    hf_x509_form_name(cert->form.issuer, name);
    for (size_t i = 0; i < j->anchors->n; i++)
        append_anchors(j->anchors->at[i], cert, j->context->at_s, known, sizeof known);
    if (!find_issuer(j, cert, &issuer))
        hf_text_append(
            out, cap, ", no %strust anchor for issuer \"%s\"%s", known[0] != '\0' ? "usable " : "",
            name,
            known[0] == '\0' && !cert->is_self_issued
                ? ", and the server sent no readable certificate of that name; if it is an "
                  "intermediate, let the server send it"
                : "");
    else if (!hf_certificate_is_issuer(&issuer, false))
        hf_text_append(out, cap, ", its issuer \"%s\" %s", name, issuer_fault(&issuer));
    else if (hf_signature_verify(cert, &issuer) < HF_SIGNATURE_WEAK)
        hf_text_append(out, cap,
                       ", its signature does not verify with the key of its issuer \"%s\"", name);
    else if (issuer.path_len != HF_NO_LIMIT)
        hf_text_append(out, cap,
                       ", its issuer \"%s\" allows no more than %d intermediate certificates "
                       "below it (path length)",
                       name, issuer.path_len);
    else
        hf_text_append(out, cap, ", the path above it ends in no trust anchor");
    if (known[0] != '\0')
        hf_text_append(out, cap, " (%s)", known);
}

static void append_extension(const struct hf_certificate *cert, char *out, size_t cap)
{
    if (cert->unknown_critical.data == NULL) {
        hf_text_append(out, cap, ", it has name constraints, which only a CA may have");
        return;
    }
    char extension[HF_UNSUPPORTED_MAX];

    hf_x509_oid_text("critical extension", cert->unknown_critical, extension);
    hf_text_append(out, cap, ", its %s is not supported here", extension);
}

/* MBEDTLS_X509_KU_…, one of those of hf_handshake_key_usage. */
static const char *usage_name(unsigned key_usage)
{
    return key_usage == MBEDTLS_X509_KU_KEY_ENCIPHERMENT ? "keyEncipherment"
           : key_usage == MBEDTLS_X509_KU_KEY_AGREEMENT  ? "keyAgreement"
                                                         : "digitalSignature";
}

/* Those that need no more than their name. */
static const struct {
    enum hf_fault fault;
    const char *words;
} plain_faults[] = {
    {HF_FAULT_EXT_KEY_USAGE, "its extendedKeyUsage does not allow a TLS server"},
    {HF_FAULT_POLICY, "a CA above it requires a certificate policy that the chain does not have"},
};

/* What is wrong with it whatever the path is. */
static void append_own(const struct hf_certificate *cert, unsigned faults, char *out, size_t cap)
{
    char fault[HF_ALGORITHM_FAULT_MAX];

    for (size_t i = 0; i < sizeof plain_faults / sizeof plain_faults[0]; i++)
        if ((faults & plain_faults[i].fault) != 0)
            hf_text_append(out, cap, ", %s", plain_faults[i].words);
    if ((faults & HF_FAULT_KEY) != 0) {
        hf_algorithm_key_fault(cert, fault);
        hf_text_append(out, cap, ", %s", fault);
    }
    if ((faults & HF_FAULT_ALGORITHM) != 0) {
        hf_algorithm_signature_fault(cert, fault);
        hf_text_append(out, cap, ", %s", fault);
    }
    if ((faults & HF_FAULT_EXTENSION) != 0)
        append_extension(cert, out, cap);
}

void hf_words_step(const struct hf_judged *j, size_t step, unsigned *constraints_left, char *out,
                   size_t cap)
{
    const unsigned faults = j->verdict->path[step].faults;
    char words[HF_WHY_MAX] = "";
    struct hf_certificate cert;

    if (faults == 0 || !read_step(j, step, &cert))
        return;
    append_dates(j, &cert, faults, words, sizeof words);
    if ((faults & HF_FAULT_HOST) != 0)
        append_mismatch(&cert, j->context, words, sizeof words);
    if ((faults & HF_FAULT_KEY_USAGE) != 0)
        hf_text_append(words, sizeof words, ", its keyUsage lacks %s, which the key exchange needs",
                       usage_name(j->context->key_usage));
    append_own(&cert, faults, words, sizeof words);
    if ((faults & HF_FAULT_CONSTRAINTS) != 0)
        append_constraints(j, step, &cert, constraints_left, words, sizeof words);
    if ((faults & HF_FAULT_NO_ISSUER) != 0)
        append_untrusted(j, &cert, words, sizeof words);
    if ((faults & HF_FAULT_LIMIT) != 0)
        hf_text_append(words, sizeof words,
                       ", and the search for another path was given up after %u signatures and %u "
                       "steps; let the server send only the certificates that it needs",
                       j->verdict->n_signatures, j->verdict->n_steps);
    hf_text_append(out, cap, "%s", words + strlen(", "));
}

void hf_words_refusal(const struct hf_judged *j, char out[HF_WHY_MAX])
{
    unsigned constraints_left = HF_VERIFY_CONSTRAINTS_MAX;
    char subject[HF_DN_TEXT_MAX];
    struct hf_certificate cert;

    out[0] = '\0';
    for (size_t i = 0; i < j->verdict->n_path; i++) {
        const struct hf_verify_step *step = &j->verdict->path[i];
        if (step->faults == 0 || !read_step(j, i, &cert))
            continue;
        hf_x509_form_name(cert.form.subject, subject);
        hf_text_append(out, HF_WHY_MAX, "%s", out[0] == '\0' ? "" : "; ");
        if (step->index == HF_VERIFY_ANCHOR)
            hf_text_append(out, HF_WHY_MAX, "trust anchor \"%s\": ", subject);
        else
            hf_text_append(out, HF_WHY_MAX, "certificate %zu \"%s\": ", step->index, subject);
        hf_words_step(j, i, &constraints_left, out, HF_WHY_MAX);
    }
}

bool hf_words_lacks_anchor(const struct hf_judged *j, bool must_be_usable)
{
    const struct hf_trust_anchor *anchor;
    struct hf_certificate leaf, last, issuer;

    if ((j->verdict->path[j->verdict->n_path - 1].faults & HF_FAULT_NO_ISSUER) == 0 ||
        !read_step(j, 0, &leaf) || !read_step(j, j->verdict->n_path - 1, &last) ||
        find_issuer(j, &last, &issuer))
        return false;
    int64_t issued_s = j->context->is_renewed ? j->context->at_s : leaf.not_before_s;
    for (size_t i = 0; i < j->anchors->n; i++) {
        size_t at = 0;
        while ((anchor = hf_anchors_next(j->anchors->at[i], last.issuer_hash, &at)) != NULL)
            if (!must_be_usable || (hf_anchor_is_usable(anchor, j->context->at_s, issued_s) &&
                                    hf_certificate_parse(anchor->der, &issuer) &&
                                    !hf_certificate_has_other_key_id(&issuer, &last)))
                return false;
    }
    return true;
}

/* ---- an anchor by itself --------------------------------------------------------------------- */

void hf_words_anchor(struct hf_bytes anchor, char *out, size_t cap)
{
    const unsigned faults = hf_verify_anchor(anchor);
    char words[HF_WHY_MAX] = "";
    struct hf_certificate cert;

    if (faults == 0 || !hf_certificate_parse(anchor, &cert))
        return;
    append_own(&cert, faults, words, sizeof words);
    hf_text_append(out, cap, "%s", words + strlen(", "));
}

static bool is_new(struct hf_bytes extension, struct hf_bytes old)
{
    return extension.data != NULL && !hf_bytes_equal(extension, old);
}

static bool is_lower(int limit, int old)
{
    return limit != HF_NO_LIMIT && (old == HF_NO_LIMIT || limit < old);
}

const char *hf_words_new_limit(const struct hf_certificate *anchor,
                               const struct hf_certificate *old)
{
    const struct hf_certificate unlimited = {.form = anchor->form,
                                             .path_len = HF_NO_LIMIT,
                                             .require_policy = HF_NO_LIMIT,
                                             .inhibit_mapping = HF_NO_LIMIT,
                                             .inhibit_any = HF_NO_LIMIT};

    if (old == NULL)
        old = &unlimited;
    if (!hf_name_equal(anchor->form.subject, old->form.subject))
        return "the chain may not lead to its subject";
    if (is_new(anchor->constraints, old->constraints))
        return "its name constraints may not allow it";
    if (is_lower(anchor->path_len, old->path_len))
        return "its path length may not allow it";
    if (is_new(anchor->policies, old->policies) || is_new(anchor->mappings, old->mappings) ||
        is_lower(anchor->require_policy, old->require_policy) ||
        is_lower(anchor->inhibit_mapping, old->inhibit_mapping) ||
        is_lower(anchor->inhibit_any, old->inhibit_any))
        return "its certificate policies may not allow it";
    return NULL;
}
