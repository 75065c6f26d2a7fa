/* A rollout plan in words: who gets the bundle when, and what stops it. */
#ifndef HF_PUBLISH_ROLLOUT_WORDS_H
#define HF_PUBLISH_ROLLOUT_WORDS_H

#include "common/rollout/plan.h"

#include <stdio.h>

/** Some lines, each behind `indent` spaces: dates, stages, thresholds and approvals. */
void hf_rollout_words_print(const struct hf_rollout_plan *plan, int indent, FILE *out);

#endif
