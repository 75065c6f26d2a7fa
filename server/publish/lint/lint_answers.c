/* What endpoints showed: what of it is no evidence, and all of it for people and scripts. */
#include "server/publish/lint/lint_answers.h"

#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "server/publish/lint/lint_endpoints.h"
#include "common/os/file_util.h"
#include "server/repository/repo_write.h"
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
                    chain->name, chain->sent.n_certs, hf_chain_kind_text(chain->kind),
                    chain->certs[chain->sent.n_certs - 1].issuer, chain->source);
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
    for (size_t i = 0; i < chain->sent.n_certs && is_whole; i++)
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

/* ---- saved for the next run ------------------------------------------------------------------ */

/* What servers showed, as files for a desk without a network. */
#define FOLDER_MODE 0755
#define FILE_MODE 0644

struct saving {
    const char *dir;
    struct hf_undo undo;
    struct hf_buf list;
};

static enum hf_err no_memory(struct hf_why *why)
{
    return hf_fail(why, HF_E_MEMORY, "out of memory for what endpoints show");
}

static enum hf_err save_file(struct saving *s, const char *name, struct hf_bytes content,
                             struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/%s", s->dir, name));
    HF_TRY(hf_file_create(path.text, FILE_MODE, content, why));
    return hf_undo_note(&s->undo, path.text, why);
}

static enum hf_err compose_pem(const struct hf_lint_chain *chain, struct hf_buf *out)
{
    for (size_t i = 0; i < chain->sent.n_certs; i++)
        HF_TRY(hf_pem_append(out, hf_buf_bytes(&chain->sent.certs[i])));
    return HF_OK;
}

static enum hf_err save_chain(struct saving *s, const struct hf_lint_chain *chain, size_t number,
                              struct hf_why *why)
{
    struct hf_path name;
    struct hf_buf pem = {0};
    const char *kind = chain->doubt != NULL ? "unproved"
                       : chain->is_devices  ? "device"
                                            : "endpoint";
    HF_TRY(hf_path_set(&name, why, "chain-%zu.pem", number));
    enum hf_err err = compose_pem(chain, &pem) == HF_OK
                          ? save_file(s, name.text, hf_buf_bytes(&pem), why)
                          : no_memory(why);
    hf_buf_free(&pem);
    HF_TRY(err);
    if (hf_buf_printf(&s->list, "%s %s %s%s%s\n", kind, chain->name, name.text,
                      chain->doubt == NULL ? "" : " ",
                      chain->doubt == NULL ? "" : chain->doubt) != HF_OK)
        return no_memory(why);
    return HF_OK;
}

static enum hf_err save_list(struct saving *s, const struct hf_lint_endpoints *endpoints,
                             struct hf_why *why)
{
    for (size_t i = 0; i < endpoints->n_silences; i++) {
        const struct hf_lint_silence *silence = &endpoints->silences[i];
        if (hf_buf_printf(&s->list, "silent %s %s\n", silence->name, silence->why) != HF_OK)
            return no_memory(why);
    }
    return save_file(s, "endpoints.txt", hf_buf_bytes(&s->list), why);
}

static enum hf_err save_all(struct saving *s, const struct hf_lint_endpoints *endpoints,
                            int64_t now_s, struct hf_why *why)
{
    char now[HF_TIME_TEXT_MAX];
    hf_time_format(now_s, now);
    HF_TRY(hf_file_make_new_dir(s->dir, FOLDER_MODE, why));
    HF_TRY(hf_undo_note(&s->undo, s->dir, why));
    if (hf_buf_printf(&s->list, "# What endpoints showed on %s; for holdfastctl lint --endpoints\n",
                      now) != HF_OK)
        return no_memory(why);
    for (size_t i = 0; i < endpoints->n_chains; i++)
        HF_TRY(save_chain(s, endpoints->chains[i], i + 1, why));
    HF_TRY(save_list(s, endpoints, why));
    return hf_file_sync_dir(s->dir, why);
}

enum hf_err hf_lint_endpoints_save(const struct hf_lint_endpoints *endpoints, const char *dir,
                                   int64_t now_s, struct hf_why *why)
{
    struct saving s = {.dir = dir};
    enum hf_err err = save_all(&s, endpoints, now_s, why);
    if (err != HF_OK)
        hf_undo_run(&s.undo);
    hf_undo_free(&s.undo);
    hf_buf_free(&s.list);
    return err;
}
