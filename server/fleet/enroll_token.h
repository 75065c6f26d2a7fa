/*
 * Enrolment tokens: the right to enrol devices into a group, for a number of uses and a time. A use
 * belongs to one device and one signing request, so that a device that did not get its answer may
 * ask again with the same request and takes no second use. Errors: tx.h.
 */
#ifndef HF_FLEET_ENROLL_TOKEN_H
#define HF_FLEET_ENROLL_TOKEN_H

#include "common/base/names.h"
#include "server/fleet/secret.h"
#include "server/fleet/tx.h"
#include "server/identity/status.h"

extern const struct hf_sql hf_enroll_token_sql[];

struct hf_enroll_token {
    int64_t id;
    int64_t account_id;
    char group[HF_FLEET_GROUP_NAME_MAX + 1];
    char device[HF_DEVICE_ID_MAX + 1]; /* "": any */
    enum hf_cert_kind kind;            /* of the certificates that it enrols */
    int64_t uses_max;
    int64_t uses;
    int64_t expires_s;
    bool is_revoked;
    int64_t created_s;
    char created_by[HF_FLEET_ACTOR_MAX + 1];
    int64_t version;
};

/** `wanted`: account, group, device, kind, uses_max, expires_s. `secret` is shown once and never
 *  again. */
HF_MUST_USE enum hf_err hf_enroll_token_create(struct hf_tx *tx,
                                               const struct hf_enroll_token *wanted,
                                               char secret[HF_SECRET_TEXT_MAX],
                                               struct hf_enroll_token *out, struct hf_why *why);
/** A second time changes nothing. */
HF_MUST_USE enum hf_err hf_enroll_token_revoke(struct hf_tx *tx, int64_t account_id, int64_t id,
                                               int64_t if_version, struct hf_enroll_token *out,
                                               struct hf_why *why);

struct hf_enroll_use {
    int64_t id;
    int64_t token_id;
    char group[HF_FLEET_GROUP_NAME_MAX + 1];
    enum hf_cert_kind kind;
    int64_t credential_id; /* what this request was answered with before; 0: nothing yet */
};
/**
 * Take one use of the token `secret` for `device` and its request, before the signer is asked.
 * HF_E_POLICY, always with the same sentence, when there is no such token in this account, or it is
 * used up, expired, revoked or for another device.
 */
HF_MUST_USE enum hf_err hf_enroll_token_redeem(struct hf_tx *tx, int64_t account_id,
                                               const char *secret, const char *device,
                                               const uint8_t csr_sha256[HF_SHA256_LEN],
                                               struct hf_enroll_use *out, struct hf_why *why);
/** Would hf_enroll_token_redeem take it? Same errors, same sentence; changes nothing, for a
 *  reader's job. */
HF_MUST_USE enum hf_err hf_enroll_token_check(struct hf_tx *tx, int64_t account_id,
                                              const char *secret, const char *device,
                                              const uint8_t csr_sha256[HF_SHA256_LEN],
                                              struct hf_why *why);
/** The certificate that a use was answered with. HF_E_STATE if there is one already: then this one
 *  is not registered, because the transaction fails. */
HF_MUST_USE enum hf_err hf_enroll_use_answer(struct hf_tx *tx, int64_t use_id,
                                             int64_t credential_id, struct hf_why *why);

HF_MUST_USE enum hf_err hf_enroll_token_get(struct hf_db *db, int64_t account_id, int64_t id,
                                            struct hf_enroll_token *out, struct hf_why *why);
/** A struct hf_enroll_token each, by number, after `after`. */
HF_MUST_USE enum hf_err hf_enroll_token_list(struct hf_db *db, int64_t account_id, int64_t after,
                                             size_t limit, hf_db_each *each, void *ctx,
                                             struct hf_why *why);

#endif
