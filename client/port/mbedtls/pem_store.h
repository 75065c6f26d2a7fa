/* A trust store made of a PEM file, without dates of its own: --server-ca, --ca. No I/O. */
#ifndef HF_CLIENT_PORT_MBEDTLS_PEM_STORE_H
#define HF_CLIENT_PORT_MBEDTLS_PEM_STORE_H

#include <holdfast/trust_store.h>

/**
 * A new store with all certificates of `pem` as anchors that are supported. `skipped` (NULL: not
 * wanted) names the others, as hf_bundle_skipped_text. As hf_bundle_parse and
 * hf_policy_check_issuers, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_trust_store_new_from_pem(struct hf_bytes pem,
                                                    struct hf_trust_store **out,
                                                    char skipped[HF_WHY_MAX], struct hf_why *why);

#endif
