/* What endpoints showed: what of it is no evidence, and all of it for people and scripts. */
#ifndef HF_PUBLISH_LINT_ANSWERS_H
#define HF_PUBLISH_LINT_ANSWERS_H

#include "server/publish/lint/lint_endpoints.h"
#include "server/repository/base/findings.h"

/** A warning for each that is silent, and for each chain that is no evidence. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_lint_answers(const struct hf_lint_endpoints *endpoints,
                                        struct hf_findings *out, struct hf_why *why);

/** A line for each chain of a server that was asked. */
void hf_lint_answers_print(const struct hf_lint_endpoints *endpoints, FILE *out);

/** {"chains": […], "silent": […]}, a new object; NULL when memory ran out. */
json_t *hf_lint_answers_to_json(const struct hf_lint_endpoints *endpoints);

/**
 * Write everything into the new folder `dir`, each chain a PEM file and all of them named in
 * DIR/endpoints.txt, which lint finds the same in. HF_E_STATE when there is something of that name
 * already; after a failure nothing is left. I/O.
 */
HF_MUST_USE enum hf_err hf_lint_endpoints_save(const struct hf_lint_endpoints *endpoints,
                                               const char *dir, int64_t now_s, struct hf_why *why);

#endif
