#include "common/bundle/cert.h"

#include "common/bundle/algorithms.h"
#include "common/bundle/der.h"

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

/* `is_named` is whether it is known what of the certificate is not supported. */
static bool describe(struct hf_bytes der, struct hf_unsupported_cert *out, bool *is_named)
{
    struct hf_x509_form form;
    struct hf_certificate cert;

    if (!hf_x509_form_parse(der, &form))
        return false;
    hf_sha256(der, out->sha256);
    hf_sha256(form.spki, out->spki_sha256);
    hf_x509_form_name(form.subject, out->subject);
    *is_named = true;
    if (hf_x509_form_unsupported(&form, out->what) || hf_key_unsupported(&form, out->what))
        return true;
    if (!hf_certificate_parse(der, &cert)) {
        (void)snprintf(out->what, sizeof out->what,
                       "encoding: a field is damaged, or not in the form of RFC 5280");
    } else if (cert.unknown_critical.data != NULL) {
        hf_x509_oid_text("critical extension", cert.unknown_critical, out->what);
    } else {
        *is_named = false;
        (void)snprintf(out->what, sizeof out->what, "form of key, or a field of an unusual kind");
    }
    return true;
}

bool hf_cert_describe_unsupported(struct hf_bytes der, struct hf_unsupported_cert *out)
{
    bool is_named;
    return describe(der, out, &is_named);
}

/* `code` is an error of Mbed TLS; 0: the reader of common/bundle/certificate.h refused. */
static enum hf_err fail_parse(int code, struct hf_bytes der, struct hf_why *why)
{
    struct hf_unsupported_cert cert = {0};
    char reason[128] = "not in DER";
    bool is_unsupported = false;
    /* An error of Mbed TLS is the sum of one of X.509 and one of what it is built on. */
    int high = -(-code & 0xFF80), low = -(-code & 0x7F);
    if (high == MBEDTLS_ERR_X509_ALLOC_FAILED || high == MBEDTLS_ERR_PK_ALLOC_FAILED ||
        high == MBEDTLS_ERR_ECP_ALLOC_FAILED || low == MBEDTLS_ERR_ASN1_ALLOC_FAILED ||
        low == MBEDTLS_ERR_MPI_ALLOC_FAILED)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading a certificate");

    bool is_well_formed = describe(der, &cert, &is_unsupported);
    /* Other errors may be damage, or a shortage of memory that Mbed TLS calls a bad key. */
    is_unsupported = is_unsupported || high == MBEDTLS_ERR_PK_FEATURE_UNAVAILABLE ||
                     high == MBEDTLS_ERR_X509_FEATURE_UNAVAILABLE;
    if (is_well_formed && is_unsupported)
        return hf_fail(
            why, HF_E_POLICY,
            "\"%s\" is a certificate that is not supported here: Holdfast cannot use its "
            "%s",
            cert.subject, cert.what);
    if (code != 0)
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

/* What the verifier reads, and what Mbed TLS can hold in a handshake. `crt` points into `der`. */
static enum hf_err parse_der(struct hf_bytes der, bool is_sent, struct hf_certificate *cert,
                             mbedtls_x509_crt *crt, struct hf_why *why)
{
    struct hf_bytes behind = der;
    char what[HF_UNSUPPORTED_MAX];
    struct hf_x509_form form;
    struct hf_der whole;

    if (der.len > HF_CERT_DER_MAX)
        return hf_fail(why, HF_E_LIMIT, "the certificate has %zu bytes, at most %u are accepted",
                       der.len, HF_CERT_DER_MAX);
    if (hf_der_take(&behind, &whole) && behind.len > 0 && hf_x509_form_parse(whole.whole, &form))
        return hf_fail(
            why, HF_E_FORMAT,
            "the certificate ends after %zu bytes, but %zu more follow; expected nothing "
            "behind it",
            whole.whole.len, behind.len);
    if (!hf_certificate_parse(der, cert) || (!is_sent && (cert->unknown_critical.data != NULL ||
                                                          hf_key_unsupported(&cert->form, what))))
        return fail_parse(0, der, why);
    int ret = hf_x509_parse(crt, der, false);
    return ret == 0 ? HF_OK : fail_parse(ret, der, why);
}

static enum hf_err parse(struct hf_bytes der, bool is_sent, struct hf_cert *out, struct hf_why *why)
{
    struct hf_certificate read;
    struct hf_cert cert = {0};
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);

    enum hf_err err = parse_der(der, is_sent, &read, &crt, why);
    if (err != HF_OK)
        goto out;
    hf_sha256(der, cert.sha256);
    hf_sha256(read.form.spki, cert.spki_sha256);
    name_text(&crt.subject, cert.subject);
    name_text(&crt.issuer, cert.issuer);
    cert.subject_der = read.form.subject;
    cert.issuer_der = read.form.issuer;
    cert.not_before_s = read.not_before_s;
    cert.not_after_s = read.not_after_s;
    cert.key = key_of(&crt.pk);
    cert.key_bits = (unsigned)mbedtls_pk_get_bitlen(&crt.pk);
    /* There is no accessor for the digest in 3.6. */
    cert.digest = digest_of(crt.MBEDTLS_PRIVATE(sig_md));
    cert.x509_version = (int)read.form.version;
    cert.is_ca = hf_certificate_is_issuer(&read, false);
    cert.allows_server_auth = hf_certificate_allows_server_auth(&read);
    cert.has_name_constraints = read.constraints.data != NULL;
    cert.has_critical_constraints = read.has_critical_constraints;
    cert.is_self_issued = read.is_self_issued;
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

/* RSASSA-PSS may have parameters that are not accepted in chains, such as SHA-1. False in
 * `*is_supported`: Mbed TLS cannot verify two digests in one signature. */
static bool has_good_pss(mbedtls_x509_crt *crt, bool *is_supported)
{
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    const mbedtls_pk_rsassa_pss_options *pss = crt->MBEDTLS_PRIVATE(sig_opts);
    const mbedtls_x509_buf *sig = &crt->MBEDTLS_PRIVATE(sig);
    const mbedtls_md_type_t digest = crt->MBEDTLS_PRIVATE(sig_md);
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(digest);

    if (crt->MBEDTLS_PRIVATE(sig_pk) != MBEDTLS_PK_RSASSA_PSS)
        return false;
    *is_supported = pss->mgf1_hash_id == digest;
    return mbedtls_md(md, crt->tbs.p, crt->tbs.len, hash) == 0 &&
           mbedtls_pk_verify_ext(MBEDTLS_PK_RSASSA_PSS, pss, &crt->pk, digest, hash,
                                 mbedtls_md_get_size(md), sig->p, sig->len) == 0;
}

enum hf_err hf_cert_verify_self_signature(struct hf_bytes der, struct hf_why *why)
{
    struct hf_certificate cert;
    char subject[HF_DN_TEXT_MAX];
    bool is_supported = true;
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);

    enum hf_err err = parse_der(der, false, &cert, &crt, why);
    if (err != HF_OK)
        goto out;
    enum hf_signature signature = hf_signature_verify(&cert, &cert);
    if (signature == HF_SIGNATURE_GOOD || signature == HF_SIGNATURE_WEAK ||
        (signature == HF_SIGNATURE_BAD && has_good_pss(&crt, &is_supported)))
        goto out;
    hf_x509_form_name(cert.form.subject, subject);
    if (signature == HF_SIGNATURE_NO_MEMORY)
        err = hf_fail(why, HF_E_MEMORY, "out of memory while verifying a certificate");
    else if (!is_supported)
        err = hf_fail(why, HF_E_POLICY,
                      "\"%s\" is a certificate that is not supported here: Holdfast cannot use its "
                      "RSASSA-PSS with two digests",
                      subject);
    else
        err = hf_fail(why, HF_E_POLICY,
                      "the self-signature of \"%s\" does not verify: the certificate is damaged or "
                      "forged; take it from its source again and compare the fingerprint",
                      subject);
out:
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
