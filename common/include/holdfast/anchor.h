/* One trust anchor for the TLS library, with the dates that its publisher signed. */
#ifndef HOLDFAST_ANCHOR_H
#define HOLDFAST_ANCHOR_H

#include <holdfast/bytes.h>

struct hf_trust_anchor {
    struct hf_bytes der; /* borrowed for the call */
    /* Those that the publisher signed, or else the certificate's own. They count, and not what
     * stands in `der`. */
    int64_t not_before_s;
    int64_t not_after_s;
    int64_t distrust_after_s; /* INT64_MIN for none: leaves issued after it are not accepted */
    int64_t remove_after_s;   /* INT64_MIN for none: not used after it */
};

#endif
