/* What `holdfastctl check` found, for people and for scripts. */
#ifndef HF_PUBLISH_CHECK_REPORT_H
#define HF_PUBLISH_CHECK_REPORT_H

#include "common/tuf/trusted_set.h"
#include "server/repository/repo_verify.h"

#include <stdio.h>

struct hf_check {
    const char *repo_dir;
    int64_t at_s;
    bool is_loaded; /* metadata and bundles verify, their dates aside */
    struct hf_trusted_set set;
    struct hf_repo_bundles bundles;
    bool is_updatable;
    struct hf_why reason; /* why not */
};

HF_MUST_USE enum hf_err hf_check_print(const struct hf_check *check, FILE *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_check_print_json(const struct hf_check *check, FILE *out,
                                            struct hf_why *why);

/** The envelope of a loaded top-level role. */
const struct hf_envelope *hf_check_envelope(const struct hf_check *check, enum hf_top_role role);

/** Whole days from `from_s` to `to_s`, negative when that is past. */
int64_t hf_days_between(int64_t from_s, int64_t to_s);

/** "usable", "expired", "not yet valid", "removed". */
const char *hf_anchor_state_text(const struct hf_anchor *anchor, int64_t now_s);

#endif
