#include "client/port/mbedtls/pem_store.h"

#include "common/bundle/policy.h"

#include <stdlib.h>

static enum hf_err fill(struct hf_trust_store *store, const struct hf_bundle *bundle,
                        struct hf_why *why)
{
    struct hf_trust_anchor *anchors = calloc(bundle->n_anchors, sizeof *anchors);
    enum hf_err err;

    if (anchors == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %zu trust anchors", bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        anchors[i] = (struct hf_trust_anchor){
            .der = bundle->anchors[i].der,
            .not_before_s = bundle->anchors[i].cert.not_before_s,
            .not_after_s = bundle->anchors[i].cert.not_after_s,
            .distrust_after_s = bundle->anchors[i].distrust_after_s,
            .remove_after_s = bundle->anchors[i].remove_after_s,
        };
    err = hf_trust_store_swap(store, anchors, bundle->n_anchors, why);
    free(anchors);
    return err;
}

enum hf_err hf_trust_store_new_from_pem(struct hf_bytes pem, struct hf_trust_store **out,
                                        char skipped[HF_WHY_MAX], struct hf_why *why)
{
    struct hf_trust_store *store = NULL;
    struct hf_bundle bundle = {0};
    enum hf_err err;

    HF_TRY(hf_bundle_parse(pem, NULL, &bundle, why));
    err = hf_policy_check_issuers(&bundle, why);
    if (err == HF_OK)
        err = hf_trust_store_new(&store, why);
    if (err == HF_OK)
        err = fill(store, &bundle, why);
    if (err == HF_OK && skipped != NULL)
        hf_bundle_skipped_text(&bundle, skipped);
    hf_bundle_free(&bundle);
    if (err != HF_OK) {
        hf_trust_store_free(store);
        return err;
    }
    *out = store;
    return HF_OK;
}
