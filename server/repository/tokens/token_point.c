#include "server/repository/tokens/token_point.h"

#include "server/repository/base/public_key.h"

#include <mbedtls/pk.h>
#include <sodium.h>

#include <string.h>

#define DER_OCTET_STRING 0x04
#define P256_POINT_LEN 65 /* uncompressed: 04, x, y */
#define PEM_MAX 256       /* a P-256 key has 178 */

static const struct {
    enum hf_token_key_type type;
    uint8_t len;
    uint8_t der[16];
} curves[] = {
    {HF_TOKEN_ED25519, 14,
     "\x13\x0c"
     "edwards25519"},
    {HF_TOKEN_ED25519, 5, {0x06, 0x03, 0x2b, 0x65, 0x70}}, /* 1.3.101.112 (RFC 8410) */
    {HF_TOKEN_ED25519,
     11,
     /* 1.3.6.1.4.1.11591.15.1: what OpenPGP cards say */
     {0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01}},
    /* 1.2.840.10045.3.1.7 (RFC 5480) */
    {HF_TOKEN_ECDSA_P256, 10, {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}},
    {HF_TOKEN_ECDSA_P256, 11,
     "\x13\x09"
     "secp256r1"},
};

bool hf_token_curve_parse(struct hf_bytes ec_params, enum hf_token_key_type *out)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        struct hf_bytes known = {curves[i].der, curves[i].len};
        if (hf_bytes_equal(known, ec_params)) {
            *out = curves[i].type;
            return true;
        }
    }
    return false;
}

/* Both points are shorter than 128 bytes, so their DER has one byte of length, and no bare one of
 * the right length can be mistaken for it. */
static bool unwrap(struct hf_bytes ec_point, size_t len, struct hf_bytes *out)
{
    if (ec_point.len == len) {
        *out = ec_point;
        return true;
    }
    if (ec_point.len != len + 2 || ec_point.data[0] != DER_OCTET_STRING || ec_point.data[1] != len)
        return false;
    *out = (struct hf_bytes){ec_point.data + 2, len};
    return true;
}

static bool write_p256_pem(struct hf_bytes point, unsigned char pem[PEM_MAX])
{
    const mbedtls_ecp_group_id curve = MBEDTLS_ECP_DP_SECP256R1;
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    mbedtls_pk_context pk;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_pk_init(&pk);
    bool is_written = mbedtls_ecp_group_load(&group, curve) == 0 &&
                      mbedtls_ecp_point_read_binary(&group, &q, point.data, point.len) == 0 &&
                      mbedtls_ecp_check_pubkey(&group, &q) == 0 &&
                      mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
                      mbedtls_ecp_set_public_key(curve, mbedtls_pk_ec(pk), &q) == 0 &&
                      mbedtls_pk_write_pubkey_pem(&pk, pem, PEM_MAX) == 0;
    mbedtls_pk_free(&pk);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return is_written;
}

enum hf_err hf_token_point_to_json(enum hf_token_key_type type, struct hf_bytes ec_point,
                                   json_t **out, struct hf_why *why)
{
    struct hf_bytes point;
    unsigned char pem[PEM_MAX];
    json_t *object = NULL;
    if (type == HF_TOKEN_ED25519) {
        if (!unwrap(ec_point, HF_PUBLIC_KEY_LEN, &point) ||
            crypto_core_ed25519_is_valid_point(point.data) != 1)
            return hf_fail(why, HF_E_KEY, "the token shows no point of Ed25519 as its public key");
        HF_TRY(hf_public_key_to_json(point.data, &object, why));
    } else {
        if (!unwrap(ec_point, P256_POINT_LEN, &point) || !write_p256_pem(point, pem))
            return hf_fail(why, HF_E_KEY, "the token shows no point of P-256 as its public key");
        object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", "ecdsa", "scheme",
                           "ecdsa-sha2-nistp256", "keyval", "public", (const char *)pem);
        if (object == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
    }
    if (!hf_public_key_is_usable(object)) {
        json_decref(object);
        return hf_fail(why, HF_E_KEY, "devices could not use the public key that the token shows");
    }
    *out = object;
    return HF_OK;
}
