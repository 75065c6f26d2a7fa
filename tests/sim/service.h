/* Who opens the stages: three rules for the same devices and the same reports. */
#ifndef HF_TESTS_SIM_SERVICE_H
#define HF_TESTS_SIM_SERVICE_H

#include "server/rollout/engine.h"
#include "server/rollout/ledger.h"

enum sim_rule {
    SIM_RULE_HOLDFAST, /* server/rollout, and what the signer would say */
    /* Like hawkBit: the same stages; the next one opens when enough devices of the last have
     * finished, and stops when too many of them report an error. No time, no silence. */
    SIM_RULE_HAWKBIT,
    SIM_RULE_NONE, /* all devices at once */
};

struct sim_service {
    enum sim_rule rule;
    const struct hf_rollout_plan *plan; /* that the devices see; NULL: none */
    const struct hf_rollout_plan *thresholds;
    struct hf_rollout_ledger *ledger;
    const char *path;
    const uint8_t *sha256;
    int64_t version; /* of the signed role */
    bool is_signed;
    struct hf_rollout_activation now; /* if it is */
    struct hf_rollout_plan no_calendar;
    /* what happened */
    int64_t opened_s[HF_ROLLOUT_STAGES_MAX]; /* 0: never */
    int64_t paused_s, complete_s;
    bool is_stalled;
    char reason[HF_ROLLOUT_SENTENCE_MAX];
};

/** `plan` is borrowed. The devices are in stages of it, for any rule. Exits where memory is
 *  short. */
void sim_service_begin(struct sim_service *service, enum sim_rule rule,
                       const struct hf_rollout_plan *plan, const uint8_t sha256[HF_SHA256_LEN],
                       const struct hf_rollout_subject *subject);
void sim_service_end(struct sim_service *service);

/** What devices find now; NULL: no stage. */
const struct hf_rollout_activation *sim_service_activation(const struct sim_service *service);

/** Decide, sign. Exits if the signer's rules refuse what the engine asks for. */
void sim_service_look(struct sim_service *service, int64_t now_s);

#endif
