/* The authority of an http URI: the Host header, and what an absolute-form target begins with. */
#ifndef HF_SERVE_AUTHORITY_H
#define HF_SERVE_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>

/**
 * host [ ":" port ] as RFC 3986, 3.2 writes them: a name or IPv4 address, or an IPv6 address in
 * brackets. Refused are an empty host (RFC 9110, 4.2.1), userinfo (4.2.4) and a port above 65535.
 */
bool hf_authority_is_valid(const char *text, size_t len);

#endif
