/*
 * What the harness `chain` is fed: anchors, what a server sent, for whom and when, in one input.
 *
 *     1 byte     how many of the certificates are anchors; the rest is what was sent
 *     1 byte     distrust_after of the anchors: 0 none, else days from the time, signed
 *     1 byte     length of the host, which follows; 0: any host
 *     8 bytes    the time, seconds since 1970, big-endian
 *     and for each certificate 2 bytes of length, big-endian, and its DER
 */
#ifndef HF_TESTS_FUZZ_CHAIN_INPUT_H
#define HF_TESTS_FUZZ_CHAIN_INPUT_H

#include "tests/fuzz/fuzz.h"

#define CHAIN_CERTS_MAX 24

struct chain_input {
    size_t n_anchors, n_certs;
    int8_t distrust_days;
    char host[256]; /* empty: any */
    int64_t at_s;
    struct hf_buf certs[CHAIN_CERTS_MAX]; /* first the anchors */
};

/** What is cut off or too much at the end is left out. chain_input_free it. */
void chain_input_read(struct hf_bytes bytes, struct chain_input *out);
void chain_input_write(const struct chain_input *input, struct hf_buf *out);
void chain_input_free(struct chain_input *input);

#endif
