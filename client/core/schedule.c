#include "client/core/client_internal.h"

#define RETRY_FIRST_S INT64_C(60)
#define RETRY_MAX_S (6 * INT64_C(3600))

static int64_t interval_s(unsigned failures_in_a_row)
{
    int64_t retry_s = RETRY_FIRST_S;
    if (failures_in_a_row == 0)
        return HF_CHECK_INTERVAL_S;
    for (unsigned i = 1; i < failures_in_a_row && retry_s < RETRY_MAX_S; i++)
        retry_s *= 2;
    return retry_s < RETRY_MAX_S ? retry_s : RETRY_MAX_S;
}

int64_t hf_client_next_check_s(struct hf_client *client, unsigned failures_in_a_row)
{
    int64_t mean_s = interval_s(failures_in_a_row);
    uint32_t random = 0;

    client->ports.random.fill(client->ports.random.ctx, &random, sizeof random);
    /* From three quarters of the mean to five quarters (HF_CHECK_INTERVAL_MAX_S), evenly. */
    return mean_s * 3 / 4 + ((mean_s / 2 * (int64_t)random) >> 32);
}
