/* The certificate that a device shows to its own servers, and its key: `--client-cert`,
 * `--client-key`. Reads files. */
#ifndef HF_CLIENT_PORT_POSIX_CLIENT_AUTH_H
#define HF_CLIENT_PORT_POSIX_CLIENT_AUTH_H

#include <holdfast/error.h>

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>

#define HF_CLIENT_AUTH_BYTES_MAX (64u * 1024u) /* of either file: a chain of RSA 8192 has 20 KiB */

struct hf_client_auth {
    mbedtls_x509_crt chain; /* the device's own certificate first */
    mbedtls_pk_context key;
};

/**
 * Read both files, PEM or DER; the key without a passphrase, since nobody is there to enter it. In
 * words: HF_E_NOT_FOUND, HF_E_STORAGE, HF_E_LIMIT, HF_E_FORMAT, HF_E_KEY when the key is not the
 * certificate's or other users may read or change its file, HF_E_MEMORY. hf_client_auth_free `out`
 * after HF_OK.
 */
HF_MUST_USE enum hf_err hf_client_auth_load(const char *cert_file, const char *key_file,
                                            struct hf_client_auth *out, struct hf_why *why);
void hf_client_auth_free(struct hf_client_auth *auth);

#endif
