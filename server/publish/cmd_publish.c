/* holdfastctl publish: make signed targets visible, with online keys only. */
#include "server/publish/cli.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>

/* A device refuses expired targets; to publish them would cut every device off. */
static enum hf_err stage(struct hf_publication *p, int64_t *version, struct hf_why *why)
{
    struct hf_targets pending;
    struct hf_buf file = {0};
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &pending, &file, why);
    if (err == HF_OK) {
        *version = pending.env.version;
        hf_targets_free(&pending);
        err = hf_publication_stage_online(p, *version, hf_buf_bytes(&file), why);
    }
    hf_buf_free(&file);
    return err;
}

static enum hf_err publish(const struct hf_publication_place *place, struct hf_why *why)
{
    struct hf_publication p;
    int64_t version = 0;
    HF_TRY(hf_publication_open(place, &p, why));
    enum hf_err err = stage(&p, &version, why);
    if (err == HF_OK)
        err = hf_publication_commit(&p, why);
    if (err == HF_OK)
        printf("published: targets %" PRId64 ", snapshot %" PRId64 ", timestamp %" PRId64 "\n",
               version, p.signed_now.of[HF_ROLE_SNAPSHOT].version,
               p.signed_now.of[HF_ROLE_TIMESTAMP].version);
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
    .arguments = "--repo DIR --keys DIR [--passphrase-file FILE]",
    .text = "After `bundle add` on a machine without the online keys, bring the repository here.\n"
            "The signed targets metadata is verified under the root of the repository first.\n"
            "Opens KEYS/online only. Exit code 1 when nothing waits to be published.",
    .examples = "  holdfastctl publish --repo /srv/roots --keys /etc/holdfast/keys\n",
    .run = run,
};
