#include "common/tls/endpoint_url.h"

#include "common/base/limits.h"
#include "common/base/plaintext.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

#define MQTTS_PORT 8883
#define AWS_MQTT_ALPN "x-amzn-mqtt-ca"

static const struct scheme {
    const char *name;
    uint16_t port; /* 0: must be given */
} schemes[] = {{"mqtts", MQTTS_PORT}, {"https", 443}, {"tls", 0}};
#define N_SCHEMES (sizeof schemes / sizeof schemes[0])

static bool begins_with_scheme(const char *text, const char *name)
{
    for (; *name != '\0'; name++, text++) {
        if (*text != *name && (*text < 'A' || *text > 'Z' || *text - 'A' + 'a' != *name))
            return false;
    }
    return strncmp(text, "://", 3) == 0;
}

/** The part behind "scheme://"; NULL where it is none of ours. */
static const char *find_scheme(const char *text, const struct scheme **out)
{
    for (size_t i = 0; i < N_SCHEMES; i++) {
        if (begins_with_scheme(text, schemes[i].name)) {
            *out = &schemes[i];
            return text + strlen(schemes[i].name) + strlen("://");
        }
    }
    return NULL;
}

/** What there is of the authority, without a lone slash behind it. */
static enum hf_err cut_authority(const char *text, struct hf_bytes *out, struct hf_why *why)
{
    size_t len = strcspn(text, "/?#");

    if (memchr(text, '@', len) != NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "it holds a user name or password before '@', which is not used: only the "
                       "server's certificate is looked at; take it out");
    if (text[len] != '\0' && strcmp(text + len, "/") != 0)
        return hf_fail(why, HF_E_FORMAT,
                       "it names a path, and only a server is expected: leave out what follows "
                       "the host and port");
    *out = (struct hf_bytes){(const uint8_t *)text, len};
    return HF_OK;
}

/* No certificate names a host with an empty label, so its chain could never be evidence. */
static enum hf_err parse_peer(struct hf_bytes text, uint16_t default_port, struct hf_endpoint *out,
                              struct hf_why *why)
{
    struct hf_endpoint peer;

    HF_TRY(hf_endpoint_parse(text, default_port, &peer, why));
    hf_endpoint_drop_final_dot(&peer);
    if (peer.host[0] == '.' || peer.host[strlen(peer.host) - 1] == '.' ||
        strstr(peer.host, "..") != NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "the host name has a dot at its beginning or beside another one; leave it "
                       "out");
    *out = peer;
    return HF_OK;
}

enum hf_err hf_endpoint_url_parse(const char *text, struct hf_endpoint_url *out, struct hf_why *why)
{
    const struct scheme *scheme = NULL;
    struct hf_endpoint_url url = {0};
    struct hf_bytes authority;

    if (strlen(text) > HF_URL_MAX)
        return hf_fail(why, HF_E_LIMIT, "it is longer than %d bytes", HF_URL_MAX);
    const char *rest = find_scheme(text, &scheme);
    if (rest == NULL)
        return hf_fail(why, HF_E_FORMAT,
                       "it does not begin with mqtts://, https:// or tls://, as in "
                       "mqtts://example.org:8883");
    HF_TRY(cut_authority(rest, &authority, why));
    HF_TRY(parse_peer(authority, scheme->port, &url.peer, why));
    if (url.peer.port == 0)
        return hf_fail(why, HF_E_FORMAT, "the port is missing: tls:// has no default port");
    url.scheme = scheme->name;
    *out = url;
    return HF_OK;
}

enum hf_err hf_endpoint_url_parse_json(struct hf_bytes json, struct hf_endpoint_url *out,
                                       struct hf_why *why)
{
    static const char what[] = "the answer of aws iot describe-endpoint";
    struct hf_endpoint_url url = {.scheme = schemes[0].name};
    const char *address = NULL;
    json_t *object = NULL;

    if (json.len > HF_ENDPOINT_JSON_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s is longer than %u bytes", what,
                       HF_ENDPOINT_JSON_BYTES_MAX);
    size_t mark = hf_plain_mark_len(json);
    json = (struct hf_bytes){json.data + mark, json.len - mark};
    HF_TRY(hf_json_parse_object(json, what, &object, why));
    enum hf_err err = hf_json_get_text(object, "endpointAddress", what, &address, why);
    if (err == HF_OK)
        err = parse_peer(hf_bytes_of_text(address), MQTTS_PORT, &url.peer, why);
    json_decref(object);
    if (err == HF_OK)
        *out = url;
    return err;
}

void hf_endpoint_url_format(const struct hf_endpoint_url *url, char out[HF_ENDPOINT_URL_TEXT])
{
    char peer[HF_ENDPOINT_TEXT];

    hf_endpoint_format(&url->peer, peer);
    (void)snprintf(out, HF_ENDPOINT_URL_TEXT, "%s://%s", url->scheme, peer);
}

enum hf_err hf_alpn_check(const char *alpn, struct hf_why *why)
{
    size_t len = strlen(alpn);

    if (len < 1 || len > HF_ALPN_MAX)
        return hf_fail(why, HF_E_FORMAT,
                       "an ALPN name of 1 to %d characters is expected, found %zu", HF_ALPN_MAX,
                       len);
    for (size_t i = 0; i < len; i++) {
        if (alpn[i] <= ' ' || alpn[i] > '~')
            return hf_fail(why, HF_E_FORMAT, "an ALPN name holds visible ASCII only, found 0x%02x",
                           (unsigned char)alpn[i]);
    }
    return HF_OK;
}

/** Cut `suffix` off the end of the `*len` bytes at `host`; false: it is not there. */
static bool cut_suffix(const char *host, size_t *len, const char *suffix)
{
    size_t n = strlen(suffix);

    if (*len < n || memcmp(host + *len - n, suffix, n) != 0)
        return false;
    *len -= n;
    return true;
}

/** What stands before ".iot.REGION.amazonaws.com" ("abc-ats"); no bytes where the host is
 *  another's. */
static struct hf_bytes find_aws_prefix(const char *host)
{
    size_t len = strlen(host);

    if (!cut_suffix(host, &len, ".amazonaws.com") && !cut_suffix(host, &len, ".amazonaws.com.cn"))
        return (struct hf_bytes){0};
    while (len > 0 && host[len - 1] != '.') /* the region */
        len--;
    if (!cut_suffix(host, &len, ".iot."))
        return (struct hf_bytes){0};
    return (struct hf_bytes){(const uint8_t *)host, len};
}

const char *hf_endpoint_url_default_alpn(const struct hf_endpoint_url *url)
{
    bool is_mqtt_at_443 = strcmp(url->scheme, "mqtts") == 0 && url->peer.port == 443;

    return is_mqtt_at_443 && find_aws_prefix(url->peer.host).len > 0 ? AWS_MQTT_ALPN : NULL;
}

bool hf_endpoint_url_is_legacy_aws(const struct hf_endpoint_url *url)
{
    struct hf_bytes prefix = find_aws_prefix(url->peer.host);
    size_t len = prefix.len;

    /* Other services of AWS IoT have a label more ("abc.credentials"), and so has ATS in China. */
    return len > 0 && memchr(prefix.data, '.', len) == NULL &&
           !cut_suffix(url->peer.host, &len, "-ats");
}
