/*
 * One request, read by llhttp from whatever pieces the network delivers: its head, and a body where
 * the server takes one.
 *
 * A connection owns a request only from its first byte to its answer, so idle connections cost
 * nothing here.
 */
#ifndef HF_HTTP_REQUEST_H
#define HF_HTTP_REQUEST_H

#include "server/http/limits.h"

#include <holdfast/bytes.h>

#include <llhttp.h>

/* A text that is collected up to the room there is. */
#define HF_HTTP_FIELD(size)                                                                        \
    struct {                                                                                       \
        size_t len;                                                                                \
        bool is_cut; /* there was more */                                                          \
        char text[size];                                                                           \
    }

enum hf_header {
    HF_HEADER_OTHER,
    HF_HEADER_HOST,
    HF_HEADER_IF_NONE_MATCH,
    HF_HEADER_TRANSFER_ENCODING,
    HF_HEADER_USER_AGENT,
    /* The values of these are kept as they came, for hf_request_header. */
    HF_HEADER_KEPT,
    HF_HEADER_ACCEPT = HF_HEADER_KEPT,
    HF_HEADER_AUTHORIZATION,
    HF_HEADER_CONTENT_DIGEST,
    HF_HEADER_CONTENT_TYPE,
    HF_HEADER_EXPECT,
    HF_HEADER_IDEMPOTENCY_KEY,
    HF_HEADER_IF_MATCH,
    HF_HEADER_LAST_EVENT_ID,
    HF_HEADER_SIGNATURE,
    HF_HEADER_SIGNATURE_INPUT,
    HF_HEADERS,
};

/* Where the value of a kept header is in the request's values. */
struct hf_header_value {
    uint16_t at, len;
    bool is_there;
};

/**
 * How long a body may be, by the path that the target names: of the rules whose `prefix` is that
 * path's, the first one counts, and without one the server's body_max.
 */
struct hf_body_rule {
    const char *prefix;
    size_t max;
};

struct hf_conn;

struct hf_request {
    struct hf_request *next_free;
    struct hf_conn *conn; /* who asks; for hf_answer_… (connection.h) */

    /* Once it is whole. */
    uint8_t method; /* llhttp_method_t */
    bool is_http_1_0;
    bool is_keep_alive;
    /* 0, or the status of the refusal: 400, 405, 408, 411, 413, 414, 417, 431, 503, 505. The
     * connection ends with it. */
    unsigned refused;
    struct hf_buf body;

    /* While it is being read. */
    size_t body_max;
    const struct hf_body_rule *body_rules; /* borrowed, as they are in hf_http_config */
    size_t n_body_rules;
    bool must_continue; /* the client waits for 100 Continue before it sends the body */
    size_t head_len;    /* bytes so far */
    bool is_head_whole;
    bool is_whole;
    unsigned n_hosts;
    bool has_encoding;  /* a Transfer-Encoding, with whatever value */
    unsigned n_spaces;  /* in the request line so far */
    bool is_space_last; /* … and its last byte is one */
    bool is_line_read;  /* it is over */
    bool is_line_new;   /* the last byte ended a line */
    enum hf_header header;
    HF_HTTP_FIELD(20) header_name;
    struct hf_header_value kept[HF_HEADERS - HF_HEADER_KEPT];
    size_t values_len;

    /* Texts, also once it is whole. They are long, and not zeroed for each request. */
    HF_HTTP_FIELD(HF_HTTP_TARGET_BYTES_MAX) target;
    HF_HTTP_FIELD(HF_HTTP_ETAGS_BYTES_MAX) if_none_match; /* several are joined by commas */
    HF_HTTP_FIELD(HF_HTTP_AGENT_BYTES_MAX) agent;
    HF_HTTP_FIELD(HF_HTTP_HOST_BYTES_MAX) host;
    char values[HF_HTTP_HEADER_VALUES_BYTES_MAX]; /* of kept headers */
};

/** Prepare the parser of a new connection. */
void hf_request_parser_init(llhttp_t *parser);

/**
 * Make `request` empty, ready for the first byte of a head. `parser` writes into it from now on. A
 * body may be `body_max` bytes long (or as a body rule set after this says), and a request must
 * state its length first (else 411, RFC 9110, 15.5.12). 0: a body is refused, with 413, or with 405
 * where only another method than GET and HEAD would bring one.
 */
void hf_request_begin(struct hf_request *request, llhttp_t *parser, size_t body_max);
/** Free what reading allocated. */
void hf_request_end(struct hf_request *request);

/** The value of a kept header (from HF_HEADER_KEPT on) without blanks around it, in `*out`,
 *  borrowed from the request. False without that header. One that repeats was refused, but for
 *  Accept, whose first counts. */
bool hf_request_header(const struct hf_request *request, enum hf_header header,
                       struct hf_bytes *out);

/**
 * Read on. True: answer the request, which is whole or must be refused (`refused`); `*used` bytes
 * belonged to it. After a refusal the parser is of no use any more. False: all bytes are used up
 * and the request is not whole.
 */
bool hf_request_feed(struct hf_request *request, llhttp_t *parser, const uint8_t *data, size_t len,
                     size_t *used);

/**
 * The path of a request target (RFC 9112, 3.2): origin-form or absolute-form, without the query,
 * percent-encoding decoded once. Dots and slashes are left as they are: what comes out is looked
 * up as it is. `out` holds `len` bytes; may not overlap.
 * Returns false for what is not a path (`*`, a host alone, a bad escape, a fragment) or has an
 * authority that is not valid. Which authority it is does not matter: one site is served.
 */
bool hf_request_path(const char *target, size_t len, char *out, size_t *out_len);

/**
 * The authority of an http URI, as in Host and at the beginning of an absolute-form target:
 * host [ ":" port ] as RFC 3986, 3.2 writes them, a name or IPv4 address, or an IPv6 address in
 * brackets. Refused are an empty host (RFC 9110, 4.2.1), userinfo (4.2.4) and a port above 65535.
 */
bool hf_authority_is_valid(const char *text, size_t len);

/** A header such as If-None-Match: does it name this entity tag? Weak comparison (RFC 9110,
 *  8.8.3.2 and 13.1.2): lists, W/ and `*`. A malformed list matches nothing. */
bool hf_etag_list_matches(const char *list, size_t len, const char *etag);

#endif
