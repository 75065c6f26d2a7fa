/* The CAs of an account. What a certificate is was checked before
 * (server/identity/registration.h). */
#ifndef HF_FLEET_CA_H
#define HF_FLEET_CA_H

#include "common/base/names.h"
#include "server/fleet/tx.h"
#include "server/identity/directory.h"

extern const struct hf_sql hf_ca_sql[];

struct hf_ca_row {
    int64_t id;
    int64_t account_id;
    uint8_t sha256[HF_SHA256_LEN]; /* of the DER */
    char subject[HF_FLEET_SUBJECT_MAX];
    enum hf_cert_mode mode;
    bool is_active;
    enum hf_auto_registration auto_registration;
    /* The signer has its key: it issues, and nothing is registered just in time. "": it has not. */
    char signer_name[HF_ACCOUNT_NAME_MAX + 1];
    int64_t not_before_s;
    int64_t not_after_s;
    int64_t created_s;
    int64_t version;
};

/**
 * Register `wanted`, of which id, created_s and version do not count, with its DER. HF_E_STATE when
 * this account has it already, or when another account has it and one of the two in mode DEFAULT.
 */
HF_MUST_USE enum hf_err hf_ca_register(struct hf_tx *tx, const struct hf_ca_row *wanted,
                                       struct hf_bytes der, struct hf_ca_row *out,
                                       struct hf_why *why);
/** A CA of the signer cannot register just in time: HF_E_ARGUMENT. */
HF_MUST_USE enum hf_err hf_ca_change(struct hf_tx *tx, int64_t account_id, int64_t id,
                                     int64_t if_version, bool is_active,
                                     enum hf_auto_registration auto_registration,
                                     struct hf_ca_row *out, struct hf_why *why);
/** HF_E_STATE while certificates are registered with it. */
HF_MUST_USE enum hf_err hf_ca_delete(struct hf_tx *tx, int64_t account_id, int64_t id,
                                     int64_t if_version, struct hf_why *why);

HF_MUST_USE enum hf_err hf_ca_get(struct hf_db *db, int64_t account_id, int64_t id,
                                  struct hf_ca_row *out, struct hf_why *why);
/** The CA of the signer with that name, as this account has it. */
HF_MUST_USE enum hf_err hf_ca_find_issuing(struct hf_db *db, int64_t account_id,
                                           const char *signer_name, struct hf_ca_row *out,
                                           struct hf_why *why);
HF_MUST_USE enum hf_err hf_ca_find(struct hf_db *db, int64_t account_id,
                                   const uint8_t sha256[HF_SHA256_LEN], struct hf_ca_row *out,
                                   struct hf_why *why);

/** Append its DER. */
HF_MUST_USE enum hf_err hf_ca_der(struct hf_db *db, int64_t account_id, int64_t id,
                                  struct hf_buf *out, struct hf_why *why);

struct hf_ca_listed {
    struct hf_ca_row ca;
    struct hf_bytes der; /* borrowed for the call */
};
/** A struct hf_ca_listed each, by number, after `after`; `account_id` 0: of all accounts. */
HF_MUST_USE enum hf_err hf_ca_list(struct hf_db *db, int64_t account_id, int64_t after,
                                   size_t limit, hf_db_each *each, void *ctx, struct hf_why *why);

#endif
