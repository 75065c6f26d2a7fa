#include "server/serve/repository_check.h"

#include "common/os/file_util.h"
#include "common/tuf/trusted_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The set judges expiry at the beginning of time, when nothing has expired yet. */
#define BEFORE_EVERY_EXPIRY 0

/* ---- is it whole? ------------------------------------------------------------------------------ */

struct check {
    struct hf_edition *g;
    struct hf_trusted_set set;
    struct hf_why *why;
};

static enum hf_err find(struct check *c, const char *name, struct hf_served_file **out)
{
    struct hf_served_file *file = hf_edition_reach(c->g, name, strlen(name));
    if (file == NULL)
        return hf_edition_fail_missing(c->g, name, c->why);
    *out = file;
    return HF_OK;
}

/* TUF 5.2 and 5.3, from the first root to the newest. */
static enum hf_err check_roots(struct check *c)
{
    struct hf_served_file *root = NULL;
    HF_TRY(find(c, "/metadata/1.root.json", &root));
    HF_TRY(hf_trusted_set_init(&c->set, root->body.bytes, BEFORE_EVERY_EXPIRY, c->why));
    for (int64_t version = 2; root != NULL; version++) {
        char name[64];
        int len = snprintf(name, sizeof name, "/metadata/%" PRId64 ".root.json", version);
        c->g->root = root;
        root = hf_edition_reach(c->g, name, (size_t)len);
        if (root != NULL)
            HF_TRY(hf_trusted_set_update_root(&c->set, root->body.bytes, c->why));
    }
    return hf_trusted_set_end_roots(&c->set, c->why);
}

/* The file of a role: N.ROLE.json with consistent snapshots (TUF 6.2), else ROLE.json. `file` is
 * the name as snapshot has it, with its ending. */
static enum hf_err find_versioned(struct check *c, const char *file, int64_t version,
                                  struct hf_served_file **out)
{
    struct hf_buf name = {0};
    enum hf_err err = c->set.root->consistent_snapshot
                          ? hf_buf_printf(&name, "/metadata/%" PRId64 ".%s", version, file)
                          : hf_buf_printf(&name, "/metadata/%s", file);
    if (err == HF_OK)
        err = find(c, (const char *)name.data, out);
    else
        err = hf_fail(c->why, err, "no memory for the name of %s", file);
    hf_buf_free(&name);
    return err;
}

static enum hf_err check_timestamp_and_snapshot(struct check *c)
{
    struct hf_served_file *timestamp = NULL, *snapshot = NULL;
    HF_TRY(find(c, "/metadata/timestamp.json", &timestamp));
    c->g->timestamp = timestamp;
    HF_TRY(hf_trusted_set_update_timestamp(&c->set, timestamp->body.bytes, HF_FETCHED, c->why));
    HF_TRY(find_versioned(c, "snapshot.json", c->set.timestamp->snapshot.version, &snapshot));
    c->g->snapshot = snapshot;
    return hf_trusted_set_update_snapshot(&c->set, snapshot->body.bytes, HF_FETCHED, c->why);
}

/* A target's file is there with the bytes that its metadata promises. */
static enum hf_err check_target(struct check *c, const struct hf_target *target)
{
    struct hf_buf name = {0};
    struct hf_served_file *file = NULL;
    enum hf_err err = hf_buf_append_text(&name, "/targets/");
    if (err == HF_OK)
        err = hf_target_file_name(target, c->set.root->consistent_snapshot, &name, c->why);
    if (err == HF_OK)
        err = find(c, (const char *)name.data, &file);
    hf_buf_free(&name);
    HF_TRY(err);
    /* The hash was taken when the file was read; files are shared by many editions. */
    const struct hf_file_info *info = &target->info;
    if (info->has_sha256 && info->length == (int64_t)file->body.bytes.len &&
        memcmp(info->sha256, file->sha256, HF_SHA256_LEN) == 0)
        return HF_OK;
    return hf_file_info_verify(info, file->body.bytes, file->name + 1, c->why);
}

static enum hf_err load_role(struct check *c, const char *role,
                             const struct hf_trusted_targets *delegator)
{
    struct hf_buf name = {0};
    struct hf_served_file *file = NULL;
    const struct hf_file_info *info = NULL;
    enum hf_err err = hf_buf_printf(&name, "%s.json", role);
    if (err == HF_OK)
        info = hf_snapshot_find(c->set.snapshot, (const char *)name.data);
    if (err == HF_OK && info == NULL)
        err = hf_fail(c->why, HF_E_NOT_FOUND, "snapshot does not list %s.json", role);
    if (err == HF_OK)
        err = find_versioned(c, (const char *)name.data, info->version, &file);
    hf_buf_free(&name);
    HF_TRY(err);
    return hf_trusted_set_update_targets(&c->set, file->body.bytes, role, delegator, c->why);
}

/* Loaded under the same delegator already, perhaps by another way to that one. A role that leads
 * back to one of its delegators ends here, too. */
static bool is_loaded(const struct check *c, const char *role, const char *delegator)
{
    for (size_t i = 0; i < c->set.n_targets; i++) {
        const struct hf_trusted_targets *t = c->set.targets[i];
        if (t->delegator != NULL && strcmp(t->role, role) == 0 &&
            strcmp(t->delegator->role, delegator) == 0)
            return true;
    }
    return false;
}

static enum hf_err check_one(struct check *c, const struct hf_trusted_targets *role)
{
    const struct hf_targets *targets = &role->targets;
    for (size_t i = 0; i < targets->n_targets; i++)
        HF_TRY(check_target(c, &targets->targets[i]));
    for (size_t i = 0; i < targets->n_delegations; i++) {
        const char *delegated = targets->delegations[i].role.name;
        if (!is_loaded(c, delegated, role->role))
            HF_TRY(load_role(c, delegated, role));
    }
    return HF_OK;
}

/* Targets, then what it delegates to, and so on: the set grows while it is walked. */
static enum hf_err check_targets(struct check *c)
{
    HF_TRY(load_role(c, "targets", NULL));
    for (size_t i = 0; i < c->set.n_targets; i++)
        HF_TRY(check_one(c, c->set.targets[i]));
    return HF_OK;
}

static void count_expiry(struct hf_summary *s, const char *role, int64_t expires_s)
{
    if (s->expires_role[0] != '\0' && expires_s >= s->expires_s)
        return;
    s->expires_s = expires_s;
    (void)snprintf(s->expires_role, sizeof s->expires_role, "%s", role);
}

/* `out` is all zero. */
static void summarise(const struct hf_trusted_set *set, struct hf_summary *out)
{
    out->root_version = set->root->env.version;
    out->timestamp_version = set->timestamp->env.version;
    out->snapshot_version = set->snapshot->env.version;
    out->targets_version = set->targets[0]->targets.env.version;
    count_expiry(out, "root", set->root->env.expires_s);
    for (size_t i = 0; i < set->n_targets; i++)
        count_expiry(out, set->targets[i]->role, set->targets[i]->targets.env.expires_s);
    count_expiry(out, "snapshot", set->snapshot->env.expires_s);
    count_expiry(out, "timestamp", set->timestamp->env.expires_s);
}

enum hf_err hf_repository_check(struct hf_edition *g, struct hf_why *why)
{
    struct check c = {.g = g, .why = why};
    enum hf_err err = check_roots(&c);
    if (err == HF_OK)
        err = check_timestamp_and_snapshot(&c);
    if (err == HF_OK)
        err = check_targets(&c);
    if (err == HF_OK)
        summarise(&c.set, &g->summary);
    hf_trusted_set_free(&c.set);
    return err;
}

/* ---- is it newer? ---------------------------------------------------------------------------------- */

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
        HF_TRY(hf_trusted_set_update_root(set, next->body.bytes, why));
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
        return hf_trusted_set_update_timestamp(set, g->timestamp->body.bytes, HF_FETCHED, why);
    enum hf_err err = hf_trusted_set_update_timestamp(set, g->timestamp->body.bytes, HF_FETCHED,
                                                      why);
    if (err != HF_OK && err != HF_E_SAME_VERSION)
        return err;
    err = hf_trusted_set_update_snapshot(set, hf_buf_bytes(&newest->snapshot.bytes), HF_CACHED,
                                         NULL);
    (void)err; /* an older snapshot is what is expected here */
    return hf_trusted_set_update_snapshot(set, g->snapshot->body.bytes, HF_FETCHED, why);
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
    if (hf_bytes_equal(hf_buf_bytes(&kept->bytes), file->body.bytes))
        return true;
    if (hf_buf_append(&copy, file->body.bytes.data, file->body.bytes.len) != HF_OK)
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

enum hf_err hf_newest_load(const char *state, struct hf_newest *out, struct hf_why *why)
{
    struct hf_newest newest = {0};
    struct hf_trusted_set set = {0};
    enum hf_err err = load(state, "root.json", HF_ROOT_BYTES_MAX, &newest.root.bytes, why);
    /* A root that is damaged would refuse every repository. */
    if (err == HF_OK && newest.root.bytes.len > 0)
        err = hf_trusted_set_init(&set, hf_buf_bytes(&newest.root.bytes), BEFORE_EVERY_EXPIRY, why);
    hf_trusted_set_free(&set);
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
