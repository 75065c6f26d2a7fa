#include "server/serve/newest.h"

#include "common/os/file_util.h"
#include "common/tuf/trusted_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing has expired yet at the beginning of time. */
#define BEFORE_EVERY_EXPIRY 0

static struct hf_bytes bytes_of(const struct hf_served_file *file)
{
    return (struct hf_bytes){file->body, file->body_len};
}

/* ---- checking ---------------------------------------------------------------------------------- */

/* From the root that was served to the newest one of `g`. */
static enum hf_err walk_roots(struct hf_trusted_set *set, const struct hf_edition *g,
                              struct hf_why *why)
{
    while (set->root->env.version < g->summary.root_version) {
        char name[64];
        int len = snprintf(name, sizeof name, "/metadata/%" PRId64 ".root.json",
                           set->root->env.version + 1);
        const struct hf_served_file *next = hf_edition_find(g, name, (size_t)len);
        if (next == NULL)
            return hf_edition_fail_missing(g, name, why);
        HF_TRY(hf_trusted_set_update_root(set, bytes_of(next), why));
    }
    if (set->root->env.version > g->summary.root_version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "its newest root is version %" PRId64 ", and version %" PRId64
                       " was served before",
                       g->summary.root_version, set->root->env.version);
    return hf_trusted_set_end_roots(set, why);
}

/* What is cached is a floor; where it does not count any more, there is none. */
static enum hf_err walk_online(struct hf_trusted_set *set, const struct hf_newest *newest,
                               const struct hf_edition *g, struct hf_why *why)
{
    if (hf_trusted_set_update_timestamp(set, hf_buf_bytes(&newest->timestamp.bytes), HF_CACHED,
                                        NULL) != HF_OK)
        return hf_trusted_set_update_timestamp(set, bytes_of(g->timestamp), HF_FETCHED, why);
    enum hf_err err = hf_trusted_set_update_timestamp(set, bytes_of(g->timestamp), HF_FETCHED, why);
    if (err != HF_OK && err != HF_E_SAME_VERSION)
        return err;
    err = hf_trusted_set_update_snapshot(set, hf_buf_bytes(&newest->snapshot.bytes), HF_CACHED,
                                         NULL);
    (void)err; /* an older snapshot is what is expected here */
    return hf_trusted_set_update_snapshot(set, bytes_of(g->snapshot), HF_FETCHED, why);
}

enum hf_err hf_newest_check(const struct hf_newest *newest, const struct hf_edition *g,
                            struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    if (newest->root.bytes.len == 0)
        return HF_OK;
    enum hf_err err = hf_trusted_set_init(&set, hf_buf_bytes(&newest->root.bytes),
                                          BEFORE_EVERY_EXPIRY, why);
    if (err == HF_OK)
        err = walk_roots(&set, g, why);
    if (err == HF_OK)
        err = walk_online(&set, newest, g, why);
    hf_trusted_set_free(&set);
    return err;
}

/* ---- remembering ------------------------------------------------------------------------------- */

/* In memory. True, unless memory ran out. */
static bool keep(struct hf_newest_file *kept, const struct hf_served_file *file)
{
    struct hf_buf copy = {0};
    if (hf_bytes_equal(hf_buf_bytes(&kept->bytes), bytes_of(file)))
        return true;
    if (hf_buf_append(&copy, file->body, file->body_len) != HF_OK)
        return false;
    hf_buf_free(&kept->bytes);
    *kept = (struct hf_newest_file){.bytes = copy, .is_unsaved = true};
    return true;
}

static enum hf_err save(struct hf_newest_file *kept, const char *state, const char *name,
                        struct hf_why *why)
{
    char *path = NULL;
    if (!kept->is_unsaved)
        return HF_OK;
    HF_TRY(hf_file_join(state, name, &path, why));
    enum hf_err err = hf_file_replace(path, hf_buf_bytes(&kept->bytes), 0600, why);
    free(path);
    kept->is_unsaved = err != HF_OK;
    return err;
}

/* Saved in this order: a power cut in between leaves a timestamp that is not newer than the others. */
enum hf_err hf_newest_remember(struct hf_newest *newest, const struct hf_edition *g,
                               const char *state, struct hf_why *why)
{
    if (!keep(&newest->root, g->root) || !keep(&newest->snapshot, g->snapshot) ||
        !keep(&newest->timestamp, g->timestamp))
        return hf_fail(why, HF_E_MEMORY, "no memory for the metadata that is served");
    if (state == NULL)
        return HF_OK;
    HF_TRY(save(&newest->root, state, "root.json", why));
    HF_TRY(save(&newest->snapshot, state, "snapshot.json", why));
    return save(&newest->timestamp, state, "timestamp.json", why);
}

static enum hf_err load(const char *state, const char *name, size_t max_bytes, struct hf_buf *out,
                        struct hf_why *why)
{
    char *path = NULL;
    HF_TRY(hf_file_join(state, name, &path, why));
    enum hf_err err = hf_file_read(path, max_bytes, out, why);
    free(path);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* A root that is damaged would refuse every repository. */
static enum hf_err check_root(const struct hf_newest *newest, struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    if (newest->root.bytes.len == 0)
        return HF_OK;
    HF_TRY(hf_trusted_set_init(&set, hf_buf_bytes(&newest->root.bytes), BEFORE_EVERY_EXPIRY, why));
    hf_trusted_set_free(&set);
    return HF_OK;
}

enum hf_err hf_newest_load(const char *state, struct hf_newest *out, struct hf_why *why)
{
    struct hf_newest newest = {0};
    enum hf_err err = load(state, "root.json", HF_ROOT_BYTES_MAX, &newest.root.bytes, why);
    if (err == HF_OK)
        err = check_root(&newest, why);
    if (err != HF_OK) {
        hf_newest_free(&newest);
        *out = (struct hf_newest){0};
        return err;
    }
    /* Each is a floor without the other. */
    err = load(state, "snapshot.json", HF_SNAPSHOT_BYTES_MAX, &newest.snapshot.bytes, why);
    enum hf_err of_timestamp = load(state, "timestamp.json", HF_TIMESTAMP_BYTES_MAX,
                                    &newest.timestamp.bytes, err == HF_OK ? why : NULL);
    *out = newest;
    return err != HF_OK ? err : of_timestamp;
}

void hf_newest_free(struct hf_newest *newest)
{
    hf_buf_free(&newest->root.bytes);
    hf_buf_free(&newest->timestamp.bytes);
    hf_buf_free(&newest->snapshot.bytes);
}
