/* What is judged of the service itself. */
#include "common/base/timetext.h"
#include "server/findings/check.h"

#include <stdio.h>

/* One finding: of the role of offline keys if it is due, since a person has to act; otherwise of
 * the first one. */
enum hf_err hf_judge_metadata_ending(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                     struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const struct hf_metadata_ends *ends = &ctx->metadata;
    bool is_offline = ends->offline_s - ctx->now_s <= ctx->settings->metadata_ending_s;
    const char *role = is_offline ? ends->offline_role : ends->first_role;
    int64_t ends_s = is_offline ? ends->offline_s : ends->first_s;
    char when[HF_TIME_TEXT_MAX];
    (void)rows;
    (void)why;
    if (!is_offline && ends_s - ctx->now_s > ctx->settings->online_metadata_ending_s)
        return HF_OK;
    hf_time_format(ends_s, when);
    (void)snprintf(out->subject, sizeof out->subject, "metadata");
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "the role %s of the metadata %s at %s; then devices refuse the repository", role,
                   ends_s < ctx->now_s ? "has expired" : "expires", when);
    *is_found = true;
    return HF_OK;
}
