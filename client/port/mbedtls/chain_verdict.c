#include "client/port/mbedtls/chain_verdict.h"

#include "common/bundle/x509_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the verification says of each certificate --------------------------------------------- */

struct hearing {
    struct hf_trust_store *store;
    const struct hf_chain *chain;
    const char *host;
    mbedtls_x509_crt *parsed; /* the same chain, in its order */
    struct hf_chain_verdict *verdict;
    bool is_below_top; /* the top of the path has been heard */
};

static struct hf_cert_verdict *find_sent(struct hearing *h, const mbedtls_x509_crt *crt)
{
    struct hf_bytes raw = {crt->raw.p, crt->raw.len};

    for (size_t i = 0; i < h->chain->n_certs; i++)
        if (hf_bytes_equal(hf_buf_bytes(&h->chain->certs[i]), raw))
            return &h->verdict->certs[i];
    return NULL;
}

static void note_faults(struct hearing *h, struct hf_cert_verdict *v, const mbedtls_x509_crt *crt,
                        uint32_t flags)
{
    char known[HF_WHY_MAX / 2] = "";

    hf_verify_words(crt, h->parsed, flags, h->host, v->faults, sizeof v->faults);
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        hf_trust_store_explain(h->store, crt, known, sizeof known);
    if (known[0] != '\0')
        hf_verify_append(v->faults, sizeof v->faults, " (%s)", known);
}

/** The path's first, topmost certificate is the anchor, unless its issuer is unknown. */
static void note_anchor(struct hf_chain_verdict *verdict, const mbedtls_x509_crt *crt,
                        uint32_t flags)
{
    struct hf_bytes raw = {crt->raw.p, crt->raw.len};

    verdict->has_anchor = (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0 &&
                          hf_cert_parse(raw, &verdict->anchor, NULL) == HF_OK;
    /* Mbed TLS frees what these would point into. */
    verdict->anchor.subject_der = verdict->anchor.issuer_der = (struct hf_bytes){0};
}

/** What a handshake checks of the server's own certificate besides its place in the path. */
static uint32_t judge_leaf(const struct hearing *h, const mbedtls_x509_crt *crt)
{
    unsigned key_usage = h->chain->key_usage != 0 ? h->chain->key_usage
                                                  : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
    uint32_t flags = hf_verify_server_usage(crt, key_usage);

    /* Mbed TLS would take a common name for an address; the transport does not. */
    if (h->host != NULL && hf_verify_is_address(h->host) && !hf_verify_has_address(crt, h->host))
        flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    return flags;
}

/** Called for each certificate of the path, from its top down to the server's own (depth 0). */
static int hear(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct hearing *h = ctx;
    struct hf_cert_verdict *sent = find_sent(h, crt);
    int code = hf_trust_store_verify(h->store, crt, depth, flags);

    if (depth == 0)
        *flags |= judge_leaf(h, crt);
    if (!h->is_below_top)
        note_anchor(h->verdict, crt, *flags);
    h->is_below_top = true;
    if (sent != NULL)
        sent->is_in_path = true;
    if (*flags != 0)
        note_faults(h, sent != NULL ? sent : &h->verdict->certs[0], crt, *flags);
    return code;
}

static enum hf_err judge(struct hearing *h, mbedtls_x509_crt *parsed, struct hf_why *why)
{
    uint32_t flags = UINT32_MAX;
    h->parsed = parsed;
    int code = mbedtls_x509_crt_verify_with_ca_cb(parsed, hf_trust_store_candidates, h->store,
                                                  &mbedtls_x509_crt_profile_default, h->host,
                                                  &flags, hear, h);

    if (code == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
    h->verdict->is_valid = code == 0 && flags == 0 && h->verdict->has_anchor;
    if (!h->is_below_top)
        hf_verify_append(h->verdict->certs[0].faults, HF_WHY_MAX,
                         "no path could be built from it; at most %d intermediates are followed",
                         MBEDTLS_X509_MAX_INTERMEDIATE_CA);
    return HF_OK;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/** Parse each certificate twice: for Mbed TLS, as one list, and for people. */
static enum hf_err parse_chain(const struct hf_chain *chain, mbedtls_x509_crt *parsed,
                               struct hf_chain_verdict *verdict, struct hf_why *why)
{
    for (size_t i = 0; i < chain->n_certs; i++) {
        struct hf_bytes der = hf_buf_bytes(&chain->certs[i]);
        enum hf_err err = hf_cert_parse(der, &verdict->certs[i].cert, why);
        if (err == HF_OK && mbedtls_x509_crt_parse_der(parsed, der.data, der.len) != 0)
            err = hf_fail(why, HF_E_FORMAT, "not a certificate that Mbed TLS can read");
        if (err != HF_OK) {
            (void)hf_fail_context(why, "certificate %zu of the chain", i);
            return err;
        }
    }
    hf_verify_names(parsed, verdict->certs[0].names);
    return HF_OK;
}

enum hf_err hf_chain_verify(struct hf_trust_store *store, const struct hf_chain *chain,
                            const char *host, struct hf_chain_verdict *out, struct hf_why *why)
{
    struct hf_chain_verdict verdict = {.n_certs = chain->n_certs};
    struct hearing hearing = {.store = store, .chain = chain, .host = host, .verdict = &verdict};
    mbedtls_x509_crt parsed;
    enum hf_err err;

    if (chain->n_certs == 0)
        return hf_fail(why, HF_E_FORMAT, "the server sent no certificate");
    verdict.certs = calloc(chain->n_certs, sizeof *verdict.certs);
    if (verdict.certs == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
    mbedtls_x509_crt_init(&parsed);
    err = parse_chain(chain, &parsed, &verdict, why);
    if (err == HF_OK)
        err = judge(&hearing, &parsed, why);
    mbedtls_x509_crt_free(&parsed);
    if (err != HF_OK) {
        hf_chain_verdict_free(&verdict);
        return err;
    }
    *out = verdict;
    return HF_OK;
}

void hf_chain_verdict_free(struct hf_chain_verdict *verdict)
{
    free(verdict->certs);
    *verdict = (struct hf_chain_verdict){0};
}

void hf_chain_verdict_faults(const struct hf_chain_verdict *verdict, char out[HF_WHY_MAX])
{
    out[0] = '\0';
    for (size_t i = 0; i < verdict->n_certs; i++) {
        const struct hf_cert_verdict *v = &verdict->certs[i];
        if (v->faults[0] != '\0')
            hf_verify_append(out, HF_WHY_MAX, "%scertificate %zu \"%s\": %s",
                             out[0] == '\0' ? "" : "; ", i, v->cert.subject, v->faults);
    }
}

/* ---- under which sets of anchors ------------------------------------------------------------- */

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
static bool describe(struct court *court, struct hf_chain_observation *out)
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
                                     size_t n_sets, bool *is_valid,
                                     struct hf_chain_observation *out, struct hf_why *why)
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

static bool is_noted(const struct hf_chain_observation *sighting, const uint8_t spki[32])
{
    for (size_t i = 0; i < sighting->n_anchors; i++) {
        if (memcmp(sighting->anchors[i], spki, 32) == 0)
            return true;
    }
    return false;
}

/* Alone in the store, so that none of the same name, and no twin, can do its work. */
static enum hf_err try_anchor(const struct court *court, const struct hf_trust_anchor *anchor,
                              struct hf_chain_observation *out, struct hf_why *why)
{
    struct hf_cert cert;
    bool is_valid = false;

    if (out->n_anchors == HF_OBSERVED_ANCHORS_MAX || !is_asked_for(court, anchor) ||
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
                              bool *is_valid, struct hf_chain_observation *out, struct hf_why *why)
{
    struct court court = {.store = store, .chain = chain, .host = host};
    struct hf_chain_observation sighting = {.has_proof = true, .has_chain_proof = true};

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
