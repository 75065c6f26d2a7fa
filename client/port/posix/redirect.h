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
#ifndef HF_CLIENT_PORT_POSIX_REDIRECT_H
#define HF_CLIENT_PORT_POSIX_REDIRECT_H

#include "client/port/posix/url.h"

#define HF_REDIRECT_TARGETS_MAX 24 /* HF_MIRRORS_MAX mirrors and HF_REDIRECT_HOSTS_MAX hosts */

/* Hosts that any mirror may redirect to. Port 0 is the default port of the URL's scheme. */
struct hf_redirect_targets {
    struct hf_endpoint hosts[HF_REDIRECT_TARGETS_MAX];
    size_t n;
};

/**
 * The URL that an answer from `from` redirects to, if it may be followed. `location` is the answer's
 * own text and is never quoted. `asked` is the URL that the first request went to. HF_E_NETWORK.
 */
HF_MUST_USE enum hf_err hf_redirect_resolve(const struct hf_redirect_targets *targets,
                                            const struct hf_url *asked, const struct hf_url *from,
                                            const char *location, bool waives_validation,
                                            struct hf_url *out, struct hf_why *why);

#endif
