#include "server/identity/registration.h"

#include "common/base/timetext.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

static enum hf_err check_dates_of(const struct hf_client_cert *cert, int64_t now_s,
                                  const char *what, struct hf_why *why)
{
    if (hf_client_cert_check_dates(cert, now_s, why) != HF_OK)
        return hf_fail_context(why, "%s", what);
    return HF_OK;
}

/* X509_check_ca answers 1 for basicConstraints cA, and more for older ways of saying it, which a
 * version-1 certificate of a device says too. */
static enum hf_err check_is_ca(const X509 *ca, struct hf_why *why)
{
    uint32_t flags = X509_get_extension_flags((X509 *)(uintptr_t)ca);
    uint32_t usage = X509_get_key_usage((X509 *)(uintptr_t)ca);
    ERR_clear_error();
    if ((flags & EXFLAG_INVALID) != 0)
        return hf_fail(why, HF_E_FORMAT, "CA: an extension of the certificate is damaged");
    if ((flags & (EXFLAG_BCONS | EXFLAG_CA)) != (EXFLAG_BCONS | EXFLAG_CA))
        return hf_fail(
            why, HF_E_POLICY,
            "CA: this is not a CA certificate (expected basicConstraints with cA). Register "
            "a device's certificate as a credential");
    if ((usage & KU_KEY_CERT_SIGN) == 0)
        return hf_fail(why, HF_E_POLICY,
                       "CA: its keyUsage does not allow it to sign certificates (expected "
                       "keyCertSign)");
    return HF_OK;
}

enum hf_err hf_ca_check(const X509 *ca, int64_t now_s, struct hf_client_cert *out,
                        struct hf_why *why)
{
    struct hf_client_cert cert = {0};
    if (hf_client_cert_describe(ca, &cert, why) != HF_OK)
        return hf_fail_context(why, "CA");
    HF_TRY(check_is_ca(ca, why));
    if (hf_ca_key_check(&cert.key, why) != HF_OK)
        return hf_fail_context(why, "CA");
    HF_TRY(check_dates_of(&cert, now_s, "CA", why));
    if (X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(ca)) == 0) {
        X509 *self = (X509 *)(uintptr_t)ca; /* OpenSSL changes only what it has cached */
        int verified = X509_verify(self, X509_get0_pubkey(self));
        ERR_clear_error();
        if (verified != 1)
            return hf_fail(
                why, HF_E_SIGNATURE,
                "CA: the certificate names itself as its issuer, but its own key did not "
                "sign it. Fetch the file again from the CA");
    }
    *out = cert;
    return HF_OK;
}

enum hf_err hf_ca_check_signed(X509 *ca, X509 *cert, struct hf_why *why)
{
    const ASN1_OCTET_STRING *wanted = X509_get0_authority_key_id(cert);
    const ASN1_OCTET_STRING *key_id = X509_get0_subject_key_id(ca);
    bool is_issuer = X509_NAME_cmp(X509_get_subject_name(ca), X509_get_issuer_name(cert)) == 0 &&
                     (wanted == NULL || key_id == NULL ||
                      ASN1_OCTET_STRING_cmp(wanted, key_id) == 0);
    int verified = is_issuer ? X509_verify(cert, X509_get0_pubkey(ca)) : 0;
    ERR_clear_error();
    if (!is_issuer)
        return hf_fail(
            why, HF_E_UNTRUSTED,
            "the certificate names another CA as its issuer. Register that CA, or register "
            "the certificate without a CA");
    if (verified != 1)
        return hf_fail(
            why, HF_E_SIGNATURE,
            "the certificate names this CA as its issuer, but this CA's key did not sign "
            "it. Check which CA certificate belongs to it");
    return HF_OK;
}

enum hf_err hf_ca_check_proof(X509 *ca, X509 *proof, const char code[HF_REGISTRATION_CODE_LEN + 1],
                              int64_t now_s, struct hf_why *why)
{
    struct hf_client_cert cert = {0};
    struct hf_client_cert_text text = {0};
    if (hf_client_cert_describe(proof, &cert, why) != HF_OK ||
        hf_client_cert_describe_text(proof, &text, why) != HF_OK ||
        hf_client_signature_check(cert.signature, why) != HF_OK)
        return hf_fail_context(why, "proof");
    if (strlen(code) != HF_REGISTRATION_CODE_LEN || strcmp(text.common_name, code) != 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "proof: its CN is not the registration code of this account. Issue a "
                       "certificate with the code as its CN, signed by the CA");
    if (hf_ca_check_signed(ca, proof, why) != HF_OK)
        return hf_fail_context(why, "proof");
    return check_dates_of(&cert, now_s, "proof", why);
}

enum hf_err hf_client_cert_check(X509 *cert, X509 *ca, int64_t now_s, struct hf_client_cert *out,
                                 struct hf_why *why)
{
    struct hf_client_cert found = {0}, issuer = {0};
    if (hf_client_cert_describe(cert, &found, why) != HF_OK ||
        hf_client_cert_check_algorithms(&found, HF_TLS_ANY, why) != HF_OK)
        return hf_fail_context(why, "certificate");
    HF_TRY(check_dates_of(&found, now_s, "certificate", why));
    if (ca != NULL) {
        HF_TRY(hf_ca_check(ca, now_s, &issuer, why));
        if (hf_ca_check_signed(ca, cert, why) != HF_OK)
            return hf_fail_context(why, "certificate");
    }
    *out = found;
    return HF_OK;
}
