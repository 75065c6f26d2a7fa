#include "client/port/posix/redirect.h"

#include <string.h>

static uint16_t default_port(const struct hf_url *url)
{
    return url->is_https ? 443 : 80;
}

static bool is_same_server(const struct hf_url *asked, const struct hf_url *next)
{
    if (strcmp(asked->peer.host, next->peer.host) != 0)
        return false;
    return asked->peer.port == next->peer.port ||
           (asked->peer.port == default_port(asked) && next->peer.port == default_port(next));
}

static bool is_configured(const struct hf_redirect_targets *targets, const struct hf_url *next)
{
    for (size_t i = 0; i < targets->n; i++) {
        const struct hf_endpoint *host = &targets->hosts[i];
        uint16_t port = host->port != 0 ? host->port : default_port(next);
        if (strcmp(host->host, next->peer.host) == 0 && port == next->peer.port)
            return true;
    }
    return false;
}

enum hf_err hf_redirect_resolve(const struct hf_redirect_targets *targets,
                                const struct hf_url *asked, const struct hf_url *from,
                                const char *location, bool waives_validation, struct hf_url *out,
                                struct hf_why *why)
{
    struct hf_url next;
    struct hf_why wrong;

    if (location[0] == '\0')
        return hf_fail(why, HF_E_NETWORK, "it redirects, but does not say where to");
    if (hf_url_resolve(from, location, &next, &wrong) != HF_OK)
        return hf_fail(why, HF_E_NETWORK, "it redirects to where Holdfast does not follow: %s",
                       wrong.text);
    if (from->is_https && !next.is_https)
        return hf_fail(why, HF_E_NETWORK,
                       "it redirects from https down to http, which is not followed");
    if (!is_same_server(asked, &next) && waives_validation)
        return hf_fail(why, HF_E_NETWORK,
                       "it redirects to another server, which is not followed while the server's "
                       "chain is not validated (recovery)");
    if (!is_same_server(asked, &next) && !is_configured(targets, &next))
        return hf_fail(why, HF_E_NETWORK,
                       "it redirects to a server that is neither a mirror nor a redirect host of "
                       "this device; if that is right, allow the server with --redirect-host");
    *out = next;
    return HF_OK;
}
