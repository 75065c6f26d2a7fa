/* The events of an edition that is served from now on (server/fleet/events.h). */
#ifndef HF_SERVE_EDITION_EVENTS_H
#define HF_SERVE_EDITION_EVENTS_H

#include "server/fleet/events.h"
#include "server/serve/edition.h"

/** `published`, unless it has the versions of `before` (NULL: nothing was served before), and
 *  `bundle` for each bundle that `before` did not publish. From any thread. */
void hf_edition_tell(struct hf_events *events, const struct hf_edition *before,
                     const struct hf_edition *now);

#endif
