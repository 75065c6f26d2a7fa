/*
 * What a draft changes, as people read it, before anybody signs. Everything that differs is shown,
 * also what this program does not know. Prints and nothing else.
 */
#ifndef HF_PUBLISH_DRAFT_SHOW_H
#define HF_PUBLISH_DRAFT_SHOW_H

#include "server/publish/ceremony/draft.h"

/** The whole difference, of root (root_diff.c) or targets (targets_diff.c). */
void hf_draft_show(const struct hf_draft *draft, FILE *out);

/* Its parts. */
void hf_draft_show_root(const struct hf_draft *draft, FILE *out);
void hf_draft_show_targets(const struct hf_draft *draft, FILE *out);
/** What no sentence of them explains (draft_rest.h); NULL without memory. */
json_t *hf_draft_root_unexplained(const struct hf_draft *draft);
json_t *hf_draft_targets_unexplained(const struct hf_draft *draft);
/** Version, what it follows, SHA-256, times. */
void hf_draft_show_head(const struct hf_draft *draft, const struct hf_envelope *before, FILE *out);

/**
 * Agreement to sign exactly this: `yes` is what was given with --yes, the first 16 digits or more of
 * the SHA-256 shown; without it the draft is shown to a person on the terminal, who is asked.
 * HF_E_POLICY without agreement; HF_E_LIMIT when more differs than a person reads with care.
 */
HF_MUST_USE enum hf_err hf_draft_confirm(const struct hf_draft *draft, const char *yes,
                                         struct hf_why *why);

#endif
