#include "server/repository/trusted_root.h"

#include "common/base/limits.h"
#include "common/tuf/trusted_set.h"

static enum hf_err file_name(const struct hf_key_folder *folder, struct hf_path *out,
                             struct hf_why *why)
{
    return hf_path_set(out, why, "%s/root.json", folder->path.text);
}

static enum hf_err read_repo_root(const struct hf_repo *repo, int64_t version, struct hf_buf *out,
                                  struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_repo_role_path(HF_ROLE_ROOT, version, true, &path, why));
    return hf_repo_read(repo, path.text, HF_ROOT_BYTES_MAX, out, why);
}

enum hf_err hf_trusted_root_create(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                   struct hf_undo *undo, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf root = {0};
    HF_TRY(file_name(folder, &path, why));
    enum hf_err err = read_repo_root(repo, 1, &root, why);
    if (err == HF_OK)
        err = hf_file_create(path.text, 0600, hf_buf_bytes(&root), why);
    if (err == HF_OK)
        err = hf_undo_note(undo, path.text, why);
    hf_buf_free(&root);
    return err;
}

enum hf_err hf_trusted_root_read(const struct hf_key_folder *folder, struct hf_buf *out,
                                 struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(file_name(folder, &path, why));
    if (!hf_file_exists(folder->path.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no folder %s; the keys in it are needed for this",
                       folder->path.text);
    enum hf_err err = hf_file_read_published(path.text, HF_ROOT_BYTES_MAX, out, why);
    if (err == HF_E_NOT_FOUND || (err == HF_OK && out->len == 0)) {
        hf_buf_free(out);
        return hf_fail(why, HF_E_NOT_FOUND,
                       "%s is not there or empty; it names the repository that these keys sign, "
                       "put the root metadata there that your devices ship with",
                       path.text);
    }
    return err;
}

/* Step from root to root as far as the repository goes; `newest` is the file last accepted. Verified
 * here once more, because the folder may have been changed since it was verified as a whole. */
static enum hf_err walk(const struct hf_repo *repo, struct hf_trusted_set *set,
                        struct hf_buf *newest, struct hf_why *why)
{
    for (;;) {
        struct hf_buf file = {0};
        enum hf_err err = read_repo_root(repo, set->root->env.version + 1, &file, why);
        if (err == HF_OK)
            err = hf_trusted_set_update_root(set, hf_buf_bytes(&file), why);
        if (err != HF_OK) {
            hf_buf_free(&file);
            return err == HF_E_NOT_FOUND ? HF_OK : err;
        }
        hf_buf_free(newest);
        *newest = file;
    }
}

enum hf_err hf_trusted_root_renew(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                  int64_t now_s, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf pin = {0};
    struct hf_buf newest = {0};
    struct hf_trusted_set set = {0};
    HF_TRY(file_name(folder, &path, why));
    enum hf_err err = hf_trusted_root_read(folder, &pin, why);
    if (err == HF_OK)
        err = hf_trusted_set_init(&set, hf_buf_bytes(&pin), now_s, why);
    if (err == HF_OK)
        err = walk(repo, &set, &newest, why);
    if (err == HF_OK && newest.len > 0)
        err = hf_file_replace_alone(path.text, hf_buf_bytes(&newest), why);
    hf_trusted_set_free(&set);
    hf_buf_free(&newest);
    hf_buf_free(&pin);
    return err;
}

enum hf_err hf_trusted_root_put(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                int64_t version, int64_t now_s, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf root = {0};
    HF_TRY(file_name(folder, &path, why));
    if (hf_file_exists(path.text))
        return hf_trusted_root_renew(folder, repo, now_s, why);
    enum hf_err err = read_repo_root(repo, version, &root, why);
    if (err == HF_OK)
        err = hf_file_replace_alone(path.text, hf_buf_bytes(&root), why);
    hf_buf_free(&root);
    return err;
}
