/* Where a request goes: URLs of the two schemes that the transport speaks (RFC 3986), redirects,
 * and proxies. No I/O. */
#ifndef HF_CLIENT_PORT_POSIX_URL_H
#define HF_CLIENT_PORT_POSIX_URL_H

#include "common/base/limits.h"
#include "common/tls/endpoint.h"

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

/** What `reference` (absolute or relative, as in a Location header) means at `base` (RFC 3986,
 *  5). */
HF_MUST_USE enum hf_err hf_url_resolve(const struct hf_url *base, const char *reference,
                                       struct hf_url *out, struct hf_why *why);

/** What the Host header says: the host, and the port unless it is the scheme's own. */
void hf_url_host_header(const struct hf_url *url, char out[HF_ENDPOINT_TEXT]);

/** Append the whole URL as text. */
HF_MUST_USE enum hf_err hf_url_append(const struct hf_url *url, struct hf_buf *out);

/*
 * Where a redirect may lead. A redirect comes from the server that answered. Over plain HTTP, or
 * in recovery, that may be an attacker who wants this device to send a request to a service that
 * trusts it, on loopback or on its local network. So a redirect is followed
 *
 * - to the server that was asked: the same host and port, or https instead of http on the ports
 *   that these two have by default;
 * - to a host that the configuration names, a mirror or a redirect host, but not in recovery, where
 *   the server is not authenticated;
 * - never from https to http;
 * - never to a loopback, link-local or private address, unless the mirror that was asked has an
 *   address of the same kind, or the configuration names that very address.
 *
 * The address is checked after the name was looked up (net.h), since names can be made to lead
 * anywhere. No I/O here.
 */

#define HF_REDIRECT_TARGETS_MAX 24 /* HF_MIRRORS_MAX mirrors and HF_REDIRECT_HOSTS_MAX hosts */

/* Hosts that any mirror may redirect to. Port 0 is the default port of the URL's scheme. */
struct hf_redirect_targets {
    struct hf_endpoint hosts[HF_REDIRECT_TARGETS_MAX];
    size_t n;
};

/**
 * The URL that an answer from `from` redirects to, if it may be followed. `location` is the
 * answer's own text and is never quoted. `asked` is the URL that the first request went to.
 * HF_E_NETWORK.
 */
HF_MUST_USE enum hf_err hf_redirect_resolve(const struct hf_redirect_targets *targets,
                                            const struct hf_url *asked, const struct hf_url *from,
                                            const char *location, bool waives_validation,
                                            struct hf_url *out, struct hf_why *why);

/*
 * Which proxy the environment names for a URL, by the rules of curl: http_proxy for http,
 * https_proxy for https, all_proxy for both; no_proxy for exceptions. No I/O.
 *
 * Capitals are understood too, except in HTTP_PROXY: in a CGI program that variable is the request
 * header "Proxy:", so the sender of a request could choose the proxy (CVE-2016-5385).
 */

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
