/* holdfastctl publish: make signed targets visible, with online keys only. */
#include "server/publish/commands/cli.h"

#include "server/publish/bundle/publish_json.h"

#include <inttypes.h>
#include <stdio.h>

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

static enum hf_err report(const struct hf_publication *p, bool is_published, bool is_json,
                          struct hf_why *why)
{
    struct hf_publish_report report = {.outcome = is_published ? "published" : "unchanged"};
    hf_publish_report_note(&report, p);
    if (is_json)
        return hf_publish_report_print_take(&report, stdout, why);
    if (!is_published) {
        printf("nothing to publish: targets %" PRId64 " is the newest\n",
               hf_publication_targets(p)->env.version);
        if (report.versions[HF_ROLE_TIMESTAMP] > 0)
            printf("refreshed: timestamp %" PRId64 ", the one before would have expired soon\n",
                   report.versions[HF_ROLE_TIMESTAMP]);
        return HF_OK;
    }
    printf("published: targets %" PRId64 ", snapshot %" PRId64 ", timestamp %" PRId64 "\n",
           report.versions[HF_ROLE_TARGETS], report.versions[HF_ROLE_SNAPSHOT],
           report.versions[HF_ROLE_TIMESTAMP]);
    return HF_OK;
}

static enum hf_err publish(const struct hf_publication_place *place, bool is_json,
                           struct hf_why *why)
{
    struct hf_publication p;
    HF_TRY(hf_publication_open(place, &p, why));
    int64_t newest = 0;
    enum hf_err err = hf_repo_newest_targets(&p.repo, &newest, why);
    bool is_waiting = err == HF_OK && newest > hf_publication_targets(&p)->env.version;
    if (err == HF_OK)
        err = is_waiting ? publish_pending(&p, why) : hf_publication_refresh_if_due(&p, why);
    if (err == HF_OK)
        err = report(&p, is_waiting, is_json, why);
    hf_publication_close(&p);
    return err;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    return hf_cli_run_online(self, argc, argv, publish);
}

const struct hf_command hf_cmd_publish = {
    .name = "publish",
    .summary = "Make what was signed offline visible to devices.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .text =
        "After `bundle add` on a machine without the online keys, bring the repository here.\n"
        "The signed targets metadata is verified under the root of the repository first.\n"
        "Opens KEYS/online only. When nothing waits, it says so with exit code 0, and signs a new\n"
        "timestamp only if the end of the present one is near.\n\n" HF_CLI_KEY_TEXT,
    .examples = "  holdfastctl publish --repo /srv/roots --keys /etc/holdfast/keys\n",
    .run = run,
};
