#include "server/findings/finding_json.h"

#include "server/findings/check.h"

static json_t *mute_json(const struct hf_finding *row)
{
    return row->mute_reason == NULL
               ? json_null()
               : json_pack("{s:s, s:o, s:s}", "reason", row->mute_reason, "until",
                           hf_json_time(row->muted_until_s), "by", row->muted_by);
}

json_t *hf_finding_json(const struct hf_finding *row)
{
    const struct hf_check *check = hf_check_find(row->check);
    const char *device = row->device[0] != '\0' ? row->device : NULL;
    return json_pack("{s:I, s:s, s:s, s:s?, s:s, s:s, s:s?, s:s, s:s, s:o, s:o, s:o, s:o}", "id",
                     (json_int_t)row->id, "check", row->check, "state",
                     hf_finding_state_name(row->state), "account", row->account, "kind", row->kind,
                     "subject", row->subject, "device", device, "sentence", row->sentence,
                     "what_to_do", check != NULL ? check->what_to_do : "", "opened",
                     hf_json_time(row->opened_s), "seen", hf_json_time(row->seen_s), "closed",
                     row->closed_s != 0 ? hf_json_time(row->closed_s) : json_null(), "mute",
                     mute_json(row));
}
