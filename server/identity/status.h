/*
 * What a registered certificate is and may become. The numbers are stored in databases: new ones
 * come at the end. No I/O.
 *
 *     PENDING_ACTIVATION ──▶ ACTIVE ⇄ INACTIVE ⇄ PENDING_TRANSFER     any but REVOKED ──▶ REVOKED
 */
#ifndef HF_IDENTITY_STATUS_H
#define HF_IDENTITY_STATUS_H

#include <holdfast/error.h>

#include <stdbool.h>

enum hf_cert_status {
    HF_CERT_NONE = 0,
    HF_CERT_ACTIVE,
    HF_CERT_INACTIVE,
    HF_CERT_REVOKED,
    HF_CERT_PENDING_TRANSFER,
    HF_CERT_PENDING_ACTIVATION,
};
#define HF_CERT_STATUSES 6

/* In how many accounts it may be registered, and how its account is found. */
enum hf_cert_mode {
    HF_CERT_MODE_DEFAULT = 1, /* one account, by the certificate */
    HF_CERT_MODE_SNI_ONLY,    /* several, by SNI */
};

enum hf_cert_kind {
    HF_CERT_DEVICE = 1,
    HF_CERT_CLAIM, /* of a production line: enrols devices and may do nothing else */
    /* No certificate, but a key with which a device signs reports (server/fleet/report_key.h). It
     * has no name, so that no certificate is registered as one. */
    HF_CERT_REPORT_KEY,
};

/* What happens to a certificate, besides being set to a status by hand. */
enum hf_cert_act {
    HF_CERT_ACT_TRANSFER, /* offered to another account */
    HF_CERT_ACT_ACCEPT,   /* by that account, which gets it INACTIVE */
    HF_CERT_ACT_REJECT,   /* by that account */
    HF_CERT_ACT_CANCEL,   /* by the account that offered it */
};

/** "ACTIVE"; "NONE" for a number that is no status. Never NULL. */
const char *hf_cert_status_name(enum hf_cert_status status);
/** False for a text that is no status's name. */
HF_MUST_USE bool hf_cert_status_parse(const char *text, enum hf_cert_status *out);

/** "DEFAULT", "SNI_ONLY"; "NONE" for a number that is no mode. */
const char *hf_cert_mode_name(enum hf_cert_mode mode);
HF_MUST_USE bool hf_cert_mode_parse(const char *text, enum hf_cert_mode *out);

/** "device", "claim"; "none" for a number that is no kind. */
const char *hf_cert_kind_name(enum hf_cert_kind kind);
HF_MUST_USE bool hf_cert_kind_parse(const char *text, enum hf_cert_kind *out);

/** May an operator set `from` to `to`? Setting it to what it is changes nothing and is allowed,
 *  except for PENDING_*. HF_E_ARGUMENT for a status that is never set by hand, HF_E_STATE for one
 *  that does not follow. */
HF_MUST_USE enum hf_err hf_cert_status_check_set(enum hf_cert_status from, enum hf_cert_status to,
                                                 struct hf_why *why);

/** The status after `act`. HF_E_STATE where `from` does not allow it. */
HF_MUST_USE enum hf_err hf_cert_status_after(enum hf_cert_status from, enum hf_cert_act act,
                                             enum hf_cert_status *out, struct hf_why *why);

#endif
