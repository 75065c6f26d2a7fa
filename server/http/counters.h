/* What the connections of one loop have done, for monitoring. */
#ifndef HF_HTTP_COUNTERS_H
#define HF_HTTP_COUNTERS_H

#include "common/base/counter.h"

#include <stddef.h>

#define HF_HTTP_ALERTS 128u /* by their number; RFC 8446 has none above 120 */

/* Counters only: hf_http_counters_add takes it for an array of them. */
struct hf_http_counters {
    hf_counter opened, closed; /* connections: the difference is open */
    hf_counter turned_away;    /* at once: their address had as many as it may */
    hf_counter full_handshakes, resumed_handshakes;
    hf_counter failed_handshakes;      /* with an alert or without one */
    hf_counter alerts[HF_HTTP_ALERTS]; /* that were sent */
    hf_counter answers[6];             /* by the first digit of their status */
    hf_counter body_bytes;
};

/** Add the numbers of one loop to a sum, which belongs to the caller's thread. */
static inline void hf_http_counters_add(struct hf_http_counters *sum,
                                        const struct hf_http_counters *one)
{
    hf_counter *to = &sum->opened;
    const hf_counter *from = &one->opened;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        hf_count(&to[i], hf_counted(&from[i]));
}

#endif
