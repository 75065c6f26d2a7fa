#include "server/publish/commands/bundle_options.h"

#include "common/base/timetext.h"
#include "server/publish/ceremony/targets_publish.h"

#include <stdlib.h>

void hf_bundle_options_free(struct hf_bundle_options *o)
{
    hf_cli_place_free(&o->place);
    free(o->set);
    free(o->profile);
    free(o->endpoints);
    free(o->device);
    free(o->draft);
    hf_cli_list_free(o->addresses);
    hf_cli_list_free(o->drops);
    hf_cli_list_free(o->undrops);
    hf_cli_list_free(o->derives);
    hf_cli_list_free(o->accepts);
    hf_cli_list_free(o->roots);
}

bool hf_cli_check_lead(const struct hf_command *self, int lead_days)
{
    if (lead_days >= 0 && lead_days <= HF_LEAD_DAYS_MAX)
        return true;
    (void)hf_cli_usage(self, "--lead is 0 to %d days, not %d", HF_LEAD_DAYS_MAX, lead_days);
    return false;
}

bool hf_cli_check_timeout(const struct hf_command *self, int timeout_s)
{
    if (timeout_s >= 1 && timeout_s <= HF_LINT_TIMEOUT_S_MAX)
        return true;
    (void)hf_cli_usage(self, "--endpoint-timeout is 1 to %d seconds, not %d", HF_LINT_TIMEOUT_S_MAX,
                       timeout_s);
    return false;
}

struct hf_lint_sources hf_bundle_options_sources(const struct hf_bundle_options *o)
{
    return (struct hf_lint_sources){o->endpoints, hf_cli_list(o->addresses), o->timeout_s,
                                    o->has_legacy_ciphers != 0};
}

bool hf_bundle_options_check(const struct hf_command *self, const struct hf_bundle_options *o)
{
    if (!hf_cli_need(self, "--repo", o->place.repo) ||
        !hf_cli_need(self, "--keys", o->place.keys) || !hf_cli_need(self, "--set", o->set) ||
        !hf_cli_need(self, "--profile", o->profile) || !hf_cli_check_lead(self, o->lead_days) ||
        !hf_cli_check_timeout(self, o->timeout_s))
        return false;
    if (o->draft != NULL && o->place.given_keys != NULL) {
        (void)hf_cli_usage(self, "--draft signs nothing; give --key to targets sign");
        return false;
    }
    if (o->keep >= 1 && o->keep <= HF_KEEP_MAX)
        return true;
    (void)hf_cli_usage(self, "--keep is 1 to %d, not %d", HF_KEEP_MAX, o->keep);
    return false;
}

struct hf_release_order hf_bundle_options_order(const struct hf_bundle_options *o)
{
    return (struct hf_release_order){
        .place = hf_cli_publication(&o->place, o->draft == NULL
                                                   ? HF_KEYS_OFFLINE
                                                   : hf_targets_half_at_hand(o->place.keys)),
        .bundle = {.set = o->set,
                   .profile = o->profile,
                   .drops = hf_cli_list(o->drops),
                   .undrops = hf_cli_list(o->undrops),
                   .is_again = o->is_again != 0},
        .derives = hf_cli_list(o->derives),
        .accepts = hf_cli_list(o->accepts),
        .roots = hf_cli_list(o->roots),
        .endpoints = hf_bundle_options_sources(o),
        .device_file = o->device,
        .draft_file = o->draft,
        .lead_s = o->lead_days * HF_DAY_S,
        .keep = o->keep,
        .is_json = o->is_json != 0,
    };
}
