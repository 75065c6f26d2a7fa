/* One TLS handshake between two Mbed TLS configurations, over memory, on this thread. No I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_MEMORY_HANDSHAKE_H
#define HF_CLIENT_PORT_MBEDTLS_MEMORY_HANDSHAKE_H

#include <holdfast/trust_store.h>

/* What Mbed TLS gives for flags when no certificate was looked at, or its verification was broken off. */
#define HF_FLAGS_UNKNOWN UINT32_MAX

/* How it ended. */
struct hf_memory_handshake {
    int code;        /* the client's: 0, or its Mbed TLS error */
    int server_code; /* the server's; where the client failed first, what it had come to by then */
    uint32_t flags;  /* the client's: MBEDTLS_X509_BADCERT_…, or HF_FLAGS_UNKNOWN */
};

/**
 * The client asks for `host`. It takes about 100 KiB of heap meanwhile, and leaves nothing behind in
 * either configuration. HF_OK when it ran, however it ended; HF_E_MEMORY; HF_E_ARGUMENT when a
 * connection cannot be set up from `client`.
 */
HF_MUST_USE enum hf_err hf_memory_handshake(const mbedtls_ssl_config *client,
                                            const mbedtls_ssl_config *server, const char *host,
                                            struct hf_memory_handshake *out, struct hf_why *why);

#endif
