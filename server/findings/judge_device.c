/* What is judged of a device, by what it has reported. A device that has never reported is not
 * judged: reports are off unless its owner turns them on. */
#include "common/base/timetext.h"
#include "server/findings/check.h"

#include <inttypes.h>
#include <stdio.h>
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
    PROFILE,
    ACTIVE_VERSION,
};

/* Of HF_CHECK_RESULTS, which begins as the others. */
enum {
    RESULT = KIND, /* of its newest report that is about an update */
    ACTIVE = VERSION + 1,
    REASON,
    ENDPOINT, /* from here on NULL: that report is not kept any more */
    ROOT,
    ROOT_NAME,
};

/* Its name for the finding; false for one that does not count: it has never reported, or is shut
 * out. */
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

/* What a device did that is still without the bundle; NULL: nothing that is a failure. */
static const char *failure_of(const struct hf_rows *rows)
{
    static const struct {
        const char *result, *what;
    } failures[] = {{"refused", "refused"},
                    {"rolled-back", "rolled back from"},
                    {"failed", "could not install"}};
    const char *result = hf_col_text(rows, RESULT);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (strcmp(failures[i].result, result) == 0)
            return hf_col_int(rows, ACTIVE) < hf_col_int(rows, VERSION) ? failures[i].what : NULL;
    return NULL;
}

/* What it would have lost, or the reason in the device's own words. */
static void describe_failure(const struct hf_rows *rows, char *out, size_t size)
{
    const char *endpoint = hf_col_text(rows, ENDPOINT), *reason = hf_col_text(rows, REASON);
    const char *root = hf_col_text(rows, ROOT);
    if (endpoint == NULL || endpoint[0] == '\0')
        (void)snprintf(out, size, "%s%.500s", reason[0] != '\0' ? ": " : "", reason);
    else if (root[0] == '\0')
        (void)snprintf(out, size, ": it would lose its endpoint %.272s", endpoint);
    else
        (void)snprintf(out, size, ": its endpoint %.272s needs the root \"%.256s\" (key %.64s)",
                       endpoint, hf_col_text(rows, ROOT_NAME), root);
}

enum hf_err hf_judge_device_update_failed(const struct hf_check_ctx *ctx,
                                          const struct hf_rows *rows, struct hf_found *out,
                                          bool *is_found, struct hf_why *why)
{
    const char *what = failure_of(rows);
    (void)ctx;
    (void)why;
    if (!begin(rows, out) || what == NULL)
        return HF_OK;
    int len = snprintf(out->sentence, sizeof out->sentence,
                       "the device \"%s\" %s version %" PRId64 " of \"%.64s\"", out->device, what,
                       hf_col_int(rows, VERSION), hf_col_text(rows, SET));
    describe_failure(rows, out->sentence + len, sizeof out->sentence - (size_t)len);
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

/* Since when a version newer than the device's is published; 0: none is. */
static int64_t behind_since(const struct hf_check_ctx *ctx,
                            const struct hf_published_bundle *newest, int64_t version)
{
    const struct hf_published *published = ctx->published;
    int64_t since_s = 0;

    for (size_t i = (size_t)(newest - published->bundles);
         i < published->n && hf_published_is_same_kind(newest, &published->bundles[i]) &&
         published->bundles[i].description.version > version;
         i++)
        if (since_s == 0 || ctx->since_s[i] < since_s)
            since_s = ctx->since_s[i];
    return since_s;
}

/* While it reports: otherwise it is DEVICE_SILENT. */
enum hf_err hf_judge_device_behind(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                                   struct hf_found *out, bool *is_found, struct hf_why *why)
{
    const char *set = hf_col_text(rows, SET), *profile = hf_col_text(rows, PROFILE);
    const int64_t version = hf_col_int(rows, ACTIVE_VERSION);
    const struct hf_published_bundle *newest = hf_published_find(ctx->published, set, profile);
    char when[HF_TIME_TEXT_MAX];
    (void)why;
    if (!begin(rows, out) || newest == NULL || version < 0 ||
        ctx->now_s - hf_col_int(rows, SEEN) >= ctx->settings->device_silent_s)
        return HF_OK;
    int64_t since_s = behind_since(ctx, newest, version);
    if (since_s == 0 || ctx->now_s - since_s < ctx->settings->device_behind_s)
        return HF_OK;
    hf_time_format(since_s, when);
    (void)snprintf(out->sentence, sizeof out->sentence,
                   "the device \"%s\" reports, and uses version %" PRId64
                   " of %s/%s; version %" PRId64 " is published, and a newer one than its own "
                   "since %s",
                   out->device, version, set, profile, newest->description.version, when);
    *is_found = true;
    return HF_OK;
}

/* Finds nothing, and counts the device. */
enum hf_err hf_judge_census(const struct hf_check_ctx *ctx, const struct hf_rows *rows,
                            struct hf_found *out, bool *is_found, struct hf_why *why)
{
    (void)out;
    (void)is_found;
    if (hf_col_int(rows, CREDENTIALS) == 0) {
        ctx->census->shut_out++;
        return HF_OK;
    }
    return hf_census_add(ctx->census, hf_col_text(rows, SET), hf_col_text(rows, PROFILE),
                         hf_col_int(rows, ACTIVE_VERSION), why);
}
