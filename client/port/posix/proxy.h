/*
 * Which proxy the environment names for a URL, by the rules of curl: http_proxy for http,
 * https_proxy for https, all_proxy for both; no_proxy for exceptions. No I/O.
 *
 * Capitals are understood too, except in HTTP_PROXY: in a CGI program that variable is the request
 * header "Proxy:", so whoever sends a request could choose the proxy (CVE-2016-5385 and kin).
 */
#ifndef HF_CLIENT_PORT_POSIX_PROXY_H
#define HF_CLIENT_PORT_POSIX_PROXY_H

#include "client/port/posix/url.h"

#define HF_PROXY_CREDENTIALS_MAX 255 /* bytes of "user:password" */

struct hf_proxy {
    bool is_used; /* false: connect to the server itself */
    struct hf_endpoint peer;
    char authorization[512]; /* value of Proxy-Authorization; empty for none */
};

/** As getenv: borrowed text, or NULL. */
typedef const char *(*hf_env_fn)(const char *name);

/**
 * HF_E_FORMAT, naming the variable but not its value (it may hold a password), when a proxy is
 * named that cannot be used: only `http://[user:password@]host[:port]` is, port 1080 by default.
 */
HF_MUST_USE enum hf_err hf_proxy_pick(const struct hf_url *url, hf_env_fn env, struct hf_proxy *out,
                                      struct hf_why *why);

/**
 * Is `peer` named by `no_proxy`: names, which stand for their subdomains too (with or without a
 * leading dot), addresses, networks ("10.0.0.0/8"), separated by commas or blanks; "*" for all.
 */
bool hf_no_proxy_matches(const char *no_proxy, const struct hf_endpoint *peer);

#endif
