/*
 * The device's identity as a whole: enrolment, rotation, what an interrupted one left, and the
 * status. Steps and their order are those of README.md: a pair of key and certificate becomes
 * `current` only after the service accepted it in a connection.
 *
 * Functions that write expect that the caller holds STATE/identity.lock, and not STATE/lock: they
 * wait for the service. The system is reached through ports, so that a test can cut the power, and
 * the service, at every step.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_IDENTITY_H
#define HF_CLIENT_PORT_IDENTITY_IDENTITY_H

#include "client/port/identity/rotation.h"
#include "client/port/identity/service.h"

/* All borrowed. */
struct hf_identity {
    const char *state_dir;
    const char *device_id;
    const char *default_url; /* of the service, for an enrolment that names none; NULL: none */
    const struct hf_device_key *key; /* NULL: keys are files */
    struct hf_api_port api;
    struct hf_store_port store; /* read only; `save` writes */
    int64_t now_s;
    void *ctx;
    enum hf_err (*save)(void *ctx, const struct hf_rotation *rotation, struct hf_why *why);
    void (*journal)(void *ctx, enum hf_level level, const char *kind, const char *text);
};

/** As hf_posix_enroll. */
HF_MUST_USE enum hf_err hf_identity_enroll(const struct hf_identity *id,
                                           const struct hf_enrolment *enrolment,
                                           struct hf_credential *out, struct hf_why *why);

/** As hf_posix_rotate. */
HF_MUST_USE enum hf_err hf_identity_rotate(const struct hf_identity *id, struct hf_credential *out,
                                           struct hf_why *why);

/* What the service said when it was last asked for anything, before hf_identity_maintain. */
struct hf_service_news {
    bool asks_for_rotation;
    bool may_have_refused; /* the current certificate */
};

/**
 * At the end of an update: rotate if it is due or asked for, or finish what was interrupted. If the
 * service refuses the current certificate, get a new one over its predecessor, if the service
 * accepts that. What fails is in the journal and in the status.
 */
void hf_identity_maintain(const struct hf_identity *id, const struct hf_service_news *news);

/** No network; writes nothing. */
void hf_identity_get_status(const struct hf_identity *id, struct hf_identity_status *out);

#endif
