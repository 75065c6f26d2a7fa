/*
 * From a request to what is answered, by looking only at the request and the served edition.
 * No I/O.
 */
#ifndef HF_SERVE_ROUTE_H
#define HF_SERVE_ROUTE_H

#include "server/serve/edition.h"
#include "server/serve/request.h"

struct hf_answer {
    unsigned status;
    struct hf_served_file *file; /* with 200 and 304; borrowed from the edition */
    bool is_health;              /* /healthz: respond asks for the state, and for its status */
    bool is_head;                /* no body */
};

/** `g` is NULL as long as there is no whole repository. */
struct hf_answer hf_route(const struct hf_request *request, const struct hf_edition *g);

/**
 * The path of a request target (RFC 9112, 3.2): origin-form or absolute-form, without the query,
 * percent-encoding decoded once. Dots and slashes are left as they are: what comes out is looked
 * up as it is. `out` holds `len` bytes; may not overlap.
 * Returns false for what is not a path (`*`, a host alone, a bad escape, a fragment) or has an
 * authority that is not valid. Which authority it is does not matter: one repository is served.
 */
bool hf_route_path(const char *target, size_t len, char *out, size_t *out_len);

#endif
