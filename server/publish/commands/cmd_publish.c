/* holdfastctl publish, refresh: publish signed targets, and sign a new timestamp from a timer. Both use the
 * online keys only. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/publish_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

static const struct hf_cli_option options[] = {HF_CTL_REPO, HF_CTL_KEYS, HF_CTL_KEY, HF_CTL_SIGNING,
                                               HF_CTL_REPORT("publish-report")};

/* A device refuses expired targets; to publish them would cut every device off. */
static enum hf_err publish_pending(struct hf_publication *p, struct hf_why *why)
{
    struct hf_targets pending;
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, why);
    if (err == HF_OK) {
        int64_t version = pending.env.version;
        hf_targets_free(&pending);
        err = hf_publication_stage_online(p, version, hf_buf_bytes(&file), why);
    }
    hf_buf_free(&file);
    return err == HF_OK ? hf_publication_commit(p, why) : err;
}

static enum hf_err report_published(const struct hf_publication *p, bool is_published, bool is_json,
                                    struct hf_why *why)
{
    struct hf_publish_report report = {.outcome = is_published ? "published" : "unchanged"};
    hf_publish_report_note(&report, p);
    int64_t timestamp = report.versions[HF_ROLE_TIMESTAMP];
    if (is_json)
        return hf_publish_report_print_take(&report, stdout, why);
    if (is_published) {
        printf("published: targets %" PRId64 ", snapshot %" PRId64 ", timestamp %" PRId64 "\n",
               report.versions[HF_ROLE_TARGETS], report.versions[HF_ROLE_SNAPSHOT], timestamp);
        return HF_OK;
    }
    printf("nothing to publish: targets %" PRId64 " is the newest\n",
           hf_publication_targets(p)->env.version);
    if (timestamp > 0)
        printf("refreshed: timestamp %" PRId64 ", the one before would have expired soon\n",
               timestamp);
    return HF_OK;
}

static enum hf_err publish(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const struct hf_publication_context at = hf_ctl_publication(o, HF_KEYS_ONLINE);
    struct hf_publication p;
    int64_t newest = 0;
    HF_TRY(hf_publication_open(&at, &p, why));
    enum hf_err err = hf_repo_newest_targets(&p.repo, &newest, why);
    bool is_waiting = err == HF_OK && newest > hf_publication_targets(&p)->env.version;
    if (err == HF_OK)
        err = is_waiting ? publish_pending(&p, why) : hf_publication_refresh_if_due(&p, why);
    if (err == HF_OK)
        err = report_published(&p, is_waiting, o->is_json, why);
    hf_publication_close(&p);
    return err;
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

/* Only the offline keys can renew it, so warn in time for a ceremony. */
static void warn_of_end(const struct hf_publication *p, const char *what, int64_t expires_s,
                        json_t *warnings)
{
    char day[HF_TIME_TEXT_MAX];
    if (expires_s - p->now_s > WARN_BEFORE_DAYS * HF_DAY_S)
        return;
    hf_time_format_day(expires_s, day);
    warn(warnings, "%s expires on %s; sign a new one with the offline keys", what, day);
}

static enum hf_err report_refreshed(const struct hf_publication *p, bool is_json,
                                    struct hf_why *why)
{
    struct hf_publish_report report = {.outcome = "published", .warnings = json_array()};
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    struct hf_why pending_why = {0};
    hf_publish_report_note(&report, p);
    warn_of_end(p, "root metadata", p->set.root->env.expires_s, report.warnings);
    warn_of_end(p, "targets metadata", hf_publication_targets(p)->env.expires_s, report.warnings);
    /* The file is verified first: an attacker may have put it there. */
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, &pending_why);
    if (err == HF_OK)
        warn(report.warnings, "targets %" PRId64 " is signed and waits for holdfastctl publish",
             pending.env.version);
    else if (err != HF_E_NOT_FOUND)
        warn(report.warnings, "%s", pending_why.text);
    hf_targets_free(&pending);
    hf_buf_free(&file);
    if (is_json)
        return hf_publish_report_print_take(&report, stdout, why);
    json_decref(report.warnings);
    int64_t new_snapshot = report.versions[HF_ROLE_SNAPSHOT];
    printf("refreshed: timestamp %" PRId64 ", snapshot %" PRId64 "\n",
           report.versions[HF_ROLE_TIMESTAMP],
           new_snapshot > 0 ? new_snapshot : p->set.snapshot->env.version);
    return HF_OK;
}

static enum hf_err refresh(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const struct hf_publication_context at = hf_ctl_publication(o, HF_KEYS_ONLINE);
    struct hf_publication p;
    HF_TRY(hf_publication_open(&at, &p, why));
    enum hf_err err = hf_publication_stage_refresh(&p, why);
    if (err == HF_OK)
        err = hf_publication_commit(&p, why);
    if (err == HF_OK)
        err = report_refreshed(&p, o->is_json, why);
    hf_publication_close(&p);
    return err;
}

const struct hf_cli_command hf_cmd_refresh = {
    .name = "refresh",
    .summary = "Sign a new timestamp, so that devices know that the repository is current.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .about =
        "Run it daily, from a timer. It opens only KEYS/online; KEYS/offline may be elsewhere. If\n"
        "the snapshot would expire before the new timestamp, a new snapshot is signed too. It\n"
        "publishes nothing else, and warns 60 days before root or targets metadata "
        "expire.\n\n" HF_CTL_KEY_TEXT,
    .examples = "  holdfastctl refresh --repo /srv/roots --keys /etc/holdfast/keys \\\n"
                "      --passphrase-file /etc/holdfast/online.pass\n",
    .options = options,
    .needs = {"--repo", "--keys"},
    .run = refresh,
};
