#include "client/port/posix/client_auth.h"

#include "common/os/file_util.h"

#include <mbedtls/psa_util.h>
#include <psa/crypto.h>
#include <sodium.h>

/* Mbed TLS tells PEM by the NUL behind it, which it wants counted; every hf_buf ends with one. */
static enum hf_err read_file(const char *path, bool is_secret, struct hf_buf *out,
                             struct hf_why *why)
{
    HF_TRY(is_secret ? hf_file_read_secret(path, HF_CLIENT_AUTH_BYTES_MAX, out, why)
                     : hf_file_read(path, HF_CLIENT_AUTH_BYTES_MAX, out, why));
    return out->len > 0 ? HF_OK : hf_fail(why, HF_E_FORMAT, "%s is empty", path);
}

static enum hf_err load_chain(const char *path, mbedtls_x509_crt *chain, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = read_file(path, false, &file, why);

    if (err == HF_OK && mbedtls_x509_crt_parse(chain, file.data, file.len + 1) != 0 &&
        mbedtls_x509_crt_parse(chain, file.data, file.len) != 0)
        err = hf_fail(why, HF_E_FORMAT,
                      "%s is not a certificate, or not one as a whole; PEM or DER is expected",
                      path);
    hf_buf_free(&file);
    return err;
}

static enum hf_err fail_key(const char *path, int code, struct hf_why *why)
{
    if (code == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || code == MBEDTLS_ERR_PK_PASSWORD_MISMATCH)
        return hf_fail(why, HF_E_KEY,
                       "the key in %s is encrypted, and the device cannot ask for its "
                       "passphrase; store it without one, readable by its owner only",
                       path);
    return hf_fail(why, HF_E_KEY, "%s is not a private key; PEM or DER is expected", path);
}

static enum hf_err load_key(const char *path, mbedtls_pk_context *key, struct hf_why *why)
{
    struct hf_buf file = {0};
    enum hf_err err = read_file(path, true, &file, why);
    int code = 0;

    if (err == HF_OK) {
        code = mbedtls_pk_parse_key(key, file.data, file.len + 1, NULL, 0, mbedtls_psa_get_random,
                                    MBEDTLS_PSA_RANDOM_STATE);
        if (code == MBEDTLS_ERR_PK_KEY_INVALID_FORMAT) /* DER has no NUL */
            code = mbedtls_pk_parse_key(key, file.data, file.len, NULL, 0, mbedtls_psa_get_random,
                                        MBEDTLS_PSA_RANDOM_STATE);
        sodium_memzero(file.data, file.len);
    }
    hf_buf_free(&file);
    return err == HF_OK && code != 0 ? fail_key(path, code, why) : err;
}

static enum hf_err load(const char *cert_file, const char *key_file, struct hf_client_auth *auth,
                        struct hf_why *why)
{
    if (psa_crypto_init() != PSA_SUCCESS)
        return hf_fail(why, HF_E_STATE, "the system's random source does not work");
    HF_TRY(load_chain(cert_file, &auth->chain, why));
    HF_TRY(load_key(key_file, &auth->key, why));
    if (mbedtls_pk_check_pair(&auth->chain.pk, &auth->key, mbedtls_psa_get_random,
                              MBEDTLS_PSA_RANDOM_STATE) != 0)
        return hf_fail(why, HF_E_KEY,
                       "the key in %s is not that of the first certificate in %s; the two are "
                       "expected to belong together",
                       key_file, cert_file);
    return HF_OK;
}

enum hf_err hf_client_auth_load(const char *cert_file, const char *key_file,
                                struct hf_client_auth *out, struct hf_why *why)
{
    mbedtls_x509_crt_init(&out->chain);
    mbedtls_pk_init(&out->key);
    enum hf_err err = load(cert_file, key_file, out, why);
    if (err != HF_OK)
        hf_client_auth_free(out);
    return err;
}

void hf_client_auth_free(struct hf_client_auth *auth)
{
    mbedtls_x509_crt_free(&auth->chain);
    mbedtls_pk_free(&auth->key);
}
