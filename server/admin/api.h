/*
 * Calls of the admin API by libcurl: over the Unix socket of this machine, or https with a token.
 */
#ifndef HF_ADMIN_API_H
#define HF_ADMIN_API_H

#include "common/json/json.h"

#include <signal.h>
#include <stdbool.h>

/* An answer is a page of a list at most. */
#define HF_ADMIN_ANSWER_MAX (16u * 1024u * 1024u)
#define HF_ADMIN_TOKEN_MAX 256u
#define HF_ADMIN_TIMEOUT_S 90L        /* a publication waits for the signer, at most 60 seconds */
#define HF_ADMIN_LONG_TIMEOUT_S 7200L /* a backup of some ten GB, read once more and synced */

/* Where the service is. Borrowed; `socket` or `url`. */
struct hf_admin_target {
    const char *socket;     /* a path */
    const char *url;        /* "https://admin.example:8444" */
    const char *token_file; /* with a URL: the secret, in a file for its owner alone */
    const char *ca_file;    /* NULL: the roots of this system */
};

struct hf_admin_api;

/** Prepare. HF_E_ARGUMENT for a URL that is not https, HF_E_KEY for a token file that others may
 *  read. */
HF_MUST_USE enum hf_err hf_admin_open(const struct hf_admin_target *target,
                                      struct hf_admin_api **out, struct hf_why *why);
void hf_admin_close(struct hf_admin_api *api);

/** Log each request, with its status, to standard error from now on: --verbose. */
void hf_admin_log_requests(void);

struct hf_admin_call {
    const char *method;   /* "GET" */
    const char *path;     /* "/v1/accounts?limit=100" */
    const json_t *body;   /* borrowed; NULL: none */
    const char *if_match; /* the entity tag of what is changed; NULL: none */
    bool is_long;         /* wait for HF_ADMIN_LONG_TIMEOUT_S */
    json_t *answer;       /* set: a new reference, or NULL where the answer has no body */
    char etag[80];        /* set: of what was answered, or "" */
    char next[1024];      /* set: path of the next page, or "" */
};

/**
 * Do it. HF_OK for a status of 2xx. Otherwise the sentence of the service, and a code that fits its
 * status: HF_E_NOT_FOUND 404, HF_E_STATE 409 and 412, HF_E_KEY 401, HF_E_POLICY 403, HF_E_LIMIT 413
 * and 429, HF_E_BUSY 503, HF_E_ARGUMENT what is left of 4xx; HF_E_NETWORK, HF_E_TLS without an
 * answer.
 */
HF_MUST_USE enum hf_err hf_admin_call(struct hf_admin_api *api, struct hf_admin_call *call,
                                      struct hf_why *why);

/* An answer that goes on. It is given up when nothing comes for HF_ADMIN_SILENCE_S: the service
 * says something every 15 seconds. */
#define HF_ADMIN_SILENCE_S 60L

struct hf_admin_feed {
    const char *path;
    const char *last_id;                            /* Last-Event-ID; "": none */
    bool (*take)(void *ctx, struct hf_bytes bytes); /* false: no more */
    void *ctx;
    const volatile sig_atomic_t *is_stopped; /* a second later, it ends with HF_OK */
    long retry_after_s;                      /* set: as the service has said, or 0 */
};

/** GET it until it ends. HF_OK: the service has ended it, or it was stopped. Otherwise as
 *  hf_admin_call. */
HF_MUST_USE enum hf_err hf_admin_follow(struct hf_admin_api *api, struct hf_admin_feed *feed,
                                        struct hf_why *why);

#endif
