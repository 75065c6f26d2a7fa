#include "server/repository/drafts/draft_roots.h"

#include "common/base/limits.h"
#include "common/tuf/trusted_set.h"
#include "server/repository/keys/key_seal.h"

#include <inttypes.h>

#define ROOTS_BYTES_MAX (HF_DRAFT_BYTES_MAX / 4) /* the rest is for what is signed */

enum hf_err hf_draft_roots_read(const struct hf_repo *repo, int64_t newest, json_t **out,
                                struct hf_why *why)
{
    json_t *list = json_array();
    size_t n_bytes = 0;
    for (int64_t version = newest - 1; version >= 1; version--) {
        struct hf_buf file = {0};
        enum hf_err err = hf_repo_read_role(repo, HF_ROLE_ROOT, version, true, &file, why);
        n_bytes += file.len;
        bool is_oldest = err == HF_E_NOT_FOUND || n_bytes > ROOTS_BYTES_MAX;
        if (err == HF_OK && !is_oldest &&
            json_array_insert_new(list, 0, json_stringn((const char *)file.data, file.len)) != 0)
            err = hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
        hf_buf_free(&file);
        if (is_oldest)
            break;
        if (err != HF_OK) {
            json_decref(list);
            return err;
        }
    }
    *out = list;
    return HF_OK;
}

/* As a device walks them, from `set`, which holds the root in `path`. */
static enum hf_err walk_to(const struct hf_draft *draft, struct hf_trusted_set *set,
                           const char *path, struct hf_why *why)
{
    const int64_t known = set->root->env.version, last = draft->root.env.version;
    const json_t *roots = json_object_get(draft->json, "roots");
    for (int64_t version = known + 1; version <= last; version++) {
        /* The draft's own root is the one after the last of "roots". */
        int64_t index = (int64_t)json_array_size(roots) - (last - version);
        const json_t *text = index < 0 ? NULL : json_array_get(roots, (size_t)index);
        struct hf_bytes file = {(const uint8_t *)json_string_value(text), json_string_length(text)};
        if (version == last)
            file = hf_draft_root_file(draft);
        if (file.data == NULL)
            return hf_fail(why, HF_E_SIGNATURE,
                           "the draft follows root %" PRId64 ", %s is root %" PRId64
                           ", and the draft lacks root %" PRId64
                           ", which would show that one led to the other: put the newest root that "
                           "you trust there, or ask for a new draft",
                           last, path, known, version);
        if (hf_trusted_set_update_root(set, file, why) != HF_OK) {
            (void)hf_fail_context(why,
                                  "the draft follows a root %" PRId64 " that does not follow from "
                                  "root %" PRId64 " in %s; it is forged: do not sign",
                                  last, known, path);
            return HF_E_SIGNATURE;
        }
    }
    return HF_OK;
}

/* Does the draft's root follow from `known`, the root in `path`? */
static enum hf_err compare(const struct hf_draft *draft, struct hf_bytes known, const char *path,
                           struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    int64_t follows = draft->root.env.version;
    if (hf_trusted_set_init(&set, known, 0, why) != HF_OK) /* no root is asked for its expiry */
        return hf_fail_context(why, "%s", path);
    int64_t version = set.root->env.version;
    enum hf_err err = HF_OK;
    if (version > follows)
        err = hf_fail(why, HF_E_ROLLBACK,
                      "the draft follows root %" PRId64 ", but %s is root %" PRId64
                      "; start a new draft from the newest repository",
                      follows, path, version);
    else if (version < follows)
        err = walk_to(draft, &set, path, why);
    else if (!hf_bytes_equal(known, hf_draft_root_file(draft)))
        err = hf_fail(why, HF_E_SIGNATURE,
                      "the draft follows a root %" PRId64 " that is not the one in %s; it belongs "
                      "to another repository, or it was changed: do not sign",
                      follows, path);
    hf_trusted_set_free(&set);
    return err;
}

enum hf_err hf_draft_check_follows(const struct hf_draft *draft, const char *path,
                                   struct hf_why *why)
{
    struct hf_buf known = {0};
    enum hf_err err = hf_file_read_any(path, HF_ROOT_BYTES_MAX, &known, why);
    if (err == HF_OK)
        err = compare(draft, hf_buf_bytes(&known), path, why);
    hf_buf_free(&known);
    return err;
}

/* root.json in one folder: compare, and put the draft's root in its place if `updates`. */
static enum hf_err check_folder(const struct hf_draft *draft, const char *folder, bool updates,
                                bool *is_known, struct hf_why *why)
{
    struct hf_path path;
    struct hf_buf known = {0};
    HF_TRY(hf_path_set(&path, why, "%s/root.json", folder));
    enum hf_err err = hf_file_read_published(path.text, HF_ROOT_BYTES_MAX, &known, why);
    if (err == HF_E_NOT_FOUND)
        return HF_OK;
    *is_known = true;
    if (err == HF_OK)
        err = compare(draft, hf_buf_bytes(&known), path.text, why);
    if (err == HF_OK && updates)
        err = hf_file_replace_alone(path.text, hf_draft_root_file(draft), why);
    hf_buf_free(&known);
    return err;
}

enum hf_err hf_draft_check_trusted_roots(const struct hf_draft *draft,
                                         const struct hf_key_set *holder, bool updates,
                                         bool *is_known, struct hf_why *why)
{
    const char *own = holder->folders[HF_KEYS_OFFLINE].path.text;
    bool is_any_known = false;
    updates = updates && !hf_draft_is_under_coming_root(draft);
    if (own[0] != '\0')
        HF_TRY(check_folder(draft, own, updates, &is_any_known, why));
    for (size_t i = 0; i < holder->n_extra; i++) {
        const char *file = holder->extra[i].path.text;
        struct hf_path folder;
        if (hf_token_is_uri(file))
            continue;
        HF_TRY(hf_path_folder(file, &folder, why));
        HF_TRY(check_folder(draft, folder.text, updates, &is_any_known, why));
    }
    *is_known = is_any_known;
    return HF_OK;
}
