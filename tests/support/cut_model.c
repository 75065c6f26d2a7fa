#include "tests/support/cut_model.h"

#include "tests/support/check.h"

#include <stdio.h>

#define SECTOR_BYTES 512

struct cut_model cut_model;

/* splitmix64 */
uint64_t cut_model_draw(void)
{
    uint64_t z = cut_model.random += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static bool toss(void)
{
    return cut_model.seed > 1 ? (cut_model_draw() & 1) != 0 : cut_model.seed == 1;
}

/* ---- names ----------------------------------------------------------------------------------- */

static struct cut_name *find_name(struct cut_names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->items[i].path, path) == 0)
            return &names->items[i];
    }
    return NULL;
}

void cut_name_set(struct cut_names *names, const char *path, int node)
{
    struct cut_name *name = find_name(names, path);
    if (name == NULL) {
        assert_true(names->n < CUT_NAMES_MAX);
        name = &names->items[names->n++];
        (void)snprintf(name->path, sizeof name->path, "%s", path);
    }
    name->node = node;
}

void cut_name_unset(struct cut_names *names, const char *path, int node)
{
    struct cut_name *name = find_name(names, path);
    if (name != NULL && name->node == node)
        *name = names->items[--names->n];
}

int cut_node_at(const char *path)
{
    const struct cut_name *name = find_name(&cut_model.now, path);
    return name != NULL ? name->node : -1;
}

int cut_node_add(enum disk_kind kind, unsigned mode, struct hf_bytes content)
{
    assert_true(cut_model.n_nodes < CUT_NODES_MAX);
    cut_model.nodes[cut_model.n_nodes] = (struct cut_node){.kind = kind, .mode = mode};
    CHECK_OK(hf_buf_append(&cut_model.nodes[cut_model.n_nodes].content, content.data, content.len));
    return cut_model.n_nodes++;
}

struct cut_pending *cut_pending_add(enum cut_kind kind, int node)
{
    assert_true(cut_model.n_pending < CUT_PENDING_MAX);
    struct cut_pending *op = &cut_model.pending[cut_model.n_pending++];
    *op = (struct cut_pending){.kind = kind, .node = node};
    return op;
}

static bool is_in_folder(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    const char *rest = path + len + (len > 0);
    return strncmp(path, folder, len) == 0 && (len == 0 || path[len] == '/') &&
           strchr(rest, '/') == NULL;
}

/* ---- what an operation does to the disk ------------------------------------------------------ */

static void make_longer(struct hf_buf *content, size_t len)
{
    if (content->len >= len)
        return;
    size_t more = len - content->len;
    CHECK_OK(hf_buf_reserve(content, more));
    memset(content->data + content->len, 0, more);
    content->len = len;
}

static void put_bytes(struct cut_node *node, int64_t offset, const uint8_t *data, size_t len)
{
    size_t end = (size_t)offset + len;
    make_longer(&node->content, end);
    memcpy(node->content.data + offset, data, len);
}

static void set_len(struct cut_node *node, int64_t len)
{
    make_longer(&node->content, (size_t)len);
    node->content.len = (size_t)len;
}

void cut_model_do(const struct cut_pending *op)
{
    struct cut_node *node = &cut_model.nodes[op->node];

    if (op->kind == CUT_WRITE)
        put_bytes(node, op->offset, op->bytes.data, op->bytes.len);
    else if (op->kind == CUT_TRUNCATE)
        set_len(node, op->offset);
    else if (op->kind == CUT_UNNAME)
        cut_name_unset(&cut_model.synced, op->path, op->node);
    else
        cut_name_set(&cut_model.synced, op->path, op->node);
    if (op->kind == CUT_NAME && op->from[0] != '\0')
        cut_name_unset(&cut_model.synced, op->from, op->node);
}

/* Its length is on disk, its bytes are not. */
static void put_garbage(struct cut_node *node, int64_t offset, size_t len)
{
    uint8_t garbage[SECTOR_BYTES];
    for (size_t i = 0; i < len; i++)
        garbage[i] = (uint8_t)cut_model_draw();
    if ((size_t)offset >= node->content.len)
        put_bytes(node, offset, garbage, len);
}

static void do_some_sectors(const struct cut_pending *op)
{
    for (size_t done = 0, len; done < op->bytes.len; done += len) {
        int64_t offset = op->offset + (int64_t)done;
        len = SECTOR_BYTES - (size_t)(offset % SECTOR_BYTES);
        if (len > op->bytes.len - done)
            len = op->bytes.len - done;
        uint64_t what = cut_model_draw() % 8;
        if (what < 4)
            put_bytes(&cut_model.nodes[op->node], offset, op->bytes.data + done, len);
        else if (what == 4)
            put_garbage(&cut_model.nodes[op->node], offset, len);
    }
}

static void lose_or_do(const struct cut_pending *op)
{
    if (op->kind == CUT_WRITE && cut_model.seed > 1 && cut_model_draw() % 3 == 0)
        do_some_sectors(op);
    else if (toss())
        cut_model_do(op);
}

static bool is_synced_by(const struct cut_pending *op, const char *path, int node)
{
    if (op->kind == CUT_WRITE || op->kind == CUT_TRUNCATE)
        return op->node == node;
    return is_in_folder(op->path, path);
}

void cut_model_settle(const char *path, int node, bool may_lose)
{
    size_t kept = 0;

    for (size_t i = 0; i < cut_model.n_pending; i++) {
        struct cut_pending *op = &cut_model.pending[i];
        if (path != NULL && !is_synced_by(op, path, node)) {
            cut_model.pending[kept++] = *op;
            continue;
        }
        if (may_lose)
            lose_or_do(op);
        else
            cut_model_do(op);
        hf_buf_free(&op->bytes);
    }
    cut_model.n_pending = kept;
}
