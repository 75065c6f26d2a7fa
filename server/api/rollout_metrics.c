/* Rollouts for Prometheus: of the newest bundle of each set and profile that has a plan. */
#include "server/api/rollout_parts.h"

#include "server/rollout/keeper.h"

#include <inttypes.h>
#include <stdlib.h>

struct seen {
    const struct hf_published_bundle *bundle;
    struct hf_rollout_view view;
};

#define LABELS "set=\"%s\",profile=\"%s\",version=\"%" PRId64 "\""
#define LABELS_OF(b) (b)->description.set, (b)->description.profile, (b)->description.version

static void write_states(struct hf_metrics *m, const struct seen *list, size_t n)
{
    hf_metrics_family(m, "holdfast_rollout_state", "gauge",
                      "1 for the state that is signed for a rollout; waiting: none is yet.");
    for (size_t i = 0; i < n; i++) {
        const struct hf_published_rollout *rollout = &list[i].bundle->rollout;
        hf_metrics_sample(m, rollout->is_signed ? 0 : 1, LABELS ",state=\"waiting\"",
                          LABELS_OF(list[i].bundle));
        for (int state = 0; state < HF_ROLLOUT_STATES; state++)
            hf_metrics_sample(m, rollout->is_signed && (int)rollout->now.state == state,
                              LABELS ",state=\"%s\"", LABELS_OF(list[i].bundle),
                              hf_rollout_state_name((enum hf_rollout_state)state));
    }
}

static void write_devices(struct hf_metrics *m, const struct seen *list, size_t n)
{
    hf_metrics_family(m, "holdfast_rollout_devices", "gauge",
                      "Devices of the stages that are open, by their last result.");
    for (size_t i = 0; i < n; i++) {
        const struct hf_rollout_tally *t = &list[i].view.tallies[list[i].view.stage];
        const int64_t counts[HF_RESULT_COUNT] = {[HF_RESULT_WAITING] = t->waiting,
                                                 [HF_RESULT_ON_TRIAL] = t->on_trial,
                                                 [HF_RESULT_CONFIRMED] = t->confirmed,
                                                 [HF_RESULT_FAILED] = t->failed,
                                                 [HF_RESULT_SILENT] = t->silent};
        for (int k = 0; list[i].view.is_counted && k < HF_RESULT_COUNT; k++)
            hf_metrics_sample(m, (double)counts[k], LABELS ",result=\"%s\"",
                              LABELS_OF(list[i].bundle),
                              hf_rollout_result_name((enum hf_rollout_result)k));
    }
}

static void write_moments(struct hf_metrics *m, const struct seen *list, size_t n)
{
    hf_metrics_family(m, "holdfast_rollout_stage", "gauge",
                      "The stage that is signed, from 1; 0: none is yet.");
    for (size_t i = 0; i < n; i++)
        hf_metrics_sample(m, list[i].bundle->rollout.is_signed ? (double)list[i].view.stage + 1 : 0,
                          LABELS, LABELS_OF(list[i].bundle));
    hf_metrics_family(m, "holdfast_rollout_mandatory_timestamp_seconds", "gauge",
                      "When every device installs the bundle whatever is signed, as Unix time.");
    for (size_t i = 0; i < n; i++)
        hf_metrics_sample(m, (double)list[i].bundle->description.plan->mandatory_from_s, LABELS,
                          LABELS_OF(list[i].bundle));
}

static enum hf_err look(struct hf_api *api, struct hf_tx *tx, const struct hf_published *published,
                        struct seen *list, size_t *n, struct hf_why *why)
{
    for (size_t i = 0; i < published->n; i++) {
        const struct hf_published_bundle *bundle = &published->bundles[i];
        struct hf_rollout_row row;
        if (bundle->description.plan == NULL || !bundle->is_newest)
            continue;
        enum hf_err err = hf_rollout_row_find(tx->db, bundle, &row, why);
        if (err == HF_E_NOT_FOUND)
            continue;
        HF_TRY(err);
        list[*n].bundle = bundle;
        (void)hf_rollout_steering_view(hf_rollout_keeper_steering(api->config.rollouts), row.id,
                                       bundle, tx->now_s, &list[*n].view);
        ++*n;
    }
    return HF_OK;
}

enum hf_err hf_api_rollout_metrics(struct hf_api *api, struct hf_tx *tx, struct hf_metrics *m,
                                   struct hf_why *why)
{
    struct hf_published *published = hf_api_published(api);
    const size_t room = published != NULL ? published->n : 0;
    struct seen *list = calloc(room + 1, sizeof *list);
    size_t n = 0;

    enum hf_err err = list != NULL ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for the metrics");
    if (err == HF_OK && published != NULL)
        err = look(api, tx, published, list, &n, why);
    if (err == HF_OK) {
        write_states(m, list, n);
        write_devices(m, list, n);
        write_moments(m, list, n);
    }
    free(list);
    hf_published_unref(published);
    return err;
}
