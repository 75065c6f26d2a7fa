/* The oracle's certificates: what RFC 5280, section 4, puts into one, decoded by OpenSSL. */
#include "tests/support/x509_judge.h"
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

/* 4.1.2.5.1 and 4.1.2.5.2: with seconds, and in UTC. */
static bool read_time(const ASN1_TIME *time, int64_t *out_s)
{
    struct tm civil;
    if (ASN1_STRING_length(time) != (ASN1_STRING_type(time) == V_ASN1_UTCTIME ? 13 : 15) ||
        ASN1_TIME_to_tm(time, &civil) != 1)
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
static void *decode(struct oracle_cert *cert, int nid)
{
    int critical;
    void *value = X509_get_ext_d2i(cert->x509, nid, &critical, NULL);
    if (value == NULL && critical != -1)
        cert->fault = "an extension is damaged or there twice";
    return value;
}

/* The kinds of names that constraints are followed for. */
static bool is_processed(int kind)
{
    return kind == GEN_EMAIL || kind == GEN_DNS || kind == GEN_DIRNAME || kind == GEN_URI ||
           kind == GEN_IPADD;
}

/* What is in the SEQUENCE that an extension is; NULL: there is no such extension, or it is damaged
 * (a fault). */
static ASN1_SEQUENCE_ANY *list_of(struct oracle_cert *cert, int nid)
{
    int at = X509_get_ext_by_NID(cert->x509, nid, -1);
    if (at < 0)
        return NULL;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(cert->x509, at));
    const uint8_t *der = value->data;
    ASN1_SEQUENCE_ANY *list = d2i_ASN1_SEQUENCE_ANY(NULL, &der, value->length);

    if (list == NULL || sk_ASN1_TYPE_num(list) == 0 || der != value->data + value->length)
        cert->fault = "an extension is damaged";
    return list;
}

/* The kind of a GeneralName by its tag; -1: RFC 5280 does not have it. */
static int kind_of(const ASN1_TYPE *name)
{
    if (name->type != V_ASN1_OTHER)
        return -1;
    uint8_t tag = ASN1_STRING_get0_data(name->value.asn1_string)[0];
    return (tag & 0xc0) == 0x80 && (tag & 0x1f) <= GEN_RID ? tag & 0x1f : -1;
}

/* A GeneralName of a kind that RFC 5280 has. A directoryName that cannot be read is kept without
 * its value, and matters where a constraint asks for it. NULL: it is damaged. */
static GENERAL_NAME *name_of(const ASN1_TYPE *name)
{
    const uint8_t *from = ASN1_STRING_get0_data(name->value.asn1_string);
    GENERAL_NAME *out = d2i_GENERAL_NAME(NULL, &from, ASN1_STRING_length(name->value.asn1_string));

    bool is_kept = !is_processed(kind_of(name)) || kind_of(name) == GEN_DIRNAME;
    if (out == NULL && is_kept && (out = GENERAL_NAME_new()) != NULL)
        out->type = kind_of(name); /* which is all that counts of it */
    return out;
}

/* The SAN name by name: one of a kind that RFC 5280 does not have is passed over. */
static GENERAL_NAMES *read_names(struct oracle_cert *cert)
{
    ASN1_SEQUENCE_ANY *list = list_of(cert, NID_subject_alt_name);
    GENERAL_NAMES *names = list == NULL ? NULL : sk_GENERAL_NAME_new_null();

    for (int i = 0; i < sk_ASN1_TYPE_num(list); i++) {
        const ASN1_TYPE *any = sk_ASN1_TYPE_value(list, i);
        if (kind_of(any) < 0)
            continue;
        GENERAL_NAME *name = name_of(any);
        if (name == NULL || sk_GENERAL_NAME_push(names, name) == 0)
            cert->fault = "the subjectAltName is damaged";
    }
    sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
    return names;
}

/* A subtree; one whose base is of a kind that RFC 5280 does not have stays without a kind, and
 * constrains no name. NULL: it is damaged. */
static GENERAL_SUBTREE *subtree_of(const ASN1_TYPE *subtree)
{
    const uint8_t *from = subtree->type == V_ASN1_SEQUENCE ? subtree->value.sequence->data : NULL;
    const uint8_t *whole = from;
    int len = from == NULL ? 0 : subtree->value.sequence->length;
    ASN1_SEQUENCE_ANY *parts = from == NULL ? NULL : d2i_ASN1_SEQUENCE_ANY(NULL, &from, len);
    GENERAL_SUBTREE *out = NULL;

    if (sk_ASN1_TYPE_num(parts) > 0 && kind_of(sk_ASN1_TYPE_value(parts, 0)) < 0)
        out = GENERAL_SUBTREE_new();
    else if (parts != NULL)
        out = (GENERAL_SUBTREE *)ASN1_item_d2i(NULL, &whole, len, ASN1_ITEM_rptr(GENERAL_SUBTREE));
    sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
    return out;
}

/* [0] or [1] IMPLICIT GeneralSubtrees. */
static STACK_OF(GENERAL_SUBTREE) * read_subtrees(struct oracle_cert *cert, const ASN1_TYPE *any)
{
    int len = ASN1_STRING_length(any->value.asn1_string);
    uint8_t *copy = OPENSSL_memdup(ASN1_STRING_get0_data(any->value.asn1_string), (size_t)len);
    const uint8_t *from = copy;
    copy[0] = V_ASN1_SEQUENCE | V_ASN1_CONSTRUCTED;
    ASN1_SEQUENCE_ANY *list = d2i_ASN1_SEQUENCE_ANY(NULL, &from, len);
    STACK_OF(GENERAL_SUBTREE) *subtrees = sk_GENERAL_SUBTREE_new_null();

    if (list == NULL)
        cert->issuer_fault = "the name constraints are damaged";
    for (int i = 0; i < sk_ASN1_TYPE_num(list); i++) {
        GENERAL_SUBTREE *subtree = subtree_of(sk_ASN1_TYPE_value(list, i));
        if (subtree == NULL || sk_GENERAL_SUBTREE_push(subtrees, subtree) == 0)
            cert->issuer_fault = "the name constraints are damaged";
    }
    sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
    OPENSSL_free(copy);
    return subtrees;
}

static NAME_CONSTRAINTS *read_constraints(struct oracle_cert *cert)
{
    ASN1_SEQUENCE_ANY *list = list_of(cert, NID_name_constraints);
    NAME_CONSTRAINTS *out = list == NULL ? NULL : NAME_CONSTRAINTS_new();

    for (int i = 0; i < sk_ASN1_TYPE_num(list); i++) {
        const ASN1_TYPE *any = sk_ASN1_TYPE_value(list, i);
        uint8_t tag = any->type == V_ASN1_OTHER ? ASN1_STRING_get0_data(any->value.asn1_string)[0]
                                                : 0;
        if (tag == 0xa0 && i == 0)
            out->permittedSubtrees = read_subtrees(cert, any);
        else if (tag == 0xa1 && out->excludedSubtrees == NULL)
            out->excludedSubtrees = read_subtrees(cert, any);
        else
            cert->issuer_fault = "the name constraints are damaged";
    }
    sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
    return out;
}

/* Only the identifiers: what a policy says beside them is for people (4.2.1.4), and may be
 * damaged. */
static CERTIFICATEPOLICIES *read_policies(struct oracle_cert *cert)
{
    ASN1_SEQUENCE_ANY *list = list_of(cert, NID_certificate_policies);
    CERTIFICATEPOLICIES *policies = list == NULL ? NULL : sk_POLICYINFO_new_null();

    for (int i = 0; i < sk_ASN1_TYPE_num(list); i++) {
        const ASN1_TYPE *one = sk_ASN1_TYPE_value(list, i);
        const uint8_t *from = one->type == V_ASN1_SEQUENCE ? one->value.sequence->data : NULL;
        ASN1_SEQUENCE_ANY *parts = from == NULL
                                       ? NULL
                                       : d2i_ASN1_SEQUENCE_ANY(NULL, &from,
                                                               one->value.sequence->length);
        POLICYINFO *info = POLICYINFO_new();
        if (sk_ASN1_TYPE_num(parts) > 0 && sk_ASN1_TYPE_value(parts, 0)->type == V_ASN1_OBJECT) {
            info->policyid = OBJ_dup(sk_ASN1_TYPE_value(parts, 0)->value.object);
            sk_POLICYINFO_push(policies, info);
        } else {
            POLICYINFO_free(info); /* what names no policy is none */
        }
        sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
    }
    sk_ASN1_TYPE_pop_free(list, ASN1_TYPE_free);
    return policies;
}

/* Numbers of certificates are 0 or more; NULL: not there. */
static bool is_count(const ASN1_INTEGER *number)
{
    return number == NULL || (ASN1_STRING_type(number) & V_ASN1_NEG) == 0;
}

/* What the ASN.1 of RFC 5280 and its text demand of the extensions' values. */
static const char *form_fault(const struct oracle_cert *cert)
{
    const NAME_CONSTRAINTS *c = cert->constraints;
    if (c != NULL && sk_GENERAL_SUBTREE_num(c->permittedSubtrees) < 1 &&
        sk_GENERAL_SUBTREE_num(c->excludedSubtrees) < 1)
        return "the name constraints are empty (4.2.1.10)";
    if (c != NULL && (cert->basic == NULL || !cert->basic->ca))
        return "name constraints are not in a CA certificate (4.2.1.10)";
    long version = X509_get_version(cert->x509);
    if (version < X509_VERSION_1 || version > X509_VERSION_3)
        return "the version is unknown (4.1.2.1)";
    if (version != X509_VERSION_3 && X509_get_ext_count(cert->x509) > 0)
        return "extensions are not in a certificate of version 3 (4.1.2.9)";
    if (X509_NAME_entry_count(X509_get_issuer_name(cert->x509)) == 0)
        return "the issuer is empty (4.1.2.4)";
    if (ASN1_STRING_length(X509_get0_serialNumber(cert->x509)) > 21) /* with a byte for the sign */
        return "the serial number is longer than 20 bytes (4.1.2.2)";
    if ((cert->basic != NULL && !is_count(cert->basic->pathlen)) || !is_count(cert->inhibit_any) ||
        (cert->policy_constraints != NULL &&
         (!is_count(cert->policy_constraints->requireExplicitPolicy) ||
          !is_count(cert->policy_constraints->inhibitPolicyMapping))))
        return "a number of certificates is negative (4.2.1.9, 4.2.1.11, 4.2.1.14)";
    return NULL;
}

/* 4.2.1.4: a critical extension has to be understood with its qualifiers. */
static const char *qualifier_fault(const struct oracle_cert *cert)
{
    int critical;
    CERTIFICATEPOLICIES *whole = X509_get_ext_d2i(cert->x509, NID_certificate_policies, &critical,
                                                  NULL);
    bool is_known = whole != NULL || critical != 1;

    for (int i = 0; critical == 1 && i < sk_POLICYINFO_num(whole); i++) {
        const STACK_OF(POLICYQUALINFO) *list = sk_POLICYINFO_value(whole, i)->qualifiers;
        for (int k = 0; k < sk_POLICYQUALINFO_num(list); k++) {
            int nid = OBJ_obj2nid(sk_POLICYQUALINFO_value(list, k)->pqualid);
            is_known = is_known && (nid == NID_id_qt_cps || nid == NID_id_qt_unotice);
        }
    }
    CERTIFICATEPOLICIES_free(whole);
    return is_known ? NULL : "a policy qualifier is not known";
}

static void read_extensions(struct oracle_cert *cert)
{
    cert->basic = decode(cert, NID_basic_constraints);
    cert->key_usage = decode(cert, NID_key_usage);
    cert->usages = decode(cert, NID_ext_key_usage);
    cert->names = read_names(cert);
    cert->constraints = read_constraints(cert);
    cert->policies = read_policies(cert);
    cert->mappings = decode(cert, NID_policy_mappings);
    cert->policy_constraints = decode(cert, NID_policy_constraints);
    cert->inhibit_any = decode(cert, NID_inhibit_any_policy);
    if (cert->fault == NULL)
        cert->fault = form_fault(cert);
    if (cert->fault == NULL)
        cert->fault = qualifier_fault(cert);
    for (int i = 0; i < X509_get_ext_count(cert->x509); i++) {
        X509_EXTENSION *extension = X509_get_ext(cert->x509, i);
        const ASN1_OBJECT *type = X509_EXTENSION_get_object(extension);
        if (X509_get_ext_by_OBJ(cert->x509, type, i) >= 0)
            cert->fault = "an extension is there twice";
        if (X509_EXTENSION_get_critical(extension) && !is_known(OBJ_obj2nid(type)))
            cert->fault = "a critical extension is not known";
    }
}

/* RFC 3279, 2.3.1: the parameters are NULL; there are keys without them too. RFC 8017, 3.1: both
 * numbers are odd. */
static bool is_strong_rsa(const X509 *x509, const EVP_PKEY *key)
{
    X509_ALGOR *algorithm = NULL;
    BIGNUM *modulus = NULL, *exponent = NULL;
    int parameters = V_ASN1_UNDEF;

    X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, X509_get_X509_PUBKEY(x509));
    X509_ALGOR_get0(NULL, &parameters, NULL, algorithm);
    bool is = (parameters == V_ASN1_NULL || parameters == V_ASN1_UNDEF) &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
              EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
              BN_num_bits(modulus) >= 2048 && BN_is_odd(modulus) && BN_is_odd(exponent) &&
              BN_num_bits(exponent) >= 2 && BN_num_bits(exponent) <= 32;
    BN_free(modulus);
    BN_free(exponent);
    return is;
}

/* What Holdfast lets be used: RSA from 2048 bits with an exponent of 32 at most, and P-256, P-384,
 * P-521 by their names (RFC 5480, 2.1.1). */
static bool is_strong_key(const X509 *x509)
{
    EVP_PKEY *key = X509_get0_pubkey(x509);
    char curve[32] = "", encoding[16] = "";
    size_t len;
    if (key == NULL)
        return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return is_strong_rsa(x509, key);
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
    if (!is_strong_key(x509))
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

bool x509_anchor_of(struct hf_bytes der, struct hf_trust_anchor *out)
{
    struct oracle_cert cert;
    oracle_cert_read(der.data, der.len, &cert);
    bool is_read = cert.x509 != NULL;
    if (is_read)
        *out = (struct hf_trust_anchor){.der = der,
                                        .not_before_s = cert.not_before_s,
                                        .not_after_s = cert.not_after_s,
                                        .distrust_after_s = INT64_MIN,
                                        .remove_after_s = INT64_MIN};
    oracle_cert_free(&cert);
    return is_read;
}
