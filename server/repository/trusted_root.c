#include "server/repository/trusted_root.h"

#include "common/base/limits.h"
#include "common/tuf/trusted_set.h"

static enum hf_err file_name(const struct hf_key_folder *folder, struct hf_path *out,
                             struct hf_why *why)
{
    return hf_path_set(out, why, "%s/root.json", folder->path.text);
}

enum hf_err hf_trusted_root_create(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                   struct hf_undo *undo, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf root = {0};
    HF_TRY(file_name(folder, &path, why));
    enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, 1, true, &root, why);
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

enum hf_err hf_trusted_root_renew(const struct hf_key_folder *folder, const struct hf_repo *repo,
                                  int64_t now_s, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf trusted = {0}, newest = {0};
    struct hf_trusted_set set = {0};
    HF_TRY(file_name(folder, &path, why));
    enum hf_err err = hf_trusted_root_read(folder, &trusted, why);
    if (err == HF_OK)
        err = hf_trusted_set_init(&set, hf_buf_bytes(&trusted), now_s, why);
    /* From root to root as far as the repository goes. Each is verified here once more, because the
     * folder may have been changed since it was verified as a whole. */
    while (err == HF_OK) {
        struct hf_buf file = {0};
        err = hf_repo_read_role(repo, HF_ROLE_ROOT, set.root->env.version + 1, true, &file, why);
        if (err == HF_OK)
            err = hf_trusted_set_update_root(&set, hf_buf_bytes(&file), why);
        if (err == HF_OK) {
            hf_buf_free(&newest);
            newest = file;
        } else {
            hf_buf_free(&file);
        }
    }
    bool is_walked = err == HF_E_NOT_FOUND && set.root != NULL;
    if (is_walked)
        err = newest.len == 0 ? HF_OK
                              : hf_file_replace_alone(path.text, hf_buf_bytes(&newest), why);
    hf_trusted_set_free(&set);
    hf_buf_free(&newest);
    hf_buf_free(&trusted);
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
    enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, version, true, &root, why);
    if (err == HF_OK)
        err = hf_file_replace_alone(path.text, hf_buf_bytes(&root), why);
    hf_buf_free(&root);
    return err;
}
