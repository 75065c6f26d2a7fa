#include "client/port/posix/followers.h"

#include "common/os/process.h"

enum hf_err hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                           unsigned timeout_ms, struct hf_why *why)
{
    const struct hf_variable variables[] = {
        {"HOLDFAST_STATE", notice->state},
        {"HOLDFAST_SET", notice->set},
        {"HOLDFAST_PROFILE", notice->profile},
        {"HOLDFAST_OLD_VERSION", notice->old_version},
        {"HOLDFAST_NEW_VERSION", notice->new_version},
        {"HOLDFAST_EXPORT", notice->export_file},
    };
    return hf_shell_run(command, "the on-swap command", variables,
                        sizeof variables / sizeof variables[0], timeout_ms, why);
}
