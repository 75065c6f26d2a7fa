#include "client/port/mbedtls/verify_words.h"

#include "client/port/mbedtls/clock.h"
#include "common/base/timetext.h"
#include "common/bundle/cert.h"
#include "common/bundle/policy.h"
#include "common/bundle/x509_usage.h"
#include "common/tls/chain_break.h"

#include <mbedtls/oid.h>

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void hf_verify_append(char *out, size_t cap, const char *fmt, ...)
{
    size_t len = strlen(out);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(out + len, cap - len, fmt, args);
    va_end(args);
}

/* ---- names -------------------------------------------------------------------------------------- */

static int general_name_kind(const mbedtls_x509_buf *name)
{
    return name->tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
}

/** Printable ASCII only: what a stranger put into a certificate must not steer a terminal. */
static void append_name(char *out, size_t cap, const uint8_t *name, size_t len)
{
    hf_verify_append(out, cap, "%s", out[0] == '\0' ? "" : ", ");
    for (size_t i = 0; i < len; i++)
        hf_verify_append(out, cap, "%c", name[i] > ' ' && name[i] < 0x7f ? name[i] : '?');
}

static void append_address(char *out, size_t cap, const mbedtls_x509_buf *name)
{
    char text[INET6_ADDRSTRLEN] = "?";

    if (name->len == 4)
        (void)inet_ntop(AF_INET, name->p, text, sizeof text);
    else if (name->len == 16)
        (void)inet_ntop(AF_INET6, name->p, text, sizeof text);
    append_name(out, cap, (const uint8_t *)text, strlen(text));
}

void hf_verify_names(const mbedtls_x509_crt *crt, char out[HF_NAMES_TEXT_MAX])
{
    out[0] = '\0';
    if (mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME)) {
        for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next) {
            if (general_name_kind(&s->buf) == MBEDTLS_X509_SAN_DNS_NAME)
                append_name(out, HF_NAMES_TEXT_MAX, s->buf.p, s->buf.len);
            else if (general_name_kind(&s->buf) == MBEDTLS_X509_SAN_IP_ADDRESS)
                append_address(out, HF_NAMES_TEXT_MAX, &s->buf);
        }
        return;
    }
    for (const mbedtls_x509_name *n = &crt->subject; n != NULL; n = n->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &n->oid) == 0)
            append_name(out, HF_NAMES_TEXT_MAX, n->val.p, n->val.len);
}

bool hf_verify_is_address(const char *host)
{
    uint32_t address[4];

    return mbedtls_x509_crt_parse_cn_inet_pton(host, address) != 0;
}

bool hf_verify_has_address(const mbedtls_x509_crt *crt, const char *address)
{
    uint32_t wanted[4];
    size_t len = mbedtls_x509_crt_parse_cn_inet_pton(address, wanted);

    if (len == 0 || !mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        return false;
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next)
        if (general_name_kind(&s->buf) == MBEDTLS_X509_SAN_IP_ADDRESS && s->buf.len == len &&
            memcmp(s->buf.p, wanted, len) == 0)
            return true;
    return false;
}

uint32_t hf_verify_server_usage(const mbedtls_x509_crt *crt, unsigned key_usage)
{
    uint32_t flags = 0;

    if (mbedtls_x509_crt_check_key_usage(crt, key_usage) != 0)
        flags |= MBEDTLS_X509_BADCERT_KEY_USAGE;
    if (!hf_x509_allows_server_auth(crt))
        flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    return flags;
}

/* ---- faults ------------------------------------------------------------------------------------- */

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

static void append_dates(const struct hf_cert *cert, uint32_t flags, char *out, size_t cap)
{
    char day[HF_TIME_TEXT_MAX], today[HF_TIME_TEXT_MAX];

    hf_time_format_day(hf_mbedtls_clock_now_s(), today);
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        hf_time_format_day(cert->not_after_s, day);
        hf_verify_append(out, cap, ", expired on %s (the clock says %s)", day, today);
    }
    if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        hf_time_format_day(cert->not_before_s, day);
        hf_verify_append(out, cap, ", not yet valid, only from %s on (the clock says %s)", day,
                         today);
    }
}

static void append_mismatch(const mbedtls_x509_crt *crt, const char *host, char *out, size_t cap)
{
    char names[HF_NAMES_TEXT_MAX];

    hf_verify_names(crt, names);
    /* A common name or DNS name that reads like the address does not count. */
    if (host != NULL && hf_verify_is_address(host) && strstr(names, host) != NULL)
        hf_verify_append(out, cap,
                         ", it has no IP address %s in its subjectAltName (only as a name)", host);
    else
        hf_verify_append(out, cap, ", issued for %s, not for %s",
                         names[0] != '\0' ? names : "no DNS name or address",
                         host != NULL ? host : "this host");
}

static void append_untrusted(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent,
                             const char *issuer, char *out, size_t cap)
{
    char why[HF_CHAIN_BREAK_MAX];

    if (hf_chain_break_words(crt, sent, issuer, why))
        hf_verify_append(out, cap, ", %s", why);
    else
        hf_verify_append(out, cap, ", no trust anchor for issuer \"%s\"", issuer);
}

static void append_faults(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent,
                          const struct hf_cert *cert, uint32_t flags, const char *host, char *out,
                          size_t cap)
{
    append_dates(cert, flags, out, cap);
    if ((flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0)
        append_mismatch(crt, host, out, cap);
    for (size_t i = 0; i < sizeof plain_faults / sizeof plain_faults[0]; i++)
        if ((flags & plain_faults[i].flag) != 0)
            hf_verify_append(out, cap, ", %s", plain_faults[i].words);
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        append_untrusted(crt, sent, cert->issuer, out, cap);
}

void hf_verify_words(const mbedtls_x509_crt *crt, mbedtls_x509_crt *sent, uint32_t flags,
                     const char *host, char *out, size_t cap)
{
    struct hf_cert cert;
    char faults[HF_WHY_MAX] = "";

    if (flags == 0)
        return;
    if (hf_cert_parse((struct hf_bytes){crt->raw.p, crt->raw.len}, &cert, NULL) != HF_OK) {
        hf_verify_append(out, cap, "not a certificate that can be read");
        return;
    }
    append_faults(crt, sent, &cert, flags, host, faults, sizeof faults);
    if (faults[0] == '\0')
        hf_verify_append(faults, sizeof faults, ", not valid (flags 0x%x)", (unsigned)flags);
    hf_verify_append(out, cap, "%s", faults + strlen(", "));
}

/* ---- anchors ------------------------------------------------------------------------------------ */

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
        hf_verify_append(out, cap, "expired on %s", day);
        return true;
    case HF_ANCHOR_NOT_YET_VALID:
        hf_time_format_day(anchor->not_before_s, day);
        hf_verify_append(out, cap, "is valid only from %s on", day);
        return true;
    case HF_ANCHOR_REMOVED:
        hf_time_format_last(anchor->remove_after_s, day);
        hf_verify_append(out, cap, "was to be removed after %s", day);
        return true;
    case HF_ANCHOR_USABLE:
        break;
    }
    return false;
}

static void append_anchor_fault(const struct hf_trust_anchor *anchor, mbedtls_x509_crt *crt,
                                const mbedtls_x509_crt *child, int64_t now_s, char *out, size_t cap)
{
    char day[HF_TIME_TEXT_MAX];
    int max_pathlen = crt->MBEDTLS_PRIVATE(max_pathlen);

    if (has_other_key_id(crt, child)) {
        hf_verify_append(out, cap, "has another key");
        return;
    }
    if (!hf_x509_is_signed_with(child, &crt->pk)) {
        hf_verify_append(out, cap, "has a key with which the signature does not verify");
        return;
    }
    if (append_state(anchor, now_s, out, cap))
        return;
    if (crt->version == 3 && !hf_x509_is_ca(crt)) {
        hf_verify_append(out, cap,
                         "is not a CA certificate (basicConstraints, keyUsage keyCertSign)");
        return;
    }
    if (anchor->distrust_after_s != HF_TIME_NONE) {
        hf_time_format_last(anchor->distrust_after_s, day);
        hf_verify_append(out, cap, "is distrusted for server certificates issued after %s%s", day,
                         max_pathlen > 0 ? "; it " : "");
    }
    if (max_pathlen > 0)
        hf_verify_append(out, cap,
                         "allows no more than %d intermediate certificates below it (path length)",
                         max_pathlen - 1);
    else if (anchor->distrust_after_s == HF_TIME_NONE)
        hf_verify_append(out, cap, "is not accepted for it");
}

void hf_verify_anchor_words(const struct hf_trust_anchor *anchor, const mbedtls_x509_crt *child,
                            int64_t now_s, char *out, size_t cap)
{
    mbedtls_x509_crt crt;

    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der_nocopy(&crt, anchor->der.data, anchor->der.len) == 0) {
        hf_verify_append(out, cap, "%sthe trust anchor of that name ", out[0] != '\0' ? "; " : "");
        append_anchor_fault(anchor, &crt, child, now_s, out, cap);
    }
    mbedtls_x509_crt_free(&crt);
}
