/* What a refused request is answered with: problem+json (RFC 9457). No I/O. */
#ifndef HF_API_PROBLEM_H
#define HF_API_PROBLEM_H

#include <holdfast/bytes.h>

#define HF_PROBLEM_TYPE "application/problem+json"

/**
 * The HTTP status that an error of the store or of the signer means (server/fleet/tx.h). What was
 * wrong with the request itself gets its status where it is found.
 */
unsigned hf_problem_status(enum hf_err err);

/**
 * Append {"type": "about:blank", "title": …, "status": …, "detail": SENTENCE, "code": NAME}. Of a
 * 500 the sentence stays in the log: it is about this server, not about the request. HF_E_MEMORY.
 */
HF_MUST_USE enum hf_err hf_problem_write(unsigned status, const struct hf_why *why,
                                         struct hf_buf *out);

/** The error that says the same as a status that HTTP itself refuses with. */
enum hf_err hf_problem_error(unsigned status);

#endif
