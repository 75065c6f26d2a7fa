/* Any target, as any TUF client finds it. Devices do not look for bundles like this: these are
 * targets of the top-level role only (client/core/select.c). */
#ifndef HF_TESTS_SUPPORT_FIND_TARGET_H
#define HF_TESTS_SUPPORT_FIND_TARGET_H

#include "client/core/refresh.h"

#define HF_DELEGATIONS_VISITED_MAX 32 /* roles in one search */

/**
 * Which target is `path` (TUF 5.6.7)? After hf_refresh; delegated roles are obtained on the way, at
 * most HF_DELEGATIONS_VISITED_MAX roles in all.
 *
 * HF_OK with `*out` NULL: no role that may speak for it lists it. Any other error: that could not
 * be told, since a role on the way could not be had. `*out` is borrowed from c->trusted.
 */
HF_MUST_USE enum hf_err hf_find_target(struct hf_client *c, const char *path,
                                       const struct hf_target **out, struct hf_why *why);

/** Does this delegation speak for `path` (TUF 4.5: path patterns, or prefixes of SHA-256)? */
bool hf_delegation_covers(const struct hf_delegation *d, const char *path);

#endif
