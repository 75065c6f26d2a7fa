/*
 * One HTTP/1.1 exchange as bytes (RFC 9110, RFC 9112): the request that is sent, and the answer,
 * parsed as it comes in and refused as soon as something about it is wrong. llhttp does the
 * grammar, in its strict mode; the policy stands here. No I/O.
 */
#ifndef HF_CLIENT_PORT_POSIX_HTTP_MESSAGE_H
#define HF_CLIENT_PORT_POSIX_HTTP_MESSAGE_H

#include <holdfast/port.h>

#include "client/port/posix/proxy.h"

#include <llhttp.h>

/** Append a GET of `url`. `etag` NULL for none. With a proxy, the form that a proxy wants. */
HF_MUST_USE enum hf_err hf_http_request_get(const struct hf_url *url, const struct hf_proxy *proxy,
                                            const char *etag, struct hf_buf *out,
                                            struct hf_why *why);

/** Append a CONNECT to `peer`. */
HF_MUST_USE enum hf_err hf_http_request_connect(const struct hf_endpoint *peer,
                                                const struct hf_proxy *proxy, struct hf_buf *out,
                                                struct hf_why *why);

enum hf_answer_kind {
    HF_ANSWER_TO_GET,
    HF_ANSWER_TO_CONNECT, /* 2xx has no body: what follows is the tunnel */
};

#define HF_HEADER_NAME_MAX 24 /* the longest that is looked at, and room */

struct hf_answer {
    /* The answer; final when is_complete. */
    bool has_begun; /* a byte of it has come */
    bool is_complete;
    bool may_reuse; /* the connection can carry another request */
    int status;
    struct hf_buf body;      /* of a 200 */
    char etag[HF_ETAG_TEXT]; /* empty unless there is exactly one, well-formed and short enough */
    char location[HF_URL_MAX + 1];

    /* How it is read. */
    enum hf_answer_kind kind;
    size_t max_bytes;
    llhttp_t parser;
    struct hf_why failure; /* what a callback refused; code HF_OK while nothing */
    size_t since_body; /* bytes since the last one of the body: bounds headers, trailers, chunks */
    uint64_t n_body;   /* bytes of bodies, kept or not */
    uint64_t framing; /* all other bytes: the first bound begins anew with each piece of the body */
    const char *body_end; /* where the body ended in the bytes that are being fed, or NULL */
    uint64_t discarded;   /* body bytes of an answer whose body nobody wants */
    char name[HF_HEADER_NAME_MAX];
    size_t name_len; /* may be more than fits */
    char value[HF_URL_MAX + 1];
    size_t value_len;                        /* may be more than fits */
    bool has_length, has_encoding, has_etag; /* of the answer being read */
    bool is_trailer;                         /* headers after the body say nothing */
};

/** `max_bytes` of the body of a 200. hf_answer_free it in the end. */
void hf_answer_init(struct hf_answer *answer, enum hf_answer_kind kind, size_t max_bytes);
void hf_answer_free(struct hf_answer *answer);

/**
 * The next bytes as they came. HF_OK: look at is_complete, feed on if it is not. HF_E_NETWORK for
 * what is not one strict answer (bytes after its end included: nothing more was asked for),
 * HF_E_LIMIT for a body or header beyond its maximum. Not to be fed after an error or its end.
 */
HF_MUST_USE enum hf_err hf_answer_feed(struct hf_answer *answer, struct hf_bytes data,
                                       struct hf_why *why);

/** The peer has closed: completes an answer that ends so, HF_E_NETWORK for any other. */
HF_MUST_USE enum hf_err hf_answer_end(struct hf_answer *answer, struct hf_why *why);

#endif
