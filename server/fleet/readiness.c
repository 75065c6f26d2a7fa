#include "server/fleet/readiness.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *advice;
} verdicts[] = {
    [HF_READINESS_NO_SUCCESSOR] =
        {"no-successor",
         "Publish a version with a root that lasts longer (`holdfastctl bundle add`); "
         "`holdfastctl plan` says by when."},
    [HF_READINESS_NO_PACE] = {"no-pace", "Find the devices that do not take it up (`holdfast-admin "
                                         "device list --set --version`), and ask why for one "
                                         "of them (`holdfast-admin device explain`)."},
    [HF_READINESS_LATE] = {"late", "Find the devices that are behind (`holdfast-admin device list "
                                   "--set --version`), and ask why for one of them "
                                   "(`holdfast-admin device explain`)."},
    [HF_READINESS_IN_TIME] = {"in-time", ""},
    [HF_READINESS_READY] = {"ready", ""},
};

const char *hf_readiness_verdict_name(enum hf_readiness_verdict verdict)
{
    return verdicts[verdict].name;
}

const char *hf_readiness_advice(enum hf_readiness_verdict verdict)
{
    return verdicts[verdict].advice;
}

/* ---- counting -------------------------------------------------------------------------------- */

/* A version in a census, beside what is published. */
struct held {
    const struct hf_published_bundle *newest; /* of its set and profile; NULL: none is published */
    const struct hf_published_bundle *bundle; /* itself; NULL: it is not published */
    int64_t devices;
};

struct day {
    int64_t counted_s;
    struct held *held;
    size_t n;
};

/* The last one is now. */
struct days {
    struct day days[HF_FLEET_CENSUS_DAYS];
    size_t n;
    struct held *all; /* owned */
};

static enum hf_err match(const struct hf_published *published, const struct hf_census_days *from,
                         struct days *out, struct hf_why *why)
{
    size_t n = 0, at = 0;

    for (size_t i = 0; i < from->n; i++)
        n += from->days[i].n_versions;
    *out = (struct days){.n = from->n, .all = calloc(n + 1, sizeof *out->all)};
    if (out->all == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for a forecast");
    for (size_t i = 0; i < from->n; i++) {
        const struct hf_census *census = &from->days[i];
        out->days[i] = (struct day){census->counted_s, &out->all[at], census->n_versions};
        for (size_t k = 0; k < census->n_versions; k++) {
            const struct hf_census_version *v = &census->versions[k];
            out->all[at++] = (struct held){hf_published_find(published, v->set, v->profile),
                                           hf_published_find_version(published, v->set, v->profile,
                                                                     v->version),
                                           v->devices};
        }
    }
    return HF_OK;
}

/* Devices of the anchor's set and profile on one day, by whether their version has a successor of
 * it. */
struct share {
    int64_t holding, lacking;
};

static struct share share_of(const struct day *day, const struct hf_readiness *r)
{
    struct share share = {0, 0};

    for (size_t i = 0; i < day->n; i++) {
        const struct held *held = &day->held[i];
        if (held->newest != r->newest)
            continue;
        bool is_holding = held->bundle != NULL &&
                          hf_published_has_successor(held->bundle, r->anchor);
        *(is_holding ? &share.holding : &share.lacking) += held->devices;
    }
    return share;
}

/* When no device lacks a successor any more: a line from the oldest census, or from the last one in
 * which no device held one, to the newest. Two censuses within a day say too little. 0: no
 * forecast. */
static int64_t forecast(const struct days *days, const struct hf_readiness *r)
{
    const struct day *now = &days->days[days->n - 1], *then = now;
    int64_t held_then = r->holding;

    for (size_t i = days->n - 1; i > 0 && held_then > 0; i--) {
        then = &days->days[i - 1];
        held_then = share_of(then, r).holding;
    }
    const int64_t gained = r->holding - held_then,
                  hours = (now->counted_s - then->counted_s) / 3600;
    if (gained <= 0 || hours < 24)
        return 0;
    const int64_t days_left = (r->lacking * hours / gained + 23) / 24;
    return now->counted_s + days_left * HF_DAY_S;
}

static enum hf_readiness_verdict judge(const struct hf_readiness *r)
{
    const int64_t end_s = r->anchor->end.end_s;

    if (r->lacking == 0)
        return HF_READINESS_READY;
    if (!hf_published_has_successor(r->newest, r->anchor))
        return HF_READINESS_NO_SUCCESSOR;
    if (r->ready_s == 0)
        return HF_READINESS_NO_PACE;
    return r->ready_s <= end_s ? HF_READINESS_IN_TIME : HF_READINESS_LATE;
}

/* ---- which anchors --------------------------------------------------------------------------- */

/* An anchor as one bundle has it. */
struct listed {
    const struct hf_published_bundle *newest; /* of the bundle's set and profile */
    const struct hf_published_anchor *anchor;
    size_t bundle; /* a lower number: another set or profile, or a newer version */
    bool is_held;
};

static bool is_held(const struct day *day, const struct hf_published_bundle *bundle)
{
    for (size_t i = 0; i < day->n; i++)
        if (day->held[i].bundle == bundle)
            return true;
    return false;
}

static bool is_same(const struct listed *a, const struct listed *b)
{
    return a->newest == b->newest &&
           memcmp(a->anchor->sha256, b->anchor->sha256, HF_SHA256_LEN) == 0;
}

/* The same anchor in the versions of a set and profile stands together, the newest version
 * first. */
static int compare_listed(const void *left, const void *right)
{
    const struct listed *a = left, *b = right;
    if (a->newest != b->newest)
        return a->newest < b->newest ? -1 : 1;
    int order = memcmp(a->anchor->sha256, b->anchor->sha256, HF_SHA256_LEN);
    return order != 0 ? order : (a->bundle > b->bundle) - (a->bundle < b->bundle);
}

static size_t list_anchors(const struct hf_published *published, const struct day *now,
                           struct listed *out)
{
    const struct hf_published_bundle *newest = NULL;
    size_t n = 0;

    for (size_t i = 0; i < published->n; i++) {
        const struct hf_published_bundle *bundle = &published->bundles[i];
        if (bundle->is_newest)
            newest = bundle;
        bool held = is_held(now, bundle);
        for (size_t k = 0; k < bundle->n_anchors; k++)
            out[n++] = (struct listed){newest, &bundle->anchors[k], i, held};
    }
    qsort(out, n, sizeof *out, compare_listed);
    return n;
}

/* One entry for each anchor that is in a version that devices hold, with the dates of the newest
 * version that has it. */
static size_t join(const struct listed *listed, size_t n, struct hf_readiness *out)
{
    size_t found = 0;

    for (size_t i = 0, next = 0; i < n; i = next) {
        bool held = false;
        for (next = i; next < n && is_same(&listed[i], &listed[next]); next++)
            held |= listed[next].is_held;
        if (held)
            out[found++] = (struct hf_readiness){.newest = listed[i].newest,
                                                 .anchor = listed[i].anchor};
    }
    return found;
}

static int compare_end(const void *left, const void *right)
{
    const int64_t a = ((const struct hf_readiness *)left)->anchor->end.end_s;
    const int64_t b = ((const struct hf_readiness *)right)->anchor->end.end_s;

    return (a > b) - (a < b);
}

static void measure(const struct days *days, struct hf_readiness *r)
{
    const struct share share = share_of(&days->days[days->n - 1], r);

    r->holding = share.holding;
    r->lacking = share.lacking;
    r->ready_s = forecast(days, r);
    r->verdict = judge(r);
}

enum hf_err hf_readiness_of(const struct hf_published *published, const struct hf_census_days *from,
                            struct hf_readiness **out, size_t *n, struct hf_why *why)
{
    struct days days = {.n = 0};
    size_t room = 1, found = 0;

    for (size_t i = 0; i < published->n; i++)
        room += published->bundles[i].n_anchors;
    struct listed *listed = calloc(room, sizeof *listed);
    struct hf_readiness *list = calloc(room, sizeof *list);
    enum hf_err err = match(published, from, &days, why);
    if (err == HF_OK && (listed == NULL || list == NULL))
        err = hf_fail(why, HF_E_MEMORY, "no memory for a forecast");
    if (err != HF_OK)
        goto out;
    if (days.n > 0)
        found = join(listed, list_anchors(published, &days.days[days.n - 1], listed), list);
    qsort(list, found, sizeof *list, compare_end);
    found = found < HF_READINESS_LISTED_MAX ? found : HF_READINESS_LISTED_MAX;
    for (size_t i = 0; i < found; i++)
        measure(&days, &list[i]);
    *n = found;
    *out = list;
    list = NULL;
out:
    free(list);
    free(listed);
    free(days.all);
    return err;
}

/* ---- in words -------------------------------------------------------------------------------- */

/* Two digits of a large number: a finding whose sentence changes is delivered again, and not for
 * each device. */
struct count {
    char text[32];
};

static struct count about(int64_t n)
{
    struct count count;
    int64_t unit = 1;

    while (n / unit >= 100)
        unit *= 10;
    (void)snprintf(count.text, sizeof count.text, "%s%" PRId64, n % unit != 0 ? "about " : "",
                   n / unit * unit);
    return count;
}

void hf_readiness_text(const struct hf_readiness *r, char out[HF_READINESS_TEXT_MAX])
{
    const int64_t all = r->holding + r->lacking;
    char ends[HF_ANCHOR_END_TEXT_MAX], day[HF_TIME_TEXT_MAX], who[128];

    hf_anchor_end_text(r->anchor->end, ends);
    hf_time_format_day(r->ready_s, day);
    (void)snprintf(who, sizeof who, "%s of %s devices hold no successor", about(r->lacking).text,
                   about(all).text);
    switch (r->verdict) {
    case HF_READINESS_READY:
        (void)snprintf(out, HF_READINESS_TEXT_MAX,
                       "ready: all devices (%s) hold a successor; it %s", about(all).text, ends);
        return;
    case HF_READINESS_IN_TIME:
        (void)snprintf(out, HF_READINESS_TEXT_MAX, "will be ready on %s; it %s; now %s", day, ends,
                       who);
        return;
    case HF_READINESS_LATE:
        (void)
            snprintf(out, HF_READINESS_TEXT_MAX,
                     "not ready in time: it %s, and %s; at the pace of the last days all hold one "
                     "in %.7s",
                     ends, who, day);
        return;
    case HF_READINESS_NO_PACE:
        (void)snprintf(out, HF_READINESS_TEXT_MAX,
                       "no forecast: it %s, and %s; none has taken one up in the last %d days",
                       ends, who, HF_FLEET_CENSUS_DAYS - 1);
        return;
    case HF_READINESS_NO_SUCCESSOR:
        (void)snprintf(out, HF_READINESS_TEXT_MAX,
                       "no successor is published: version %" PRId64 " has none; it %s",
                       r->newest->description.version, ends);
        return;
    }
}
