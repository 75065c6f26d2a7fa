#include "server/repository/repo_write.h"

#include "server/repository/base/terminal.h"
#include "server/repository/repo_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_SUFFIX ".root.json"
#define RANK_VISIBLE 2 /* and above: devices look for a file of that name */

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

enum hf_err hf_undo_make_folder(struct hf_undo *undo, const char *path, mode_t mode,
                                struct hf_why *why)
{
    size_t len = strcspn(path + 1, "/") + 1;
    for (;;) {
        struct hf_path part;
        HF_TRY(hf_path_set(&part, why, "%.*s", (int)len, path));
        if (!hf_file_exists(part.text)) {
            HF_TRY(hf_file_make_new_dir(part.text, mode, why));
            HF_TRY(hf_undo_note(undo, part.text, why));
        }
        if (path[len] == '\0')
            return HF_OK;
        len += strcspn(path + len + 1, "/") + 1;
    }
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

enum hf_err hf_repo_stage_take(struct hf_repo *repo, const char *path, struct hf_buf *bytes,
                               struct hf_why *why)
{
    struct hf_repo_file *more = realloc(repo->staged, (repo->n_staged + 1) * sizeof *repo->staged);
    char *own_path = strdup(path);
    if (more != NULL)
        repo->staged = more;
    if (more == NULL || own_path == NULL) {
        free(own_path);
        hf_buf_free(bytes);
        return hf_fail(why, HF_E_MEMORY, "out of memory for %s", path);
    }
    repo->staged[repo->n_staged++] = (struct hf_repo_file){.path = own_path, .bytes = *bytes};
    *bytes = (struct hf_buf){0};
    return HF_OK;
}

enum hf_err hf_repo_stage_copy(struct hf_repo *repo, const char *path, struct hf_bytes bytes,
                               struct hf_why *why)
{
    struct hf_buf copy = {0};
    if (hf_buf_append(&copy, bytes.data, bytes.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for %s", path);
    return hf_repo_stage_take(repo, path, &copy, why);
}

void hf_repo_unstage(struct hf_repo *repo)
{
    for (size_t i = 0; i < repo->n_staged; i++) {
        free(repo->staged[i].path);
        hf_buf_free(&repo->staged[i].bytes);
    }
    free(repo->staged);
    repo->staged = NULL;
    repo->n_staged = 0;
}

static int rank_of(const char *path)
{
    size_t len = strlen(path), suffix_len = strlen(ROOT_SUFFIX);
    if (strcmp(path, HF_TIMESTAMP_FILE) == 0)
        return RANK_VISIBLE + 1;
    if (len > suffix_len && strcmp(path + len - suffix_len, ROOT_SUFFIX) == 0)
        return RANK_VISIBLE;
    return strncmp(path, "targets/", strlen("targets/")) == 0 ? 0 : 1;
}

static int compare_files(const void *a, const void *b)
{
    const struct hf_repo_file *file_a = a;
    const struct hf_repo_file *file_b = b;
    int by_rank = rank_of(file_a->path) - rank_of(file_b->path);
    return by_rank != 0 ? by_rank : strverscmp(file_a->path, file_b->path);
}

/* What is new is noted in `undo`. What was there before is not: published metadata may name it. */
static enum hf_err write_file(const struct hf_repo *repo, const struct hf_repo_file *file,
                              struct hf_undo *undo, struct hf_why *why)
{
    struct hf_path path, folder;
    HF_TRY(hf_file_check_way(repo->dir, file->path, why));
    HF_TRY(hf_path_set(&path, why, "%s/%s", repo->dir, file->path));
    HF_TRY(
        hf_path_set(&folder, why, "%.*s", (int)(strrchr(path.text, '/') - path.text), path.text));
    HF_TRY(hf_undo_make_folder(undo, folder.text, 0755, why));
    if (!hf_file_exists(path.text))
        HF_TRY(hf_undo_note(undo, path.text, why));
    hf_verbose("writing %s (%zu bytes)", path.text, file->bytes.len);
    return hf_file_replace_alone(path.text, hf_buf_bytes(&file->bytes), why);
}

enum hf_err hf_repo_write(struct hf_repo *repo, int64_t now_s, const struct hf_repo_step *step,
                          struct hf_why *why)
{
    struct hf_undo undo = {0};
    size_t n = 0;
    enum hf_err err = HF_OK;
    if (repo->n_staged == 0)
        return hf_fail(why, HF_E_STATE, "nothing is staged to be written");
    qsort(repo->staged, repo->n_staged, sizeof *repo->staged, compare_files);
    for (; n < repo->n_staged && rank_of(repo->staged[n].path) < RANK_VISIBLE && err == HF_OK; n++)
        err = write_file(repo, &repo->staged[n], &undo, why);

    /* The disk with only what is visible still to come: what the last rename will make true. */
    const struct hf_repo nearly = {.dir = repo->dir,
                                   .staged = repo->staged + n,
                                   .n_staged = repo->n_staged - n,
                                   .self_signed = repo->self_signed};
    if (err == HF_OK && n < repo->n_staged) {
        err = hf_repo_verify(&nearly, now_s, why);
        if (err != HF_OK)
            (void)hf_fail_context(why, "nothing was published, devices would refuse it");
    }
    if (err == HF_OK && step != NULL)
        err = step->run(step->context, why);
    if (err != HF_OK) {
        hf_undo_run(&undo);
        return err;
    }

    /* When this fails a rename may have happened all the same: nothing is taken away. */
    for (; n < repo->n_staged && err == HF_OK; n++)
        err = write_file(repo, &repo->staged[n], &undo, why);
    hf_undo_free(&undo);
    if (err == HF_OK)
        hf_repo_unstage(repo);
    return err;
}

enum hf_err hf_repo_lock(const char *dir, int *lock, struct hf_why *why)
{
    struct hf_path path, folder;
    HF_TRY(hf_path_set(&folder, why, "%s/.", dir));
    HF_TRY(hf_path_set(&path, why, "%s/" HF_REPO_LOCK_FILE, dir));
    if (hf_file_is_absent(folder.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no repository in %s; holdfastctl init makes one", dir);
    enum hf_err err = hf_file_lock(path.text, 0, lock, why);
    if (err == HF_E_BUSY)
        return hf_fail(why, err,
                       "another holdfastctl is writing to %s; wait until it is done and try again",
                       dir);
    return err;
}
