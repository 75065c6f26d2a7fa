#include "server/publish/lint/lint.h"

#include "common/base/timetext.h"

/* Root and targets keys are brought together once a year, unless their publisher says otherwise. */
#define CEREMONY_DAYS 365

static enum hf_err judge(const struct hf_lint *lint, const struct hf_envelope *env,
                         const char *role, int64_t next_ceremony_s, struct hf_findings *out,
                         struct hf_why *why)
{
    char ends[HF_TIME_TEXT_MAX], next[HF_TIME_TEXT_MAX];
    hf_time_format_day(env->expires_s, ends);
    hf_time_format_day(next_ceremony_s, next);
    if (env->expires_s <= lint->at_s)
        return hf_findings_add(out, HF_LINT_METADATA_EXPIRED, "metadata", why,
                               "%s %lld expired on %s: no device updates; sign it again", role,
                               (long long)env->version, ends);
    if (env->expires_s >= next_ceremony_s)
        return HF_OK;
    return hf_findings_add(out, HF_LINT_METADATA_ENDS, "metadata", why,
                           "%s %lld expires on %s, before the next ceremony on %s: every update "
                           "would be blocked until then; hold it earlier",
                           role, (long long)env->version, ends, next);
}

static int64_t next_after(const struct hf_lint *lint, const struct hf_envelope *env)
{
    int64_t signed_at_s = hf_envelope_signed_at(env);
    int64_t last_s = signed_at_s == HF_TIME_NONE ? lint->at_s : signed_at_s;
    int64_t next_s = last_s + CEREMONY_DAYS * HF_DAY_S;
    return next_s > lint->at_s ? next_s : lint->at_s;
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
        if (roles[i].is_offline)
            next_s = next_ceremony_s != HF_TIME_NONE ? next_ceremony_s
                                                     : next_after(lint, roles[i].env);
        HF_TRY(judge(lint, roles[i].env, roles[i].role, next_s, out, why));
    }
    return HF_OK;
}
