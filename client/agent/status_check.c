/* holdfast status --check: is this device well? One line for a monitoring system, and its exit code. */
#include "client/agent/status.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define WARN_DAYS 90            /* a successor must be published and installed by then */
#define SILENT_S (2 * HF_DAY_S) /* checks are at most 30 hours apart */

struct health {
    FILE *out;
    enum hf_health level;
    size_t n;
};

/* The worst level counts; every problem is printed. */
static void tell(struct health *h, enum hf_health level, const char *fmt, ...) HF_PRINTF(3, 4);
static void tell(struct health *h, enum hf_health level, const char *fmt, ...)
{
    va_list args;

    if (level > h->level)
        h->level = level;
    if (h->out == NULL)
        return;
    fputs(h->n++ > 0 ? "; " : "", h->out);
    va_start(args, fmt);
    vfprintf(h->out, fmt, args);
    va_end(args);
}

static void check_roots(struct health *h, const struct hf_status *s)
{
    int64_t last_s = INT64_MIN;
    bool has_usable = false;

    for (size_t i = 0; i < s->active.n_anchors; i++) {
        const struct hf_anchor_status *root = &s->active.anchors[i];
        if (strcmp(root->state, "usable") != 0)
            continue;
        int64_t end_s = root->not_after_s;
        if (root->remove_after_s != HF_TIME_NONE && root->remove_after_s < end_s)
            end_s = root->remove_after_s;
        has_usable = true;
        last_s = end_s > last_s ? end_s : last_s;
    }
    if (!s->active.is_present)
        tell(h, HF_HEALTH_CRITICAL, "no bundle is installed");
    else if (!has_usable)
        tell(h, HF_HEALTH_CRITICAL, "no root of the active bundle is valid");
    else if ((last_s - s->now_s) / HF_DAY_S <= WARN_DAYS)
        tell(h, HF_HEALTH_WARNING, "the last valid root ends in %" PRId64 " days",
             (last_s - s->now_s) / HF_DAY_S);
}

static void check_endpoints(struct health *h, const struct hf_status *s)
{
    for (size_t i = 0; i < s->n_warnings; i++) {
        const struct hf_warning *w = &s->warnings[i];
        if (w->is_note || w->endpoint[0] == '\0' || w->days_left > WARN_DAYS)
            continue;
        tell(h, strcmp(w->kind, "lost") == 0 ? HF_HEALTH_CRITICAL : HF_HEALTH_WARNING, "%s",
             w->text);
    }
}

static void check_checks(struct health *h, const struct hf_status *s)
{
    bool was_ok = strcmp(s->last_outcome, hf_err_name(HF_OK)) == 0 ||
                  strcmp(s->last_outcome, hf_err_name(HF_E_POSTPONED)) == 0;

    if (s->last_check_s == HF_TIME_NONE)
        tell(h, HF_HEALTH_WARNING, "it has never checked for an update");
    else if (!was_ok)
        tell(h, HF_HEALTH_WARNING, "the last check failed: %s", s->last_text);
    else if (s->now_s - s->last_check_s > SILENT_S)
        tell(h, HF_HEALTH_WARNING,
             "the last check was %" PRId64 " days ago; is holdfast run running?",
             (s->now_s - s->last_check_s) / HF_DAY_S);
    if (s->timestamp.version != 0 && s->timestamp.expires_s <= s->now_s)
        tell(h, HF_HEALTH_CRITICAL, "the newest metadata that it has seen has expired");
    if (s->failed_validations > 0)
        tell(h, HF_HEALTH_WARNING,
             "no update server had a valid chain in the last %" PRId64 " checks",
             s->failed_validations);
}

static void check_all(struct health *h, const struct hf_status_view *view)
{
    check_roots(h, &view->status);
    check_endpoints(h, &view->status);
    if (view->not_writable.code != HF_OK)
        tell(h, HF_HEALTH_CRITICAL, "the state cannot be written: %s", view->not_writable.text);
    check_checks(h, &view->status);
    if (view->not_told.code != HF_OK)
        tell(h, HF_HEALTH_WARNING, "%s", view->not_told.text);
}

enum hf_health hf_status_check(FILE *out, const struct hf_status_view *view)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL"};
    struct health health = {0};

    check_all(&health, view);
    if (out == NULL)
        return health.level;
    fprintf(out, "%s: ", words[health.level]);
    struct health printed = {.out = out};
    check_all(&printed, view);
    if (printed.n == 0)
        fprintf(out, "%s/%s %" PRId64 " is active, the last check succeeded",
                view->config->client.set, view->config->client.profile,
                view->status.active.version);
    fputc('\n', out);
    return health.level;
}
