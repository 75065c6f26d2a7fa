#include "client/port/identity/request.h"

#include "client/port/identity/client_auth.h"
#include "client/port/identity/device_key.h"
#include "client/port/identity/limits.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_csr.h>
#include <psa/crypto.h>

#include <sodium.h>
#include <stdio.h>

#if !defined(MBEDTLS_X509_CSR_WRITE_C) || !defined(MBEDTLS_PK_WRITE_C) ||                          \
    !defined(MBEDTLS_PEM_WRITE_C) || !defined(MBEDTLS_GENPRIME)
#error                                                                                             \
    "a device makes keys and certificate requests: Mbed TLS needs X509_CSR_WRITE, PK_WRITE, PEM_WRITE"
#endif

#define RSA_EXPONENT 65537

static enum hf_err fail_key(const mbedtls_pk_context *key, int code, const char *what,
                            struct hf_why *why)
{
    char reason[128];

    if (hf_device_key_fault(key)[0] != '\0')
        return hf_fail(why, HF_E_KEY, "%s failed: %.500s", what, hf_device_key_fault(key));
    mbedtls_strerror(code, reason, sizeof reason);
    return hf_fail(why, HF_E_KEY, "%s failed: %s", what, reason);
}

static int generate(enum hf_key_kind kind, mbedtls_pk_context *pk)
{
    bool is_rsa = kind == HF_KEY_RSA2048;
    int code = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(is_rsa ? MBEDTLS_PK_RSA
                                                                     : MBEDTLS_PK_ECKEY));

    if (code != 0)
        return code;
    if (is_rsa)
        return mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), mbedtls_psa_get_random,
                                   MBEDTLS_PSA_RANDOM_STATE, 2048, RSA_EXPONENT);
    return mbedtls_ecp_gen_key(kind == HF_KEY_P384 ? MBEDTLS_ECP_DP_SECP384R1
                                                   : MBEDTLS_ECP_DP_SECP256R1,
                               mbedtls_pk_ec(*pk), mbedtls_psa_get_random,
                               MBEDTLS_PSA_RANDOM_STATE);
}

enum hf_err hf_identity_key_make(enum hf_key_kind kind, struct hf_buf *pem, struct hf_why *why)
{
    unsigned char text[HF_KEY_PEM_MAX];
    mbedtls_pk_context pk;
    enum hf_err err = HF_OK;

    if (psa_crypto_init() != PSA_SUCCESS)
        return hf_fail(why, HF_E_STATE, "the system's random source does not work");
    mbedtls_pk_init(&pk);
    int code = generate(kind, &pk);
    if (code == 0)
        code = mbedtls_pk_write_key_pem(&pk, text, sizeof text);
    if (code != 0)
        err = fail_key(&pk, code, "making a new private key", why);
    else if (hf_buf_append_text(pem, (const char *)text) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a new private key");
    sodium_memzero(text, sizeof text);
    mbedtls_pk_free(&pk);
    return err;
}

enum hf_key_kind hf_identity_key_kind(const mbedtls_pk_context *key)
{
    if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA)
        return HF_KEY_RSA2048;
    return mbedtls_pk_get_bitlen(key) == 384 ? HF_KEY_P384 : HF_KEY_P256;
}

enum hf_err hf_identity_csr_make(mbedtls_pk_context *key, const char *device, struct hf_buf *der,
                                 struct hf_why *why)
{
    unsigned char data[HF_CSR_DER_MAX];
    char subject[HF_DN_TEXT_MAX];
    mbedtls_x509write_csr csr;
    enum hf_err err = HF_OK;

    (void)snprintf(subject, sizeof subject, "CN=%s", device);
    mbedtls_x509write_csr_init(&csr);
    mbedtls_x509write_csr_set_key(&csr, key);
    mbedtls_x509write_csr_set_md_alg(&csr, MBEDTLS_MD_SHA256);
    int code = mbedtls_x509write_csr_set_subject_name(&csr, subject);
    if (code == 0) /* it is written to the end of the buffer */
        code = mbedtls_x509write_csr_der(&csr, data, sizeof data, mbedtls_psa_get_random,
                                         MBEDTLS_PSA_RANDOM_STATE);
    if (code < 0)
        err = fail_key(key, code, "signing a certificate request", why);
    else if (hf_buf_append(der, data + sizeof data - code, (size_t)code) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for a certificate request");
    mbedtls_x509write_csr_free(&csr);
    return err;
}

enum hf_err hf_identity_csr_to_pem(struct hf_bytes der, struct hf_buf *pem, struct hf_why *why)
{
    unsigned char text[2 * HF_CSR_DER_MAX];
    size_t len = 0;

    if (mbedtls_pem_write_buffer("-----BEGIN CERTIFICATE REQUEST-----\n",
                                 "-----END CERTIFICATE REQUEST-----\n", der.data, der.len, text,
                                 sizeof text, &len) != 0 ||
        hf_buf_append_text(pem, (const char *)text) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a certificate request");
    return HF_OK;
}

enum hf_err hf_identity_renewal_sign(mbedtls_pk_context *old_key, struct hf_bytes csr,
                                     struct hf_buf *signature, struct hf_why *why)
{
    static const char prefix[] = "holdfast renew"; /* and its NUL */
    unsigned char sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    uint8_t hash[HF_SHA256_LEN];
    struct hf_buf message = {0};
    size_t len = 0;

    enum hf_err err = hf_buf_append(&message, prefix, sizeof prefix);
    if (err == HF_OK)
        err = hf_buf_append(&message, csr.data, csr.len);
    hf_sha256(hf_buf_bytes(&message), hash);
    hf_buf_free(&message);
    if (err != HF_OK)
        return hf_fail(why, err, "out of memory for a renewal");
    int code = mbedtls_pk_sign(old_key, MBEDTLS_MD_SHA256, hash, sizeof hash, sig, sizeof sig, &len,
                               mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (code != 0)
        return fail_key(old_key, code, "signing the renewal with the present key", why);
    return hf_buf_append(signature, sig, len) == HF_OK
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "out of memory for a renewal");
}

static bool take_time(const mbedtls_x509_time *time, int64_t *out_s)
{
    return hf_time_from_civil(time->year, time->mon, time->day, time->hour, time->min, time->sec,
                              out_s);
}

static bool is_ca(const mbedtls_x509_crt *crt)
{
    return mbedtls_x509_crt_get_ca_istrue(crt) == 1 &&
           mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_KEY_CERT_SIGN) == 0;
}

enum hf_err hf_identity_describe(const mbedtls_x509_crt *chain, struct hf_credential *out,
                                 struct hf_why *why)
{
    struct hf_credential made = {0};

    hf_sha256_hex((struct hf_bytes){chain->raw.p, chain->raw.len}, made.sha256);
    if (mbedtls_x509_dn_gets(made.subject, sizeof made.subject, &chain->subject) < 0)
        (void)snprintf(made.subject, sizeof made.subject, "(a subject too long to show)");
    hf_text_sanitize(made.subject);
    if (!take_time(&chain->valid_from, &made.not_before_s) ||
        !take_time(&chain->valid_to, &made.not_after_s) || made.not_after_s < made.not_before_s)
        return hf_fail(why, HF_E_FORMAT, "the certificate has dates that do not exist");
    *out = made;
    return HF_OK;
}

static enum hf_err check(const mbedtls_x509_crt *chain, const mbedtls_pk_context *key,
                         int64_t now_s, struct hf_credential *out, struct hf_why *why)
{
    struct hf_credential made;
    char end[HF_TIME_TEXT_MAX], now[HF_TIME_TEXT_MAX];

    HF_TRY(hf_identity_describe(chain, &made, why));
    if (!hf_client_key_is_of(key, &chain->pk))
        return hf_fail(why, HF_E_KEY,
                       "the certificate is for another key than the one in the request");
    if (is_ca(chain) ||
        mbedtls_x509_crt_check_extended_key_usage(chain, MBEDTLS_OID_CLIENT_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0)
        return hf_fail(why, HF_E_POLICY,
                       "the certificate is not one for client authentication (clientAuth)");
    if (made.not_after_s <= now_s) {
        hf_time_format(made.not_after_s, end);
        hf_time_format(now_s, now);
        return hf_fail(why, HF_E_EXPIRED,
                       "the certificate ended at %s, and it is %s on this device; is its clock "
                       "right?",
                       end, now);
    }
    *out = made;
    return HF_OK;
}

enum hf_err hf_identity_certificate_check(struct hf_bytes pem, const mbedtls_pk_context *key,
                                          int64_t now_s, struct hf_credential *out,
                                          struct hf_why *why)
{
    mbedtls_x509_crt chain;

    mbedtls_x509_crt_init(&chain);
    /* With the NUL that ends every hf_buf and JSON text. */
    enum hf_err err = pem.len > HF_CLIENT_AUTH_BYTES_MAX ||
                              mbedtls_x509_crt_parse(&chain, pem.data, pem.len + 1) != 0
                          ? hf_fail(why, HF_E_FORMAT,
                                    "the service sent no certificate in PEM, or not a whole one")
                          : check(&chain, key, now_s, out, why);
    mbedtls_x509_crt_free(&chain);
    return err;
}
