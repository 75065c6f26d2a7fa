/* --endpoint, --alpn, --client-cert, --client-key, --legacy-ciphers and --modern-ciphers, as `init` and
 * `endpoints` take them. */
#ifndef HF_CLIENT_AGENT_ENDPOINT_OPTIONS_H
#define HF_CLIENT_AGENT_ENDPOINT_OPTIONS_H

#include <holdfast/posix.h>

#include <jansson.h>
#include <popt.h>

enum { HF_CLI_CIPHERS_UNCHANGED, HF_CLI_CIPHERS_MODERN, HF_CLI_CIPHERS_LEGACY };

struct hf_cli_endpoints {
    struct poptOption table[8];
    struct hf_posix_endpoint list[HF_ENDPOINTS_MAX]; /* their texts are owned */
    size_t n;
    char *client_cert; /* absolute once hf_cli_endpoints_finish was called; NULL: not given */
    char *client_key;
    int ciphers;           /* HF_CLI_CIPHERS_… */
    bool is_misused;       /* what is wrong is wrong usage */
    struct hf_why failure; /* the first thing that is; code HF_OK: nothing */
};

/** Before the command line is parsed; `e` must stay where it is until then. */
void hf_cli_endpoints_init(struct hf_cli_endpoints *e);
void hf_cli_endpoints_free(struct hf_cli_endpoints *e);

/* A row of a command's option table. */
#define HF_CLI_ENDPOINTS(e)                                                                        \
    {                                                                                              \
        NULL, '\0', POPT_ARG_INCLUDE_TABLE, (e)->table, 0,                                         \
            "The servers it must always reach:", NULL                                              \
    }

/** After it: what was wrong, in words. */
HF_MUST_USE enum hf_err hf_cli_endpoints_finish(struct hf_cli_endpoints *e, struct hf_why *why);

/** Put what was given in its place in `config`, which borrows it; the rest stays as it is. */
void hf_cli_endpoints_apply(const struct hf_cli_endpoints *e, struct hf_posix_config *config);

/** One line each after `before`, "none" without any; and as JSON, NULL when memory is short. */
void hf_cli_endpoints_print(const struct hf_posix_config *config, const char *before);
json_t *hf_cli_endpoints_json(const struct hf_posix_config *config);

#endif
