/* What a draft must be beyond well-formed, before anybody is asked to sign it. No I/O. */
#ifndef HF_PUBLISH_DRAFT_CHECK_H
#define HF_PUBLISH_DRAFT_CHECK_H

#include "server/publish/ceremony/draft.h"

/** Everything hf_draft_parse promises besides the form; HF_E_FORMAT. Sets is_before_verified. */
HF_MUST_USE enum hf_err hf_draft_check(struct hf_draft *draft, struct hf_why *why);

/** Before a key signs: HF_E_STATE for a draft made more than a day after now. Its time of signing
 *  becomes the least that devices take the time to be. */
HF_MUST_USE enum hf_err hf_draft_check_clock(const struct hf_draft *draft, int64_t now_s,
                                             struct hf_why *why);

#endif
