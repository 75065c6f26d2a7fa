#include "tests/support/cut_disk.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define SECTOR_BYTES 512
#define NODES_MAX 256
#define NAMES_MAX 256
#define PENDING_MAX 2048
#define PATH_BYTES 256

/* ---- the model ---------------------------------------------------------------------------------------- */

/* A file, link or folder, whatever its names. */
struct node {
    enum disk_kind kind;
    unsigned mode;
    struct hf_buf content; /* on disk for certain */
};

struct name {
    char path[PATH_BYTES]; /* below the folder */
    int node;
};

struct names {
    struct name items[NAMES_MAX];
    size_t n;
};

enum pending_kind { WRITE, TRUNCATE, NAME, UNNAME };

/* What was done and not synced yet. NAME: `path` is `node`; `from`, where there is one, is nothing
 * any more. */
struct pending {
    enum pending_kind kind;
    int node;
    int64_t offset; /* of WRITE; the length of TRUNCATE */
    struct hf_buf bytes;
    char path[PATH_BYTES];
    char from[PATH_BYTES];
};

static struct disk {
    char folder[PATH_BYTES];
    bool is_on;
    bool is_counting;
    unsigned n_operations;
    unsigned cut_at;
    uint64_t seed;
    uint64_t random;
    struct node nodes[NODES_MAX];
    int n_nodes;
    struct names now;    /* what the program sees */
    struct names synced; /* what is on disk for certain */
    struct pending pending[PENDING_MAX];
    size_t n_pending;
} disk;

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = disk.random += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static bool toss(void)
{
    return disk.seed > 1 ? (draw() & 1) != 0 : disk.seed == 1;
}

/* ---- names ---------------------------------------------------------------------------------------------- */

static struct name *find_name(struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i].path, path) == 0)
            return &names->items[i];
    }
    return NULL;
}

static void set_name(struct names *names, const char *path, int node)
{
    struct name *name = find_name(names, path);
    if (name == NULL) {
        assert_true(names->n < NAMES_MAX);
        name = &names->items[names->n++];
        (void)snprintf(name->path, sizeof name->path, "%s", path);
    }
    name->node = node;
}

/* Where `path` is another node by now, it stays. */
static void unset_name(struct names *names, const char *path, int node)
{
    struct name *name = find_name(names, path);
    if (name != NULL && name->node == node)
        *name = names->items[--names->n];
}

static int node_at(const char *path)
{
    const struct name *name = find_name(&disk.now, path);
    return name != NULL ? name->node : -1;
}

static int add_node(enum disk_kind kind, unsigned mode, struct hf_bytes content)
{
    assert_true(disk.n_nodes < NODES_MAX);
    disk.nodes[disk.n_nodes] = (struct node){.kind = kind, .mode = mode};
    CHECK_OK(hf_buf_append(&disk.nodes[disk.n_nodes].content, content.data, content.len));
    return disk.n_nodes++;
}

/* Below the folder; NULL where it is not. */
static const char *inside(const char *path)
{
    size_t len = strlen(disk.folder);
    return disk.is_counting && strncmp(path, disk.folder, len) == 0 && path[len] == '/'
               ? path + len + 1
               : NULL;
}

static bool is_in_folder(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    const char *rest = path + len + (len > 0);
    return strncmp(path, folder, len) == 0 && (len == 0 || path[len] == '/') &&
           strchr(rest, '/') == NULL;
}

/* ---- what an operation does to the disk ------------------------------------------------------------------- */

static void make_longer(struct hf_buf *content, size_t len)
{
    if (content->len >= len)
        return;
    size_t more = len - content->len;
    CHECK_OK(hf_buf_reserve(content, more));
    memset(content->data + content->len, 0, more);
    content->len = len;
}

static void put_bytes(struct node *node, int64_t offset, const uint8_t *data, size_t len)
{
    size_t end = (size_t)offset + len;
    make_longer(&node->content, end);
    memcpy(node->content.data + offset, data, len);
}

static void set_len(struct node *node, int64_t len)
{
    make_longer(&node->content, (size_t)len);
    node->content.len = (size_t)len;
}

static void do_pending(const struct pending *op)
{
    struct node *node = &disk.nodes[op->node];

    if (op->kind == WRITE)
        put_bytes(node, op->offset, op->bytes.data, op->bytes.len);
    else if (op->kind == TRUNCATE)
        set_len(node, op->offset);
    else if (op->kind == UNNAME)
        unset_name(&disk.synced, op->path, op->node);
    else
        set_name(&disk.synced, op->path, op->node);
    if (op->kind == NAME && op->from[0] != '\0')
        unset_name(&disk.synced, op->from, op->node);
}

/* Its length is on disk, its bytes are not. */
static void put_garbage(struct node *node, int64_t offset, size_t len)
{
    uint8_t garbage[SECTOR_BYTES];
    for (size_t i = 0; i < len; i++)
        garbage[i] = (uint8_t)draw();
    if ((size_t)offset >= node->content.len)
        put_bytes(node, offset, garbage, len);
}

static void do_some_sectors(const struct pending *op)
{
    for (size_t done = 0, len; done < op->bytes.len; done += len) {
        int64_t offset = op->offset + (int64_t)done;
        len = SECTOR_BYTES - (size_t)(offset % SECTOR_BYTES);
        if (len > op->bytes.len - done)
            len = op->bytes.len - done;
        uint64_t what = draw() % 8;
        if (what < 4)
            put_bytes(&disk.nodes[op->node], offset, op->bytes.data + done, len);
        else if (what == 4)
            put_garbage(&disk.nodes[op->node], offset, len);
    }
}

static void lose_or_do(const struct pending *op)
{
    if (op->kind == WRITE && disk.seed > 1 && draw() % 3 == 0)
        do_some_sectors(op);
    else if (toss())
        do_pending(op);
}

static bool is_synced_by(const struct pending *op, const char *path, int node)
{
    if (op->kind == WRITE || op->kind == TRUNCATE)
        return op->node == node;
    return is_in_folder(op->path, path);
}

/* Do what `path` syncs; all of it where that is NULL, and only what survives where `may_lose`. */
static void settle(const char *path, int node, bool may_lose)
{
    size_t kept = 0;

    for (size_t i = 0; i < disk.n_pending; i++) {
        struct pending *op = &disk.pending[i];
        if (path != NULL && !is_synced_by(op, path, node)) {
            disk.pending[kept++] = *op;
            continue;
        }
        if (may_lose)
            lose_or_do(op);
        else
            do_pending(op);
        hf_buf_free(&op->bytes);
    }
    disk.n_pending = kept;
}

/* ---- operations ------------------------------------------------------------------------------------------- */

static struct pending *add_pending(enum pending_kind kind, int node)
{
    assert_true(disk.n_pending < PENDING_MAX);
    struct pending *op = &disk.pending[disk.n_pending++];
    *op = (struct pending){.kind = kind, .node = node};
    return op;
}

/* One operation more. False: there was no power for it. */
static bool is_possible(void)
{
    if (!disk.is_on)
        return false;
    disk.n_operations++;
    return true;
}

/* The power goes at this operation, which is on its way to the disk: it may arrive all the same. */
static bool survives(void)
{
    disk.is_on = disk.n_operations != disk.cut_at;
    return disk.is_on;
}

bool cut_disk_create(const char *path, enum disk_kind kind, unsigned mode, const char *target)
{
    const char *name = inside(path);
    if (name == NULL)
        return true;
    if (!is_possible())
        return false;
    int node = add_node(kind, mode, hf_bytes_of_text(target != NULL ? target : ""));
    struct pending *op = add_pending(NAME, node);
    (void)snprintf(op->path, sizeof op->path, "%s", name);
    set_name(&disk.now, name, node);
    return survives();
}

bool cut_disk_write(const char *path, int64_t offset, const void *data, size_t len)
{
    const char *name = inside(path);
    int node = name != NULL ? node_at(name) : -1;
    if (node < 0)
        return true;
    if (!is_possible())
        return false;
    struct pending *op = add_pending(WRITE, node);
    op->offset = offset;
    CHECK_OK(hf_buf_append(&op->bytes, data, len));
    return survives();
}

bool cut_disk_truncate(const char *path, int64_t len)
{
    const char *name = inside(path);
    int node = name != NULL ? node_at(name) : -1;
    if (node < 0)
        return true;
    if (!is_possible())
        return false;
    add_pending(TRUNCATE, node)->offset = len;
    return survives();
}

/* Modes are not what this is about: they are there at once, and not counted. */
bool cut_disk_chmod(const char *path, unsigned mode)
{
    const char *name = inside(path);
    int node = name != NULL ? node_at(name) : -1;
    if (node >= 0 && disk.is_on)
        disk.nodes[node].mode = mode;
    return node < 0 || disk.is_on;
}

bool cut_disk_rename(const char *from, const char *to)
{
    const char *from_name = inside(from);
    const char *to_name = inside(to);
    int node = from_name != NULL ? node_at(from_name) : -1;
    if (node < 0)
        return true;
    assert_non_null(to_name);
    if (!is_possible())
        return false;
    struct pending *op = add_pending(NAME, node);
    (void)snprintf(op->path, sizeof op->path, "%s", to_name);
    (void)snprintf(op->from, sizeof op->from, "%s", from_name);
    unset_name(&disk.now, from_name, node);
    set_name(&disk.now, to_name, node);
    return survives();
}

bool cut_disk_remove(const char *path)
{
    const char *name = inside(path);
    int node = name != NULL ? node_at(name) : -1;
    if (node < 0)
        return disk.is_on || name == NULL;
    if (!is_possible())
        return false;
    struct pending *op = add_pending(UNNAME, node);
    (void)snprintf(op->path, sizeof op->path, "%s", name);
    unset_name(&disk.now, name, node);
    return survives();
}

bool cut_disk_sync(const char *path)
{
    const char *name = strcmp(path, disk.folder) == 0 && disk.is_counting ? "" : inside(path);
    if (name == NULL)
        return true;
    if (!is_possible() || !survives())
        return false;
    settle(name, node_at(name), false);
    return true;
}

bool cut_disk_holds(const char *path)
{
    return inside(path) != NULL;
}

/* ---- begin, reboot ------------------------------------------------------------------------------------------ */

static void forget(void)
{
    for (int i = 0; i < disk.n_nodes; i++)
        hf_buf_free(&disk.nodes[i].content);
    for (size_t i = 0; i < disk.n_pending; i++)
        hf_buf_free(&disk.pending[i].bytes);
    disk.n_nodes = 0;
    disk.n_pending = 0;
    disk.now.n = 0;
    disk.synced.n = 0;
    disk.is_counting = false;
}

/* The shared memory of SQLite's log: not for the disk, and made anew after a reboot. */
static bool is_shared_memory(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, "-shm") == 0;
}

void cut_disk_begin(const char *folder, unsigned cut_at, uint64_t seed)
{
    struct disk_image image = {0};

    forget();
    (void)snprintf(disk.folder, sizeof disk.folder, "%s", folder);
    disk_image_read(folder, &image);
    for (size_t i = 0; i < image.n_entries; i++) {
        const struct disk_entry *entry = &image.entries[i];
        if (is_shared_memory(entry->path))
            continue;
        int node = add_node(entry->kind, entry->mode, hf_buf_bytes(&entry->content));
        set_name(&disk.now, entry->path, node);
        set_name(&disk.synced, entry->path, node);
    }
    disk_image_free(&image);
    disk.is_on = true;
    disk.is_counting = true;
    disk.n_operations = 0;
    disk.cut_at = cut_at;
    disk.seed = seed;
    disk.random = seed * 0x2545f4914f6cdd1dU + cut_at;
}

unsigned cut_disk_count(void)
{
    return disk.n_operations;
}

bool cut_disk_is_off(void)
{
    return !disk.is_on;
}

/* A folder's path is a part of those in it, so it comes first. */
static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

/* A folder that is lost takes with it what is in it. */
static bool has_parent(const struct disk_image *image, const char *path)
{
    char parent[PATH_BYTES];
    (void)snprintf(parent, sizeof parent, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return true;
    *slash = '\0';
    return disk_image_find(image, parent) != NULL;
}

static void image_of(struct names *names, struct disk_image *out)
{
    qsort(names->items, names->n, sizeof names->items[0], by_path);
    for (size_t i = 0; i < names->n; i++) {
        const struct node *node = &disk.nodes[names->items[i].node];
        const char *path = names->items[i].path;
        if (has_parent(out, path))
            disk_image_add(out, path, node->kind, node->mode, hf_buf_bytes(&node->content));
    }
}

/* Whatever is left of it is of no use to anybody, and nobody may think so. */
static void leave_shared_memory(struct disk_image *image)
{
    uint8_t garbage[32768];
    char path[PATH_BYTES + 4];

    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (uint8_t)draw();
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

void cut_disk_reboot(void)
{
    struct disk_image image = {0};

    settle(NULL, -1, true);
    image_of(&disk.synced, &image);
    leave_shared_memory(&image);
    forget();
    disk.is_on = true;
    disk_image_write(disk.folder, &image);
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
    struct names synced = disk.synced;

    /* On copies: what is not synced yet is still to be lost. */
    struct hf_buf contents[NODES_MAX] = {0};
    for (int i = 0; i < disk.n_nodes; i++)
        CHECK_OK(
            hf_buf_append(&contents[i], disk.nodes[i].content.data, disk.nodes[i].content.len));
    for (size_t i = 0; i < disk.n_pending; i++)
        do_pending(&disk.pending[i]);
    image_of(&disk.now, &wanted);
    disk_image_read(disk.folder, &found);
    check_same(&wanted, &found);
    disk_image_free(&wanted);
    disk_image_free(&found);
    for (int i = 0; i < disk.n_nodes; i++) {
        hf_buf_free(&disk.nodes[i].content);
        disk.nodes[i].content = contents[i];
    }
    disk.synced = synced;
}
