/* The parts of the API: a table of routes each, and what several of them use. */
#ifndef HF_API_PARTS_H
#define HF_API_PARTS_H

#include "server/api/call.h"
#include "server/fleet/account.h"
#include "server/fleet/ca.h"
#include "server/fleet/credential.h"
#include "server/fleet/device.h"

extern const struct hf_api_route hf_account_routes[];
extern const struct hf_api_route hf_ca_routes[];
extern const struct hf_api_route hf_credential_routes[];
extern const struct hf_api_route hf_transfer_routes[];
extern const struct hf_api_route hf_enroll_token_routes[];
extern const struct hf_api_route hf_device_routes[];
extern const struct hf_api_route hf_token_routes[];
extern const struct hf_api_route hf_log_routes[];
extern const struct hf_api_route hf_finding_routes[];
extern const struct hf_api_route hf_metrics_routes[];
extern const struct hf_api_route hf_signer_routes[];
extern const struct hf_api_route hf_database_routes[];
extern const struct hf_api_route hf_health_routes[];
extern const struct hf_api_route hf_enrolment_routes[];
extern const struct hf_api_route hf_rotation_routes[];
extern const struct hf_api_route hf_report_routes[];
extern const struct hf_api_route hf_device_report_routes[];
extern const struct hf_api_route hf_fleet_routes[];
extern const struct hf_api_route hf_readiness_routes[];
extern const struct hf_api_route hf_event_routes[];
extern const struct hf_api_route hf_rollout_routes[];
extern const struct hf_api_route hf_rollout_act_routes[];

/** The account that the path names first. HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_api_account(const struct hf_api_call *call, struct hf_tx *tx,
                                       struct hf_account_row *out, struct hf_why *why);

/** The device that it names second. HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_api_device(const struct hf_api_call *call, struct hf_tx *tx,
                                      struct hf_device *out, struct hf_why *why);

/* Values of answers; NULL when memory is short. Texts of the store are UTF-8. */

/** A text, or null for "". */
json_t *hf_api_text_or_null(const char *text);
/** A time, or null for 0. */
json_t *hf_api_time_or_null(int64_t time_s);
/** The version of a bundle, or null for -1. */
json_t *hf_api_version_or_null(int64_t version);
/** A certificate as PEM. */
json_t *hf_api_pem(struct hf_bytes der);

/** One certificate; `tx` finds the names that belong to it. */
HF_MUST_USE enum hf_err hf_api_credential_json(struct hf_tx *tx, const struct hf_credential *row,
                                               json_t **out, struct hf_why *why);

/** What the store needs of a certificate of a client; `text` lives as long as the result. */
void hf_api_credential_of(const struct hf_client_cert *cert, const struct hf_client_cert_text *text,
                          struct hf_credential_new *out);

#endif
