/* One chain that a server, or a device, shows; what lint judges, wherever it comes from. */
#ifndef HF_PUBLISH_LINT_CHAIN_H
#define HF_PUBLISH_LINT_CHAIN_H

#include "common/bundle/cert.h"
#include "common/tls/chain.h"

#include <mbedtls/x509_crt.h>

enum hf_chain_kind {
    HF_CHAIN_MIXED = 0, /* needs RSA and ECC */
    HF_CHAIN_RSA,
    HF_CHAIN_ECC,
};

struct hf_lint_chain {
    char *name;   /* of the endpoint; owned */
    char *source; /* where it comes from: a file, or "TLS 1.3, TLS 1.2"; owned */
    char *doubt;  /* why it is no evidence, neither way; NULL: it is. Owned */
    bool is_devices;
    bool is_live;      /* the server was asked just now */
    bool is_lone_root; /* the root alone: what else is sent is not known */
    enum hf_chain_kind kind;
    mbedtls_x509_crt crt;                     /* the leaf, and what is sent with it */
    struct hf_cert certs[HF_CHAIN_CERTS_MAX]; /* the same; point into `crt` */
    size_t n_certs;
};

/** Copies what `sent` holds, and the texts. HF_E_FORMAT for an empty chain, one with a certificate that
 *  cannot be read, and one that begins with a CA, unless that is a root and alone; HF_E_MEMORY. No
 *  I/O. */
HF_MUST_USE enum hf_err hf_lint_chain_new(const char *name, const char *source,
                                          const struct hf_chain *sent, struct hf_lint_chain **out,
                                          struct hf_why *why);
void hf_lint_chain_free(struct hf_lint_chain *chain);

/** The CERTIFICATE blocks of a PEM text. HF_E_FORMAT, HF_E_NOT_FOUND, HF_E_LIMIT. No I/O. */
HF_MUST_USE enum hf_err hf_lint_chain_parse(struct hf_bytes pem, struct hf_chain *out,
                                            struct hf_why *why);

/** "RSA", "ECC" or "mixed". */
const char *hf_chain_kind_text(enum hf_chain_kind kind);

/** Is the server's own certificate for that host, a name or an address? */
bool hf_lint_chain_is_for_host(const struct hf_lint_chain *chain, const char *host);

#endif
