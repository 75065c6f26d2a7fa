/*
 * What differs and no sentence explains: members that this program does not know, at any depth.
 * They are signed like the rest, so they are shown, with their values.
 */
#ifndef HF_PUBLISH_UNEXPLAINED_DIFF_H
#define HF_PUBLISH_UNEXPLAINED_DIFF_H

#include "common/tuf/envelope.h"

#include <stdio.h>

/** What is to be explained of metadata: a new copy of its signed part without version and times,
 *  which every draft shows. NULL without memory. */
json_t *hf_unexplained_copy(const struct hf_envelope *env);

/**
 * Where two objects differ, member by member: a new list of {"member": "roles.mirrors", "change":
 * "new", "changes" or "goes", "before": …, "after": …}, the last two where there is one. Takes
 * both; callers have deleted from them what they explain. NULL when one of them is, or without
 * memory.
 */
json_t *hf_unexplained_diff_take(json_t *before, json_t *after);

/** Each of them in full, with `indent` spaces before it, in ASCII that steers no terminal: on one
 *  line, or on lines that begin with "| ". */
void hf_unexplained_print(const json_t *diff, int indent, FILE *out);

/** Their names only, to be read last: what is shown in full may have left the screen. */
void hf_unexplained_print_names(const json_t *diff, FILE *out);

/** May it be signed? HF_E_LIMIT for more than a person reads with care; HF_E_MEMORY for NULL. */
HF_MUST_USE enum hf_err hf_unexplained_check(const json_t *diff, struct hf_why *why);

#endif
