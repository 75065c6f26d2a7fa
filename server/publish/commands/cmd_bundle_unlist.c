/* holdfastctl bundle unlist: versions that shall not be on offer any more. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/ceremony/targets_release.h"

#include <inttypes.h>

/* One run. */
struct unlisting {
    const struct hf_ctl_options *o; /* `keep` 0: the versions that are named go */
    const char *const *versions;    /* NULL: none */
    struct hf_publication p;
    struct hf_catalog catalog;
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
    return hf_repo_bundles_newest(&u->catalog.bundles, u->o->set, u->o->profile);
}

static const struct hf_repo_bundle *find(const struct unlisting *u, int64_t version)
{
    for (size_t i = 0; i < u->catalog.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &u->catalog.bundles.items[i];
        if (hf_catalog_is_of(b, u->o->set, u->o->profile) && b->description.version == version)
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
                   "publish its successor first",
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
                       version, u->o->set, u->o->profile);
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
    for (size_t i = 0; i < u->catalog.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &u->catalog.bundles.items[i];
        n += hf_catalog_is_of(b, u->o->set, u->o->profile) &&
             b->description.version > than->description.version;
    }
    return n;
}

static enum hf_err unlist_old(struct unlisting *u, struct hf_why *why)
{
    for (size_t i = 0; i < u->catalog.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &u->catalog.bundles.items[i];
        if (hf_catalog_is_of(b, u->o->set, u->o->profile) &&
            count_newer(u, b) >= (size_t)u->o->keep)
            HF_TRY(hf_targets_unlist(u->targets, b, u->unlisted, why));
    }
    if (json_array_size(u->unlisted) > 0)
        return HF_OK;
    return hf_fail(why, HF_E_STATE, "%s/%s lists no more than %d version(s); nothing is to go",
                   u->o->set, u->o->profile, u->o->keep);
}

static enum hf_err unlist_all(struct unlisting *u, struct hf_why *why)
{
    if (u->o->keep > 0)
        return unlist_old(u, why);
    for (size_t i = 0; u->versions[i] != NULL; i++)
        HF_TRY(unlist_named(u, u->versions[i], why));
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
    if (u->o->draft != NULL)
        hf_targets_print_drafted(version, u->o->draft);
    else if (is_published)
        printf("published: targets %" PRId64 "\n", version);
    else
        printf("signed, not published: targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               version, u->o->repo, u->o->keys);
}

static enum hf_err report(const struct unlisting *u, bool is_published, struct hf_why *why)
{
    int64_t version = json_integer_value(json_object_get(u->targets, "version"));
    if (!u->o->is_json) {
        print_text(u, version, is_published);
        return HF_OK;
    }
    struct hf_publish_report report = {
        .outcome = u->o->draft != NULL ? "drafted"
                   : is_published      ? "published"
                                       : "waiting",
        .draft_file = u->o->draft,
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
    if (u->o->draft == NULL)
        HF_TRY(hf_key_set_find(&u->p.keys, u->p.set.root, HF_ROLE_TARGETS, why));
    HF_TRY(hf_catalog_load(&u->p.repo, &u->p.set, &u->catalog, why));
    HF_TRY(hf_catalog_check_has(&u->catalog, u->o->set, u->o->profile, why));
    HF_TRY(hf_targets_next(&u->p, u->catalog.targets, &u->targets, why));
    HF_TRY(unlist_all(u, why));
    HF_TRY(
        hf_targets_release(&u->p, u->catalog.targets, u->targets, u->o->draft, &is_published, why));
    return report(u, is_published, why);
}

static enum hf_err unlist(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct unlisting u = {.o = o, .versions = call->words};
    if ((u.versions == NULL) == (o->keep == 0))
        return hf_cli_usage(call, "give the versions that go, or --keep with how many stay");
    if (o->keep < 0 || o->keep > HF_KEEP_MAX)
        return hf_cli_usage(call, "--keep is 1 to %d, not %d", HF_KEEP_MAX, o->keep);
    const struct hf_publication_context at = hf_ctl_publication(o,
                                                                o->draft == NULL
                                                                    ? HF_KEYS_OFFLINE
                                                                    : hf_targets_location_at_hand(
                                                                          o->keys));
    HF_TRY(hf_publication_open(&at, &u.p, why));
    u.unlisted = json_array();
    enum hf_err err = work(&u, why);
    hf_catalog_free(&u.catalog);
    hf_publication_close(&u.p);
    json_decref(u.targets);
    json_decref(u.unlisted);
    return err;
}

static const struct hf_cli_option options[] = {HF_CTL_REPO,
                                               HF_CTL_KEYS,
                                               HF_CTL_SET,
                                               HF_CTL_PROFILE,
                                               {"keep", 0, HF_CLI_INT, HF_CTL_AT(keep),
                                                "instead of naming versions: all but the newest N",
                                                "N"},
                                               HF_CTL_DRAFT,
                                               HF_CTL_PASSPHRASE,
                                               HF_CTL_ONLINE_PASSPHRASE,
                                               HF_CTL_CLOCK,
                                               HF_CTL_JSON("publish-report"),
                                               HF_CTL_HELP,
                                               HF_CLI_END};

const struct hf_cli_command hf_cmd_bundle_unlist = {
    .name = "bundle unlist",
    .summary = "Remove old or bad versions of a set from the list.",
    .arguments = "--repo DIR --keys DIR --set NAME --profile NAME [OPTION…] VERSION…",
    .about =
        "Use it for old versions that are not needed, and for a bad version. Devices install the\n"
        "newest version, so an old one serves only devices that are fetching it now, and tools\n"
        "that ask for it by name. Devices that have an unlisted version keep it until they\n"
        "install the newest. To take a root away from them, publish a version without it (bundle\n"
        "remove).\n\n"
        "The newest version cannot be unlisted: devices and later versions count from it. To\n"
        "withdraw it, publish its successor first. The file stays on disk until `mirror` removes\n"
        "it. Without the keys in KEYS/online the change waits for holdfastctl publish.",
    .examples = "  holdfastctl bundle unlist --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full 7\n"
                "  holdfastctl bundle unlist --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full --keep 2\n",
    .options = options,
    .values_size = sizeof(struct hf_ctl_options),
    .needs = {"--repo", "--keys", "--set", "--profile"},
    .max_words = HF_CLI_ANY_WORDS,
    .run = unlist,
};
