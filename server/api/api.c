#include "server/api/api.h"

#include "server/api/call.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum hf_err hf_api_start(struct hf_api *api, const struct hf_api_config *config, struct hf_why *why)
{
    *api = (struct hf_api){.config = *config,
                           .signer_connection = -1,
                           .started_s = (int64_t)time(NULL)};
    return hf_worker_start(&api->signer,
                           &(struct hf_worker_config){.name = "signer",
                                                      .queue_max = HF_API_SIGNER_QUEUE_MAX,
                                                      .batch_max = 1,
                                                      .run = hf_worker_run_each},
                           why);
}

void hf_api_end(struct hf_api *api)
{
    atomic_store(&api->is_ending, true);
}

void hf_api_stop(struct hf_api *api)
{
    hf_worker_stop(&api->signer);
    if (api->signer_connection >= 0)
        (void)close(api->signer_connection);
}

bool hf_api_is_path(const struct hf_request *request)
{
    char path[HF_HTTP_TARGET_BYTES_MAX];
    size_t len = 0;
    return hf_request_path(request->target.text, request->target.len, path, &len) && len >= 4 &&
           memcmp(path, "/v1/", 4) == 0;
}

void hf_api_handle_admin(struct hf_api *api, struct hf_request *request)
{
    hf_api_call_begin(api, NULL, request, hf_api_admin_routes);
}

void hf_api_handle_device(struct hf_api *api, struct hf_gate *gate, struct hf_request *request)
{
    hf_api_call_begin(api, gate, request, hf_api_device_routes);
}
