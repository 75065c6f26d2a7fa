/* A test case of C2SP/x509-limbo, read from its JSON (limbo-schema.json), so that a judge can
 * answer. */
#ifndef HF_TESTS_CONFORMANCE_X509_LIMBO_H
#define HF_TESTS_CONFORMANCE_X509_LIMBO_H

#include "tests/support/x509_judge.h"

#include <jansson.h>

#define LIMBO_ANCHORS_MAX 256 /* the suites have up to 165 */
#define LIMBO_SENT_MAX 128    /* and up to 101 */

struct limbo_case {
    struct x509_case question; /* points into what follows */
    struct hf_trust_anchor anchors[LIMBO_ANCHORS_MAX];
    struct hf_bytes sent[LIMBO_SENT_MAX];
    struct hf_buf ders[LIMBO_ANCHORS_MAX + LIMBO_SENT_MAX];
    size_t n_ders;
};

/** What Holdfast has no answer to, such as revocation, or NULL. */
const char *limbo_unsupported(const json_t *testcase);

/** Zero `out` first; limbo_case_free it in any case. Anchors that cannot be parsed are left out.
 *  HF_E_FORMAT. */
HF_MUST_USE enum hf_err limbo_case_read(const json_t *testcase, struct limbo_case *out,
                                        struct hf_why *why);
void limbo_case_free(struct limbo_case *c);

#endif
