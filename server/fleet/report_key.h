/*
 * The Ed25519 keys with which devices sign reports that come without a client certificate. An
 * operator registers them. A device has one key that is good; a key that was replaced or revoked is
 * never good again. Good ones are in the registry beside the certificates, so that a loop knows
 * them without a look at the database.
 */
#ifndef HF_FLEET_REPORT_KEY_H
#define HF_FLEET_REPORT_KEY_H

#include "common/report/signature.h"
#include "server/fleet/credential.h"
#include "server/fleet/device.h"

extern const struct hf_sql hf_report_key_sql[];

struct hf_report_key {
    int64_t id;
    int64_t account_id;
    int64_t device_id;
    uint8_t public_key[HF_REPORT_KEY_LEN];
    int64_t created_s;
    char created_by[HF_FLEET_ACTOR_MAX + 1];
};

/** Under what the registry has a key: a hash that no certificate has. */
void hf_report_key_hash(const uint8_t public_key[HF_REPORT_KEY_LEN], uint8_t out[HF_SHA256_LEN]);

/**
 * Register the key of a device in place of the one that it has, if any. The same key again changes
 * nothing. HF_E_ARGUMENT for bytes that are no key; HF_E_STATE for one that another device of the
 * account has, or that was revoked.
 */
HF_MUST_USE enum hf_err hf_report_key_register(struct hf_tx *tx, const struct hf_device *device,
                                               const uint8_t public_key[HF_REPORT_KEY_LEN],
                                               struct hf_report_key *out, struct hf_why *why);
/** HF_E_NOT_FOUND: the device has no key. */
HF_MUST_USE enum hf_err hf_report_key_revoke(struct hf_tx *tx, const struct hf_device *device,
                                             struct hf_why *why);
/** The good one of a device. HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_report_key_find(struct hf_db *db, int64_t device_id,
                                           struct hf_report_key *out, struct hf_why *why);

/** A struct hf_registered_row each: all good ones, as the registry has them. */
HF_MUST_USE enum hf_err hf_report_key_list_registered(struct hf_db *db, hf_db_each *each, void *ctx,
                                                      struct hf_why *why);
/** For a restore: note what the registry must forget of `from`, since `to` does not have it. */
HF_MUST_USE enum hf_err hf_report_key_note_gone(struct hf_db *from, struct hf_db *to,
                                                struct hf_effects *effects, struct hf_why *why);

#endif
