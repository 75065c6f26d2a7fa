/*
 * The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, 2.2): a balancer tells, before the
 * first byte of its client, who that client is. A parser without I/O.
 *
 * Version 1, a line of text, is refused: it has no length, so that what follows cannot be told from
 * it before it is read.
 */
#ifndef HF_HTTP_PROXY_H
#define HF_HTTP_PROXY_H

#include "server/http/address.h"

#include <holdfast/bytes.h>

#define HF_PROXY_FIXED_BYTES 16 /* signature, command, family, length */

enum hf_proxy_result {
    HF_PROXY_DONE,
    HF_PROXY_MORE, /* `*needed` bytes are needed, counted from the first */
    HF_PROXY_BAD,  /* not a header, a damaged or too long one, or not of a stream */
};

struct hf_proxy {
    /* False: the connection is the balancer's own, such as a health check, or it does not tell an
     * address. */
    bool has_client;
    union hf_peer client; /* address and port, IPv4 or IPv6 */
};

/**
 * Read a header at the start of `data`. `*needed` is written unless the result is HF_PROXY_BAD: its
 * length, as far as it is known. It never exceeds HF_PROXY_BYTES_MAX, and a caller that never holds
 * more bytes than needed never reads what follows the header. `*out` is written with HF_PROXY_DONE
 * only. Further fields (TLVs) must be well formed and are skipped, whatever their type.
 */
enum hf_proxy_result hf_proxy_parse(struct hf_bytes data, size_t *needed, struct hf_proxy *out);

#endif
