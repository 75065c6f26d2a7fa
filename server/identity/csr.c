#include "server/identity/csr.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static const char pem_begin[] = "-----BEGIN ";

static enum hf_err fail_format(struct hf_why *why)
{
    return hf_fail(
        why, HF_E_FORMAT,
        "CSR: this is not a certificate signing request (expected one PKCS#10 request, PEM "
        "or DER, and nothing else). Make one with `openssl req -new`");
}

static bool is_blank(struct hf_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == '\0')
            return false;
    return true;
}

/* The one PEM block of `text` as DER, to be OPENSSL_free'd; NULL for anything else. Encrypted
 * blocks have headers, which a request has no use for. */
static unsigned char *decode_pem(struct hf_bytes text, long *len)
{
    char *label = NULL, *headers = NULL;
    unsigned char *der = NULL;
    const char *rest = NULL;
    bool is_request = false;
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);

    if (bio != NULL && PEM_read_bio(bio, &label, &headers, &der, len) == 1) {
        long rest_len = BIO_get_mem_data(bio, &rest);
        struct hf_bytes behind = {(const uint8_t *)rest, rest_len > 0 ? (size_t)rest_len : 0};
        is_request = headers[0] == '\0' && is_blank(behind) &&
                     (strcmp(label, PEM_STRING_X509_REQ) == 0 ||
                      strcmp(label, PEM_STRING_X509_REQ_OLD) == 0);
    }
    OPENSSL_free(label);
    OPENSSL_free(headers);
    BIO_free(bio);
    if (is_request)
        return der;
    OPENSSL_free(der);
    return NULL;
}

/* NULL unless `der` is one request in DER, whole. */
static X509_REQ *parse_der(struct hf_bytes der)
{
    const unsigned char *at = der.data;
    unsigned char *again = NULL;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.len);
    int len = request != NULL ? i2d_X509_REQ(request, &again) : -1;
    if (len < 0 || (size_t)len != der.len || memcmp(again, der.data, der.len) != 0) {
        X509_REQ_free(request);
        request = NULL;
    }
    OPENSSL_free(again);
    return request;
}

static enum hf_err parse(struct hf_bytes input, X509_REQ **out, struct hf_why *why)
{
    unsigned char *decoded = NULL;
    struct hf_bytes der = input;
    if (input.len > HF_CSR_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "CSR: it is too long (expected at most %u bytes, found %zu)",
                       HF_CSR_BYTES_MAX, input.len);
    while (input.len > 0 && is_blank((struct hf_bytes){input.data, 1}))
        input = (struct hf_bytes){input.data + 1, input.len - 1};
    if (input.len >= sizeof pem_begin - 1 &&
        memcmp(input.data, pem_begin, sizeof pem_begin - 1) == 0) {
        long len = 0;
        decoded = decode_pem(input, &len);
        der = (struct hf_bytes){decoded, decoded != NULL ? (size_t)len : 0};
    }
    X509_REQ *request = der.len > 0 ? parse_der(der) : NULL;
    OPENSSL_free(decoded);
    ERR_clear_error();
    if (request == NULL)
        return fail_format(why);
    *out = request;
    return HF_OK;
}

static enum hf_err check(X509_REQ *request, struct hf_client_key_form *key, struct hf_why *why)
{
    const X509_ALGOR *algorithm = NULL;
    X509_REQ_get0_signature(request, NULL, &algorithm);
    *key = hf_client_key_describe(X509_REQ_get_X509_PUBKEY(request));
    if (hf_client_key_check(key, HF_TLS_ANY, why) != HF_OK ||
        hf_client_signature_check(hf_client_signature_describe(algorithm), why) != HF_OK)
        return hf_fail_context(why, "CSR");
    return HF_OK;
}

/* Append what OpenSSL has encoded, and free it. */
static enum hf_err append_taken(struct hf_buf *out, unsigned char *der, int len)
{
    enum hf_err err = len > 0 ? hf_buf_append(out, der, (size_t)len) : HF_E_MEMORY;
    OPENSSL_free(der);
    return err;
}

enum hf_err hf_csr_read(struct hf_bytes pem_or_der, struct hf_csr *out, struct hf_why *why)
{
    X509_REQ *request = NULL;
    struct hf_csr csr = {0};
    unsigned char *der = NULL, *spki = NULL;

    HF_TRY(parse(pem_or_der, &request, why));
    enum hf_err err = check(request, &csr.key, why);
    if (err != HF_OK)
        goto out;
    int der_len = i2d_X509_REQ(request, &der);
    int spki_len = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request), &spki);
    err = append_taken(&csr.der, der, der_len);
    enum hf_err spki_err = append_taken(&csr.spki, spki, spki_len);
    if (err != HF_OK || spki_err != HF_OK) {
        err = hf_fail(why, HF_E_MEMORY, "CSR: no memory");
        goto out;
    }
    hf_sha256(hf_buf_bytes(&csr.spki), csr.spki_sha256);
    *out = csr;
    csr = (struct hf_csr){0};
out:
    ERR_clear_error();
    hf_csr_free(&csr);
    X509_REQ_free(request);
    return err;
}

enum hf_err hf_csr_verify(const struct hf_csr *csr, struct hf_why *why)
{
    X509_REQ *request = parse_der(hf_buf_bytes(&csr->der));
    bool is_signed = request != NULL &&
                     X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1;
    X509_REQ_free(request);
    ERR_clear_error();
    if (!is_signed)
        return hf_fail(why, HF_E_SIGNATURE,
                       "CSR: its signature was not made by the private key of its public key. Make "
                       "another request with the device's own key");
    return HF_OK;
}

enum hf_err hf_csr_check(struct hf_bytes pem_or_der, struct hf_csr *out, struct hf_why *why)
{
    struct hf_csr csr = {0};
    HF_TRY(hf_csr_read(pem_or_der, &csr, why));
    enum hf_err err = hf_csr_verify(&csr, why);
    if (err == HF_OK)
        *out = csr;
    else
        hf_csr_free(&csr);
    return err;
}

static bool is_signed_by(EVP_PKEY *key, struct hf_bytes message, struct hf_bytes signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_signed = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                     EVP_DigestVerify(ctx, signature.data, signature.len, message.data,
                                      message.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return is_signed;
}

enum hf_err hf_csr_check_renewal(const struct hf_csr *csr, X509 *old, struct hf_bytes signature,
                                 struct hf_why *why)
{
    static const char prefix[] = "holdfast renew"; /* and its NUL */
    struct hf_buf message = {0};
    unsigned char *spki = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(old), &spki);
    bool is_same_key = len > 0 && (size_t)len == csr->spki.len &&
                       memcmp(spki, csr->spki.data, csr->spki.len) == 0;
    OPENSSL_free(spki);
    if (is_same_key)
        return hf_fail(why, HF_E_POLICY,
                       "CSR: it has the key of the old certificate. Generate a new key for the new "
                       "certificate");
    enum hf_err err = hf_buf_append(&message, prefix, sizeof prefix);
    if (err == HF_OK)
        err = hf_buf_append(&message, csr->der.data, csr->der.len);
    bool is_signed = err == HF_OK &&
                     is_signed_by(X509_get0_pubkey(old), hf_buf_bytes(&message), signature);
    hf_buf_free(&message);
    if (err != HF_OK)
        return hf_fail(why, err, "CSR: no memory");
    if (!is_signed)
        return hf_fail(
            why, HF_E_SIGNATURE,
            "CSR: the key of the old certificate did not sign it. Sign the request with the "
            "device's present key");
    return HF_OK;
}

void hf_csr_free(struct hf_csr *csr)
{
    hf_buf_free(&csr->der);
    hf_buf_free(&csr->spki);
    *csr = (struct hf_csr){0};
}
