#include "client/port/posix/lock.h"

#include "common/os/file_util.h"

#include <stdlib.h>

enum hf_err hf_lock_take(const char *state_dir, unsigned wait_ms, int *out, struct hf_why *why)
{
    char *path = NULL;

    HF_TRY(hf_file_join(state_dir, "lock", &path, why));
    enum hf_err err = hf_file_lock(path, wait_ms, out, why);
    free(path);
    if (err == HF_E_BUSY)
        return hf_fail(why, err, "another process is updating %s; wait for it to end and try again",
                       state_dir);
    return err;
}

void hf_lock_release(int lock)
{
    hf_file_unlock(lock);
}
