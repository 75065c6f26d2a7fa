#include "server/serve/process.h"

#include "common/os/file_util.h"
#include "common/os/service.h"
#include "server/http/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum hf_err hf_take_state(const char *dir, int *lock, struct hf_why *why)
{
    struct hf_path path;
    char id[32] = "";
    bool was_made = false;
    struct hf_why reason;
    HF_TRY(hf_path_set(&path, why, "%s/holdfastd.lock", dir));
    enum hf_err err = hf_file_make_dir(dir, &was_made, &reason);
    if (err == HF_OK)
        err = hf_file_lock(path.text, 0, lock, &reason);
    if (err == HF_OK) {
        int len = snprintf(id, sizeof id, "%ld\n", (long)getpid());
        if (ftruncate(*lock, 0) != 0 || pwrite(*lock, id, (size_t)len, 0) != len)
            err = hf_file_fail(&reason, "write", path.text, errno);
    }
    if (err == HF_E_BUSY) {
        struct hf_buf text = {0};
        if (hf_file_read(path.text, sizeof id, &text, NULL) == HF_OK && text.len > 0)
            (void)snprintf(id, sizeof id, "%.*s", (int)strcspn((const char *)text.data, "\n"),
                           (const char *)text.data);
        hf_buf_free(&text);
        err = hf_fail(why, err,
                      "the state folder %s belongs to a holdfastd that runs (process %s); give "
                      "this one another folder",
                      dir, id);
    } else if (err != HF_OK) {
        err = hf_fail(why, err, "the state folder %s cannot be used: %s", dir, reason.text);
    }
    return err;
}

unsigned hf_raise_descriptors(unsigned connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= (rlim_t)connections + HF_HTTP_DESCRIPTORS_RESERVED)
        return connections;
    rlim_t fit = limit.rlim_cur > 2 * HF_HTTP_DESCRIPTORS_RESERVED
                     ? limit.rlim_cur - HF_HTTP_DESCRIPTORS_RESERVED
                     : limit.rlim_cur;
    hf_service_log(HF_LOG_WARNING,
                   "descriptors are limited to %llu: %llu connections at once instead of %u; raise "
                   "LimitNOFILE or ulimit -n",
                   (unsigned long long)limit.rlim_cur, (unsigned long long)fit, connections);
    return (unsigned)fit;
}
