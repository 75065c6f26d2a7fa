#include "common/bundle/cert.h"

#include "common/base/timetext.h"
#include "common/bundle/x509_time.h"
#include "common/bundle/x509_usage.h"

#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#include <stdio.h>
#include <string.h>

/* A name as text before it is cut; longer ones are not shown. */
#define DN_SCRATCH 2048

bool hf_x509_time(const mbedtls_x509_time *time, int64_t *out_s)
{
    return hf_time_from_civil(time->year, time->mon, time->day, time->hour, time->min, time->sec,
                              out_s);
}

bool hf_x509_allows_server_auth(const mbedtls_x509_crt *crt)
{
    return mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
                                                     MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) ==
           0;
}

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

static enum hf_cert_key ec_key(const mbedtls_pk_context *pk)
{
    mbedtls_ecp_group_id id = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*pk));
    if (id == MBEDTLS_ECP_DP_SECP256R1)
        return HF_CERT_KEY_P256;
    if (id == MBEDTLS_ECP_DP_SECP384R1)
        return HF_CERT_KEY_P384;
    if (id == MBEDTLS_ECP_DP_SECP521R1)
        return HF_CERT_KEY_P521;
    return HF_CERT_KEY_OTHER;
}

static enum hf_cert_key key_of(const mbedtls_pk_context *pk)
{
    mbedtls_pk_type_t type = mbedtls_pk_get_type(pk);
    if (type == MBEDTLS_PK_RSA)
        return HF_CERT_KEY_RSA;
    if (type == MBEDTLS_PK_ECKEY)
        return ec_key(pk);
    return HF_CERT_KEY_OTHER;
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

static enum hf_err fail_parse(int code, struct hf_why *why)
{
    char reason[128];
    mbedtls_strerror(code, reason, sizeof reason);
    enum hf_err err = code == MBEDTLS_ERR_X509_ALLOC_FAILED ? HF_E_MEMORY : HF_E_FORMAT;
    return hf_fail(why, err,
                   "expected an X.509 certificate, found bytes that are not one (%s); they are "
                   "damaged, take the certificate from its source again",
                   reason);
}

/* Parse without a copy: `crt` points into `der`. */
static enum hf_err parse_der(struct hf_bytes der, mbedtls_x509_crt *crt, struct hf_why *why)
{
    if (der.len > HF_CERT_DER_MAX)
        return hf_fail(why, HF_E_LIMIT, "the certificate has %zu bytes, at most %u are accepted",
                       der.len, HF_CERT_DER_MAX);
    int ret = mbedtls_x509_crt_parse_der_nocopy(crt, der.data, der.len);
    if (ret != 0)
        return fail_parse(ret, why);
    if (crt->raw.len != der.len)
        return hf_fail(
            why, HF_E_FORMAT,
            "the certificate ends after %zu bytes, but %zu more follow; expected nothing "
            "behind it",
            crt->raw.len, der.len - crt->raw.len);
    return HF_OK;
}

static void fill(const mbedtls_x509_crt *crt, struct hf_cert *out)
{
    hf_sha256(borrow(&crt->raw), out->sha256);
    hf_sha256(borrow(&crt->pk_raw), out->spki_sha256);
    name_text(&crt->subject, out->subject);
    name_text(&crt->issuer, out->issuer);
    out->subject_der = borrow(&crt->subject_raw);
    out->issuer_der = borrow(&crt->issuer_raw);
    out->key = key_of(&crt->pk);
    out->key_bits = (unsigned)mbedtls_pk_get_bitlen(&crt->pk);
    /* There is no accessor for the digest in 3.6. */
    out->digest = digest_of(crt->MBEDTLS_PRIVATE(sig_md));
    out->is_ca = mbedtls_x509_crt_get_ca_istrue(crt) == 1 &&
                 mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
    out->allows_server_auth = hf_x509_allows_server_auth(crt);
    out->is_self_issued = hf_bytes_equal(out->subject_der, out->issuer_der);
}

enum hf_err hf_cert_parse(struct hf_bytes der, struct hf_cert *out, struct hf_why *why)
{
    struct hf_cert cert = {0};
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);

    enum hf_err err = parse_der(der, &crt, why);
    if (err != HF_OK)
        goto out;
    fill(&crt, &cert);
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

static bool is_signed_by_own_key(mbedtls_x509_crt *crt)
{
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(crt->MBEDTLS_PRIVATE(sig_md));
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    if (md == NULL || mbedtls_md(md, crt->tbs.p, crt->tbs.len, hash) != 0)
        return false;
    /* Not mbedtls_x509_crt_verify: it takes a self-issued certificate that is its own anchor
     * without looking at the signature. */
    return mbedtls_pk_verify_ext(crt->MBEDTLS_PRIVATE(sig_pk), crt->MBEDTLS_PRIVATE(sig_opts),
                                 &crt->pk, crt->MBEDTLS_PRIVATE(sig_md), hash,
                                 mbedtls_md_get_size(md), crt->MBEDTLS_PRIVATE(sig).p,
                                 crt->MBEDTLS_PRIVATE(sig).len) == 0;
}

enum hf_err hf_cert_verify_self_signature(struct hf_bytes der, struct hf_why *why)
{
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);

    enum hf_err err = parse_der(der, &crt, why);
    if (err == HF_OK && !is_signed_by_own_key(&crt)) {
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
    switch (cert->key) {
    case HF_CERT_KEY_RSA:
        (void)snprintf(out, 16, "RSA %u", cert->key_bits);
        return;
    case HF_CERT_KEY_P256:
    case HF_CERT_KEY_P384:
    case HF_CERT_KEY_P521:
        (void)snprintf(out, 16, "P-%u", cert->key_bits);
        return;
    case HF_CERT_KEY_OTHER:
        break;
    }
    (void)snprintf(out, 16, "other %u", cert->key_bits);
}
