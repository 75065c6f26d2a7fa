/* The answer of /healthz: what is served, until when, and what is wrong with what is not. */
#ifndef HF_SERVE_HEALTH_H
#define HF_SERVE_HEALTH_H

#include "server/serve/repository.h"

#define HF_HEALTH_TEXT_MAX 4608u /* a problem of HF_WHY_MAX bytes, all escaped, and the rest */

/**
 * JSON, one line. `out` holds HF_HEALTH_TEXT_MAX bytes; `*len` is written.
 * Returns 200 when a whole repository is served, an expired one too (the status says "expired":
 * taking every server out of rotation would hide from devices what is wrong), otherwise 503.
 */
unsigned hf_health_text(const struct hf_repository_status *status, int64_t now_s, char *out,
                        size_t *len);

#endif
