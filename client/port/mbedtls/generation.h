/*
 * One generation of trust anchors: immutable once made, so any number of threads may read it.
 *
 * Anchors stay DER; an index sorted by a hash of the subject finds those that a chain asks for, and
 * only they are parsed.
 */
#ifndef HF_CLIENT_PORT_MBEDTLS_GENERATION_H
#define HF_CLIENT_PORT_MBEDTLS_GENERATION_H

#include <holdfast/trust_store.h>

#include <stdatomic.h>

struct hf_generation;

/**
 * Copy and index `anchors`. Every one is parsed once here, so that a damaged one is refused now and
 * not in the middle of a handshake. HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_generation_new(const struct hf_trust_anchor *anchors, size_t n_anchors,
                                          struct hf_generation **out, struct hf_why *why);
void hf_generation_free(struct hf_generation *generation);

/** The last not_after or remove_after of an anchor that is over at `now_s`; INT64_MIN: none. */
int64_t hf_generation_last_end(const struct hf_generation *generation, int64_t now_s);

/** Is any of its anchors usable at `now_s`? */
bool hf_generation_has_usable(const struct hf_generation *generation, int64_t now_s);

/** Does any anchor have a distrust_after? */
bool hf_generation_has_distrust(const struct hf_generation *generation);

/**
 * Append to `*list` (NULL: begins one) a parsed copy of every anchor whose subject is `issuer`,
 * that is usable at `now_s`, and that accepts a leaf issued at `leaf_not_before_s`. In the order in
 * which they were given. The caller frees the list with mbedtls_x509_crt_free and mbedtls_free.
 * 0, or an Mbed TLS error with `*list` as far as it got.
 */
HF_MUST_USE int hf_generation_collect(const struct hf_generation *generation,
                                      const mbedtls_x509_name *issuer, int64_t now_s,
                                      int64_t leaf_not_before_s, mbedtls_x509_crt **list);

/** Call `each` with every anchor whose subject is `issuer`, usable or not. */
void hf_generation_each(const struct hf_generation *generation, const mbedtls_x509_name *issuer,
                        void (*each)(void *ctx, const struct hf_trust_anchor *anchor), void *ctx);

/*
 * Which generation is in force. Readers never wait, not even for a swap; a writer waits for the
 * readers of the generation that it takes away.
 *
 * Two slots. A reader announces itself in the slot that is current and looks again whether it still
 * is: if so, the writer will see the announcement before it frees anything, if not, the reader
 * steps back and has not looked into the slot. All operations are sequentially consistent, because
 * each side writes one variable and then reads the other's.
 */

struct hf_live {
    _Atomic unsigned current; /* 0 or 1 */
    struct {
        _Atomic unsigned readers;
        struct hf_generation *generation; /* NULL in the slot that is not current */
    } slots[2];
};

void hf_live_init(struct hf_live *live, struct hf_generation *first_take);
void hf_live_free(struct hf_live *live);

/** The generation in force, borrowed until hf_live_unpin(live, *pin). Keep it short: a swap waits. */
const struct hf_generation *hf_live_pin(struct hf_live *live, unsigned *pin);
void hf_live_unpin(struct hf_live *live, unsigned pin);

/** Put `next` in force and free the one before it. One caller at a time. */
void hf_live_publish_take(struct hf_live *live, struct hf_generation *next);

#endif
