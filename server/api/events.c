/* GET /v1/events: what happens in the fleet, as it happens. */
#include "server/api/parts.h"

#include "server/api/streams.h"

struct work {
    int64_t account_id;
};

static enum hf_err find_account(struct hf_api_call *call, struct hf_tx *tx, struct hf_why *why)
{
    struct work *work = hf_api_work(call, sizeof *work, NULL);
    struct hf_account_row account = {.id = -1};

    if (work == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an answer");
    if (call->match.has_filter[0])
        HF_TRY(hf_account_find(tx->db, call->match.filters[0], &account, why));
    work->account_id = account.id;
    return HF_OK;
}

/* hf_api_route.answer */
static unsigned open_stream(struct hf_api_call *call, struct hf_why *why)
{
    return hf_api_stream_open(call, ((const struct work *)call->work)->account_id, why);
}

const struct hf_api_route hf_event_routes[] = {
    {HTTP_GET, "/v1/events", HF_ADMIN_VIEWER, .filters = {"account"}, .answer = open_stream,
     .steps = {{HF_API_READ, find_account}}},
    {0},
};
