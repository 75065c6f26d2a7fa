/*
 * The fleet service as a device sees it: POST /v1/enroll, POST /v1/rotate, GET /v1/whoami. JSON in,
 * JSON out, over a port that does the connection; the chain of the service is validated there. No
 * other I/O.
 */
#ifndef HF_CLIENT_PORT_IDENTITY_SERVICE_H
#define HF_CLIENT_PORT_IDENTITY_SERVICE_H

#include "client/port/identity/client_auth.h"
#include "client/port/identity/limits.h"

#include <holdfast/posix.h>

/* One request. All borrowed. */
struct hf_api_request {
    const char *method; /* "GET", "POST" */
    const char *url;    /* https */
    struct hf_bytes json;
    struct hf_client_auth *auth; /* the certificate to show; NULL: none */
};

struct hf_api_response {
    int status;
    struct hf_buf body;    /* at most HF_ANSWER_BYTES_MAX */
    int64_t retry_after_s; /* negative: none was given */
    bool is_problem;       /* its type is that of a problem (RFC 9457), as of all refusals */
};

/* hf_http_transport_call, or that of a test. */
struct hf_api_port {
    void *ctx;
    enum hf_err (*call)(void *ctx, const struct hf_api_request *request,
                        struct hf_api_response *out, struct hf_why *why);
};

/* A service, and what its last answer means for the next try. */
struct hf_service {
    struct hf_api_port api;
    char origin[HF_ORIGIN_TEXT_MAX]; /* "https://fleet.example.com:8443" */
    int status;                      /* of the last answer; 0: there was none */
    bool has_refused; /* the service itself said no (401, 403) to the certificate, token or claim */
    int64_t retry_after_s; /* negative: it did not say */
};

/** Scheme, host and port of `url`. HF_E_ARGUMENT unless it is https. */
HF_MUST_USE enum hf_err hf_service_set_url(struct hf_service *service, const char *url,
                                           struct hf_why *why);

/**
 * Ask for a first certificate: with `token`, or over the claim certificate `claim`, or both. `csr`
 * is PEM. The chain is appended to `certificate` as the service sent it, not looked at. `why`
 * quotes what the service gives as its reason, made plain.
 *
 * HF_E_POLICY for a refusal; HF_E_NETWORK for a service that cannot do it now or answers with
 * something else; HF_E_FORMAT for an answer that cannot be understood; and what the port says.
 */
HF_MUST_USE enum hf_err hf_service_enroll(struct hf_service *service, const char *csr,
                                          const char *device, const char *token,
                                          struct hf_client_auth *claim, struct hf_buf *certificate,
                                          struct hf_why *why);

/** Ask for the next certificate over the present one. `signature` is hf_identity_renewal_sign's.
 *  Otherwise as hf_service_enroll. */
HF_MUST_USE enum hf_err hf_service_rotate(struct hf_service *service, const char *csr,
                                          struct hf_bytes signature, struct hf_client_auth *old,
                                          struct hf_buf *certificate, struct hf_why *why);

/** HF_OK: the service knows the device by the certificate with this SHA-256, and accepts it.
 *  Otherwise as hf_service_enroll. */
HF_MUST_USE enum hf_err hf_service_whoami(struct hf_service *service, struct hf_client_auth *auth,
                                          const char *sha256, struct hf_why *why);

#endif
