#include "server/rollout/steering.h"

#include "common/json/json.h"
#include "common/os/service.h"
#include "server/rollout/cause.h"
#include "server/rollout/device_rows.h"
#include "server/rollout/steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One rollout. Between looks only views read it, under the mutex. */
struct followed {
    const struct hf_published_bundle *bundle; /* of steering->published */
    struct hf_rollout_row row;
    struct hf_rollout_ledger *ledger; /* NULL: it is over, so results change nothing */
    int64_t *excluded;                /* numbers of devices, rising */
    size_t n_excluded;
    int64_t excluded_version; /* of the row whose exclusions these are; 0: none were read */
    int64_t approvals;        /* given for the next step */
    struct hf_rollout_situation situation; /* of the look under way, as the verdict */
    struct hf_rollout_verdict verdict;

    int64_t awaited_version, awaited_until_s; /* of the role: the repository is to show it first */
    int64_t retry_s;                          /* not before then */
    int64_t wait_s;                           /* the last pause between two tries */
    char problem[HF_WHY_MAX];                 /* of the last try; "": none */

    struct hf_rollout_tally told;
    int64_t told_s;
    size_t told_stage;
    bool was_alarming;
};

struct hf_rollout_steering {
    struct hf_rollout_port port;
    uv_mutex_t mutex;               /* over what others look at: the list and the ledgers */
    struct hf_published *published; /* a reference; NULL: nothing */
    struct followed *list;
    size_t n;
    bool is_started; /* the intents of an earlier process are settled */
    bool must_scan, is_scanning;
    int64_t scan_after, scanned_s;
    int64_t now_s; /* of the look under way */
};

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

static void followed_free(struct followed *f)
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

static const struct hf_rollout_activation *now_of(const struct hf_published_bundle *bundle)
{
    return bundle->rollout.is_signed ? &bundle->rollout.now : NULL;
}

/* ---- 1: what is published ------------------------------------------------------------------------------ */

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

/* The row of a bundle, made or brought up to date by the writer if it has to be. */
static enum hf_err take_row(struct hf_rollout_steering *s, struct taking *t, struct hf_why *why)
{
    enum hf_err err = hf_rollout_row_find(s->port.db, t->bundle, &t->row, why);

    if (err == HF_E_NOT_FOUND || (err == HF_OK && !is_noted(&t->row, &t->bundle->rollout)))
        err = s->port.write(s->port.ctx, note_signed, t, why);
    return err;
}

static struct followed *find(const struct hf_rollout_steering *s, int64_t rollout_id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].row.id == rollout_id)
            return &s->list[i];
    return NULL;
}

static size_t count_planned(const struct hf_published *published)
{
    size_t n = 0;

    for (size_t i = 0; published != NULL && i < published->n && n < HF_ROLLOUT_FOLLOWED_MAX; i++)
        n += published->bundles[i].description.plan != NULL;
    return n;
}

/* Two plans that say the same may differ here in what is between their members: then devices are counted once more. */
static bool is_same_plan(const struct hf_published_bundle *a, const struct hf_published_bundle *b)
{
    return memcmp(a->description.plan, b->description.plan, sizeof *a->description.plan) == 0;
}

/* The list for `published`: what is known of a rollout goes over into it. */
static void replace_list(struct hf_rollout_steering *s, struct hf_published *published,
                         struct followed *list, size_t n)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < n; i++) {
        struct followed *before = find(s, list[i].row.id);
        if (before == NULL)
            continue;
        const struct followed fresh = list[i];
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

static enum hf_err take_published(struct hf_rollout_steering *s, struct hf_published *published,
                                  struct hf_why *why)
{
    const size_t room = count_planned(published);
    size_t n = 0;

    struct followed *list = calloc(room + 1, sizeof *list);
    if (list == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the rollouts");
    for (size_t i = 0; n < room; i++) {
        struct taking taking = {.bundle = &published->bundles[i]};
        if (taking.bundle->description.plan == NULL)
            continue;
        enum hf_err err = take_row(s, &taking, why);
        if (err != HF_OK) {
            free(list);
            return err;
        }
        list[n++] = (struct followed){.bundle = taking.bundle, .row = taking.row};
    }
    replace_list(s, published, list, n);
    return HF_OK;
}

/* ---- 2: the devices ------------------------------------------------------------------------------------ */

static int compare_ids(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static bool is_excluded(const struct followed *f, int64_t device_id)
{
    return f->n_excluded > 0 &&
           bsearch(&device_id, f->excluded, f->n_excluded, sizeof device_id, compare_ids) != NULL;
}

/* Under the mutex: a device as it is now, for every ledger. */
static enum hf_err put_member(void *ctx, const void *data, struct hf_why *why)
{
    struct hf_rollout_steering *s = ctx;
    struct hf_rollout_member member = *(const struct hf_rollout_member *)data;

    for (size_t i = 0; i < s->n; i++) {
        struct followed *f = &s->list[i];
        if (f->ledger == NULL)
            continue;
        member.is_excluded = is_excluded(f, member.device_id);
        HF_TRY(hf_rollout_ledger_put(f->ledger, &member, why));
    }
    if (s->is_scanning && member.device_id > s->scan_after)
        s->scan_after = member.device_id;
    return HF_OK;
}

static enum hf_err read_device(struct hf_rollout_steering *s, int64_t device_id, struct hf_why *why)
{
    const int64_t scan_after = s->scan_after;

    uv_mutex_lock(&s->mutex);
    enum hf_err err = hf_rollout_member_get(s->port.db, device_id, put_member, s, why);
    s->scan_after = scan_after; /* a scan under way reads it again in its turn */
    for (size_t i = 0; err == HF_E_NOT_FOUND && i < s->n; i++)
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_remove(s->list[i].ledger, device_id);
    uv_mutex_unlock(&s->mutex);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

struct reading {
    int64_t *ids;
    size_t n;
};

static enum hf_err keep_id(void *ctx, const void *data, struct hf_why *why)
{
    struct reading *r = ctx;

    (void)why;
    if (r->n < HF_ROLLOUT_EXCLUDED_MAX)
        r->ids[r->n++] = ((const struct hf_rollout_excluded *)data)->device_id;
    return HF_OK;
}

/* Those that were excluded before and those that are now: each is read again. */
static enum hf_err read_excluded(struct hf_rollout_steering *s, struct followed *f,
                                 struct hf_why *why)
{
    struct reading now = {calloc(HF_ROLLOUT_EXCLUDED_MAX, sizeof *now.ids), 0};
    struct reading before = {f->excluded, f->n_excluded};

    if (now.ids == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the rollouts");
    enum hf_err err = hf_rollout_excluded_list(s->port.db, f->row.id, keep_id, &now, why);
    if (err != HF_OK) {
        free(now.ids);
        return err;
    }
    uv_mutex_lock(&s->mutex);
    f->excluded = now.ids;
    f->n_excluded = now.n;
    uv_mutex_unlock(&s->mutex);
    for (size_t i = 0; i < before.n && err == HF_OK; i++)
        err = read_device(s, before.ids[i], why);
    for (size_t i = 0; i < now.n && err == HF_OK; i++)
        err = read_device(s, now.ids[i], why);
    free(before.ids);
    if (err == HF_OK)
        f->excluded_version = f->row.version;
    return err;
}

static enum hf_err make_ledger(struct hf_rollout_steering *s, struct followed *f,
                               struct hf_why *why)
{
    const struct hf_description *d = &f->bundle->description;
    const struct hf_rollout_subject subject = {.plan = d->plan,
                                               .set = d->set,
                                               .profile = d->profile,
                                               .version = d->version,
                                               .sha256 = f->row.sha256,
                                               .seen_s = f->row.seen_s};
    struct hf_rollout_ledger *ledger = NULL;

    HF_TRY(hf_rollout_ledger_new(&subject, &ledger, why));
    uv_mutex_lock(&s->mutex);
    f->ledger = ledger;
    uv_mutex_unlock(&s->mutex);
    s->must_scan = true;
    return HF_OK;
}

/* A ledger for each rollout that is not over, and the devices that do not count in it. */
static enum hf_err prepare_ledgers(struct hf_rollout_steering *s, struct hf_why *why)
{
    for (size_t i = 0; i < s->n; i++) {
        struct followed *f = &s->list[i];
        bool is_over = hf_rollout_engine_is_over(f->bundle->description.plan, now_of(f->bundle),
                                                 !f->bundle->is_newest, s->now_s);
        if (is_over && f->ledger != NULL) {
            uv_mutex_lock(&s->mutex);
            hf_rollout_ledger_free(f->ledger);
            f->ledger = NULL;
            uv_mutex_unlock(&s->mutex);
        }
        if (!is_over && f->ledger == NULL)
            HF_TRY(make_ledger(s, f, why));
        if (f->ledger != NULL && f->excluded_version != f->row.version)
            HF_TRY(read_excluded(s, f, why));
    }
    return HF_OK;
}

static bool has_ledgers(const struct hf_rollout_steering *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].ledger != NULL)
            return true;
    return false;
}

/* A scan that failed, or that a new ledger has missed the beginning of, begins again. */
static void begin_scan(struct hf_rollout_steering *s)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_begin_scan(s->list[i].ledger);
    uv_mutex_unlock(&s->mutex);
    s->is_scanning = true;
    s->must_scan = false;
    s->scan_after = 0;
}

static void end_scan(struct hf_rollout_steering *s)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_end_scan(s->list[i].ledger);
    uv_mutex_unlock(&s->mutex);
    s->is_scanning = false;
    s->scanned_s = s->now_s;
}

static enum hf_err scan_step(struct hf_rollout_steering *s, struct hf_why *why)
{
    const int64_t after = s->scan_after;

    uv_mutex_lock(&s->mutex);
    enum hf_err err = hf_rollout_member_list(s->port.db, after, HF_ROLLOUT_SCAN_ROWS, put_member, s,
                                             why);
    uv_mutex_unlock(&s->mutex);
    if (err == HF_OK && s->scan_after == after)
        end_scan(s);
    return err;
}

static void mark_stale(struct hf_rollout_steering *s)
{
    uv_mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n; i++) {
        s->list[i].excluded_version = 0;
        if (s->list[i].ledger != NULL)
            hf_rollout_ledger_mark_stale(s->list[i].ledger);
    }
    uv_mutex_unlock(&s->mutex);
    s->must_scan = true;
}

static enum hf_err read_changes(struct hf_rollout_steering *s, bool *has_more, struct hf_why *why)
{
    int64_t ids[HF_ROLLOUT_CHANGES_AT_ONCE];
    bool are_lost = false;
    enum hf_err err = HF_OK;

    size_t n = hf_device_changes_take(s->port.changes, ids, HF_ROLLOUT_CHANGES_AT_ONCE, &are_lost);
    *has_more = n == HF_ROLLOUT_CHANGES_AT_ONCE;
    if (are_lost)
        mark_stale(s);
    if (!has_ledgers(s))
        return HF_OK;
    for (size_t i = 0; i < n && err == HF_OK; i++)
        err = read_device(s, ids[i], why);
    return err;
}

static enum hf_err follow_devices(struct hf_rollout_steering *s, bool *has_more, struct hf_why *why)
{
    const int64_t age_s = s->now_s - s->scanned_s;

    HF_TRY(prepare_ledgers(s, why));
    HF_TRY(read_changes(s, has_more, why));
    if (!has_ledgers(s)) {
        s->is_scanning = false;
        return HF_OK;
    }
    if (s->must_scan || (!s->is_scanning && (age_s >= HF_ROLLOUT_SCAN_EVERY_S || age_s < 0)))
        begin_scan(s);
    for (unsigned i = 0; s->is_scanning && i < HF_ROLLOUT_SCAN_STEPS; i++)
        HF_TRY(scan_step(s, why));
    *has_more |= s->is_scanning;
    return HF_OK;
}

/* ---- 3: what is due ------------------------------------------------------------------------------------ */

/* A step under way, for the jobs of the writer. */
struct asking {
    const struct hf_published_bundle *bundle;
    struct hf_rollout_row *row;
    struct hf_rollout_intent step;
    struct hf_rollout_approval_rows approvals;
    const struct hf_rollout_stepped *stepped;
    struct hf_why refusal;
    bool is_logged;
    int64_t stalled_since_s;
};

static enum hf_err put_intent(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct asking *a = what;

    HF_TRY(hf_rollout_intent_put(tx, a->row, &a->step, false, why));
    a->step = a->row->intent;
    return HF_OK;
}

static enum hf_err end_intent(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct asking *a = what;

    return hf_rollout_step_end(tx, a->row, &a->step, a->stepped, &a->refusal, a->is_logged, why);
}

static enum hf_err settle_intent(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct asking *a = what;

    return hf_rollout_step_settle(tx, a->row, a->bundle, why);
}

static enum hf_err note_stalled(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct asking *a = what;

    return hf_rollout_row_note_stalled(tx, a->row, a->stalled_since_s, why);
}

/* The next try, ever later; a person hears of it once. */
static void try_later(struct hf_rollout_steering *s, struct followed *f, const char *why)
{
    const struct hf_rollout_row *row = &f->row;

    if (strcmp(f->problem, why) != 0)
        hf_service_log(HF_LOG_WARNING,
                       "the rollout of %s/%s version %" PRId64 " does not go on: %s", row->set,
                       row->profile, row->bundle_version, why);
    f->wait_s = f->wait_s == 0 ? HF_ROLLOUT_RETRY_S : 2 * f->wait_s;
    if (f->wait_s > HF_ROLLOUT_RETRY_MAX_S)
        f->wait_s = HF_ROLLOUT_RETRY_MAX_S;
    f->retry_s = s->now_s + f->wait_s;
    (void)snprintf(f->problem, sizeof f->problem, "%s", why);
}

/* The repository must show this version of the set's role before anything else is decided by it. */
static void await(struct hf_rollout_steering *s, const struct followed *f, int64_t version)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->list[i].row.set, f->row.set) == 0) {
            s->list[i].awaited_version = version;
            s->list[i].awaited_until_s = s->now_s + HF_ROLLOUT_AWAIT_S;
        }
}

/* Without an answer the intent stays, since the step may have been signed. */
static enum hf_err end_asking(struct hf_rollout_steering *s, struct followed *f, struct asking *a,
                              enum hf_err asked, struct hf_why *why)
{
    if (asked == HF_OK) {
        hf_service_log(HF_LOG_INFO,
                       "the rollout of %s/%s version %" PRId64 " is %s at stage %" PRId64 "%s%s",
                       f->row.set, f->row.profile, f->row.bundle_version,
                       hf_rollout_state_name(a->step.state), a->step.stage + 1,
                       a->step.reason[0] != '\0' ? ": " : "", a->step.reason);
        await(s, f, a->stepped->role_version);
        f->problem[0] = '\0';
        f->wait_s = f->retry_s = 0;
    } else if (asked == HF_E_STATE) { /* the repository shows that step soon */
        await(s, f, a->step.from + 1);
    } else {
        a->is_logged = strcmp(f->problem, a->refusal.text) != 0;
        try_later(s, f, a->refusal.text);
        if (asked == HF_E_NETWORK || asked == HF_E_MEMORY)
            return HF_OK;
    }
    return s->port.write(s->port.ctx, end_intent, a, why);
}

static enum hf_err ask(struct hf_rollout_steering *s, struct followed *f, struct asking *a,
                       struct hf_why *why)
{
    struct hf_rollout_stepped stepped;
    json_t *request = NULL, *answer = NULL;

    HF_TRY(hf_rollout_step_read_approvals(s->port.db, f->row.id, f->bundle, &a->step, &a->approvals,
                                          why));
    enum hf_err err = s->port.write(s->port.ctx, put_intent, a, why);
    if (err == HF_E_STATE) /* another step is under way */
        return HF_OK;
    if (err == HF_OK)
        err = hf_rollout_step_request(f->bundle, &a->step, &a->approvals, &request, why);
    if (err != HF_OK)
        return err;
    enum hf_err asked = s->port.ask(s->port.ctx, request, &answer, &a->refusal);
    if (asked == HF_OK)
        asked = hf_rollout_step_read_answer(answer, &stepped, &a->refusal);
    if (asked == HF_OK)
        a->stepped = &stepped;
    json_decref(answer);
    return end_asking(s, f, a, asked, why);
}

/* What the verdict says, as a step. */
static struct hf_rollout_intent step_of(struct hf_rollout_steering *s, const struct followed *f)
{
    const struct hf_rollout_situation *at = &f->situation;
    struct hf_rollout_intent step;
    char text[HF_ROLLOUT_SENTENCE_MAX];

    hf_rollout_engine_explain(at, &f->verdict, text);
    if (f->verdict.due != HF_DUE_PAUSE && f->verdict.due != HF_DUE_ABORT)
        return hf_rollout_step_next(f->bundle);
    step = hf_rollout_step_stop(f->bundle, f->verdict.due == HF_DUE_PAUSE ? HF_ROLLOUT_PAUSED
                                                                          : HF_ROLLOUT_ABORTED);
    if (f->verdict.due == HF_DUE_ABORT) {
        (void)snprintf(step.reason, sizeof step.reason, "%s", text);
        return step;
    }
    const struct hf_rollout_bounds bounds =
        hf_rollout_engine_bounds(at->plan, hf_rollout_engine_stage(at->plan, at->now), &at->tally);
    hf_rollout_cause(s->port.db, f->ledger,
                     at->tally.failed > bounds.failed_max ? HF_RESULT_FAILED : HF_RESULT_SILENT,
                     (size_t)step.stage, s->now_s, text, step.reason);
    return step;
}

static enum hf_err settle(struct hf_rollout_steering *s, struct followed *f, struct hf_why *why)
{
    struct asking a = {.bundle = f->bundle, .row = &f->row};
    const int64_t age_s = s->now_s - f->row.intent.asked_s;

    if (!f->row.has_intent || (s->is_started && age_s >= 0 && age_s < HF_ROLLOUT_INTENT_S))
        return HF_OK;
    HF_TRY(s->port.write(s->port.ctx, settle_intent, &a, why));
    f->row.has_intent = false;
    return HF_OK;
}

static enum hf_err count_approvals(struct hf_rollout_steering *s, const struct followed *f,
                                   int64_t *out, struct hf_why *why)
{
    const struct hf_rollout_intent step = hf_rollout_step_next(f->bundle);
    struct hf_rollout_approval_rows approvals;

    HF_TRY(
        hf_rollout_step_read_approvals(s->port.db, f->row.id, f->bundle, &step, &approvals, why));
    *out = (int64_t)approvals.n;
    return HF_OK;
}

static struct hf_rollout_situation situation_of(const struct hf_published_bundle *bundle,
                                                int64_t now_s)
{
    return (struct hf_rollout_situation){.plan = bundle->description.plan,
                                         .now = now_of(bundle),
                                         .is_superseded = !bundle->is_newest,
                                         .now_s = now_s};
}

/* Under the mutex. */
static void count(const struct followed *f, struct hf_rollout_situation *at)
{
    at->approvals = f->approvals;
    if (f->ledger == NULL)
        return;
    at->counted = hf_rollout_ledger_counted(f->ledger);
    at->tally = hf_rollout_ledger_tally(f->ledger, hf_rollout_engine_stage(at->plan, at->now),
                                        at->now_s);
}

static enum hf_err decide(struct hf_rollout_steering *s, struct followed *f, struct hf_why *why)
{
    int64_t approvals = 0;

    HF_TRY(count_approvals(s, f, &approvals, why));
    f->situation = situation_of(f->bundle, s->now_s);
    uv_mutex_lock(&s->mutex);
    f->approvals = approvals;
    count(f, &f->situation);
    uv_mutex_unlock(&s->mutex);
    f->verdict = hf_rollout_engine_decide(&f->situation);
    return HF_OK;
}

/* Stalled and paused rollouts are findings. */
static enum hf_err note_alarms(struct hf_rollout_steering *s, struct followed *f,
                               struct hf_why *why)
{
    const struct hf_published_rollout *rollout = &f->bundle->rollout;
    const bool is_stalled = f->verdict.is_stalled;
    const bool is_paused = rollout->is_signed && rollout->now.state == HF_ROLLOUT_PAUSED &&
                           f->bundle->is_newest;
    struct asking a = {.row = &f->row, .stalled_since_s = is_stalled ? s->now_s : 0};

    if (is_stalled != (f->row.stalled_since_s != 0))
        HF_TRY(s->port.write(s->port.ctx, note_stalled, &a, why));
    if ((is_stalled || is_paused) != f->was_alarming)
        s->port.alarm(s->port.ctx);
    f->was_alarming = is_stalled || is_paused;
    return HF_OK;
}

static json_t *tally_json(const struct hf_rollout_tally *t)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "devices", (json_int_t)t->devices, "waiting",
                     (json_int_t)t->waiting, "on_trial", (json_int_t)t->on_trial, "confirmed",
                     (json_int_t)t->confirmed, "failed", (json_int_t)t->failed, "silent",
                     (json_int_t)t->silent);
}

static void tell_numbers(struct hf_rollout_steering *s, struct followed *f)
{
    const struct hf_rollout_situation *at = &f->situation;
    const size_t stage = hf_rollout_engine_stage(at->plan, at->now);
    const int64_t age_s = s->now_s - f->told_s;

    if (f->ledger == NULL || at->counted != HF_COUNTED_ALL ||
        (age_s >= 0 && age_s < HF_ROLLOUT_TELL_EVERY_S) ||
        (stage == f->told_stage && memcmp(&f->told, &at->tally, sizeof f->told) == 0))
        return;
    f->told = at->tally;
    f->told_s = s->now_s;
    f->told_stage = stage;
    hf_events_add_take(s->port.events, "rollout-tally", s->now_s,
                       json_pack("{s:s, s:s, s:I, s:I, s:o}", "set", f->row.set, "profile",
                                 f->row.profile, "version", (json_int_t)f->row.bundle_version,
                                 "stage", (json_int_t)stage, "counts", tally_json(&at->tally)));
}

static bool may_ask(const struct hf_rollout_steering *s, const struct followed *f)
{
    const bool is_awaited = f->bundle->rollout.role_version < f->awaited_version &&
                            s->now_s < f->awaited_until_s;
    const bool is_too_early = s->now_s < f->retry_s &&
                              f->retry_s - s->now_s <= HF_ROLLOUT_RETRY_MAX_S;

    return s->port.ask != NULL && f->bundle->rollout.is_delegated &&
           f->verdict.due != HF_DUE_NOTHING && !f->row.has_intent && !is_awaited && !is_too_early;
}

static enum hf_err steer(struct hf_rollout_steering *s, struct followed *f, struct hf_why *why)
{
    HF_TRY(settle(s, f, why));
    HF_TRY(decide(s, f, why));
    HF_TRY(note_alarms(s, f, why));
    tell_numbers(s, f);
    if (f->verdict.due == HF_DUE_NOTHING)
        f->problem[0] = '\0';
    if (!may_ask(s, f))
        return HF_OK;
    struct asking a = {.bundle = f->bundle, .row = &f->row, .step = step_of(s, f)};
    return ask(s, f, &a, why);
}

enum hf_err hf_rollout_steering_look(struct hf_rollout_steering *s, struct hf_published *published,
                                     int64_t now_s, bool *has_more, struct hf_why *why)
{
    enum hf_err err;

    *has_more = false;
    s->now_s = now_s;
    HF_TRY(take_published(s, published, why));
    err = follow_devices(s, has_more, why);
    if (err != HF_OK)
        mark_stale(s); /* changes that were taken may not have been read */
    for (size_t i = 0; i < s->n && err == HF_OK && !s->port.is_ending(s->port.ctx); i++)
        err = steer(s, &s->list[i], why);
    if (err == HF_OK && s->n > 0)
        s->is_started = true;
    return err;
}

/* ---- views ----------------------------------------------------------------------------------------------- */

/* A word and a sentence, also for what the engine does not know. */
static void explain(const struct hf_rollout_steering *s, const struct followed *f,
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
    } else if (is_due && f->problem[0] != '\0') {
        out->wait = "refused";
        (void)snprintf(out->text, sizeof out->text, "%s, but the signer says: %.250s", text,
                       f->problem);
    }
}

bool hf_rollout_steering_view(struct hf_rollout_steering *s, int64_t rollout_id,
                              const struct hf_published_bundle *bundle, int64_t now_s,
                              struct hf_rollout_view *out)
{
    struct hf_rollout_situation at = situation_of(bundle, now_s);

    *out = (struct hf_rollout_view){.stage = hf_rollout_engine_stage(at.plan, at.now)};
    uv_mutex_lock(&s->mutex);
    const struct followed *f = find(s, rollout_id);
    if (f != NULL) {
        count(f, &at);
        out->counted = at.counted;
        out->is_counted = f->ledger != NULL;
        out->verdict = hf_rollout_engine_decide(&at);
        for (size_t i = 0; f->ledger != NULL && i < at.plan->n_stages; i++)
            out->tallies[i] = hf_rollout_ledger_tally(f->ledger, i, now_s);
        out->bounds = hf_rollout_engine_bounds(at.plan, out->stage, &at.tally);
        explain(s, f, bundle, &at, out);
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
    const struct followed *f = find(s, rollout_id);
    if (f != NULL && f->ledger != NULL)
        n = hf_rollout_ledger_list(f->ledger, result,
                                   hf_rollout_engine_stage(f->bundle->description.plan,
                                                           now_of(f->bundle)),
                                   after, s->now_s, out, cap);
    uv_mutex_unlock(&s->mutex);
    return n;
}
