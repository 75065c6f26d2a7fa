/* What lint found: codes that stay the same for scripts, and sentences for people. */
#ifndef HF_REPOSITORY_FINDINGS_H
#define HF_REPOSITORY_FINDINGS_H

#include <holdfast/bytes.h>

#include <jansson.h>
#include <stdio.h>

/* LINT.md says of each what it finds and which outage it would have stopped. */
enum hf_lint_code {
    HF_LINT_BROKEN,
    HF_LINT_UNSUPPORTED,
    HF_LINT_NOT_A_CA,
    HF_LINT_INTERMEDIATE,
    HF_LINT_INTERMEDIATE_KEPT,
    HF_LINT_WEAK,
    HF_LINT_UNKNOWN_ROOT,
    HF_LINT_NEW_SET,
    HF_LINT_NOT_IN_DATE,
    HF_LINT_EXPIRED_LEFT_OUT,
    HF_LINT_NOT_SELECTED,
    HF_LINT_TABLES_OLD,
    HF_LINT_NAME_CONSTRAINTS,
    HF_LINT_NOT_FOR_SERVERS,
    HF_LINT_EXPIRES_SOON,
    HF_LINT_REMOVED_SOON,
    HF_LINT_DISTRUST_SOON,
    HF_LINT_SAME_KEY_WITHOUT_DATE,
    HF_LINT_NO_SUCCESSOR,
    HF_LINT_SINGLE_ANCHOR,
    HF_LINT_SHRINKS,
    HF_LINT_DROPS_UNKNOWN_KEY,
    HF_LINT_NO_OVERLAP,
    HF_LINT_ROLLOUT_LATE,
    HF_LINT_ROLLOUT_CUTS_OFF,
    HF_LINT_KNOWN_ROOT_MISSING,
    HF_LINT_PROFILE_BEHIND,
    HF_LINT_ENDPOINT_ANCHOR_MISSING,
    HF_LINT_ENDPOINT_REFUSED,
    HF_LINT_ENDPOINT_ANCHOR_ENDS,
    HF_LINT_ENDPOINT_UNCHECKED,
    HF_LINT_ENDPOINT_SILENT,
    HF_LINT_ENDPOINT_UNPROVED,
    HF_LINT_CHAIN_ENDS,
    HF_LINT_DEVICE_CHAIN_ENDS,
    HF_LINT_ALGORITHM_MISSING,
    HF_LINT_ANCHOR_UNUSABLE,
    HF_LINT_METADATA_EXPIRED,
    HF_LINT_METADATA_ENDS,
    HF_LINT_CODES
};

/** "no-overlap". */
const char *hf_lint_code_name(enum hf_lint_code code);
/** An error stops publishing, a warning does not. */
bool hf_lint_code_is_error(enum hf_lint_code code);

struct hf_finding {
    enum hf_lint_code code;
    bool is_accepted; /* an error that its publisher takes upon themself */
    char *where;      /* "amazon-iot/full 3", a file, "metadata"; owned */
    char *sentence;   /* owned */
};

struct hf_findings {
    struct hf_finding *items;
    size_t n_items;
};

HF_MUST_USE enum hf_err hf_findings_add(struct hf_findings *f, enum hf_lint_code code,
                                        const char *where, struct hf_why *why, const char *fmt, ...)
    HF_PRINTF(5, 6);
void hf_findings_free(struct hf_findings *f);

/** Mark the errors of these codes (names, NULL-terminated or NULL). HF_E_ARGUMENT for no code of an
 *  error, and for one that cannot be accepted. */
HF_MUST_USE enum hf_err hf_findings_accept(struct hf_findings *f, const char *const *names,
                                           struct hf_why *why);

/** How many errors are not accepted, and the first of them (NULL without one). */
size_t hf_findings_errors(const struct hf_findings *f, const struct hf_finding **first);

/** One line each: "error no-overlap (amazon-iot/full 3): …". */
void hf_findings_print(const struct hf_findings *f, int indent, FILE *out);
/** A new array; NULL when memory ran out. */
json_t *hf_findings_to_json(const struct hf_findings *f);

#endif
