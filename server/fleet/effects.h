/*
 * What an act changes besides the database: the registry and the directory in memory, and what
 * those hear who watch (events.h) or follow devices (changes.h). An act only notes it; the writer
 * applies it after the commit, so that no device is let in or shut out by a change that a power cut
 * takes back, and no event tells of one.
 */
#ifndef HF_FLEET_EFFECTS_H
#define HF_FLEET_EFFECTS_H

#include "common/base/digest.h"
#include "server/db/db.h"
#include "server/identity/registry.h"

enum hf_effect_kind {
    HF_EFFECT_CREDENTIAL, /* new, or any of its values changed */
    HF_EFFECT_CREDENTIAL_GONE,
    HF_EFFECT_DEVICE,    /* its group, what it reported, or whether it may connect (changes.h) */
    HF_EFFECT_DIRECTORY, /* an account, a server name or a CA: the directory is made again */
};

struct hf_effect {
    enum hf_effect_kind kind;
    uint8_t sha256[HF_SHA256_LEN];   /* of the first two, as what follows */
    struct hf_registered credential; /* of GONE only the account counts */
    /* Whose certificate or key it is; 0: of none. Of DEVICE: the device; 0: any of them may have
     * changed. */
    int64_t device_id;
};

/* What is to become an event. */
struct hf_event_note {
    const char *kind; /* static */
    int64_t account_id;
    int64_t time_s;
    struct hf_buf data; /* a JSON object that is not empty */
};

/** In the order in which they were noted. All zero is empty. */
struct hf_effects {
    struct hf_effect *list;
    size_t n;
    size_t cap;
    struct hf_event_note *notes;
    size_t n_notes;
    size_t notes_cap;
    size_t n_lost; /* notes for which there was no room (HF_EVENTS_KEPT_MAX) or memory */
};

/** HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_effects_add(struct hf_effects *effects, const struct hf_effect *effect,
                                       struct hf_why *why);
/** Note that a device has changed; 0: that any may have. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_effects_add_device(struct hf_effects *effects, int64_t device_id,
                                              struct hf_why *why);
/** Note an event (events.h); what does not fit is counted. `data` is taken. */
void hf_effects_note_take(struct hf_effects *effects, const struct hf_event_note *note);

struct hf_effects_mark {
    size_t n, n_notes;
};
struct hf_effects_mark hf_effects_mark(const struct hf_effects *effects);
/** Drop what was added since: the act that did it has failed. */
void hf_effects_cut(struct hf_effects *effects, struct hf_effects_mark mark);
/** Drop all. */
void hf_effects_clear(struct hf_effects *effects);
void hf_effects_free(struct hf_effects *effects);

/** Who applies them: live.h, or a test. */
struct hf_effects_port {
    void *ctx;
    /** Within the transaction, before its commit: everything that can fail. `db` shows the new
     *  state. */
    enum hf_err (*prepare)(void *ctx, struct hf_db *db, const struct hf_effects *effects,
                           struct hf_why *why);
    /** After the commit; cannot fail. On the writer's thread. */
    void (*apply)(void *ctx, const struct hf_effects *effects);
    /** Instead of `apply`, when the commit failed. */
    void (*cancel)(void *ctx);
};

#endif
