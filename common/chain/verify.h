/*
 * The verifier: is there a path from a server's certificate to a trust anchor, through what the
 * server sent, that breaks no rule of RFC 5280, 6 and RFC 9525? See README.md of this folder for
 * the rules, and for how the path is found. No I/O, no clock, no state. One allocation, of a size
 * that goes by `n_certs`, beside what Mbed TLS needs for one key.
 */
#ifndef HF_COMMON_CHAIN_VERIFY_H
#define HF_COMMON_CHAIN_VERIFY_H

#include "common/chain/anchors.h"
#include "common/chain/constraints.h"

/* What one verdict may cost, whatever a server sends. Paths on the Internet need 3 signatures, the
 * most tangled ones of the public suites need 16. */
#define HF_VERIFY_CERTS_MAX 64      /* looked at; the longest list of the public suites has 36 */
#define HF_VERIFY_PATH_MAX 18       /* certificates of a path, the anchor included */
#define HF_VERIFY_SIGNATURES_MAX 16 /* checked; no pair of certificate and key twice */
#define HF_VERIFY_SETS_MAX 4
#define HF_VERIFY_STEPS_MAX 4096 /* certificates tried as issuer of another */
#define HF_VERIFY_STEP_BYTES 512 /* so many of two names that are compared cost a step more */
#define HF_VERIFY_CONSTRAINTS_MAX (1u << 20) /* looks of a name at a constraint, as in OpenSSL */

/* What is wrong with a certificate of the path. */
enum hf_fault {
    HF_FAULT_EXPIRED = 1 << 0,
    HF_FAULT_NOT_YET_VALID = 1 << 1,
    HF_FAULT_HOST = 1 << 2,          /* it is for other hosts */
    HF_FAULT_KEY_USAGE = 1 << 3,     /* not for what the handshake did with its key */
    HF_FAULT_EXT_KEY_USAGE = 1 << 4, /* not for TLS servers */
    HF_FAULT_CONSTRAINTS = 1 << 5,   /* a CA above it may not issue for one of its names */
    HF_FAULT_POLICY = 1 << 6,        /* a CA above it requires a policy that the path has not */
    HF_FAULT_EXTENSION = 1 << 7,     /* a critical extension that is unknown (4.2) */
    HF_FAULT_ALGORITHM = 1 << 8,     /* its signature is of a kind that is not accepted */
    HF_FAULT_KEY = 1 << 9,        /* its own key is too short, or of a kind that is not accepted */
    HF_FAULT_NO_ISSUER = 1 << 10, /* the path does not go on from it */
    HF_FAULT_LIMIT = 1 << 11,     /* and the search was given up, at a limit above */
};

/* Anchors that count together: a device's and those of a private server, or a self-test's. */
struct hf_anchor_sets {
    const struct hf_anchors *at[HF_VERIFY_SETS_MAX];
    size_t n;
};

/* For whom, and when. */
struct hf_chain_context {
    const char *host; /* a DNS name or an address; NULL: any name will do */
    int64_t at_s;
    bool is_asked_for; /* `at_s` was asked for, and is not what the clock says */
    /* A look at a later day: by then the server's operator will have renewed what is sent now. So
     * the dates of the sent certificates do not count, and the leaf counts as issued at `at_s`.
     * Only the dates of the anchors count. */
    bool is_renewed;
    /* MBEDTLS_X509_KU_…: what the key exchange asks of the server's key. 0: not checked here. */
    unsigned key_usage;
    /* A common name counts where the server's certificate has no subjectAltName. */
    bool has_common_names;
};

#define HF_VERIFY_ANCHOR SIZE_MAX

struct hf_verify_step {
    size_t index;    /* among the certificates as sent; HF_VERIFY_ANCHOR: the anchor */
    unsigned faults; /* HF_FAULT_…; 0: nothing */
};

struct hf_verdict {
    bool is_valid;
    /* The path from the server's certificate upwards: the one that is valid, or that came furthest.
     * It ends in an anchor unless its last step says HF_FAULT_NO_ISSUER. */
    struct hf_verify_step path[HF_VERIFY_PATH_MAX];
    size_t n_path;
    struct hf_trust_anchor anchor; /* its DER points into the set of anchors; none: no data */
    unsigned n_signatures;         /* checked */
    unsigned n_steps;
};

/**
 * Judge `certs`, as a server sent them (its own first; all borrowed). What is behind the first is
 * in any order, and what is not needed does not matter: it may be damaged, or of a kind that is not
 * known. Certificates behind HF_VERIFY_CERTS_MAX are not looked at.
 *
 * HF_OK: there is a verdict, good or bad. HF_E_FORMAT: there is no certificate, or the first one
 * cannot be read. HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_verify(const struct hf_bytes *certs, size_t n_certs,
                                  const struct hf_anchor_sets *anchors,
                                  const struct hf_chain_context *context, struct hf_verdict *out,
                                  struct hf_why *why);

/** What keeps every chain of a server from ending in this anchor, a CA's, whatever its dates:
 *  HF_FAULT_…; 0: nothing, or it cannot be read. */
unsigned hf_verify_anchor(struct hf_bytes der);

#endif
