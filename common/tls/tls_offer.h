/* What a ClientHello offers, so that a server shows the chain that it has for just that. No I/O. */
#ifndef HF_COMMON_TLS_TLS_OFFER_H
#define HF_COMMON_TLS_TLS_OFFER_H

#include <mbedtls/ssl.h>

#include <stdbool.h>

enum hf_tls_version { HF_TLS_12_OR_13, HF_TLS_12, HF_TLS_13 };

/* Of the server's own certificate. Those above it may have keys of any type. */
enum hf_tls_keys { HF_TLS_KEYS_ANY, HF_TLS_KEYS_RSA, HF_TLS_KEYS_ECC };

/* All zero: both versions and any key, with forward secrecy and authenticated encryption. */
struct hf_tls_offer {
    enum hf_tls_version version;
    enum hf_tls_keys keys;   /* other than ANY only with one version */
    bool has_legacy_ciphers; /* TLS 1.2 also with static RSA and with CBC, for old servers */
};

/** `config` is that of a client, with the defaults of Mbed TLS. */
void hf_tls_offer_set(mbedtls_ssl_config *config, struct hf_tls_offer offer);

#endif
