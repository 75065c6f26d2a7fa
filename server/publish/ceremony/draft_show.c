#include "server/publish/ceremony/draft_show.h"

#include "common/base/timetext.h"
#include "server/publish/ceremony/draft_rest.h"
#include "server/repository/certs/fingerprint.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

void hf_draft_show(const struct hf_draft *draft, FILE *out)
{
    if (draft->role == HF_ROLE_ROOT)
        hf_draft_show_root(draft, out);
    else
        hf_draft_show_targets(draft, out);
}

static void show_time(const char *label, int64_t time_s, int64_t before_s, FILE *out)
{
    char text[HF_TIME_TEXT_MAX] = "never", before[HF_TIME_TEXT_MAX] = "never";
    if (time_s != HF_TIME_NONE)
        hf_time_format(time_s, text);
    if (before_s != HF_TIME_NONE)
        hf_time_format(before_s, before);
    fprintf(out, "  %-10s %s (before: %s)\n", label, text, before);
}

void hf_draft_show_head(const struct hf_draft *draft, const struct hf_envelope *before, FILE *out)
{
    char digest[HF_SHA256_HEX_LEN], root[HF_SHA256_HEX_LEN];
    const struct hf_envelope *env = hf_draft_envelope(draft);
    hf_sha256_hex(hf_buf_bytes(&env->signed_bytes), digest);
    hf_sha256_hex(hf_draft_root_file(draft), root);
    fprintf(out, "draft of %s %" PRId64 ", after %s %" PRId64 "\n", hf_top_role_name(draft->role),
            env->version, hf_top_role_name(draft->role), before->version);
    fprintf(out, "  SHA-256    %s\n", digest);
    fprintf(out, "  root %-5" PRId64 " %s\n", draft->root.env.version, root);
    if (hf_draft_is_under_coming_root(draft))
        fprintf(out,
                "             not published yet: it comes after root %" PRId64
                ", together with this draft\n",
                draft->root_before.env.version);
    show_time("drafted", env->signed_at_s, before->signed_at_s, out);
    show_time("expires", env->expires_s, before->expires_s, out);
}

/* ---- agreement -------------------------------------------------------------------------------- */

static json_t *unexplained(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT ? hf_draft_root_unexplained(draft)
                                       : hf_draft_targets_unexplained(draft);
}

static bool ask_person(const struct hf_draft *draft)
{
    char answer[16] = "";
    hf_draft_show(draft, stderr);
    hf_draft_rest_print_names_take(unexplained(draft), stderr);
    fprintf(stderr, "Sign %s %" PRId64 " as shown? [y/N] ", hf_top_role_name(draft->role),
            hf_draft_envelope(draft)->version);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        return false;
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static enum hf_err compare(const struct hf_draft *draft, const char *yes, struct hf_why *why)
{
    struct hf_fingerprint f;
    uint8_t digest[HF_SHA256_LEN];
    if (hf_fingerprint_parse(yes, strlen(yes), &f, why) != HF_OK)
        return hf_fail_context(why, "--yes");
    hf_draft_digest(draft, digest);
    if (hf_fingerprint_matches(&f, digest))
        return HF_OK;
    return hf_fail(
        why, HF_E_POLICY,
        "--yes %s is not the SHA-256 of this draft; it is another one, or it was changed "
        "since you looked: nothing was signed",
        f.digits);
}

enum hf_err hf_draft_confirm(const struct hf_draft *draft, const char *yes, struct hf_why *why)
{
    char digest[HF_SHA256_HEX_LEN];
    HF_TRY(hf_draft_rest_check_take(unexplained(draft), why));
    if (yes != NULL)
        return compare(draft, yes, why);
    if (isatty(STDIN_FILENO))
        return ask_person(draft) ? HF_OK : hf_fail(why, HF_E_POLICY, "nothing was signed");
    hf_sha256_hex(hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes), digest);
    return hf_fail(why, HF_E_POLICY,
                   "nothing was signed: there is no terminal to ask on; look at the draft with "
                   "`%s status`, then give --yes and the first %d digits or more of its SHA-256",
                   hf_top_role_name(draft->role), HF_FINGERPRINT_DIGITS_MIN);
}
