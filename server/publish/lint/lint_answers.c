/* What endpoints showed: what of it is no evidence, and all of it for people, scripts and files. */
#include "server/publish/lint/lint_endpoints.h"

#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "server/repository/repo_write.h"

#include <string.h>

enum hf_err hf_lint_answers(const struct hf_lint_endpoints *endpoints, struct hf_findings *out,
                            struct hf_why *why)
{
    for (size_t i = 0; i < endpoints->n_silences; i++) {
        const struct hf_lint_silence *silence = &endpoints->silences[i];
        HF_TRY(silence->is_refused
                   ? hf_findings_add(out, HF_LINT_ENDPOINT_REFUSED, silence->name, why,
                                     "it was asked and showed a chain that no device accepts: %s",
                                     silence->why)
                   : hf_findings_add(out, HF_LINT_ENDPOINT_SILENT, silence->name, why,
                                     "it was asked and showed no chain, which says nothing about "
                                     "this bundle: %s",
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

void hf_lint_answers_print(const struct hf_lint_endpoints *endpoints, FILE *out)
{
    static const char *const kinds[] =
        {[HF_CHAIN_MIXED] = "mixed", [HF_CHAIN_RSA] = "RSA", [HF_CHAIN_ECC] = "ECC"};

    for (size_t i = 0; i < endpoints->n_chains; i++) {
        const struct hf_lint_chain *chain = endpoints->chains[i];
        size_t n = chain->sent.n_certs;
        if (chain->is_live)
            fprintf(out, "%s shows %zu certificate(s), %s, issued in the end by \"%s\" (%s)\n",
                    chain->name, n, kinds[chain->kind], chain->certs[n - 1].issuer, chain->source);
    }
}

static const struct hf_field cert_fields[] = {
    {"subject", HF_FIELD_CHARS, offsetof(struct hf_cert, subject)},
    {"issuer", HF_FIELD_CHARS, offsetof(struct hf_cert, issuer)},
    {"not_before", HF_FIELD_TIME, offsetof(struct hf_cert, not_before_s)},
    {"not_after", HF_FIELD_TIME, offsetof(struct hf_cert, not_after_s)},
    {"sha256", HF_FIELD_SHA256, offsetof(struct hf_cert, sha256)},
    {0},
};

static json_t *certs_json(const void *at, const void *ctx)
{
    const struct hf_lint_chain *chain = at;

    (void)ctx;
    return hf_report_list(cert_fields, chain->certs, chain->sent.n_certs, sizeof chain->certs[0],
                          NULL);
}

static const char *const kind_names[] =
    {[HF_CHAIN_MIXED] = "mixed", [HF_CHAIN_RSA] = "rsa", [HF_CHAIN_ECC] = "ecc"};

#define OF(member) offsetof(struct hf_lint_chain, member)
static const struct hf_field chain_fields[] = {
    {"name", HF_FIELD_TEXT, OF(name)},
    {"source", HF_FIELD_PLAIN, OF(source)},
    {"kind", HF_FIELD_ENUM, OF(kind), .names = kind_names},
    {"live", HF_FIELD_FLAG, OF(is_live)},
    {"device", HF_FIELD_FLAG, OF(is_devices)},
    {"doubt", HF_FIELD_TEXT, OF(doubt)},
    {"certificates", HF_FIELD_MADE, 0, .make = certs_json},
    {0},
};
#undef OF

static const struct hf_field silence_fields[] = {
    {"name", HF_FIELD_TEXT, offsetof(struct hf_lint_silence, name)},
    {"why", HF_FIELD_TEXT, offsetof(struct hf_lint_silence, why)},
    {"refused", HF_FIELD_FLAG, offsetof(struct hf_lint_silence, is_refused)},
    {0},
};

json_t *hf_lint_answers_to_json(const struct hf_lint_endpoints *endpoints)
{
    json_t *chains = json_array();

    for (size_t i = 0; i < endpoints->n_chains; i++)
        chains = hf_json_append_take(chains,
                                     hf_report_object(chain_fields, endpoints->chains[i], NULL));
    return hf_json_set_take(hf_json_set_take(json_object(), "chains", chains), "silent",
                            hf_report_list(silence_fields, endpoints->silences,
                                           endpoints->n_silences, sizeof endpoints->silences[0],
                                           NULL));
}

static enum hf_err save_file(struct hf_undo *undo, const char *dir, const char *name,
                             const struct hf_buf *content, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/%s", dir, name));
    HF_TRY(hf_file_create(path.text, 0644, hf_buf_bytes(content), why));
    return hf_undo_note(undo, path.text, why);
}

/* The chain's file, and its line in the list. */
static enum hf_err save_chain(struct hf_undo *undo, const char *dir,
                              const struct hf_lint_chain *chain, size_t number, struct hf_buf *list,
                              struct hf_why *why)
{
    char name[32];
    struct hf_buf pem = {0};
    const char *kind = "endpoint", *more = NULL;
    struct hf_endpoint_url url;
    if (chain->doubt != NULL) {
        kind = "unproved";
        more = chain->doubt;
    } else if (chain->is_devices) {
        kind = "device";
    } else if (chain->host != NULL && (hf_endpoint_url_parse(chain->name, &url, NULL) != HF_OK ||
                                       strcmp(url.peer.host, chain->host) != 0)) {
        kind = "shown"; /* by whom, the name does not tell */
        more = chain->host;
    }
    (void)snprintf(name, sizeof name, "chain-%zu.pem", number);
    enum hf_err err = hf_buf_printf(list, "%s %s %s%s%s\n", kind, chain->name, name,
                                    more == NULL ? "" : " ", more == NULL ? "" : more);
    for (size_t i = 0; err == HF_OK && i < chain->sent.n_certs; i++)
        err = hf_pem_append(&pem, hf_buf_bytes(&chain->sent.certs[i]));
    err = err == HF_OK ? save_file(undo, dir, name, &pem, why)
                       : hf_fail(why, err, "out of memory for what endpoints show");
    hf_buf_free(&pem);
    return err;
}

enum hf_err hf_lint_endpoints_save(const struct hf_lint_endpoints *endpoints, const char *dir,
                                   int64_t now_s, struct hf_why *why)
{
    struct hf_undo undo = {0};
    struct hf_buf list = {0};
    char now[HF_TIME_TEXT_MAX];

    hf_time_format(now_s, now);
    enum hf_err err = hf_file_make_new_dir(dir, 0755, why);
    if (err == HF_OK)
        err = hf_undo_note(&undo, dir, why);
    if (err == HF_OK &&
        hf_buf_printf(&list, "# What endpoints showed on %s; for holdfastctl lint --endpoints\n",
                      now) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "out of memory for what endpoints show");
    for (size_t i = 0; err == HF_OK && i < endpoints->n_chains; i++)
        err = save_chain(&undo, dir, endpoints->chains[i], i + 1, &list, why);
    for (size_t i = 0; err == HF_OK && i < endpoints->n_silences; i++) {
        const struct hf_lint_silence *silence = &endpoints->silences[i];
        if (hf_buf_printf(&list, "%s %s %s\n", silence->is_refused ? "refused" : "silent",
                          silence->name, silence->why) != HF_OK)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for what endpoints show");
    }
    if (err == HF_OK)
        err = save_file(&undo, dir, "endpoints.txt", &list, why);
    if (err == HF_OK)
        err = hf_file_sync_dir(dir, why);
    if (err != HF_OK)
        hf_undo_run(&undo);
    hf_undo_free(&undo);
    hf_buf_free(&list);
    return err;
}
