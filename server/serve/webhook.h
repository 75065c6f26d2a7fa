/*
 * Delivers findings to an address of the operator's, for those who have no Alertmanager: each that
 * opens, changes, is muted or closes is POSTed as JSON, in their order, until it is answered 2xx.
 * One that is answered otherwise is tried again later and does not hold back the others. Delivery
 * is at least once, also over a restart: the number of the version that was delivered is kept after
 * the answer.
 *
 *     Holdfast-Delivery: 17-2                  finding 17 in its version 2; the same in each try
 *     Holdfast-Signature: t=1790000000,v1=HEX  HMAC-SHA256 (RFC 2104) by the secret, over
 *                                              "1790000000." and the body. A receiver refuses what
 *                                              is older than some minutes
 */
#ifndef HF_SERVE_WEBHOOK_H
#define HF_SERVE_WEBHOOK_H

#include "common/base/counter.h"
#include "server/fleet/fleet.h"

struct hf_webhook_config {
    const char *url;         /* https:// or http://, as the configuration has checked */
    const char *secret_file; /* mode 0600; its first line, 16 to 256 bytes */
    const char *ca_file;     /* NULL: the system's */
};

/* Where findings go, and the secret. */
struct hf_webhook_target;

/** Read the secret. Nothing of `config` is kept. HF_E_NOT_FOUND, HF_E_POLICY (others may read the
 *  secret), HF_E_FORMAT, HF_E_MEMORY, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_webhook_target_new(const struct hf_webhook_config *config,
                                              struct hf_webhook_target **out, struct hf_why *why);
/** NULL is fine. */
void hf_webhook_target_free(struct hf_webhook_target *target);

struct hf_webhook;

/** Start the thread. Without a target (NULL) nothing is delivered, and what is due waits in the
 *  database. `target` is taken in any case. HF_E_MEMORY, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_webhook_start_take(struct hf_fleet *fleet,
                                              struct hf_webhook_target *target,
                                              struct hf_webhook **out, struct hf_why *why);
/** Deliver to this one (NULL: to none) as soon as a delivery under way has ended. What was not
 *  delivered goes there, at once. From any thread. */
void hf_webhook_offer_take(struct hf_webhook *webhook, struct hf_webhook_target *target);
/** Give up what is under way, end the thread and free. Before hf_fleet_close. NULL is fine. */
void hf_webhook_stop(struct hf_webhook *webhook);

/* For monitoring; from any thread. */
struct hf_webhook_numbers {
    hf_counter delivered, failed; /* failed: tries */
};
const struct hf_webhook_numbers *hf_webhook_numbers(const struct hf_webhook *webhook);

#endif
