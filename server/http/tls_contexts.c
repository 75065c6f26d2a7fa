#include "server/http/tls_contexts.h"

#include "common/os/file_util.h"
#include "common/os/service.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <string.h>

/* AEAD with forward secrecy only. AES-128 comes first: it is as strong as the curves beside it, and
 * its SHA-256 is what small devices and servers often have in hardware. A client without AES in
 * hardware says so by putting ChaCha20 first. */
#define CIPHERS_1_2 "ECDHE+AESGCM+AES128:ECDHE+CHACHA20:ECDHE+AESGCM"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
/* In TLS 1.2 these are also the curves that a client's key may be on. */
#define GROUPS "X25519:P-256:P-384:P-521"
/* What a client may sign with, and have its certificates signed with. RSA-PSS keys stand here for
 * both versions: the rules refuse them in TLS 1.2 with the alert that says so. DSA is possible in
 * TLS 1.2 only. */
#define CLIENT_SIGNATURES                                                                          \
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:"                                                      \
    "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"                                                \
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"                                    \
    "RSA+SHA256:RSA+SHA384:RSA+SHA512:DSA+SHA256"

/* OpenSSL's own words for what just failed; its queue is empty after this. */
static const char *openssl_reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;
    ERR_clear_error();
    return reason != NULL ? reason : "no reason given";
}

/* ---- files ----------------------------------------------------------------------------------- */

/* NULL without memory. An empty file has no bytes to point to. */
static BIO *bio_of(const struct hf_buf *text)
{
    return BIO_new_mem_buf(text->len > 0 ? (const void *)text->data : "", (int)text->len);
}

static enum hf_err read_chain(const char *path, X509 **leaf, STACK_OF(X509) * others,
                              struct hf_why *why)
{
    struct hf_buf text = {0};
    X509 *cert = NULL, *first = NULL;
    HF_TRY(hf_file_read_any(path, HF_TLS_PEM_BYTES_MAX, &text, why));
    BIO *bio = bio_of(&text);
    enum hf_err err = bio == NULL ? hf_fail(why, HF_E_MEMORY, "no memory for %s", path) : HF_OK;
    while (err == HF_OK && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (first == NULL)
            first = cert;
        else if (sk_X509_push(others, cert) == 0)
            err = hf_fail(why, HF_E_MEMORY, "no memory for %s", path);
    }
    bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const char *reason = openssl_reason();
    if (err == HF_OK && (first == NULL || !is_at_end))
        err = hf_fail(why, HF_E_FORMAT,
                      "%s: expected the server's certificate and its intermediates in PEM, found "
                      "what cannot be read (%s)",
                      path, first == NULL && is_at_end ? "there is no certificate" : reason);
    if (err == HF_OK)
        *leaf = first;
    else
        X509_free(first);
    BIO_free(bio);
    hf_buf_free(&text);
    return err;
}

/* A key with a passphrase cannot be used: at a restart no person types it. */
static int no_passphrase(char *out, int size, int is_writing, void *asked)
{
    (void)out;
    (void)size;
    (void)is_writing;
    *(bool *)asked = true;
    return -1;
}

static enum hf_err read_key(const char *path, EVP_PKEY **out, struct hf_why *why)
{
    struct hf_buf text = {0};
    bool is_encrypted = false;
    HF_TRY(hf_file_read_secret(path, HF_TLS_PEM_BYTES_MAX, &text, why));
    BIO *bio = bio_of(&text);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &is_encrypted)
                                : NULL;
    BIO_free(bio);
    if (text.len > 0)
        OPENSSL_cleanse(text.data, text.len);
    hf_buf_free(&text);
    const char *reason = openssl_reason();
    if (key == NULL)
        return hf_fail(why, HF_E_KEY,
                       "%s: expected a private key in PEM without a passphrase, found %s (%s)",
                       path, is_encrypted ? "one with a passphrase" : "what cannot be read",
                       reason);
    *out = key;
    return HF_OK;
}

static void warn_about_dates(const char *path, const X509 *leaf)
{
    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
        hf_service_log(HF_LOG_WARNING,
                       "%s: the server's certificate has expired, and clients will refuse it; "
                       "put a new one there and reload",
                       path);
    else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
        hf_service_log(HF_LOG_WARNING,
                       "%s: the server's certificate is not valid yet, and clients will refuse it; "
                       "check the clock",
                       path);
}

/* ---- contexts -------------------------------------------------------------------------------- */

static void set_callbacks(SSL_CTX *ctx)
{
    SSL_CTX_set_client_hello_cb(ctx, hf_tls_on_hello, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, hf_tls_on_name);
    SSL_CTX_set_alpn_select_cb(ctx, hf_tls_on_alpn, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, hf_tls_on_certificate, NULL);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, hf_tls_on_ticket_key);
    SSL_CTX_set_session_ticket_cb(ctx, NULL, hf_tls_on_ticket, NULL);
    SSL_CTX_set_info_callback(ctx, hf_tls_on_info);
}

/* NULL when OpenSSL cannot do what is wanted here. */
static SSL_CTX *make_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* An idle connection keeps no buffers. What a full socket did not accept moves from the loop's
     * output to memory of the connection before it is tried again. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* A client can send key updates without end. SSL_read would process them for as long as they
     * come, and the loop would serve no other client meanwhile. */
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1); /* one read(2) a record instead of two */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, HF_TLS_TICKET_PERIOD_S);
    SSL_CTX_set_max_cert_list(ctx, HF_TLS_CLIENT_CHAIN_BYTES_MAX);
    set_callbacks(ctx);
    /* One ticket: a device has one connection at a time. */
    if (SSL_CTX_set_num_tickets(ctx, 1) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
        SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) == 1 &&
        SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) == 1 &&
        SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 &&
        SSL_CTX_set1_client_sigalgs_list(ctx, CLIENT_SIGNATURES) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* Of both certificates the extension, byte by byte. */
static bool has_same_names(const X509 *a, const X509 *b)
{
    const X509 *certs[2] = {a, b};
    const ASN1_OCTET_STRING *names[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        int at = X509_get_ext_by_NID(certs[i], NID_subject_alt_name, -1);
        if (at >= 0)
            names[i] = X509_EXTENSION_get_data(X509_get_ext(certs[i], at));
    }
    if (names[0] == NULL || names[1] == NULL)
        return names[0] == names[1];
    return ASN1_OCTET_STRING_cmp(names[0], names[1]) == 0;
}

/* The site with the names of `leaf`, which is a new one unless an earlier certificate had them. */
static struct hf_tls_site *site_of(struct hf_tls_contexts *c, X509 *leaf)
{
    for (size_t i = 0; i < c->n_sites; i++)
        if (has_same_names(c->sites[i].leaf, leaf))
            return &c->sites[i];
    struct hf_tls_site *site = &c->sites[c->n_sites];
    site->ctx = make_context();
    if (site->ctx == NULL)
        return NULL;
    (void)X509_up_ref(leaf);
    site->leaf = leaf;
    c->n_sites++;
    return site;
}

static enum hf_err add_certificate(struct hf_tls_contexts *c,
                                   const struct hf_tls_certificate *paths, struct hf_why *why)
{
    X509 *leaf = NULL;
    EVP_PKEY *key = NULL;
    STACK_OF(X509) *others = sk_X509_new_null();
    struct hf_tls_site *site = NULL;
    enum hf_err err = others == NULL ? hf_fail(why, HF_E_MEMORY, "no memory for certificates")
                                     : read_chain(paths->chain_path, &leaf, others, why);
    if (err == HF_OK)
        err = read_key(paths->key_path, &key, why);
    if (err != HF_OK)
        goto out;
    if (X509_check_private_key(leaf, key) != 1) {
        (void)openssl_reason();
        err = hf_fail(why, HF_E_KEY,
                      "%s is not the key of the certificate in %s; name the two files that belong "
                      "together",
                      paths->key_path, paths->chain_path);
    } else if ((site = site_of(c, leaf)) == NULL) {
        err = hf_fail(why, HF_E_MEMORY, "a TLS context cannot be made: %s", openssl_reason());
    } else if (SSL_CTX_use_cert_and_key(site->ctx, leaf, key, others, 0) != 1) {
        err = hf_fail(why, HF_E_ARGUMENT,
                      "%s cannot be used: %s (expected one certificate of a kind of key for the "
                      "same names, RSA of 2048 bits at least, or ECDSA)",
                      paths->chain_path, openssl_reason());
    }
    if (err == HF_OK)
        warn_about_dates(paths->chain_path, leaf);
out:
    X509_free(leaf);
    EVP_PKEY_free(key);
    sk_X509_pop_free(others, X509_free);
    return err;
}

enum hf_err hf_tls_contexts_read(const struct hf_tls_certificate *certificates, size_t n,
                                 struct hf_tls_tickets *tickets, struct hf_tls_contexts **out,
                                 struct hf_why *why)
{
    if (n == 0 || n > HF_TLS_CERTIFICATES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "expected 1 to %u server certificates, found %zu; name further names in "
                       "the same certificate",
                       HF_TLS_CERTIFICATES_MAX, n);
    struct hf_tls_contexts *c = calloc(1, sizeof *c);
    if (c == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for certificates");
    atomic_init(&c->references, 1);
    c->tickets = tickets;
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < n && err == HF_OK; i++)
        err = add_certificate(c, &certificates[i], why);
    if (err == HF_OK)
        *out = c;
    else
        hf_tls_contexts_unref(c);
    return err;
}

struct hf_tls_contexts *hf_tls_contexts_ref(struct hf_tls_contexts *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

void hf_tls_contexts_unref(struct hf_tls_contexts *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->n_sites; i++) {
        SSL_CTX_free(c->sites[i].ctx);
        X509_free(c->sites[i].leaf);
    }
    free(c);
}

SSL_CTX *hf_tls_contexts_choose(const struct hf_tls_contexts *c, const char *sni)
{
    for (size_t i = 0; sni != NULL && c->n_sites > 1 && i < c->n_sites; i++)
        if (X509_check_host(c->sites[i].leaf, sni, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) ==
            1)
            return c->sites[i].ctx;
    return c->sites[0].ctx;
}
