/*
 * Why is a device not updated? Every cause that the service can see is checked in turn, from what
 * the device needs first (a certificate) to what it does last (use the newest bundle), and each
 * check says in words what it found and what to do. No I/O.
 */
#ifndef HF_FLEET_EXPLAIN_H
#define HF_FLEET_EXPLAIN_H

#include "server/fleet/credential.h"
#include "server/fleet/device_view.h"
#include "server/fleet/report_row.h"

enum hf_verdict {
    HF_VERDICT_OK,
    HF_VERDICT_NOTE,    /* worth knowing, and no cause by itself */
    HF_VERDICT_PROBLEM, /* the device is not updated, or its state is unknown, until it is solved */
};
/** "ok", "note", "problem". */
const char *hf_verdict_name(enum hf_verdict verdict);

struct hf_statement {
    /* "certificate", "contact", "conflict", "clock", "result", "version", "expiry" */
    const char *check;
    enum hf_verdict verdict;
    /* A reason of 500 bytes, an endpoint and the subject of a root with the words around them. */
    char text[1400];
    const char *advice; /* what to do; "": nothing */
};

#define HF_EXPLAIN_CHECKS 7u

/* What is known of the device. */
struct hf_explain_facts {
    int64_t now_s;
    const struct hf_device_view *device;
    /* Its certificate: the newest that is ACTIVE, otherwise the newest; NULL: none. */
    const struct hf_credential *credential;
    bool has_report_key;
    /* The newest report of the kind that device->state.result has; NULL: it is not kept any
     * more. */
    const struct hf_report_row *result;
    int64_t published; /* newest version served of its set and profile; 0: none, -1: unknown */
};

struct hf_explanation {
    struct hf_statement statements[HF_EXPLAIN_CHECKS]; /* one for each check, in their order */
    const struct hf_statement *cause; /* which explains most; of "version" if all is well */
    bool is_up_to_date; /* by its last report it uses the newest bundle; it may have a problem */
};

/** `out` must not move: `cause` points into it. */
void hf_explain(const struct hf_explain_facts *facts, struct hf_explanation *out);

#endif
