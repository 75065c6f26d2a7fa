/* Since when the service knows of each published bundle, as the metadata does not say when it was
 * published. Written by the audits, which run hourly; a restore of an older backup begins again. */
#ifndef HF_FLEET_BUNDLE_SINCE_H
#define HF_FLEET_BUNDLE_SINCE_H

#include "server/fleet/published.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_bundle_since_sql[];

/** Of each bundle of `published`, into `since_s`; 0: it is not known yet. */
HF_MUST_USE enum hf_err hf_bundle_since_read(struct hf_db *db, const struct hf_published *published,
                                             int64_t *since_s, struct hf_why *why);
/** Those that are 0 are known from now on. */
HF_MUST_USE enum hf_err hf_bundle_since_note(struct hf_tx *tx, const struct hf_published *published,
                                             int64_t *since_s, struct hf_why *why);

#endif
