#include "common/tuf/key.h"

#include "common/base/digest.h"
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
    const char *key_types[3]; /* old and new names of the same thing; NULL at the end */
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
        for (size_t t = 0; schemes[i].key_types[t] != NULL; t++) {
            if (strcmp(schemes[i].key_types[t], key_type) == 0)
                return schemes[i].scheme;
        }
    }
    return HF_SCHEME_UNKNOWN;
}

/* An ECDSA key as the hexadecimal point that some writers use instead of PEM. */
static bool read_hex_point(const char *text, mbedtls_ecp_group_id curve, mbedtls_pk_context *pk)
{
    uint8_t bytes[POINT_MAX];
    size_t len = strlen(text) / 2;
    if (len == 0 || len > sizeof bytes || !hf_hex_decode(text, bytes, len))
        return false;
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    bool is_read = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
                   mbedtls_ecp_group_load(&group, curve) == 0 &&
                   mbedtls_ecp_point_read_binary(&group, &point, bytes, len) == 0 &&
                   mbedtls_ecp_check_pubkey(&group, &point) == 0 &&
                   mbedtls_ecp_set_public_key(curve, mbedtls_pk_ec(*pk), &point) == 0;
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return is_read;
}

static bool set_public_key(struct hf_key *key, const uint8_t *bytes, size_t len)
{
    key->public_key = malloc(len);
    if (key->public_key == NULL)
        return false;
    memcpy(key->public_key, bytes, len);
    key->public_key_len = len;
    return true;
}

/* Into the normalised form. */
static bool read_public_key(const char *text, struct hf_key *key)
{
    uint8_t der[SPKI_MAX];
    mbedtls_pk_context pk;
    if (key->scheme == HF_SCHEME_UNKNOWN || strlen(text) > HF_PUBLIC_KEY_TEXT_MAX)
        return false;
    if (key->scheme == HF_SCHEME_ED25519)
        return hf_hex_decode(text, der, crypto_sign_PUBLICKEYBYTES) &&
               set_public_key(key, der, crypto_sign_PUBLICKEYBYTES);

    mbedtls_pk_init(&pk);
    mbedtls_ecp_group_id curve = MBEDTLS_ECP_DP_NONE; /* RSA */
    bool is_usable;
    if (key->scheme == HF_SCHEME_ECDSA_P256_SHA256)
        curve = MBEDTLS_ECP_DP_SECP256R1;
    if (key->scheme == HF_SCHEME_ECDSA_P384_SHA384)
        curve = MBEDTLS_ECP_DP_SECP384R1;
    if (curve == MBEDTLS_ECP_DP_NONE || strncmp(text, "-----", 5) == 0) /* the NUL is counted */
        is_usable = mbedtls_pk_parse_public_key(&pk, (const uint8_t *)text, strlen(text) + 1) == 0;
    else
        is_usable = read_hex_point(text, curve, &pk);
    if (curve == MBEDTLS_ECP_DP_NONE)
        is_usable = is_usable && mbedtls_pk_get_type(&pk) == MBEDTLS_PK_RSA &&
                    mbedtls_pk_get_bitlen(&pk) >= RSA_BITS_MIN;
    else
        is_usable = is_usable && mbedtls_pk_can_do(&pk, MBEDTLS_PK_ECDSA) &&
                    mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(pk)) == curve;
    /* Mbed TLS writes DER from the end of the buffer backwards. */
    int len = is_usable ? mbedtls_pk_write_pubkey_der(&pk, der, sizeof der) : 0;
    is_usable = len > 0 && set_public_key(key, der + sizeof der - (size_t)len, (size_t)len);
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

static bool verify_with_pk(const struct hf_key *key, struct hf_bytes message,
                           struct hf_bytes signature)
{
    mbedtls_md_type_t md = key->scheme == HF_SCHEME_ECDSA_P384_SHA384 ? MBEDTLS_MD_SHA384
                                                                      : MBEDTLS_MD_SHA256;
    /* Writers differ in the salt's length (the digest's, or the longest that fits); both are
     * sound. */
    const mbedtls_pk_rsassa_pss_options pss = {.mgf1_hash_id = MBEDTLS_MD_SHA256,
                                               .expected_salt_len = MBEDTLS_RSA_SALT_LEN_ANY};
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    uint8_t digest[HF_SHA512_LEN];
    mbedtls_pk_context pk;
    bool is_valid = false;
    if (info == NULL || mbedtls_md(info, message.data, message.len, digest) != 0)
        return false;
    size_t len = mbedtls_md_get_size(info);
    mbedtls_pk_init(&pk);
    if (mbedtls_pk_parse_public_key(&pk, key->public_key, key->public_key_len) != 0)
        goto out;
    if (key->scheme == HF_SCHEME_RSASSA_PSS_SHA256)
        is_valid = mbedtls_pk_verify_ext(MBEDTLS_PK_RSASSA_PSS, &pss, &pk, md, digest, len,
                                         signature.data, signature.len) == 0;
    else
        is_valid = mbedtls_pk_verify(&pk, md, digest, len, signature.data, signature.len) == 0;
out:
    mbedtls_pk_free(&pk);
    return is_valid;
}

bool hf_key_verify(const struct hf_key *key, struct hf_bytes message, struct hf_bytes signature)
{
    if (key->public_key == NULL || signature.data == NULL || signature.len == 0 ||
        key->scheme == HF_SCHEME_UNKNOWN)
        return false;
    if (key->scheme != HF_SCHEME_ED25519)
        return verify_with_pk(key, message, signature);
    return key->public_key_len == crypto_sign_PUBLICKEYBYTES &&
           signature.len == crypto_sign_BYTES &&
           crypto_sign_verify_detached(signature.data, message.data, message.len,
                                       key->public_key) == 0;
}

enum hf_err hf_keyring_parse(const json_t *keys, const char *what, struct hf_keyring *out,
                             struct hf_why *why)
{
    size_t count = json_object_size(keys);
    if (count > HF_KEYS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s lists %zu keys, at most %d are read", what, count,
                       HF_KEYS_MAX);
    struct hf_keyring ring = {.keys = calloc(count == 0 ? 1 : count, sizeof *ring.keys)};
    if (ring.keys == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading the keys of %s", what);
    const char *key_id;
    json_t *object;
    json_object_foreach(hf_json_iterable(keys), key_id, object)
    {
        enum hf_err err = hf_key_parse(key_id, object, &ring.keys[ring.n_keys], why);
        if (err != HF_OK) {
            hf_keyring_free(&ring);
            return err;
        }
        ring.n_keys++;
    }
    *out = ring;
    return HF_OK;
}

void hf_keyring_free(struct hf_keyring *ring)
{
    if (ring == NULL)
        return;
    for (size_t i = 0; i < ring->n_keys; i++)
        hf_key_free(&ring->keys[i]);
    free(ring->keys);
    *ring = (struct hf_keyring){0};
}

const struct hf_key *hf_keyring_find(const struct hf_keyring *ring, const char *key_id)
{
    for (size_t i = 0; i < ring->n_keys; i++) {
        if (strcmp(ring->keys[i].key_id, key_id) == 0)
            return &ring->keys[i];
    }
    return NULL;
}

enum hf_err hf_role_parse(const char *name, const json_t *object, const char *what,
                          struct hf_role *out, struct hf_why *why)
{
    struct hf_role role = {.name = name};
    json_t *list = NULL;
    HF_TRY(hf_json_get_array(object, "keyids", what, &list, why));
    HF_TRY(hf_json_get_integer(object, "threshold", what, 1, &role.threshold, why));
    size_t count = json_array_size(list);
    if (count > HF_ROLE_KEYS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s lists %zu key ids, at most %d are read", what, count,
                       HF_ROLE_KEYS_MAX);
    role.key_ids = calloc(count == 0 ? 1 : count, sizeof *role.key_ids);
    if (role.key_ids == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", what);
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < count && err == HF_OK; i++) {
        const char *key_id = json_string_value(json_array_get(list, i));
        bool is_repeated = false;
        for (size_t k = 0; k < i && key_id != NULL && !is_repeated; k++)
            is_repeated = strcmp(role.key_ids[k], key_id) == 0;
        if (key_id == NULL)
            err = hf_fail(why, HF_E_FORMAT, "the key ids of %s should be strings", what);
        else if (is_repeated)
            err = hf_fail(why, HF_E_FORMAT, "%s lists one key id twice", what);
        else
            role.key_ids[role.n_key_ids++] = key_id;
    }
    if (err == HF_OK)
        *out = role;
    else
        hf_role_free(&role);
    return err;
}

void hf_role_free(struct hf_role *role)
{
    if (role == NULL)
        return;
    free(role->key_ids);
    *role = (struct hf_role){0};
}
