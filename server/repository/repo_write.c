#include "server/repository/repo_write.h"

#include "server/repository/base/text.h"
#include "server/repository/repo_verify.h"
#include "common/os/file_util.h"
#include "server/repository/base/undo.h"

#include <stdlib.h>
#include <string.h>

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

static void free_file(struct hf_repo_file *file)
{
    free(file->path);
    hf_buf_free(&file->bytes);
}

void hf_repo_unstage(struct hf_repo *repo)
{
    for (size_t i = 0; i < repo->n_staged; i++)
        free_file(&repo->staged[i]);
    free(repo->staged);
    repo->staged = NULL;
    repo->n_staged = 0;
}

/* ---- order ------------------------------------------------------------------------------------ */

#define ROOT_SUFFIX ".root.json"
#define RANK_VISIBLE 2 /* and above: devices look for a file of that name */

static int rank_of(const char *path)
{
    size_t len = strlen(path), suffix_len = strlen(ROOT_SUFFIX);
    if (strcmp(path, HF_TIMESTAMP_FILE) == 0)
        return RANK_VISIBLE + 1;
    if (len > suffix_len && strcmp(path + len - suffix_len, ROOT_SUFFIX) == 0)
        return RANK_VISIBLE;
    return strncmp(path, "targets/", strlen("targets/")) == 0 ? 0 : 1;
}

static size_t count_hidden(const struct hf_repo *repo)
{
    size_t n = 0;
    while (n < repo->n_staged && rank_of(repo->staged[n].path) < RANK_VISIBLE)
        n++;
    return n;
}

static int compare_files(const void *a, const void *b)
{
    const struct hf_repo_file *file_a = a;
    const struct hf_repo_file *file_b = b;
    int by_rank = rank_of(file_a->path) - rank_of(file_b->path);
    return by_rank != 0 ? by_rank : strverscmp(file_a->path, file_b->path);
}

/* ---- writing ---------------------------------------------------------------------------------- */

/* What is new is noted in `undo`. What was there before is not: published metadata may name it. */
static enum hf_err write_file(const struct hf_repo *repo, const struct hf_repo_file *file,
                              struct hf_undo *undo, struct hf_why *why)
{
    struct hf_path path;
    struct hf_path folder;
    const char *name = strrchr(file->path, '/') + 1; /* every path has a folder */
    HF_TRY(hf_file_check_way(repo->dir, file->path, why));
    HF_TRY(hf_path_set(&path, why, "%s/%s", repo->dir, file->path));
    HF_TRY(
        hf_path_set(&folder, why, "%s/%.*s", repo->dir, (int)(name - 1 - file->path), file->path));
    HF_TRY(hf_undo_make_folder(undo, folder.text, 0755, why));
    if (!hf_file_exists(path.text))
        HF_TRY(hf_undo_note(undo, path.text, why));
    hf_verbose("writing %s (%zu bytes)", path.text, file->bytes.len);
    return hf_file_replace_alone(path.text, hf_buf_bytes(&file->bytes), why);
}

/* The disk with only what is visible still to come: what the last rename will make true. */
static enum hf_err verify_before_visible(const struct hf_repo *repo, size_t n_hidden, int64_t now_s,
                                         struct hf_why *why)
{
    struct hf_repo nearly = {.dir = repo->dir,
                             .staged = &repo->staged[n_hidden],
                             .n_staged = repo->n_staged - n_hidden,
                             .self_signed = repo->self_signed};
    enum hf_err err = hf_repo_verify(&nearly, now_s, why);
    if (err != HF_OK)
        return hf_fail_context(why, "nothing was published, devices would refuse it");
    return HF_OK;
}

/* Everything that nothing points to yet, and the look at it. */
static enum hf_err write_hidden(const struct hf_repo *repo, size_t n, int64_t now_s,
                                struct hf_undo *undo, struct hf_why *why)
{
    for (size_t i = 0; i < n; i++)
        HF_TRY(write_file(repo, &repo->staged[i], undo, why));
    return n == repo->n_staged ? HF_OK : verify_before_visible(repo, n, now_s, why);
}

static enum hf_err write_visible(const struct hf_repo *repo, size_t n_hidden, struct hf_undo *undo,
                                 struct hf_why *why)
{
    for (size_t i = n_hidden; i < repo->n_staged; i++)
        HF_TRY(write_file(repo, &repo->staged[i], undo, why));
    return HF_OK;
}

enum hf_err hf_repo_write_with(struct hf_repo *repo, int64_t now_s, const struct hf_repo_step *step,
                               struct hf_why *why)
{
    struct hf_undo undo = {0};
    if (repo->n_staged == 0)
        return hf_fail(why, HF_E_STATE, "nothing is staged to be written");
    qsort(repo->staged, repo->n_staged, sizeof *repo->staged, compare_files);
    size_t n_hidden = count_hidden(repo);
    enum hf_err err = write_hidden(repo, n_hidden, now_s, &undo, why);
    if (err == HF_OK && step != NULL)
        err = step->run(step->context, why);
    if (err != HF_OK) {
        hf_undo_run(&undo);
        return err;
    }
    /* When this fails a rename may have happened all the same: nothing is taken away. */
    err = write_visible(repo, n_hidden, &undo, why);
    hf_undo_free(&undo);
    if (err == HF_OK)
        hf_repo_unstage(repo);
    return err;
}

enum hf_err hf_repo_write(struct hf_repo *repo, int64_t now_s, struct hf_why *why)
{
    return hf_repo_write_with(repo, now_s, NULL, why);
}

enum hf_err hf_repo_lock(const char *dir, int *lock, struct hf_why *why)
{
    struct hf_path path, folder;
    HF_TRY(hf_path_set(&folder, why, "%s/.", dir));
    HF_TRY(hf_path_set(&path, why, "%s/" HF_REPO_LOCK_FILE, dir));
    if (!hf_file_exists(folder.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no repository in %s; holdfastctl init makes one", dir);
    enum hf_err err = hf_file_lock(path.text, 0, lock, why);
    if (err == HF_E_BUSY)
        return hf_fail(why, err,
                       "another holdfastctl is writing to %s; wait until it is done and try again",
                       dir);
    return err;
}
