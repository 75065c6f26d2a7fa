#include "server/repository/certs/cert_files.h"

#include "common/os/file_util.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct paths {
    char **items; /* NULL-terminated */
    size_t n_items;
};

void hf_cert_paths_free(char **paths)
{
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++)
        free(paths[i]);
    free(paths);
}

static enum hf_err add(struct paths *p, const char *path, struct hf_why *why)
{
    char *copy = strdup(path);
    char **more = realloc(p->items, (p->n_items + 2) * sizeof *more);
    if (more != NULL)
        p->items = more;
    if (copy == NULL || more == NULL) {
        free(copy);
        return hf_fail(why, HF_E_MEMORY, "out of memory for the names of certificates");
    }
    p->items[p->n_items++] = copy;
    p->items[p->n_items] = NULL;
    return HF_OK;
}

static int has_cert_name(const struct dirent *entry)
{
    static const char *const endings[] = {".pem", ".crt", ".cer", ".der"};
    const char *dot = strrchr(entry->d_name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    }
    return 0;
}

static enum hf_err add_entries(struct paths *p, const char *folder, struct dirent *const *entries,
                               int n, struct hf_why *why)
{
    for (int i = 0; i < n; i++) {
        struct hf_path path;
        HF_TRY(hf_path_set(&path, why, "%s/%s", folder, entries[i]->d_name));
        HF_TRY(add(p, path.text, why));
    }
    return HF_OK;
}

static enum hf_err add_folder(struct paths *p, const char *folder, struct hf_why *why)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, has_cert_name, alphasort);
    if (n < 0)
        return hf_fail(why, HF_E_STORAGE, "%s cannot be read: %m", folder);
    enum hf_err err = n > 0 ? add_entries(p, folder, entries, n, why)
                            : hf_fail(why, HF_E_NOT_FOUND,
                                      "there is no *.pem, *.crt, *.cer or *.der in %s", folder);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return err;
}

enum hf_err hf_cert_paths_find(const char *const *paths, char ***out, struct hf_why *why)
{
    struct paths p = {0};
    struct stat st;
    enum hf_err err = HF_OK;
    for (size_t i = 0; paths != NULL && paths[i] != NULL && err == HF_OK; i++)
        err = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode) ? add_folder(&p, paths[i], why)
                                                              : add(&p, paths[i], why);
    if (err != HF_OK) {
        hf_cert_paths_free(p.items);
        return err;
    }
    *out = p.items;
    return HF_OK;
}
