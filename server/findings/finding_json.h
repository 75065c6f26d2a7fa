/* A finding as the API and the webhook give it (schema/openapi.yaml, Finding). */
#ifndef HF_FINDINGS_FINDING_JSON_H
#define HF_FINDINGS_FINDING_JSON_H

#include "common/json/json.h"
#include "server/findings/finding.h"

/** NULL without memory. */
json_t *hf_finding_json(const struct hf_finding *row);

#endif
