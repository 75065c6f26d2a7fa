/*
 * A draft as data, for scripts: what it changes and who has signed (schema/draft-report.schema.json).
 * It mirrors what draft_show.h and draft_tally.h print for people.
 */
#ifndef HF_PUBLISH_DRAFT_JSON_H
#define HF_PUBLISH_DRAFT_JSON_H

#include "server/publish/ceremony/draft.h"

/** All of it. HF_E_SIGNATURE for signatures that do not verify (hf_tally_make), HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_draft_print_json(const struct hf_draft *draft, FILE *out,
                                            struct hf_why *why);

/* Its parts; new references, NULL when memory ran out. */
/** root_diff.c, targets_diff.c: the difference. */
json_t *hf_draft_root_to_json(const struct hf_draft *draft);
json_t *hf_draft_targets_to_json(const struct hf_draft *draft);

#endif
