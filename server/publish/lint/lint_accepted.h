/*
 * What a publisher accepted, signed with a version (`accepted` and `accepted_at` in custom.holdfast),
 * and how far that goes. An acceptance is of what was found on that day and not of a code for ever: a
 * root that expires later is news, although the code of another one's end was accepted.
 */
#ifndef HF_PUBLISH_LINT_ACCEPTED_H
#define HF_PUBLISH_LINT_ACCEPTED_H

#include "server/publish/lint/lint.h"

/** Borrowed from the target. */
struct hf_accepted {
    const json_t *codes; /* as signed: whatever it is; NULL: nothing was accepted */
    int64_t at_s;        /* HF_TIME_NONE: no day that can be read */
};

struct hf_accepted hf_accepted_of(const struct hf_target *target);

/** List the codes of what `f` has accepted, each once, and the day, in `custom`. False when memory ran
 *  out. */
bool hf_accepted_sign(json_t *custom, const struct hf_findings *f, int64_t now_s);

/**
 * Mark those findings, from `n_before` on, whose code was accepted and which `lint`, with its tables
 * and its lead time, would have found on that day too. What is about endpoints or devices is never
 * marked: those of today may be others. HF_E_MEMORY. No I/O.
 */
HF_MUST_USE enum hf_err hf_accepted_hold(const struct hf_accepted *accepted,
                                         const struct hf_lint *lint,
                                         const struct hf_lint_line *line, struct hf_findings *f,
                                         size_t n_before, struct hf_why *why);

#endif
