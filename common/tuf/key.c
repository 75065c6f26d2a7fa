#include "common/tuf/key.h"

#include "common/base/digest.h"
#include "common/base/hex.h"
#include "common/base/limits.h"
#include "common/json/json.h"

#include <mbedtls/pk.h>
#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define SPKI_MAX 2200          /* bytes; RSA-16384 */
#define POINT_MAX (1 + 2 * 48) /* bytes; uncompressed, P-384 */

static const struct {
    enum hf_scheme scheme;
    const char *name;
    const char *key_types[3]; /* old and new names of the same thing */
} schemes[] = {
    {HF_SCHEME_ED25519, "ed25519", {"ed25519"}},
    {HF_SCHEME_ECDSA_P256_SHA256, "ecdsa-sha2-nistp256", {"ecdsa", "ecdsa-sha2-nistp256"}},
    {HF_SCHEME_ECDSA_P384_SHA384, "ecdsa-sha2-nistp384", {"ecdsa", "ecdsa-sha2-nistp384"}},
    {HF_SCHEME_RSASSA_PSS_SHA256, "rsassa-pss-sha256", {"rsa"}},
    {HF_SCHEME_RSA_PKCS1V15_SHA256, "rsa-pkcs1v15-sha256", {"rsa"}},
};

const char *hf_scheme_name(enum hf_scheme scheme)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (schemes[i].scheme == scheme)
            return schemes[i].name;
    }
    return "unknown";
}

static enum hf_scheme find_scheme(const char *key_type, const char *name)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strcmp(schemes[i].name, name) != 0)
            continue;
        for (size_t t = 0; t < 3 && schemes[i].key_types[t] != NULL; t++) {
            if (strcmp(schemes[i].key_types[t], key_type) == 0)
                return schemes[i].scheme;
        }
    }
    return HF_SCHEME_UNKNOWN;
}

static mbedtls_ecp_group_id curve_of(enum hf_scheme scheme)
{
    return scheme == HF_SCHEME_ECDSA_P256_SHA256   ? MBEDTLS_ECP_DP_SECP256R1
           : scheme == HF_SCHEME_ECDSA_P384_SHA384 ? MBEDTLS_ECP_DP_SECP384R1
                                                   : MBEDTLS_ECP_DP_NONE;
}

static bool set_point(mbedtls_pk_context *pk, mbedtls_ecp_group_id curve, const uint8_t *bytes,
                      size_t len)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    bool is_set = mbedtls_ecp_group_load(&group, curve) == 0 &&
                  mbedtls_ecp_point_read_binary(&group, &point, bytes, len) == 0 &&
                  mbedtls_ecp_check_pubkey(&group, &point) == 0 &&
                  mbedtls_ecp_set_public_key(curve, mbedtls_pk_ec(*pk), &point) == 0;
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return is_set;
}

/* An ECDSA key as the hexadecimal point that some writers use instead of PEM. */
static bool read_hex_point(const char *text, mbedtls_ecp_group_id curve, mbedtls_pk_context *pk)
{
    uint8_t bytes[POINT_MAX];
    size_t len = strlen(text) / 2;
    if (len == 0 || len > sizeof bytes || !hf_hex_decode(text, bytes, len))
        return false;
    return mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
           set_point(pk, curve, bytes, len);
}

/* An ECDSA or RSA key as PEM; Mbed TLS wants the NUL counted. */
static bool read_pem(const char *text, mbedtls_pk_context *pk)
{
    return mbedtls_pk_parse_public_key(pk, (const unsigned char *)text, strlen(text) + 1) == 0;
}

static bool fits_scheme(mbedtls_pk_context *pk, enum hf_scheme scheme)
{
    mbedtls_ecp_group_id curve = curve_of(scheme);
    if (curve == MBEDTLS_ECP_DP_NONE)
        return mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA &&
               mbedtls_pk_get_bitlen(pk) >= RSA_BITS_MIN;
    if (!mbedtls_pk_can_do(pk, MBEDTLS_PK_ECDSA))
        return false;
    const mbedtls_ecp_keypair *ec = mbedtls_pk_ec(*pk);
    return mbedtls_ecp_keypair_get_group_id(ec) == curve;
}

static bool take_public_key(struct hf_key *key, const uint8_t *bytes, size_t len)
{
    key->public_key = malloc(len);
    if (key->public_key == NULL)
        return false;
    memcpy(key->public_key, bytes, len);
    key->public_key_len = len;
    return true;
}

/* Mbed TLS writes DER from the end of the buffer backwards. */
static bool normalise(mbedtls_pk_context *pk, struct hf_key *key)
{
    uint8_t der[SPKI_MAX];
    int len = mbedtls_pk_write_pubkey_der(pk, der, sizeof der);
    return len > 0 && take_public_key(key, der + sizeof der - (size_t)len, (size_t)len);
}

static bool read_ed25519(const char *text, struct hf_key *key)
{
    uint8_t point[crypto_sign_PUBLICKEYBYTES];
    return hf_hex_decode(text, point, sizeof point) && take_public_key(key, point, sizeof point);
}

static bool read_public_key(const char *text, struct hf_key *key)
{
    if (key->scheme == HF_SCHEME_UNKNOWN || strlen(text) > HF_PUBLIC_KEY_TEXT_MAX)
        return false;
    if (key->scheme == HF_SCHEME_ED25519)
        return read_ed25519(text, key);

    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    mbedtls_ecp_group_id curve = curve_of(key->scheme);
    bool is_hex = curve != MBEDTLS_ECP_DP_NONE && strncmp(text, "-----", 5) != 0;
    bool is_read = is_hex ? read_hex_point(text, curve, &pk) : read_pem(text, &pk);
    bool is_usable = is_read && fits_scheme(&pk, key->scheme) && normalise(&pk, key);
    mbedtls_pk_free(&pk);
    return is_usable;
}

enum hf_err hf_key_parse(const char *key_id, const json_t *object, struct hf_key *out,
                         struct hf_why *why)
{
    const char *key_type = NULL;
    const char *scheme = NULL;
    HF_TRY(hf_json_get_text(object, "keytype", "a key", &key_type, why));
    HF_TRY(hf_json_get_text(object, "scheme", "a key", &scheme, why));

    struct hf_key key = {.key_id = key_id, .scheme = find_scheme(key_type, scheme)};
    /* keyval of a future type may have another shape */
    const json_t *keyval = json_object_get(object, "keyval");
    const char *text = json_string_value(json_object_get(keyval, "public"));
    if (text == NULL || !read_public_key(text, &key))
        key.scheme = HF_SCHEME_UNKNOWN;
    *out = key;
    return HF_OK;
}

void hf_key_free(struct hf_key *key)
{
    if (key == NULL)
        return;
    free(key->public_key);
    *key = (struct hf_key){0};
}

bool hf_key_same(const struct hf_key *a, const struct hf_key *b)
{
    if (a->public_key == NULL || b->public_key == NULL)
        return false;
    return a->public_key_len == b->public_key_len &&
           memcmp(a->public_key, b->public_key, a->public_key_len) == 0;
}

static bool verify_ed25519(const struct hf_key *key, struct hf_bytes message,
                           struct hf_bytes signature)
{
    return key->public_key_len == crypto_sign_PUBLICKEYBYTES &&
           signature.len == crypto_sign_BYTES &&
           crypto_sign_verify_detached(signature.data, message.data, message.len,
                                       key->public_key) == 0;
}

static bool verify_ecdsa(mbedtls_pk_context *pk, enum hf_scheme scheme, struct hf_bytes message,
                         struct hf_bytes signature)
{
    uint8_t digest[HF_SHA512_LEN];
    mbedtls_md_type_t md = scheme == HF_SCHEME_ECDSA_P384_SHA384 ? MBEDTLS_MD_SHA384
                                                                 : MBEDTLS_MD_SHA256;
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    if (info == NULL || mbedtls_md(info, message.data, message.len, digest) != 0)
        return false;
    return mbedtls_pk_verify(pk, md, digest, mbedtls_md_get_size(info), signature.data,
                             signature.len) == 0;
}

static bool verify_rsa(mbedtls_pk_context *pk, enum hf_scheme scheme, struct hf_bytes message,
                       struct hf_bytes signature)
{
    uint8_t digest[HF_SHA256_LEN];
    hf_sha256(message, digest);
    if (scheme == HF_SCHEME_RSA_PKCS1V15_SHA256)
        return mbedtls_pk_verify(pk, MBEDTLS_MD_SHA256, digest, sizeof digest, signature.data,
                                 signature.len) == 0;
    /* Writers differ in the salt's length (the digest's, or the longest that fits); both are sound.
     */
    mbedtls_pk_rsassa_pss_options pss = {.mgf1_hash_id = MBEDTLS_MD_SHA256,
                                         .expected_salt_len = MBEDTLS_RSA_SALT_LEN_ANY};
    return mbedtls_pk_verify_ext(MBEDTLS_PK_RSASSA_PSS, &pss, pk, MBEDTLS_MD_SHA256, digest,
                                 sizeof digest, signature.data, signature.len) == 0;
}

static bool verify_with_pk(const struct hf_key *key, struct hf_bytes message,
                           struct hf_bytes signature)
{
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    bool is_valid = false;
    if (mbedtls_pk_parse_public_key(&pk, key->public_key, key->public_key_len) == 0)
        is_valid = curve_of(key->scheme) != MBEDTLS_ECP_DP_NONE
                       ? verify_ecdsa(&pk, key->scheme, message, signature)
                       : verify_rsa(&pk, key->scheme, message, signature);
    mbedtls_pk_free(&pk);
    return is_valid;
}

bool hf_key_verify(const struct hf_key *key, struct hf_bytes message, struct hf_bytes signature)
{
    if (key->public_key == NULL || signature.data == NULL || signature.len == 0)
        return false;
    switch (key->scheme) {
    case HF_SCHEME_ED25519:
        return verify_ed25519(key, message, signature);
    case HF_SCHEME_ECDSA_P256_SHA256:
    case HF_SCHEME_ECDSA_P384_SHA384:
    case HF_SCHEME_RSASSA_PSS_SHA256:
    case HF_SCHEME_RSA_PKCS1V15_SHA256:
        return verify_with_pk(key, message, signature);
    case HF_SCHEME_UNKNOWN:
        break;
    }
    return false;
}
