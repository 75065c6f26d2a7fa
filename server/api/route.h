/*
 * The routes of the API: a table row for each method and path, which says who may use it, what its
 * body and query are, and in which steps it is answered. Adding a route is adding a row (and its
 * description in schema/openapi.yaml, which a test compares). No I/O.
 */
#ifndef HF_API_ROUTE_H
#define HF_API_ROUTE_H

#include "server/api/body.h"
#include "server/api/limits.h"
#include "server/fleet/admin_token.h"

#include <llhttp.h>

struct hf_api_call;

/* Where a step of an answer runs. */
enum hf_api_where {
    HF_API_END = 0,
    HF_API_READ,   /* the reader's connection */
    HF_API_WRITE,  /* in the writer's transaction */
    HF_API_ALONE,  /* on the writer, which gives it no transaction; it makes its own */
    HF_API_SIGNER, /* the thread that talks to the signer */
    HF_API_DISK,   /* a thread that may wait for the disk for minutes */
    HF_API_LOOP,   /* at once, on the loop: it looks at memory only; a route's only step */
};

/** One step. It fails with an error that hf_problem_status knows, or sets call->status before. */
typedef enum hf_err hf_api_step(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why);

/** On the loop, after the last step, in place of an answer as JSON: answers the request, and
 *  returns 0; or the status to refuse it with and the sentence. */
typedef unsigned hf_api_answerer(struct hf_api_call *call, struct hf_why *why);

/** On the loop: who asks, and what the request brings. 0, or the status to refuse it with and the
 *  sentence. */
typedef unsigned hf_api_reader(struct hf_api_call *call, struct hf_why *why);

struct hf_api_route {
    llhttp_method_t method;
    const char *pattern; /* "/v1/accounts/{account}/cas/{sha256}" */
    /* The least that an operator needs; HF_ADMIN_NONE: a route of devices, or one for everyone. */
    enum hf_admin_role role;

    hf_api_reader *read;              /* NULL: the client as its listener says, and `body` */
    const struct hf_body_field *body; /* NULL: none */
    /* Names of query parameters besides those of a page. */
    const char *filters[HF_API_FILTERS_MAX];
    bool is_list;            /* ?limit= and ?after= */
    bool has_text_after;     /* `after` is not the number of a row */
    bool must_match;         /* If-Match names the version that is changed */
    bool is_local;           /* on the Unix socket only */
    const char *text_type;   /* NULL: JSON. Otherwise its answer is a string, sent as it is */
    hf_api_answerer *answer; /* NULL: what the last step answers */
    bool has_secret;         /* its answer has a "token", which is kept nowhere */
    bool lets_in; /* a device gets a new certificate: not while the log is behind (fleet.h) */

    struct {
        enum hf_api_where where;
        hf_api_step *run;
    } steps[HF_API_STAGES_MAX];
};

/* A path and query, taken apart. */
struct hf_api_match {
    const struct hf_api_route *route;
    char params[HF_API_PARAMS_MAX][HF_API_PARAM_MAX + 1]; /* decoded, in the order of the pattern */
    char filters[HF_API_FILTERS_MAX][HF_API_PARAM_MAX + 1];
    bool has_filter[HF_API_FILTERS_MAX];
    size_t limit;
    int64_t after;
    char after_text[HF_API_PARAM_MAX + 1]; /* with has_text_after, instead; "": the first page */
    char allow[64];                        /* with status 405: the methods that this path has */
};

/**
 * The route of `method` and `target` (path and query, as in the request line). 0, or the status to
 * refuse it with: 404, 405, 400 for a query that the route does not have, with the sentence.
 * `tables` ends with NULL; each table ends with a route without pattern.
 */
unsigned hf_api_route_find(const struct hf_api_route *const *tables, llhttp_method_t method,
                           const char *target, size_t target_len, struct hf_api_match *out,
                           struct hf_why *why);

#endif
