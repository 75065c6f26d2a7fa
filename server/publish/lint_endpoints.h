/*
 * The chains that a fleet meets, from PEM files: what each endpoint sends, its own certificate
 * first. A text of lines
 *
 *     endpoint NAME CHAIN.pem [CHAIN.pem…]
 *     device   NAME CHAIN.pem
 *
 * where several files are the chains that one endpoint shows by turns (RSA and ECC), `device` is a
 * chain that devices themselves show, so that its intermediates do not renew themselves, and files
 * are looked for beside the text. `openssl s_client -showcerts` prints an endpoint's chain.
 */
#ifndef HF_PUBLISH_LINT_ENDPOINTS_H
#define HF_PUBLISH_LINT_ENDPOINTS_H

#include "common/bundle/cert.h"

#include <mbedtls/x509_crt.h>

#define HF_LINT_CHAINS_MAX 256
#define HF_LINT_CHAIN_CERTS_MAX 16

enum hf_chain_kind {
    HF_CHAIN_MIXED = 0, /* needs RSA and ECC */
    HF_CHAIN_RSA,
    HF_CHAIN_ECC,
};

struct hf_lint_chain {
    char *name; /* of the endpoint; owned */
    char *file; /* owned */
    bool is_devices;
    bool
        is_lone_root; /* one self-issued CA: a small server's own certificate, or a root by itself */
    enum hf_chain_kind kind;
    mbedtls_x509_crt crt;                          /* the leaf, and what is sent with it */
    struct hf_cert certs[HF_LINT_CHAIN_CERTS_MAX]; /* the same; point into `crt` */
    size_t n_certs;
};

struct hf_lint_endpoints {
    struct hf_lint_chain **chains;
    size_t n_chains;
};

/** I/O: reads `file` and the chains it names. HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_lint_endpoints_load(const char *file, struct hf_lint_endpoints *out,
                                               struct hf_why *why);
void hf_lint_endpoints_free(struct hf_lint_endpoints *endpoints);

#endif
