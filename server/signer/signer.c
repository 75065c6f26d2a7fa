#include "server/signer/signer.h"

#include "common/base/timetext.h"
#include "common/os/file_util.h"
#include "common/os/service.h"
#include "server/repository/keys/key_file.h"
#include "server/signer/protocol.h"
#include "server/signer/quota.h"
#include "server/signer/verbs.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

/* ---- opening --------------------------------------------------------------------------------- */

enum hf_err hf_signer_make(const struct hf_config *config, struct hf_why *why)
{
    struct hf_path path;
    struct hf_signing_key key = {0};
    const struct hf_kdf open = {.kind = HF_KDF_NONE};
    bool was_made = false;
    HF_TRY(hf_path_set(&path, why, "%s/log.key.json", config->signer.state));
    HF_TRY(hf_file_make_dir(config->signer.state, &was_made, why));
    HF_TRY(hf_signing_key_make(NULL, &key, why));
    enum hf_err err = hf_key_file_create(path.text, &key, &open, NULL, why);
    hf_signing_key_free(&key);
    return err;
}

struct hf_signer_rates hf_signer_rates_of(const struct hf_config *config)
{
    return (struct hf_signer_rates){config->signer.timestamp_every_s, config->signer.issue_per_day,
                                    config->signer.issue_per_day_per_ca};
}

enum hf_err hf_signer_read_config(const char *path, struct hf_config *out, struct hf_why *why)
{
    struct hf_config config;
    HF_TRY(hf_config_read(path, &config, why));
    const char *missing = config.signer.socket == NULL  ? "socket"
                          : config.signer.state == NULL ? "state"
                          : config.signer.keys == NULL  ? "keys"
                                                        : NULL;
    if (missing == NULL) {
        *out = config;
        return HF_OK;
    }
    hf_config_free(&config);
    return hf_fail(why, HF_E_ARGUMENT, "%s: [signer] %s is missing", path, missing);
}

enum hf_err hf_signer_open(const struct hf_config *config, struct hf_signer *out,
                           struct hf_why *why)
{
    struct hf_signer signer = {.config = config, .rates = hf_signer_rates_of(config)};
    struct hf_path path;
    struct hf_key_file file = {0};
    HF_TRY(hf_path_set(&path, why, "%s/log.key.json", config->signer.state));
    if (hf_file_is_absent(path.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no log key %s; make the signer's state folder with "
                       "holdfast-signer init",
                       path.text);
    HF_TRY(hf_key_file_read(path.text, &file, why));
    enum hf_err err = hf_key_file_open(&file, NULL, &signer.log_key, why);
    hf_key_file_free(&file);
    if (err == HF_OK)
        err = hf_signer_state_open(config->signer.state, &signer.state, why);
    if (err == HF_OK)
        *out = signer;
    else
        hf_signing_key_free(&signer.log_key);
    return err;
}

void hf_signer_close(struct hf_signer *signer)
{
    hf_signer_state_close(&signer->state);
    hf_signing_key_free(&signer->log_key);
}

/* ---- signatures, status, and the table ------------------------------------------------------- */

static enum hf_err signatures(struct hf_signer *signer, const json_t *request, int fd,
                              const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    int64_t after = 0, newest = 0;
    json_t *list = NULL;
    (void)fd, (void)now;
    HF_TRY(hf_json_get_integer(request, "after", HF_SIGNER_REQUEST, 0, &after, why));
    HF_TRY(hf_signer_state_newest(&signer->state, &newest, why));
    HF_TRY(hf_signer_state_signatures(&signer->state, after, &list, why));
    *answer = json_pack("{s:o, s:I}", "signatures", list, "newest", (json_int_t)newest);
    return HF_OK;
}

static json_t *list_rollouts(const struct hf_online_result *found)
{
    json_t *list = json_array();
    for (size_t i = 0; i < found->n_rollouts; i++)
        list = hf_json_append_take(list,
                                   json_pack("{s:s, s:I, s:o}", "role", found->rollouts[i].role,
                                             "version", (json_int_t)found->rollouts[i].version,
                                             "expires",
                                             hf_json_time(found->rollouts[i].expires_s)));
    return list;
}

static enum hf_err status(struct hf_signer *signer, const json_t *request, int fd,
                          const struct hf_moment *now, json_t **answer, struct hf_why *why)
{
    struct hf_seal_head seal;
    struct hf_log_restart restart;
    struct hf_quota_use use = {.used = 0};
    int64_t refreshed_s = signer->refreshed.wall_s;
    json_t *list = NULL;
    (void)request, (void)fd;
    HF_TRY(hf_quota_look(&signer->state, HF_QUOTA_SIGNER, "", now, &use, why));
    HF_TRY(hf_signer_state_seal_head(&signer->state, &seal, why));
    HF_TRY(hf_signer_state_restart(&signer->state, &restart, why));
    enum hf_err err = hf_signer_list_cas(signer, now, &list, why);
    if (err != HF_OK) {
        json_decref(restart.statement);
        return err;
    }
    *answer = json_pack("{s:o, s:o, s:{s:I, s:I, s:I, s:o}, s:{s:I, s:o, s:o}, s:o}", "log_key",
                        json_incref(signer->log_key.public_key), "cas", list, "quota", "per_day",
                        (json_int_t)signer->rates.issue_per_day, "per_day_per_ca",
                        (json_int_t)signer->rates.issue_per_day_per_ca, "issued",
                        (json_int_t)use.used, "opens", hf_json_time(use.opens_s), "seal",
                        "sequence", (json_int_t)seal.head.sequence, "hash",
                        hf_json_sha256(seal.head.hash), "time",
                        hf_json_time(seal.head.sequence > 0 ? seal.sealed_s : HF_TIME_NONE),
                        "refreshed", hf_json_time(refreshed_s > 0 ? refreshed_s : HF_TIME_NONE));
    *answer = hf_json_set_take(*answer, "rollouts", list_rollouts(&signer->found));
    if (restart.statement != NULL)
        *answer = hf_json_set_take(*answer, "restart", restart.statement);
    return HF_OK;
}

json_t *hf_signer_answer(struct hf_signer *signer, const json_t *request, int fd,
                         const struct hf_moment *now)
{
    static const struct {
        const char *verb;
        hf_signer_verb *run;
    } verbs[] = {
        {"status", status},       {"refresh", hf_verb_refresh}, {"publish", hf_verb_publish},
        {"issue", hf_verb_issue}, {"renew", hf_verb_renew},     {"cas", hf_verb_cas},
        {"seal", hf_verb_seal},   {"step", hf_verb_step},       {"signatures", signatures},
    };
    struct hf_why why = {0};
    const char *verb = NULL;
    json_t *answer = NULL;
    enum hf_err err = hf_json_get_text(request, "verb", HF_SIGNER_REQUEST, &verb, &why);
    if (err == HF_OK)
        err = hf_fail(&why, HF_E_ARGUMENT, HF_SIGNER_REQUEST ": there is no verb \"%.32s\"", verb);
    for (size_t i = 0; verb != NULL && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].verb, verb) == 0)
            err = verbs[i].run(signer, request, fd, now, &answer, &why);
    if (err != HF_OK)
        return hf_signer_refusal(&why);
    return hf_json_set_take(answer, "ok", json_true());
}
