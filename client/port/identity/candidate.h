/*
 * A pair in the making: a draft (a key, and the address of the service that is to certify it), then
 * a candidate (with a certificate), then the current pair. Enrolment and rotation work with it;
 * each step is on disk before the next one begins.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_CANDIDATE_H
#define HF_CLIENT_PORT_IDENTITY_CANDIDATE_H

#include "client/port/identity/identity.h"
#include "client/port/identity/slots.h"

/* What one enrolment or rotation works with. */
struct hf_identity_work {
    const struct hf_identity *id;
    struct hf_slots slots;
    struct hf_service service; /* of the draft or candidate, and its last answer */
    mbedtls_pk_context key;    /* of the draft */
    bool has_key;
    struct hf_credential made; /* once the candidate is current */
};

void hf_identity_work_free(struct hf_identity_work *w);

/** The service of a slot. HF_E_NOT_FOUND, HF_E_ARGUMENT for an address that cannot be used,
 *  HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_candidate_find_service(const struct hf_identity_work *w, unsigned number,
                                                  struct hf_service *out, struct hf_why *why);

/** A draft for `w->service`: with the key of an interrupted attempt if that is of this kind,
 *  because the service may have a certificate of it already; else with a new one, or with the key
 *  of the port. HF_E_STORAGE, HF_E_KEY. */
HF_MUST_USE enum hf_err hf_candidate_draft(struct hf_identity_work *w, enum hf_key_kind kind,
                                           struct hf_why *why);

/** Ask for the draft's certificate: with the token of `enrolment`, or over `shown`, or both. The
 *  draft is the candidate then. `enrolment` NULL: renew the certificate `shown`. As
 *  hf_service_enroll and hf_service_rotate. */
HF_MUST_USE enum hf_err hf_candidate_certify(struct hf_identity_work *w,
                                             const struct hf_enrolment *enrolment,
                                             struct hf_client_auth *shown, struct hf_why *why);

/** Connect with the candidate, and make it current if the service names it in its answer.
 *  `*is_damaged`, written always: it can never be used. As hf_service_whoami and
 *  hf_client_auth_load. */
HF_MUST_USE enum hf_err hf_candidate_try(struct hf_identity_work *w, bool *is_damaged,
                                         struct hf_why *why);

/** Remove what `w->slots` does not name. A failure is in the journal. */
void hf_candidate_tidy(struct hf_identity_work *w);

/** Does a failure to load a slot mean that its files are damaged? The disk may fail for a time, and
 *  a key of the port be away. */
bool hf_candidate_is_damage(const struct hf_identity *id, enum hf_err err);

#endif
