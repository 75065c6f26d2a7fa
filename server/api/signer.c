/* /v1/signer, /v1/publications, /v1/status: what the signer and the service say and do. */
#include "server/api/parts.h"

#include "server/fleet/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What the steps hand on: the signer's answer. */
struct work {
    json_t *said;
};

static void work_free(void *work)
{
    json_decref(((struct work *)work)->said);
}

/* Ask, and keep what the signer said, without its "ok". */
static enum hf_err ask(struct hf_api_call *call, json_t *request, int fd, struct hf_why *why)
{
    struct work *work = hf_api_work(call, sizeof *work, work_free);
    if (work == NULL || request == NULL) {
        json_decref(request);
        return hf_fail(why, HF_E_MEMORY, "no memory for a request");
    }
    HF_TRY(hf_api_ask_signer_take(call, request, fd, &work->said, why));
    (void)json_object_del(work->said, "ok");
    return HF_OK;
}

static enum hf_err ask_status(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    (void)tx;
    HF_TRY(ask(call, json_pack("{s:s}", "verb", "status"), -1, why));
    struct work *work = call->work;
    return hf_api_answer_take(call, 200, json_incref(work->said), why);
}

/*
 * Who asked, before the signer acts: what happened is known even if this process ends before it
 * hears the answer.
 */
static enum hf_err log_ask_for_refresh(struct hf_api_call *call, struct hf_tx *tx,
                                       struct hf_why *why)
{
    (void)call;
    return hf_audit_append_take(tx, "signer.refresh-asked", 0, json_object(), why);
}

static enum hf_err log_ask_for_publication(struct hf_api_call *call, struct hf_tx *tx,
                                           struct hf_why *why)
{
    const char *path = hf_body_text(call->body, "directory");
    if (path[0] != '/')
        return hf_api_input(call,
                            hf_fail(why, HF_E_ARGUMENT,
                                    "\"directory\": expected a path from the root of the file "
                                    "system"));
    return hf_audit_append_take(tx, "publication.asked", 0, json_pack("{s:s}", "directory", path),
                                why);
}

static enum hf_err ask_refresh(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    (void)tx;
    return ask(call, json_pack("{s:s}", "verb", "refresh"), -1, why);
}

/* The descriptor says where the folder is, and gives no right to read it that the signer does not
 * have. */
static enum hf_err ask_publish(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const char *path = hf_body_text(call->body, "directory");
    (void)tx;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_api_input(call,
                            hf_fail(why, HF_E_ARGUMENT, "\"directory\": %s", strerror(errno)));
    enum hf_err err = ask(call, json_pack("{s:s}", "verb", "publish"), fd, why);
    (void)close(fd);
    /* What the signer found in the folder is the operator's to mend: the sentence is shown. */
    if (err != HF_OK && err != HF_E_NETWORK && err != HF_E_MEMORY && call->status == 0)
        call->status = 409;
    return err;
}

/* The act is in the log before the operator hears of it. */
static enum hf_err answer_logged(struct hf_api_call *call, struct hf_tx *tx, const char *action,
                                 unsigned status, struct hf_why *why)
{
    const struct work *work = call->work;
    json_t *details = json_pack("{s:O}", "signer", work->said);
    HF_TRY(hf_audit_append_take(tx, action, 0, details, why));
    return hf_api_answer_take(call, status, json_incref(work->said), why);
}

static enum hf_err record_refresh(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    return answer_logged(call, tx, "signer.refresh", 200, why);
}

static enum hf_err record_publish(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    return answer_logged(call, tx, "publication", 201, why);
}

static enum hf_err show_status(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_api_config *config = &call->api->config;
    int64_t n_credentials = 0;
    struct hf_seal sealed;
    struct hf_audit_head head;
    HF_TRY(hf_credential_count(tx->db, &n_credentials, why));
    HF_TRY(hf_audit_log_head(tx->db, &head, why));
    HF_TRY(hf_seal_last(tx->db, &sealed, why));
    json_t *value = json_pack("{s:s, s:o, s:{s:I}, s:{s:I, s:I}, s:{s:b}}", "version",
                              config->version, "started", hf_json_time(call->api->started_s),
                              "counts", "credentials", (json_int_t)n_credentials, "log", "entries",
                              (json_int_t)head.sequence, "sealed", (json_int_t)sealed.sequence,
                              "signer", "is_configured", config->signer_socket != NULL);
    json_t *more = config->status != NULL ? config->status(config->ctx) : NULL;
    if (value != NULL && more != NULL)
        (void)json_object_update_missing(value, more);
    json_decref(more);
    return hf_api_answer_take(call, 200, value, why);
}

static const struct hf_body_field publish_body[] = {
    {"directory", HF_BODY_TEXT, .is_required = true, .max = 4095},
    {0},
};

const struct hf_api_route hf_signer_routes[] = {
    {HTTP_GET, "/v1/signer", HF_ADMIN_VIEWER, .steps = {{HF_API_SIGNER, ask_status}}},
    {HTTP_POST, "/v1/signer/refresh", HF_ADMIN_OPERATOR,
     .steps = {{HF_API_WRITE, log_ask_for_refresh},
               {HF_API_SIGNER, ask_refresh},
               {HF_API_WRITE, record_refresh}}},
    {HTTP_POST, "/v1/publications", HF_ADMIN_ADMIN, .body = publish_body, .is_local = true,
     .steps = {{HF_API_WRITE, log_ask_for_publication},
               {HF_API_SIGNER, ask_publish},
               {HF_API_WRITE, record_publish}}},
    {HTTP_GET, "/v1/status", HF_ADMIN_VIEWER, .steps = {{HF_API_READ, show_status}}},
    {0},
};
