/* Accounts, and the server names by which devices reach them. Errors: tx.h. */
#ifndef HF_FLEET_ACCOUNT_H
#define HF_FLEET_ACCOUNT_H

#include "common/base/names.h"
#include "server/fleet/tx.h"
#include "server/identity/directory.h"
#include "server/identity/registration.h"

extern const struct hf_sql hf_account_sql[];

struct hf_account_row {
    int64_t id;
    char name[HF_ACCOUNT_NAME_MAX + 1];
    enum hf_anonymous anonymous;
    char issuing_ca[HF_ACCOUNT_NAME_MAX + 1]; /* of the signer's CAs; "": none, nothing is issued */
    char registration_code[HF_REGISTRATION_CODE_LEN + 1];
    int64_t created_s;
    int64_t version;
};

/** HF_E_STATE when the name is taken. */
HF_MUST_USE enum hf_err hf_account_create(struct hf_tx *tx, const char *name,
                                          enum hf_anonymous anonymous, struct hf_account_row *out,
                                          struct hf_why *why);
/** `if_version` as of hf_tx_check_version, here and below. `issuing_ca` "": none. */
HF_MUST_USE enum hf_err hf_account_change(struct hf_tx *tx, int64_t id, int64_t if_version,
                                          enum hf_anonymous anonymous, const char *issuing_ca,
                                          struct hf_account_row *out, struct hf_why *why);
/** HF_E_STATE while a CA, certificate, device or token belongs to it. Its server names go with
 *  it. */
HF_MUST_USE enum hf_err hf_account_delete(struct hf_tx *tx, int64_t id, int64_t if_version,
                                          struct hf_why *why);

/** A server name of any case. HF_E_STATE when another account, or this one, has it. */
HF_MUST_USE enum hf_err hf_account_add_sni(struct hf_tx *tx, int64_t id, const char *name,
                                           struct hf_why *why);
HF_MUST_USE enum hf_err hf_account_remove_sni(struct hf_tx *tx, int64_t id, const char *name,
                                              struct hf_why *why);

HF_MUST_USE enum hf_err hf_account_get(struct hf_db *db, int64_t id, struct hf_account_row *out,
                                       struct hf_why *why);
HF_MUST_USE enum hf_err hf_account_find(struct hf_db *db, const char *name,
                                        struct hf_account_row *out, struct hf_why *why);

/** Gives `each` a struct hf_account_row, by number, after `after`. `each` runs no statement of this
 *  list; so in every list of this folder. */
HF_MUST_USE enum hf_err hf_account_list(struct hf_db *db, int64_t after, size_t limit,
                                        hf_db_each *each, void *ctx, struct hf_why *why);

struct hf_sni {
    char name[HF_FLEET_SNI_MAX + 1];
    int64_t account_id;
};
/** A struct hf_sni each, in the order of the alphabet; `account_id` 0: of all accounts. */
HF_MUST_USE enum hf_err hf_sni_list(struct hf_db *db, int64_t account_id, hf_db_each *each,
                                    void *ctx, struct hf_why *why);

#endif
