#include "server/repository/certs/self_signed.h"

#include "common/bundle/policy.h"

#include <stdlib.h>
#include <string.h>

static bool is_known(const struct hf_self_signed *known, const struct hf_cert *cert)
{
    for (size_t i = 0; i < known->n_items; i++) {
        if (memcmp(known->sha256[i], cert->sha256, HF_SHA256_LEN) == 0)
            return true;
    }
    return false;
}

/* Room for all of a bundle, so that noting one cannot fail. */
static enum hf_err reserve(struct hf_self_signed *known, size_t n_more, struct hf_why *why)
{
    void *more = realloc(known->sha256, (known->n_items + n_more + 1) * sizeof *known->sha256);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for fingerprints");
    known->sha256 = more;
    return HF_OK;
}

enum hf_err hf_self_signed_verify(struct hf_self_signed *known, const struct hf_bundle *bundle,
                                  struct hf_why *why)
{
    if (known == NULL)
        return hf_policy_verify_self_signatures(bundle, why);
    HF_TRY(reserve(known, bundle->n_anchors, why));
    for (size_t i = 0; i < bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &bundle->anchors[i];
        if (anchor->use != HF_USE_ANCHOR || is_known(known, &anchor->cert))
            continue;
        HF_TRY(hf_cert_verify_self_signature(anchor->der, why));
        memcpy(known->sha256[known->n_items++], anchor->cert.sha256, HF_SHA256_LEN);
    }
    return HF_OK;
}

void hf_self_signed_free(struct hf_self_signed *known)
{
    free(known->sha256);
    *known = (struct hf_self_signed){0};
}
