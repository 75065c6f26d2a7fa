/* A host and a port, as people and URLs write them (RFC 3986, 3.2.2). No I/O. */
#ifndef HF_COMMON_TLS_ENDPOINT_H
#define HF_COMMON_TLS_ENDPOINT_H

#include <holdfast/bytes.h>

#define HF_HOST_MAX 253      /* bytes of a DNS name */
#define HF_ENDPOINT_TEXT 262 /* "[" host "]:65535" and its NUL */

struct hf_endpoint {
    char host[HF_HOST_MAX + 1]; /* lower case; an IPv6 address without its brackets */
    uint16_t port;
    bool is_ipv6; /* the host is an IPv6 address */
};

/**
 * "name", "name:port", "192.0.2.1:port", "[2001:db8::1]:port". Where no port is given it is
 * `default_port`. HF_E_FORMAT in words; no part of `text` that could hold a password is repeated.
 */
HF_MUST_USE enum hf_err hf_endpoint_parse(struct hf_bytes text, uint16_t default_port,
                                          struct hf_endpoint *out, struct hf_why *why);

/** "example.org." is the same host as "example.org" (RFC 1034, 3.1); certificates name it without
 *  the dot. */
void hf_endpoint_drop_final_dot(struct hf_endpoint *endpoint);

/** Host and port, brackets where needed. */
void hf_endpoint_format(const struct hf_endpoint *endpoint, char out[HF_ENDPOINT_TEXT]);

/** The host is an address, v4 or v6: it has no place in SNI (RFC 6066, 3). */
bool hf_endpoint_is_address(const struct hf_endpoint *endpoint);

bool hf_endpoint_equal(const struct hf_endpoint *a, const struct hf_endpoint *b);

#endif
