#include "server/publish/commands/ctl.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/chain/general_name.h"
#include "common/cli/report.h"
#include "server/repository/drafts/targets_release.h"

#include <string.h>
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

struct hf_publication_context hf_ctl_targets_publication(const struct hf_ctl_options *o)
{
    return hf_ctl_publication(o, o->draft == NULL ? HF_KEYS_OFFLINE
                                                  : hf_targets_location_at_hand(o->keys));
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

enum hf_err hf_ctl_time(struct hf_cli_call *call, const char *option, const char *text,
                        int64_t *out_s)
{
    if (text == NULL || hf_time_parse_lenient(text, out_s))
        return HF_OK;
    return hf_cli_usage(call, "%s wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not \"%s\"", option,
                        text);
}

bool hf_ctl_find_role(const char *name, size_t len, enum hf_top_role *out)
{
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
        const char *known = hf_top_role_name(role);
        if (strlen(known) == len && memcmp(known, name, len) == 0) {
            *out = role;
            return true;
        }
    }
    return false;
}

struct hf_lint_sources hf_ctl_lint_sources(const struct hf_ctl_options *o)
{
    hf_common_names_accept(o->accepts_common_names); /* by every verdict of this process */
    return (struct hf_lint_sources){o->endpoints, hf_cli_list(o->addresses), (int)o->timeout_s,
                                    o->has_legacy_ciphers};
}

json_t *hf_ctl_bundle_json(const struct hf_repo_bundle *b, json_t *anchors)
{
    const struct hf_description *d = &b->description;
    return json_pack("{s:s, s:s, s:I, s:b, s:s, s:o, s:o}", "set", d->set, "profile", d->profile,
                     "version", (json_int_t)d->version, "newest", b->is_newest, "path",
                     b->target->path, "drops", hf_json_hashes(d->drops, d->n_drops), "anchors",
                     anchors);
}
