/* Published bundles that no repository was read for. */
#ifndef HF_TESTS_SUPPORT_PUBLISHED_H
#define HF_TESTS_SUPPORT_PUBLISHED_H

#include "server/fleet/published.h"

/* A root: the letter is its subject, and makes its hash; when it expires. */
struct published_root {
    char letter;
    int64_t ends_s;
};

struct hf_published *published_new(size_t room);
/** Add one; hf_published_sort when all are there. */
void published_add(struct hf_published *published, const char *set, const char *profile,
                   int64_t version, size_t n_roots, const struct published_root *roots);

#endif
