#include "server/rollout/keeper.h"

#include "common/os/service.h"
#include "server/rollout/limits.h"
#include "server/signer/protocol.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct hf_rollout_keeper {
    struct hf_rollout_keeper_config config;
    struct hf_rollout_steering *steering;
    struct hf_db *db;
    int connection; /* to the signer; -1: none */
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t ending;
    atomic_bool is_ending;
};

static enum hf_err write_act(void *ctx, hf_fleet_act *act, void *what, struct hf_why *why)
{
    return hf_fleet_write_wait(((struct hf_rollout_keeper *)ctx)->config.fleet, act, what, why);
}

static enum hf_err ask_signer(void *ctx, json_t *request, json_t **answer, struct hf_why *why)
{
    struct hf_rollout_keeper *keeper = ctx;

    return hf_signer_call_take(keeper->config.signer_socket, &keeper->connection, request, -1,
                               &keeper->is_ending, answer, why);
}

static void alarm_audits(void *ctx)
{
    const struct hf_rollout_keeper *keeper = ctx;

    keeper->config.alarm(keeper->config.ctx);
}

static bool is_behind(void *ctx)
{
    return hf_fleet_is_behind(((struct hf_rollout_keeper *)ctx)->config.fleet);
}

static bool is_ending(void *ctx)
{
    return atomic_load(&((struct hf_rollout_keeper *)ctx)->is_ending);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Once; `wait_s` is what it waits before the next look. */
static bool look(struct hf_rollout_keeper *keeper, int64_t *wait_s)
{
    struct hf_why why = {0};
    bool has_more = false;

    struct hf_published *published = keeper->config.published(keeper->config.ctx);
    enum hf_err err = hf_rollout_steering_look(keeper->steering, published, (int64_t)time(NULL),
                                               &has_more, &why);
    hf_published_unref(published);
    if (err == HF_OK) {
        if (*wait_s > 1)
            hf_service_log(HF_LOG_INFO, "rollouts are steered again");
        *wait_s = 1;
        return has_more;
    }
    if (*wait_s == 1 && !is_ending(keeper))
        hf_service_log(HF_LOG_WARNING,
                       "rollouts do not go on; they can only be paused, and it is tried again: %s",
                       why.text);
    *wait_s = 2 * *wait_s < HF_ROLLOUT_LOOK_MAX_S ? 2 * *wait_s : HF_ROLLOUT_LOOK_MAX_S;
    return false;
}

static void work(void *arg)
{
    struct hf_rollout_keeper *keeper = arg;
    int64_t wait_s = 1;

    uv_mutex_lock(&keeper->mutex);
    while (!is_ending(keeper)) {
        uv_mutex_unlock(&keeper->mutex);
        bool has_more = look(keeper, &wait_s);
        uv_mutex_lock(&keeper->mutex);
        if (!is_ending(keeper) && !has_more)
            (void)uv_cond_timedwait(&keeper->ending, &keeper->mutex,
                                    (uint64_t)wait_s * UINT64_C(1000000000));
    }
    uv_mutex_unlock(&keeper->mutex);
}

/* ---- start and end --------------------------------------------------------------------------- */

static enum hf_err open_parts(struct hf_rollout_keeper *keeper, struct hf_why *why)
{
    struct hf_fleet *fleet = keeper->config.fleet;

    HF_TRY(hf_fleet_connect(fleet, &keeper->db, why));
    const struct hf_rollout_port port = {.db = keeper->db,
                                         .changes = hf_fleet_changes(fleet),
                                         .events = hf_fleet_events(fleet),
                                         .ctx = keeper,
                                         .write = write_act,
                                         .ask = keeper->config.signer_socket != NULL ? ask_signer
                                                                                     : NULL,
                                         .alarm = alarm_audits,
                                         .is_behind = is_behind,
                                         .is_ending = is_ending};
    return hf_rollout_steering_new(&port, &keeper->steering, why);
}

enum hf_err hf_rollout_keeper_start(const struct hf_rollout_keeper_config *config,
                                    struct hf_rollout_keeper **out, struct hf_why *why)
{
    struct hf_rollout_keeper *keeper = calloc(1, sizeof *keeper);

    if (keeper == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for the keeper of rollouts");
    keeper->config = *config;
    keeper->connection = -1;
    enum hf_err err = open_parts(keeper, why);
    if (err == HF_OK && (uv_mutex_init(&keeper->mutex) != 0 || uv_cond_init(&keeper->ending) != 0 ||
                         uv_thread_create(&keeper->thread, work, keeper) != 0))
        err = hf_fail(why, HF_E_MEMORY, "a thread cannot be made");
    if (err != HF_OK) {
        hf_rollout_steering_free(keeper->steering);
        hf_db_close(keeper->db);
        free(keeper);
        return err;
    }
    *out = keeper;
    return HF_OK;
}

void hf_rollout_keeper_stop(struct hf_rollout_keeper *keeper)
{
    if (keeper == NULL)
        return;
    uv_mutex_lock(&keeper->mutex);
    atomic_store(&keeper->is_ending, true);
    uv_cond_signal(&keeper->ending);
    uv_mutex_unlock(&keeper->mutex);
    (void)uv_thread_join(&keeper->thread);
    if (keeper->connection >= 0)
        close(keeper->connection);
    hf_rollout_steering_free(keeper->steering);
    hf_db_close(keeper->db);
    uv_cond_destroy(&keeper->ending);
    uv_mutex_destroy(&keeper->mutex);
    free(keeper);
}

struct hf_rollout_steering *hf_rollout_keeper_steering(struct hf_rollout_keeper *keeper)
{
    return keeper->steering;
}
