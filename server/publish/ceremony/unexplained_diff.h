/*
 * What differs and no sentence explains: members that this program does not know, however deep. They
 * are signed like the rest, so they are shown, with their values.
 */
#ifndef HF_PUBLISH_UNEXPLAINED_DIFF_H
#define HF_PUBLISH_UNEXPLAINED_DIFF_H

#include "server/publish/ceremony/draft.h"

/**
 * Where two values (either may be NULL: there is none) differ, member by member: a new list of
 * {"member": "roles.mirrors", "change": "new", "changes" or "goes", "before": …, "after": …}, the
 * last two where there is one. NULL without memory. Callers take out of copies what they explain.
 */
json_t *hf_draft_rest(const json_t *before, const json_t *after);

/** What is to be explained of metadata: a new copy of its signed part without version and times,
 *  which every difference begins with. NULL without memory. */
json_t *hf_draft_rest_begin(const struct hf_envelope *env);

/** Each of them in full, with `indent` spaces before it, in ASCII that steers no terminal: on one line,
 *  or on lines that begin with "| ". `rest` is taken; NULL prints that something is missing. */
void hf_draft_rest_print_take(json_t *rest, int indent, FILE *out);

/** Their names only, to be read last: what is shown in full may have left the screen. Nothing for
 *  none. `rest` is taken. */
void hf_draft_rest_print_names_take(json_t *rest, FILE *out);

/** May it be signed? HF_E_LIMIT for more than a person reads with care. `rest` is taken. */
HF_MUST_USE enum hf_err hf_draft_rest_check_take(json_t *rest, struct hf_why *why);

/** Version, what it follows, SHA-256, times. */
void hf_draft_show_head(const struct hf_draft *draft, const struct hf_envelope *before, FILE *out);

#endif
