/*
 * One act in the store: what every function that changes it is given. The writer makes one for each
 * job (writer.h) in a savepoint, so an act that fails changes nothing.
 *
 * Errors of the families, and what the API makes of them:
 *
 *     HF_E_ARGUMENT   a value that the rules do not allow                    400
 *     HF_E_NOT_FOUND  no such row in this account                            404
 *     HF_E_STATE      it exists already, or this is not possible now         409
 *     HF_E_STALE      If-Match names another version of the row              412
 *     HF_E_POLICY     the token or CA does not allow this                    403
 *     HF_E_LIMIT      more than limits.h allows                              409
 *     others          the database or memory: nothing changed                500, 503
 *
 * A sentence never quotes a value that was not checked before.
 */
#ifndef HF_FLEET_TX_H
#define HF_FLEET_TX_H

#include "server/db/db.h"
#include "server/fleet/effects.h"
#include "server/fleet/limits.h"

/** The row's version is not the one that the caller saw. */
#define HF_E_STALE HF_E_HASH

struct hf_tx {
    struct hf_db *db;
    int64_t now_s;
    const char *actor; /* for the log: "uid:0", "token:NAME", "device:SHA-256", "holdfastd" */
    struct hf_effects *effects;
};

/** A condition on a row's version: 0 is none. HF_E_STALE with the sentence. */
HF_MUST_USE enum hf_err hf_tx_check_version(int64_t wanted, int64_t found, struct hf_why *why);

/** HF_E_FORMAT: a column holds a word that the schema does not have. */
enum hf_err hf_col_fail_word(const struct hf_rows *rows, unsigned column, struct hf_why *why);

#endif
