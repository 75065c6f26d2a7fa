#include "server/repository/repo_read.h"

#include "common/base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum hf_err hf_repo_read(const struct hf_repo *repo, const char *path, size_t max_bytes,
                         struct hf_buf *out, struct hf_why *why)
{
    const struct hf_buf *staged = NULL;
    struct hf_path full;
    for (size_t i = 0; i < repo->n_staged && staged == NULL; i++) {
        if (strcmp(repo->staged[i].path, path) == 0)
            staged = &repo->staged[i].bytes;
    }
    HF_TRY(hf_path_set(&full, why, "%s/%s", repo->dir, path));
    if (staged == NULL)
        return hf_file_read_published(full.text, max_bytes, out, why);
    if (staged->len > max_bytes)
        return hf_fail(why, HF_E_LIMIT, "%s would have %zu bytes, devices take %zu at most",
                       full.text, staged->len, max_bytes);
    if (hf_buf_append(out, staged->data, staged->len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %s", full.text);
    return HF_OK;
}

enum hf_err hf_repo_role_path(enum hf_top_role role, int64_t version, bool is_numbered,
                              struct hf_path *out, struct hf_why *why)
{
    return hf_repo_delegated_path(hf_top_role_name(role), version,
                                  is_numbered && role != HF_ROLE_TIMESTAMP, out, why);
}

enum hf_err hf_repo_delegated_path(const char *role, int64_t version, bool is_numbered,
                                   struct hf_path *out, struct hf_why *why)
{
    if (!is_numbered)
        return hf_path_set(out, why, "metadata/%s.json", role);
    return hf_path_set(out, why, "metadata/%" PRId64 ".%s.json", version, role);
}

enum hf_err hf_repo_read_role(const struct hf_repo *repo, enum hf_top_role role, int64_t version,
                              bool is_numbered, struct hf_buf *out, struct hf_why *why)
{
    const size_t bytes_max = hf_metadata_limits(hf_top_role_name(role)).bytes_max;
    struct hf_path path;
    HF_TRY(hf_repo_role_path(role, version, is_numbered, &path, why));
    return hf_repo_read(repo, path.text, bytes_max, out, why);
}

enum hf_err hf_repo_target_path(const struct hf_target *target, bool consistent_snapshot,
                                struct hf_path *out, struct hf_why *why)
{
    struct hf_buf name = {0};
    enum hf_err err = hf_target_file_name(target, consistent_snapshot, &name, why);
    if (err == HF_OK)
        err = hf_path_set(out, why, "targets/%.*s", (int)name.len, (const char *)name.data);
    hf_buf_free(&name);
    return err;
}

int64_t hf_repo_version_in_name(const char *name, const char *role)
{
    int64_t version = 0;
    const char *p = name;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (version > HF_JSON_INTEGER_MAX / 10)
            return 0;
        version = version * 10 + (*p - '0');
    }
    size_t role_len = strlen(role);
    if (name[0] == '0' || *p != '.' || strncmp(p + 1, role, role_len) != 0)
        return 0;
    return strcmp(p + 1 + role_len, ".json") == 0 ? version : 0;
}

enum hf_err hf_repo_newest_targets(const struct hf_repo *repo, int64_t *out, struct hf_why *why)
{
    struct hf_path folder;
    HF_TRY(hf_path_set(&folder, why, "%s/metadata", repo->dir));
    DIR *dir = opendir(folder.text);
    if (dir == NULL)
        return hf_fail(why, HF_E_STORAGE, "cannot read the folder %s: %s", folder.text,
                       strerror(errno));
    int64_t newest = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        int64_t version = hf_repo_version_in_name(entry->d_name, "targets");
        if (version > newest)
            newest = version;
    }
    closedir(dir);
    *out = newest;
    return HF_OK;
}
