/* The chains that lint judges: what servers and devices show, wherever it comes from. */
#ifndef HF_PUBLISH_LINT_ENDPOINTS_H
#define HF_PUBLISH_LINT_ENDPOINTS_H

#include "common/chain/chain.h"
#include "common/tls/endpoint_url.h"
#include "server/repository/base/findings.h"

#include <mbedtls/pk.h>

enum hf_chain_kind {
    HF_CHAIN_MIXED = 0, /* needs RSA and ECC */
    HF_CHAIN_RSA,
    HF_CHAIN_ECC,
};

struct hf_lint_chain {
    char *name;   /* of the endpoint; owned */
    char *source; /* where it comes from: a file, or "TLS 1.3, TLS 1.2"; owned */
    char *doubt;  /* why it is no evidence, neither way; NULL: it is. Owned */
    /* The name of the server, where it is known: its certificate must be for it. NULL: not known.
     * Owned. */
    char *host;
    bool is_devices;
    bool is_live;      /* the server was asked just now */
    bool is_lone_root; /* the root alone: what else is sent is not known */
    enum hf_chain_kind kind;
    struct hf_chain sent;
    struct hf_cert certs[HF_CHAIN_CERTS_MAX]; /* the same; point into `sent` */
    mbedtls_pk_type_t signatures[HF_CHAIN_CERTS_MAX];
};

/** Copies what `sent` holds, and the texts; `host` may be NULL. HF_E_FORMAT for an empty chain, one
 *  with a certificate that cannot be read, and one that begins with a CA, unless that is a root and
 *  alone; HF_E_MEMORY. No I/O. */
HF_MUST_USE enum hf_err hf_lint_chain_new(const char *name, const char *source, const char *host,
                                          const struct hf_chain *sent, struct hf_lint_chain **out,
                                          struct hf_why *why);
void hf_lint_chain_free(struct hf_lint_chain *chain);

/*
 * The chains that a fleet meets: what each endpoint sends, its own certificate first. A text of
 * lines
 *
 *     endpoint NAME SOURCE…
 *     device   NAME CHAIN.pem…
 *
 * where SOURCE is a PEM file, the address of a server to be asked now (mqtts://HOST[:8883],
 * https://HOST[:443], tls://HOST:PORT) or @FILE with what `aws iot describe-endpoint` printed.
 * Several files are the chains that one endpoint shows by turns (RSA and ECC); `device` is a chain
 * that devices themselves show, so that its intermediates do not renew themselves. Files are looked
 * for beside the text. What hf_lint_endpoints_save has written holds three more kinds: for a server
 * that NAME does not tell, and for what is no evidence:
 *
 *     shown    NAME CHAIN.pem HOST
 *     unproved NAME CHAIN.pem WHY
 *     silent   NAME WHY
 *     refused  NAME WHY
 */

#define HF_LINT_CHAINS_MAX 256
#define HF_LINT_LIVE_MAX 64 /* servers asked in one run, one after the other */
#define HF_LINT_TIMEOUT_S_DEFAULT 20
#define HF_LINT_TIMEOUT_S_MAX 600

/* A server that showed nothing, or nothing for one kind of key. */
struct hf_lint_silence {
    char *name;      /* of the endpoint; owned */
    char *why;       /* owned */
    bool is_refused; /* it showed a certificate that no device can use */
};

struct hf_lint_live {
    char *name; /* owned */
    struct hf_endpoint_url url;
};

struct hf_lint_endpoints {
    struct hf_lint_chain **chains;
    size_t n_chains;
    struct hf_lint_silence *silences;
    size_t n_silences;
    struct hf_lint_live *live; /* those that were asked */
    size_t n_live;
};

/** What a command was told; borrowed. */
struct hf_lint_sources {
    const char *file;             /* --endpoints; NULL: none */
    const char *const *addresses; /* --endpoint, also JSON or @FILE; NULL-terminated or NULL */
    int timeout_s;                /* for one server to answer everything it is asked */
    bool has_legacy_ciphers;      /* --legacy-ciphers: as in struct hf_tls_offer */
};

/**
 * Read the file, what it names, and the addresses; no server is asked. Names and reasons are plain
 * text, a terminal may show them. HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND. I/O.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_read(const struct hf_lint_sources *sources,
                                               struct hf_lint_endpoints *out, struct hf_why *why);

/**
 * The same, then ask the servers, with a line for each on standard error where that is a terminal.
 * A server that shows nothing is no failure. HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND. I/O, network.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_load(const struct hf_lint_sources *sources,
                                               struct hf_lint_endpoints *out, struct hf_why *why);
void hf_lint_endpoints_free(struct hf_lint_endpoints *endpoints);

/** Takes `chain`, also where it fails. HF_E_LIMIT, HF_E_MEMORY. No I/O. */
HF_MUST_USE enum hf_err hf_lint_endpoints_add_take(struct hf_lint_endpoints *endpoints,
                                                   struct hf_lint_chain *chain, struct hf_why *why);
HF_MUST_USE enum hf_err hf_lint_endpoints_add_silence(struct hf_lint_endpoints *endpoints,
                                                      const char *name, const char *reason,
                                                      bool is_refused, struct hf_why *why);

/** An error for each server with a certificate that no device can use, a warning for each that is
 *  silent, and for each chain that is no evidence. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_lint_answers(const struct hf_lint_endpoints *endpoints,
                                        struct hf_findings *out, struct hf_why *why);

/** A line for each chain of a server that was asked. */
void hf_lint_answers_print(const struct hf_lint_endpoints *endpoints, FILE *out);

/** {"chains": […], "silent": […]}, a new object; NULL when memory ran out. */
json_t *hf_lint_answers_to_json(const struct hf_lint_endpoints *endpoints);

/**
 * Write everything into the new folder `dir`, each chain a PEM file and all of them named in
 * DIR/endpoints.txt, which lint finds the same in. HF_E_STATE when there is something of that name
 * already; after a failure nothing is left. I/O.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_save(const struct hf_lint_endpoints *endpoints,
                                               const char *dir, int64_t now_s, struct hf_why *why);

#endif
