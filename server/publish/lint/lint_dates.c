#include "server/publish/lint/lint.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/policy.h"

#include <string.h>

/* Root and targets keys are brought together once a year, unless their publisher says otherwise. */
#define CEREMONY_DAYS 365

static enum hf_err judge_state(const struct hf_lint *lint, const struct hf_lint_line *line,
                               const struct hf_anchor *anchor, struct hf_findings *out,
                               struct hf_why *why)
{
    const struct hf_cert *cert = &anchor->cert;
    char day[HF_TIME_TEXT_MAX];
    struct hf_why reason = {0};
    switch (hf_policy_anchor_state(anchor, lint->at_s)) {
    case HF_ANCHOR_USABLE:
        return HF_OK;
    case HF_ANCHOR_NOT_YET_VALID:
        hf_time_format_day(cert->not_before_s, day);
        return hf_findings_add(out, HF_LINT_NOT_IN_DATE, line->where, why,
                               "\"%s\" is not valid before %s; leave it out until then",
                               cert->subject, day);
    case HF_ANCHOR_EXPIRED:
        hf_time_format_day(cert->not_after_s, day);
        return hf_findings_add(out, HF_LINT_NOT_IN_DATE, line->where, why,
                               "\"%s\" expired on %s; servers that still send a cross-sign up to "
                               "it lead other programs astray; take it out",
                               cert->subject, day);
    case HF_ANCHOR_NOT_FOR_SERVERS:
        if (hf_policy_check_purpose(cert, &reason) == HF_OK)
            return HF_OK;
        return hf_findings_add(out, HF_LINT_NOT_FOR_SERVERS, line->where, why, "%s", reason.text);
    case HF_ANCHOR_REMOVED:
        break;
    }
    hf_time_format_last(anchor->remove_after_s, day);
    return hf_findings_add(out, HF_LINT_NOT_IN_DATE, line->where, why,
                           "\"%s\" was to be removed after %s; take it out", cert->subject, day);
}

/* One sentence for each way in which it ends within the lead time. */
static enum hf_err judge_ends(const struct hf_lint *lint, const struct hf_lint_line *line,
                              const struct hf_anchor *anchor, struct hf_findings *out,
                              struct hf_why *why)
{
    const struct {
        enum hf_lint_code code;
        struct hf_anchor_end end;
    } ends[] = {
        {HF_LINT_EXPIRES_SOON, {anchor->cert.not_after_s, HF_END_EXPIRES}},
        {HF_LINT_REMOVED_SOON, {anchor->remove_after_s, HF_END_REMOVED}},
        {HF_LINT_DISTRUST_SOON, {hf_anchor_distrust_s(anchor, lint->known), HF_END_DISTRUSTED}},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char text[HF_ANCHOR_END_TEXT_MAX];
        if (ends[i].end.end_s == HF_TIME_NONE || ends[i].end.end_s > lint->at_s + lint->lead_s)
            continue;
        hf_anchor_end_text(ends[i].end, text);
        HF_TRY(
            hf_findings_add(out, ends[i].code, line->where, why,
                            "\"%s\" %s, and the last device may take %lld days to get a successor",
                            anchor->cert.subject, text, (long long)(lint->lead_s / HF_DAY_S)));
    }
    return HF_OK;
}

static bool is_later(int64_t date_s, int64_t than_s)
{
    return than_s != HF_TIME_NONE && (date_s == HF_TIME_NONE || date_s > than_s);
}

/* A chain that may not end in one certificate any more ends in another one of the same key. */
static enum hf_err judge_same_key_certs(const struct hf_lint_line *line,
                                        const struct hf_anchor *anchor, struct hf_findings *out,
                                        struct hf_why *why)
{
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_anchor *other = &line->bundle->anchors[i];
        char hex[HF_SHA256_HEX_LEN];
        if (memcmp(other->cert.spki_sha256, anchor->cert.spki_sha256, HF_SHA256_LEN) != 0 ||
            (!is_later(anchor->distrust_after_s, other->distrust_after_s) &&
             !is_later(anchor->remove_after_s, other->remove_after_s)))
            continue;
        hf_hex_encode(anchor->cert.sha256, HF_SHA256_LEN, hex);
        return hf_findings_add(
            out, HF_LINT_SAME_KEY_WITHOUT_DATE, line->where, why,
            "\"%s\" has the key of a root whose distrust or removal is signed, "
            "but not its date, and devices go on with it; give %s the same dates",
            anchor->cert.subject, hex);
    }
    return HF_OK;
}

enum hf_err hf_lint_dates(const struct hf_lint *lint, const struct hf_lint_line *line,
                          struct hf_findings *out, struct hf_why *why)
{
    const int64_t lead_end_s = lint->at_s + lint->lead_s;
    size_t n_lasting = 0;
    char day[HF_TIME_TEXT_MAX];
    for (size_t i = 0; i < line->bundle->n_anchors; i++) {
        const struct hf_anchor *anchor = &line->bundle->anchors[i];
        HF_TRY(judge_state(lint, line, anchor, out, why));
        HF_TRY(judge_same_key_certs(line, anchor, out, why));
        if (hf_policy_anchor_state(anchor, lint->at_s) != HF_ANCHOR_USABLE)
            continue;
        HF_TRY(judge_ends(lint, line, anchor, out, why));
        n_lasting += hf_anchor_end(anchor, lint->known).end_s > lead_end_s;
    }
    if (n_lasting > 0)
        return HF_OK;
    hf_time_format_day(lead_end_s, day);
    return hf_findings_add(out, HF_LINT_NO_SUCCESSOR, line->where, why,
                           "no root in it will be good on %s, when the last device has it; add the "
                           "roots that come after",
                           day);
}

static enum hf_err judge_role(const struct hf_lint *lint, const struct hf_envelope *env,
                              const char *role, int64_t next_s, struct hf_findings *out,
                              struct hf_why *why)
{
    char ends[HF_TIME_TEXT_MAX], next[HF_TIME_TEXT_MAX];
    hf_time_format_day(env->expires_s, ends);
    hf_time_format_day(next_s, next);
    if (env->expires_s <= lint->at_s)
        return hf_findings_add(out, HF_LINT_METADATA_EXPIRED, "metadata", why,
                               "%s %lld expired on %s: no device updates; sign it again", role,
                               (long long)env->version, ends);
    if (env->expires_s >= next_s)
        return HF_OK;
    return hf_findings_add(out, HF_LINT_METADATA_ENDS, "metadata", why,
                           "%s %lld expires on %s, before the next ceremony on %s: every update "
                           "would be blocked until then; hold it earlier",
                           role, (long long)env->version, ends, next);
}

enum hf_err hf_lint_metadata(const struct hf_lint *lint, const struct hf_trusted_set *set,
                             const struct hf_targets *targets, int64_t next_ceremony_s,
                             struct hf_findings *out, struct hf_why *why)
{
    const struct {
        const struct hf_envelope *env;
        const char *role;
        bool is_offline;
    } roles[] = {{&set->root->env, "root", true},
                 {&targets->env, "targets", true},
                 {&set->snapshot->env, "snapshot", false},
                 {&set->timestamp->env, "timestamp", false}};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        int64_t next_s = lint->at_s; /* a timer signs the others */
        if (roles[i].is_offline && next_ceremony_s != HF_TIME_NONE) {
            next_s = next_ceremony_s;
        } else if (roles[i].is_offline) {
            int64_t last_s = hf_envelope_signed_at(roles[i].env);
            int64_t usual_s = (last_s == HF_TIME_NONE ? lint->at_s : last_s) +
                              CEREMONY_DAYS * HF_DAY_S;
            next_s = usual_s > lint->at_s ? usual_s : lint->at_s;
        }
        HF_TRY(judge_role(lint, roles[i].env, roles[i].role, next_s, out, why));
    }
    return HF_OK;
}
