/*
 * A certificate on its way to a device, for enrolment and rotation:
 *
 *     check    reader   the request by itself, and whether it was answered before
 *     redeem   writer   one use of the token (enrolment)
 *     sign     signer   the certificate
 *     record   writer   registered; only then does the device get it
 *
 * A device that did not get its answer asks again with the same key and gets the same certificate.
 * A crash between `sign` and `record` leaves a certificate that is registered nowhere, and
 * therefore refused.
 */
#ifndef HF_API_ORDER_H
#define HF_API_ORDER_H

#include "server/api/parts.h"
#include "server/identity/csr.h"

/* What the steps hand on. */
struct hf_order {
    struct hf_account_row account;
    struct hf_ca_row ca; /* that issues */
    struct hf_csr csr;
    uint8_t csr_sha256[HF_SHA256_LEN];
    char device[HF_DEVICE_ID_MAX + 1];
    char group[HF_FLEET_GROUP_NAME_MAX + 1];
    enum hf_cert_kind kind;
    int64_t device_id;   /* 0: there is no such device yet */
    bool is_known;       /* it has another certificate than answered_id, of any status */
    int64_t answered_id; /* the certificate that it was answered with before; 0: none */
    int64_t use_id;      /* of the token, to be answered; 0: none */
    int64_t token_id;    /* that enrols it; 0: a claim certificate does */
    bool is_renewal;     /* the signer verifies the old key's signature itself */

    /* Rotation. */
    struct hf_credential old;
    struct hf_buf old_der;
    struct hf_buf signature;

    struct hf_buf made; /* the new certificate */
};

/** The call's order, empty. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_order_new(struct hf_api_call *call, struct hf_order **out,
                                     struct hf_why *why);
/** The account of the device, and the CA that issues for it. HF_E_STATE without one. */
HF_MUST_USE enum hf_err hf_order_find_issuer(struct hf_api_call *call, struct hf_tx *tx,
                                             struct hf_order *order, struct hf_why *why);
/** "csr" of the body, without its signature; and its signature, which is verified last: a client
 *  that may not ask costs no more than a look into the database. */
HF_MUST_USE enum hf_err hf_order_read_csr(struct hf_api_call *call, struct hf_order *order,
                                          struct hf_why *why);
HF_MUST_USE enum hf_err hf_order_verify_csr(struct hf_api_call *call, const struct hf_order *order,
                                            struct hf_why *why);
/** Which certificates does the device have? Sets device_id, answered_id and is_known. */
HF_MUST_USE enum hf_err hf_order_look_at_device(struct hf_tx *tx, struct hf_order *order,
                                                struct hf_why *why);

/** The step that asks the signer, unless the request was answered before. Except for 429, no
 *  failure of the signer is the device's to mend: it gets 503, and the log the reason. */
hf_api_step hf_order_sign;

/** What the store wants of the certificate that was made, which must be for the key of the request,
 *  and its CA still ACTIVE (otherwise 503). `text` lives as long as `out`. */
HF_MUST_USE enum hf_err hf_order_describe_made(struct hf_api_call *call, struct hf_tx *tx,
                                               struct hf_credential_new *out,
                                               struct hf_client_cert_text *text,
                                               struct hf_why *why);
/** 201 with the certificate and the CA that issued it. */
HF_MUST_USE enum hf_err hf_order_answer(struct hf_api_call *call, struct hf_tx *tx,
                                        const struct hf_order *order,
                                        const struct hf_credential *row, struct hf_why *why);

#endif
