#include "client/core/client_internal.h"

#include "common/base/percent.h"

struct wanted {
    const struct hf_target *target;
    struct hf_buf content;
};

/* 5.7.3: only what the signed targets metadata names. */
static enum hf_err accept_content(struct hf_client *c, void *arg, const struct hf_response *answer,
                                  struct hf_why *why)
{
    struct wanted *wanted = arg;
    struct hf_bytes content = hf_buf_bytes(&answer->body);
    (void)c;

    HF_TRY(hf_file_info_verify(&wanted->target->info, content, wanted->target->path, why));
    if (hf_buf_append(&wanted->content, content.data, content.len) != HF_OK)
        return hf_mirror_blame_answer(hf_fail(why, HF_E_MEMORY,
                                              "out of memory for a target of %zu bytes",
                                              content.len),
                                      why);
    return HF_OK;
}

static enum hf_err check(const struct hf_target *target, size_t max_bytes, struct hf_why *why)
{
    if (!hf_target_path_is_safe(target->path))
        return hf_fail(why, HF_E_POLICY,
                       "expected the path of a file below the targets folder, found '%.200s'",
                       target->path);
    if ((uint64_t)target->info.length > max_bytes)
        return hf_fail(why, HF_E_LIMIT, "expected %.200s to have at most %zu bytes, found %lld",
                       target->path, max_bytes, (long long)target->info.length);
    return HF_OK;
}

static enum hf_err content_path(const struct hf_client *c, const struct hf_target *target,
                                struct hf_buf *out, struct hf_why *why)
{
    struct hf_buf name = {0};
    enum hf_err err = hf_target_file_name(target, c->trusted.root->consistent_snapshot, &name, why);
    if (err == HF_OK && (hf_buf_append_text(out, "targets/") != HF_OK ||
                         hf_percent_encode((const char *)name.data, "/", out) != HF_OK))
        err = hf_fail(why, HF_E_MEMORY, "out of memory for an address");
    hf_buf_free(&name);
    return err;
}

enum hf_err hf_fetch_target(struct hf_client *c, const struct hf_target *target, size_t max_bytes,
                            struct hf_buf *out, struct hf_why *why)
{
    struct wanted wanted = {.target = target};
    struct hf_buf path = {0};

    HF_TRY(check(target, max_bytes, why));
    enum hf_err err = content_path(c, target, &path, why);
    if (err == HF_OK) {
        struct hf_fetch fetch = {.path = (const char *)path.data,
                                 .max_bytes = (size_t)target->info.length,
                                 .accept = accept_content,
                                 .arg = &wanted};
        err = hf_mirrors_fetch(c, &fetch, why);
    }
    hf_buf_free(&path);
    if (err == HF_OK)
        *out = wanted.content;
    else
        hf_buf_free(&wanted.content);
    return err;
}
