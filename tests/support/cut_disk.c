#include "tests/support/cut_disk.h"

#include "tests/support/check.h"
#include "tests/support/cut_model.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- operations ------------------------------------------------------------------------------ */

/* Below the folder; NULL where it is not. */
static const char *inside(const char *path)
{
    size_t len = strlen(cut_model.folder);
    return cut_model.is_counting && strncmp(path, cut_model.folder, len) == 0 && path[len] == '/'
               ? path + len + 1
               : NULL;
}

/* One operation more. False: there was no power for it. */
static bool is_possible(void)
{
    if (!cut_model.is_on)
        return false;
    cut_model.n_operations++;
    return true;
}

/* The power goes at this operation, which is on its way to the disk: it may arrive all the same. */
static bool survives(void)
{
    cut_model.is_on = cut_model.n_operations != cut_model.cut_at;
    return cut_model.is_on;
}

bool cut_disk_create(const char *path, enum disk_kind kind, unsigned mode, const char *target)
{
    const char *name = inside(path);
    if (name == NULL)
        return true;
    if (!is_possible())
        return false;
    int node = cut_node_add(kind, mode, hf_bytes_of_text(target != NULL ? target : ""));
    struct cut_pending *op = cut_pending_add(CUT_NAME, node);
    (void)snprintf(op->path, sizeof op->path, "%s", name);
    cut_name_set(&cut_model.now, name, node);
    return survives();
}

bool cut_disk_write(const char *path, int64_t offset, const void *data, size_t len)
{
    const char *name = inside(path);
    int node = name != NULL ? cut_node_at(name) : -1;
    if (node < 0)
        return true;
    if (!is_possible())
        return false;
    struct cut_pending *op = cut_pending_add(CUT_WRITE, node);
    op->offset = offset;
    CHECK_OK(hf_buf_append(&op->bytes, data, len));
    return survives();
}

bool cut_disk_truncate(const char *path, int64_t len)
{
    const char *name = inside(path);
    int node = name != NULL ? cut_node_at(name) : -1;
    if (node < 0)
        return true;
    if (!is_possible())
        return false;
    cut_pending_add(CUT_TRUNCATE, node)->offset = len;
    return survives();
}

/* Modes are not what this is about: they are there at once, and not counted. */
bool cut_disk_chmod(const char *path, unsigned mode)
{
    const char *name = inside(path);
    int node = name != NULL ? cut_node_at(name) : -1;
    if (node >= 0 && cut_model.is_on)
        cut_model.nodes[node].mode = mode;
    return node < 0 || cut_model.is_on;
}

bool cut_disk_rename(const char *from, const char *to)
{
    const char *from_name = inside(from);
    const char *to_name = inside(to);
    int node = from_name != NULL ? cut_node_at(from_name) : -1;
    if (node < 0)
        return true;
    assert_non_null(to_name);
    if (!is_possible())
        return false;
    struct cut_pending *op = cut_pending_add(CUT_NAME, node);
    (void)snprintf(op->path, sizeof op->path, "%s", to_name);
    (void)snprintf(op->from, sizeof op->from, "%s", from_name);
    cut_name_unset(&cut_model.now, from_name, node);
    cut_name_set(&cut_model.now, to_name, node);
    return survives();
}

bool cut_disk_remove(const char *path)
{
    const char *name = inside(path);
    int node = name != NULL ? cut_node_at(name) : -1;
    if (node < 0)
        return cut_model.is_on || name == NULL;
    if (!is_possible())
        return false;
    struct cut_pending *op = cut_pending_add(CUT_UNNAME, node);
    (void)snprintf(op->path, sizeof op->path, "%s", name);
    cut_name_unset(&cut_model.now, name, node);
    return survives();
}

bool cut_disk_sync(const char *path)
{
    const char *name = strcmp(path, cut_model.folder) == 0 && cut_model.is_counting ? ""
                                                                                    : inside(path);
    if (name == NULL)
        return true;
    if (!is_possible())
        return false;
    cut_model.is_cut_at_sync = !survives();
    if (cut_model.is_cut_at_sync)
        return false;
    cut_model_settle(name, cut_node_at(name), false);
    return true;
}

bool cut_disk_holds(const char *path)
{
    return inside(path) != NULL;
}

/* ---- begin, reboot --------------------------------------------------------------------------- */

static void forget(void)
{
    for (int i = 0; i < cut_model.n_nodes; i++)
        hf_buf_free(&cut_model.nodes[i].content);
    for (size_t i = 0; i < cut_model.n_pending; i++)
        hf_buf_free(&cut_model.pending[i].bytes);
    cut_model.n_nodes = 0;
    cut_model.n_pending = 0;
    cut_model.now.n = 0;
    cut_model.synced.n = 0;
    cut_model.is_counting = false;
}

/* The shared memory of SQLite's log: not for the disk, and made again after a reboot. */
static bool is_shared_memory(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, "-shm") == 0;
}

void cut_disk_begin(const char *folder, unsigned cut_at, uint64_t seed)
{
    struct disk_image image = {0};

    forget();
    (void)snprintf(cut_model.folder, sizeof cut_model.folder, "%s", folder);
    disk_image_read(folder, &image);
    for (size_t i = 0; i < image.n_entries; i++) {
        const struct disk_entry *entry = &image.entries[i];
        if (is_shared_memory(entry->path))
            continue;
        int node = cut_node_add(entry->kind, entry->mode, hf_buf_bytes(&entry->content));
        cut_name_set(&cut_model.now, entry->path, node);
        cut_name_set(&cut_model.synced, entry->path, node);
    }
    disk_image_free(&image);
    cut_model.is_on = true;
    cut_model.is_counting = true;
    cut_model.n_operations = 0;
    cut_model.cut_at = cut_at;
    cut_model.is_cut_at_sync = false;
    cut_model.seed = seed;
    cut_model.random = seed * 0x2545f4914f6cdd1dU + cut_at;
}

unsigned cut_disk_count(void)
{
    return cut_model.n_operations;
}

bool cut_disk_is_off(void)
{
    return !cut_model.is_on;
}

/* A folder's path is a part of those in it, so it comes first. */
static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct cut_name *)a)->path, ((const struct cut_name *)b)->path);
}

/* A folder that is lost takes with it what is in it. */
static bool has_parent(const struct disk_image *image, const char *path)
{
    char parent[CUT_PATH_BYTES];
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return true;
    *slash = '\0';
    return disk_image_find(image, parent) != NULL;
}

static void image_of(struct cut_names *names, struct disk_image *out)
{
    qsort(names->items, names->n, sizeof names->items[0], by_path);
    for (size_t i = 0; i < names->n; i++) {
        const struct cut_node *node = &cut_model.nodes[names->items[i].node];
        const char *path = names->items[i].path;
        if (has_parent(out, path))
            disk_image_add(out, path, node->kind, node->mode, hf_buf_bytes(&node->content));
    }
}

/* Its content is useless, and no code may rely on it. */
static void leave_shared_memory(struct disk_image *image)
{
    uint8_t garbage[32768];
    char path[CUT_PATH_BYTES + 4];

    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)cut_model_draw();
    size_t n = image->n_entries;
    for (size_t i = 0; i < n; i++) {
        const char *log = image->entries[i].path;
        size_t len = strlen(log);
        if (len < 4 || strcmp(log + len - 4, "-wal") != 0)
            continue;
        (void)snprintf(path, sizeof path, "%.*s-shm", (int)len - 4, log);
        disk_image_add(image, path, DISK_FILE, 0600, (struct hf_bytes){garbage, sizeof garbage});
    }
}

static uint64_t seed_in_turn(void)
{
    if (cut_model.is_on || cut_model.is_cut_at_sync)
        return 0;
    return cut_model.cut_at % 2 == 0 ? 1 : cut_model.cut_at;
}

void cut_disk_reboot(void)
{
    struct disk_image image = {0};

    if (cut_model.seed == CUT_IN_TURN)
        cut_model.seed = seed_in_turn();
    cut_model_settle(NULL, -1, true);
    image_of(&cut_model.synced, &image);
    leave_shared_memory(&image);
    forget();
    cut_model.is_on = true;
    disk_image_write(cut_model.folder, &image);
    disk_image_free(&image);
}

static void check_same(const struct disk_image *wanted, const struct disk_image *found)
{
    size_t n = 0;
    for (size_t i = 0; i < found->n_entries; i++) {
        const struct disk_entry *entry = &found->entries[i];
        if (is_shared_memory(entry->path))
            continue;
        const struct disk_entry *seen = disk_image_find(wanted, entry->path);
        if (seen == NULL || seen->kind != entry->kind)
            fail_msg("%s was made by a call that is not counted", entry->path);
        else if (!hf_bytes_equal(hf_buf_bytes(&seen->content), hf_buf_bytes(&entry->content)))
            fail_msg("%s was written by a call that is not counted", entry->path);
        n++;
    }
    if (n != wanted->n_entries)
        fail_msg("%zu names were removed by a call that is not counted", wanted->n_entries - n);
}

void cut_disk_check_complete(void)
{
    struct disk_image wanted = {0};
    struct disk_image found = {0};
    struct cut_names synced = cut_model.synced;

    /* On copies: what is not synced yet is still to be lost. */
    struct hf_buf contents[CUT_NODES_MAX] = {0};
    for (int i = 0; i < cut_model.n_nodes; i++)
        CHECK_OK(hf_buf_append(&contents[i], cut_model.nodes[i].content.data,
                               cut_model.nodes[i].content.len));
    for (size_t i = 0; i < cut_model.n_pending; i++)
        cut_model_do(&cut_model.pending[i]);
    image_of(&cut_model.now, &wanted);
    disk_image_read(cut_model.folder, &found);
    check_same(&wanted, &found);
    disk_image_free(&wanted);
    disk_image_free(&found);
    for (int i = 0; i < cut_model.n_nodes; i++) {
        hf_buf_free(&cut_model.nodes[i].content);
        cut_model.nodes[i].content = contents[i];
    }
    cut_model.synced = synced;
}
