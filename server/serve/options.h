/* holdfastd's command line. */
#ifndef HF_SERVE_OPTIONS_H
#define HF_SERVE_OPTIONS_H

#include "server/config/config.h"
#include "server/http/address.h"

struct hf_serve_options {
    char *repo;         /* owned, as the other texts */
    char *state;        /* NULL: none */
    char *listen_text;  /* ADDRESS:PORT; NULL with a configuration that has no [http] */
    char *config;       /* the service's configuration file; NULL: none */
    char *check_config; /* only check this one; NULL: serve */
    char *access_log;   /* "off"; "-": standard output; of the command line NULL for "off" */
    bool must_wait;     /* the repository may come later */
    union hf_peer listen;
    unsigned loops;
    unsigned connections_max;
    unsigned per_address_max;
    unsigned header_timeout_s;
    unsigned idle_timeout_s;
};

/** -1: serve as `out` says, which is to be freed. Otherwise the exit code: help or the version was
 *  printed, or one sentence on standard error says what is wrong. Reads no files. */
int hf_serve_options_parse(int argc, const char **argv, struct hf_serve_options *out);
/** Take from a configuration what the command line says otherwise; `options` is to be freed in each
 *  case. Reads no files. HF_E_ARGUMENT, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_serve_options_from_config(struct hf_serve_options *options,
                                                     const struct hf_config *config,
                                                     struct hf_why *why);
void hf_serve_options_free(struct hf_serve_options *options);

#endif
