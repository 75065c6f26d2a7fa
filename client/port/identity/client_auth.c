#include "client/port/identity/client_auth.h"

#include "client/port/identity/device_key.h"
#include "client/port/identity/limits.h"

#include "common/bundle/cert.h"
#include "common/bundle/pem.h"
#include "common/os/file_util.h"
#include "common/tls/handshake.h"

#include <mbedtls/psa_util.h>
#include <psa/crypto.h>

#include <sodium.h>
#include <string.h>

/* Mbed TLS tells PEM by the NUL behind it, which it wants counted; every hf_buf ends with one. */
static enum hf_err read_file(const char *path, bool is_secret, struct hf_buf *out,
                             struct hf_why *why)
{
    HF_TRY(is_secret ? hf_file_read_secret(path, HF_CLIENT_AUTH_BYTES_MAX, out, why)
                     : hf_file_read(path, HF_CLIENT_AUTH_BYTES_MAX, out, why));
    return out->len > 0 ? HF_OK : hf_fail(why, HF_E_FORMAT, "%s is empty", path);
}

static enum hf_err add_certificate(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct hf_unsupported_cert unsupported;

    (void)index;
    if (mbedtls_x509_crt_parse_der(ctx, der.data, der.len) == 0)
        return HF_OK;
    return hf_cert_describe_unsupported(der, &unsupported)
               ? hf_fail(why, HF_E_FORMAT, "\"%s\" is not supported here (%s)", unsupported.subject,
                         unsupported.what)
               : hf_fail(why, HF_E_FORMAT, "expected a certificate, found something else");
}

enum hf_err hf_client_chain_load(const char *path, mbedtls_x509_crt *chain, struct hf_why *why)
{
    struct hf_buf file = {0};
    struct hf_why reason = {0};
    enum hf_err err = read_file(path, false, &file, why);

    /* The first reads a file with the key in it too. The second reads what was pasted with blanks,
     * and its sentence names what is wrong. */
    if (err == HF_OK && mbedtls_x509_crt_parse(chain, file.data, file.len + 1) != 0) {
        mbedtls_x509_crt_free(chain);
        if (hf_pem_or_der_walk(hf_buf_bytes(&file), add_certificate, chain, &reason) != HF_OK)
            err = hf_fail(why, HF_E_FORMAT, "%s: %s", path, reason.text);
    }
    hf_buf_free(&file);
    return err;
}

/* As a key looks that was pasted from YAML; Mbed TLS wants none of the blanks. */
static void unindent(struct hf_buf *text)
{
    size_t len = 0;
    bool is_start = true;

    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->data[i];
        if (is_start && (c == ' ' || c == '\t'))
            continue;
        is_start = c == '\n';
        text->data[len++] = c;
    }
    sodium_memzero(text->data + len, text->len - len);
}

static int parse_key_bytes(mbedtls_pk_context *key, const struct hf_buf *file, size_t len)
{
    return mbedtls_pk_parse_key(key, file->data, len, NULL, 0, mbedtls_psa_get_random,
                                MBEDTLS_PSA_RANDOM_STATE);
}

static enum hf_err parse_key_file(const char *path, mbedtls_pk_context *key, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = read_file(path, true, &file, why);
    int code = 0;

    if (err == HF_OK) {
        code = parse_key_bytes(key, &file, file.len + 1);
        if (code == MBEDTLS_ERR_PK_KEY_INVALID_FORMAT) /* DER has no NUL */
            code = parse_key_bytes(key, &file, file.len);
        if (code != 0) {
            unindent(&file);
            code = parse_key_bytes(key, &file, file.len + 1);
        }
        sodium_memzero(file.data, file.len);
    }
    hf_buf_free(&file);
    if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || code == MBEDTLS_ERR_PK_PASSWORD_MISMATCH)
        return hf_fail(why, HF_E_KEY,
                       "the key in %s is encrypted, and the device cannot ask for its "
                       "passphrase; store it without one, readable by its owner only",
                       path);
    if (code == MBEDTLS_ERR_PK_UNKNOWN_PK_ALG || code == MBEDTLS_ERR_PK_UNKNOWN_NAMED_CURVE)
        return hf_fail(why, HF_E_KEY,
                       "the kind of key in %s is not supported here (expected RSA, P-256, P-384 or "
                       "P-521)",
                       path);
    return code == 0
               ? err
               : hf_fail(why, HF_E_KEY, "%s is not a private key; PEM or DER is expected", path);
}

enum hf_err hf_client_key_load(const char *file, const struct hf_device_key *key,
                               mbedtls_pk_context *out, struct hf_why *why)
{
    if (psa_crypto_init() != PSA_SUCCESS)
        return hf_fail(why, HF_E_STATE, "the system's random source does not work");
    mbedtls_pk_init(out);
    enum hf_err err = key != NULL ? hf_device_key_use(key, out, why)
                                  : parse_key_file(file, out, why);
    if (err != HF_OK)
        mbedtls_pk_free(out);
    return err;
}

bool hf_client_key_is_of(const mbedtls_pk_context *key, const mbedtls_pk_context *pub)
{
    unsigned char a[HF_PUBLIC_KEY_DER_MAX], b[HF_PUBLIC_KEY_DER_MAX];
    int a_len = mbedtls_pk_write_pubkey_der(key, a, sizeof a);
    int b_len = mbedtls_pk_write_pubkey_der(pub, b, sizeof b);

    /* It is written to the end of the buffer. */
    return a_len > 0 && a_len == b_len &&
           memcmp(a + sizeof a - a_len, b + sizeof b - b_len, (size_t)a_len) == 0;
}

/* A private key in a file may have a wrong public half; that of a port is tried by its first
 * signature. */
static bool is_pair(struct hf_client_auth *auth)
{
    if (hf_device_key_is(&auth->key))
        return hf_client_key_is_of(&auth->key, &auth->chain.pk);
    return mbedtls_pk_check_pair(&auth->chain.pk, &auth->key, mbedtls_psa_get_random,
                                 MBEDTLS_PSA_RANDOM_STATE) == 0;
}

enum hf_err hf_client_auth_load(const struct hf_client_auth_source *source,
                                struct hf_client_auth *out, struct hf_why *why)
{
    mbedtls_x509_crt_init(&out->chain);
    mbedtls_pk_init(&out->key);
    enum hf_err err = hf_client_chain_load(source->cert_file, &out->chain, why);
    if (err == HF_OK)
        err = hf_client_key_load(source->key_file, source->key, &out->key, why);
    if (err == HF_OK && !is_pair(out))
        err = hf_fail(why, HF_E_KEY,
                      "the key in %s is not that of the first certificate in %s; the two are "
                      "expected to belong together",
                      source->key != NULL ? "the device" : source->key_file, source->cert_file);
    if (err != HF_OK)
        hf_client_auth_free(out);
    return err;
}

enum hf_err hf_client_auth_try(struct hf_client_auth *auth, struct hf_why *why)
{
    static const unsigned char digest[32] = {0}; /* no message that means anything has it */
    unsigned char signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len = 0;

    if (!hf_device_key_is(&auth->key))
        return HF_OK;
    int code = mbedtls_pk_sign(&auth->key, MBEDTLS_MD_SHA256, digest, sizeof digest, signature,
                               sizeof signature, &len, mbedtls_psa_get_random,
                               MBEDTLS_PSA_RANDOM_STATE);
    if (code == 0)
        code = mbedtls_pk_verify(&auth->chain.pk, MBEDTLS_MD_SHA256, digest, sizeof digest,
                                 signature, len);
    return code == 0 ? HF_OK
                     : hf_fail(why, HF_E_KEY, "the device's key does not sign: %.500s",
                               hf_device_key_fault(&auth->key));
}

void hf_client_auth_free(struct hf_client_auth *auth)
{
    mbedtls_x509_crt_free(&auth->chain);
    mbedtls_pk_free(&auth->key);
}

enum hf_err hf_client_auth_show(struct hf_client_auth *auth, mbedtls_ssl_config *config,
                                struct hf_why *why)
{
    if (hf_device_key_is(&auth->key) && mbedtls_pk_get_type(&auth->key) == MBEDTLS_PK_RSA)
        mbedtls_ssl_conf_max_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    int code = mbedtls_ssl_conf_own_cert(config, &auth->chain, &auth->key);
    return code == 0 ? HF_OK : hf_handshake_fail(code, why);
}
