/*
 * An endpoint port in memory, for tests: servers that show a chain for each offer, or do something
 * else. A chain is known by the anchors it validates under.
 */
#ifndef HF_TESTS_SUPPORT_FAKE_ENDPOINTS_H
#define HF_TESTS_SUPPORT_FAKE_ENDPOINTS_H

#include <holdfast/port.h>

#define FAKE_OFFERS (HF_OFFER_TLS12_ANY + 1)
#define FAKE_CHAIN_ANCHORS_MAX 4

struct fake_chain {
    bool is_shown;
    bool lacks_proof; /* the server does not hold its key */
    bool is_open;     /* the handshake of TLS 1.2 ended before the chain was proved */
    char issuer[64];
    /* Of the server's certificate: anchors with an earlier distrust_after do not accept it. */
    int64_t leaf_not_before_s;
    uint8_t anchors[FAKE_CHAIN_ANCHORS_MAX][32]; /* SPKI; any one of them will do */
    size_t n_anchors;
};

struct fake_endpoint {
    char name[64];
    struct fake_chain chains[FAKE_OFFERS]; /* by enum hf_offer */
    unsigned n_looks;
    bool was_shown_certificate; /* a client certificate would have been shown to its chain */
};

struct fake_endpoints {
    struct fake_endpoint endpoints[HF_ENDPOINTS_MAX];
    size_t n;
    const int64_t *now_s;
    enum hf_err own_fault; /* HF_OK, or how every look fails */
    int64_t *uptime_ms;    /* NULL, or what every look moves on by `look_ms`; borrowed */
    int64_t look_ms;
};

/** `now_s` is borrowed: the time that chains are judged by. */
struct hf_endpoint_port fake_endpoints_port(struct fake_endpoints *fake, const int64_t *now_s);

/** It shows nothing yet: silent. */
struct fake_endpoint *fake_endpoint_add(struct fake_endpoints *fake, const char *name);

/** For this offer it shows a chain that validates under each certificate of `pem`, alone. */
void fake_endpoint_show(struct fake_endpoint *endpoint, enum hf_offer offer, struct hf_bytes pem);

/** The same for every offer. */
void fake_endpoint_show_all(struct fake_endpoint *endpoint, struct hf_bytes pem);

/** Nothing any more, for any offer. */
void fake_endpoint_hide(struct fake_endpoint *endpoint);

#endif
