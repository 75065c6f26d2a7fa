/*
 * Saved TLS sessions, a bounded number, the least recently used goes first.
 *
 * A resumed session is not verified again, so each belongs to the generation of anchors that it was
 * verified under and goes with it, and after HF_SESSION_LIFE_S at the latest.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_SESSIONS_H
#define HF_CLIENT_PORT_MBEDTLS_SESSIONS_H

#include <holdfast/trust_store.h>

#include <stddef.h>
#include <stdint.h>

#include <mbedtls/ssl.h>
#include <pthread.h>

#define HF_SESSIONS_MAX 32      /* a device has a handful of peers */
#define HF_SESSION_PEER_MAX 300 /* bytes: a host name of 253, a port */
#define HF_SESSION_BYTES_MAX                                                                       \
    65536u /* one serialised session: a ticket and the peer's certificate */
#define HF_SESSION_LIFE_S                                                                          \
    86400 /* since it was verified: a peer whose chain is no longer valid is noticed in a day */

struct hf_session {
    char *peer; /* NULL: free */
    unsigned char *bytes;
    size_t len;
    int64_t verified_s; /* when its chain was; resuming it does not make it younger */
    uint64_t last_used; /* by the cache's own count of uses */
};

struct hf_sessions {
    pthread_mutex_t mutex;
    uint64_t generation;
    uint64_t uses;
    struct hf_session at[HF_SESSIONS_MAX];
};

HF_MUST_USE enum hf_err hf_sessions_init(struct hf_sessions *s, struct hf_why *why);
void hf_sessions_free(struct hf_sessions *s);

/** Drop those of another generation; from now on only sessions of `generation` are kept. */
void hf_sessions_begin(struct hf_sessions *s, uint64_t generation);

/** Offer the one for `peer`, if there is one that was verified after `last_end_s`
 *  (hf_trust_store_last_end), in the handshake that `ssl` is about to make. */
struct hf_trust_resumption hf_sessions_offer(struct hf_sessions *s, const char *peer,
                                             int64_t last_end_s, mbedtls_ssl_context *ssl);

/** Keep the session of `ssl`, unless its generation is over. `resumption` is what the offer gave; a
 *  server may refuse the offer and be verified again, which is not known here: then the session is
 *  taken to be older than it is. */
void hf_sessions_keep(struct hf_sessions *s, const char *peer,
                      struct hf_trust_resumption resumption, mbedtls_ssl_context *ssl);

#endif
