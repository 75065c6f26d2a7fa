#include "server/publish/draft_json.h"

#include "common/json/json.h"
#include "server/publish/draft_show.h"
#include "server/publish/draft_tally.h"
#include "server/publish/fingerprint.h"
#include "server/publish/json_text.h"

static json_t *envelope_json(const struct hf_envelope *env)
{
    return json_pack("{s:I, s:o, s:o}", "version", (json_int_t)env->version, "signed_at",
                     hf_json_time(env->signed_at_s), "expires", hf_json_time(env->expires_s));
}

static json_t *to_json(const struct hf_draft *draft, const struct hf_tally *tally)
{
    char digest[HF_SHA256_HEX_LEN], root[HF_SHA256_HEX_LEN];
    const struct hf_envelope *env = hf_draft_envelope(draft);
    const bool is_root = draft->role == HF_ROLE_ROOT;
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    hf_sha256_hex(hf_draft_root_file(draft), root);
    return json_pack("{s:i, s:s, s:s, s:{s:I, s:s}, s:o, s:o, s:o, s:o}", "format", 1, "role",
                     hf_top_role_name(draft->role), "sha256", digest, "root", "version",
                     (json_int_t)draft->root.env.version, "sha256", root, "before",
                     envelope_json(is_root ? &draft->root.env : &draft->before.env), "after",
                     envelope_json(env), "changes",
                     is_root ? hf_draft_root_to_json(draft) : hf_draft_targets_to_json(draft),
                     "signatures", hf_tally_to_json(tally));
}

enum hf_err hf_draft_print_json(const struct hf_draft *draft, FILE *out, struct hf_why *why)
{
    struct hf_tally tally = {0};
    HF_TRY(hf_tally_make(draft, &tally, why));
    enum hf_err err = hf_json_print_take(to_json(draft, &tally), out, why);
    hf_tally_free(&tally);
    return err;
}

/* ---- members that only others know ------------------------------------------------------------ */

static json_t *member_json(const char *member, const char *change)
{
    return json_pack("{s:s, s:s}", "member", member, "change", change);
}

json_t *hf_draft_others_to_json(const struct hf_draft *draft, const struct hf_envelope *before,
                                const char *const *known)
{
    const json_t *after_part = hf_draft_envelope(draft)->signed_part;
    const char *member;
    json_t *value;
    json_t *list = json_array();
    json_object_foreach(hf_json_iterable(after_part), member, value)
    {
        const json_t *old = json_object_get(before->signed_part, member);
        if (!hf_draft_member_is_known(member, known) && (old == NULL || !json_equal(old, value)))
            list = hf_json_append_take(list, member_json(member, old == NULL ? "new" : "changes"));
    }
    json_object_foreach(before->signed_part, member, value)
    {
        if (json_object_get(after_part, member) == NULL)
            list = hf_json_append_take(list, member_json(member, "goes"));
    }
    return list;
}
