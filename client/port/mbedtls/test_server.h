/*
 * A TLS server for self-tests, made for one occasion: a CA and a server certificate with keys that
 * exist nowhere else and go with it. A client that accepts it accepts any server. No I/O.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_TEST_SERVER_H
#define HF_CLIENT_PORT_MBEDTLS_TEST_SERVER_H

#include "common/chain/anchors.h"

#include <holdfast/trust_store.h>

#include <mbedtls/ssl.h>

#define HF_TEST_SERVER_HOST "throwaway.invalid" /* what its certificate is for (RFC 2606) */

/* Of the server's own certificate; the CA is always P-256. */
enum hf_test_server_kind {
    HF_TEST_SERVER_P256,
    HF_TEST_SERVER_P384,
    HF_TEST_SERVER_P521,
    HF_TEST_SERVER_RSA_2048, /* takes long to make: seconds, and minutes on a microcontroller */
};
#define HF_TEST_SERVER_KINDS 4

/* All zero is none; must not be moved once made, as Mbed TLS keeps pointers into it. */
struct hf_test_server {
    bool is_made;
    mbedtls_pk_context key;
    mbedtls_x509_crt chain; /* the server's certificate, then the CA's */
    mbedtls_ssl_config config;
    struct hf_anchors *anchors; /* the CA alone, without dates */
};

/** HF_E_MEMORY, or HF_E_STATE when Mbed TLS cannot make keys or certificates. */
HF_MUST_USE enum hf_err hf_test_server_make(enum hf_test_server_kind kind,
                                            struct hf_test_server *out, struct hf_why *why);
void hf_test_server_free(struct hf_test_server *server);

/* One TLS handshake between two Mbed TLS configurations, over memory, on this thread. No I/O. */

/* What Mbed TLS gives for flags when no certificate was looked at, or its verification was broken
 * off. */
#define HF_FLAGS_UNKNOWN UINT32_MAX

/* How it ended. */
struct hf_memory_handshake {
    int code;        /* the client's: 0, or its Mbed TLS error */
    int server_code; /* the server's; where the client failed first, what it had come to by then */
    uint32_t flags;  /* the client's: MBEDTLS_X509_BADCERT_…, or HF_FLAGS_UNKNOWN */
};

/**
 * The client asks for `host`. It takes about 100 KiB of heap meanwhile, and leaves nothing behind
 * in either configuration. HF_OK when it ran, however it ended; HF_E_MEMORY; HF_E_ARGUMENT when a
 * connection cannot be set up from `client`.
 */
HF_MUST_USE enum hf_err hf_memory_handshake(const mbedtls_ssl_config *client,
                                            const mbedtls_ssl_config *server, const char *host,
                                            struct hf_memory_handshake *out, struct hf_why *why);

#endif
