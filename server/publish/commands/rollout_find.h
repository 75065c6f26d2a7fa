/* Bundles with a plan, as the commands of `rollout` name them: SET[/PROFILE[/VERSION]]. */
#ifndef HF_PUBLISH_ROLLOUT_FIND_H
#define HF_PUBLISH_ROLLOUT_FIND_H

#include "common/cli/cli.h"
#include "server/repository/online.h"

/* What is left out is any. */
struct hf_rollout_meant {
    char set[HF_SET_NAME_MAX + 1], profile[HF_SET_NAME_MAX + 1];
    int64_t version; /* 0: the newest of each line */
};

/** A usage error for a word of another form. */
HF_MUST_USE enum hf_err hf_rollout_meant_parse(struct hf_cli_call *call, const char *word,
                                               struct hf_rollout_meant *out);

/* A bundle with a plan, and how far it has come. */
struct hf_rollout_item {
    const char *path;                          /* borrowed from the targets metadata */
    char name[2 * (HF_SET_NAME_MAX + 1) + 24]; /* SET/PROFILE/VERSION, as the commands take it */
    struct hf_description description;
    bool is_superseded;
    struct hf_online_stage stage;
};

struct hf_rollout_items {
    struct hf_rollout_item *items; /* owned */
    size_t n_items;
};

/** `wants_old`: versions too that a higher one supersedes. hf_rollout_items_free `out`, also after
 *  a failure. */
HF_MUST_USE enum hf_err hf_rollout_items_find(const struct hf_trusted_set *set,
                                              const struct hf_rollout_meant *meant, bool wants_old,
                                              struct hf_rollout_items *out, struct hf_why *why);
/** HF_E_NOT_FOUND, in words: `word` means none. */
HF_MUST_USE enum hf_err hf_rollout_items_none(const char *repo_dir, const char *word,
                                              struct hf_why *why);
void hf_rollout_items_free(struct hf_rollout_items *all);

#endif
