/*
 * How the inputs of the harness `chain` change: as bytes now and then, else the order, the number,
 * the host, the time, and certificates, which stay DER.
 */
#include "tests/fuzz/chain_input.h"
#include "tests/fuzz/der_edit.h"
#include "tests/support/test_pki.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

#define VALUE_MAX 4096 /* of one node that is changed byte by byte */

/* ---- the list -------------------------------------------------------------------------------- */

static size_t below(unsigned *seed, size_t n)
{
    *seed = *seed * 1103515245u + 12345u;
    return n == 0 ? 0 : (*seed >> 8) % n;
}

static void swap(struct chain_input *input, size_t a, size_t b)
{
    struct hf_buf held = input->certs[a];
    input->certs[a] = input->certs[b];
    input->certs[b] = held;
}

static void duplicate(struct chain_input *input, size_t which)
{
    if (input->n_certs == CHAIN_CERTS_MAX)
        return;
    struct hf_buf *copy = &input->certs[input->n_certs];
    *copy = (struct hf_buf){0};
    FUZZ_CHECK(hf_buf_append(copy, input->certs[which].data, input->certs[which].len) == HF_OK);
    input->n_certs++;
}

static void drop(struct chain_input *input, size_t which)
{
    hf_buf_free(&input->certs[which]);
    for (input->n_certs--; which < input->n_certs; which++)
        input->certs[which] = input->certs[which + 1];
    input->certs[input->n_certs] = (struct hf_buf){0};
    if (input->n_anchors > input->n_certs)
        input->n_anchors = input->n_certs;
}

static void change_list(struct chain_input *input, unsigned *seed)
{
    size_t a = below(seed, input->n_certs), b = below(seed, input->n_certs);
    switch (below(seed, 5)) {
    case 0:
        duplicate(input, a);
        break;
    case 1:
        if (input->n_certs > 1)
            drop(input, a);
        break;
    case 2:
        input->n_anchors = below(seed, input->n_certs + 1);
        break;
    default:
        swap(input, a, b);
    }
}

/* ---- one certificate ------------------------------------------------------------------------- */

/* Where things are in a certificate (RFC 5280, 4.1), as children of TBSCertificate behind the
 * version. */
enum { TBS_ISSUER = 2, TBS_VALIDITY = 3, TBS_SUBJECT = 4, TBS_EXTENSIONS = 6 };

static size_t find_in_tbs(const struct der_tree *tree, size_t which)
{
    size_t tbs = der_child(tree, 0, 0);
    if (tbs == DER_ROOT)
        return DER_ROOT;
    size_t first = der_child(tree, tbs, 0);
    bool has_version = first != DER_ROOT && tree->nodes[first].tag == 0xa0;
    size_t at = der_child(tree, tbs, which + has_version);
    if (which == TBS_EXTENSIONS && at != DER_ROOT)
        at = der_child(tree, at, 0);
    return at;
}

static void take(struct chain_input *input, size_t which, struct hf_buf now)
{
    if (now.len > UINT16_MAX) {
        hf_buf_free(&now);
        return;
    }
    hf_buf_free(&input->certs[which]);
    input->certs[which] = now;
}

/** Its issuer is now the other's subject, or the other way round, or what either says of another
 *  kind. */
static struct hf_buf take_over(const struct der_tree *to, const struct der_tree *from,
                               unsigned *seed)
{
    static const size_t pairs[][2] = {{TBS_ISSUER, TBS_SUBJECT},
                                      {TBS_ISSUER, TBS_SUBJECT},
                                      {TBS_SUBJECT, TBS_ISSUER},
                                      {TBS_SUBJECT, TBS_SUBJECT},
                                      {TBS_VALIDITY, TBS_VALIDITY},
                                      {TBS_EXTENSIONS, TBS_EXTENSIONS}};
    size_t pair = below(seed, sizeof pairs / sizeof pairs[0]);
    size_t at = find_in_tbs(to, pairs[pair][0]), with = find_in_tbs(from, pairs[pair][1]);
    if (at == DER_ROOT || with == DER_ROOT)
        return (struct hf_buf){0};
    return der_replace(to, at, der_whole(from, with));
}

/** One more extension: the other has it. */
static struct hf_buf take_extension(const struct der_tree *to, const struct der_tree *from,
                                    unsigned *seed)
{
    size_t list = find_in_tbs(to, TBS_EXTENSIONS), other = find_in_tbs(from, TBS_EXTENSIONS);
    size_t k = other == DER_ROOT ? DER_ROOT : der_child(from, other, below(seed, 12));
    struct hf_buf value = {0}, whole = {0};
    if (list == DER_ROOT || k == DER_ROOT)
        return value;
    const struct der_node *node = &to->nodes[list];
    struct hf_bytes one = der_whole(from, k);
    FUZZ_CHECK(hf_buf_append(&value, one.data, one.len) == HF_OK);
    FUZZ_CHECK(hf_buf_append(&value, to->der.data + node->body, node->end - node->body) == HF_OK);
    pki_put(&whole, node->tag, hf_buf_bytes(&value));
    struct hf_buf result = der_replace(to, list, hf_buf_bytes(&whole));
    hf_buf_free(&value);
    hf_buf_free(&whole);
    return result;
}

/** An extension becomes critical, or no longer is. */
static struct hf_buf turn_critical(const struct der_tree *tree, unsigned *seed)
{
    static const uint8_t is_critical[] = {0x01, 0x01, 0xff};
    size_t list = find_in_tbs(tree, TBS_EXTENSIONS);
    size_t extension = list == DER_ROOT ? DER_ROOT : der_child(tree, list, below(seed, 8));
    size_t oid = extension == DER_ROOT ? DER_ROOT : der_child(tree, extension, 0);
    size_t next = oid == DER_ROOT ? DER_ROOT : der_child(tree, extension, 1);
    struct hf_buf both = {0};
    if (next == DER_ROOT)
        return both;
    if (tree->nodes[next].tag == is_critical[0])
        return der_replace(tree, next, (struct hf_bytes){0});
    struct hf_bytes type = der_whole(tree, oid);
    FUZZ_CHECK(hf_buf_append(&both, type.data, type.len) == HF_OK);
    FUZZ_CHECK(hf_buf_append(&both, is_critical, sizeof is_critical) == HF_OK);
    struct hf_buf result = der_replace(tree, oid, hf_buf_bytes(&both));
    hf_buf_free(&both);
    return result;
}

/** Any node: twice, not at all, another one's of the same tag, or with another value. */
static struct hf_buf change_node(const struct der_tree *tree, const struct der_tree *other,
                                 unsigned *seed)
{
    size_t node = below(seed, tree->n), from = below(seed, other->n);
    struct hf_bytes whole = der_whole(tree, node);
    struct hf_buf with = {0};
    uint8_t value[VALUE_MAX];

    switch (below(seed, 6)) {
    case 0:
        FUZZ_CHECK(hf_buf_append(&with, whole.data, whole.len) == HF_OK);
        FUZZ_CHECK(hf_buf_append(&with, whole.data, whole.len) == HF_OK);
        break;
    case 1:
        break;
    case 2:
        while (from > 0 && other->nodes[from].tag != tree->nodes[node].tag)
            from--;
        FUZZ_CHECK(hf_buf_append(&with, der_whole(other, from).data, der_whole(other, from).len) ==
                   HF_OK);
        break;
    default: {
        const struct der_node *n = &tree->nodes[node];
        size_t len = n->end - n->body < sizeof value / 2 ? n->end - n->body : sizeof value / 2;
        memcpy(value, tree->der.data + n->body, len);
        len = LLVMFuzzerMutate(value, len, len + 16);
        pki_put(&with, n->tag, (struct hf_bytes){value, len});
    }
    }
    struct hf_buf result = der_replace(tree, node, hf_buf_bytes(&with));
    hf_buf_free(&with);
    return result;
}

/* Text of the same tag, or of one that holds it as well. */
static const uint8_t text_tags[] = {0x0c, 0x13, 0x14, 0x16, 0x1e, 0x1c};

static void put_char(struct hf_buf *out, size_t width, uint8_t c)
{
    static const uint8_t zeros[3];
    FUZZ_CHECK(hf_buf_append(out, zeros, width - 1) == HF_OK);
    FUZZ_CHECK(hf_buf_append(out, &c, 1) == HF_OK);
}

/** A text of a name as another encoder might write it: another type, other spaces, the other
 *  case. */
static struct hf_buf change_text(const struct der_tree *tree, unsigned *seed)
{
    size_t node = below(seed, tree->n);
    while (node > 0 && memchr(text_tags, tree->nodes[node].tag, sizeof text_tags) == NULL)
        node--;
    const struct der_node *n = &tree->nodes[node];
    if (node == 0 || n->end - n->body > VALUE_MAX / 4)
        return (struct hf_buf){0};
    size_t from = n->tag == 0x1e ? 2 : n->tag == 0x1c ? 4 : 1;
    uint8_t tag = text_tags[below(seed, sizeof text_tags)];
    size_t width = tag == 0x1e ? 2 : tag == 0x1c ? 4 : 1, what = below(seed, 4);
    struct hf_buf value = {0}, whole = {0};
    for (size_t at = n->body + from - 1; at < n->end; at += from) {
        uint8_t c = tree->der.data[at];
        bool is_letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (what == 1 && (c == ' ' || at == n->body + from - 1))
            put_char(&value, width, ' ');
        put_char(&value, width, what == 2 && is_letter ? c ^ 0x20 : c);
    }
    if (what == 1)
        put_char(&value, width, ' ');
    pki_put(&whole, tag, hf_buf_bytes(&value));
    struct hf_buf result = der_replace(tree, node, hf_buf_bytes(&whole));
    hf_buf_free(&value);
    hf_buf_free(&whole);
    return result;
}

static void change_cert(struct chain_input *input, unsigned *seed)
{
    static struct der_tree tree, other;
    size_t which = below(seed, input->n_certs), from = below(seed, input->n_certs);
    struct hf_buf now = {0};

    if (!der_walk(hf_buf_bytes(&input->certs[which]), &tree) ||
        !der_walk(hf_buf_bytes(&input->certs[from]), &other))
        return;
    switch (below(seed, 7)) {
    case 0:
        now = take_over(&tree, &other, seed);
        break;
    case 1:
        now = take_extension(&tree, &other, seed);
        break;
    case 2:
        now = turn_critical(&tree, seed);
        break;
    case 3:
        now = change_text(&tree, seed);
        break;
    default:
        now = change_node(&tree, &other, seed);
    }
    if (now.len > 0)
        take(input, which, now);
    else
        hf_buf_free(&now);
}

/* ---- host and time --------------------------------------------------------------------------- */

/** The host becomes a text that stands in a certificate, or another one. */
static void change_host(struct chain_input *input, unsigned *seed)
{
    static struct der_tree tree;
    size_t which = below(seed, input->n_certs);
    if (below(seed, 3) == 0) {
        size_t len = LLVMFuzzerMutate((uint8_t *)input->host, strlen(input->host), 64);
        input->host[len] = '\0';
        return;
    }
    if (!der_walk(hf_buf_bytes(&input->certs[which]), &tree))
        return;
    const struct der_node *node = &tree.nodes[below(seed, tree.n)];
    size_t len = node->end - node->body;
    if (node->tag != 0x82 || len > 200)
        return;
    memcpy(input->host, tree.der.data + node->body, len);
    input->host[len] = '\0';
    if (input->host[0] == '*')
        input->host[0] = 'a';
}

static void change_time(struct chain_input *input, unsigned *seed)
{
    static const int64_t steps_s[] = {1, 86400, 86400 * 366, INT64_C(86400) * 366 * 20};
    int64_t step_s = steps_s[below(seed, sizeof steps_s / sizeof steps_s[0])];
    if (below(seed, 3) == 0)
        input->distrust_days = (int8_t)below(seed, 256);
    else
        input->at_s += below(seed, 2) == 0 || input->at_s < step_s ? step_s : -step_s;
}

static void mutate(struct chain_input *input, unsigned seed)
{
    if (input->n_certs == 0)
        return;
    for (size_t n = below(&seed, 4) + 1; n > 0; n--) {
        switch (below(&seed, 8)) {
        case 0:
            change_list(input, &seed);
            break;
        case 1:
            if (below(&seed, 2) == 0)
                change_host(input, &seed);
            else
                change_time(input, &seed);
            break;
        default:
            change_cert(input, &seed);
        }
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct chain_input input;
    struct hf_buf out = {0};

    if (seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    chain_input_read((struct hf_bytes){data, size}, &input);
    mutate(&input, seed / 16);
    chain_input_write(&input, &out);
    chain_input_free(&input);
    if (out.len <= max_size) {
        size = out.len;
        memcpy(data, out.data, size);
    }
    hf_buf_free(&out);
    return size;
}
