/* holdfast-admin status: what the service says of itself, whether it is ready, and what the signer
 * may still issue. */
#include "server/admin/api.h"
#include "server/admin/commands.h"

#include "common/cli/report.h"

#include <string.h>

static enum hf_err get(struct hf_admin_api *api, const char *path, json_t **out, struct hf_why *why)
{
    struct hf_admin_call call = {.method = "GET", .path = path};

    HF_TRY(hf_admin_call(api, &call, why));
    *out = call.answer;
    return HF_OK;
}

/* What is not ready, as a text; null: nothing. */
static enum hf_err add_readiness(struct hf_admin_api *api, json_t *status, struct hf_why *why)
{
    static const char before[] = "not ready: ";
    json_t *answer = NULL;
    struct hf_why reason = {0};
    enum hf_err err = get(api, "/readyz", &answer, &reason);
    const char *fault = strstr(reason.text, before);

    json_decref(answer);
    if (err != HF_OK && (err != HF_E_BUSY || fault == NULL))
        return hf_fail(why, err, "%s", reason.text);
    json_t *value = err == HF_OK ? json_null() : json_string(fault + strlen(before));
    return json_object_set_new(status, "not_ready", value) == 0
               ? HF_OK
               : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

/* A signer that does not answer is in not_ready. */
static enum hf_err add_quota(struct hf_admin_api *api, json_t *status, struct hf_why *why)
{
    const json_t *signer = json_object_get(status, "signer");
    json_t *answer = NULL;
    struct hf_why reason = {0};

    if (json_is_true(json_object_get(signer, "is_configured"))) {
        enum hf_err err = get(api, "/v1/signer", &answer, &reason);
        if (err != HF_OK && err != HF_E_BUSY)
            return hf_fail(why, err, "%s", reason.text);
    }
    json_t *quota = json_object_get(answer, "quota");
    int failed = json_object_set(status, "quota", quota != NULL ? quota : json_null());
    json_decref(answer);
    return failed == 0 ? HF_OK : hf_fail(why, HF_E_MEMORY, "no memory for an answer");
}

static enum hf_err run(struct hf_cli_call *cli, struct hf_why *why)
{
    static const char *const members[] = {"version", "not_ready", "repository", "counts",
                                          "signer",  "quota",     NULL};
    const struct hf_admin_options *o = cli->values;
    struct hf_admin_api *api = NULL;
    json_t *status = NULL;

    enum hf_err err = hf_admin_open_for(o, &api, why);
    if (err == HF_OK)
        err = get(api, "/v1/status", &status, why);
    if (err == HF_OK)
        err = add_readiness(api, status, why);
    if (err == HF_OK)
        err = add_quota(api, status, why);
    if (err == HF_OK)
        err = o->is_json ? hf_json_print_take(json_incref(status), stdout, why)
                         : hf_report_json_members(members, status, stdout, why);
    json_decref(status);
    hf_admin_close(api);
    return err;
}

static const struct hf_cli_option options[] = {HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_status = {
    .name = "status",
    .summary = "Show what the service says of itself, and whether it is ready.",
    .arguments = "[OPTION…]",
    .about =
        "not_ready: the parts that cannot do their work now, and why; - if all can. quota: how\n"
        "many certificates the signer has issued and may issue today, and when the day ends.",
    .examples = "  holdfast-admin status\n",
    .options = options,
    .run = run,
};
