#include "common/chain/verify.h"

#include "common/bundle/distinguished_name.h"
#include "common/chain/path.h"

#include <mbedtls/x509.h>

#include <stdlib.h>

/* The server's own certificate: what it says of itself. */
static unsigned leaf_faults(const struct hf_search *s, const struct hf_certificate *leaf)
{
    const struct hf_chain_context *context = s->context;
    unsigned faults = hf_path_own_faults(s, leaf, false);

    if (context->host != NULL &&
        !hf_certificate_is_for(leaf, context->host, context->has_common_names))
        faults |= HF_FAULT_HOST;
    if (leaf->has_key_usage && (context->key_usage & ~leaf->key_usage) != 0)
        faults |= HF_FAULT_KEY_USAGE;
    return faults;
}

/* All that is wrong with a path, one certificate at a time. The search need not have found it. */
static void note_faults(struct hf_search *s, const struct hf_path *path, struct hf_verdict *out)
{
    bool has_anchor = path->index[path->n - 1] == HF_VERIFY_ANCHOR;
    size_t at = 0;

    out->n_path = path->n;
    for (size_t i = 0; i < path->n; i++) {
        const struct hf_certificate *cert = path->certs[i];
        bool is_anchor = path->index[i] == HF_VERIFY_ANCHOR;
        out->path[i].index = path->index[i];
        out->path[i].faults = i == 0 ? leaf_faults(s, cert)
                                     : hf_path_own_faults(s, cert, is_anchor);
        /* Of a path without faults the keys above the first one have been used. */
        if ((i == 0 || !s->is_strict) && !hf_key_is_accepted(cert))
            out->path[i].faults |= HF_FAULT_KEY;
        if (hf_path_check_names(s, cert, path, i, &at) != HF_CONSTRAINT_ALLOWS)
            out->path[at].faults |= HF_FAULT_CONSTRAINTS;
    }
    if (!has_anchor)
        out->path[path->n - 1].faults |= HF_FAULT_NO_ISSUER;
    else if (!hf_path_check_policies(path))
        out->path[0].faults |= HF_FAULT_POLICY;
}

static bool has_faults(const struct hf_verdict *verdict)
{
    for (size_t i = 0; i < verdict->n_path; i++)
        if (verdict->path[i].faults != 0)
            return true;
    return verdict->n_path == 0;
}

static void judge(struct hf_search *s, struct hf_verdict *out)
{
    bool is_found;

    s->is_strict = true;
    is_found = hf_path_find(s);
    if (!is_found) {
        s->is_strict = false;
        is_found = hf_path_find(s);
    }
    note_faults(s, is_found ? &s->path : &s->furthest, out);
    if (is_found)
        out->anchor = s->anchor;
    else if (s->is_at_limit)
        out->path[out->n_path - 1].faults |= HF_FAULT_LIMIT;
    out->n_signatures = s->n_checked;
    out->n_steps = s->n_steps;
    out->is_valid = is_found && !has_faults(out);
}

/* Those that cannot be read, and those that were sent before, are left aside. */
static void read_sent(const struct hf_bytes *certs, size_t n, struct hf_certificate *out)
{
    for (size_t i = 0; i < n; i++) {
        bool is_known = false;
        for (size_t k = 0; k < i && !is_known; k++)
            is_known = hf_bytes_equal(certs[k], certs[i]);
        if (is_known || !hf_certificate_parse(certs[i], &out[i]))
            out[i] = (struct hf_certificate){0};
    }
}

enum hf_err hf_verify(const struct hf_bytes *certs, size_t n_certs,
                      const struct hf_anchor_sets *anchors, const struct hf_chain_context *context,
                      struct hf_verdict *out, struct hf_why *why)
{
    struct hf_verdict verdict = {0};
    enum hf_err err = HF_OK;

    if (n_certs == 0)
        return hf_fail(why, HF_E_FORMAT, "the server sent no certificate");
    if (n_certs > HF_VERIFY_CERTS_MAX)
        n_certs = HF_VERIFY_CERTS_MAX;
    struct hf_certificate *sent = calloc(n_certs, sizeof *sent);
    struct hf_search *s = calloc(1, sizeof *s);
    if (sent == NULL || s == NULL) {
        err = hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
        goto out;
    }
    read_sent(certs, n_certs, sent);
    if (sent[0].der.data == NULL) {
        err = hf_fail(why, HF_E_FORMAT,
                      "the server's certificate cannot be read: it is damaged, or not X.509");
        goto out;
    }
    *s = (struct hf_search){
        .sent = sent,
        .n_sent = n_certs,
        .anchors = anchors,
        .context = context,
        .issued_s = context->is_renewed ? context->at_s : sent[0].not_before_s,
        .constraints_left = HF_VERIFY_CONSTRAINTS_MAX,
    };
    judge(s, &verdict);
    if (s->is_out_of_memory)
        err = hf_fail(why, HF_E_MEMORY, "no memory to verify a chain");
    else
        *out = verdict;
out:
    free(s);
    free(sent);
    return err;
}

unsigned hf_verify_anchor(struct hf_bytes der)
{
    struct hf_certificate cert;

    if (!hf_certificate_parse(der, &cert))
        return 0;
    return hf_path_own_faults(NULL, &cert, true) | (hf_key_is_accepted(&cert) ? 0 : HF_FAULT_KEY);
}
