/*
 * By which day does the fleet hold a successor of each root? For each anchor of a version that
 * devices hold, how many of them hold a version with a successor, and when all will at the pace of
 * the last days. A successor is an anchor with another key that ends later. A function of what is
 * published and of censuses. No I/O.
 *
 * The anchor ends at its notAfter or at a signed date of distrust or removal, whichever comes
 * first, as the newest published version that has it says. Which root an endpoint needs is known to
 * devices only: their preflight sees to it that an update does not cut them off.
 */
#ifndef HF_FLEET_READINESS_H
#define HF_FLEET_READINESS_H

#include "server/fleet/census.h"
#include "server/fleet/published.h"

enum hf_readiness_verdict {
    HF_READINESS_NO_SUCCESSOR, /* the newest version has none */
    HF_READINESS_NO_PACE,      /* no device has taken one up lately, so there is no forecast */
    HF_READINESS_LATE,         /* all will hold one only after the end */
    HF_READINESS_IN_TIME,      /* all will hold one before the end */
    HF_READINESS_READY,        /* all hold one */
};
/** "no-successor", "no-pace", "late", "in-time", "ready". */
const char *hf_readiness_verdict_name(enum hf_readiness_verdict verdict);

/* One anchor of one set and profile. It points into what was published. */
struct hf_readiness {
    const struct hf_published_bundle *newest; /* of the set and profile */
    const struct hf_published_anchor *anchor;
    int64_t holding; /* devices that hold a successor */
    /* The other devices of the set and profile: also those with a version that is not published
     * (any more), whose anchors are unknown. */
    int64_t lacking;
    int64_t ready_s; /* when all hold one, at the pace of the last days; 0: no forecast */
    enum hf_readiness_verdict verdict;
};

/** `out` (the caller frees it) has `*n` entries, those that end first, HF_READINESS_LISTED_MAX at
 *  most. The newest of `days` is what devices hold now; without days there is nothing.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_readiness_of(const struct hf_published *published,
                                        const struct hf_census_days *days,
                                        struct hf_readiness **out, size_t *n, struct hf_why *why);

/** The verdict in a sentence, with the day and with numbers of two digits. */
#define HF_READINESS_TEXT_MAX 320
void hf_readiness_text(const struct hf_readiness *readiness, char out[HF_READINESS_TEXT_MAX]);
/** What to do; "": nothing. */
const char *hf_readiness_advice(enum hf_readiness_verdict verdict);

#endif
