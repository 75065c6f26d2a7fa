/* What `holdfast status` shows, as text and as JSON (schema/status.schema.json). */
#ifndef HF_CLIENT_AGENT_STATUS_H
#define HF_CLIENT_AGENT_STATUS_H

#include <holdfast/posix.h>

#include <jansson.h>
#include <stdio.h>

struct hf_status_view {
    struct hf_status status; /* owned */
    const struct hf_posix_config *config;
    const char *state_dir;
    const char *device_id;      /* NULL where it cannot be found out */
    struct hf_why no_device_id; /* why */
    struct hf_why not_writable; /* code HF_OK where STATE can be written */
    struct hf_why not_told;     /* code HF_OK where other programs know of the active bundle */
};

/* Exit codes of status --check, as monitoring systems expect them. */
enum hf_health {
    HF_HEALTH_OK = 0,
    HF_HEALTH_WARNING = 1,
    HF_HEALTH_CRITICAL = 2,
    HF_HEALTH_UNKNOWN = 3, /* the state cannot be read */
};

/** One line that says what is wrong; `out` NULL: none. Never HF_HEALTH_UNKNOWN. */
enum hf_health hf_status_check(FILE *out, const struct hf_status_view *view);

void hf_status_print_text(FILE *out, const struct hf_status_view *view);

HF_MUST_USE enum hf_err hf_status_print_json(FILE *out, const struct hf_status_view *view,
                                             struct hf_why *why);

/** A list of certificates that this device does not support; NULL when memory is short. */
json_t *hf_skipped_json(const struct hf_skipped_status *skipped, size_t n_skipped);

/** Whole days until `time_s`; negative once it has passed. */
int64_t hf_status_days_left(const struct hf_status_view *view, int64_t time_s);

#endif
