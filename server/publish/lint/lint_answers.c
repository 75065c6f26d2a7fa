/* What endpoints showed: what of it is no evidence, and all of it for people and scripts. */
#include "server/publish/lint/lint_answers.h"

#include "common/cli/report.h"

/* ---- findings --------------------------------------------------------------------------------- */

enum hf_err hf_lint_answers(const struct hf_lint_endpoints *endpoints, struct hf_findings *out,
                            struct hf_why *why)
{
    for (size_t i = 0; i < endpoints->n_silences; i++) {
        const struct hf_lint_silence *silence = &endpoints->silences[i];
        HF_TRY(hf_findings_add(out, HF_LINT_ENDPOINT_SILENT, silence->name, why,
                               "it was asked and showed no chain, which says nothing about this "
                               "bundle: %s",
                               silence->why));
    }
    for (size_t i = 0; i < endpoints->n_chains; i++) {
        const struct hf_lint_chain *chain = endpoints->chains[i];
        if (chain->doubt != NULL)
            HF_TRY(hf_findings_add(out, HF_LINT_ENDPOINT_UNPROVED, chain->name, why,
                                   "a chain that it shows (%s) counts neither for this bundle nor "
                                   "against it: %s",
                                   chain->source, chain->doubt));
    }
    return HF_OK;
}

/* ---- for people ------------------------------------------------------------------------------- */

void hf_lint_answers_print(const struct hf_lint_endpoints *endpoints, FILE *out)
{
    for (size_t i = 0; i < endpoints->n_chains; i++) {
        const struct hf_lint_chain *chain = endpoints->chains[i];
        if (chain->is_live)
            fprintf(out, "%s shows %zu certificate(s), %s, issued in the end by \"%s\" (%s)\n",
                    chain->name, chain->n_certs, hf_chain_kind_text(chain->kind),
                    chain->certs[chain->n_certs - 1].issuer, chain->source);
    }
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *cert_to_json(const struct hf_cert *cert)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "subject", cert->subject, "issuer", cert->issuer,
                     "not_before", hf_json_time(cert->not_before_s), "not_after",
                     hf_json_time(cert->not_after_s), "sha256", hf_json_sha256(cert->sha256));
}

static json_t *chain_to_json(const struct hf_lint_chain *chain)
{
    static const char *const kinds[] =
        {[HF_CHAIN_MIXED] = "mixed", [HF_CHAIN_RSA] = "rsa", [HF_CHAIN_ECC] = "ecc"};
    json_t *certs = json_array();
    bool is_whole = certs != NULL;
    for (size_t i = 0; i < chain->n_certs && is_whole; i++)
        is_whole = json_array_append_new(certs, cert_to_json(&chain->certs[i])) == 0;
    if (!is_whole) {
        json_decref(certs);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:s, s:b, s:b, s:s?, s:o}", "name", chain->name, "source",
                     hf_json_plain(chain->source), "kind", kinds[chain->kind], "live",
                     chain->is_live, "device", chain->is_devices, "doubt", chain->doubt,
                     "certificates", certs);
}

static json_t *silence_to_json(const struct hf_lint_silence *silence)
{
    return json_pack("{s:s, s:s}", "name", silence->name, "why", silence->why);
}

json_t *hf_lint_answers_to_json(const struct hf_lint_endpoints *endpoints)
{
    json_t *chains = json_array(), *silences = json_array();
    bool is_whole = chains != NULL && silences != NULL;
    for (size_t i = 0; i < endpoints->n_chains && is_whole; i++)
        is_whole = json_array_append_new(chains, chain_to_json(endpoints->chains[i])) == 0;
    for (size_t i = 0; i < endpoints->n_silences && is_whole; i++)
        is_whole = json_array_append_new(silences, silence_to_json(&endpoints->silences[i])) == 0;
    if (!is_whole) {
        json_decref(chains);
        json_decref(silences);
        return NULL;
    }
    return json_pack("{s:o, s:o}", "chains", chains, "silent", silences);
}
