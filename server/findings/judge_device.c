/* What is judged of a device, by what it has reported. A device that has never reported is not judged: reports are
 * off unless its owner turns them on. */
#include "common/base/timetext.h"
#include "server/findings/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME = 1,
    CREDENTIALS, /* ACTIVE certificates and good report keys */
    SEEN,
    KIND, /* of the newest report */
    SET,
    VERSION, /* of the bundle that it is installing */
    CLOCK_OFFSET,
    CONFLICTS,
    CONFLICT,
};

/* Its name for the finding; false for one that does not count: it has never reported, or is shut out. */
static bool begin(const struct hf_rows *rows, struct hf_found *out)
{
    const char *name = hf_col_text(rows, NAME);
    (void)snprintf(out->subject, sizeof out->subject, "%s", name);
    (void)snprintf(out->device, sizeof out->device, "%s", name);
    return hf_col_int(rows, SEEN) > 0 && hf_col_int(rows, CREDENTIALS) > 0;
}

static bool is_installing(const struct hf_rows *rows)
{
    const char *kind = hf_col_text(rows, KIND);
    return strcmp(kind, "announce") == 0 || strcmp(kind, "swapped") == 0;
}

enum hf_err hf_judge_device_silent(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                   struct hf_found *out, bool *is_found, struct hf_why *why)
{
    int64_t seen_s = hf_col_int(rows, SEEN);
    char when[HF_TIME_TEXT_MAX];
    (void)why;
    if (!begin(rows, out) || is_installing(rows) ||
        ctx->now_s - seen_s < ctx->settings->device_silent_s)
        return HF_OK;
    hf_time_format(seen_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "the device \"%s\" has not reported since %s", out->device, when);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_device_silent_after_update(const struct hf_check_ctx *ctx,
                                                const struct hf_rows *rows, struct hf_found *out,
                                                bool *is_found, struct hf_why *why)
{
    int64_t seen_s = hf_col_int(rows, SEEN);
    char when[HF_TIME_TEXT_MAX];
    (void)why;
    if (!begin(rows, out) || !is_installing(rows) ||
        ctx->now_s - seen_s < ctx->settings->device_silent_after_update_s)
        return HF_OK;
    hf_time_format(seen_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "the device \"%s\" was installing version %" PRId64
                   " of \"%.128s\" at %s, and has not reported since",
                   out->device, hf_col_int(rows, VERSION), hf_col_text(rows, SET), when);
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_clock_wrong(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                 struct hf_found *out, bool *is_found, struct hf_why *why)
{
    int64_t offset_s = hf_col_int(rows, CLOCK_OFFSET);
    int64_t distance_s = offset_s < 0 ? -offset_s : offset_s;
    bool are_days = distance_s >= 2 * 86400;
    (void)why;
    if (!begin(rows, out) || distance_s < ctx->settings->clock_wrong_s)
        return HF_OK;
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "the clock of device \"%s\" is about %" PRId64 " %s %s", out->device,
                   distance_s / (are_days ? 86400 : 3600), are_days ? "days" : "hours",
                   offset_s < 0 ? "behind" : "ahead");
    *is_found = true;
    return HF_OK;
}

enum hf_err hf_judge_conflicting_ids(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                     struct hf_found *out, bool *is_found, struct hf_why *why)
{
    (void)why;
    if (!begin(rows, out) || hf_col_int(rows, CONFLICTS) == 0 ||
        ctx->now_s - hf_col_int(rows, CONFLICT) >= ctx->settings->conflict_s)
        return HF_OK;
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "two installations report as the device \"%s\": a copy of it is in use",
                   out->device);
    *is_found = true;
    return HF_OK;
}
