/* What the device's own servers show, what it means for a change of anchors, and which of them are
 * lost: endpoints.c, losses.c. */
#ifndef HF_CLIENT_CORE_ENDPOINTS_H
#define HF_CLIENT_CORE_ENDPOINTS_H

#include "client/core/client_internal.h"

/* A change of anchors that the endpoints are asked about. */
struct hf_change {
    const struct hf_bundle *before; /* what the device uses; NULL: nothing that can be lost */
    struct hf_bytes revoked;        /* keys that it is to lose, 32 bytes each */
    const struct hf_bundle *after;
    bool is_candidate; /* `after` is not in use yet */
};

/*
 * All endpoints together. An endpoint is `for` the change when a chain of it validates after it and
 * none is lost by it. One that is lost by the publisher's own will, because its root is revoked,
 * distrusted for that certificate, or removed by date, is no evidence against: else the CA that is
 * distrusted would have a veto.
 */

/* Of an endpoint that would be lost. */
struct hf_missing_root {
    char endpoint[HF_REPORT_ENDPOINT_MAX + 1]; /* empty: there is none */
    char spki_sha256[HF_SHA256_HEX_LEN];       /* empty: not known */
    char subject[HF_DN_TEXT_MAX];
};

struct hf_judgement {
    size_t n_for;
    size_t n_silent;   /* gave no evidence either way, those that are given up among them */
    size_t n_given_up; /* of these, lost by the publisher's will */
    /* Of the silent ones, those that the old anchors would not bring back: they are given up, or
     * never showed a chain that this device validated. One that did and is refused now counts as
     * silent: it may be an attacker on the network who answers, and who must not end a trial. */
    size_t n_undecidable;
    bool is_against; /* a chain was proved that validates before and not after */
    struct hf_missing_root missing;
    char against[HF_WHY_MAX]; /* endpoint, presented issuer, the anchor that was missing */
    /* Of the first silent one, a given up one first: its name, and why; then the names of the
     * others. */
    char silent[HF_WHY_MAX];
    const char *silent_name; /* the first one's; borrowed from the port */
    char others[176];        /* names, as many as fit */
};

/**
 * Probe every endpoint with every offer that the anchors have keys for, and remember what was seen.
 * HF_OK also if no endpoint answered; anything else is this device's own fault.
 */
HF_MUST_USE enum hf_err hf_endpoints_judge(struct hf_client *c, const struct hf_change *change,
                                           struct hf_judgement *out, struct hf_why *why);

/** Probe the endpoints if the last probe is a month old, or a day while one was never seen, is lost
 *  or is refused, for what status and simulate say of them. Without a bundle there is nothing to
 *  validate with. */
HF_MUST_USE enum hf_err hf_endpoints_learn(struct hf_client *c, struct hf_why *why);

/** `its chain leads to "CN=Root", which the publisher revoked` */
void hf_loss_text(const struct hf_loss *loss, char *out, size_t cap);

/**
 * At the end of a check, in its transaction: which endpoints has the active bundle lost since the
 * last one, by what it revokes or by a date, and which are back? Each goes to the journal once.
 * `out` says in words what is lost since; empty for nothing. What cannot be compared is logged.
 */
HF_MUST_USE enum hf_err hf_endpoints_note_losses(struct hf_client *c, char out[HF_WHY_MAX],
                                                 struct hf_why *why);

/** After that, in the same transaction: keep which endpoints are refused, by what they showed in
 *  this check (c->verdicts). A change goes to the journal once, unless the endpoint is lost. `out`
 *  as above. */
HF_MUST_USE enum hf_err hf_endpoints_note_refusals(struct hf_client *c, char out[HF_WHY_MAX],
                                                   struct hf_why *why);

#endif
