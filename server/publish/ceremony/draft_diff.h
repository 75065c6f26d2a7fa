/*
 * What a draft changes and who has signed it, as people read it before they sign, and as scripts
 * do. Everything that differs is in both, also what this program does not know: the text is printed
 * from the data.
 */
#ifndef HF_PUBLISH_DRAFT_DIFF_H
#define HF_PUBLISH_DRAFT_DIFF_H

#include "server/repository/drafts/draft.h"

/** The whole difference, as text. */
void hf_draft_show(const struct hf_draft *draft, FILE *out);

/**
 * Agreement to sign exactly this: `yes` is what was given with --yes, the first 16 digits or more
 * of the SHA-256 shown; without it the draft is shown to a person on the terminal, who is asked.
 * HF_E_POLICY without agreement; HF_E_LIMIT when more differs than a person reads with care.
 */
HF_MUST_USE enum hf_err hf_draft_confirm(const struct hf_draft *draft, const char *yes,
                                         struct hf_why *why);

/** What it changes and who has signed, as JSON (schema/draft-report.schema.json). HF_E_SIGNATURE
 *  for signatures that do not verify (hf_signature_status_make), HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_draft_print_json(const struct hf_draft *draft, FILE *out,
                                            struct hf_why *why);

/**
 * Who has signed, as text: a line, and with `lists_keys` a line for each key. `*is_complete` (may
 * be NULL) says whether enough keys have signed. As hf_signature_status_make.
 */
HF_MUST_USE enum hf_err hf_draft_print_signatures(const struct hf_draft *draft, bool lists_keys,
                                                  FILE *out, bool *is_complete, struct hf_why *why);

/** The same for scripts: complete, the quorums ("sides"), the keys. `*out` is a new reference. As
 *  hf_signature_status_make. */
HF_MUST_USE enum hf_err hf_draft_signatures_json(const struct hf_draft *draft, json_t **out,
                                                 struct hf_why *why);

/* targets_diff.c: the member "changes" of a draft of targets, and the text of it. A new reference,
 * NULL without memory. */
json_t *hf_draft_targets_changes(const struct hf_draft *draft);
void hf_draft_targets_print(const struct hf_draft *draft, const json_t *changes, FILE *out);

#endif
