#include "server/serve/repository_check.h"

#include "common/os/file_util.h"
#include "common/rollout/role.h"
#include "common/tuf/trusted_set.h"
#include "server/serve/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The set judges expiry at the beginning of time, when nothing has expired yet. */
#define BEFORE_EVERY_EXPIRY 0

struct check {
    struct hf_edition *e;
    struct hf_trusted_set set;
    struct hf_why *why;
};

static enum hf_err find(struct check *c, const char *name, struct hf_served_file **out)
{
    struct hf_served_file *file = hf_edition_reach(c->e, name, strlen(name));
    if (file == NULL)
        return hf_edition_fail_missing(c->e, name, c->why);
    *out = file;
    return HF_OK;
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
    /* This hash was computed when the file was read; files are shared by many editions. */
    const struct hf_file_info *info = &target->info;
    if (info->has_sha256 && !info->has_sha512 && info->length == (int64_t)file->body.bytes.len &&
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

static bool is_listed(const struct check *c, const char *role)
{
    char name[HF_ROLLOUT_ROLE_SIZE + sizeof ".json"];
    (void)snprintf(name, sizeof name, "%s.json", role);
    return hf_snapshot_find(c->set.snapshot, name) != NULL;
}

/* As a device walks it that knows only the first root. */
static enum hf_err check_all(struct check *c)
{
    struct hf_served_file *root = NULL, *timestamp = NULL, *snapshot = NULL;

    /* TUF 5.2 and 5.3 */
    HF_TRY(find(c, "/metadata/1.root.json", &root));
    HF_TRY(hf_trusted_set_init(&c->set, root->body.bytes, BEFORE_EVERY_EXPIRY, c->why));
    for (int64_t version = 2; root != NULL; version++) {
        char name[64];
        int len = snprintf(name, sizeof name, "/metadata/%" PRId64 ".root.json", version);
        c->e->root = root;
        root = hf_edition_reach(c->e, name, (size_t)len);
        if (root != NULL)
            HF_TRY(hf_trusted_set_update_root(&c->set, root->body.bytes, c->why));
    }
    HF_TRY(hf_trusted_set_end_roots(&c->set, c->why));

    HF_TRY(find(c, "/metadata/timestamp.json", &timestamp));
    c->e->timestamp = timestamp;
    HF_TRY(hf_trusted_set_update_timestamp(&c->set, timestamp->body.bytes, HF_FETCHED, c->why));
    HF_TRY(find_versioned(c, "snapshot.json", c->set.timestamp->snapshot.version, &snapshot));
    c->e->snapshot = snapshot;
    HF_TRY(hf_trusted_set_update_snapshot(&c->set, snapshot->body.bytes, HF_FETCHED, c->why));

    /* Targets, then what it delegates to, and so on: the set grows while it is walked. */
    HF_TRY(load_role(c, "targets", NULL));
    for (size_t i = 0; i < c->set.n_targets; i++) {
        const struct hf_trusted_targets *role = c->set.targets[i];
        const struct hf_targets *targets = &role->targets;
        for (size_t k = 0; k < targets->n_targets; k++)
            HF_TRY(check_target(c, &targets->targets[k]));
        for (size_t k = 0; k < targets->n_delegations; k++) {
            const char *delegated = targets->delegations[k].role.name;
            /* The stage of a rollout may be signed later than the delegation. */
            bool is_to_come = hf_rollout_role_set(delegated) != NULL && !is_listed(c, delegated);
            if (!is_to_come && !is_loaded(c, delegated, role->role))
                HF_TRY(load_role(c, delegated, role));
        }
    }
    return HF_OK;
}

static void count_expiry(struct hf_summary *s, const char *role, int64_t expires_s)
{
    if (s->expires_role[0] != '\0' && expires_s >= s->expires_s)
        return;
    s->expires_s = expires_s;
    (void)snprintf(s->expires_role, sizeof s->expires_role, "%s", role);
}

/* The roles of rollouts are signed online, as snapshot is. */
static void count_roles(struct hf_summary *s, const struct hf_trusted_set *set, bool is_online)
{
    for (size_t i = 0; i < set->n_targets; i++) {
        const struct hf_trusted_targets *t = set->targets[i];
        if ((hf_rollout_role_set(t->role) != NULL) == is_online)
            count_expiry(s, t->role, t->targets.env.expires_s);
    }
}

enum hf_err hf_repository_check(struct hf_edition *e, struct hf_why *why)
{
    struct check c = {.e = e, .why = why};
    struct hf_summary *s = &e->summary;
    struct hf_published *published = NULL;
    enum hf_err err = check_all(&c);
    if (err == HF_OK)
        err = hf_catalog_read(e, &c.set, &published, why);
    if (err == HF_OK) {
        hf_published_unref(e->published); /* of a check before */
        e->published = published;
        s->root_version = c.set.root->env.version;
        s->timestamp_version = c.set.timestamp->env.version;
        s->snapshot_version = c.set.snapshot->env.version;
        s->targets_version = c.set.targets[0]->targets.env.version;
        count_expiry(s, "root", c.set.root->env.expires_s);
        count_roles(s, &c.set, false);
        s->offline_expires_s = s->expires_s;
        memcpy(s->offline_expires_role, s->expires_role, sizeof s->offline_expires_role);
        count_roles(s, &c.set, true);
        count_expiry(s, "snapshot", c.set.snapshot->env.expires_s);
        count_expiry(s, "timestamp", c.set.timestamp->env.expires_s);
    }
    hf_trusted_set_free(&c.set);
    return err;
}

/* From the root that was served to the newest one of `e`. */
static enum hf_err walk_roots(struct hf_trusted_set *set, const struct hf_edition *e,
                              struct hf_why *why)
{
    while (set->root->env.version < e->summary.root_version) {
        char name[64];
        int len = snprintf(name, sizeof name, "/metadata/%" PRId64 ".root.json",
                           set->root->env.version + 1);
        const struct hf_served_file *next = hf_edition_find(e, name, (size_t)len);
        if (next == NULL)
            return hf_edition_fail_missing(e, name, why);
        HF_TRY(hf_trusted_set_update_root(set, next->body.bytes, why));
    }
    if (set->root->env.version > e->summary.root_version)
        return hf_fail(why, HF_E_ROLLBACK,
                       "its newest root is version %" PRId64 ", and version %" PRId64
                       " was served before",
                       e->summary.root_version, set->root->env.version);
    return hf_trusted_set_end_roots(set, why);
}

enum hf_err hf_newest_check(const struct hf_newest *newest, const struct hf_edition *e,
                            struct hf_why *why)
{
    struct hf_trusted_set set = {0};
    if (newest->root.bytes.len == 0)
        return HF_OK;
    enum hf_err err = hf_trusted_set_init(&set, hf_buf_bytes(&newest->root.bytes),
                                          BEFORE_EVERY_EXPIRY, why);
    if (err == HF_OK)
        err = walk_roots(&set, e, why);
    if (err != HF_OK)
        goto out;
    /* What is cached is a floor; if it does not verify any more, there is none. */
    bool has_floor = hf_trusted_set_update_timestamp(&set, hf_buf_bytes(&newest->timestamp.bytes),
                                                     HF_CACHED, NULL) == HF_OK;
    err = hf_trusted_set_update_timestamp(&set, e->timestamp->body.bytes, HF_FETCHED, why);
    if (!has_floor || (err != HF_OK && err != HF_E_SAME_VERSION))
        goto out;
    err = hf_trusted_set_update_snapshot(&set, hf_buf_bytes(&newest->snapshot.bytes), HF_CACHED,
                                         NULL);
    (void)err; /* an older snapshot is what is expected here */
    err = hf_trusted_set_update_snapshot(&set, e->snapshot->body.bytes, HF_FETCHED, why);
out:
    hf_trusted_set_free(&set);
    return err;
}

enum hf_err hf_newest_remember(struct hf_newest *newest, const struct hf_edition *e,
                               const char *state, struct hf_why *why)
{
    /* Saved in this order: a power cut in between leaves a timestamp that is not newer than the
     * others. */
    const struct {
        struct hf_newest_file *kept;
        const struct hf_served_file *file;
        const char *name;
    } rows[] = {{&newest->root, e->root, "root.json"},
                {&newest->snapshot, e->snapshot, "snapshot.json"},
                {&newest->timestamp, e->timestamp, "timestamp.json"}};
    const size_t n = sizeof rows / sizeof rows[0];

    for (size_t i = 0; i < n; i++) {
        struct hf_bytes bytes = rows[i].file->body.bytes;
        struct hf_buf copy = {0};
        if (hf_bytes_equal(hf_buf_bytes(&rows[i].kept->bytes), bytes))
            continue;
        if (hf_buf_append(&copy, bytes.data, bytes.len) != HF_OK)
            return hf_fail(why, HF_E_MEMORY, "no memory for the metadata that is served");
        hf_buf_free(&rows[i].kept->bytes);
        *rows[i].kept = (struct hf_newest_file){.bytes = copy, .is_unsaved = true};
    }
    for (size_t i = 0; state != NULL && i < n; i++) {
        struct hf_path path;
        if (!rows[i].kept->is_unsaved)
            continue;
        HF_TRY(hf_path_set(&path, why, "%s/%s", state, rows[i].name));
        HF_TRY(hf_file_replace(path.text, hf_buf_bytes(&rows[i].kept->bytes), 0600, why));
        rows[i].kept->is_unsaved = false;
    }
    return HF_OK;
}

static enum hf_err load(const char *state, const char *name, size_t max_bytes, struct hf_buf *out,
                        struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/%s", state, name));
    enum hf_err err = hf_file_read(path.text, max_bytes, out, why);
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
