#include "common/chain/words.h"

#include "common/base/timetext.h"
#include "common/bundle/cert.h"
#include "common/bundle/policy.h"
#include "common/bundle/x509.h"

#include <mbedtls/oid.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hf_words_append(char *out, size_t cap, const char *fmt, ...)
{
    size_t len = strlen(out);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(out + len, cap - len, fmt, args);
    va_end(args);
}

/** Printable ASCII only: what an attacker puts into a certificate must not steer a terminal. */
static void append_name(char *out, const uint8_t *name, size_t len)
{
    hf_words_append(out, HF_NAMES_TEXT_MAX, "%s", out[0] == '\0' ? "" : ", ");
    for (size_t i = 0; i < len; i++)
        hf_words_append(out, HF_NAMES_TEXT_MAX, "%c",
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

void hf_words_names(const mbedtls_x509_crt *crt, char out[HF_NAMES_TEXT_MAX])
{
    out[0] = '\0';
    if (!mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME)) {
        for (const mbedtls_x509_name *n = &crt->subject; n != NULL; n = n->next)
            if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
                append_name(out, n->val.p, n->val.len);
        return;
    }
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next) {
        int kind = s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
        if (kind == MBEDTLS_X509_SAN_DNS_NAME)
            append_name(out, s->buf.p, s->buf.len);
        else if (kind == MBEDTLS_X509_SAN_IP_ADDRESS)
            append_address(out, s->buf.p, s->buf.len);
    }
}

/* Those that need no more than their name. */
static const struct {
    uint32_t flag;
    const char *words;
} plain_faults[] = {
    {MBEDTLS_X509_BADCERT_MISSING, "is missing: the server sent none"},
    {MBEDTLS_X509_BADCERT_REVOKED, "revoked"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE, "its keyUsage does not allow what it was used for"},
    {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "its extendedKeyUsage does not allow a TLS server"},
    {MBEDTLS_X509_BADCERT_NS_CERT_TYPE, "its nsCertType does not allow what it was used for"},
    {MBEDTLS_X509_BADCERT_BAD_MD, "signed with a hash that is too weak"},
    {MBEDTLS_X509_BADCERT_BAD_PK, "signed with a kind of key that is not accepted"},
    {MBEDTLS_X509_BADCERT_BAD_KEY, "signed with a key that is too short or of an unknown curve"},
};

static void append_mismatch(const mbedtls_x509_crt *crt, const char *host, char *out, size_t cap)
{
    char names[HF_NAMES_TEXT_MAX];
    uint32_t address[4];

    hf_words_names(crt, names);
    /* A common name or DNS name that reads like the address does not count. */
    if (host != NULL && mbedtls_x509_crt_parse_cn_inet_pton(host, address) != 0 &&
        strstr(names, host) != NULL)
        hf_words_append(out, cap,
                        ", it has no IP address %s in its subjectAltName (only as a name)", host);
    else
        hf_words_append(out, cap, ", issued for %s, not for %s",
                        names[0] != '\0' ? names : "no DNS name or address",
                        host != NULL ? host : "this host");
}

static bool is_issuer_by_name(const mbedtls_x509_crt *issuer, const mbedtls_x509_crt *child)
{
    return hf_x509_name_hash(&issuer->subject) == hf_x509_name_hash(&child->issuer);
}

/* The issuer of `crt` that the server sent, and whether it was sent behind `crt`: Mbed TLS looks for
 * an issuer there, and among the anchors. NULL where it was not sent. */
static mbedtls_x509_crt *find_issuer(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent,
                                     bool *is_behind)
{
    *is_behind = true;
    for (mbedtls_x509_crt *next = crt->next; next != NULL; next = next->next)
        if (is_issuer_by_name(next, crt))
            return next;
    *is_behind = false;
    for (mbedtls_x509_crt *c = sent; c != NULL && c != crt; c = c->next)
        if (is_issuer_by_name(c, crt) && hf_x509_is_signed_with(crt, &c->pk))
            return c;
    return NULL;
}

bool hf_words_is_issuer_sent(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent)
{
    bool is_behind;

    return find_issuer(crt, sent, &is_behind) != NULL;
}

/* `crt` has no trust anchor, says Mbed TLS. Why does the path not go on from it? */
static void append_untrusted(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent, const char *name,
                             char *out, size_t cap)
{
    bool is_behind;
    mbedtls_x509_crt *issuer = find_issuer(crt, sent, &is_behind);

    if (issuer == NULL)
        hf_words_append(out, cap, ", no trust anchor for issuer \"%s\"", name);
    else if (!is_behind)
        hf_words_append(
            out, cap, ", its issuer \"%s\" was sent before it: the server's chain is out of order",
            name);
    else if (!hf_x509_is_ca(issuer))
        hf_words_append(out, cap,
                        ", its issuer \"%s\" is not a CA (basicConstraints, keyUsage keyCertSign)",
                        name);
    else if (!hf_x509_is_signed_with(crt, &issuer->pk))
        hf_words_append(out, cap,
                        ", its signature does not verify with the key of its issuer \"%s\"", name);
    else if (issuer->MBEDTLS_PRIVATE(max_pathlen) > 0)
        hf_words_append(out, cap,
                        ", its issuer \"%s\" allows no more than %d intermediate certificates "
                        "below it (path length)",
                        name, issuer->MBEDTLS_PRIVATE(max_pathlen) - 1);
    else
        hf_words_append(out, cap, ", the path above it ends in no trust anchor");
}

void hf_words_faults(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent, uint32_t flags,
                     const char *host, int64_t now_s, char *out, size_t cap)
{
    struct hf_cert cert;
    char faults[HF_WHY_MAX] = "", day[HF_TIME_TEXT_MAX], today[HF_TIME_TEXT_MAX];

    if (flags == 0)
        return;
    if (hf_cert_parse((struct hf_bytes){crt->raw.p, crt->raw.len}, &cert, NULL) != HF_OK) {
        hf_words_append(out, cap, "not a certificate that can be read");
        return;
    }
    hf_time_format_day(now_s, today);
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        hf_time_format_day(cert.not_after_s, day);
        hf_words_append(faults, sizeof faults, ", expired on %s (the clock says %s)", day, today);
    }
    if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        hf_time_format_day(cert.not_before_s, day);
        hf_words_append(faults, sizeof faults,
                        ", not yet valid, only from %s on (the clock says %s)", day, today);
    }
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        append_mismatch(crt, host, faults, sizeof faults);
    for (size_t i = 0; i < sizeof plain_faults / sizeof plain_faults[0]; i++)
        if ((flags & plain_faults[i].flag) != 0)
            hf_words_append(faults, sizeof faults, ", %s", plain_faults[i].words);
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        append_untrusted(crt, sent, cert.issuer, faults, sizeof faults);
    if (faults[0] == '\0')
        hf_words_append(faults, sizeof faults, ", not valid (flags 0x%x)", (unsigned)flags);
    hf_words_append(out, cap, "%s", faults + strlen(", "));
}

/* Do the key identifiers of the two say that the anchor has another key than the issuer of `child`
 * (RFC 5280, 4.2.1.1)? */
static bool has_other_key_id(const mbedtls_x509_crt *anchor, const mbedtls_x509_crt *child)
{
    const mbedtls_x509_buf *own = &anchor->subject_key_id;
    const mbedtls_x509_buf *wanted = &child->authority_key_id.keyIdentifier;
    return own->len > 0 && wanted->len > 0 &&
           (own->len != wanted->len || memcmp(own->p, wanted->p, own->len) != 0);
}

static bool append_state(const struct hf_trust_anchor *anchor, int64_t now_s, char *out, size_t cap)
{
    char day[HF_TIME_TEXT_MAX];

    switch (hf_policy_state_at(anchor->not_before_s, anchor->not_after_s, anchor->remove_after_s,
                               now_s)) {
    case HF_ANCHOR_EXPIRED:
        hf_time_format_day(anchor->not_after_s, day);
        hf_words_append(out, cap, "expired on %s", day);
        return true;
    case HF_ANCHOR_NOT_YET_VALID:
        hf_time_format_day(anchor->not_before_s, day);
        hf_words_append(out, cap, "is valid only from %s on", day);
        return true;
    case HF_ANCHOR_REMOVED:
        hf_time_format_last(anchor->remove_after_s, day);
        hf_words_append(out, cap, "was to be removed after %s", day);
        return true;
    case HF_ANCHOR_USABLE:
        break;
    }
    return false;
}

/* `crt` is the anchor, parsed. */
static void append_anchor_fault(const struct hf_trust_anchor *anchor, mbedtls_x509_crt *crt,
                                const mbedtls_x509_crt *child, int64_t now_s, char *out, size_t cap)
{
    char day[HF_TIME_TEXT_MAX];
    int max_pathlen = crt->MBEDTLS_PRIVATE(max_pathlen);

    if (has_other_key_id(crt, child)) {
        hf_words_append(out, cap, "has another key");
        return;
    }
    if (!hf_x509_is_signed_with(child, &crt->pk)) {
        hf_words_append(out, cap, "has a key with which the signature does not verify");
        return;
    }
    if (append_state(anchor, now_s, out, cap))
        return;
    if (crt->version == 3 && !hf_x509_is_ca(crt)) {
        hf_words_append(out, cap,
                        "is not a CA certificate (basicConstraints, keyUsage keyCertSign)");
        return;
    }
    if (anchor->distrust_after_s != HF_TIME_NONE) {
        hf_time_format_last(anchor->distrust_after_s, day);
        hf_words_append(out, cap, "is distrusted for server certificates issued after %s%s", day,
                        max_pathlen > 0 ? "; it " : "");
    }
    if (max_pathlen > 0)
        hf_words_append(out, cap,
                        "allows no more than %d intermediate certificates below it (path length)",
                        max_pathlen - 1);
    else if (anchor->distrust_after_s == HF_TIME_NONE)
        hf_words_append(out, cap, "is not accepted for it");
}

void hf_words_anchor(const struct hf_trust_anchor *anchor, const mbedtls_x509_crt *child,
                     int64_t now_s, char *out, size_t cap)
{
    mbedtls_x509_crt crt;

    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der_nocopy(&crt, anchor->der.data, anchor->der.len) == 0) {
        hf_words_append(out, cap, "%sthe trust anchor of that name ", out[0] != '\0' ? "; " : "");
        append_anchor_fault(anchor, &crt, child, now_s, out, cap);
    }
    mbedtls_x509_crt_free(&crt);
}
