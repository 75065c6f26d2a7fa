/*
 * What will go wrong with the device's roots if nobody acts: what the status warns of 730, 365, 180, 90
 * and 30 days ahead.
 */
#include "client/core/reliance.h"

#include "common/base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int thresholds_days[] = {30, 90, 180, 365, 730};
#define N_THRESHOLDS (sizeof thresholds_days / sizeof thresholds_days[0])

/* What the warnings are made from and where they go. */
struct outlook {
    const struct hf_bundle *bundle;
    const struct hf_reliances *reliances;
    int64_t now_s;
    struct hf_warning *warnings; /* owned; room for all there can be */
    size_t n;
};

/* What happens to one anchor; `at_s` is the last second before. */
struct event {
    const struct hf_anchor *anchor;
    enum hf_end end;
    int64_t at_s;
    int threshold_days; /* 0: it has happened */
};

static const char *kind_of(enum hf_end end)
{
    switch (end) {
    case HF_END_MISSING:
        return "lost";
    case HF_END_EXPIRY:
        return "expiry";
    case HF_END_DISTRUST:
        return "distrust";
    case HF_END_REMOVAL:
        return "removal";
    }
    return "lost";
}

static int64_t days_until(int64_t now_s, int64_t at_s)
{
    int64_t left_s = at_s - now_s;
    return left_s / HF_DAY_S - (left_s % HF_DAY_S < 0);
}

/* The lowest threshold that has been reached; -1 for none. */
static int threshold_of(int64_t now_s, int64_t at_s)
{
    if (at_s < now_s)
        return 0;
    for (size_t i = 0; i < N_THRESHOLDS; i++) {
        if (at_s - now_s <= thresholds_days[i] * HF_DAY_S)
            return thresholds_days[i];
    }
    return -1;
}

/* ---- who depends on it ----------------------------------------------------------------------------- */

/* The first one that would have nothing else to stand on; NULL for none. `*has_users`: does any rely on
 * it at all? */
static const struct hf_reliance *find_dependent(const struct outlook *o, const struct event *e,
                                                bool *has_users)
{
    *has_users = false;
    for (size_t i = 0; i < o->reliances->n; i++) {
        const struct hf_reliance *r = &o->reliances->items[i];
        if (!hf_reliance_has(r, e->anchor))
            continue;
        *has_users = true;
        if (hf_reliance_at(r, o->bundle, e->anchor, o->now_s, e->at_s + 1) != HF_HOLD_SURE)
            return r;
    }
    return NULL;
}

/* ---- in words ------------------------------------------------------------------------------------------ */

static void tell_event(const struct outlook *o, const struct event *e, char *out, size_t cap)
{
    static const char *const will[] = {
        [HF_END_EXPIRY] = "expires on",
        [HF_END_DISTRUST] = "is distrusted for certificates issued after",
        [HF_END_REMOVAL] = "is to be removed after",
    };
    int64_t days = days_until(o->now_s, e->at_s);
    char day[HF_TIME_TEXT_MAX], in[32];

    if (e->end == HF_END_EXPIRY)
        hf_time_format_day(e->at_s, day);
    else
        hf_time_format_last(e->at_s, day);
    if (days < 0)
        (void)snprintf(in, sizeof in, "which has passed");
    else
        (void)snprintf(in, sizeof in, "in %" PRId64 " day%s", days, days == 1 ? "" : "s");
    (void)snprintf(out, cap, "\"%s\" %s %s, %s", e->anchor->cert.subject, will[e->end], day, in);
}

static void tell_dependent(const struct hf_warning *w, const struct event *e, char *out, size_t cap)
{
    static const char *const then[] = {
        [HF_END_EXPIRY] = "cannot be reached then",
        [HF_END_DISTRUST] = "cannot be reached then with a newer certificate",
        [HF_END_REMOVAL] = "cannot be reached then",
    };

    if (w->endpoint[0] == '\0')
        (void)
            snprintf(out, cap,
                     "no endpoint was seen that could show whether it is needed; publish a bundle "
                     "with its successor");
    else
        (void)snprintf(out, cap,
                       "%s has no other root in this bundle and %s; publish a bundle with its "
                       "successor",
                       w->endpoint, then[e->end]);
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

static struct hf_warning *add(struct outlook *o, enum hf_end end, int64_t at_s, int threshold_days)
{
    struct hf_warning *w = &o->warnings[o->n++];
    *w = (struct hf_warning){.kind = kind_of(end),
                             .at_s = at_s,
                             .threshold_days = threshold_days,
                             .days_left = days_until(o->now_s, at_s)};
    return w;
}

static void add_event(struct outlook *o, const struct event *e)
{
    char what[HF_DN_TEXT_MAX + 96], who[464];
    bool has_users = false;
    const struct hf_reliance *r = find_dependent(o, e, &has_users);

    if (!has_users)
        return;
    struct hf_warning *w = add(o, e->end, e->at_s, e->threshold_days);
    w->is_note = r == NULL;
    (void)snprintf(w->subject, sizeof w->subject, "%s", e->anchor->cert.subject);
    hf_hex_encode(e->anchor->cert.sha256, HF_SHA256_LEN, w->sha256);
    if (r != NULL && r->endpoint != NULL)
        hf_reliance_text(r, o->bundle, w->endpoint, sizeof w->endpoint);
    tell_event(o, e, what, sizeof what);
    if (w->is_note)
        (void)snprintf(who, sizeof who, "nothing is lost by it: another root serves");
    else
        tell_dependent(w, e, who, sizeof who);
    (void)snprintf(w->text, sizeof w->text, "%s: %s", what, who);
}

/* Expiry or removal, whichever comes first. An anchor that has gone is no news. */
static void look_at_end(struct outlook *o, const struct hf_anchor *anchor)
{
    struct event e = {.anchor = anchor, .end = HF_END_EXPIRY, .at_s = anchor->cert.not_after_s};

    if (anchor->remove_after_s >= o->now_s && anchor->remove_after_s < e.at_s) {
        e.end = HF_END_REMOVAL;
        e.at_s = anchor->remove_after_s;
    }
    e.threshold_days = threshold_of(o->now_s, e.at_s);
    if (e.threshold_days > 0)
        add_event(o, &e);
}

static void look_at_distrust(struct outlook *o, const struct hf_anchor *anchor)
{
    struct event e = {.anchor = anchor,
                      .end = HF_END_DISTRUST,
                      .at_s = anchor->distrust_after_s,
                      .threshold_days = threshold_of(o->now_s, anchor->distrust_after_s)};

    if (e.at_s != HF_TIME_NONE && e.threshold_days >= 0 && anchor->cert.not_after_s >= o->now_s)
        add_event(o, &e);
}

static void look_at_endpoint(struct outlook *o, const struct hf_reliance *r)
{
    if (r->endpoint == NULL ||
        hf_reliance_at(r, o->bundle, NULL, o->now_s, o->now_s) != HF_HOLD_BROKEN)
        return;
    bool is_noted = r->loss != NULL && r->loss->since_s != HF_TIME_NONE;
    struct hf_warning *w = add(o, HF_END_MISSING, is_noted ? r->loss->since_s : o->now_s, 0);
    char day[HF_TIME_TEXT_MAX], how[HF_DN_TEXT_MAX + 96];

    hf_reliance_text(r, o->bundle, w->endpoint, sizeof w->endpoint);
    if (!is_noted) {
        (void)snprintf(w->text, sizeof w->text,
                       "%s is lost: none of the roots that its chain leads to is trusted now; "
                       "publish a bundle with one of them, or move the endpoint to another CA",
                       w->endpoint);
        return;
    }
    (void)snprintf(w->subject, sizeof w->subject, "%s", r->loss->root);
    hf_time_format(r->loss->since_s, day);
    hf_loss_text(r->loss, how, sizeof how);
    (void)snprintf(w->text, sizeof w->text,
                   "%s is lost since %s: %s; publish a bundle with a root that it leads to, or "
                   "move the endpoint to another CA",
                   w->endpoint, day, how);
}

static int compare(const void *a, const void *b)
{
    const struct hf_warning *x = a, *y = b;
    if (x->is_note != y->is_note)
        return x->is_note ? 1 : -1;
    return (x->at_s > y->at_s) - (x->at_s < y->at_s);
}

enum hf_err hf_warnings_make(const struct hf_bundle *bundle, const struct hf_reliances *reliances,
                             int64_t now_s, struct hf_warning **out, size_t *n_out,
                             struct hf_why *why)
{
    size_t most = 2 * bundle->n_anchors + reliances->n;
    struct outlook o = {.bundle = bundle, .reliances = reliances, .now_s = now_s};

    o.warnings = calloc(most + 1, sizeof *o.warnings);
    if (o.warnings == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the warnings about %zu trust anchors",
                       bundle->n_anchors);
    for (size_t i = 0; i < reliances->n; i++)
        look_at_endpoint(&o, &reliances->items[i]);
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        look_at_end(&o, &bundle->anchors[i]);
        look_at_distrust(&o, &bundle->anchors[i]);
    }
    qsort(o.warnings, o.n, sizeof *o.warnings, compare);
    *out = o.warnings;
    *n_out = o.n;
    return HF_OK;
}
