/* The day on which an anchor stops to be enough, as far as anybody has said. No I/O. */
#ifndef HF_REPOSITORY_ANCHOR_END_H
#define HF_REPOSITORY_ANCHOR_END_H

#include "common/bundle/bundle.h"
#include "server/repository/certs/known_roots.h"

/* The fleet's lead time: how long the last device may need to take a new root in. */
#define HF_LEAD_DAYS_DEFAULT 365
#define HF_LEAD_DAYS_MAX 36500

enum hf_end_reason {
    HF_END_EXPIRES = 0, /* its notAfter */
    HF_END_REMOVED,     /* remove_after, signed */
    HF_END_DISTRUSTED,  /* distrust_after, signed, or a root program's plan */
};

struct hf_anchor_end {
    int64_t end_s; /* the earliest of all */
    enum hf_end_reason reason;
};

/** Distrust counts as an end: servers' next certificates will not be accepted through it. */
struct hf_anchor_end hf_anchor_end(const struct hf_anchor *anchor,
                                   const struct hf_known_roots *known);

/** The day of distrust, signed or planned, whichever is earlier; HF_TIME_NONE. */
int64_t hf_anchor_distrust_s(const struct hf_anchor *anchor, const struct hf_known_roots *known);

/** "expires", "is removed", "is distrusted". */
const char *hf_end_reason_text(enum hf_end_reason reason);

/** "expires on 2027-01-01", "is removed by devices after 2027-01-01". */
#define HF_ANCHOR_END_TEXT_MAX 96
void hf_anchor_end_text(struct hf_anchor_end end, char out[HF_ANCHOR_END_TEXT_MAX]);

#endif
