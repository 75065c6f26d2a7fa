#include "server/api/api.h"

#include "common/report/limits.h"
#include "server/api/call.h"
#include "server/api/problem.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

const struct hf_body_rule hf_api_device_bodies[] = {{"/v1/reports", HF_REPORT_BODY_MAX},
                                                    {"/v1/", HF_API_DEVICE_BODY_MAX}};
const size_t hf_api_n_device_bodies = sizeof hf_api_device_bodies / sizeof hf_api_device_bodies[0];

enum hf_err hf_api_start(struct hf_api *api, const struct hf_api_config *config, struct hf_why *why)
{
    *api = (struct hf_api){.config = *config,
                           .signer_connection = -1,
                           .started_s = (int64_t)time(NULL)};
    struct hf_worker_config worker = {.name = "signer",
                                      .queue_max = HF_API_SIGNER_QUEUE_MAX,
                                      .batch_max = 1,
                                      .run = hf_worker_run_each};
    hf_api_set_unverified_max(api, config->unverified_max);
    if (uv_mutex_init(&api->mutex) != 0)
        return hf_fail(why, HF_E_MEMORY, "no memory for the API");
    enum hf_err err = hf_worker_start(&api->signer, &worker, why);
    if (err != HF_OK)
        goto out;
    worker.name = "disk";
    worker.queue_max = HF_API_DISK_QUEUE_MAX;
    err = hf_worker_start(&api->disk, &worker, why);
    if (err != HF_OK)
        hf_worker_stop(&api->signer);
out:
    if (err != HF_OK)
        uv_mutex_destroy(&api->mutex);
    return err;
}

void hf_api_set_unverified_max(struct hf_api *api, int64_t max)
{
    atomic_store(&api->unverified_max, max != 0 ? max : HF_FLEET_UNVERIFIED_MAX);
}

void hf_api_offer(struct hf_api *api, struct hf_published *published)
{
    uv_mutex_lock(&api->mutex);
    struct hf_published *old = api->published;
    api->published = hf_published_ref(published);
    uv_mutex_unlock(&api->mutex);
    hf_published_unref(old);
}

struct hf_published *hf_api_published(struct hf_api *api)
{
    uv_mutex_lock(&api->mutex);
    struct hf_published *published = hf_published_ref(api->published);
    uv_mutex_unlock(&api->mutex);
    return published;
}

void hf_api_end(struct hf_api *api)
{
    atomic_store(&api->is_ending, true);
}

void hf_api_stop(struct hf_api *api)
{
    hf_worker_stop(&api->disk);
    hf_worker_stop(&api->signer);
    if (api->signer_connection >= 0)
        (void)close(api->signer_connection);
    hf_published_unref(api->published);
    uv_mutex_destroy(&api->mutex);
}

bool hf_api_is_path(const struct hf_request *request)
{
    char path[HF_HTTP_TARGET_BYTES_MAX];
    size_t len = 0;
    return hf_request_path(request->target.text, request->target.len, path, &len) && len >= 4 &&
           memcmp(path, "/v1/", 4) == 0;
}

const char *hf_api_refuse_admin(const struct hf_request *request, unsigned status,
                                const char *sentence, struct hf_buf *out)
{
    struct hf_why why = {0};
    (void)request;
    (void)hf_fail(&why, hf_problem_error(status), "%s", sentence);
    return hf_problem_write(status, &why, out) == HF_OK ? HF_PROBLEM_TYPE : NULL;
}

const char *hf_api_refuse_device(const struct hf_request *request, unsigned status,
                                 const char *sentence, struct hf_buf *out)
{
    bool is_api = request->target.len >= 4 && memcmp(request->target.text, "/v1/", 4) == 0;
    return is_api ? hf_api_refuse_admin(request, status, sentence, out) : NULL;
}

void hf_api_handle_admin(struct hf_api *api, struct hf_api_streams *streams,
                         struct hf_request *request)
{
    hf_api_call_begin(api, NULL, streams, request, hf_api_admin_routes);
}

void hf_api_handle_device(struct hf_api *api, struct hf_gate *gate, struct hf_request *request)
{
    hf_api_call_begin(api, gate, NULL, request, hf_api_device_routes);
}
