/* From certificate files to a bundle that may be signed: the next version of its set and profile. */
#ifndef HF_PUBLISH_BUNDLE_BUILD_H
#define HF_PUBLISH_BUNDLE_BUILD_H

#include "server/publish/bundle_notes.h"
#include "server/publish/repo_verify.h"

struct hf_bundle_order {
    const char *set;
    const char *profile;
    /* --from: its certificates come first, with what is signed about them; NULL for none */
    const struct hf_repo_bundle *from;
    const char *const *files; /* NULL-terminated, or NULL for none */
    const char *const *drops; /* --drop; NULL-terminated or NULL */
    struct hf_note_options notes;
};

/** A bundle as it will be published. */
struct hf_bundle_built {
    struct hf_description description;
    struct hf_bundle bundle;
    struct hf_buf pem;
};

/**
 * Read, check (parse, CA, key policy, in date at `now_s`, no duplicates, self-signatures) and
 * describe the certificates of `order`. `before` is the newest listed bundle of that set and
 * profile, NULL for none. May ask on the terminal about roots that go. I/O: reads files.
 */
HF_MUST_USE enum hf_err hf_bundle_build(const struct hf_bundle_order *order,
                                        const struct hf_repo_bundle *before, int64_t now_s,
                                        struct hf_bundle_built *out, struct hf_why *why);
void hf_bundle_built_free(struct hf_bundle_built *built);

#endif
