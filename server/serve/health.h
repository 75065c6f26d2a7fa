/* The answer of /healthz: what is served, until when, and what is wrong with what is not. */
#ifndef HF_SERVE_HEALTH_H
#define HF_SERVE_HEALTH_H

#include "server/serve/repository.h"

#define HF_HEALTH_TEXT_MAX                                                                         \
    6144u /* a problem of HF_WHY_MAX bytes and a role's name, all escaped, and the rest */

/**
 * JSON, one line. `out` holds HF_HEALTH_TEXT_MAX bytes; `*len` is written.
 *
 * Returns 503 when there is nothing to serve, otherwise 200: a load balancer keeps sending
 * requests. It does so too when the metadata has expired, since taking every server out of rotation
 * would hide from devices what is wrong, and would not help one of them. Monitoring reads "status",
 * which is "ok" only while devices can update, and "problem".
 */
unsigned hf_health_text(const struct hf_repository_status *status, int64_t now_s, char *out,
                        size_t *len);

#endif
