/* The oracle's certificates: what RFC 5280, section 4, puts into one, decoded by OpenSSL. */
#include "tests/support/x509_oracle_parts.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include <string.h>
#include <time.h>

int64_t oracle_number(const ASN1_INTEGER *number)
{
    int64_t value = 0;
    if (ASN1_INTEGER_get_int64(&value, number) != 1)
        return INT32_MAX;
    return value < INT32_MAX ? value : INT32_MAX;
}

static bool read_time(const ASN1_TIME *time, int64_t *out_s)
{
    struct tm civil;
    if (ASN1_TIME_to_tm(time, &civil) != 1)
        return false;
    *out_s = timegm(&civil);
    return true;
}

/* 4.2.1: those that are processed, and where their values go. */
static const int known[] = {
    NID_basic_constraints,
    NID_key_usage,
    NID_ext_key_usage,
    NID_subject_alt_name,
    NID_name_constraints,
    NID_certificate_policies,
    NID_policy_mappings,
    NID_policy_constraints,
    NID_inhibit_any_policy,
    NID_subject_key_identifier,
    NID_authority_key_identifier,
};

static bool is_known(int nid)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i] == nid)
            return true;
    return false;
}

/** The value of an extension; NULL: there is none, or it is damaged or there twice (a fault). */
static void *decode(struct oracle_cert *cert, int nid, bool *is_critical)
{
    int critical;
    void *value = X509_get_ext_d2i(cert->x509, nid, &critical, NULL);
    if (value == NULL && critical != -1)
        cert->fault = "an extension is damaged or there twice";
    if (is_critical != NULL)
        *is_critical = critical == 1;
    return value;
}

static void read_extensions(struct oracle_cert *cert)
{
    cert->basic = decode(cert, NID_basic_constraints, NULL);
    cert->key_usage = decode(cert, NID_key_usage, NULL);
    cert->usages = decode(cert, NID_ext_key_usage, NULL);
    cert->names = decode(cert, NID_subject_alt_name, NULL);
    cert->constraints = decode(cert, NID_name_constraints, &cert->has_critical_constraints);
    cert->policies = decode(cert, NID_certificate_policies, NULL);
    cert->mappings = decode(cert, NID_policy_mappings, NULL);
    cert->policy_constraints = decode(cert, NID_policy_constraints, NULL);
    cert->inhibit_any = decode(cert, NID_inhibit_any_policy, NULL);
    for (int i = 0; i < X509_get_ext_count(cert->x509); i++) {
        X509_EXTENSION *extension = X509_get_ext(cert->x509, i);
        const ASN1_OBJECT *type = X509_EXTENSION_get_object(extension);
        if (X509_get_ext_by_OBJ(cert->x509, type, i) >= 0)
            cert->fault = "an extension is there twice";
        if (X509_EXTENSION_get_critical(extension) && !is_known(OBJ_obj2nid(type)))
            cert->fault = "a critical extension is not known";
    }
}

/* What Holdfast lets be used: RSA from 2048 bits, and P-256, P-384, P-521 by their names (RFC 5480, 2.1.1). */
static bool is_strong_key(EVP_PKEY *key)
{
    char curve[32] = "", encoding[16] = "";
    size_t len;
    if (key == NULL)
        return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return EVP_PKEY_get_bits(key) >= 2048;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_EC_ENCODING, encoding,
                                          sizeof encoding, NULL) == 1 &&
           strcmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP) == 0 &&
           EVP_PKEY_get_group_name(key, curve, sizeof curve, &len) == 1 &&
           (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0 ||
            strcmp(curve, "secp521r1") == 0);
}

void oracle_cert_read(const uint8_t *der, size_t len, struct oracle_cert *out)
{
    const uint8_t *at = der;
    *out = (struct oracle_cert){0};
    X509 *x509 = d2i_X509(NULL, &at, (long)len);

    if (x509 == NULL || at != der + len ||
        !read_time(X509_get0_notBefore(x509), &out->not_before_s) ||
        !read_time(X509_get0_notAfter(x509), &out->not_after_s)) {
        X509_free(x509);
        ERR_clear_error();
        return;
    }
    out->x509 = x509;
    read_extensions(out);
    if (!is_strong_key(X509_get0_pubkey(x509)))
        out->fault = "the key is too weak or of another kind";
    ERR_clear_error();
}

void oracle_cert_free(struct oracle_cert *cert)
{
    BASIC_CONSTRAINTS_free(cert->basic);
    ASN1_BIT_STRING_free(cert->key_usage);
    EXTENDED_KEY_USAGE_free(cert->usages);
    GENERAL_NAMES_free(cert->names);
    NAME_CONSTRAINTS_free(cert->constraints);
    CERTIFICATEPOLICIES_free(cert->policies);
    sk_POLICY_MAPPING_pop_free(cert->mappings, POLICY_MAPPING_free);
    POLICY_CONSTRAINTS_free(cert->policy_constraints);
    ASN1_INTEGER_free(cert->inhibit_any);
    X509_free(cert->x509);
    *cert = (struct oracle_cert){0};
}
