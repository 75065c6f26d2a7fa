/* --endpoint, --alpn, --client-cert, --client-key, --legacy-ciphers and --modern-ciphers, as `init` and
 * `endpoints` take them. */
#ifndef HF_CLIENT_AGENT_ENDPOINTS_H
#define HF_CLIENT_AGENT_ENDPOINTS_H

#include "client/agent/agent.h"
#include "common/tls/endpoint_url.h"

#include <jansson.h>

enum { HF_CIPHERS_UNCHANGED = 0, HF_CIPHERS_MODERN, HF_CIPHERS_LEGACY };

/* The options of a command that takes these begin with them. */
struct hf_endpoint_options {
    struct hf_agent_options common;
    struct hf_posix_endpoint list[HF_ENDPOINTS_MAX]; /* points to the texts below */
    char urls[HF_ENDPOINTS_MAX][HF_ENDPOINT_URL_TEXT];
    char alpns[HF_ENDPOINTS_MAX][HF_ALPN_MAX + 1];
    size_t n;
    char *client_cert; /* absolute once hf_endpoints_finish was called; NULL: not given */
    char *client_key;
    int ciphers;           /* HF_CIPHERS_… */
    bool is_misused;       /* the fault is a usage error */
    struct hf_why failure; /* the first thing that is; code HF_OK: nothing */
};

extern const struct hf_cli_option hf_endpoint_rows[];

/* A row of a command's option table. */
#define HF_ENDPOINT_ROWS                                                                           \
    {                                                                                              \
        NULL, '\0', HF_CLI_GROUP, 0, "Servers that the device must always reach:", NULL,           \
            .group = hf_endpoint_rows                                                              \
    }

/** What was wrong, in words; a usage error is reported as such. */
HF_MUST_USE enum hf_err hf_endpoints_finish(struct hf_cli_call *call, struct hf_why *why);

/** Put what was given in its place in `config`, which borrows it; the rest stays as it is. */
void hf_endpoints_apply(const struct hf_endpoint_options *o, struct hf_posix_config *config);

/** One line each after `before`, "none" without any; and as JSON, NULL when memory is short. */
void hf_endpoints_print(const struct hf_posix_config *config, const char *before);
json_t *hf_endpoints_json(const struct hf_posix_config *config);

#endif
