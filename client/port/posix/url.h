/* URLs of the two schemes that the transport speaks (RFC 3986). No I/O. */
#ifndef HF_CLIENT_PORT_POSIX_URL_H
#define HF_CLIENT_PORT_POSIX_URL_H

#include "common/tls/endpoint.h"
#include "common/base/limits.h"

struct hf_url {
    bool is_https;
    struct hf_endpoint peer;
    char target[HF_URL_MAX + 1]; /* path and query; begins with '/' */
};

/**
 * Parse an absolute http:// or https:// URL. A fragment is dropped, it never goes over the wire.
 * HF_E_FORMAT for another scheme, for a user name or password (they would end up in logs), and for
 * bytes that no URL may hold; HF_E_LIMIT beyond HF_URL_MAX.
 */
HF_MUST_USE enum hf_err hf_url_parse(const char *text, struct hf_url *out, struct hf_why *why);

/** What `reference` (absolute or relative, as in a Location header) means at `base` (RFC 3986, 5). */
HF_MUST_USE enum hf_err hf_url_resolve(const struct hf_url *base, const char *reference,
                                       struct hf_url *out, struct hf_why *why);

/** What the Host header says: the host, and the port unless it is the scheme's own. */
void hf_url_host_header(const struct hf_url *url, char out[HF_ENDPOINT_TEXT]);

/** Append the whole URL as text. */
HF_MUST_USE enum hf_err hf_url_append(const struct hf_url *url, struct hf_buf *out);

#endif
