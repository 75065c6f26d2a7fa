#include "server/identity/client_cert.h"

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

/* OpenSSL reads encodings that are not DER too; then the same certificate would have two
 * fingerprints. */
static bool is_der_of(const X509 *x509, struct hf_bytes der)
{
    unsigned char *again = NULL;
    int len = i2d_X509(x509, &again);
    bool is_same = len > 0 && (size_t)len == der.len && memcmp(again, der.data, der.len) == 0;
    OPENSSL_free(again);
    return is_same;
}

enum hf_err hf_client_cert_read_der(struct hf_bytes der, X509 **out, struct hf_why *why)
{
    if (der.len > HF_CERT_DER_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "the certificate is too long (expected at most %u bytes, "
                       "found %zu)",
                       HF_CERT_DER_MAX, der.len);
    const unsigned char *at = der.data;
    X509 *x509 = der.len != 0 ? d2i_X509(NULL, &at, (long)der.len) : NULL;
    bool is_whole = x509 != NULL && at == der.data + der.len && is_der_of(x509, der);
    ERR_clear_error();
    if (!is_whole) {
        bool is_trailed = x509 != NULL && at != der.data + der.len;
        X509_free(x509);
        return hf_fail(why, HF_E_FORMAT,
                       is_trailed
                           ? "there are bytes behind the certificate. Send one certificate "
                             "and nothing else"
                           : "this is not an X.509 certificate in DER. Send one certificate, "
                             "PEM or DER");
    }
    *out = x509;
    return HF_OK;
}

/* The first block becomes the certificate; a second one is refused. */
static enum hf_err take_block(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    X509 **out = ctx;
    if (index > 0)
        return hf_fail(
            why, HF_E_FORMAT,
            "there is more than one certificate. Send the device's own certificate only");
    return hf_client_cert_read_der(der, out, why);
}

enum hf_err hf_client_cert_read(struct hf_bytes pem_or_der, X509 **out, struct hf_why *why)
{
    X509 *x509 = NULL;
    enum hf_err err = hf_pem_or_der_walk(pem_or_der, take_block, &x509, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_FORMAT,
                      "there is no certificate here (expected one, PEM or DER). Send the "
                      "certificate, not its key");
    if (err != HF_OK) {
        X509_free(x509);
        return err;
    }
    *out = x509;
    return HF_OK;
}

enum hf_err hf_client_cert_der(const X509 *x509, struct hf_buf *out, struct hf_why *why)
{
    unsigned char *der = NULL;
    int len = i2d_X509(x509, &der);
    enum hf_err err = len > 0 ? hf_buf_append(out, der, (size_t)len) : HF_E_MEMORY;
    OPENSSL_free(der);
    ERR_clear_error();
    return err == HF_OK ? HF_OK : hf_fail(why, err, "no memory for a certificate");
}

/* ---- describing ------------------------------------------------------------------------------ */

static bool read_time(const ASN1_TIME *time, int64_t *out_s)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 &&
           hf_time_from_civil(tm.tm_year + INT64_C(1900), tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                              tm.tm_min, tm.tm_sec, out_s);
}

enum hf_err hf_client_cert_describe_hashed(const X509 *x509, const uint8_t sha256[HF_SHA256_LEN],
                                           struct hf_client_cert *out, struct hf_why *why)
{
    struct hf_client_cert cert = {0};
    const X509_ALGOR *outside = NULL;

    memcpy(cert.sha256, sha256, sizeof cert.sha256);
    X509_get0_signature(NULL, &outside, x509);
    bool is_readable = read_time(X509_get0_notBefore(x509), &cert.not_before_s) &&
                       read_time(X509_get0_notAfter(x509), &cert.not_after_s);
    ERR_clear_error();
    if (!is_readable)
        return hf_fail(why, HF_E_FORMAT,
                       "the dates of the certificate cannot be read. Issue it again");
    if (X509_ALGOR_cmp(outside, X509_get0_tbs_sigalg(x509)) != 0)
        return hf_fail(why, HF_E_FORMAT,
                       "the certificate names two different signature algorithms. Issue it again");
    cert.key = hf_client_key_describe(X509_get_X509_PUBKEY(x509));
    cert.signature = hf_client_signature_describe(outside);
    *out = cert;
    return HF_OK;
}

enum hf_err hf_client_cert_describe(const X509 *x509, struct hf_client_cert *out,
                                    struct hf_why *why)
{
    uint8_t sha256[HF_SHA256_LEN];
    bool is_hashed = X509_digest(x509, EVP_sha256(), sha256, NULL) == 1;
    ERR_clear_error();
    if (!is_hashed)
        return hf_fail(why, HF_E_MEMORY, "no memory for a certificate");
    return hf_client_cert_describe_hashed(x509, sha256, out, why);
}

/* Printable ASCII; what does not fit is cut. */
static bool name_text(const X509_NAME *name, char out[HF_DN_TEXT_MAX])
{
    const char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0) {
        BIO_free(bio);
        return false;
    }
    long len = BIO_get_mem_data(bio, &text);
    size_t kept = len < 0 ? 0 : (size_t)len;
    if (kept > HF_DN_TEXT_MAX - 1)
        kept = HF_DN_TEXT_MAX - 1;
    if (kept > 0)
        memcpy(out, text, kept);
    out[kept] = '\0';
    BIO_free(bio);
    return true;
}

/* The CN that counts is the last one, as RFC 2253 shows it first. */
static void common_name(const X509_NAME *name, char out[HF_DN_TEXT_MAX])
{
    int at = -1, last = -1;
    while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
        last = at;
    out[0] = '\0';
    if (last < 0)
        return;
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, value);
    /* A bit string is no text, and a CN with a NUL in it is not the text before the NUL. */
    if (len >= 0 && len < HF_DN_TEXT_MAX && memchr(utf8, '\0', (size_t)len) == NULL) {
        memcpy(out, utf8, (size_t)len);
        out[len] = '\0';
        hf_text_sanitize(out);
    }
    OPENSSL_free(utf8);
}

static void serial_text(const X509 *x509, char out[HF_SERIAL_TEXT_MAX])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
    size_t len = (size_t)ASN1_STRING_length(serial);
    if (len > (HF_SERIAL_TEXT_MAX - 1) / 2)
        len = (HF_SERIAL_TEXT_MAX - 1) / 2;
    hf_hex_encode(ASN1_STRING_get0_data(serial), len, out);
}

static bool hash_spki(const X509 *x509, uint8_t out[HF_SHA256_LEN])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x509), &der);
    if (len <= 0)
        return false;
    hf_sha256((struct hf_bytes){der, (size_t)len}, out);
    OPENSSL_free(der);
    return true;
}

enum hf_err hf_client_cert_describe_text(const X509 *x509, struct hf_client_cert_text *out,
                                         struct hf_why *why)
{
    struct hf_client_cert_text text = {0};
    serial_text(x509, text.serial);
    common_name(X509_get_subject_name(x509), text.common_name);
    bool is_made = hash_spki(x509, text.spki_sha256) &&
                   name_text(X509_get_subject_name(x509), text.subject) &&
                   name_text(X509_get_issuer_name(x509), text.issuer);
    ERR_clear_error();
    if (!is_made)
        return hf_fail(why, HF_E_MEMORY, "no memory for the names of a certificate");
    *out = text;
    return HF_OK;
}

/* ---- checks ---------------------------------------------------------------------------------- */

enum hf_err hf_client_cert_check_algorithms(const struct hf_client_cert *cert, unsigned tls_version,
                                            struct hf_why *why)
{
    HF_TRY(hf_client_key_check(&cert->key, tls_version, why));
    return hf_client_signature_check(cert->signature, why);
}

enum hf_err hf_client_cert_check_dates(const struct hf_client_cert *cert, int64_t now_s,
                                       struct hf_why *why)
{
    char date[HF_TIME_TEXT_MAX];
    if (now_s < cert->not_before_s) {
        hf_time_format(cert->not_before_s, date);
        return hf_fail(
            why, HF_E_EXPIRED,
            "the certificate is not valid before %s. Check the clock of the CA and of this "
            "server",
            date);
    }
    if (now_s > cert->not_after_s) {
        hf_time_format(cert->not_after_s, date);
        return hf_fail(why, HF_E_EXPIRED,
                       "the certificate expired on %s. Give the device a new certificate", date);
    }
    return HF_OK;
}
