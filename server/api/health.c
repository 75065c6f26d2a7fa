/* /healthz and /readyz: is the process there, and can it do its work? For monitoring. */
#include "server/api/parts.h"

#include "server/fleet/audit_log.h"

#include <string.h>

static enum hf_err is_alive(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    (void)tx;
    return hf_api_answer_take(call, 200, json_pack("{s:s}", "status", "ok"), why);
}

/* What is not ready, as one sentence. */
struct faults {
    struct hf_buf text;
};

static void faults_free(void *work)
{
    hf_buf_free(&((struct faults *)work)->text);
}

static enum hf_err add_fault(struct faults *faults, const char *part, const char *fault,
                             struct hf_why *why)
{
    if (hf_buf_printf(&faults->text, "%s%s: %s", faults->text.len > 0 ? "; " : "", part, fault) ==
        HF_OK)
        return HF_OK;
    return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

/* A service without a signer is ready without one. */
static enum hf_err ask_signer(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct faults *faults = hf_api_work(call, sizeof *faults, faults_free);
    struct hf_why reason = {0};
    json_t *answer = NULL;
    (void)tx;
    if (faults == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    if (call->api->config.signer_socket == NULL)
        return HF_OK;
    enum hf_err err = hf_api_ask_signer_take(call, json_pack("{s:s}", "verb", "status"), -1,
                                             &answer, &reason);
    json_decref(answer);
    call->status = 0; /* its failure is a part of the answer */
    return err == HF_OK ? HF_OK : add_fault(faults, "signer", reason.text, why);
}

static enum hf_err look_at_repository(const struct hf_api *api, struct faults *faults,
                                      struct hf_why *why)
{
    json_t *status = api->config.status != NULL ? api->config.status(api->config.ctx) : NULL;
    const json_t *repository = json_object_get(status, "repository");
    const char *word = json_string_value(json_object_get(repository, "status"));
    const char *problem = json_string_value(json_object_get(repository, "problem"));
    enum hf_err err = HF_OK;
    if (word != NULL && strcmp(word, "ok") != 0)
        err = add_fault(faults, "repository", problem != NULL ? problem : word, why);
    json_decref(status);
    return err;
}

/* That this step runs is the answer for the database: the writer has begun its transaction. */
static enum hf_err is_ready(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct faults *faults = call->work;
    struct hf_audit_head head;
    size_t of_signer = faults->text.len;
    HF_TRY(hf_audit_log_head(tx->db, &head, why));
    enum hf_err err = HF_OK;
    if (hf_fleet_is_behind(call->api->config.fleet))
        err = add_fault(faults, "log", "entries that the signer sealed are missing", why);
    if (err == HF_OK)
        err = look_at_repository(call->api, faults, why);
    if (err == HF_OK && faults->text.len > 0)
        err = hf_fail(why, HF_E_BUSY, "not ready: %s", (const char *)faults->text.data);
    faults->text.len = of_signer; /* a step may run again */
    return err == HF_OK ? hf_api_answer_take(call, 200, json_pack("{s:s}", "status", "ready"), why)
                        : err;
}

const struct hf_api_route hf_health_routes[] = {
    {HTTP_GET, "/healthz", HF_ADMIN_NONE, .steps = {{HF_API_LOOP, is_alive}}},
    {HTTP_GET, "/readyz", HF_ADMIN_VIEWER,
     .steps = {{HF_API_SIGNER, ask_signer}, {HF_API_WRITE, is_ready}}},
    {0},
};
