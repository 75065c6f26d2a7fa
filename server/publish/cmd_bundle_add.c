/* holdfastctl bundle add: certificates become the next version of a set, signed. */
#include "server/publish/bundle_build.h"
#include "server/publish/cli.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Older versions stay listed so that a device that decided on one just now can still fetch it. */
#define KEEP_DEFAULT 5
#define KEEP_MAX 1000

struct request {
    struct hf_cli_place place;
    char *set;
    char *profile;
    char *from;
    char **distrust_after;
    char **remove_after;
    char **drops;
    int allows_intermediate;
    int keep;
};

/* What the new version is built on: the newest signed targets, published or not. */
struct base {
    struct hf_targets pending; /* zero where nothing waits */
    const struct hf_targets *targets;
    struct hf_repo_bundles bundles;
};

/* ---- the base --------------------------------------------------------------------------------- */

static enum hf_err find_base(struct hf_publication *p, struct base *base, struct hf_why *why)
{
    struct hf_buf file = {0};
    base->targets = hf_publication_targets(p);
    enum hf_err err = hf_repo_verify_pending(&p->repo, &p->set, &base->pending, &file, why);
    hf_buf_free(&file);
    if (err == HF_OK)
        base->targets = &base->pending;
    else if (err != HF_E_NOT_FOUND)
        return err;
    return hf_repo_verify_bundles(&p->repo, base->targets, p->set.root->consistent_snapshot,
                                  &base->bundles, why);
}

static void free_base(struct base *base)
{
    hf_repo_bundles_free(&base->bundles);
    hf_targets_free(&base->pending);
}

/* ---- the new targets metadata ----------------------------------------------------------------- */

/* No longer list what is older than the `keep` newest of the line that gets a new version. */
static void prune(json_t *targets, const struct base *base, const struct hf_description *d,
                  int keep)
{
    for (size_t i = 0; i < base->bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &base->bundles.items[i];
        if (strcmp(b->description.set, d->set) == 0 &&
            strcmp(b->description.profile, d->profile) == 0 &&
            b->description.version <= d->version - keep)
            hf_compose_remove_target(targets, b->target->path);
    }
}

/* List the bundle in `targets`, and stage its content under the name that listing gives it. */
static enum hf_err list_and_stage(struct hf_publication *p, json_t *targets,
                                  struct hf_bundle_built *built, struct hf_why *why)
{
    json_t *custom = NULL;
    struct hf_buf name = {0};
    struct hf_path path;
    struct hf_target target = {.info = {.has_sha256 = true}};
    enum hf_err err = hf_description_to_json(&built->description, &custom, why);
    if (err == HF_OK)
        err = hf_description_target_path(&built->description, &name, why);
    if (err != HF_OK)
        goto out;
    target.path = (const char *)name.data;
    hf_sha256(hf_buf_bytes(&built->pem), target.info.sha256);
    err = hf_compose_add_target(targets, target.path, hf_buf_bytes(&built->pem), custom, why);
    if (err == HF_OK)
        err = hf_repo_target_path(&target, p->set.root->consistent_snapshot, &path, why);
    if (err == HF_OK)
        err = hf_repo_stage_take(&p->repo, path.text, &built->pem, why);
out:
    hf_buf_free(&name);
    json_decref(custom);
    return err;
}

/* `file` gets the signed targets metadata. */
static enum hf_err stage_targets(struct hf_publication *p, const struct base *base,
                                 struct hf_bundle_built *built, int keep, int64_t version,
                                 struct hf_buf *file, struct hf_why *why)
{
    json_t *targets = NULL;
    struct hf_signing signing = {version, 0, p->now_s};
    HF_TRY(hf_publication_expiry(p, HF_ROLE_TARGETS, &signing.expires_s, why));
    HF_TRY(hf_compose_targets(base->targets->env.signed_part, &signing, &targets, why));
    prune(targets, base, &built->description, keep);
    enum hf_err err = list_and_stage(p, targets, built, why);
    if (err == HF_OK)
        err = hf_publication_stage_targets(p, targets, file, why);
    json_decref(targets);
    return err;
}

/* ---- the result ------------------------------------------------------------------------------- */

static void report(const struct hf_bundle_built *built, int64_t targets_version, bool is_published,
                   const struct request *r)
{
    const struct hf_description *d = &built->description;
    for (size_t i = 0; i < built->bundle.n_anchors; i++) {
        const struct hf_anchor *anchor = &built->bundle.anchors[i];
        char ends[HF_TIME_TEXT_MAX], distrusted[HF_TIME_TEXT_MAX], removed[HF_TIME_TEXT_MAX];
        hf_time_format_day(anchor->cert.not_after_s, ends);
        hf_time_format_day(anchor->distrust_after_s, distrusted);
        hf_time_format_day(anchor->remove_after_s, removed);
        printf("  %s, until %s", anchor->cert.subject, ends);
        if (anchor->distrust_after_s != HF_TIME_NONE)
            printf(", distrust after %s", distrusted);
        if (anchor->remove_after_s != HF_TIME_NONE)
            printf(", remove after %s", removed);
        putchar('\n');
    }
    if (d->n_drops > 0)
        printf("  drops %zu key(s) on purpose\n", d->n_drops);
    if (is_published)
        printf("published: %s/%s %" PRId64 ", targets %" PRId64 "\n", d->set, d->profile,
               d->version, targets_version);
    else
        printf("signed, not published: %s/%s %" PRId64 ", targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               d->set, d->profile, d->version, targets_version, r->place.repo, r->place.keys);
}

/* ---- the command ------------------------------------------------------------------------------ */

/* Snapshot and timestamp, where their keys are at hand; otherwise the targets wait for publish. */
static enum hf_err stage_online_if_possible(struct hf_publication *p, int64_t version,
                                            struct hf_bytes targets_file, bool *is_published,
                                            struct hf_why *why)
{
    *is_published = p->is_used[HF_KEYS_ONLINE];
    if (!*is_published)
        return HF_OK;
    return hf_publication_stage_online(p, version, targets_file, why);
}

/* What is left for `publish` must be fit for it: nobody looks at it again before then. */
static enum hf_err verify_waiting(const struct hf_publication *p, struct hf_bytes targets_file,
                                  struct hf_why *why)
{
    struct hf_targets targets = {0};
    struct hf_repo_bundles bundles = {0};
    HF_TRY(hf_targets_parse(targets_file, &targets, why));
    enum hf_err err = hf_repo_verify_targets(&p->set, &targets, why);
    if (err == HF_OK)
        err = hf_repo_verify_bundles(&p->repo, &targets, p->set.root->consistent_snapshot, &bundles,
                                     why);
    hf_repo_bundles_free(&bundles);
    hf_targets_free(&targets);
    return err;
}

static enum hf_err add_built(struct hf_publication *p, const struct request *r,
                             const struct base *base, struct hf_bundle_built *built,
                             struct hf_why *why)
{
    struct hf_buf file = {0};
    bool is_published = false;
    int64_t version = hf_publication_next_version(p, HF_ROLE_TARGETS, base->targets->env.version);
    enum hf_err err = stage_targets(p, base, built, r->keep, version, &file, why);
    if (err == HF_OK)
        err = stage_online_if_possible(p, version, hf_buf_bytes(&file), &is_published, why);
    if (err == HF_OK && !is_published)
        err = verify_waiting(p, hf_buf_bytes(&file), why);
    if (err == HF_OK)
        err = hf_publication_commit(p, why);
    hf_buf_free(&file);
    if (err == HF_OK)
        report(built, version, is_published, r);
    return err;
}

/* The bundle that --from names; NULL where it names none. */
static enum hf_err find_from(const struct request *r, const struct base *base,
                             const struct hf_repo_bundle **out, struct hf_why *why)
{
    *out = NULL;
    if (r->from == NULL)
        return HF_OK;
    *out = hf_repo_bundles_newest(&base->bundles, r->set, r->from);
    if (*out == NULL)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "--from %s: the repository holds no bundle of set '%s' and that profile",
                       r->from, r->set);
    return HF_OK;
}

static enum hf_err build_on(const struct hf_publication *p, const struct request *r,
                            const struct base *base, const char *const *files,
                            struct hf_bundle_built *out, struct hf_why *why)
{
    struct hf_bundle_order order = {
        .set = r->set,
        .profile = r->profile,
        .files = files,
        .drops = (const char *const *)r->drops,
        .notes = {.allows_intermediate = r->allows_intermediate != 0,
                  .distrust_after = (const char *const *)r->distrust_after,
                  .remove_after = (const char *const *)r->remove_after},
    };
    HF_TRY(find_from(r, base, &order.from, why));
    return hf_bundle_build(&order, hf_repo_bundles_newest(&base->bundles, r->set, r->profile),
                           p->now_s, out, why);
}

static enum hf_err add_to(struct hf_publication *p, const struct request *r,
                          const char *const *files, struct hf_why *why)
{
    struct base base = {0};
    struct hf_bundle_built built = {0};
    /* Before any question or passphrase: are the keys here at all? */
    HF_TRY(hf_key_set_find(&p->keys, p->set.root, HF_ROLE_TARGETS, why));
    enum hf_err err = find_base(p, &base, why);
    if (err == HF_OK)
        err = build_on(p, r, &base, files, &built, why);
    if (err == HF_OK)
        err = add_built(p, r, &base, &built, why);
    hf_bundle_built_free(&built);
    free_base(&base);
    return err;
}

static enum hf_err add(const struct request *r, const char *const *files, struct hf_why *why)
{
    struct hf_publication p;
    const struct hf_publication_place at = hf_cli_publication(&r->place, HF_KEYS_OFFLINE);
    HF_TRY(hf_publication_open(&at, &p, why));
    enum hf_err err = add_to(&p, r, files, why);
    hf_publication_close(&p);
    return err;
}

static bool is_complete(const struct hf_command *self, const struct request *r,
                        const char *const *files)
{
    if (!hf_cli_need(self, "--repo", r->place.repo) ||
        !hf_cli_need(self, "--keys", r->place.keys) || !hf_cli_need(self, "--set", r->set) ||
        !hf_cli_need(self, "--profile", r->profile) ||
        !hf_cli_need(self, "at least one certificate file, or --from,",
                     r->from != NULL ? r->from
                     : files == NULL ? NULL
                                     : files[0]))
        return false;
    if (r->keep >= 1 && r->keep <= KEEP_MAX)
        return true;
    (void)hf_cli_usage(self, "--keep is 1 to %d, not %d", KEEP_MAX, r->keep);
    return false;
}

static void free_texts(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        free(texts[i]);
    free(texts);
}

static void free_request(struct request *r)
{
    hf_cli_place_free(&r->place);
    free(r->set);
    free(r->profile);
    free(r->from);
    free_texts(r->distrust_after);
    free_texts(r->remove_after);
    free_texts(r->drops);
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {.keep = KEEP_DEFAULT};
    const struct poptOption options[] = {
        HF_CLI_REPO(&r.place),
        HF_CLI_KEYS(&r.place),
        {"set", 0, POPT_ARG_STRING, &r.set, 0, "what the roots are for, such as amazon-iot",
         "NAME"},
        {"profile", 0, POPT_ARG_STRING, &r.profile, 0, "for which devices: full, rsa, ecc, legacy",
         "NAME"},
        {"from", 0, POPT_ARG_STRING, &r.from, 0,
         "begin with the certificates of the newest bundle of this profile of the set", "PROFILE"},
        {"distrust-after", 0, POPT_ARG_ARGV, &r.distrust_after, 0,
         "server certificates issued after DATE are not accepted through this root", "SHA256=DATE"},
        {"remove-after", 0, POPT_ARG_ARGV, &r.remove_after, 0,
         "devices stop using this root after DATE", "SHA256=DATE"},
        {"drop", 0, POPT_ARG_ARGV, &r.drops, 0,
         "agree that a root of the version before goes; or: all", "SHA256"},
        {"allow-intermediate", 0, POPT_ARG_NONE, &r.allows_intermediate, 0,
         "accept CAs that are no roots", NULL},
        {"keep", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &r.keep, 0,
         "how many versions of this set and profile stay listed", "N"},
        HF_CLI_PASSPHRASE(&r.place),
        HF_CLI_ONLINE_PASSPHRASE(&r.place),
        HF_CLI_CLOCK(&r.place),
        HF_CLI_HELP,
        HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        const char *const *files = (const char *const *)hf_cli_arguments(&cli);
        if (is_complete(self, &r, files))
            exit_code = hf_cli_finish(add(&r, files, &why), &why);
    }
    hf_cli_end(&cli);
    free_request(&r);
    return exit_code;
}

const struct hf_command hf_cmd_bundle_add = {
    .name = "bundle add",
    .summary = "Publish certificates as the next version of a set.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] CERT…",
    .text =
        "CERT is a PEM file with any number of certificates, or a DER file with one. Together "
        "they\n"
        "are the whole new version, not an addition to the last one. Each must parse and be a CA\n"
        "in date, with a key of RSA 2048 bits or more, P-256, P-384 or P-521.\n\n"
        "A CA certificate that another CA issued is accepted as cross-signed when the self-signed\n"
        "root of the same key is given too; any other is an intermediate, which its CA may "
        "replace\n"
        "any day: --allow-intermediate if you must.\n\n"
        "Roots that the version before had and this one lacks are dropped only if you agree: on\n"
        "the terminal, or with --drop. Dates set with --distrust-after and --remove-after stay in\n"
        "force in later versions until you give another date, or `none`. A certificate is named "
        "by\n"
        "its SHA-256, with or without colons, or the first 16 digits or more.\n\n"
        "--from takes the content of another profile, with the dates signed for it. A fleet that\n"
        "still reads an old profile is moved that way: its next version is the new content.\n\n"
        "Without the keys in KEYS/online the new version is signed but not published; carry the\n"
        "repository to where they are and run holdfastctl publish.",
    .examples =
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile full AmazonRootCA*.pem\n"
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile full --distrust-after 568d6905a2c88708=2027-04-15 \\\n"
        "      AmazonRootCA*.pem SFSRootCAG2.pem\n"
        "  holdfastctl bundle add --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --set amazon-iot --profile legacy --from full --drop all\n",
    .run = run,
};
