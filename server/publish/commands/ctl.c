#include "server/publish/commands/ctl.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

#include <time.h>

struct hf_publication_context hf_ctl_publication(const struct hf_ctl_options *o,
                                                 enum hf_key_location location)
{
    return (struct hf_publication_context){.location = location,
                                           .is_clock_right = o->is_clock_right,
                                           .repo_dir = o->repo,
                                           .keys_dir = o->keys,
                                           .extra_keys = hf_cli_list(o->extra_keys),
                                           .passphrase_file = o->passphrase_file,
                                           .online_passphrase_file = o->online_passphrase_file,
                                           .now_s = hf_ctl_now_s()};
}

enum hf_err hf_ctl_read_root(const char *file, struct hf_buf *out, struct hf_why *why)
{
    if (file == NULL)
        return HF_OK;
    HF_TRY(hf_file_read_any(file, HF_ROOT_BYTES_MAX, out, why));
    if (out->len == 0)
        return hf_fail(why, HF_E_FORMAT, "%s is empty; it should be root metadata", file);
    return HF_OK;
}

int64_t hf_ctl_now_s(void)
{
    return (int64_t)time(NULL);
}

enum hf_err hf_ctl_check_lead(struct hf_cli_call *call)
{
    const struct hf_ctl_options *o = call->values;
    if (o->lead_days >= 0 && o->lead_days <= HF_LEAD_DAYS_MAX)
        return HF_OK;
    return hf_cli_usage(call, "--lead is 0 to %d days, not %d", HF_LEAD_DAYS_MAX, o->lead_days);
}

enum hf_err hf_ctl_check_timeout(struct hf_cli_call *call)
{
    const struct hf_ctl_options *o = call->values;
    if (o->timeout_s >= 1 && o->timeout_s <= HF_LINT_TIMEOUT_S_MAX)
        return HF_OK;
    return hf_cli_usage(call, "--endpoint-timeout is 1 to %d seconds, not %d",
                        HF_LINT_TIMEOUT_S_MAX, o->timeout_s);
}

struct hf_lint_sources hf_ctl_lint_sources(const struct hf_ctl_options *o)
{
    return (struct hf_lint_sources){o->endpoints, hf_cli_list(o->addresses), o->timeout_s,
                                    o->has_legacy_ciphers};
}
