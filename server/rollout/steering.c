#include "server/rollout/steering_parts.h"

#include "common/os/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_rollout_steering_new(const struct hf_rollout_port *port,
                                    struct hf_rollout_steering **out, struct hf_why *why)
{
    struct hf_rollout_steering *s = calloc(1, sizeof *s);

    if (s == NULL || uv_mutex_init(&s->mutex) != 0) {
        free(s);
        return hf_fail(why, HF_E_MEMORY, "no memory for the rollouts");
    }
    s->port = *port;
    *out = s;
    return HF_OK;
}

static void followed_free(struct hf_rollout_followed *f)
{
    hf_rollout_ledger_free(f->ledger);
    free(f->excluded);
}

void hf_rollout_steering_free(struct hf_rollout_steering *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++)
        followed_free(&s->list[i]);
    free(s->list);
    hf_published_unref(s->published);
    uv_mutex_destroy(&s->mutex);
    free(s);
}

/* ---- 1: what is published -------------------------------------------------------------------- */

/* One bundle on its way into the list. */
struct taking {
    const struct hf_published_bundle *bundle;
    struct hf_rollout_row row;
};

static enum hf_err note_signed(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct taking *t = what;

    HF_TRY(hf_rollout_row_ensure(tx, t->bundle, &t->row, why));
    return hf_rollout_row_note_signed(tx, t->bundle, &t->row, why);
}

static bool is_noted(const struct hf_rollout_row *row, const struct hf_published_rollout *rollout)
{
    return row->signed_version == rollout->role_version && row->is_signed == rollout->is_signed;
}

/* The row of a bundle, made or brought up to date by the writer if it has to be. If that cannot
 * write, the row as it is will do; `*is_there` is false if there is none. */
static enum hf_err take_row(struct hf_rollout_steering *s, struct taking *t, bool *is_there,
                            struct hf_why *why)
{
    const enum hf_err err = hf_rollout_row_find(s->port.db, t->bundle, &t->row, why);

    if (err != HF_OK && err != HF_E_NOT_FOUND)
        return err;
    *is_there = err == HF_OK;
    if (err != HF_OK || !is_noted(&t->row, &t->bundle->rollout))
        *is_there |= hf_rollout_write(s, note_signed, t) == HF_OK;
    return HF_OK;
}

static struct hf_rollout_followed *find(const struct hf_rollout_steering *s, int64_t rollout_id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].row.id == rollout_id)
            return &s->list[i];
    return NULL;
}

/* Rollouts that go on come first, then what is shown of those that are over. */
enum { GOES_ON, OVER, OVER_AND_OLD, RANKS };

static int rank_of(const struct hf_published_bundle *bundle, int64_t now_s)
{
    if (!hf_rollout_engine_is_over(bundle->description.plan, hf_rollout_now_of(bundle),
                                   !bundle->is_newest, now_s))
        return GOES_ON;
    return bundle->is_newest ? OVER : OVER_AND_OLD;
}

/* Two plans that say the same may differ here in what is between their members: then devices are
 * counted once more. */
static bool is_same_plan(const struct hf_published_bundle *a, const struct hf_published_bundle *b)
{
    return memcmp(a->description.plan, b->description.plan, sizeof *a->description.plan) == 0;
}

/* The list for `published`: what is known of a rollout goes over into it. */
static void replace_list(struct hf_rollout_steering *s, struct hf_published *published,
                         struct hf_rollout_followed *list, size_t n)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < n; i++) {
        struct hf_rollout_followed *before = find(s, list[i].row.id);
        if (before == NULL)
            continue;
        const struct hf_rollout_followed fresh = list[i];
        list[i] = *before;
        list[i].bundle = fresh.bundle;
        list[i].row = fresh.row;
        before->ledger = NULL;
        before->excluded = NULL;
        if (!is_same_plan(before->bundle, fresh.bundle)) { /* other stages: count again */
            hf_rollout_ledger_free(list[i].ledger);
            list[i].ledger = NULL;
        }
    }
    for (size_t i = 0; i < s->n; i++)
        followed_free(&s->list[i]);
    free(s->list);
    s->list = list;
    s->n = n;
    hf_published_unref(s->published);
    s->published = hf_published_ref(published);
    uv_mutex_unlock(&s->mutex);
}

/* The rows of all bundles of that rank, and as many in the list as have room. */
static enum hf_err take_rank(struct hf_rollout_steering *s, const struct hf_published *published,
                             int rank, struct hf_rollout_followed *list, size_t *n, size_t *n_left,
                             struct hf_why *why)
{
    for (size_t i = 0; published != NULL && i < published->n; i++) {
        struct taking taking = {.bundle = &published->bundles[i]};
        bool is_there = false;
        if (taking.bundle->description.plan == NULL || rank_of(taking.bundle, s->now_s) != rank)
            continue;
        HF_TRY(take_row(s, &taking, &is_there, why));
        if (*n == HF_ROLLOUT_FOLLOWED_MAX)
            ++*n_left;
        else if (is_there)
            list[(*n)++] = (struct hf_rollout_followed){.bundle = taking.bundle, .row = taking.row};
    }
    return HF_OK;
}

static enum hf_err take_published(struct hf_rollout_steering *s, struct hf_published *published,
                                  struct hf_why *why)
{
    size_t n = 0, n_left[RANKS] = {0};
    enum hf_err err = HF_OK;

    struct hf_rollout_followed *list = calloc(HF_ROLLOUT_FOLLOWED_MAX, sizeof *list);
    if (list == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the rollouts");
    for (int rank = GOES_ON; rank < RANKS && err == HF_OK; rank++)
        err = take_rank(s, published, rank, list, &n, &n_left[rank], why);
    if (err != HF_OK) {
        free(list);
        return err;
    }
    if (n_left[GOES_ON] > s->n_left)
        hf_service_log(HF_LOG_WARNING,
                       "%zu rollouts are not steered (expected at most %u that go on, found %zu). "
                       "Step them at the desk (`holdfastctl rollout`), or abort others",
                       n_left[GOES_ON], HF_ROLLOUT_FOLLOWED_MAX,
                       HF_ROLLOUT_FOLLOWED_MAX + n_left[GOES_ON]);
    s->n_left = n_left[GOES_ON];
    replace_list(s, published, list, n);
    return HF_OK;
}

/* ---- a look ---------------------------------------------------------------------------------- */

enum hf_err hf_rollout_steering_look(struct hf_rollout_steering *s, struct hf_published *published,
                                     int64_t now_s, bool *has_more, struct hf_why *why)
{
    enum hf_err err;

    *has_more = false;
    s->refused = (struct hf_why){0};
    uv_mutex_lock(&s->mutex);
    s->now_s = now_s;
    uv_mutex_unlock(&s->mutex);
    HF_TRY(take_published(s, published, why));
    err = hf_rollout_follow_devices(s, has_more, why);
    if (err != HF_OK)
        hf_rollout_mark_stale(s); /* changes that were taken may not have been read */
    for (size_t i = 0; i < s->n && err == HF_OK && !s->port.is_ending(s->port.ctx); i++)
        err = hf_rollout_steer(s, &s->list[i], why);
    if (err == HF_OK && s->refused.code != HF_OK)
        err = hf_fail(why, s->refused.code, "%s", s->refused.text);
    if (err == HF_OK && s->n > 0)
        s->is_started = true;
    return err;
}

/* ---- views ----------------------------------------------------------------------------------- */

/* A word and a sentence, also for what the engine does not know. */
static void explain(const struct hf_rollout_steering *s, const struct hf_rollout_followed *f,
                    const struct hf_published_bundle *bundle, const struct hf_rollout_situation *at,
                    struct hf_rollout_view *out)
{
    char text[HF_ROLLOUT_SENTENCE_MAX];
    const bool is_due = out->verdict.due != HF_DUE_NOTHING;

    hf_rollout_engine_explain(at, &out->verdict, text);
    out->wait = is_due ? NULL : hf_rollout_wait_name(out->verdict.wait);
    (void)snprintf(out->text, sizeof out->text, "%s", text);
    if (is_due && s->port.ask == NULL) {
        out->wait = "no-signer";
        (void)snprintf(out->text, sizeof out->text,
                       "%s; this service has no signer, so sign it at the desk (`holdfastctl "
                       "rollout`)",
                       text);
    } else if (is_due && !bundle->rollout.is_delegated) {
        out->wait = "no-role";
        (void)snprintf(out->text, sizeof out->text,
                       "%s, but no online key may sign it: run `holdfastctl rollout delegate %s`",
                       text, f->row.set);
    } else if (is_due && out->verdict.due != HF_DUE_PAUSE && out->verdict.due != HF_DUE_ABORT &&
               s->port.is_behind(s->port.ctx)) {
        out->wait = "log-behind";
        (void)snprintf(out->text, sizeof out->text,
                       "%s, but the database is an old copy, as its log shows (see /readyz)", text);
    } else if (is_due && f->problem[0] != '\0') {
        out->wait = "refused";
        (void)snprintf(out->text, sizeof out->text, "%s, but the signer says: %.250s", text,
                       f->problem);
    }
}

/* Of a rollout that is not followed. */
static void explain_left(const struct hf_rollout_steering *s, const struct hf_rollout_situation *at,
                         struct hf_rollout_view *out)
{
    char text[HF_ROLLOUT_SENTENCE_MAX];

    out->verdict = hf_rollout_engine_decide(at);
    if (out->verdict.wait == HF_WAIT_OVER || out->verdict.wait == HF_WAIT_SUPERSEDED) {
        hf_rollout_engine_explain(at, &out->verdict, text);
        out->wait = hf_rollout_wait_name(out->verdict.wait);
        (void)snprintf(out->text, sizeof out->text, "%s", text);
        return;
    }
    out->verdict = (struct hf_rollout_verdict){.due = HF_DUE_NOTHING};
    if (s->n < HF_ROLLOUT_FOLLOWED_MAX)
        return; /* the next look sees it */
    out->wait = "not-steered";
    (void)snprintf(out->text, sizeof out->text,
                   "%u other rollouts are steered, the most that there can be. Step this one at "
                   "the desk (`holdfastctl rollout`), or abort others",
                   HF_ROLLOUT_FOLLOWED_MAX);
}

bool hf_rollout_steering_view(struct hf_rollout_steering *s, int64_t rollout_id,
                              const struct hf_published_bundle *bundle, int64_t now_s,
                              struct hf_rollout_view *out)
{
    struct hf_rollout_situation at = hf_rollout_situation_of(bundle, now_s);

    *out = (struct hf_rollout_view){.stage = hf_rollout_engine_stage(at.plan, at.now)};
    uv_mutex_lock(&s->mutex);
    const struct hf_rollout_followed *f = find(s, rollout_id);
    if (f != NULL) {
        hf_rollout_count(f, &at);
        out->counted = at.counted;
        out->is_counted = f->ledger != NULL;
        out->verdict = hf_rollout_engine_decide(&at);
        for (size_t i = 0; f->ledger != NULL && i < at.plan->n_stages; i++)
            out->tallies[i] = hf_rollout_ledger_tally(f->ledger, i, now_s);
        out->bounds = hf_rollout_engine_bounds(at.plan, out->stage, &at.tally);
        explain(s, f, bundle, &at, out);
    } else {
        explain_left(s, &at, out);
    }
    uv_mutex_unlock(&s->mutex);
    return f != NULL;
}

size_t hf_rollout_steering_list(struct hf_rollout_steering *s, int64_t rollout_id,
                                enum hf_rollout_result result, int64_t after,
                                struct hf_rollout_entry *out, size_t cap)
{
    size_t n = 0;

    uv_mutex_lock(&s->mutex);
    const struct hf_rollout_followed *f = find(s, rollout_id);
    if (f != NULL && f->ledger != NULL)
        n = hf_rollout_ledger_list(f->ledger, result,
                                   hf_rollout_engine_stage(f->bundle->description.plan,
                                                           hf_rollout_now_of(f->bundle)),
                                   after, s->now_s, out, cap);
    uv_mutex_unlock(&s->mutex);
    return n;
}
