#include "common/bundle/algorithms.h"

#include "common/bundle/der.h"

#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

#include <stdio.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
/* An exponent of thousands of bits would make one check as slow as a thousand. Real ones have 2 to
 * 17. */
#define RSA_EXPONENT_BITS_MAX 32

#define BYTES(text)                                                                                \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define PKCS_1 "\x2A\x86\x48\x86\xF7\x0D\x01\x01"    /* 1.2.840.113549.1.1 */
#define X9_62 "\x2A\x86\x48\xCE\x3D\x04"             /* 1.2.840.10045.4 */
#define NIST_HASH "\x60\x86\x48\x01\x65\x03\x04\x02" /* 2.16.840.1.101.3.4.2 */

struct algorithm {
    struct hf_bytes oid;
    mbedtls_pk_type_t type;
    mbedtls_md_type_t digest; /* SHA-1 and MD5 are known, and not accepted */
    mbedtls_pk_rsassa_pss_options pss;
};

static const struct algorithm algorithms[] = {
    {BYTES(PKCS_1 "\x0B"), MBEDTLS_PK_RSA, MBEDTLS_MD_SHA256},
    {BYTES(PKCS_1 "\x0C"), MBEDTLS_PK_RSA, MBEDTLS_MD_SHA384},
    {BYTES(PKCS_1 "\x0D"), MBEDTLS_PK_RSA, MBEDTLS_MD_SHA512},
    {BYTES(PKCS_1 "\x0A"), MBEDTLS_PK_RSASSA_PSS, MBEDTLS_MD_NONE}, /* its parameters tell */
    {BYTES(X9_62 "\x03\x02"), MBEDTLS_PK_ECDSA, MBEDTLS_MD_SHA256},
    {BYTES(X9_62 "\x03\x03"), MBEDTLS_PK_ECDSA, MBEDTLS_MD_SHA384},
    {BYTES(X9_62 "\x03\x04"), MBEDTLS_PK_ECDSA, MBEDTLS_MD_SHA512},
    {BYTES(PKCS_1 "\x05"), MBEDTLS_PK_RSA, MBEDTLS_MD_SHA1},
    {BYTES(X9_62 "\x01"), MBEDTLS_PK_ECDSA, MBEDTLS_MD_SHA1},
    {BYTES(PKCS_1 "\x04"), MBEDTLS_PK_RSA, MBEDTLS_MD_MD5},
};

static const struct {
    struct hf_bytes oid;
    mbedtls_md_type_t digest;
} digests[] = {
    {BYTES(NIST_HASH "\x01"), MBEDTLS_MD_SHA256},
    {BYTES(NIST_HASH "\x02"), MBEDTLS_MD_SHA384},
    {BYTES(NIST_HASH "\x03"), MBEDTLS_MD_SHA512},
};

/* AlgorithmIdentifier: an OBJECT IDENTIFIER, and parameters. */
static bool take_identifier(struct hf_bytes *in, struct hf_bytes *oid, struct hf_bytes *parameters)
{
    struct hf_der identifier, id;

    if (!hf_der_take_tag(in, HF_DER_SEQUENCE, &identifier))
        return false;
    *parameters = identifier.contents;
    if (!hf_der_take_tag(parameters, HF_DER_OID, &id))
        return false;
    *oid = id.contents;
    return true;
}

/* The parameters of most are NULL, and absent with some CAs (RFC 4055, 2.1 and 5). */
static bool is_null(struct hf_bytes parameters)
{
    struct hf_der value;

    return parameters.len == 0 || (hf_der_take_tag(&parameters, HF_DER_NULL, &value) &&
                                   value.contents.len == 0 && parameters.len == 0);
}

static bool read_digest(struct hf_bytes in, mbedtls_md_type_t *out)
{
    struct hf_bytes oid, parameters;

    if (!take_identifier(&in, &oid, &parameters) || in.len > 0 || !is_null(parameters))
        return false;
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++)
        if (hf_bytes_equal(digests[i].oid, oid)) {
            *out = digests[i].digest;
            return true;
        }
    return false;
}

/* RSASSA-PSS-params (RFC 4055, 3.1): the same SHA-2 for the digest and for MGF1. The defaults are
 * SHA-1, so both are there. */
static bool read_pss(struct hf_bytes in, struct algorithm *out)
{
    static const struct hf_bytes mgf1 = BYTES(PKCS_1 "\x08");
    const uint8_t tag = HF_DER_CONTEXT | HF_DER_CONSTRUCTED;
    struct hf_bytes oid, parameters, mask;
    struct hf_der list, digest, mgf, salt, number = {.contents = {NULL, 0}};
    mbedtls_md_type_t mgf_digest;

    if (!hf_der_take_tag(&in, HF_DER_SEQUENCE, &list) || in.len > 0)
        return false;
    struct hf_bytes rest = list.contents;
    if (!hf_der_take_tag(&rest, tag | 0, &digest) || !read_digest(digest.contents, &out->digest) ||
        !hf_der_take_tag(&rest, tag | 1, &mgf))
        return false;
    mask = mgf.contents;
    if (!take_identifier(&mask, &oid, &parameters) || mask.len > 0 || !hf_bytes_equal(oid, mgf1) ||
        !read_digest(parameters, &mgf_digest) || mgf_digest != out->digest)
        return false;
    out->pss = (mbedtls_pk_rsassa_pss_options){mgf_digest, 20};
    if (!hf_der_take_tag(&rest, tag | 2, &salt))
        return rest.len == 0;
    if (!hf_der_take_tag(&salt.contents, HF_DER_INTEGER, &number) || salt.contents.len > 0 ||
        !hf_der_read_count(number.contents, &out->pss.expected_salt_len))
        return false;
    return rest.len == 0;
}

static bool find_algorithm(const struct hf_certificate *cert, struct algorithm *out)
{
    struct hf_bytes whole = cert->form.algorithm, oid, parameters;

    if (!take_identifier(&whole, &oid, &parameters))
        return false;
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (!hf_bytes_equal(algorithms[i].oid, oid))
            continue;
        *out = algorithms[i];
        return out->type == MBEDTLS_PK_RSASSA_PSS ? read_pss(parameters, out) : is_null(parameters);
    }
    return false;
}

bool hf_algorithm_is_accepted(const struct hf_certificate *cert)
{
    struct algorithm algorithm;

    return find_algorithm(cert, &algorithm) && algorithm.digest != MBEDTLS_MD_SHA1 &&
           algorithm.digest != MBEDTLS_MD_MD5;
}

/* Would one check take longer than any that is needed? */
static bool is_slow(const mbedtls_pk_context *key)
{
    mbedtls_mpi exponent;

    if (mbedtls_pk_get_type(key) != MBEDTLS_PK_RSA)
        return false;
    mbedtls_mpi_init(&exponent);
    bool is_short = mbedtls_rsa_export(mbedtls_pk_rsa(*key), NULL, NULL, NULL, NULL, &exponent) ==
                        0 &&
                    mbedtls_mpi_bitlen(&exponent) <= RSA_EXPONENT_BITS_MAX;
    mbedtls_mpi_free(&exponent);
    return !is_short || mbedtls_pk_get_bitlen(key) > RSA_BITS_MAX;
}

static bool is_accepted(const mbedtls_pk_context *key)
{
    if (mbedtls_pk_get_type(key) == MBEDTLS_PK_RSA)
        return mbedtls_pk_get_bitlen(key) >= RSA_BITS_MIN && !is_slow(key);
    if (mbedtls_pk_get_type(key) != MBEDTLS_PK_ECKEY)
        return false;
    mbedtls_ecp_group_id group = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*key));
    return group == MBEDTLS_ECP_DP_SECP256R1 || group == MBEDTLS_ECP_DP_SECP384R1 ||
           group == MBEDTLS_ECP_DP_SECP521R1;
}

/* Of an INTEGER that is not negative. */
static size_t bit_length(struct hf_bytes number)
{
    size_t bits = number.len * 8, i = 0;

    while (i < bits && (number.data[i / 8] >> (7 - i % 8) & 1) == 0)
        i++;
    return bits - i;
}

/* RSAPublicKey (RFC 8017, A.1.1). Too few bits are weak, which is another fault. */
static bool is_unsupported_rsa(struct hf_bytes bits, char out[HF_UNSUPPORTED_MAX])
{
    struct hf_bytes in = {bits.data + 1, bits.len - 1};
    struct hf_der key, modulus, exponent;

    if (!hf_der_take_tag(&in, HF_DER_SEQUENCE, &key) ||
        !hf_der_take_tag(&key.contents, HF_DER_INTEGER, &modulus) ||
        !hf_der_take_tag(&key.contents, HF_DER_INTEGER, &exponent))
        return false;
    size_t n_bits = bit_length(modulus.contents), exponent_bits = bit_length(exponent.contents);
    if (n_bits > RSA_BITS_MAX)
        (void)snprintf(out, HF_UNSUPPORTED_MAX, "RSA key of %zu bits (expected %d to %d)", n_bits,
                       RSA_BITS_MIN, RSA_BITS_MAX);
    else if (exponent_bits > RSA_EXPONENT_BITS_MAX)
        (void)snprintf(out, HF_UNSUPPORTED_MAX,
                       "RSA key with an exponent of %zu bits (expected at most %d)", exponent_bits,
                       RSA_EXPONENT_BITS_MAX);
    return n_bits > RSA_BITS_MAX || exponent_bits > RSA_EXPONENT_BITS_MAX;
}

/* ECParameters (RFC 5480, 2.1.1): a name, or what the RFC forbids. */
static bool is_unsupported_curve(struct hf_bytes parameters, char out[HF_UNSUPPORTED_MAX])
{
    static const struct hf_bytes curves[] = {BYTES(MBEDTLS_OID_EC_GRP_SECP256R1),
                                             BYTES(MBEDTLS_OID_EC_GRP_SECP384R1),
                                             BYTES(MBEDTLS_OID_EC_GRP_SECP521R1)};
    struct hf_der curve;

    if (!hf_der_take(&parameters, &curve))
        return false;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (curve.tag == HF_DER_OID && hf_bytes_equal(curve.contents, curves[i]))
            return false;
    if (curve.tag == HF_DER_OID)
        hf_x509_oid_text("elliptic curve", curve.contents, out);
    else
        (void)snprintf(out, HF_UNSUPPORTED_MAX, "elliptic curve that has no name");
    return true;
}

bool hf_key_unsupported(const struct hf_x509_form *form, char out[HF_UNSUPPORTED_MAX])
{
    static const struct hf_bytes rsa = BYTES(MBEDTLS_OID_PKCS1_RSA),
                                 curve = BYTES(MBEDTLS_OID_EC_ALG_UNRESTRICTED);
    struct hf_bytes in = form->spki, oid, parameters;
    struct hf_der spki, bits;

    if (!hf_der_take_tag(&in, HF_DER_SEQUENCE, &spki) ||
        !take_identifier(&spki.contents, &oid, &parameters) ||
        !hf_der_take_tag(&spki.contents, HF_DER_BIT_STRING, &bits))
        return false;
    if (hf_bytes_equal(oid, curve))
        return is_unsupported_curve(parameters, out);
    if (hf_bytes_equal(oid, rsa))
        return is_unsupported_rsa(bits.contents, out);
    hf_x509_oid_text("key type", oid, out);
    return true;
}

/* mbedtls_pk_free(key) in any case. */
static int parse_key(const struct hf_certificate *cert, mbedtls_pk_context *key)
{
    struct hf_bytes spki = cert->form.spki;
    unsigned char *at = (unsigned char *)(uintptr_t)spki.data; /* Mbed TLS only reads */

    mbedtls_pk_init(key);
    return mbedtls_pk_parse_subpubkey(&at, spki.data + spki.len, key);
}

bool hf_key_is_accepted(const struct hf_certificate *cert)
{
    mbedtls_pk_context key;
    bool is_good = parse_key(cert, &key) == 0 && is_accepted(&key);

    mbedtls_pk_free(&key);
    return is_good;
}

void hf_algorithm_signature_fault(const struct hf_certificate *cert,
                                  char out[HF_ALGORITHM_FAULT_MAX])
{
    struct algorithm algorithm = {.type = MBEDTLS_PK_NONE};
    char text[HF_UNSUPPORTED_MAX];

    if (find_algorithm(cert, &algorithm))
        (void)snprintf(text, sizeof text, "signed with %s",
                       algorithm.digest == MBEDTLS_MD_MD5 ? "MD5" : "SHA-1");
    else
        hf_x509_oid_text("signed with", cert->form.signature_oid, text);
    (void)snprintf(out, HF_ALGORITHM_FAULT_MAX,
                   "%s%s (expected RSA or ECDSA with SHA-256 or better)", text,
                   algorithm.type == MBEDTLS_PK_RSASSA_PSS
                       ? ", with parameters that are not accepted"
                       : "");
}

void hf_algorithm_key_fault(const struct hf_certificate *cert, char out[HF_ALGORITHM_FAULT_MAX])
{
    char text[HF_UNSUPPORTED_MAX];
    mbedtls_pk_context key;

    if (parse_key(cert, &key) == 0 && mbedtls_pk_get_type(&key) == MBEDTLS_PK_RSA &&
        mbedtls_pk_get_bitlen(&key) < RSA_BITS_MIN)
        (void)snprintf(text, sizeof text, "RSA key of %zu bits (expected %d to %d)",
                       mbedtls_pk_get_bitlen(&key), RSA_BITS_MIN, RSA_BITS_MAX);
    else if (!hf_key_unsupported(&cert->form, text))
        (void)snprintf(text, sizeof text, "form of key");
    mbedtls_pk_free(&key);
    (void)snprintf(out, HF_ALGORITHM_FAULT_MAX, "its key is not accepted: %s%s", text,
                   strchr(text, '(') == NULL ? " (expected RSA, P-256, P-384 or P-521)" : "");
}

static bool is_shortage(int code)
{
    int high = -(-code & 0xFF80), low = -(-code & 0x7F);

    return high == MBEDTLS_ERR_PK_ALLOC_FAILED || high == MBEDTLS_ERR_ECP_ALLOC_FAILED ||
           low == MBEDTLS_ERR_ASN1_ALLOC_FAILED || low == MBEDTLS_ERR_MPI_ALLOC_FAILED ||
           high == MBEDTLS_ERR_MD_ALLOC_FAILED;
}

enum hf_signature hf_signature_verify(const struct hf_certificate *cert,
                                      const struct hf_certificate *issuer)
{
    struct algorithm algorithm;
    struct hf_bytes bits = cert->form.signature, tbs = cert->form.tbs;
    enum hf_signature result = HF_SIGNATURE_BAD;
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    mbedtls_pk_context key;

    if (!find_algorithm(cert, &algorithm) || bits.data[0] != 0)
        return HF_SIGNATURE_BAD;
    const mbedtls_md_info_t *md = mbedtls_md_info_from_type(algorithm.digest);
    int code = parse_key(issuer, &key);
    if (code == 0 && is_slow(&key))
        goto out;
    if (code == 0)
        code = mbedtls_md(md, tbs.data, tbs.len, hash);
    if (code == 0)
        code = mbedtls_pk_verify_ext(algorithm.type,
                                     algorithm.type == MBEDTLS_PK_RSASSA_PSS ? &algorithm.pss
                                                                             : NULL,
                                     &key, algorithm.digest, hash, mbedtls_md_get_size(md),
                                     bits.data + 1, bits.len - 1);
    if (code == 0)
        result = is_accepted(&key) && hf_algorithm_is_accepted(cert) ? HF_SIGNATURE_GOOD
                                                                     : HF_SIGNATURE_WEAK;
    else if (is_shortage(code))
        result = HF_SIGNATURE_NO_MEMORY;
out:
    mbedtls_pk_free(&key);
    return result;
}
