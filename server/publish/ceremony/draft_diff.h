/*
 * What a draft changes, as people read it, before a holder signs. Everything that differs is shown,
 * also what this program does not know. Prints and nothing else.
 */
#ifndef HF_PUBLISH_DRAFT_DIFF_H
#define HF_PUBLISH_DRAFT_DIFF_H

#include "server/publish/ceremony/draft.h"

/** The whole difference. */
void hf_draft_show(const struct hf_draft *draft, FILE *out);

/** Its part for targets (targets_diff.c). */
void hf_draft_show_targets(const struct hf_draft *draft, FILE *out);
/** What no sentence of that explains (unexplained_diff.h); NULL without memory. */
json_t *hf_draft_targets_unexplained(const struct hf_draft *draft);

/**
 * Agreement to sign exactly this: `yes` is what was given with --yes, the first 16 digits or more of
 * the SHA-256 shown; without it the draft is shown to a person on the terminal, who is asked.
 * HF_E_POLICY without agreement; HF_E_LIMIT when more differs than a person reads with care.
 */
HF_MUST_USE enum hf_err hf_draft_confirm(const struct hf_draft *draft, const char *yes,
                                         struct hf_why *why);

/*
 * A draft as data, for scripts: what it changes and who has signed (schema/draft-report.schema.json).
 * It mirrors what hf_draft_show and hf_signature_status_print print for people.
 */

/** All of it. HF_E_SIGNATURE for signatures that do not verify (hf_signature_status_make), HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_draft_print_json(const struct hf_draft *draft, FILE *out,
                                            struct hf_why *why);

/** Its part for targets (targets_diff.c); a new reference, NULL when memory ran out. */
json_t *hf_draft_targets_to_json(const struct hf_draft *draft);

#endif
