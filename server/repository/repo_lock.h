/* One writer per repository: flock(2) on DIR/.lock. The system lets go of it when a process ends,
 * however it ends. Readers need no lock. */
#ifndef HF_REPOSITORY_REPO_LOCK_H
#define HF_REPOSITORY_REPO_LOCK_H

#include <holdfast/error.h>

#define HF_REPO_LOCK_FILE ".lock"

struct hf_repo_lock {
    int fd; /* -1: not held */
};
#define HF_REPO_LOCK_NONE ((struct hf_repo_lock){.fd = -1})

/** HF_E_BUSY when another process holds it, HF_E_NOT_FOUND without DIR, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_repo_lock_take(const char *dir, struct hf_repo_lock *out,
                                          struct hf_why *why);
void hf_repo_lock_release(struct hf_repo_lock *lock);

#endif
