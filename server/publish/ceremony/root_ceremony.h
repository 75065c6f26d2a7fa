/*
 * What root_publish.c works on, in parts: does the draft fit what is published (root_check.c), and is
 * it out already, so that only the keys do not know of it yet (root_resume.c).
 */
#ifndef HF_PUBLISH_ROOT_CEREMONY_H
#define HF_PUBLISH_ROOT_CEREMONY_H

#include "server/publish/ceremony/draft.h"
#include "server/repository/publication.h"

struct hf_root_ceremony {
    struct hf_publication p;
    const struct hf_draft *draft;
    const struct hf_draft *targets; /* that come with it; NULL: none */
    struct hf_path path;            /* of the new root, below the repository */
    struct hf_buf file;             /* of the new root */
    bool is_out;                    /* it lies there already: a ceremony that was cut off */
};

/**
 * The draft follows the published root, is signed by all who must, and is not of a day to come. Sets
 * path, file and is_out: what lies there under its number must be this very root, and stays as it is.
 * HF_E_ROLLBACK, HF_E_SIGNATURE, HF_E_STATE in words.
 */
HF_MUST_USE enum hf_err hf_root_check(struct hf_root_ceremony *c, struct hf_why *why);

/** HF_E_ROLLBACK in words unless the draft follows the published root. */
HF_MUST_USE enum hf_err hf_root_check_follows(const struct hf_root_ceremony *c, struct hf_why *why);

/**
 * Would a device find, from the root before on, this root and all that comes with it? Then a ceremony
 * was cut off after its last rename, if the keys do not know the root yet. Looks at the disk.
 */
bool hf_root_is_published(const struct hf_publication_place *at, const struct hf_draft *draft,
                          const struct hf_draft *targets);

/** Is there a folder of keys whose record is not what it is after a ceremony? */
HF_MUST_USE enum hf_err hf_root_are_records_behind(const struct hf_root_ceremony *c, bool *out,
                                                   struct hf_why *why);

/** The keys know the new root from now on; new folders of keys learn whose they are. Last of all, so
 *  that a cut before it is found by the records. */
HF_MUST_USE enum hf_err hf_root_renew_records(struct hf_root_ceremony *c, struct hf_why *why);

#endif
