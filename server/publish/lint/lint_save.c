/* What servers showed, as files for a desk without a network. */
#include "server/publish/lint/lint_endpoints.h"

#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "server/repository/base/undo.h"

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
    const mbedtls_x509_crt *crt = &chain->crt;
    for (size_t i = 0; i < chain->n_certs; i++, crt = crt->next)
        HF_TRY(hf_pem_append(out, (struct hf_bytes){crt->raw.p, crt->raw.len}));
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
