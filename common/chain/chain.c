#include "common/chain/chain.h"

#include "common/bundle/x509.h"
#include "common/chain/clock.h"

#include <mbedtls/oid.h>

#include <stdlib.h>
#include <string.h>

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

uint32_t hf_chain_check_leaf(const mbedtls_x509_crt *crt, const char *host, unsigned key_usage)
{
    uint32_t flags = 0, address[4];
    size_t len = host == NULL ? 0 : mbedtls_x509_crt_parse_cn_inet_pton(host, address);

    if (mbedtls_x509_crt_check_key_usage(crt, key_usage) != 0)
        flags |= MBEDTLS_X509_BADCERT_KEY_USAGE;
    if (!hf_x509_allows_server_auth(crt))
        flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
    if (len == 0)
        return flags;
    if (mbedtls_x509_crt_has_ext_type(crt, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME)) {
        for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s != NULL; s = s->next)
            if ((s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) == MBEDTLS_X509_SAN_IP_ADDRESS &&
                s->buf.len == len && memcmp(s->buf.p, address, len) == 0)
                return flags;
    }
    return flags | MBEDTLS_X509_BADCERT_CN_MISMATCH;
}

uint32_t hf_chain_check_issuer(const mbedtls_x509_crt *crt, bool is_anchor)
{
    return is_anchor || hf_x509_allows_server_auth(crt) ? 0 : MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
}

struct judgement {
    const struct hf_chain *chain;
    const struct hf_anchors *anchors;
    const struct hf_chain_context *context;
    mbedtls_x509_crt sent; /* the chain, parsed, in its order */
    int64_t leaf_not_before_s;
    const mbedtls_x509_crt *offered; /* the anchors for the last certificate; owned by Mbed TLS */
    bool is_out_of_memory;
    bool is_below_top;    /* the top of the path has been judged */
    uint32_t other_flags; /* of all certificates, without an unknown issuer */
    struct hf_chain_verdict verdict;
};

/** Mbed TLS asks for the anchors that could have issued `child`, from the leaf upwards. */
static int offer(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct judgement *j = ctx;
    mbedtls_x509_crt *list = NULL;
    int code = hf_anchors_collect(j->anchors, child, j->context->at_s, j->leaf_not_before_s, &list);

    j->is_out_of_memory = code != 0;
    j->offered = list;
    *out = list; /* Mbed TLS frees it, also after an error */
    return code;
}

static bool is_offered(const struct judgement *j, const mbedtls_x509_crt *crt)
{
    for (const mbedtls_x509_crt *anchor = j->offered; anchor != NULL; anchor = anchor->next)
        if (anchor == crt)
            return true;
    return false;
}

/** The sent certificate that these bytes are; NULL for an anchor that was not sent. */
static struct hf_cert_verdict *find_sent(struct judgement *j, struct hf_bytes raw)
{
    for (size_t i = 0; i < j->chain->n_certs; i++)
        if (hf_bytes_equal(hf_buf_bytes(&j->chain->certs[i]), raw))
            return &j->verdict.certs[i];
    return NULL;
}

static void note_faults(struct judgement *j, struct hf_cert_verdict *v, const mbedtls_x509_crt *crt,
                        uint32_t flags)
{
    const struct hf_chain_context *context = j->context;
    char known[HF_WHY_MAX / 2] = "";

    hf_words_faults(crt, &j->sent, flags, context->host, context->at_s, v->faults,
                    sizeof v->faults);
    j->other_flags |= flags & ~(uint32_t)MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0)
        return;
    hf_anchors_explain(j->anchors, crt, context->at_s, known, sizeof known);
    if (known[0] != '\0')
        hf_words_append(v->faults, sizeof v->faults, " (%s)", known);
    j->verdict.lacks_only_anchor = known[0] == '\0' && !hf_words_is_issuer_sent(crt, &j->sent);
}

/** Called for each certificate of the path, from its top down to the server's own (depth 0). */
static int judge_cert(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct judgement *j = ctx;
    struct hf_bytes raw = {crt->raw.p, crt->raw.len};
    struct hf_cert_verdict *sent = find_sent(j, raw);
    unsigned key_usage = j->chain->key_usage != 0 ? j->chain->key_usage
                                                  : MBEDTLS_X509_KU_DIGITAL_SIGNATURE;

    if (j->context->is_renewed)
        *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    *flags |= depth == 0 ? hf_chain_check_leaf(crt, j->context->host, key_usage)
                         : hf_chain_check_issuer(crt, is_offered(j, crt));
    if (!j->is_below_top) { /* it is the anchor, unless its issuer is unknown */
        struct hf_cert *anchor = &j->verdict.anchor;
        j->verdict.has_anchor = (*flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0 &&
                                hf_cert_parse(raw, anchor, NULL) == HF_OK;
        /* Mbed TLS frees what these would point into. */
        anchor->subject_der = anchor->issuer_der = (struct hf_bytes){0};
    }
    j->is_below_top = true;
    if (sent != NULL)
        sent->is_in_path = true;
    if (*flags != 0)
        note_faults(j, sent != NULL ? sent : &j->verdict.certs[0], crt, *flags);
    return 0;
}

/** Parse each certificate twice: for Mbed TLS, as one list, and for people. */
static enum hf_err parse_chain(struct judgement *j, struct hf_why *why)
{
    for (size_t i = 0; i < j->chain->n_certs; i++) {
        struct hf_bytes der = hf_buf_bytes(&j->chain->certs[i]);
        enum hf_err err = hf_cert_parse(der, &j->verdict.certs[i].cert, why);
        if (err == HF_OK && mbedtls_x509_crt_parse_der(&j->sent, der.data, der.len) != 0)
            err = hf_fail(why, HF_E_FORMAT, "not a certificate that Mbed TLS can read");
        if (err != HF_OK) {
            (void)hf_fail_context(why, "certificate %zu of the chain", i);
            return err;
        }
    }
    hf_words_names(&j->sent, j->verdict.certs[0].names);
    return HF_OK;
}

enum hf_err hf_chain_judge(const struct hf_chain *chain, const struct hf_anchors *anchors,
                           const struct hf_chain_context *context, struct hf_chain_verdict *out,
                           struct hf_why *why)
{
    struct judgement j = {.chain = chain, .anchors = anchors, .context = context};
    struct hf_chain_verdict *verdict = &j.verdict;
    uint32_t flags = UINT32_MAX;

    if (chain->n_certs == 0)
        return hf_fail(why, HF_E_FORMAT, "the server sent no certificate");
    verdict->n_certs = chain->n_certs;
    verdict->certs = calloc(chain->n_certs, sizeof *verdict->certs);
    if (verdict->certs == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
    mbedtls_x509_crt_init(&j.sent);
    enum hf_err err = parse_chain(&j, why);
    if (err != HF_OK)
        goto out;

    j.leaf_not_before_s = context->is_renewed ? context->at_s : verdict->certs[0].cert.not_before_s;
    hf_chain_clock_set_for_thread(context->at_s);
    int code = mbedtls_x509_crt_verify_with_ca_cb(&j.sent, offer, &j,
                                                  &mbedtls_x509_crt_profile_default, context->host,
                                                  &flags, judge_cert, &j);
    hf_chain_clock_set_for_thread(INT64_MIN);
    if (code == MBEDTLS_ERR_X509_ALLOC_FAILED || j.is_out_of_memory) {
        err = hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
        goto out;
    }
    verdict->is_valid = code == 0 && flags == 0 && verdict->has_anchor;
    verdict->lacks_only_anchor = verdict->lacks_only_anchor && j.other_flags == 0;
    if (!j.is_below_top)
        hf_words_append(verdict->certs[0].faults, HF_WHY_MAX,
                        "no path could be built from it; at most %d intermediates are followed",
                        MBEDTLS_X509_MAX_INTERMEDIATE_CA);
    *out = *verdict;
out:
    mbedtls_x509_crt_free(&j.sent);
    if (err != HF_OK)
        hf_chain_verdict_free(verdict);
    return err;
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
            hf_words_append(out, HF_WHY_MAX, "%scertificate %zu \"%s\": %s",
                            out[0] == '\0' ? "" : "; ", i, v->cert.subject, v->faults);
    }
}
