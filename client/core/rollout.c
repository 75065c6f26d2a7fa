/* Whose turn it is: the stage that an online key has signed, compared with the plan that offline
 * keys signed. */
#include "client/core/refresh.h"
#include "client/core/report.h"
#include "client/core/update.h"

#include "common/rollout/role.h"

#include <stdio.h>
#include <string.h>

/* Asked for once in a refresh: who withholds the role is not asked again for every bundle. NULL: it
 * is not there, which the log says. */
static const struct hf_trusted_targets *obtain_role(struct hf_client *c)
{
    const struct hf_trusted_targets *top = hf_trusted_set_find_targets(&c->trusted, "targets",
                                                                       NULL);
    struct hf_why why = {0};
    char role[HF_ROLLOUT_ROLE_SIZE];

    hf_rollout_role_name(c->set, role);
    if (!c->has_asked_rollout) {
        const struct hf_delegation *d = hf_rollout_delegation(&top->targets, role);
        enum hf_err err = d == NULL
                              ? hf_fail(&why, HF_E_NOT_FOUND,
                                        "targets does not delegate %s/*/*.pem to %s", c->set, role)
                              : hf_rollout_delegation_check(d, &why);
        if (err == HF_OK)
            err = hf_targets_obtain(c, role, top, &why);
        if (err != HF_OK)
            hf_log(c, HF_LEVEL_WARNING, "no stage of the rollout is known: %s", why.text);
    }
    c->has_asked_rollout = true;
    return hf_trusted_set_find_targets(&c->trusted, role, top);
}

/* False: there is no valid one for this very bundle. */
static bool find_activation(struct hf_client *c, const struct hf_target *target,
                            struct hf_rollout_activation *out)
{
    const struct hf_trusted_targets *role = obtain_role(c);
    struct hf_why why = {0};

    if (role == NULL)
        return false;
    enum hf_err err = hf_rollout_find(&role->targets, target, out, &why);
    if (err != HF_OK && err != HF_E_NOT_FOUND) /* not yet */
        hf_log(c, HF_LEVEL_WARNING, "the stage of %s counts as unknown: %s", target->path,
               why.text);
    return err == HF_OK;
}

bool hf_rollout_lets(struct hf_client *c, const struct hf_candidate *cand,
                     const struct hf_target *target, const struct hf_description *d,
                     struct hf_held *held)
{
    const struct hf_rollout_device device = {.id = c->device_id[0] != '\0' ? c->device_id : NULL,
                                             .groups = (const void *)c->groups,
                                             .n_groups = c->n_groups,
                                             .active = cand->is_active_of_us ? cand->active.version
                                                                             : -1};
    const int64_t now_s = c->trusted.now_s;
    struct hf_rollout_activation activation;
    char reason[HF_WHY_MAX - 2 * HF_SET_NAME_MAX - 64]; /* more is said in front of it */

    /* What is in use needs no turn. */
    if (d->plan == NULL || !cand->has_active || device.active == d->version)
        return true;
    bool is_known = now_s >= d->plan->not_before_s && now_s < d->plan->mandatory_from_s &&
                    find_activation(c, target, &activation);
    const struct hf_rollout_decision decision = hf_rollout_decide(d->plan,
                                                                  is_known ? &activation : NULL,
                                                                  target->info.sha256, &device,
                                                                  now_s);
    /* A device that can validate nothing has nothing to lose. */
    if (decision.takes || !hf_candidate_can_lose(c, cand))
        return true;
    hf_rollout_explain(&decision, d->plan, is_known ? &activation : NULL, now_s, reason,
                       sizeof reason);
    *held = (struct hf_held){d->version, decision.turn_s, decision.latest_s, ""};
    (void)snprintf(held->text, sizeof held->text, "version %lld waits: %s", (long long)d->version,
                   reason);
    return false;
}

enum hf_err hf_rollout_note(struct hf_client *c, const struct hf_held *held, struct hf_why *why)
{
    struct hf_held *known = &c->state.held;
    const struct hf_report_event event = {.kind = HF_REPORT_HELD,
                                          .from = -1,
                                          .to = held->version,
                                          .text = held->text};
    if (held->version > 0 && strcmp(held->text, known->text) != 0) {
        HF_TRY(hf_journal(c, HF_LEVEL_INFO, "held", held->text, why));
        hf_report_note(c, &event);
    }
    *known = *held;
    return HF_OK;
}
