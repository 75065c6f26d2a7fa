/*
 * What a server shows right now: a TLS handshake for each version and each kind of key, and nothing
 * of the application's protocol. For the desk of a publisher: no proxy, no client certificate. A
 * hostile server costs time and memory within bounds, and proves nothing that is not its own.
 */
#ifndef HF_PUBLISH_LIVE_LOOK_H
#define HF_PUBLISH_LIVE_LOOK_H

#include "common/tls/endpoint_url.h"
#include "common/tls/tls_look.h"

#define HF_LIVE_OFFERS 4

/* What came of one offer. */
struct hf_live_answer {
    struct hf_tls_offer offer;
    enum hf_err err; /* HF_OK: `seen` */
    struct hf_tls_look_result seen;
    char silence[HF_WHY_MAX]; /* why there is no chain; empty where there is one */
};

/**
 * Ask `url` for its chains with each offer in turn, within `timeout_ms` for all of them together; the
 * look-up of the name before has as long. A silent server is no failure: every answer
 * says so. hf_live_answers_free. HF_E_MEMORY. I/O.
 */
HF_MUST_USE enum hf_err hf_live_look(const struct hf_endpoint_url *url, int timeout_ms,
                                     bool has_legacy_ciphers,
                                     struct hf_live_answer answers[HF_LIVE_OFFERS],
                                     struct hf_why *why);
void hf_live_answers_free(struct hf_live_answer answers[HF_LIVE_OFFERS]);

/** "TLS 1.3" and "RSA"; static. */
const char *hf_live_version_text(const struct hf_tls_offer *offer);
const char *hf_live_keys_text(const struct hf_tls_offer *offer);

#endif
