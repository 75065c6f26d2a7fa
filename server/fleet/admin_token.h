/* Tokens of the admin API, and what their holders may do. Only hashes are stored. Errors: tx.h. */
#ifndef HF_FLEET_ADMIN_TOKEN_H
#define HF_FLEET_ADMIN_TOKEN_H

#include "server/fleet/secret.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_admin_token_sql[];

/* Each may do what those before it may. */
enum hf_admin_role {
    HF_ADMIN_NONE = 0,
    HF_ADMIN_VIEWER,    /* reads */
    HF_ADMIN_OPERATOR,  /* changes the status of devices and certificates */
    HF_ADMIN_REGISTRAR, /* registers CAs and certificates, makes enrolment tokens */
    HF_ADMIN_ADMIN,     /* accounts, tokens, publications */
};
/** "viewer", …; "none" for HF_ADMIN_NONE. */
const char *hf_admin_role_name(enum hf_admin_role role);
/** False for a text that names no role. */
HF_MUST_USE bool hf_admin_role_parse(const char *text, enum hf_admin_role *out);

struct hf_admin_token {
    int64_t id;
    char name[HF_FLEET_TOKEN_NAME_MAX + 1];
    enum hf_admin_role role;
    int64_t expires_s;  /* 0: never */
    int64_t last_use_s; /* good to HF_FLEET_LAST_USE_S; 0: never used */
    bool is_revoked;
    int64_t created_s;
    char created_by[HF_FLEET_ACTOR_MAX + 1];
    int64_t version;
};

/** `secret` is shown once and never again. HF_E_STATE when the name is taken, also by a revoked
 *  one: the log names tokens. */
HF_MUST_USE enum hf_err hf_admin_token_create(struct hf_tx *tx, const char *name,
                                              enum hf_admin_role role, int64_t expires_s,
                                              char secret[HF_SECRET_TEXT_MAX],
                                              struct hf_admin_token *out, struct hf_why *why);
/** A second time changes nothing. */
HF_MUST_USE enum hf_err hf_admin_token_revoke(struct hf_tx *tx, int64_t id, int64_t if_version,
                                              struct hf_admin_token *out, struct hf_why *why);
/** Whose is this? HF_E_POLICY, always with the same sentence, unless it is valid now. */
HF_MUST_USE enum hf_err hf_admin_token_check(struct hf_db *db, const char *secret, int64_t now_s,
                                             struct hf_admin_token *out, struct hf_why *why);

/** Is its last use so long ago that it has to be noted? */
bool hf_admin_token_use_is_due(const struct hf_admin_token *token, int64_t now_s);
/** Note that it was used now; not logged, and the version does not move. */
HF_MUST_USE enum hf_err hf_admin_token_note_use(struct hf_tx *tx, int64_t id, struct hf_why *why);

HF_MUST_USE enum hf_err hf_admin_token_get(struct hf_db *db, int64_t id, struct hf_admin_token *out,
                                           struct hf_why *why);
/** A struct hf_admin_token each, by number, after `after`. */
HF_MUST_USE enum hf_err hf_admin_token_list(struct hf_db *db, int64_t after, size_t limit,
                                            hf_db_each *each, void *ctx, struct hf_why *why);

#endif
