/*
 * From a request to its answer: which name gets which file of the served edition, and /healthz.
 */
#ifndef HF_SERVE_ROUTE_H
#define HF_SERVE_ROUTE_H

#include "server/http/connection.h"
#include "server/serve/repository.h"

struct hf_answer {
    unsigned status;
    struct hf_served_file *file; /* with 200 and 304; borrowed from the edition */
    bool is_health;              /* /healthz, which has a status of its own */
};

/** Depends only on the request, which was not refused, and the edition. `e` is NULL as long as
 *  there is no whole repository. */
struct hf_answer hf_route(const struct hf_request *request, const struct hf_edition *e);

/* A problem of HF_WHY_MAX bytes and a role's name, all escaped, and the rest. */
#define HF_HEALTH_TEXT_MAX 6144u

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

/** What one loop serves. */
struct hf_site {
    struct hf_repository *repository;     /* for /healthz */
    struct hf_edition *edition;           /* a reference; NULL: nothing yet. The loop's own */
    _Atomic(struct hf_edition *) offered; /* a newer one, which the next request takes, or NULL */
};

/** Serve `e` from now on. From any thread. */
void hf_site_offer(struct hf_site *site, struct hf_edition *e);
/** Its references, after the loop's end. */
void hf_site_free(struct hf_site *site);

/** The handler; `ctx` is the loop's hf_site. */
void hf_site_handle(void *ctx, struct hf_request *request);

#define HF_SITE_REFUSALS 9
extern const struct hf_refusal hf_site_refusals[HF_SITE_REFUSALS];

#endif
