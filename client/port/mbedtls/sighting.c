#include "client/port/mbedtls/sighting.h"

#include "common/bundle/x509_name.h"

#include <stdio.h>
#include <string.h>

/* What stays the same from verification to verification. */
struct court {
    struct hf_trust_store *store;
    const struct hf_chain *chain;
    const char *host;
    uint64_t issuers[HF_CHAIN_CERTS_MAX]; /* of the chain's certificates, by hf_name_hash */
};

/* ---- the chain by itself ---------------------------------------------------------------------------- */

static bool hash_name(struct hf_bytes der, bool of_issuer, uint64_t *out)
{
    mbedtls_x509_crt crt;

    mbedtls_x509_crt_init(&crt);
    bool is_read = mbedtls_x509_crt_parse_der_nocopy(&crt, der.data, der.len) == 0;
    if (is_read)
        *out = hf_name_hash(of_issuer ? &crt.issuer : &crt.subject);
    mbedtls_x509_crt_free(&crt);
    return is_read;
}

/** False where a certificate of it cannot be read. */
static bool describe(struct court *court, struct hf_sighting *out)
{
    const struct hf_chain *chain = court->chain;
    struct hf_cert cert = {0};
    struct hf_why why = {0};

    for (size_t i = 0; i < chain->n_certs; i++) {
        struct hf_bytes der = hf_buf_bytes(&chain->certs[i]);
        if (hf_cert_parse(der, &cert, &why) != HF_OK || !hash_name(der, true, &court->issuers[i])) {
            (void)snprintf(out->text, sizeof out->text,
                           "certificate %zu of the chain that it shows cannot be read: %.500s", i,
                           why.text);
            return false;
        }
        if (i == 0) {
            out->leaf_not_before_s = cert.not_before_s;
            out->leaf_not_after_s = cert.not_after_s;
        }
    }
    (void)snprintf(out->issuer, sizeof out->issuer, "%s", cert.issuer); /* the last one's */
    return true;
}

/* ---- verdicts ------------------------------------------------------------------------------------------ */

/** `faults` may be NULL. */
static enum hf_err verify_under(const struct court *court, const struct hf_trust_anchor *anchors,
                                size_t n_anchors, bool *is_valid, char *faults, struct hf_why *why)
{
    struct hf_chain_verdict verdict = {0};

    HF_TRY(hf_trust_store_swap(court->store, anchors, n_anchors, why));
    HF_TRY(hf_chain_verify(court->store, court->chain, court->host, &verdict, why));
    *is_valid = verdict.is_valid;
    if (faults != NULL)
        hf_chain_verdict_faults(&verdict, faults);
    hf_chain_verdict_free(&verdict);
    return HF_OK;
}

/* The sentence is about the first set, the anchors of today. */
static enum hf_err verify_under_sets(const struct court *court, const struct hf_anchor_set *sets,
                                     size_t n_sets, bool *is_valid, struct hf_sighting *out,
                                     struct hf_why *why)
{
    bool is_valid_somewhere = false;

    for (size_t i = 0; i < n_sets; i++) {
        HF_TRY(verify_under(court, sets[i].anchors, sets[i].n_anchors, &is_valid[i],
                            i == 0 ? out->text : NULL, why));
        is_valid_somewhere = is_valid_somewhere || is_valid[i];
    }
    if (is_valid_somewhere)
        out->text[0] = '\0';
    return HF_OK;
}

/* ---- anchors ------------------------------------------------------------------------------------------- */

/** Only an anchor whose name the chain asks for can be its end. */
static bool is_asked_for(const struct court *court, const struct hf_trust_anchor *anchor)
{
    uint64_t subject = 0;

    if (!hash_name(anchor->der, false, &subject))
        return false;
    for (size_t i = 0; i < court->chain->n_certs; i++) {
        if (court->issuers[i] == subject)
            return true;
    }
    return false;
}

static bool is_noted(const struct hf_sighting *sighting, const uint8_t spki[32])
{
    for (size_t i = 0; i < sighting->n_anchors; i++) {
        if (memcmp(sighting->anchors[i], spki, 32) == 0)
            return true;
    }
    return false;
}

/* Alone in the store, so that none of the same name, and no twin, can do its work. */
static enum hf_err try_anchor(const struct court *court, const struct hf_trust_anchor *anchor,
                              struct hf_sighting *out, struct hf_why *why)
{
    struct hf_cert cert;
    bool is_valid = false;

    if (out->n_anchors == HF_SIGHTING_ANCHORS_MAX || !is_asked_for(court, anchor) ||
        hf_cert_parse(anchor->der, &cert, NULL) != HF_OK || is_noted(out, cert.spki_sha256))
        return HF_OK;
    HF_TRY(verify_under(court, anchor, 1, &is_valid, NULL, why));
    if (is_valid)
        memcpy(out->anchors[out->n_anchors++], cert.spki_sha256, sizeof cert.spki_sha256);
    return HF_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

enum hf_err hf_sighting_judge(struct hf_trust_store *store, const struct hf_chain *chain,
                              const char *host, const struct hf_anchor_set *sets, size_t n_sets,
                              bool *is_valid, struct hf_sighting *out, struct hf_why *why)
{
    struct court court = {.store = store, .chain = chain, .host = host};
    struct hf_sighting sighting = {.has_proof = true, .has_chain_proof = true};

    for (size_t i = 0; i < n_sets; i++)
        is_valid[i] = false;
    if (chain->n_certs == 0 || !describe(&court, &sighting)) {
        sighting.has_proof = sighting.has_chain_proof = false;
        *out = sighting;
        return HF_OK;
    }
    HF_TRY(verify_under_sets(&court, sets, n_sets, is_valid, &sighting, why));
    for (size_t i = 0; i < n_sets; i++) {
        for (size_t k = 0; k < sets[i].n_anchors; k++)
            HF_TRY(try_anchor(&court, &sets[i].anchors[k], &sighting, why));
    }
    *out = sighting;
    return HF_OK;
}
