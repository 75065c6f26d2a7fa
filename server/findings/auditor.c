#include "server/findings/auditor.h"

#include "common/os/service.h"

#include <stdlib.h>
#include <time.h>

#define WAKE_EVERY_S 60 /* to see what is due */
#define CHECKS_MAX 64u

struct hf_auditor {
    struct hf_auditor_config config;
    struct hf_check_settings *settings; /* the thread's */
    struct hf_check_settings *fresh;    /* offered, under the mutex; NULL: none */
    _Atomic int64_t every_s;
    struct hf_db *db;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t changed;
    bool has_failed; /* the thread's: the last round */
    atomic_bool is_ending;
    atomic_bool is_asked[CHECKS_MAX];
    atomic_bool is_running[CHECKS_MAX];
};

static enum hf_err write_act(void *ctx, hf_fleet_act *act, void *what, struct hf_why *why)
{
    return hf_fleet_write_wait(((struct hf_auditor *)ctx)->config.fleet, act, what, why);
}

static bool is_ending(void *ctx)
{
    return atomic_load(&((struct hf_auditor *)ctx)->is_ending);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static enum hf_err tidy(void *what, struct hf_tx *tx, struct hf_why *why)
{
    (void)what;
    return hf_finding_tidy(tx, why);
}

static void take_fresh(struct hf_auditor *auditor)
{
    uv_mutex_lock(&auditor->mutex);
    if (auditor->fresh != NULL) {
        free(auditor->settings);
        auditor->settings = auditor->fresh;
        auditor->fresh = NULL;
    }
    uv_mutex_unlock(&auditor->mutex);
}

/* If it is due, or was asked for. */
static enum hf_err run_check(struct hf_auditor *auditor, const struct hf_check *check,
                             bool was_asked, struct hf_why *why)
{
    const struct hf_audit_port port = {auditor->db, auditor, write_act, is_ending};
    struct hf_check_ctx ctx = {.settings = auditor->settings, .now_s = (int64_t)time(NULL)};
    struct hf_check_run last;
    HF_TRY(hf_check_run_get(auditor->db, check->name, &last, why));
    bool is_due = last.run == 0 || ctx.now_s - last.started_s >= atomic_load(&auditor->every_s) ||
                  ctx.now_s < last.started_s;
    if (!is_due && !was_asked)
        return HF_OK;
    if (auditor->config.metadata != NULL)
        auditor->config.metadata(auditor->config.ctx, &ctx.metadata);
    if (auditor->config.published != NULL)
        ctx.published = auditor->config.published(auditor->config.ctx);
    enum hf_err err = hf_audit_run(&port, check, &ctx, why);
    hf_published_unref(ctx.published);
    return err;
}

/* What could not run stays asked for, or due. */
static void run_due(struct hf_auditor *auditor)
{
    struct hf_why why = {0};
    enum hf_err err = write_act(auditor, tidy, NULL, &why);
    for (size_t i = 0; i < hf_n_checks && err == HF_OK && !is_ending(auditor); i++) {
        take_fresh(auditor);
        atomic_store(&auditor->is_running[i], true);
        bool was_asked = atomic_exchange(&auditor->is_asked[i], false);
        err = run_check(auditor, &hf_checks[i], was_asked, &why);
        if (err != HF_OK && was_asked)
            atomic_store(&auditor->is_asked[i], true);
        atomic_store(&auditor->is_running[i], false);
    }
    auditor->has_failed = err != HF_OK;
    if (err != HF_OK && !is_ending(auditor))
        hf_service_log(HF_LOG_WARNING, "the audits could not run; they are tried again: %s",
                       why.text);
}

/* With the mutex held, so that no later request is missed. After a failure nothing is that
 * urgent. */
static bool must_run_now(const struct hf_auditor *auditor)
{
    bool must = auditor->fresh != NULL;
    for (size_t i = 0; i < hf_n_checks; i++)
        must |= atomic_load(&auditor->is_asked[i]);
    return must && !auditor->has_failed;
}

static void work(void *arg)
{
    struct hf_auditor *auditor = arg;
    uv_mutex_lock(&auditor->mutex);
    while (!is_ending(auditor)) {
        uv_mutex_unlock(&auditor->mutex);
        run_due(auditor);
        uv_mutex_lock(&auditor->mutex);
        if (!is_ending(auditor) && !must_run_now(auditor))
            (void)uv_cond_timedwait(&auditor->changed, &auditor->mutex,
                                    WAKE_EVERY_S * UINT64_C(1000000000));
    }
    uv_mutex_unlock(&auditor->mutex);
}

enum hf_err hf_auditor_start(const struct hf_auditor_config *config, struct hf_auditor **out,
                             struct hf_why *why)
{
    struct hf_auditor *auditor = calloc(1, sizeof *auditor);
    if (auditor == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the auditor");
    auditor->config = *config;
    atomic_init(&auditor->every_s, config->every_s);
    auditor->settings = hf_check_settings_copy(&config->settings);
    enum hf_err err = auditor->settings != NULL
                          ? hf_fleet_connect(config->fleet, &auditor->db, why)
                          : hf_fail(why, HF_E_MEMORY, "no memory for the auditor");
    if (err == HF_OK &&
        (uv_mutex_init(&auditor->mutex) != 0 || uv_cond_init(&auditor->changed) != 0 ||
         uv_thread_create(&auditor->thread, work, auditor) != 0))
        err = hf_fail(why, HF_E_MEMORY, "a thread cannot be made");
    if (err != HF_OK) {
        hf_db_close(auditor->db);
        free(auditor->settings);
        free(auditor);
        return err;
    }
    *out = auditor;
    return HF_OK;
}

void hf_auditor_stop(struct hf_auditor *auditor)
{
    if (auditor == NULL)
        return;
    uv_mutex_lock(&auditor->mutex);
    atomic_store(&auditor->is_ending, true);
    uv_cond_signal(&auditor->changed);
    uv_mutex_unlock(&auditor->mutex);
    (void)uv_thread_join(&auditor->thread);
    uv_cond_destroy(&auditor->changed);
    uv_mutex_destroy(&auditor->mutex);
    hf_db_close(auditor->db);
    free(auditor->settings);
    free(auditor->fresh);
    free(auditor);
}

void hf_auditor_offer_take(struct hf_auditor *auditor, struct hf_check_settings *settings,
                           int64_t every_s)
{
    uv_mutex_lock(&auditor->mutex);
    free(auditor->fresh); /* the thread has not seen it */
    auditor->fresh = settings;
    atomic_store(&auditor->every_s, every_s);
    uv_cond_signal(&auditor->changed);
    uv_mutex_unlock(&auditor->mutex);
}

void hf_auditor_ask(struct hf_auditor *auditor, const struct hf_check *check)
{
    uv_mutex_lock(&auditor->mutex);
    atomic_store(&auditor->is_asked[check - hf_checks], true);
    uv_cond_signal(&auditor->changed);
    uv_mutex_unlock(&auditor->mutex);
}

bool hf_auditor_is_busy(struct hf_auditor *auditor, const struct hf_check *check)
{
    return atomic_load(&auditor->is_asked[check - hf_checks]) ||
           atomic_load(&auditor->is_running[check - hf_checks]);
}
