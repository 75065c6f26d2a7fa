/*
 * One request's head, read by llhttp from whatever pieces the network delivers.
 *
 * A connection owns a request only from its first byte to its answer, so idle connections cost
 * nothing here.
 */
#ifndef HF_SERVE_REQUEST_H
#define HF_SERVE_REQUEST_H

#include "server/serve/limits.h"

#include <holdfast/bytes.h>

#include <llhttp.h>

/* A text that is collected up to the room there is. */
#define HF_SERVE_FIELD(size)                                                                       \
    struct {                                                                                       \
        char text[size];                                                                           \
        size_t len;                                                                                \
        bool is_cut; /* there was more */                                                          \
    }

enum hf_header {
    HF_HEADER_OTHER,
    HF_HEADER_HOST,
    HF_HEADER_IF_NONE_MATCH,
    HF_HEADER_USER_AGENT,
};

struct hf_request {
    struct hf_request *next_free;

    /* Once the head is whole. */
    uint8_t method; /* llhttp_method_t */
    bool is_http_1_0;
    bool is_keep_alive;
    /* 0, or the status of the refusal: 400, 405, 408, 413, 414, 431, 505. The connection ends with it. */
    unsigned refused;
    HF_SERVE_FIELD(HF_SERVE_TARGET_BYTES_MAX) target;
    HF_SERVE_FIELD(HF_SERVE_ETAGS_BYTES_MAX) if_none_match; /* several are joined by commas */
    HF_SERVE_FIELD(HF_SERVE_AGENT_BYTES_MAX) agent;
    HF_SERVE_FIELD(HF_SERVE_HOST_BYTES_MAX) host;

    /* While it is being read. */
    size_t head_len; /* bytes so far */
    unsigned n_hosts;
    bool is_line_new; /* the last byte ended a line */
    enum hf_header header;
    HF_SERVE_FIELD(16) header_name;
};

enum hf_fed {
    HF_FED_MORE,  /* all bytes are used up and the head is not whole */
    HF_FED_WHOLE, /* answer it; `*used` bytes belonged to it */
};

/** Prepare the parser of a new connection. */
void hf_request_parser_init(llhttp_t *parser);

/** Ready for the first byte of a head. `parser` writes into `request` from now on. */
void hf_request_begin(struct hf_request *request, llhttp_t *parser);

/**
 * Read on. HF_FED_WHOLE also for a request that must be refused (`refused`); after one of those
 * the parser is of no use any more. `*used` is written for HF_FED_WHOLE.
 */
enum hf_fed hf_request_feed(struct hf_request *request, llhttp_t *parser, const uint8_t *data,
                            size_t len, size_t *used);

/** A header such as If-None-Match: does it name this entity tag? Weak comparison (RFC 9110,
 *  8.8.3.2 and 13.1.2): lists, W/ and `*`. A malformed list matches nothing. */
bool hf_etag_list_matches(const char *list, size_t len, const char *etag);

#endif
