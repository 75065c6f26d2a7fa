/* A trust store made of a PEM file, without dates of its own: --server-ca, --ca. No I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_PEM_STORE_H
#define HF_CLIENT_PORT_MBEDTLS_PEM_STORE_H

#include <holdfast/trust_store.h>

/** A new store with all certificates of `pem` as anchors. As hf_bundle_parse, HF_E_MEMORY. */
HF_MUST_USE enum hf_err
hf_trust_store_new_from_pem(struct hf_bytes pem, struct hf_trust_store **out, struct hf_why *why);

#endif
