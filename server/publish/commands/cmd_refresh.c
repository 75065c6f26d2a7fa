/* holdfastctl refresh: what a timer runs, with online keys only. */
#include "server/publish/commands/cli.h"
#include "server/publish/bundle/publish_json.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define WARN_BEFORE_DAYS 60 /* a ceremony takes weeks to arrange */

/* For a person, and noted for a script. */
static void warn(json_t *warnings, const char *fmt, ...) HF_PRINTF(2, 3);
static void warn(json_t *warnings, const char *fmt, ...)
{
    char *sentence = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&sentence, fmt, args) < 0)
        sentence = NULL;
    va_end(args);
    if (sentence == NULL)
        return;
    fprintf(stderr, "holdfastctl: %s\n", sentence);
    json_array_append_new(warnings, json_string(sentence));
    free(sentence);
}

/* What only offline keys can renew, in time for a person to do so. */
static void warn_of_end(const struct hf_publication *p, const char *what, int64_t expires_s,
                        json_t *warnings)
{
    char day[HF_TIME_TEXT_MAX];
    if (expires_s - p->now_s > WARN_BEFORE_DAYS * HF_DAY_S)
        return;
    hf_time_format_day(expires_s, day);
    warn(warnings, "%s expires on %s; sign a new one with the offline keys", what, day);
}

/* Somebody may have laid a file there that nobody signed. */
static void say_what_waits(const struct hf_publication *p, json_t *warnings)
{
    struct hf_targets pending = {0};
    struct hf_buf file = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, &why);
    if (err == HF_OK)
        warn(warnings, "targets %" PRId64 " is signed and waits for holdfastctl publish",
             pending.env.version);
    else if (err != HF_E_NOT_FOUND)
        warn(warnings, "%s", why.text);
    hf_targets_free(&pending);
    hf_buf_free(&file);
}

static enum hf_err report(const struct hf_publication *p, bool is_json, struct hf_why *why)
{
    struct hf_publish_report report = {.outcome = "published", .warnings = json_array()};
    hf_publish_report_note(&report, p);
    warn_of_end(p, "root metadata", p->set.root->env.expires_s, report.warnings);
    warn_of_end(p, "targets metadata", hf_publication_targets(p)->env.expires_s, report.warnings);
    say_what_waits(p, report.warnings);
    if (is_json)
        return hf_publish_report_print_take(&report, stdout, why);
    json_decref(report.warnings);
    int64_t new_snapshot = report.versions[HF_ROLE_SNAPSHOT];
    printf("refreshed: timestamp %" PRId64 ", snapshot %" PRId64 "\n",
           report.versions[HF_ROLE_TIMESTAMP],
           new_snapshot > 0 ? new_snapshot : p->set.snapshot->env.version);
    return HF_OK;
}

static enum hf_err refresh(const struct hf_publication_place *place, bool is_json,
                           struct hf_why *why)
{
    struct hf_publication p;
    HF_TRY(hf_publication_open(place, &p, why));
    enum hf_err err = hf_publication_stage_refresh(&p, why);
    if (err == HF_OK)
        err = hf_publication_commit(&p, why);
    if (err == HF_OK)
        err = report(&p, is_json, why);
    hf_publication_close(&p);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    return hf_cli_run_online(self, argc, argv, refresh);
}

const struct hf_command hf_cmd_refresh = {
    .name = "refresh",
    .summary = "Sign a new timestamp, so that devices know what they see is current.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .text =
        "Run it daily, from a timer. It opens KEYS/online only: KEYS/offline may be elsewhere.\n"
        "A new snapshot is signed too when the present one would end before the new timestamp.\n"
        "It publishes nothing else, and warns 60 days before root or targets metadata "
        "end.\n\n" HF_CLI_KEY_TEXT,
    .examples = "  holdfastctl refresh --repo /srv/roots --keys /etc/holdfast/keys \\\n"
                "      --passphrase-file /etc/holdfast/online.pass\n",
    .run = run,
};
