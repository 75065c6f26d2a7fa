#include "client/port/mbedtls/rehearsal.h"

static _Thread_local struct hf_rehearsal *under_way;

void hf_rehearsal_begin(struct hf_rehearsal *rehearsal)
{
    under_way = rehearsal;
}

void hf_rehearsal_end(void)
{
    under_way = NULL;
}

struct hf_rehearsal *hf_rehearsal_of(const struct hf_trust_store *store)
{
    return under_way != NULL && under_way->store == store ? under_way : NULL;
}
