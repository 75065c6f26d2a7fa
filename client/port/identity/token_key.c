#include "client/port/identity/token_key.h"

#include "client/port/identity/limits.h"
#include "client/port/identity/token_module.h"

#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>

#include <stdlib.h>
#include <string.h>

#define SIGNATURE_MAX 1024 /* bytes: RSA 8192 */

/* Mbed TLS 3.6 supports these two; keys on P-521 are outside the table of the service. */
static const struct curve {
    uint8_t parameters[10]; /* CKA_EC_PARAMS: the OID in DER */
    size_t parameters_len;
    uint8_t spki[26]; /* the SubjectPublicKeyInfo up to the point */
    size_t spki_len;
    size_t coordinate; /* bytes */
} curves[] = {
    {{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07},
     10,
     {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
      0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00},
     26,
     32},
    {{0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22},
     7,
     {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02,
      0x01, 0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00},
     23,
     48},
};

struct hf_pkcs11_key {
    struct hf_pkcs11_uri uri;
    struct hf_pkcs11_session session;
    struct hf_buf spki;        /* empty until it was read */
    const struct curve *curve; /* NULL for RSA */
    CK_OBJECT_HANDLE private_key;
    bool has_private_key;
};

enum hf_err hf_pkcs11_key_new(const char *uri, struct hf_pkcs11_key **out, struct hf_why *why)
{
    struct hf_pkcs11_key *key = calloc(1, sizeof *key);

    if (key == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a key in a token");
    enum hf_err err = hf_pkcs11_uri_parse(uri, &key->uri, why);
    if (err == HF_OK)
        *out = key;
    else
        free(key);
    return err;
}

void hf_pkcs11_key_free(struct hf_pkcs11_key *key)
{
    if (key == NULL)
        return;
    hf_pkcs11_session_close(&key->session);
    hf_buf_free(&key->spki);
    free(key);
}

/* ---- the public half ------------------------------------------------------------------------- */

struct value {
    uint8_t bytes[HF_PUBLIC_KEY_DER_MAX];
    CK_ULONG len;
};

static CK_RV get(const struct hf_pkcs11_key *key, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                 struct value *out)
{
    CK_ATTRIBUTE attribute = {type, out->bytes, sizeof out->bytes};
    CK_RV rv = key->session.functions->C_GetAttributeValue(key->session.handle, object, &attribute,
                                                           1);

    out->len = rv == CKR_OK ? attribute.ulValueLen : 0;
    return rv;
}

/* The point is an OCTET STRING in DER; some tokens leave out its two first bytes. */
static enum hf_err read_ec(struct hf_pkcs11_key *key, CK_OBJECT_HANDLE object, struct hf_why *why)
{
    struct value parameters, point;

    CK_RV rv = get(key, object, CKA_EC_PARAMS, &parameters);
    if (rv == CKR_OK)
        rv = get(key, object, CKA_EC_POINT, &point);
    if (rv != CKR_OK)
        return hf_pkcs11_fail(rv, "show a public key", why);
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        const struct curve *curve = &curves[i];
        size_t len = 1 + 2 * curve->coordinate;
        if (parameters.len != curve->parameters_len ||
            memcmp(parameters.bytes, curve->parameters, parameters.len) != 0 || point.len < len ||
            point.len > len + 3 || point.bytes[point.len - len] != 0x04)
            continue;
        if (hf_buf_append(&key->spki, curve->spki, curve->spki_len) != HF_OK ||
            hf_buf_append(&key->spki, point.bytes + point.len - len, len) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
        key->curve = curve;
        return HF_OK;
    }
    return hf_fail(why, HF_E_KEY, "the key in the token is on a curve other than P-256 and P-384");
}

static enum hf_err read_rsa(struct hf_pkcs11_key *key, CK_OBJECT_HANDLE object, struct hf_why *why)
{
    unsigned char der[HF_PUBLIC_KEY_DER_MAX];
    struct value n, e;
    mbedtls_pk_context pk;
    int len = -1;

    CK_RV rv = get(key, object, CKA_MODULUS, &n);
    if (rv == CKR_OK)
        rv = get(key, object, CKA_PUBLIC_EXPONENT, &e);
    if (rv != CKR_OK)
        return hf_pkcs11_fail(rv, "show a public key", why);
    mbedtls_pk_init(&pk);
    if (mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)) == 0 &&
        mbedtls_rsa_import_raw(mbedtls_pk_rsa(pk), n.bytes, n.len, NULL, 0, NULL, 0, NULL, 0,
                               e.bytes, e.len) == 0 &&
        mbedtls_rsa_complete(mbedtls_pk_rsa(pk)) == 0)
        len = mbedtls_pk_write_pubkey_der(&pk, der, sizeof der);
    mbedtls_pk_free(&pk);
    if (len <= 0 || hf_buf_append(&key->spki, der + sizeof der - len, (size_t)len) != HF_OK)
        return hf_fail(why, HF_E_KEY, "the RSA key in the token is not usable");
    return HF_OK;
}

static enum hf_err read_public(struct hf_pkcs11_key *key, struct hf_why *why)
{
    CK_OBJECT_HANDLE object = 0;
    CK_KEY_TYPE type = 0;
    CK_ATTRIBUTE attribute = {CKA_KEY_TYPE, &type, sizeof type};

    if (key->session.module == NULL)
        HF_TRY(hf_pkcs11_session_open(&key->uri, &key->session, why));
    if (key->spki.len > 0)
        return HF_OK;
    enum hf_err err = hf_pkcs11_session_find(&key->session, &key->uri, CKO_PUBLIC_KEY, &object,
                                             why);
    /* Some tokens hide even these until the PIN is given. */
    if (err == HF_E_NOT_FOUND && key->uri.pin_file[0] != '\0') {
        HF_TRY(hf_pkcs11_session_log_in(&key->session, &key->uri, why));
        err = hf_pkcs11_session_find(&key->session, &key->uri, CKO_PUBLIC_KEY, &object, why);
    }
    HF_TRY(err);
    CK_RV rv = key->session.functions->C_GetAttributeValue(key->session.handle, object, &attribute,
                                                           1);
    if (rv != CKR_OK)
        return hf_pkcs11_fail(rv, "show a public key", why);
    if (type == CKK_EC)
        return read_ec(key, object, why);
    return type == CKK_RSA ? read_rsa(key, object, why)
                           : hf_fail(why, HF_E_KEY,
                                     "the key in the token is of a kind that TLS clients do not "
                                     "use: expected P-256, P-384 or RSA");
}

/* After a failure. A token that was taken out knows the session no more: the next call opens
 * another. */
static void drop_session(struct hf_pkcs11_key *key)
{
    hf_pkcs11_session_close(&key->session);
    key->has_private_key = false;
}

static enum hf_err public_key(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    struct hf_pkcs11_key *key = ctx;
    enum hf_err err = read_public(key, why);

    if (err != HF_OK) {
        drop_session(key);
        return err;
    }
    return hf_buf_append(out, key->spki.data, key->spki.len) == HF_OK
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "out of memory for a public key");
}

/* ---- signatures ------------------------------------------------------------------------------ */

/* Append the INTEGER whose big-endian bytes these are, without leading zeros (X.690, 8.3). */
static enum hf_err append_integer(struct hf_buf *out, const uint8_t *bytes, size_t len)
{
    while (len > 1 && *bytes == 0) {
        bytes++;
        len--;
    }
    const uint8_t head[3] = {0x02, (uint8_t)(len + (*bytes >> 7)), 0};
    HF_TRY(hf_buf_append(out, head, 2u + (*bytes >> 7)));
    return hf_buf_append(out, bytes, len);
}

/* A token signs r and s side by side; TLS and certificates want a SEQUENCE of two INTEGERs. */
static enum hf_err append_ecdsa(struct hf_buf *out, const uint8_t *raw, size_t coordinate)
{
    struct hf_buf integers = {0};

    enum hf_err err = append_integer(&integers, raw, coordinate);
    if (err == HF_OK)
        err = append_integer(&integers, raw + coordinate, coordinate);
    /* At most 2 * (2 + 1 + 48) bytes, so the length is one byte. */
    const uint8_t head[2] = {0x30, (uint8_t)integers.len};
    if (err == HF_OK)
        err = hf_buf_append(out, head, sizeof head);
    if (err == HF_OK)
        err = hf_buf_append(out, integers.data, integers.len);
    hf_buf_free(&integers);
    return err;
}

/* The DigestInfo of RFC 8017, 9.2, note 1: the same for all three, but for two lengths and the last
 * arc. */
static size_t digest_info(struct hf_bytes digest, uint8_t out[19 + 64])
{
    static const uint8_t prefix[19] = {0x30, 0,    0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                       0x65, 0x03, 0x04, 0x02, 0,    0x05, 0x00, 0x04, 0};

    memcpy(out, prefix, sizeof prefix);
    out[1] = (uint8_t)(17 + digest.len);
    out[14] = (uint8_t)(digest.len / 16 - 1); /* 32: 1, 48: 2, 64: 3 */
    out[18] = (uint8_t)digest.len;
    memcpy(out + sizeof prefix, digest.data, digest.len);
    return sizeof prefix + digest.len;
}

static enum hf_err find_private(struct hf_pkcs11_key *key, struct hf_why *why)
{
    HF_TRY(read_public(key, why));
    if (key->has_private_key)
        return HF_OK;
    HF_TRY(hf_pkcs11_session_log_in(&key->session, &key->uri, why));
    HF_TRY(
        hf_pkcs11_session_find(&key->session, &key->uri, CKO_PRIVATE_KEY, &key->private_key, why));
    key->has_private_key = true;
    return HF_OK;
}

static enum hf_err sign(void *ctx, struct hf_bytes digest, struct hf_buf *signature,
                        struct hf_why *why)
{
    struct hf_pkcs11_key *key = ctx;
    uint8_t data[19 + 64], raw[SIGNATURE_MAX];
    CK_ULONG raw_len = sizeof raw;

    if (digest.len != 32 && digest.len != 48 && digest.len != 64)
        return hf_fail(why, HF_E_ARGUMENT, "expected a digest of 32, 48 or 64 bytes");
    enum hf_err err = find_private(key, why);
    CK_MECHANISM mechanism = {key->curve != NULL ? CKM_ECDSA : CKM_RSA_PKCS, NULL, 0};
    size_t len = key->curve == NULL ? digest_info(digest, data) : digest.len;
    if (key->curve != NULL) { /* ECDSA takes the leftmost bits (FIPS 186-5, 6.4.1) */
        memcpy(data, digest.data, digest.len);
        len = len > key->curve->coordinate ? key->curve->coordinate : len;
    }
    if (err == HF_OK) {
        CK_FUNCTION_LIST *functions = key->session.functions;
        CK_RV rv = functions->C_SignInit(key->session.handle, &mechanism, key->private_key);
        if (rv == CKR_OK)
            rv = functions->C_Sign(key->session.handle, data, (CK_ULONG)len, raw, &raw_len);
        if (rv != CKR_OK)
            err = hf_pkcs11_fail(rv, "sign", why);
    }
    if (err != HF_OK) {
        drop_session(key);
        return err;
    }
    if (key->curve != NULL && raw_len != 2 * key->curve->coordinate)
        return hf_fail(why, HF_E_KEY, "the token made a signature of another length");
    err = key->curve != NULL ? append_ecdsa(signature, raw, key->curve->coordinate)
                             : hf_buf_append(signature, raw, raw_len);
    return err == HF_OK ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory for a signature");
}

struct hf_device_key hf_pkcs11_key_port(struct hf_pkcs11_key *key)
{
    return (struct hf_device_key){key, public_key, sign};
}
