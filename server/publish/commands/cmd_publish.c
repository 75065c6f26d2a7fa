/* holdfastctl publish, refresh: publish signed targets, and sign a new timestamp from a timer. Both
 * use the online keys only. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/publish_report.h"
#include "server/repository/online.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static const struct hf_cli_option options[] = {HF_CTL_REPO, HF_CTL_KEYS, HF_CTL_KEY, HF_CTL_SIGNING,
                                               HF_CTL_REPORT("publish-report")};

/* For scripts into `report`, for people (NULL) on standard output. */
static void name_rollouts(const struct hf_online_result *result, struct hf_publish_report *report)
{
    for (size_t i = 0; i < result->n_rollouts; i++) {
        const struct hf_online_rollout *rollout = &result->rollouts[i];
        if (!rollout->is_signed_now)
            continue;
        if (report != NULL)
            hf_publish_report_add_rollout(report, rollout->role, rollout->version);
        else
            printf("signed again: %s %" PRId64 "\n", rollout->role, rollout->version);
    }
}

static enum hf_err publish(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const struct hf_publication_context at = hf_ctl_publication(o, HF_KEYS_ONLINE);
    struct hf_online_result result;
    HF_TRY(hf_online_publish(&at, NULL, &result, why));
    const int64_t *versions = result.signed_now;
    bool is_published = versions[HF_ROLE_TARGETS] > 0;
    if (o->is_json) {
        struct hf_publish_report report = {.outcome = is_published ? "published" : "unchanged"};
        memcpy(report.versions, versions, sizeof report.versions);
        name_rollouts(&result, &report);
        return hf_publish_report_print_take(&report, stdout, why);
    }
    if (is_published) {
        printf("published: targets %" PRId64 ", snapshot %" PRId64 ", timestamp %" PRId64 "\n",
               versions[HF_ROLE_TARGETS], versions[HF_ROLE_SNAPSHOT], versions[HF_ROLE_TIMESTAMP]);
        name_rollouts(&result, NULL);
        return HF_OK;
    }
    printf("nothing to publish: targets %" PRId64 " is the newest\n",
           result.versions[HF_ROLE_TARGETS]);
    if (versions[HF_ROLE_TIMESTAMP] > 0)
        printf("refreshed: timestamp %" PRId64 ", the one before would have expired soon\n",
               versions[HF_ROLE_TIMESTAMP]);
    name_rollouts(&result, NULL);
    return HF_OK;
}

const struct hf_cli_command hf_cmd_publish = {
    .name = "publish",
    .summary = "Publish what was signed on another machine.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .about =
        "After `bundle add` on a machine without the online keys, bring the repository here. The\n"
        "signed targets metadata is first verified under the root of the repository. Only\n"
        "KEYS/online is opened. If nothing waits, the command reports it and exits with 0; it\n"
        "signs a new timestamp only if the current one expires soon.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl publish --repo /srv/roots --keys /etc/holdfast/keys\n",
    .options = options,
    .needs = {"--repo", "--keys"},
    .run = publish,
};

#define WARN_BEFORE_DAYS 60 /* a ceremony takes weeks to arrange */

/* On standard error, and in the report. */
static void warn(json_t *warnings, const char *fmt, ...) HF_PRINTF(2, 3);
static void warn(json_t *warnings, const char *fmt, ...)
{
    char sentence[HF_WHY_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    fprintf(stderr, "holdfastctl: %s\n", sentence);
    json_array_append_new(warnings, json_string(sentence));
}

static enum hf_err refresh(struct hf_cli_call *call, struct hf_why *why)
{
    /* Only the offline keys can renew these, so warn in time for a ceremony. */
    static const enum hf_top_role offline_roles[] = {HF_ROLE_ROOT, HF_ROLE_TARGETS};
    const struct hf_ctl_options *o = call->values;
    const struct hf_publication_context at = hf_ctl_publication(o, HF_KEYS_ONLINE);
    struct hf_online_result result;
    HF_TRY(hf_online_refresh(&at, &result, why));
    struct hf_publish_report report = {.outcome = "published", .warnings = json_array()};
    memcpy(report.versions, result.signed_now, sizeof report.versions);
    for (size_t i = 0; i < sizeof offline_roles / sizeof offline_roles[0]; i++) {
        enum hf_top_role role = offline_roles[i];
        char day[HF_TIME_TEXT_MAX];
        hf_time_format_day(result.expires_s[role], day);
        if (result.expires_s[role] - at.now_s <= WARN_BEFORE_DAYS * HF_DAY_S)
            warn(report.warnings, "%s metadata expires on %s; sign a new one with the offline keys",
                 hf_top_role_name(role), day);
    }
    if (result.waiting > 0)
        warn(report.warnings, "targets %" PRId64 " is signed and waits for holdfastctl publish",
             result.waiting);
    else if (result.waiting_why.text[0] != '\0')
        warn(report.warnings, "%s", result.waiting_why.text);
    if (o->is_json) {
        name_rollouts(&result, &report);
        return hf_publish_report_print_take(&report, stdout, why);
    }
    json_decref(report.warnings);
    printf("refreshed: timestamp %" PRId64 ", snapshot %" PRId64 "\n",
           result.versions[HF_ROLE_TIMESTAMP], result.versions[HF_ROLE_SNAPSHOT]);
    name_rollouts(&result, NULL);
    return HF_OK;
}

const struct hf_cli_command hf_cmd_refresh = {
    .name = "refresh",
    .summary = "Sign a new timestamp, so that devices know that the repository is current.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .about =
        "Run it daily, from a timer. It opens only KEYS/online; KEYS/offline may be elsewhere. If\n"
        "the snapshot or a role of rollouts would expire before the new timestamp, it is signed "
        "too.\n"
        "It publishes nothing else, and warns 60 days before root or targets metadata "
        "expire.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl refresh --repo /srv/roots --keys /etc/holdfast/keys \\\n"
                "      --passphrase-file /etc/holdfast/online.pass\n",
    .options = options,
    .needs = {"--repo", "--keys"},
    .run = refresh,
};
