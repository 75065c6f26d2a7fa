/* What `holdfast simulate` found, for people and for programs (schema/simulate.schema.json). */
#ifndef HF_CLIENT_AGENT_SIMULATE_REPORT_H
#define HF_CLIENT_AGENT_SIMULATE_REPORT_H

#include <holdfast/simulate.h>

#include <stdio.h>

void hf_simulate_report_text(const struct hf_simulation *s, FILE *out);

/** HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_simulate_report_json(const struct hf_simulation *s, FILE *out,
                                                struct hf_why *why);

#endif
