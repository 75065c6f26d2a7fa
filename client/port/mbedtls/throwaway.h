/*
 * A TLS server made for one occasion: a CA and a server certificate with keys that exist nowhere
 * else and go with it. Whoever accepts it accepts anybody. No I/O.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_THROWAWAY_H
#define HF_CLIENT_PORT_MBEDTLS_THROWAWAY_H

#include "client/port/mbedtls/generation.h"

#include <mbedtls/ssl.h>

#define HF_THROWAWAY_HOST "throwaway.invalid" /* whom its certificate is for (RFC 2606) */

/* Of the server's own certificate; the CA is always P-256. */
enum hf_throwaway_kind {
    HF_THROWAWAY_P256,
    HF_THROWAWAY_P384,
    HF_THROWAWAY_P521,
    HF_THROWAWAY_RSA_2048, /* takes long to make: seconds, and minutes on a microcontroller */
};
#define HF_THROWAWAY_KINDS 4

/* All zero is none; must not be moved once made, as Mbed TLS keeps pointers into it. */
struct hf_throwaway {
    bool is_made;
    mbedtls_pk_context key;
    mbedtls_x509_crt chain; /* the server's certificate, then the CA's */
    mbedtls_ssl_config config;
    struct hf_generation *anchors; /* the CA alone, without dates */
};

/** HF_E_MEMORY, or HF_E_STATE when Mbed TLS cannot make keys or certificates. */
HF_MUST_USE enum hf_err hf_throwaway_make(enum hf_throwaway_kind kind, struct hf_throwaway *out,
                                          struct hf_why *why);
void hf_throwaway_free(struct hf_throwaway *server);

#endif
