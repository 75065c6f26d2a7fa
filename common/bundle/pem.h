/* PEM (RFC 7468): CERTIFICATE blocks only. No I/O. */
#ifndef HF_COMMON_BUNDLE_PEM_H
#define HF_COMMON_BUNDLE_PEM_H

#include <holdfast/bytes.h>

/**
 * Called for each block, in order. `der` is borrowed for the call. A value other than HF_OK ends
 * the walk and is returned.
 */
typedef enum hf_err (*hf_pem_block_fn)(void *ctx, size_t index, struct hf_bytes der,
                                       struct hf_why *why);

/**
 * Walk the blocks of `text`. Text between blocks is ignored, as RFC 7468 section 2 allows, and so
 * are blanks at both ends of a line, and what is left where files were joined: a byte order mark,
 * and a missing end of line between two blocks. But a block of any other label (a private key!), a
 * damaged one or one without end is HF_E_FORMAT with its number and line. Without any block:
 * HF_E_FORMAT for a known kind of file, with the command that converts it, else HF_E_NOT_FOUND.
 * HF_E_LIMIT.
 */
HF_MUST_USE enum hf_err hf_pem_walk(struct hf_bytes text, hf_pem_block_fn fn, void *ctx,
                                    struct hf_why *why);

/** The same for the content of a file that may also be one certificate as DER. */
HF_MUST_USE enum hf_err hf_pem_or_der_walk(struct hf_bytes content, hf_pem_block_fn fn, void *ctx,
                                           struct hf_why *why);

/** Append one CERTIFICATE block, lines of 64 characters. */
HF_MUST_USE enum hf_err hf_pem_append(struct hf_buf *out, struct hf_bytes der);

#endif
