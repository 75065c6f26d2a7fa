/*
 * The one verdict on chains: would these anchors validate what a server sent, and through which
 * anchor? Devices judge handshakes, probes and preflights by it, and the publisher's lint judges
 * bundles by it. It is what a TLS client checks of a chain: path, names, dates, strength, what the
 * certificates may be used for, and the dates that the publisher signed for anchors.
 *
 * Bytes in, values out. The path is found by verify.h, in a handshake of the active trust store
 * too; here the verdict is told for people, one certificate at a time.
 */
#ifndef HF_COMMON_CHAIN_CHAIN_H
#define HF_COMMON_CHAIN_CHAIN_H

#include "common/bundle/cert.h"
#include "common/chain/verify.h"
#include "common/chain/words.h"

#define HF_CHAIN_CERTS_MAX HF_VERIFY_CERTS_MAX /* as sent, and kept */

/* What a server sent, in its order: its own certificate first. All zero is an empty one. */
struct hf_chain {
    struct hf_buf certs[HF_CHAIN_CERTS_MAX]; /* DER */
    size_t n_certs;
    /* MBEDTLS_X509_KU_…: what the key exchange of the handshake asks of the server's key; 0 is
     * digital signature, as in TLS 1.3 and with nearly all suites of TLS 1.2. */
    unsigned key_usage;
};

/** Append a copy of `der`. HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_chain_add(struct hf_chain *chain, struct hf_bytes der,
                                     struct hf_why *why);
void hf_chain_free(struct hf_chain *chain);

/** The same certificates in the same order. */
bool hf_chain_equal(const struct hf_chain *a, const struct hf_chain *b);

/* On one certificate of the chain. */
struct hf_cert_verdict {
    struct hf_cert cert; /* its subject_der and issuer_der point into the chain; all zero but the
                          * subject where it cannot be read */
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
    /* The last issuer was not sent, and no anchor that is usable has its name and key. */
    bool lacks_anchor;
    /* All that is wrong: the last issuer was not sent, and no anchor has its name. */
    bool lacks_only_anchor;
};

/**
 * Judge `chain` (borrowed as long as `out` is used) under `anchors`.
 * HF_OK: there is a verdict, good or bad. HF_E_FORMAT for an empty chain, and for one whose first
 * certificate cannot be read; HF_E_POLICY where it is not supported; HF_E_MEMORY. Others that
 * cannot be read are left aside. hf_chain_verdict_free `out`.
 */
HF_MUST_USE enum hf_err hf_chain_judge(const struct hf_chain *chain,
                                       const struct hf_anchors *anchors,
                                       const struct hf_chain_context *context,
                                       struct hf_chain_verdict *out, struct hf_why *why);
void hf_chain_verdict_free(struct hf_chain_verdict *verdict);

/** Why a chain is not valid, for one sentence: `certificate 1 "CN=…" expired on …; …`. */
void hf_chain_verdict_faults(const struct hf_chain_verdict *verdict, char out[HF_WHY_MAX]);

#endif
