/* What the three files of this table family share. */
#ifndef HF_FLEET_CREDENTIAL_SQL_H
#define HF_FLEET_CREDENTIAL_SQL_H

#include "server/fleet/credential.h"

enum {
    HF_CRED_INSERT,
    HF_CRED_GET,
    HF_CRED_GET_OFFERED,
    HF_CRED_FIND,
    HF_CRED_FIND_OFFERED,
    HF_CRED_FIND_OTHER,
    HF_CRED_FIND_LOST,
    HF_CRED_DER,
    HF_CRED_DER_INSERT,
    HF_CRED_LIST,
    HF_CRED_LIST_OF_DEVICE,
    HF_CRED_LIST_REGISTERED,
    HF_CRED_COUNT,
    HF_CRED_SET_STATUS,
    HF_CRED_MOVE,
    HF_CRED_ASK_ROTATION,
    HF_CRED_CONFIRM,
    HF_CRED_RETIRE_LATER,
    HF_CRED_SUCCESSORS,
    HF_CRED_LIST_SUCCESSORS,
    HF_CRED_DUE,
    HF_CRED_HAS_SUCCESSOR,
    HF_CRED_ROTATED_AT,
};

/** Run a statement that gives one whole row. HF_E_NOT_FOUND with a sentence. */
HF_MUST_USE enum hf_err hf_credential_one(struct hf_db *db, const struct hf_sql *sql,
                                          const struct hf_param *params, size_t n_params,
                                          struct hf_credential *out, struct hf_why *why);
/** Set a status that was checked, and the transfer that belongs to it (0: none), log it and note
 *  it. */
HF_MUST_USE enum hf_err hf_credential_put_status(struct hf_tx *tx, const struct hf_credential *old,
                                                 enum hf_cert_status status, int64_t to_account_id,
                                                 const char *action, const char *reason,
                                                 struct hf_credential *out, struct hf_why *why);
/** Note that the registry has to hold `row`. */
HF_MUST_USE enum hf_err hf_credential_note(struct hf_tx *tx, const struct hf_credential *row,
                                           struct hf_why *why);
/** Note the event of a new certificate (`old` NULL), or of one that was `old` before. */
HF_MUST_USE enum hf_err hf_credential_tell(struct hf_tx *tx, const struct hf_credential *row,
                                           const struct hf_credential *old, const char *reason,
                                           struct hf_why *why);
/** HF_E_STATE for a certificate that this account revoked, and that a restored backup does not have
 *  there. */
HF_MUST_USE enum hf_err hf_credential_check_lost(struct hf_tx *tx, int64_t account_id,
                                                 const uint8_t sha256[HF_SHA256_LEN],
                                                 struct hf_why *why);
/** hf_credential_register, as the successor of `old` where that is not NULL. */
HF_MUST_USE enum hf_err hf_credential_insert(struct hf_tx *tx,
                                             const struct hf_credential_new *wanted,
                                             const struct hf_credential *old,
                                             struct hf_credential *out, struct hf_why *why);

#endif
