/* holdfastd's command line. */
#ifndef HF_SERVE_OPTIONS_H
#define HF_SERVE_OPTIONS_H

#include "server/http/address.h"

struct hf_serve_options {
    char *repo;        /* owned, as the other texts */
    char *state;       /* NULL: none */
    char *listen_text; /* ADDRESS:PORT */
    char *access_log;  /* NULL: off; "-": standard output */
    bool must_wait;    /* the repository may come later */
    union hf_peer listen;
    unsigned loops;
    unsigned connections_max;
    unsigned per_address_max;
    unsigned header_timeout_s;
    unsigned idle_timeout_s;
};

enum hf_options_end {
    HF_OPTIONS_RUN,
    HF_OPTIONS_DONE,  /* --help or --version was printed: exit 0 */
    HF_OPTIONS_WRONG, /* `why` says what: exit 2 */
};

/** `out` is to be freed after HF_OPTIONS_RUN. Reads no files. */
enum hf_options_end hf_serve_options_parse(int argc, const char **argv,
                                           struct hf_serve_options *out, struct hf_why *why);
void hf_serve_options_free(struct hf_serve_options *options);

#endif
