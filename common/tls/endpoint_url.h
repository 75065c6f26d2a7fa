/*
 * The device's own servers, as people name them: mqtts://HOST[:8883], https://HOST[:443],
 * tls://HOST:PORT, or what `aws iot describe-endpoint` prints. No I/O.
 */
#ifndef HF_COMMON_TLS_ENDPOINT_URL_H
#define HF_COMMON_TLS_ENDPOINT_URL_H

#include "common/tls/endpoint.h"

#define HF_ENDPOINT_URL_TEXT (sizeof "mqtts://" + HF_ENDPOINT_TEXT) /* with its NUL */
#define HF_ALPN_MAX 255                                             /* bytes (RFC 7301, 3.1) */
/* Of an answer of AWS; a hundred are usual. */
#define HF_ENDPOINT_JSON_BYTES_MAX (16u * 1024u)

struct hf_endpoint_url {
    const char *scheme; /* "mqtts", "https" or "tls"; static */
    struct hf_endpoint peer;
};

/**
 * HF_E_FORMAT, HF_E_LIMIT in words: another scheme, a path, a user name or password, tls:// without
 * a port. No part of `text` that could hold a password is repeated.
 */
HF_MUST_USE enum hf_err hf_endpoint_url_parse(const char *text, struct hf_endpoint_url *out,
                                              struct hf_why *why);

/** {"endpointAddress": "HOST"}, as `aws iot describe-endpoint` prints it: mqtts://HOST:8883. Other
 *  members mean nothing. HF_E_FORMAT, HF_E_LIMIT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_endpoint_url_parse_json(struct hf_bytes json,
                                                   struct hf_endpoint_url *out, struct hf_why *why);

/** With its port: "mqtts://example.org:8883". Two that are the same server have the same text. */
void hf_endpoint_url_format(const struct hf_endpoint_url *url, char out[HF_ENDPOINT_URL_TEXT]);

/** The ALPN name it is asked with where none is given, NULL for none: MQTT at port 443 of AWS IoT
 *  has one of its own. */
const char *hf_endpoint_url_default_alpn(const struct hf_endpoint_url *url);

/** 1 to HF_ALPN_MAX visible ASCII characters. HF_E_FORMAT. */
HF_MUST_USE enum hf_err hf_alpn_check(const char *alpn, struct hf_why *why);

/** An AWS IoT data endpoint of the legacy type (iot:Data), which shows chains under VeriSign roots
 *  that no longer end in a trusted one: PREFIX.iot.REGION.amazonaws.com without "-ats". */
bool hf_endpoint_url_is_legacy_aws(const struct hf_endpoint_url *url);

#endif
