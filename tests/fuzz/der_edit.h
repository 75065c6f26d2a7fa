/* Edits of DER that keep it DER: the lengths of everything around what was changed follow. */
#ifndef HF_TESTS_FUZZ_DER_EDIT_H
#define HF_TESTS_FUZZ_DER_EDIT_H

#include "tests/fuzz/fuzz.h"

#define DER_NODES_MAX 2048
#define DER_ROOT SIZE_MAX

/* One tag, length and value. Places are offsets into the whole. */
struct der_node {
    uint8_t tag;
    size_t begin, body, end;
    size_t parent; /* DER_ROOT: none */
};

struct der_tree {
    struct hf_bytes der;
    size_t n;
    struct der_node nodes[DER_NODES_MAX]; /* from the front; what is inside of one follows it */
};

/** Also what is inside of OCTET STRINGs, where it is DER. False: it is no DER, or too much of
 *  it. */
bool der_walk(struct hf_bytes der, struct der_tree *out);

/** The k-th child of a node, or DER_ROOT. */
size_t der_child(const struct der_tree *tree, size_t node, size_t k);
/** Tag, length and value. */
struct hf_bytes der_whole(const struct der_tree *tree, size_t node);

/** The whole with `with` (nothing, or one or more nodes) in the place of a node. hf_buf_free the
 *  result. */
struct hf_buf der_replace(const struct der_tree *tree, size_t node, struct hf_bytes with);
#endif
