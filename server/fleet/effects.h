/*
 * What an act changes besides the database: the registry and the directory in memory. An act only
 * notes it; the writer applies it after the commit, so that no device is let in or shut out by a
 * change that a power cut takes back.
 */
#ifndef HF_FLEET_EFFECTS_H
#define HF_FLEET_EFFECTS_H

#include "common/base/digest.h"
#include "server/db/db.h"
#include "server/identity/registry.h"

enum hf_effect_kind {
    HF_EFFECT_CREDENTIAL, /* new, or any of its values changed */
    HF_EFFECT_CREDENTIAL_GONE,
    HF_EFFECT_DIRECTORY, /* an account, a server name or a CA: the directory is made again */
};

struct hf_effect {
    enum hf_effect_kind kind;
    uint8_t sha256[HF_SHA256_LEN];   /* of the first two, as what follows */
    struct hf_registered credential; /* of GONE only the account counts */
};

/** In the order in which they were noted. All zero is an empty list. */
struct hf_effects {
    struct hf_effect *list;
    size_t n;
    size_t cap;
};

/** HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_effects_add(struct hf_effects *effects, const struct hf_effect *effect,
                                       struct hf_why *why);
/** Drop all but the first `n`: the act that noted the others has failed. */
void hf_effects_cut(struct hf_effects *effects, size_t n);
void hf_effects_free(struct hf_effects *effects);

/** Who applies them: live.h, or a test. */
struct hf_effects_port {
    void *ctx;
    /** Within the transaction, before its commit: everything that can fail. `db` shows the new state. */
    enum hf_err (*prepare)(void *ctx, struct hf_db *db, const struct hf_effects *effects,
                           struct hf_why *why);
    /** After the commit; cannot fail. On the writer's thread. */
    void (*apply)(void *ctx, const struct hf_effects *effects);
    /** Instead of `apply`, when the commit failed. */
    void (*cancel)(void *ctx);
};

#endif
