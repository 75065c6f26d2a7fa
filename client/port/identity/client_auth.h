/*
 * The certificate that a device shows to servers, with its key: from files, or with a key of the
 * port. TLS clients take it from here: endpoint probes, requests for updates, the API of the fleet
 * service.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_CLIENT_AUTH_H
#define HF_CLIENT_PORT_IDENTITY_CLIENT_AUTH_H

#include <holdfast/port.h>

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

/* All borrowed. */
struct hf_client_auth_source {
    const char *cert_file;
    const char *key_file;
    const struct hf_device_key *key; /* used in place of the file; NULL: there is none */
};

struct hf_client_auth {
    mbedtls_x509_crt chain; /* the device's own certificate first */
    mbedtls_pk_context key;
};

/**
 * Read the files, PEM or DER; the key without a passphrase, since no person is there to enter it.
 * In words: HF_E_NOT_FOUND, HF_E_STORAGE, HF_E_LIMIT, HF_E_FORMAT, HF_E_KEY when the key is not the
 * certificate's or other users may read or change its file, HF_E_MEMORY. hf_client_auth_free `out`
 * after HF_OK.
 */
HF_MUST_USE enum hf_err hf_client_auth_load(const struct hf_client_auth_source *source,
                                            struct hf_client_auth *out, struct hf_why *why);
void hf_client_auth_free(struct hf_client_auth *auth);

/** Read only the certificates into `chain`, which the caller has made, and frees in any case. */
HF_MUST_USE enum hf_err hf_client_chain_load(const char *file, mbedtls_x509_crt *chain,
                                             struct hf_why *why);
/** Read only the key: from `file`, or with `key` that one. mbedtls_pk_free it after HF_OK. */
HF_MUST_USE enum hf_err hf_client_key_load(const char *file, const struct hf_device_key *key,
                                           mbedtls_pk_context *out, struct hf_why *why);

/** Let a key of the port sign once: HF_E_KEY if that fails, as with a locked token. Another key
 *  needs no try. */
HF_MUST_USE enum hf_err hf_client_auth_try(struct hf_client_auth *auth, struct hf_why *why);

/** Let the connections of `config` show it. `auth` must outlive them. With an RSA key of the port
 *  they offer TLS 1.2 only (device_key.h). HF_E_TLS. */
HF_MUST_USE enum hf_err hf_client_auth_show(struct hf_client_auth *auth, mbedtls_ssl_config *config,
                                            struct hf_why *why);

/** Is `key`, or its private half, the key of `pub`? */
HF_MUST_USE bool hf_client_key_is_of(const mbedtls_pk_context *key, const mbedtls_pk_context *pub);

#endif
