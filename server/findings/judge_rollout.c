/* What is judged of rollouts: those that wait for a person. */
#include "common/base/timetext.h"
#include "server/findings/check.h"

#include <inttypes.h>
#include <stdio.h>

enum { SET = 1, PROFILE, VERSION, STALLED };

/* The newest bundle of its kind that the row is about, and its name for the finding; NULL: it is
 * not published any more, or a higher version takes its place. */
static const struct hf_published_bundle *begin(const struct hf_check_ctx *ctx,
                                               const struct hf_rows *rows, struct hf_found *out)
{
    const struct hf_published_bundle *bundle = hf_published_find_version(ctx->published,
                                                                         hf_col_text(rows, SET),
                                                                         hf_col_text(rows, PROFILE),
                                                                         hf_col_int(rows, VERSION));

    if (bundle == NULL || !bundle->is_newest || bundle->description.plan == NULL ||
        !bundle->rollout.is_signed)
        return NULL;
    (void)snprintf(out->subject, sizeof out->subject, "%s/%s/%" PRId64, bundle->description.set,
                   bundle->description.profile, bundle->description.version);
    return bundle;
}

/* Until when a person can still stop it: a date, since a sentence that changes is delivered
 * again. */
static void append_mandatory(const struct hf_check_ctx *ctx,
                             const struct hf_published_bundle *bundle, int at, struct hf_found *out)
{
    const int64_t from_s = bundle->description.plan->mandatory_from_s;
    char from[HF_TIME_TEXT_MAX];

    if (at < 0 || (size_t)at >= sizeof out->sentence)
        return;
    hf_time_format(from_s, from);
    (void)snprintf(out->sentence + at, sizeof out->sentence - (size_t)at,
                   from_s > ctx->now_s ? ". From %s on every device installs it"
                                       : ". Since %s every device installs it all the same",
                   from);
}

enum hf_err hf_judge_rollout_paused(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                    struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const struct hf_published_bundle *bundle = begin(ctx, rows, out);
    char since[HF_TIME_TEXT_MAX];
    (void)why;

    if (bundle == NULL || bundle->rollout.now.state != HF_ROLLOUT_PAUSED)
        return HF_OK;
    const struct hf_rollout_activation *now = &bundle->rollout.now;
    hf_time_format(now->since_s, since);
    int len = snprintf(out->sentence, sizeof out->sentence,
                       "the rollout of %s is paused at stage %" PRId64 " of %zu since %s: %s",
                       out->subject, now->stage + 1, bundle->description.plan->n_stages, since,
                       now->reason[0] != '\0' ? now->reason : "no reason is given");
    append_mandatory(ctx, bundle, len, out);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_rollout_stalled(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                     struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const struct hf_published_bundle *bundle = begin(ctx, rows, out);
    const int64_t stalled_s = hf_col_int_or(rows, STALLED, 0);
    char since[HF_TIME_TEXT_MAX];
    (void)why;

    if (bundle == NULL || stalled_s == 0 || bundle->rollout.now.state != HF_ROLLOUT_OPEN)
        return HF_OK;
    const struct hf_rollout_activation *now = &bundle->rollout.now;
    hf_time_format(now->since_s, since);
    int len = snprintf(out->sentence, sizeof out->sentence,
                       "the rollout of %s is at stage %" PRId64 " of %zu since %s, and waits for "
                       "results that do not come",
                       out->subject, now->stage + 1, bundle->description.plan->n_stages, since);
    append_mandatory(ctx, bundle, len, out);
    *is_found = true;
    return HF_OK;
}
