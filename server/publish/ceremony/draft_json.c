#include "server/publish/ceremony/draft_json.h"

#include "server/publish/ceremony/draft_tally.h"
#include "server/repository/certs/fingerprint.h"
#include "common/cli/report.h"

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
    return json_pack("{s:i, s:s, s:s, s:{s:I, s:s, s:b}, s:o, s:o, s:o, s:o}", "format", 1, "role",
                     hf_top_role_name(draft->role), "sha256", digest, "root", "version",
                     (json_int_t)draft->root.env.version, "sha256", root, "published",
                     !hf_draft_is_under_coming_root(draft), "before",
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
