#include "tests/fuzz/der_edit.h"

#include "tests/support/test_pki.h"

#define CONSTRUCTED 0x20
#define OCTET_STRING 0x04
#define DEPTH_MAX 24

/** One tag and length at `at`; only tags of one byte. */
static bool read_head(struct hf_bytes der, size_t at, size_t end, struct der_node *out)
{
    if (end - at < 2 || (der.data[at] & 0x1f) == 0x1f)
        return false;
    size_t len = der.data[at + 1], body = at + 2;
    if (len > 0x80) {
        size_t n = len & 0x7f;
        if (n > 3 || end - body < n)
            return false;
        for (len = 0; n > 0; n--)
            len = len << 8 | der.data[body++];
    } else if (len == 0x80) {
        return false;
    }
    if (end - body < len)
        return false;
    *out = (struct der_node){.tag = der.data[at], .begin = at, .body = body, .end = body + len};
    return true;
}

static bool walk(struct der_tree *tree, size_t parent, size_t at, size_t end, int depth)
{
    while (at < end) {
        struct der_node node;
        if (depth == DEPTH_MAX || tree->n == DER_NODES_MAX || !read_head(tree->der, at, end, &node))
            return false;
        node.parent = parent;
        size_t self = tree->n++;
        tree->nodes[self] = node;
        if ((node.tag & CONSTRUCTED) != 0 && !walk(tree, self, node.body, node.end, depth + 1))
            return false;
        if (node.tag == OCTET_STRING && !walk(tree, self, node.body, node.end, depth + 1))
            tree->n = self + 1; /* it holds something else */
        at = node.end;
    }
    return true;
}

bool der_walk(struct hf_bytes der, struct der_tree *out)
{
    out->der = der;
    out->n = 0;
    return walk(out, DER_ROOT, 0, der.len, 0) && out->n > 0;
}

size_t der_child(const struct der_tree *tree, size_t node, size_t k)
{
    for (size_t i = node == DER_ROOT ? 0 : node; i < tree->n; i++)
        if (tree->nodes[i].parent == node && k-- == 0)
            return i;
    return DER_ROOT;
}

struct hf_bytes der_whole(const struct der_tree *tree, size_t node)
{
    const struct der_node *n = &tree->nodes[node];
    return (struct hf_bytes){tree->der.data + n->begin, n->end - n->begin};
}

static void put(struct hf_buf *out, const void *data, size_t len)
{
    FUZZ_CHECK(hf_buf_append(out, data, len) == HF_OK);
}

struct hf_buf der_replace(const struct der_tree *tree, size_t node, struct hf_bytes with)
{
    struct hf_buf now = {0};

    put(&now, with.data, with.len);
    while (tree->nodes[node].parent != DER_ROOT) {
        const struct der_node *child = &tree->nodes[node];
        const struct der_node *parent = &tree->nodes[child->parent];
        struct hf_buf value = {0}, whole = {0};
        put(&value, tree->der.data + parent->body, child->begin - parent->body);
        put(&value, now.data, now.len);
        put(&value, tree->der.data + child->end, parent->end - child->end);
        pki_put(&whole, parent->tag, hf_buf_bytes(&value));
        hf_buf_free(&value);
        hf_buf_free(&now);
        now = whole;
        node = child->parent;
    }
    return now;
}
