/* holdfastctl mirror: export the repository for any web server or bucket. Needs no key. */
#include "server/publish/commands/ctl.h"
#include "common/cli/report.h"
#include "server/repository/mirror.h"

#include <inttypes.h>

#define KEEP_DEFAULT 10
#define KEEP_DAYS_DEFAULT 30 /* a cache or a frozen device lags by a timestamp's week, not more */
#define KEEP_MAX 1000000

static enum hf_err print(const struct hf_mirror *m, bool is_json, struct hf_why *why)
{
    int64_t root = m->versions[HF_ROLE_ROOT], targets = m->versions[HF_ROLE_TARGETS];
    int64_t snapshot = m->versions[HF_ROLE_SNAPSHOT], timestamp = m->versions[HF_ROLE_TIMESTAMP];
    if (is_json)
        return hf_json_print_take(json_pack("{s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:O, s:O}",
                                            "format", 1, "repo", hf_json_plain(m->repo_dir), "out",
                                            hf_json_plain(m->out_dir), "root", (json_int_t)root,
                                            "targets", (json_int_t)targets, "snapshot",
                                            (json_int_t)snapshot, "timestamp",
                                            (json_int_t)timestamp, "written", m->written, "removed",
                                            m->removed),
                                  stdout, why);
    printf("mirrored: root %" PRId64 ", targets %" PRId64 ", snapshot %" PRId64
           ", timestamp %" PRId64 "; %zu written, %zu removed\n",
           root, targets, snapshot, timestamp, json_array_size(m->written),
           json_array_size(m->removed));
    return HF_OK;
}

static enum hf_err mirror(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_buf root = {0};
    struct hf_mirror m = {.repo_dir = o->repo,
                          .out_dir = o->out,
                          .now_s = hf_ctl_now_s(),
                          .keep_versions = o->keep,
                          .keep_days = o->keep_days};
    enum hf_err err = hf_ctl_read_root(o->root, &root, why);
    m.root = hf_buf_bytes(&root);
    if (err == HF_OK)
        err = hf_mirror_run(&m, why);
    if (err == HF_OK)
        err = print(&m, o->is_json, why);
    hf_mirror_free(&m);
    hf_buf_free(&root);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_TEXT("out", out, "the folder that a web server serves", "DIR"),
     HF_CTL_NUMBER("keep", keep, KEEP_DEFAULT, 0, KEEP_MAX,
                   "keep so many replaced versions of metadata, and the bundles they list", "N"),
     HF_CTL_NUMBER("keep-days", keep_days, KEEP_DAYS_DEFAULT, 0, KEEP_MAX,
                   "also keep what was replaced in the last DAYS days, or while the timestamp "
                   "lasts; 0 keeps none",
                   "DAYS"),
     HF_CTL_ROOT,
     HF_CTL_REPORT("mirror-report")};

const struct hf_cli_command hf_cmd_mirror = {
    .name = "mirror",
    .summary = "Export the published files for any web server or bucket.",
    .arguments = "--repo DIR --out DIR [OPTION…]",
    .about =
        "Verifies the repository as a device does, and writes the files that the published\n"
        "timestamp leads to, and every root version, to OUT. Files that wait to be published are\n"
        "left out. Run it after each publication and each refresh. OUT is complete at every\n"
        "moment, because timestamp.json is renamed into place when all files that it names are\n"
        "there. Then replaced metadata that neither --keep nor --keep-days keeps is removed, and\n"
        "bundles that no metadata in OUT lists. Roots and files of other programs are never\n"
        "removed. A newer OUT is refused. When you copy OUT to a bucket, keep the order:\n"
        "timestamp.json last, deletions after it.\n\n"
        "The repository's own first root proves that the repository is complete, not that it is\n"
        "yours. If other users can write to it, give --root, for example the root that your\n"
        "devices ship with.",
    .examples = "  holdfastctl mirror --repo /srv/roots --out /srv/www/holdfast\n"
                "  holdfastctl mirror --repo /srv/roots --out /srv/www/holdfast --keep 3 \\\n"
                "      --keep-days 14 --json\n"
                "  holdfastctl mirror --repo /srv/roots --out /srv/www/holdfast \\\n"
                "      --root /etc/holdfast/keys/online/root.json\n",
    .options = options,
    .needs = {"--repo", "--out"},
    .run = mirror,
};
