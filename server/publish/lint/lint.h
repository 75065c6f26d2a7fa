/*
 * What a publisher should know before devices do: one file per kind of mistake. `bundle add` asks
 * the same questions of what it is about to sign. LINT.md lists the codes.
 *
 * No I/O but where a function says so; a check adds to `out` and fails only for want of memory.
 */
#ifndef HF_PUBLISH_LINT_H
#define HF_PUBLISH_LINT_H

#include "common/tuf/trusted_set.h"
#include "server/repository/certs/known_roots.h"
#include "server/repository/certs/select.h"
#include "server/repository/base/findings.h"
#include "server/publish/lint/lint_device.h"
#include "server/publish/lint/lint_endpoints.h"
#include "server/repository/repo_verify.h"

/** What every bundle is checked with. Borrowed. */
struct hf_lint {
    int64_t at_s;
    bool is_later_day; /* at_s has not come yet: what servers send now is renewed by then */
    int64_t lead_s;    /* until the last device has what is published now */
    const struct hf_known_roots *known;
    const struct hf_lint_device *device;       /* NULL: one that can do everything */
    const struct hf_lint_endpoints *endpoints; /* NULL or empty: none are known */
};

/** One version of one set and profile. Borrowed. */
struct hf_lint_line {
    const char *where; /* "amazon-iot/full 3", for people */
    const struct hf_bundle *bundle;
    const struct hf_description *description;
    const struct hf_bundle *before; /* the version before; NULL for a first one */
    const struct hf_bundle *full;   /* of the same set, for its rsa and ecc; NULL without */
};

/** All checks of a bundle: each of the functions below, and its change against the version
 *  before. */
HF_MUST_USE enum hf_err hf_lint_line(const struct hf_lint *lint, const struct hf_lint_line *line,
                                     struct hf_findings *out, struct hf_why *why);

/** Against the version before. */
HF_MUST_USE enum hf_err hf_lint_change(const struct hf_lint *lint, const struct hf_lint_line *line,
                                       struct hf_findings *out, struct hf_why *why);
/** Each anchor by itself, and whether any is left after the lead time. */
HF_MUST_USE enum hf_err hf_lint_dates(const struct hf_lint *lint, const struct hf_lint_line *line,
                                      struct hf_findings *out, struct hf_why *why);
/** What is in it at all: one root only, intermediates, known ones left out, behind its full. */
HF_MUST_USE enum hf_err hf_lint_content(const struct hf_lint *lint, const struct hf_lint_line *line,
                                        struct hf_findings *out, struct hf_why *why);
/** The plan of its rollout: what becomes of devices that wait. */
HF_MUST_USE enum hf_err hf_lint_rollout(const struct hf_lint *lint, const struct hf_lint_line *line,
                                        struct hf_findings *out, struct hf_why *why);
/** The chains of known endpoints against the anchors. */
HF_MUST_USE enum hf_err hf_lint_reach(const struct hf_lint *lint, const struct hf_lint_line *line,
                                      struct hf_findings *out, struct hf_why *why);
/** What the device's TLS library lacks for them. */
HF_MUST_USE enum hf_err hf_lint_algorithms(const struct hf_lint *lint,
                                           const struct hf_lint_line *line, struct hf_findings *out,
                                           struct hf_why *why);

/** Tables of known roots that are older than half a year at `now_s`, the publisher's clock. */
HF_MUST_USE enum hf_err hf_lint_tables(const struct hf_known_roots *known, int64_t now_s,
                                       struct hf_findings *out, struct hf_why *why);

/** Metadata that ends before `next_ceremony_s`; HF_TIME_NONE: a year after the last one. */
HF_MUST_USE enum hf_err hf_lint_metadata(const struct hf_lint *lint,
                                         const struct hf_trusted_set *set,
                                         const struct hf_targets *targets, int64_t next_ceremony_s,
                                         struct hf_findings *out, struct hf_why *why);

/** Certificates in files (or folders) that may become a bundle: every fault of every one, also a
 *  root that is unknown to `by` (NULL: not judged). A certificate without other faults is appended
 *  to `pem`. I/O: reads them. HF_E_NOT_FOUND for a folder without certificates. */
HF_MUST_USE enum hf_err hf_lint_files(const char *const *paths, const struct hf_vouching *by,
                                      struct hf_findings *out, struct hf_buf *pem,
                                      struct hf_why *why);

/*
 * What a publisher accepted, signed with a version (`accepted` and `accepted_at` in
 * custom.holdfast), and how far that goes. An acceptance covers what was found on that day, not a
 * code for ever: a root that expires later is news, although the code of another one's end was
 * accepted.
 */

/** Borrowed from the target. */
struct hf_accepted {
    const json_t *codes; /* as signed: whatever it is; NULL: nothing was accepted */
    int64_t at_s;        /* HF_TIME_NONE: no day that can be read */
};

struct hf_accepted hf_accepted_of(const struct hf_target *target);

/** List the codes of what `f` has accepted, each once, and the day, in `custom`. False when memory
 *  ran out. */
bool hf_accepted_sign(json_t *custom, const struct hf_findings *f, int64_t now_s);

/**
 * Mark those findings, from `n_before` on, whose code was accepted and which `lint`, with its
 * tables and its lead time, would have found on that day too. What is about endpoints or devices is
 * never marked: those of today may be others. HF_E_MEMORY. No I/O.
 */
HF_MUST_USE enum hf_err hf_accepted_hold(const struct hf_accepted *accepted,
                                         const struct hf_lint *lint,
                                         const struct hf_lint_line *line, struct hf_findings *f,
                                         size_t n_before, struct hf_why *why);

#endif
