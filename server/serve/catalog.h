/* Which bundles an edition publishes, read once when it is loaded. No I/O. */
#ifndef HF_SERVE_CATALOG_H
#define HF_SERVE_CATALOG_H

#include "common/tuf/trusted_set.h"
#include "server/fleet/published.h"
#include "server/serve/edition.h"

/** The bundles of the top-level targets of `set`, which `e` was checked by, as devices select them:
 *  other targets, and bundles under another name than their description's, are left out.
 *  HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_catalog_read(const struct hf_edition *e,
                                        const struct hf_trusted_set *set, struct hf_published **out,
                                        struct hf_why *why);

#endif
