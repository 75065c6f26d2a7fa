#include "tests/support/state_folder.h"

#include "tests/support/tuf_repo.h"

#include <holdfast/posix.h>

#include <time.h>

enum hf_err state_folder_make(const char *path, struct hf_why *why)
{
    static const char *const urls[] = {"http://127.0.0.1:1"}; /* tcpmux: nothing listens there */
    const struct hf_posix_config config = {.client = {.urls = urls,
                                                      .n_urls = 1,
                                                      .set = "roots",
                                                      .profile = "full",
                                                      .device_id = "test"}};
    struct tuf_repo repo;

    tuf_repo_init(&repo, (int64_t)time(NULL) - 60);
    tuf_repo_publish_root(&repo);
    enum hf_err err = hf_posix_init(path, &config,
                                    tuf_files_find(&repo.files, "metadata/1.root.json"),
                                    (struct hf_bytes){0}, (struct hf_log_port){0}, why);
    tuf_repo_free(&repo);
    return err;
}
