#include "common/tls/chain.h"

enum hf_err hf_chain_add(struct hf_chain *chain, struct hf_bytes der, struct hf_why *why)
{
    struct hf_buf copy = {0};

    if (chain->n_certs == HF_CHAIN_CERTS_MAX)
        return hf_fail(why, HF_E_LIMIT, "the chain has more than %d certificates",
                       HF_CHAIN_CERTS_MAX);
    if (hf_buf_append(&copy, der.data, der.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "no memory for a certificate");
    chain->certs[chain->n_certs++] = copy;
    return HF_OK;
}

void hf_chain_free(struct hf_chain *chain)
{
    for (size_t i = 0; i < chain->n_certs; i++)
        hf_buf_free(&chain->certs[i]);
    chain->n_certs = 0;
}

bool hf_chain_equal(const struct hf_chain *a, const struct hf_chain *b)
{
    for (size_t i = 0; i < a->n_certs && i < b->n_certs; i++) {
        if (!hf_bytes_equal(hf_buf_bytes(&a->certs[i]), hf_buf_bytes(&b->certs[i])))
            return false;
    }
    return a->n_certs == b->n_certs;
}
