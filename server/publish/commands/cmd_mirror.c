/* holdfastctl mirror: the repository for any web server or bucket. Needs no key. */
#include "server/publish/commands/cli.h"
#include "server/repository/base/json_text.h"
#include "server/repository/mirror.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEEP_DEFAULT 10
#define KEEP_DAYS_DEFAULT 30 /* a cache or a frozen device lags by a timestamp's week, not more */
#define KEEP_MAX 1000000

struct request {
    struct hf_cli_place place;
    char *out;
    char *root;
    int keep;
    int keep_days;
    int is_json;
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

static int mirror(const struct request *r)
{
    struct hf_buf root = {0};
    struct hf_mirror m = {.repo_dir = r->place.repo,
                          .out_dir = r->out,
                          .now_s = hf_cli_now_s(),
                          .keep_versions = r->keep,
                          .keep_days = r->keep_days};
    struct hf_why why = {0};
    enum hf_err err = hf_cli_read_root(r->root, &root, &why);
    m.root = hf_buf_bytes(&root);
    if (err == HF_OK)
        err = hf_mirror_run(&m, &why);
    if (err == HF_OK && r->is_json)
        err = print_json(&m, &why);
    else if (err == HF_OK)
        print_text(&m);
    hf_mirror_free(&m);
    hf_buf_free(&root);
    return hf_cli_finish(err, &why);
}

static bool is_count(const struct hf_command *self, const char *option, int value)
{
    if (value >= 0 && value <= KEEP_MAX)
        return true;
    (void)hf_cli_usage(self, "%s wants a number from 0 to %d, not %d", option, KEEP_MAX, value);
    return false;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {.keep = KEEP_DEFAULT, .keep_days = KEEP_DAYS_DEFAULT};
    const struct poptOption options[] = {
        HF_CLI_REPO(&r.place),
        {"out", 0, POPT_ARG_STRING, &r.out, 0, "the folder that a web server hands out", "DIR"},
        {"keep", 0, POPT_ARG_INT, &r.keep, 0,
         "keep so many replaced versions of metadata, and the bundles they list (default: 10)",
         "N"},
        {"keep-days", 0, POPT_ARG_INT, &r.keep_days, 0,
         "keep, too, what was replaced in the last DAYS days (default: 30), or while the timestamp "
         "lasts; 0 keeps none",
         "DAYS"},
        HF_CLI_ROOT(&r.root),
        HF_CLI_JSON(&r.is_json, "mirror-report"),
        HF_CLI_HELP,
        HF_CLI_END};
    struct hf_cli cli;
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--repo", r.place.repo) && hf_cli_need(self, "--out", r.out) &&
        hf_cli_no_arguments(&cli) && is_count(self, "--keep", r.keep) &&
        is_count(self, "--keep-days", r.keep_days))
        exit_code = mirror(&r);
    hf_cli_end(&cli);
    hf_cli_place_free(&r.place);
    free(r.out);
    free(r.root);
    return exit_code;
}

const struct hf_command hf_cmd_mirror = {
    .name = "mirror",
    .summary = "Export what is published, for any web server or bucket.",
    .arguments = "--repo DIR --out DIR [OPTION…]",
    .text =
        "Verifies the repository as a device would, and writes to OUT what the published\n"
        "timestamp leads to and every root version; what waits to be published is left out.\n"
        "Run it after each publication and each refresh: a web server that hands out OUT is\n"
        "right at every instant, because timestamp.json is renamed into place when all it names\n"
        "is there. Then replaced metadata that neither --keep nor --keep-days keeps is removed,\n"
        "and bundles that no metadata left in OUT lists. Roots are never removed, nor is any\n"
        "file that is not of this repository. An OUT that is newer is refused.\n"
        "Copying OUT to a bucket, keep the order: timestamp.json last, deletions after it.\n\n"
        "A repository's own first root proves that it is whole, not that it is yours: where\n"
        "others may write to it, give --root, such as what your devices ship with.",
    .examples = "  holdfastctl mirror --repo /srv/roots --out /srv/www/holdfast\n"
                "  holdfastctl mirror --repo /srv/roots --out /srv/www/holdfast --keep 3 \\\n"
                "      --keep-days 14 --json\n"
                "  holdfastctl mirror --repo /srv/roots --out /srv/www/holdfast \\\n"
                "      --root /etc/holdfast/keys/online/root.json\n",
    .run = run,
};
