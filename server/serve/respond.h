/*
 * From an answer to the bytes of a response. Files bring their heads along; refusals are one
 * sentence in plain text, never cached.
 */
#ifndef HF_SERVE_RESPOND_H
#define HF_SERVE_RESPOND_H

#include "server/serve/output.h"
#include "server/serve/repository.h"
#include "server/serve/route.h"

#define HF_DATE_LINE_MAX 40 /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" and its NUL */

/** What the connection will do after this answer. */
enum hf_persistence {
    HF_PERSIST,        /* stay open, as HTTP/1.1 does without a word */
    HF_PERSIST_SAY_SO, /* stay open, to an HTTP/1.0 client that asked */
    HF_PERSIST_NOT,    /* close */
};

/** The Date header of this second (RFC 9110, 6.6.1). */
void hf_respond_date(int64_t now_s, char out[HF_DATE_LINE_MAX]);

/**
 * Append the response; `out` is not full (hf_output_is_full). `repository` is asked for its status
 * by /healthz only. Returns the number of body bytes and writes the final status.
 */
size_t hf_respond(struct hf_output *out, const struct hf_answer *answer,
                  enum hf_persistence persistence, const char *date_line,
                  struct hf_repository *repository, unsigned *status);

#endif
