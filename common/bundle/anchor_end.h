/* The day on which an anchor stops to be enough. No I/O. */
#ifndef HF_COMMON_BUNDLE_ANCHOR_END_H
#define HF_COMMON_BUNDLE_ANCHOR_END_H

#include <stdint.h>

enum hf_end_reason {
    HF_END_EXPIRES = 0, /* its notAfter */
    HF_END_REMOVED,     /* remove_after, signed */
    HF_END_DISTRUSTED,  /* distrust_after, signed, or a root program's plan */
};

struct hf_anchor_end {
    int64_t end_s; /* the earliest of all */
    enum hf_end_reason reason;
};

/** The first of three dates; the last two may be HF_TIME_NONE. Distrust counts as an end: servers'
 *  next certificates will not be accepted through the anchor. */
struct hf_anchor_end hf_anchor_first_end(int64_t not_after_s, int64_t remove_after_s,
                                         int64_t distrust_after_s);

/** "expires", "is removed", "is distrusted". */
const char *hf_end_reason_text(enum hf_end_reason reason);

/** "expires on 2027-01-01", "is removed by devices after 2027-01-01". */
#define HF_ANCHOR_END_TEXT_MAX 96
void hf_anchor_end_text(struct hf_anchor_end end, char out[HF_ANCHOR_END_TEXT_MAX]);

#endif
