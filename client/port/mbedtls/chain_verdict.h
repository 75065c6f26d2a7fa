/*
 * Would this store validate that chain, and through which anchor? The verdict on a chain that a
 * server has shown, certificate by certificate and in words. It is what a handshake would check of
 * the chain: path, names, dates, strength, and what the certificate may be used for, at the same
 * clock (hf_trust_store_set_clock). No I/O.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_CHAIN_VERDICT_H
#define HF_CLIENT_PORT_MBEDTLS_CHAIN_VERDICT_H

#include "client/port/mbedtls/verify_words.h"

#include <holdfast/trust_store.h>

#include "common/bundle/cert.h"
#include "common/tls/chain.h"

/* On one certificate of the chain. */
struct hf_cert_verdict {
    struct hf_cert cert;           /* its subject_der and issuer_der point into the chain */
    char names[HF_NAMES_TEXT_MAX]; /* of the server's own certificate, empty for the others */
    bool is_in_path;         /* it is part of the path from the server's certificate upwards */
    char faults[HF_WHY_MAX]; /* what is wrong with it; empty: nothing */
};

struct hf_chain_verdict {
    bool is_valid;
    struct hf_cert_verdict *certs; /* owned; one for each of the chain, in its order */
    size_t n_certs;
    bool has_anchor;
    struct hf_cert anchor; /* the path ends in it; without subject_der and issuer_der */
};

/**
 * Verify `chain` (borrowed as long as `out` is used) against `store` for a server called `host`
 * (a DNS name or an address; NULL: any name will do).
 * HF_OK: there is a verdict, good or bad. HF_E_FORMAT for a certificate that cannot be parsed or an
 * empty chain, HF_E_MEMORY. hf_chain_verdict_free `out`.
 */
HF_MUST_USE enum hf_err hf_chain_verify(struct hf_trust_store *store, const struct hf_chain *chain,
                                        const char *host, struct hf_chain_verdict *out,
                                        struct hf_why *why);
void hf_chain_verdict_free(struct hf_chain_verdict *verdict);

/** Why a chain is not valid, for one sentence: `certificate 1 "CN=…" expired on …; …`. */
void hf_chain_verdict_faults(const struct hf_chain_verdict *verdict, char out[HF_WHY_MAX]);

/*
 * What a chain that an endpoint has proved says about sets of anchors: under which of them it
 * validates, and through which anchors. At the clock of hf_trust_store_set_clock. No I/O.
 */

/**
 * Fill `out`, and `is_valid` for each of the `n_sets`, from `chain`, whose first certificate's key
 * the server called `host` was shown to hold; the rest is taken to be proved as well. `store` is the caller's own, and holds anything after.
 *
 * HF_OK also where the chain cannot be read: then it is no proof. HF_E_MEMORY; as
 * hf_trust_store_swap.
 */
HF_MUST_USE enum hf_err hf_sighting_judge(struct hf_trust_store *store,
                                          const struct hf_chain *chain, const char *host,
                                          const struct hf_anchor_set *sets, size_t n_sets,
                                          bool *is_valid, struct hf_chain_observation *out,
                                          struct hf_why *why);

#endif
