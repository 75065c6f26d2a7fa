/* What `holdfast probe` found, for people and for programs. */
#ifndef HF_CLIENT_AGENT_PROBE_REPORT_H
#define HF_CLIENT_AGENT_PROBE_REPORT_H

#include "client/port/posix/probe.h"

#include <stdio.h>

struct hf_probe_report {
    const char *endpoint; /* "HOST:PORT" */
    const char *server_name;
    const struct hf_tls_look_result *probe;
    const struct hf_chain_verdict *verdict;
};

/** The chain, certificate by certificate, and the trust anchor it ends in. */
void hf_probe_report_text(const struct hf_probe_report *report, FILE *out);

/** The same as one JSON object. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_probe_report_json(const struct hf_probe_report *report, FILE *out,
                                             struct hf_why *why);

#endif
