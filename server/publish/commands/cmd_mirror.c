/* holdfastctl mirror: the repository for any web server or bucket. Needs no key. */
#include "server/publish/commands/ctl.h"
#include "common/cli/report.h"
#include "server/repository/mirror.h"

#include <inttypes.h>

#define KEEP_DEFAULT 10
#define KEEP_DAYS_DEFAULT 30 /* a cache or a frozen device lags by a timestamp's week, not more */
#define KEEP_MAX 1000000

struct mirror_options {
    struct hf_ctl_options o;
    char *out;
    int keep_days;
};

static enum hf_err print_json(const struct hf_mirror *m, struct hf_why *why)
{
    return hf_json_print_take(json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:I, s:O, s:O}", "format",
                                        1, "repo", m->repo_dir, "out", m->out_dir, "root",
                                        (json_int_t)m->versions[HF_ROLE_ROOT], "targets",
                                        (json_int_t)m->versions[HF_ROLE_TARGETS], "snapshot",
                                        (json_int_t)m->versions[HF_ROLE_SNAPSHOT], "timestamp",
                                        (json_int_t)m->versions[HF_ROLE_TIMESTAMP], "written",
                                        m->written, "removed", m->removed),
                              stdout, why);
}

static void print_text(const struct hf_mirror *m)
{
    printf("mirrored: root %" PRId64 ", targets %" PRId64 ", snapshot %" PRId64
           ", timestamp %" PRId64 "; %zu written, %zu removed\n",
           m->versions[HF_ROLE_ROOT], m->versions[HF_ROLE_TARGETS], m->versions[HF_ROLE_SNAPSHOT],
           m->versions[HF_ROLE_TIMESTAMP], json_array_size(m->written),
           json_array_size(m->removed));
}

static enum hf_err check_count(struct hf_cli_call *call, const char *option, int value)
{
    if (value >= 0 && value <= KEEP_MAX)
        return HF_OK;
    return hf_cli_usage(call, "%s wants a number from 0 to %d, not %d", option, KEEP_MAX, value);
}

static enum hf_err mirror(struct hf_cli_call *call, struct hf_why *why)
{
    const struct mirror_options *r = call->values;
    struct hf_buf root = {0};
    struct hf_mirror m = {.repo_dir = r->o.repo,
                          .out_dir = r->out,
                          .now_s = hf_ctl_now_s(),
                          .keep_versions = r->o.keep,
                          .keep_days = r->keep_days};
    HF_TRY(check_count(call, "--keep", r->o.keep));
    HF_TRY(check_count(call, "--keep-days", r->keep_days));
    enum hf_err err = hf_ctl_read_root(r->o.root, &root, why);
    m.root = hf_buf_bytes(&root);
    if (err == HF_OK)
        err = hf_mirror_run(&m, why);
    if (err == HF_OK && r->o.is_json)
        err = print_json(&m, why);
    else if (err == HF_OK)
        print_text(&m);
    hf_mirror_free(&m);
    hf_buf_free(&root);
    return err;
}

#define AT(member) offsetof(struct mirror_options, member)

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     {"out", 0, HF_CLI_TEXT, AT(out), "the folder that a web server serves", "DIR"},
     {"keep", 0, HF_CLI_INT, HF_CTL_AT(keep),
      "keep so many replaced versions of metadata, and the bundles they list (default: 10)", "N",
      .preset = KEEP_DEFAULT},
     {"keep-days", 0, HF_CLI_INT, AT(keep_days),
      "also keep what was replaced in the last DAYS days (default: 30), or while the timestamp "
      "lasts; 0 keeps none",
      "DAYS", .preset = KEEP_DAYS_DEFAULT},
     HF_CTL_ROOT,
     HF_CTL_JSON("mirror-report"),
     HF_CTL_HELP,
     HF_CLI_END};

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
    .values_size = sizeof(struct mirror_options),
    .needs = {"--repo", "--out"},
    .run = mirror,
};
