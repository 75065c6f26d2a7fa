/* What `holdfast status` shows, as text and as JSON (schema/status.schema.json). */
#ifndef HF_CLIENT_AGENT_STATUS_H
#define HF_CLIENT_AGENT_STATUS_H

#include "client/agent/agent.h"
#include "common/cli/report.h"

struct hf_status_view {
    struct hf_status status;       /* owned */
    struct hf_posix_config config; /* what it points to is borrowed */
    const char *state_dir;
    const char *device_id;      /* NULL where it cannot be determined */
    struct hf_why no_device_id; /* why */
    bool is_writable;
    struct hf_why not_writable; /* why; empty where it is */
    bool export_is_current;
    struct hf_why export_is_old; /* why */
    struct hf_identity_status identity;
    struct hf_credential client_cert; /* valid if one is configured and no_client_cert is empty */
    struct hf_why no_client_cert;     /* why it cannot be shown */
    struct hf_report_status reports;
    bool shows_identity; /* there is one, or an enrolment that is not finished */
};

void hf_status_print_text(FILE *out, const struct hf_status_view *view);

HF_MUST_USE enum hf_err hf_status_print_json(FILE *out, const struct hf_status_view *view,
                                             struct hf_why *why);

/** Of struct hf_skipped_status: a certificate that this device does not support. */
extern const struct hf_field hf_skipped_fields[];

#endif
