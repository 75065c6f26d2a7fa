#include "client/port/mbedtls/trust_store_internal.h"
#include "common/chain/clock.h"
#include "common/bundle/distinguished_name.h"

#include <stdio.h>
#include <string.h>

/* What stays the same from verdict to verdict. */
struct verify_ctx {
    const struct hf_chain *chain;
    struct hf_chain_context context;
};

/** False where the server's own certificate cannot be read. Others that cannot may not be
 *  needed. */
static bool describe(struct verify_ctx *ctx, struct hf_chain_observation *out)
{
    struct hf_certificate cert;

    for (size_t i = 0; i < ctx->chain->n_certs; i++) {
        if (!hf_certificate_parse(hf_buf_bytes(&ctx->chain->certs[i]), &cert)) {
            if (i > 0)
                continue;
            (void)snprintf(out->text, sizeof out->text,
                           "certificate 0 of the chain that it shows cannot be read");
            return false;
        }
        if (i == 0) {
            out->leaf_not_before_s = cert.not_before_s;
            out->leaf_not_after_s = cert.not_after_s;
        }
        hf_x509_form_name(cert.form.issuer, out->issuer); /* the last one's stays */
    }
    return true;
}

/* Does a certificate of the chain ask for an anchor of that name? */
static bool is_asked_for(const struct verify_ctx *ctx, struct hf_bytes anchor_der)
{
    struct hf_certificate anchor, cert;

    if (!hf_certificate_parse(anchor_der, &anchor))
        return false;
    for (size_t i = 0; i < ctx->chain->n_certs; i++)
        if (hf_certificate_parse(hf_buf_bytes(&ctx->chain->certs[i]), &cert) &&
            hf_name_equal(cert.form.issuer, anchor.form.subject))
            return true;
    return false;
}

/** `told` (NULL: not wanted) gets why the chain is not valid. */
static enum hf_err judge(const struct verify_ctx *ctx, const struct hf_trust_anchor *list, size_t n,
                         bool *is_valid, struct hf_chain_observation *told, struct hf_why *why)
{
    struct hf_chain_verdict verdict = {0};
    struct hf_anchors *anchors = NULL;

    HF_TRY(hf_anchors_new(list, n, &anchors, why));
    enum hf_err err = hf_chain_judge(ctx->chain, anchors, &ctx->context, &verdict, why);
    hf_anchors_free(anchors);
    HF_TRY(err);
    *is_valid = verdict.is_valid;
    if (told != NULL) {
        hf_chain_verdict_faults(&verdict, told->text);
        told->lacks_only_anchor = verdict.lacks_only_anchor;
    }
    hf_chain_verdict_free(&verdict);
    return HF_OK;
}

/* Alone, so that no other of the same name or key can do its work. */
static enum hf_err try_anchor(const struct verify_ctx *ctx, const struct hf_trust_anchor *anchor,
                              struct hf_chain_observation *out, struct hf_why *why)
{
    struct hf_cert cert;
    bool is_valid = false;

    /* Only an anchor whose name the chain asks for can be its end. */
    if (!is_asked_for(ctx, anchor->der) || out->n_anchors == HF_OBSERVED_ANCHORS_MAX ||
        hf_cert_parse(anchor->der, &cert, NULL) != HF_OK)
        return HF_OK;
    for (size_t i = 0; i < out->n_anchors; i++) {
        if (memcmp(out->anchors[i], cert.spki_sha256, sizeof cert.spki_sha256) == 0)
            return HF_OK;
    }
    HF_TRY(judge(ctx, anchor, 1, &is_valid, NULL, why));
    if (is_valid)
        memcpy(out->anchors[out->n_anchors++], cert.spki_sha256, sizeof cert.spki_sha256);
    return HF_OK;
}

enum hf_err hf_chain_observe(const struct hf_chain *chain, const char *host,
                             const struct hf_anchor_set *sets, size_t n_sets, bool *is_valid,
                             struct hf_chain_observation *out, struct hf_why *why)
{
    struct verify_ctx ctx = {.chain = chain,
                             .context = {.host = host, .at_s = hf_chain_clock_now_s()}};
    struct hf_chain_observation seen = {.has_proof = true, .has_chain_proof = true};

    for (size_t i = 0; i < n_sets; i++)
        is_valid[i] = false;
    if (chain->n_certs == 0 || !describe(&ctx, &seen)) {
        seen.has_proof = seen.has_chain_proof = false;
        *out = seen;
        return HF_OK;
    }
    for (size_t i = 0; i < n_sets; i++) {
        /* The sentence is about the last set: the anchors to be. */
        HF_TRY(judge(&ctx, sets[i].anchors, sets[i].n_anchors, &is_valid[i],
                     i + 1 == n_sets ? &seen : NULL, why));
    }
    /* Where all of a set together are no end of the chain, none alone is. */
    for (size_t i = 0; i < n_sets; i++) {
        for (size_t k = 0; is_valid[i] && k < sets[i].n_anchors; k++)
            HF_TRY(try_anchor(&ctx, &sets[i].anchors[k], &seen, why));
    }
    *out = seen;
    return HF_OK;
}
