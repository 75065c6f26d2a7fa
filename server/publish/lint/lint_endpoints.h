/*
 * The chains that a fleet meets: what each endpoint sends, its own certificate first. A text of lines
 *
 *     endpoint NAME SOURCE…
 *     device   NAME CHAIN.pem…
 *
 * where SOURCE is a PEM file, the address of a server to be asked now (mqtts://HOST[:8883],
 * https://HOST[:443], tls://HOST:PORT) or @FILE with what `aws iot describe-endpoint` printed. Several
 * files are the chains that one endpoint shows by turns (RSA and ECC); `device` is a chain that devices
 * themselves show, so that its intermediates do not renew themselves. Files are looked for beside the
 * text. What hf_lint_endpoints_save has written holds two more kinds, for what is no evidence:
 *
 *     unproved NAME CHAIN.pem WHY
 *     silent   NAME WHY
 */
#ifndef HF_PUBLISH_LINT_ENDPOINTS_H
#define HF_PUBLISH_LINT_ENDPOINTS_H

#include "common/tls/endpoint_url.h"
#include "server/publish/lint/lint_chain.h"

#define HF_LINT_CHAINS_MAX 256
#define HF_LINT_LIVE_MAX 64 /* servers asked in one run, one after the other */
#define HF_LINT_TIMEOUT_S_DEFAULT 20
#define HF_LINT_TIMEOUT_S_MAX 600

/* A server that showed nothing, or nothing for one kind of key. */
struct hf_lint_silence {
    char *name; /* of the endpoint; owned */
    char *why;  /* owned */
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
 * Read the file, what it names, and the addresses; nobody is asked. Names and reasons are plain text,
 * a terminal may show them. HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND. I/O.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_read(const struct hf_lint_sources *sources,
                                               struct hf_lint_endpoints *out, struct hf_why *why);

/**
 * The same, then ask the servers, with a line for each on standard error where that is a terminal. A
 * server that shows nothing is no failure. HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND. I/O, network.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_load(const struct hf_lint_sources *sources,
                                               struct hf_lint_endpoints *out, struct hf_why *why);
void hf_lint_endpoints_free(struct hf_lint_endpoints *endpoints);

/** Takes `chain`, also where it fails. HF_E_LIMIT, HF_E_MEMORY. No I/O. */
HF_MUST_USE enum hf_err hf_lint_endpoints_add_take(struct hf_lint_endpoints *endpoints,
                                                   struct hf_lint_chain *chain, struct hf_why *why);
HF_MUST_USE enum hf_err hf_lint_endpoints_add_silence(struct hf_lint_endpoints *endpoints,
                                                      const char *name, const char *reason,
                                                      struct hf_why *why);

/** Ask the server as `sources` says, and add what it shows, or that it is silent. HF_E_MEMORY, HF_E_LIMIT. Network. */
HF_MUST_USE enum hf_err hf_lint_endpoints_ask(struct hf_lint_endpoints *endpoints,
                                              const struct hf_lint_live *live,
                                              const struct hf_lint_sources *sources,
                                              struct hf_why *why);

/**
 * Write everything into the new folder `dir`, each chain a PEM file and all of them named in
 * DIR/endpoints.txt, which lint finds the same in. HF_E_STATE when there is something of that name
 * already; after a failure nothing is left. I/O.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_save(const struct hf_lint_endpoints *endpoints,
                                               const char *dir, int64_t now_s, struct hf_why *why);

#endif
