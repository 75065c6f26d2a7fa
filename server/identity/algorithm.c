#include "server/identity/algorithm.h"

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

/* ---- signatures ------------------------------------------------------------------------------ */

static const struct {
    int nid;
    enum hf_client_signature signature;
} plain_signatures[] = {
    {NID_sha256WithRSAEncryption, HF_CLIENT_SIGNATURE_RSA_SHA256},
    {NID_sha384WithRSAEncryption, HF_CLIENT_SIGNATURE_RSA_SHA384},
    {NID_sha512WithRSAEncryption, HF_CLIENT_SIGNATURE_RSA_SHA512},
    {NID_dsa_with_SHA256, HF_CLIENT_SIGNATURE_DSA_SHA256},
    {NID_ecdsa_with_SHA256, HF_CLIENT_SIGNATURE_ECDSA_SHA256},
    {NID_ecdsa_with_SHA384, HF_CLIENT_SIGNATURE_ECDSA_SHA384},
    {NID_ecdsa_with_SHA512, HF_CLIENT_SIGNATURE_ECDSA_SHA512},
};

static const struct {
    int hash_nid;
    int64_t hash_len;
    enum hf_client_signature signature;
} pss_signatures[] = {
    {NID_sha256, 32, HF_CLIENT_SIGNATURE_PSS_SHA256},
    {NID_sha384, 48, HF_CLIENT_SIGNATURE_PSS_SHA384},
    {NID_sha512, 64, HF_CLIENT_SIGNATURE_PSS_SHA512},
};

static int algorithm_nid(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object = NULL;
    if (algorithm == NULL)
        return NID_undef;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    return OBJ_obj2nid(object);
}

/* The parameters of `algorithm` as a new value of `type`; NULL where they are none. */
static void *unpack_parameters(const X509_ALGOR *algorithm, const ASN1_ITEM *type)
{
    const void *value = NULL;
    int kind = V_ASN1_UNDEF;
    X509_ALGOR_get0(NULL, &kind, &value, algorithm);
    return kind == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, type) : NULL;
}

/* MGF1 with that hash? */
static bool is_mgf1_with(const X509_ALGOR *mask, int hash_nid)
{
    if (algorithm_nid(mask) != NID_mgf1)
        return false;
    X509_ALGOR *hash = unpack_parameters(mask, ASN1_ITEM_rptr(X509_ALGOR));
    bool is_same = algorithm_nid(hash) == hash_nid;
    X509_ALGOR_free(hash);
    return is_same;
}

/* The row of RSASSA-PSS parameters. Absent fields mean SHA-1 (RFC 4055, 3.1), which has none. */
static enum hf_client_signature describe_pss(const RSA_PSS_PARAMS *pss, bool is_minimum)
{
    int64_t salt_len = 20, trailer = 1;
    int hash_nid = algorithm_nid(pss->hashAlgorithm);

    if (pss->saltLength != NULL && ASN1_INTEGER_get_int64(&salt_len, pss->saltLength) != 1)
        return HF_CLIENT_SIGNATURE_OTHER;
    if (pss->trailerField != NULL && ASN1_INTEGER_get_int64(&trailer, pss->trailerField) != 1)
        return HF_CLIENT_SIGNATURE_OTHER;
    if (trailer != 1 || !is_mgf1_with(pss->maskGenAlgorithm, hash_nid))
        return HF_CLIENT_SIGNATURE_OTHER;
    for (size_t i = 0; i < sizeof pss_signatures / sizeof *pss_signatures; i++) {
        int64_t hash_len = pss_signatures[i].hash_len;
        if (pss_signatures[i].hash_nid == hash_nid &&
            (is_minimum ? salt_len >= 0 && salt_len <= hash_len : salt_len >= hash_len))
            return pss_signatures[i].signature;
    }
    return HF_CLIENT_SIGNATURE_OTHER;
}

enum hf_client_signature hf_client_signature_describe(const X509_ALGOR *algorithm)
{
    int nid = algorithm_nid(algorithm);
    if (nid == NID_rsassaPss) {
        RSA_PSS_PARAMS *pss = unpack_parameters(algorithm, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
        enum hf_client_signature signature = HF_CLIENT_SIGNATURE_OTHER;
        if (pss != NULL)
            signature = describe_pss(pss, false);
        RSA_PSS_PARAMS_free(pss);
        ERR_clear_error();
        return signature;
    }
    for (size_t i = 0; i < sizeof plain_signatures / sizeof *plain_signatures; i++)
        if (plain_signatures[i].nid == nid)
            return plain_signatures[i].signature;
    return HF_CLIENT_SIGNATURE_OTHER;
}

enum hf_err hf_client_signature_check(enum hf_client_signature signature, struct hf_why *why)
{
    if (signature != HF_CLIENT_SIGNATURE_OTHER)
        return HF_OK;
    return hf_fail(
        why, HF_E_POLICY,
        "unsupported signature algorithm (expected RSA, RSASSA-PSS or ECDSA with SHA-256, "
        "SHA-384 or SHA-512, or DSA with SHA-256). Sign it with one of these; RSASSA-PSS "
        "needs MGF1 with the same hash and a salt at least as long as the hash");
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* An EC key names its curve; explicit parameters could describe a weak one. */
static enum hf_client_key curve_kind(const X509_ALGOR *algorithm)
{
    const void *curve = NULL;
    int kind = V_ASN1_UNDEF;
    X509_ALGOR_get0(NULL, &kind, &curve, algorithm);
    switch (kind == V_ASN1_OBJECT ? OBJ_obj2nid(curve) : NID_undef) {
    case NID_X9_62_prime256v1:
        return HF_CLIENT_KEY_P256;
    case NID_secp384r1:
        return HF_CLIENT_KEY_P384;
    case NID_secp521r1:
        return HF_CLIENT_KEY_P521;
    default:
        return HF_CLIENT_KEY_OTHER;
    }
}

static enum hf_client_key key_kind(const X509_ALGOR *algorithm)
{
    switch (algorithm_nid(algorithm)) {
    case NID_rsaEncryption:
        return HF_CLIENT_KEY_RSA;
    case NID_rsassaPss:
        return HF_CLIENT_KEY_RSA_PSS;
    case NID_X9_62_id_ecPublicKey:
        return curve_kind(algorithm);
    case NID_dsa:
        return HF_CLIENT_KEY_DSA;
    default:
        return HF_CLIENT_KEY_OTHER;
    }
}

/* The exponent 1 makes every signature valid, and an even number is no RSA modulus. */
static bool has_usable_numbers(const EVP_PKEY *key)
{
    BIGNUM *n = NULL, *e = NULL;
    bool is_usable = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
                     EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(n) &&
                     BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= HF_RSA_EXPONENT_BITS_MAX;
    BN_free(n);
    BN_free(e);
    return is_usable;
}

/* RFC 4055, 1.2: without parameters the key may sign with any; with them, the key is for these
 * only. */
static bool has_usable_restriction(const X509_ALGOR *algorithm)
{
    int kind = V_ASN1_UNDEF;
    X509_ALGOR_get0(NULL, &kind, NULL, algorithm);
    if (kind == V_ASN1_UNDEF)
        return true;
    RSA_PSS_PARAMS *pss = unpack_parameters(algorithm, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    bool is_usable = pss != NULL && describe_pss(pss, true) != HF_CLIENT_SIGNATURE_OTHER;
    RSA_PSS_PARAMS_free(pss);
    return is_usable;
}

struct hf_client_key_form hf_client_key_describe(X509_PUBKEY *spki)
{
    struct hf_client_key_form form = {HF_CLIENT_KEY_OTHER, HF_CLIENT_KEY_UNREADABLE, 0};
    X509_ALGOR *algorithm = NULL;
    const EVP_PKEY *key = X509_PUBKEY_get0(spki);

    if (X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, spki) == 1)
        form.kind = key_kind(algorithm);
    if (key != NULL) {
        bool is_rsa = form.kind == HF_CLIENT_KEY_RSA || form.kind == HF_CLIENT_KEY_RSA_PSS;
        int bits = EVP_PKEY_get_bits(key);
        form.bits = bits > 0 ? (unsigned)bits : 0;
        form.fault = HF_CLIENT_KEY_FINE;
        if (is_rsa && !has_usable_numbers(key))
            form.fault = HF_CLIENT_KEY_EXPONENT;
        else if (form.kind == HF_CLIENT_KEY_RSA_PSS && !has_usable_restriction(algorithm))
            form.fault = HF_CLIENT_KEY_PARAMETERS;
    }
    ERR_clear_error();
    return form;
}

/* "RSA 2048", "RSA-PSS 3072", "P-256". */
#define KEY_TEXT_MAX 32
static void key_text(const struct hf_client_key_form *key, char out[KEY_TEXT_MAX])
{
    static const char *const names[] = {
        [HF_CLIENT_KEY_OTHER] = "another kind",
        [HF_CLIENT_KEY_RSA] = "RSA",
        [HF_CLIENT_KEY_RSA_PSS] = "RSA-PSS",
        [HF_CLIENT_KEY_P256] = "P-256",
        [HF_CLIENT_KEY_P384] = "P-384",
        [HF_CLIENT_KEY_P521] = "P-521",
        [HF_CLIENT_KEY_DSA] = "DSA",
    };
    bool has_size = key->kind == HF_CLIENT_KEY_RSA || key->kind == HF_CLIENT_KEY_RSA_PSS ||
                    key->kind == HF_CLIENT_KEY_DSA;
    if (has_size && key->bits != 0)
        (void)snprintf(out, KEY_TEXT_MAX, "%s %u", names[key->kind], key->bits);
    else
        (void)snprintf(out, KEY_TEXT_MAX, "%s", names[key->kind]);
}

static enum hf_err check_fault(const struct hf_client_key_form *key, struct hf_why *why)
{
    switch (key->fault) {
    case HF_CLIENT_KEY_FINE:
        return HF_OK;
    case HF_CLIENT_KEY_UNREADABLE:
        return hf_fail(why, HF_E_POLICY, "the public key is damaged. Generate a new key");
    case HF_CLIENT_KEY_EXPONENT:
        return hf_fail(
            why, HF_E_POLICY,
            "the RSA key is not safe (expected an odd modulus and an odd exponent from 3 "
            "to %d bits). Generate a new key",
            HF_RSA_EXPONENT_BITS_MAX);
    case HF_CLIENT_KEY_PARAMETERS:
        return hf_fail(
            why, HF_E_POLICY,
            "the RSA-PSS key allows only algorithms that are not supported (expected "
            "SHA-256, SHA-384 or SHA-512, MGF1 with the same hash, and a minimum salt no "
            "longer than the hash). Generate a key without restrictions");
    }
    return hf_fail(why, HF_E_POLICY, "the public key is of no known kind");
}

static bool is_long_enough(const struct hf_client_key_form *key)
{
    return key->bits >= HF_RSA_BITS_MIN && key->bits <= HF_RSA_BITS_MAX;
}

enum hf_err hf_client_key_check(const struct hf_client_key_form *key, unsigned tls_version,
                                struct hf_why *why)
{
    char found[KEY_TEXT_MAX];
    bool is_listed = false;
    switch (key->kind) {
    case HF_CLIENT_KEY_RSA:
    case HF_CLIENT_KEY_RSA_PSS:
        is_listed = key->fault == HF_CLIENT_KEY_UNREADABLE || is_long_enough(key);
        break;
    case HF_CLIENT_KEY_P256:
    case HF_CLIENT_KEY_P384:
    case HF_CLIENT_KEY_P521:
        is_listed = true;
        break;
    case HF_CLIENT_KEY_DSA:
    case HF_CLIENT_KEY_OTHER:
        break;
    }
    if (!is_listed) {
        key_text(key, found);
        return hf_fail(why, HF_E_POLICY,
                       "unsupported key (expected RSA or RSA-PSS of %u to %u bits, or NIST P-256, "
                       "P-384 or P-521, found %s). Generate a key of one of these kinds",
                       HF_RSA_BITS_MIN, HF_RSA_BITS_MAX, found);
    }
    HF_TRY(check_fault(key, why));
    if (key->kind == HF_CLIENT_KEY_RSA_PSS && tls_version != HF_TLS_ANY && tls_version < HF_TLS_1_3)
        return hf_fail(
            why, HF_E_POLICY,
            "an RSA-PSS key is supported in TLS 1.3 only. Allow TLS 1.3 on the device, or "
            "use a certificate with another key");
    return HF_OK;
}

enum hf_err hf_ca_key_check(const struct hf_client_key_form *key, struct hf_why *why)
{
    if (key->kind != HF_CLIENT_KEY_DSA)
        return hf_client_key_check(key, HF_TLS_ANY, why);
    if (key->fault == HF_CLIENT_KEY_FINE && !is_long_enough(key))
        return hf_fail(why, HF_E_POLICY,
                       "unsupported key (expected DSA of %u to %u bits, found %u)", HF_RSA_BITS_MIN,
                       HF_RSA_BITS_MAX, key->bits);
    return check_fault(key, why);
}
