/*
 * The client certificates of devices: registered, changed, handed to another account, rotated.
 * Which status may follow which is decided by server/identity/status.h; what a certificate is was
 * checked before (server/identity/registration.h). Errors: tx.h.
 */
#ifndef HF_FLEET_CREDENTIAL_H
#define HF_FLEET_CREDENTIAL_H

#include "server/fleet/tx.h"
#include "server/identity/status.h"

extern const struct hf_sql hf_credential_sql[];

enum hf_credential_source {
    HF_SOURCE_REGISTERED = 1, /* by an operator */
    HF_SOURCE_ISSUED,         /* by the signer */
    HF_SOURCE_AUTO,           /* just in time, when it connected */
};
/** "registered", "issued", "auto". */
const char *hf_credential_source_name(enum hf_credential_source source);

struct hf_credential {
    int64_t id;
    int64_t account_id;
    uint8_t sha256[HF_SHA256_LEN]; /* of the DER */
    char subject[HF_FLEET_SUBJECT_MAX];
    char serial[HF_FLEET_SERIAL_MAX];
    enum hf_cert_kind kind;
    enum hf_cert_mode mode;
    enum hf_cert_status status;
    enum hf_credential_source source;
    int64_t ca_id;     /* 0: registered without a CA */
    int64_t device_id; /* 0: of no device */
    int64_t not_before_s;
    int64_t not_after_s;
    int64_t created_s;
    int64_t transfer_account_id; /* PENDING_TRANSFER: to this one; otherwise 0 */
    int64_t replaces_id;         /* it was rotated from this one; 0: from none */
    bool is_confirmed; /* its first request was seen; always, unless it came by rotation */
    bool is_rotation_asked;
    int64_t retire_at_s; /* it becomes INACTIVE then; 0: never */
    int64_t version;
};

/* ---- registering ----------------------------------------------------------------------------- */

struct hf_credential_new {
    int64_t account_id;
    struct hf_bytes der;
    uint8_t sha256[HF_SHA256_LEN];
    const char *subject;
    const char *serial;
    enum hf_cert_kind kind;
    enum hf_credential_source source;
    enum hf_cert_status status; /* ACTIVE or INACTIVE; of source AUTO the CA says it */
    int64_t ca_id;      /* 0: without a CA, which makes it SNI_ONLY; otherwise the CA's mode */
    const char *device; /* NULL: of no device yet; it is made if it is not there */
    const char *group;  /* of a device that is made; NULL: none */
    int64_t not_before_s;
    int64_t not_after_s;
};

/**
 * HF_E_STATE when this account has the certificate already, or when another account has it and one
 * of the two in mode DEFAULT. HF_E_POLICY when the CA is INACTIVE, does not register just in time,
 * or (ISSUED) is not the service's own.
 */
HF_MUST_USE enum hf_err hf_credential_register(struct hf_tx *tx,
                                               const struct hf_credential_new *wanted,
                                               struct hf_credential *out, struct hf_why *why);

/* ---- status ---------------------------------------------------------------------------------- */

/** By hand. To what it is already: HF_OK, and nothing is changed or logged. HF_E_ARGUMENT for
 *  PENDING_*, HF_E_STATE for a status that does not follow. REVOKED revokes all that were rotated
 *  from it as well, each with its entry; one that is offered to another account stays offered.
 *  INACTIVE and REVOKED make a predecessor that waits to retire INACTIVE at once. */
HF_MUST_USE enum hf_err hf_credential_set_status(struct hf_tx *tx, int64_t account_id, int64_t id,
                                                 int64_t if_version, enum hf_cert_status status,
                                                 const char *reason, struct hf_credential *out,
                                                 struct hf_why *why);

/** Offer an INACTIVE certificate to another account. HF_E_STATE when that one has it already. */
HF_MUST_USE enum hf_err hf_credential_transfer(struct hf_tx *tx, int64_t account_id, int64_t id,
                                               int64_t if_version, int64_t to_account_id,
                                               const char *message, struct hf_credential *out,
                                               struct hf_why *why);
/** By the account that offered it: it stays there, INACTIVE. */
HF_MUST_USE enum hf_err hf_credential_cancel_transfer(struct hf_tx *tx, int64_t account_id,
                                                      int64_t id, struct hf_credential *out,
                                                      struct hf_why *why);
/** By the account that it was offered to, as the next one; it stays where it was, INACTIVE. */
HF_MUST_USE enum hf_err hf_credential_reject_transfer(struct hf_tx *tx, int64_t account_id,
                                                      int64_t id, const char *reason,
                                                      struct hf_credential *out,
                                                      struct hf_why *why);
/** It moves there: INACTIVE, of no device and of no CA, hence SNI_ONLY. */
HF_MUST_USE enum hf_err hf_credential_accept_transfer(struct hf_tx *tx, int64_t account_id,
                                                      int64_t id, struct hf_credential *out,
                                                      struct hf_why *why);

/* ---- rotation -------------------------------------------------------------------------------- */

/** Ask the device to rotate an ACTIVE certificate; asking twice is asking once. */
HF_MUST_USE enum hf_err hf_credential_ask_rotation(struct hf_tx *tx, int64_t account_id, int64_t id,
                                                   int64_t if_version, struct hf_credential *out,
                                                   struct hf_why *why);
/**
 * Register the successor of the ACTIVE certificate `old_id` of a device, for the same device;
 * `wanted->device` and `wanted->group` do not count. A successor that was issued before and never
 * seen becomes INACTIVE: the device has lost it, or has it and will ask again. HF_E_STATE.
 */
HF_MUST_USE enum hf_err hf_credential_rotate(struct hf_tx *tx, int64_t old_id,
                                             const struct hf_credential_new *wanted,
                                             struct hf_credential *out, struct hf_why *why);
/** When the device was given the successor of a certificate within the last
 *  HF_FLEET_ISSUE_WINDOW_S; HF_TIME_NONE: it was not. Successors with a date ahead of `now_s` do
 *  not count, so a clock that was ahead blocks no device. */
HF_MUST_USE enum hf_err hf_credential_rotated_at(struct hf_db *db, int64_t device_id, int64_t now_s,
                                                 int64_t *out, struct hf_why *why);
/** Its first request was seen: the old one becomes INACTIVE HF_FLEET_RETIRE_AFTER_S later. A second
 *  time changes nothing. */
HF_MUST_USE enum hf_err hf_credential_confirm(struct hf_tx *tx, int64_t account_id, int64_t id,
                                              struct hf_why *why);
/** Set INACTIVE what is due, at most HF_FLEET_RETIRE_AT_ONCE; `*n` of them were due. One whose
 *  device has no newer ACTIVE certificate that it uses stays as it is: otherwise it could not
 *  connect. */
HF_MUST_USE enum hf_err hf_credential_retire_due(struct hf_tx *tx, size_t *n, struct hf_why *why);

/* ---- reading --------------------------------------------------------------------------------- */

HF_MUST_USE enum hf_err hf_credential_get(struct hf_db *db, int64_t account_id, int64_t id,
                                          struct hf_credential *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_credential_find(struct hf_db *db, int64_t account_id,
                                           const uint8_t sha256[HF_SHA256_LEN],
                                           struct hf_credential *out, struct hf_why *why);
/** One that another account offers to this one. */
HF_MUST_USE enum hf_err hf_credential_find_offered(struct hf_db *db, int64_t to_account_id,
                                                   const uint8_t sha256[HF_SHA256_LEN],
                                                   struct hf_credential *out, struct hf_why *why);
/** Append its DER. */
HF_MUST_USE enum hf_err hf_credential_der(struct hf_db *db, int64_t account_id, int64_t id,
                                          struct hf_buf *out, struct hf_why *why);

/* What a list holds: of the account, and further conditions. */
struct hf_credential_filter {
    int64_t account_id;
    enum hf_cert_status status; /* HF_CERT_NONE: any */
    int64_t device_id;          /* 0: any */
};
/** A struct hf_credential each, by number, after `after`. */
HF_MUST_USE enum hf_err hf_credential_list(struct hf_db *db,
                                           const struct hf_credential_filter *filter, int64_t after,
                                           size_t limit, hf_db_each *each, void *ctx,
                                           struct hf_why *why);

struct hf_registered_row {
    uint8_t sha256[HF_SHA256_LEN];
    struct hf_registered entry;
};
/** A struct hf_registered_row each: all of all accounts, as the registry holds them. */
HF_MUST_USE enum hf_err hf_credential_list_registered(struct hf_db *db, hf_db_each *each, void *ctx,
                                                      struct hf_why *why);
HF_MUST_USE enum hf_err hf_credential_count(struct hf_db *db, int64_t *out, struct hf_why *why);

/** What of a certificate the registry holds. */
struct hf_registered hf_credential_registered(const struct hf_credential *credential);

#endif
