#include "common/bundle/cert.h"

#include "common/bundle/x509.h"

#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>

#include <stdio.h>
#include <string.h>

/* A name as text before it is cut; longer ones are not shown. */
#define DN_SCRATCH 2048

/* Mbed TLS escapes everything but printable ASCII, so cutting cannot break a character. */
static void name_text(const mbedtls_x509_name *name, char out[HF_DN_TEXT_MAX])
{
    char text[DN_SCRATCH] = "";
    if (mbedtls_x509_dn_gets(text, sizeof text, name) < 0)
        (void)snprintf(text, sizeof text, "(a name that cannot be shown)");
    if (text[0] == '\0')
        (void)snprintf(text, sizeof text, "(an empty name)");
    text[HF_DN_TEXT_MAX - 1] = '\0';
    memcpy(out, text, strlen(text) + 1);
}

static enum hf_cert_key key_of(const mbedtls_pk_context *pk)
{
    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA)
        return HF_CERT_KEY_RSA;
    if (mbedtls_pk_get_type(pk) != MBEDTLS_PK_ECKEY)
        return HF_CERT_KEY_OTHER;
    mbedtls_ecp_group_id id = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*pk));
    if (id == MBEDTLS_ECP_DP_SECP256R1)
        return HF_CERT_KEY_P256;
    if (id == MBEDTLS_ECP_DP_SECP384R1)
        return HF_CERT_KEY_P384;
    return id == MBEDTLS_ECP_DP_SECP521R1 ? HF_CERT_KEY_P521 : HF_CERT_KEY_OTHER;
}

static enum hf_cert_digest digest_of(mbedtls_md_type_t md)
{
    if (md == MBEDTLS_MD_SHA1)
        return HF_CERT_DIGEST_SHA1;
    if (md == MBEDTLS_MD_SHA256)
        return HF_CERT_DIGEST_SHA256;
    if (md == MBEDTLS_MD_SHA384)
        return HF_CERT_DIGEST_SHA384;
    if (md == MBEDTLS_MD_SHA512)
        return HF_CERT_DIGEST_SHA512;
    return HF_CERT_DIGEST_OTHER;
}

static struct hf_bytes borrow(const mbedtls_x509_buf *buf)
{
    return (struct hf_bytes){buf->p, buf->len};
}

/* `is_named` is whether Mbed TLS is known not to support the certificate. */
static bool describe(struct hf_bytes der, struct hf_unsupported_cert *out, bool *is_named)
{
    struct hf_x509_form form;
    if (!hf_x509_form_parse(der, &form))
        return false;
    hf_sha256(der, out->sha256);
    hf_sha256(form.spki, out->spki_sha256);
    hf_x509_form_name(form.subject, out->subject);
    *is_named = hf_x509_form_unsupported(&form, out->what);
    if (!*is_named)
        (void)snprintf(out->what, sizeof out->what,
                       "elliptic curve, or a field of an unusual kind");
    return true;
}

bool hf_cert_describe_unsupported(struct hf_bytes der, struct hf_unsupported_cert *out)
{
    bool is_named;
    return describe(der, out, &is_named);
}

static enum hf_err fail_parse(int code, struct hf_bytes der, struct hf_why *why)
{
    struct hf_unsupported_cert cert = {0};
    char reason[128];
    bool is_unsupported = false;
    /* An error of Mbed TLS is the sum of one of X.509 and one of what it is built on. */
    int high = -(-code & 0xFF80), low = -(-code & 0x7F);
    if (high == MBEDTLS_ERR_X509_ALLOC_FAILED || high == MBEDTLS_ERR_PK_ALLOC_FAILED ||
        high == MBEDTLS_ERR_ECP_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
        low == MBEDTLS_ERR_MPI_ALLOC_FAILED)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a certificate");

    bool is_well_formed = describe(der, &cert, &is_unsupported);
    /* Other errors may be damage, or a shortage of memory that Mbed TLS calls a bad key. */
    is_unsupported = is_unsupported || high == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE ||
                     high == MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE ||
                     high == MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE;
    if (is_well_formed && is_unsupported)
        return hf_fail(
            why, HF_E_POLICY,
            "\"%s\" is a certificate that is not supported here: Mbed TLS cannot use its "
            "%s",
            cert.subject, cert.what);
    mbedtls_strerror(code, reason, sizeof reason);
    if (is_well_formed)
        return hf_fail(
            why, HF_E_FORMAT,
            "\"%s\" cannot be read (%s): a field of it is damaged, or of a form that is not "
            "supported here; take the certificate from its source again",
            cert.subject, reason);
    return hf_fail(why, HF_E_FORMAT,
                   "expected an X.509 certificate, found bytes that are not one (%s); they are "
                   "damaged, take the certificate from its source again",
                   reason);
}

/* Parse without a copy: `crt` points into `der`. */
static enum hf_err parse_der(struct hf_bytes der, bool is_sent, mbedtls_x509_crt *crt,
                             struct hf_why *why)
{
    if (der.len > HF_CERT_DER_MAX)
        return hf_fail(why, HF_E_LIMIT, "the certificate has %zu bytes, at most %u are accepted",
                       der.len, HF_CERT_DER_MAX);
    int ret = is_sent ? hf_x509_parse_sent(crt, der, false)
                      : mbedtls_x509_crt_parse_der_nocopy(crt, der.data, der.len);
    if (ret != 0)
        return fail_parse(ret, der, why);
    if (crt->raw.len != der.len)
        return hf_fail(
            why, HF_E_FORMAT,
            "the certificate ends after %zu bytes, but %zu more follow; expected nothing "
            "behind it",
            crt->raw.len, der.len - crt->raw.len);
    return HF_OK;
}

static enum hf_err parse(struct hf_bytes der, bool is_sent, struct hf_cert *out, struct hf_why *why)
{
    struct hf_cert cert = {0};
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);

    enum hf_err err = parse_der(der, is_sent, &crt, why);
    if (err != HF_OK)
        goto out;
    hf_sha256(borrow(&crt.raw), cert.sha256);
    hf_sha256(borrow(&crt.pk_raw), cert.spki_sha256);
    name_text(&crt.subject, cert.subject);
    name_text(&crt.issuer, cert.issuer);
    cert.subject_der = borrow(&crt.subject_raw);
    cert.issuer_der = borrow(&crt.issuer_raw);
    cert.key = key_of(&crt.pk);
    cert.key_bits = (unsigned)mbedtls_pk_get_bitlen(&crt.pk);
    /* There is no accessor for the digest in 3.6. */
    cert.digest = digest_of(crt.MBEDTLS_PRIVATE(sig_md));
    cert.x509_version = crt.version;
    cert.is_ca = hf_x509_is_ca(&crt);
    cert.allows_server_auth = hf_x509_allows_server_auth(&crt);
    cert.is_self_issued = hf_bytes_equal(cert.subject_der, cert.issuer_der);
    if (!hf_x509_time(&crt.valid_from, &cert.not_before_s) ||
        !hf_x509_time(&crt.valid_to, &cert.not_after_s)) {
        err = hf_fail(why, HF_E_FORMAT, "\"%s\" has a validity that is no date", cert.subject);
        goto out;
    }
    *out = cert;
out:
    mbedtls_x509_crt_free(&crt);
    return err;
}

enum hf_err hf_cert_parse(struct hf_bytes der, struct hf_cert *out, struct hf_why *why)
{
    return parse(der, false, out, why);
}

enum hf_err hf_cert_parse_sent(struct hf_bytes der, struct hf_cert *out, struct hf_why *why)
{
    return parse(der, true, out, why);
}

enum hf_err hf_cert_verify_self_signature(struct hf_bytes der, struct hf_why *why)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);

    enum hf_err err = parse_der(der, false, &crt, why);
    if (err == HF_OK && !hf_x509_is_signed_with(&crt, &crt.pk)) {
        char subject[HF_DN_TEXT_MAX];
        name_text(&crt.subject, subject);
        err = hf_fail(why, HF_E_POLICY,
                      "the self-signature of \"%s\" does not verify: the certificate is damaged or "
                      "forged; take it from its source again and compare the fingerprint",
                      subject);
    }
    mbedtls_x509_crt_free(&crt);
    return err;
}

void hf_cert_key_text(const struct hf_cert *cert, char out[16])
{
    bool is_curve = cert->key == HF_CERT_KEY_P256 || cert->key == HF_CERT_KEY_P384 ||
                    cert->key == HF_CERT_KEY_P521;
    const char *type = is_curve ? "P-" : cert->key == HF_CERT_KEY_RSA ? "RSA " : "other ";
    (void)snprintf(out, 16, "%s%u", type, cert->key_bits);
}
