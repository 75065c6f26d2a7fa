/* What the device's own servers show: endpoint_memory.c and endpoints.c. */
#ifndef HF_CLIENT_CORE_ENDPOINTS_H
#define HF_CLIENT_CORE_ENDPOINTS_H

#include "client/core/client_internal.h"

/* ---- endpoint_memory.c: between two looks ---------------------------------------------------- */

/* Of the server's key. ANY where all anchors have keys of one type: then nothing else is asked for. */
enum hf_key_type { HF_KEY_TYPE_RSA, HF_KEY_TYPE_ECC, HF_KEY_TYPE_ANY };
#define HF_KEY_TYPES 3

/* What is known of an endpoint when it is asked for a key of that type. Any one of the anchors will
 * do. Kept from handshake to handshake in the store (value `endpoint.N.TYPE`). */
struct hf_endpoint_memory {
    int64_t seen_s; /* HF_TIME_NONE: not yet */
    int64_t leaf_not_before_s;
    int64_t leaf_not_after_s;
    uint8_t anchors[HF_OBSERVED_ANCHORS_MAX][HF_SHA256_LEN]; /* SPKI */
    size_t n_anchors;
    char
        root[HF_DN_TEXT_MAX]; /* the subject of one of these anchors; empty where it is not known */
};

/* The name of an endpoint's value in the store, for a type of key: "endpoint.N.TYPE" and a suffix. */
#define HF_ENDPOINT_VALUE_MAX 40
void hf_endpoint_value(size_t endpoint, enum hf_key_type type, const char *suffix,
                       char out[HF_ENDPOINT_VALUE_MAX]);

/** What cannot be read, or is about an endpoint of another name, counts as not seen yet. */
void hf_endpoint_memory_load(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             struct hf_endpoint_memory *out);
/** Without anchors: it is forgotten. What cannot be written is logged: it is learnt again. */
void hf_endpoint_memory_save(struct hf_client *c, size_t endpoint, enum hf_key_type type,
                             const struct hf_endpoint_memory *memory);

/* ---- endpoint_memory.c: endpoints that the active bundle does not validate any more ---------- */

enum hf_loss_cause {
    HF_LOSS_MISSING = 0, /* the root is not in the bundle */
    HF_LOSS_REVOKED,
    HF_LOSS_DISTRUSTED,
    HF_LOSS_REMOVED, /* its remove_after has passed */
    HF_LOSS_EXPIRED,
};

/* A chain that an endpoint showed and that no root validates now (value `endpoint.N.TYPE.lost`). */
struct hf_loss {
    int64_t since_s; /* when it was noticed; HF_TIME_NONE: not lost, or not noticed yet */
    enum hf_loss_cause cause;
    char root[HF_DN_TEXT_MAX]; /* the subject of the root that the chain leads to */
};

/** `its chain leads to "CN=Root", which the publisher revoked` */
void hf_loss_text(const struct hf_loss *loss, char *out, size_t cap);

/** What cannot be read, or is about an endpoint of another name, is no loss. */
void hf_loss_load(struct hf_client *c, size_t endpoint, enum hf_key_type type, struct hf_loss *out);

/**
 * At the end of a check: which endpoints has the active bundle lost since the last one, by what it
 * revokes or by a date, and which are back? Each goes to the journal once. `out` says in words what is
 * lost since; empty for nothing. What goes wrong is logged.
 */
void hf_losses_note(struct hf_client *c, char out[HF_WHY_MAX]);

/* ---- endpoints.c: what they say about a change of anchors ------------------------------------ */

/* A change of anchors that the endpoints are asked about. */
struct hf_change {
    const struct hf_bundle
        *before;             /* what the device uses; NULL: nothing, so that nothing can be lost */
    struct hf_bytes revoked; /* keys that it is to lose, 32 bytes each */
    const struct hf_bundle *after;
};

/*
 * All endpoints together. An endpoint is `for` the change when a chain of it validates after it and none
 * is lost by it. One that is lost by the publisher's own will, because its root is revoked, distrusted
 * for that certificate, or removed by date, is no evidence against: else the CA that is distrusted would
 * have a veto.
 */
struct hf_judgement {
    size_t n_for;
    size_t n_silent;          /* gave no evidence either way, those that are given up among them */
    size_t n_given_up;        /* of these, lost by the publisher's will */
    bool is_against;          /* a chain was proved that validates before and not after */
    char against[HF_WHY_MAX]; /* endpoint, presented issuer, the anchor that was missing */
    char silent[HF_WHY_MAX];  /* of the first silent one: who and why; given up before no answer */
};

/**
 * Look at every endpoint with every offer that the anchors have keys for, and remember what was
 * seen. HF_OK also if no endpoint answered; anything else is this device's own fault.
 */
HF_MUST_USE enum hf_err hf_endpoints_judge(struct hf_client *c, const struct hf_change *change,
                                           struct hf_judgement *out, struct hf_why *why);

/** Look at the endpoints where the last look is a month old, or a day while one was never seen or is
 *  lost, for what status and simulate say of them. Without a bundle there is nothing to look with. */
HF_MUST_USE enum hf_err hf_endpoints_learn(struct hf_client *c, struct hf_why *why);

#endif
