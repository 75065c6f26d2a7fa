/*
 * Publishes a signed draft as the newest root, together with the metadata that must be signed again
 * because of it, so that devices find a repository that they accept at every moment.
 */
#ifndef HF_REPOSITORY_ROOT_PUBLISH_H
#define HF_REPOSITORY_ROOT_PUBLISH_H

#include "server/repository/drafts/draft.h"
#include "server/repository/publication.h"

/** Versions of what was signed together with it; 0: none. */
struct hf_root_published {
    int64_t versions[HF_TOP_ROLES];
    bool is_bridged; /* no device ever saw metadata that it had to refuse */
    bool was_out;    /* it was published before; only the keys did not know of it */
};

/**
 * Publish. `at` says where; its root_max is set here. `targets`, a draft of targets that is signed
 * under this root, goes out with it; NULL: none. Done again after a power cut, it goes on.
 * HF_E_SIGNATURE with who is still to sign; HF_E_ROLLBACK for a draft that follows another root
 * than the newest; HF_E_NOT_FOUND when keys are missing that must sign targets, snapshot or
 * timestamp under the new root; HF_E_STATE for a clock that is wrong, or targets that wait and
 * would be lost. After any failure devices see what they saw, or (of a write) the same that they
 * would have seen in passing.
 */
HF_MUST_USE enum hf_err hf_root_publish(const struct hf_publication_context *at,
                                        const struct hf_draft *draft,
                                        const struct hf_draft *targets,
                                        struct hf_root_published *out, struct hf_why *why);

#endif
