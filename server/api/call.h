/*
 * One request of the API on its way: from the loop to the workers of its steps, and back with the
 * answer.
 *
 *     on the loop      read the request, find its route, see who asks     hf_api_call_begin
 *     on a worker      check the token, run the step                      (once for each step)
 *     on the loop      the next step, or the answer
 *
 * What a step does not change may be read in it; what it writes is below "answer", or its own
 * `work`. The writer may run a step again whose transaction failed, so a step begins from what the
 * steps before it left.
 */
#ifndef HF_API_CALL_H
#define HF_API_CALL_H

#include "server/api/api.h"
#include "server/api/route.h"
#include "server/fleet/worker.h"
#include "server/http/connection.h"
#include "server/identity/identity.h"

/** Who asks, and what that one may do. */
struct hf_api_asker {
    char actor[HF_FLEET_ACTOR_MAX + 1]; /* for the log; "" until the token was checked */
    enum hf_admin_role role;
    bool is_local; /* over the Unix socket */
    char bearer[HF_API_BEARER_MAX + 1];
    int64_t used_token; /* whose use is to be noted; 0: none */

    /* A device. */
    struct hf_identity identity; /* its `ca` is not valid any more */
    uint8_t sha256[HF_SHA256_LEN];
};

struct hf_api_call {
    struct hf_job job; /* first, so that a job leads to its call */
    struct hf_api *api;
    struct hf_gate *gate;           /* of a device listener; NULL: an operator asks */
    struct hf_api_streams *streams; /* of a listener of operators; NULL: a device asks */
    struct hf_request *request;     /* on the loop's thread only */
    unsigned step;

    struct hf_api_match match;
    struct hf_api_asker asker;
    json_t *body;       /* NULL: none */
    int64_t if_version; /* 0: no condition */
    char idempotency_key[HF_FLEET_IDEMPOTENCY_KEY_MAX + 1];
    uint8_t request_sha256[HF_SHA256_LEN];
    char path[HF_HTTP_TARGET_BYTES_MAX + 1]; /* without the query */

    void *work; /* of the route's steps (hf_api_work) */
    void (*free_work)(void *work);

    /* The answer. */
    unsigned status;                      /* 0: 200, or what the error says */
    json_t *answer;                       /* NULL: no body */
    int64_t version;                      /* ETag; 0: none */
    int64_t last;                         /* the number of the row that is last on this page */
    int64_t next;                         /* `after` of the next page; 0: there is none */
    char next_text[HF_API_PARAM_MAX + 1]; /* the same of a route that has_text_after */
    int64_t retry_after_s;                /* of 429 and 503; 0: HF_API_RETRY_AFTER_S */
    /* Set by a step: from it on the call goes on even if the database takes nothing. The last step
     * of its route uses no database. */
    bool needs_no_record;
    bool is_unrecorded; /* … and it took nothing */
    bool is_replayed;   /* it is the answer that this Idempotency-Key got before */
    bool asks_rotation; /* the device should rotate its certificate */
};

/** Read `request` and begin to answer it; a refusal is answered at once. */
void hf_api_call_begin(struct hf_api *api, struct hf_gate *gate, struct hf_api_streams *streams,
                       struct hf_request *request, const struct hf_api_route *const *tables);

/* ---- for readers of requests (route.h) ------------------------------------------------------- */

/** The value of a header, cut to `size` - 1 bytes. False without it. */
bool hf_api_header(const struct hf_api_call *call, enum hf_header name, char *out, size_t size);
/** What the gate says of a device that wants to do `use`. 0, or the status to refuse it with. */
unsigned hf_api_read_device(struct hf_api_call *call, enum hf_gate_use use, struct hf_why *why);
/** Is the body JSON of at most `max` bytes, by length and Content-Type? The same. */
unsigned hf_api_check_body(const struct hf_api_call *call, size_t max, struct hf_why *why);

/** The beginning of that: everything that the loop reads of the request. 0, or the status to refuse
 *  it with and the sentence. */
unsigned hf_api_call_read(struct hf_api_call *call, const struct hf_api_route *const *tables,
                          struct hf_why *why);

/** Memory of this call's steps, zeroed; what was there before is freed. NULL without memory. */
void *hf_api_work(struct hf_api_call *call, size_t size, void (*free_work)(void *work));

/** What the request itself brought is wrong: 400 instead of the status that `err` would get. Errors
 *  of memory stay. */
HF_MUST_USE enum hf_err hf_api_input(struct hf_api_call *call, enum hf_err err);

/** More was asked for than is allowed now: 429 instead of the status that HF_E_LIMIT would get,
 *  after `retry_after_s` of the call was set. Other errors stay. */
HF_MUST_USE enum hf_err hf_api_limited(struct hf_api_call *call, enum hf_err err);

/** Answer with `value`, which is taken. HF_E_MEMORY for NULL. */
HF_MUST_USE enum hf_err hf_api_answer_take(struct hf_api_call *call, unsigned status, json_t *value,
                                           struct hf_why *why);

/* A page of a list, which asks for one row more than fits, so it knows whether there is a next
 * page:
 *
 *     struct hf_api_page page = hf_api_page_begin(call, tx);
 *     enum hf_err err = hf_thing_list(tx->db, call->match.after, page.limit, add, &page, why);
 *     return hf_api_page_end(&page, "things", err, why);
 */
struct hf_api_page {
    struct hf_api_call *call;
    struct hf_tx *tx;
    size_t limit;
    json_t *rows;
};
struct hf_api_page hf_api_page_begin(struct hf_api_call *call, struct hf_tx *tx);
/** Add `value`, taken, as the row of that number, if there is room for it. */
HF_MUST_USE enum hf_err hf_api_page_add_take(struct hf_api_page *page, int64_t number,
                                             json_t *value, struct hf_why *why);
/** Answer with the rows under `name`, unless `err` says that they could not be read. */
HF_MUST_USE enum hf_err hf_api_page_end(struct hf_api_page *page, const char *name, enum hf_err err,
                                        struct hf_why *why);

/** A SHA-256 in the path. HF_E_NOT_FOUND for anything else. */
HF_MUST_USE enum hf_err hf_api_param_sha256(const struct hf_api_call *call, size_t i,
                                            uint8_t out[HF_SHA256_LEN], struct hf_why *why);
/** A number in the path. HF_E_NOT_FOUND for anything else. */
HF_MUST_USE enum hf_err hf_api_param_number(const struct hf_api_call *call, size_t i, int64_t *out,
                                            struct hf_why *why);

/** In a step of HF_API_SIGNER: ask it. `request` is taken; `fd` goes with it unless it is negative.
 *  A failure may set call->status: a step that goes on all the same clears it. */
HF_MUST_USE enum hf_err hf_api_ask_signer_take(struct hf_api_call *call, json_t *request, int fd,
                                               json_t **answer, struct hf_why *why);

#endif
