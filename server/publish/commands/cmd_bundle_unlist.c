/* holdfastctl bundle unlist: versions that shall not be on offer any more. */
#include "server/publish/commands/bundle_options.h"
#include "server/publish/bundle/publish_json.h"
#include "server/publish/bundle/shelf.h"
#include "server/publish/ceremony/targets_publish.h"
#include "server/publish/ceremony/targets_release.h"

#include "common/base/limits.h"

#include <inttypes.h>
#include <stdlib.h>

struct request {
    struct hf_cli_place place;
    char *set;
    char *profile;
    char *draft;
    int keep; /* 0: the versions that are named */
    int is_json;
    const char *const *versions; /* NULL: none */
};

/* One run. */
struct unlisting {
    const struct request *r;
    struct hf_publication p;
    struct hf_shelf shelf;
    json_t *targets;  /* as they will be */
    json_t *unlisted; /* what they no longer list */
};

/* ---- which go --------------------------------------------------------------------------------- */

static enum hf_err parse_version(const char *text, int64_t *out, struct hf_why *why)
{
    int64_t version = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9' && version <= HF_JSON_INTEGER_MAX / 10; i++)
        version = version * 10 + (text[i] - '0');
    if (text[i] != '\0' || text[0] == '0' || version < 1 || version > HF_JSON_INTEGER_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "a version is a number above 0, not \"%.80s\"", text);
    *out = version;
    return HF_OK;
}

static const struct hf_repo_bundle *newest_of(const struct unlisting *u)
{
    return hf_repo_bundles_newest(&u->shelf.bundles, u->r->set, u->r->profile);
}

static const struct hf_repo_bundle *find(const struct unlisting *u, int64_t version)
{
    for (size_t i = 0; i < u->shelf.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &u->shelf.bundles.items[i];
        if (hf_shelf_is_of(b, u->r->set, u->r->profile) && b->description.version == version)
            return b;
    }
    return NULL;
}

/* Without it devices would find no bundle of theirs, and the next one would begin again at 1, below
 * what they have. */
static enum hf_err refuse_newest(const struct hf_repo_bundle *b, struct hf_why *why)
{
    return hf_fail(why, HF_E_POLICY,
                   "%s is the newest of its line, from which devices and later versions count; "
                   "publish what is to follow it, then it can go",
                   b->target->path);
}

static enum hf_err unlist_named(struct unlisting *u, const char *text, struct hf_why *why)
{
    int64_t version = 0;
    HF_TRY(parse_version(text, &version, why));
    const struct hf_repo_bundle *b = find(u, version);
    if (b == NULL)
        return hf_fail(why, HF_E_NOT_FOUND,
                       "version %" PRId64
                       " of %s/%s is not listed; holdfastctl bundle list shows which are",
                       version, u->r->set, u->r->profile);
    if (b == newest_of(u))
        return refuse_newest(b, why);
    /* Given twice it goes once. */
    if (json_object_get(json_object_get(u->targets, "targets"), b->target->path) == NULL)
        return HF_OK;
    return hf_targets_unlist(u->targets, b, u->unlisted, why);
}

static size_t count_newer(const struct unlisting *u, const struct hf_repo_bundle *than)
{
    size_t n = 0;
    for (size_t i = 0; i < u->shelf.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &u->shelf.bundles.items[i];
        n += hf_shelf_is_of(b, u->r->set, u->r->profile) &&
             b->description.version > than->description.version;
    }
    return n;
}

static enum hf_err unlist_old(struct unlisting *u, struct hf_why *why)
{
    for (size_t i = 0; i < u->shelf.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &u->shelf.bundles.items[i];
        if (hf_shelf_is_of(b, u->r->set, u->r->profile) && count_newer(u, b) >= (size_t)u->r->keep)
            HF_TRY(hf_targets_unlist(u->targets, b, u->unlisted, why));
    }
    if (json_array_size(u->unlisted) > 0)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "%s/%s lists no more than %d version(s); nothing is to go",
                   u->r->set, u->r->profile, u->r->keep);
}

static enum hf_err unlist_all(struct unlisting *u, struct hf_why *why)
{
    if (u->r->keep > 0)
        return unlist_old(u, why);
    for (size_t i = 0; u->r->versions[i] != NULL; i++)
        HF_TRY(unlist_named(u, u->r->versions[i], why));
    return HF_OK;
}

/* ---- what became of it ------------------------------------------------------------------------ */

static void print_text(const struct unlisting *u, int64_t version, bool is_published)
{
    size_t index;
    json_t *gone;
    json_array_foreach(u->unlisted, index, gone)
    {
        printf("  no longer listed: %s; devices that hold it keep it until they take version "
               "%" PRId64 ", and no device takes it any more\n",
               json_string_value(json_object_get(gone, "path")), newest_of(u)->description.version);
    }
    if (u->r->draft != NULL)
        hf_targets_print_drafted(version, u->r->draft);
    else if (is_published)
        printf("published: targets %" PRId64 "\n", version);
    else
        printf("signed, not published: targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               version, u->r->place.repo, u->r->place.keys);
}

static enum hf_err report(const struct unlisting *u, bool is_published, struct hf_why *why)
{
    int64_t version = json_integer_value(json_object_get(u->targets, "version"));
    if (!u->r->is_json) {
        print_text(u, version, is_published);
        return HF_OK;
    }
    struct hf_publish_report report = {
        .outcome = u->r->draft != NULL ? "drafted"
                   : is_published      ? "published"
                                       : "waiting",
        .draft_file = u->r->draft,
        .unlisted = json_incref(u->unlisted),
    };
    hf_publish_report_note(&report, &u->p);
    report.versions[HF_ROLE_TARGETS] = version;
    return hf_publish_report_print_take(&report, stdout, why);
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err work(struct unlisting *u, struct hf_why *why)
{
    bool is_published = false;
    if (u->r->draft == NULL)
        HF_TRY(hf_key_set_find(&u->p.keys, u->p.set.root, HF_ROLE_TARGETS, why));
    HF_TRY(hf_shelf_load(&u->p.repo, &u->p.set, &u->shelf, why));
    HF_TRY(hf_shelf_check_has(&u->shelf, u->r->set, u->r->profile, why));
    HF_TRY(hf_targets_next(&u->p, u->shelf.targets, &u->targets, why));
    HF_TRY(unlist_all(u, why));
    HF_TRY(
        hf_targets_release(&u->p, u->shelf.targets, u->targets, u->r->draft, &is_published, why));
    return report(u, is_published, why);
}

static enum hf_err unlist(const struct request *r, struct hf_why *why)
{
    struct unlisting u = {.r = r, .unlisted = json_array()};
    const struct hf_publication_place at = hf_cli_publication(&r->place,
                                                              r->draft == NULL
                                                                  ? HF_KEYS_OFFLINE
                                                                  : hf_targets_half_at_hand(
                                                                        r->place.keys));
    enum hf_err err = hf_publication_open(&at, &u.p, why);
    if (err == HF_OK) {
        err = work(&u, why);
        hf_shelf_free(&u.shelf);
        hf_publication_close(&u.p);
    }
    json_decref(u.targets);
    json_decref(u.unlisted);
    return err;
}

static bool is_complete(const struct hf_command *self, const struct request *r)
{
    if (!hf_cli_need(self, "--repo", r->place.repo) ||
        !hf_cli_need(self, "--keys", r->place.keys) || !hf_cli_need(self, "--set", r->set) ||
        !hf_cli_need(self, "--profile", r->profile))
        return false;
    if ((r->versions == NULL) == (r->keep == 0)) {
        (void)hf_cli_usage(self, "give the versions that go, or --keep with how many stay");
        return false;
    }
    if (r->keep < 0 || r->keep > HF_KEEP_MAX) {
        (void)hf_cli_usage(self, "--keep is 1 to %d, not %d", HF_KEEP_MAX, r->keep);
        return false;
    }
    return true;
}

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    const struct poptOption options[] = {HF_CLI_REPO(&r.place),
                                         HF_CLI_KEYS(&r.place),
                                         HF_CLI_SET(&r),
                                         HF_CLI_PROFILE(&r),
                                         {"keep", 0, POPT_ARG_INT, &r.keep, 0,
                                          "instead of naming versions: all but the newest N", "N"},
                                         HF_CLI_DRAFT(&r),
                                         HF_CLI_PASSPHRASE(&r.place),
                                         HF_CLI_ONLINE_PASSPHRASE(&r.place),
                                         HF_CLI_CLOCK(&r.place),
                                         HF_CLI_JSON(&r.is_json, "publish-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code)) {
        r.versions = (const char *const *)hf_cli_arguments(&cli);
        if (is_complete(self, &r))
            exit_code = hf_cli_finish(unlist(&r, &why), &why);
    }
    hf_cli_end(&cli);
    hf_cli_place_free(&r.place);
    free(r.set);
    free(r.profile);
    free(r.draft);
    return exit_code;
}

const struct hf_command hf_cmd_bundle_unlist = {
    .name = "bundle unlist",
    .summary = "Take old or bad versions of a set out of what is on offer.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] VERSION…",
    .text =
        "For old versions that nobody needs, and for one that turned out bad and should not be\n"
        "on offer. Devices take the newest version, so an old one serves only a device that is\n"
        "fetching it right now, and whoever asks for it by name. Devices that hold an unlisted\n"
        "version keep it until they take the newest, as ever: to take a root away from them,\n"
        "publish a version without it (bundle remove).\n\n"
        "The newest version never goes: devices and later versions count from it. To withdraw\n"
        "it, publish what is to follow it first. The file stays on disk; `mirror` lets go of it\n"
        "in time. Without the keys in KEYS/online the change waits for holdfastctl publish.",
    .examples = "  holdfastctl bundle unlist --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full 7\n"
                "  holdfastctl bundle unlist --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full --keep 2\n",
    .run = run,
};
