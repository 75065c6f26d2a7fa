#include "tests/support/published.h"

#include "tests/support/check.h"

#include "common/base/timetext.h"

#include <stdio.h>
#include <string.h>

#define ROOTS_MAX 8

struct hf_published *published_new(size_t room)
{
    struct hf_published *published = hf_published_new(room);

    assert_non_null(published);
    return published;
}

void published_add(struct hf_published *published, const char *set, const char *profile,
                   int64_t version, size_t n_roots, const struct published_root *roots)
{
    struct hf_published_bundle *bundle = &published->bundles[published->n++];
    struct hf_anchor anchors[ROOTS_MAX] = {0};
    const struct hf_bundle from = {.anchors = anchors, .n_anchors = n_roots};

    assert_true(n_roots <= ROOTS_MAX);
    (void)snprintf(bundle->description.set, sizeof bundle->description.set, "%s", set);
    (void)snprintf(bundle->description.profile, sizeof bundle->description.profile, "%s", profile);
    bundle->description.version = version;
    for (size_t i = 0; i < n_roots; i++) {
        struct hf_anchor *anchor = &anchors[i];
        anchor->cert.subject[0] = roots[i].letter;
        anchor->cert.sha256[0] = (uint8_t)roots[i].letter;
        anchor->cert.spki_sha256[0] = (uint8_t)roots[i].letter;
        anchor->cert.not_after_s = roots[i].ends_s;
        anchor->distrust_after_s = anchor->remove_after_s = HF_TIME_NONE;
    }
    CHECK_OK(hf_published_set_anchors(bundle, &from));
}
