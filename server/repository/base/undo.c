#include "server/repository/base/undo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_undo_note(struct hf_undo *undo, const char *path, struct hf_why *why)
{
    char **more = realloc(undo->paths, (undo->n_paths + 1) * sizeof *undo->paths);
    char *own = strdup(path);
    if (more != NULL)
        undo->paths = more;
    if (more == NULL || own == NULL) {
        free(own);
        (void)remove(path);
        return hf_fail(why, HF_E_MEMORY, "out of memory");
    }
    undo->paths[undo->n_paths++] = own;
    return HF_OK;
}

static enum hf_err make_one(struct hf_undo *undo, const char *path, mode_t mode, struct hf_why *why)
{
    if (hf_file_exists(path))
        return HF_OK;
    HF_TRY(hf_file_make_new_dir(path, mode, why));
    return hf_undo_note(undo, path, why);
}

enum hf_err hf_undo_make_folder(struct hf_undo *undo, const char *path, mode_t mode,
                                struct hf_why *why)
{
    struct hf_path part;
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        HF_TRY(hf_path_set(&part, why, "%.*s", (int)(slash - path), path));
        HF_TRY(make_one(undo, part.text, mode, why));
    }
    return make_one(undo, path, mode, why);
}

void hf_undo_run(struct hf_undo *undo)
{
    for (size_t i = undo->n_paths; i > 0; i--)
        (void)remove(undo->paths[i - 1]);
    hf_undo_free(undo);
}

void hf_undo_free(struct hf_undo *undo)
{
    for (size_t i = 0; i < undo->n_paths; i++)
        free(undo->paths[i]);
    free(undo->paths);
    *undo = (struct hf_undo){0};
}
