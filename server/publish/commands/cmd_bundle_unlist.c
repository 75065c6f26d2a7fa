/* holdfastctl bundle unlist: remove versions from the list of a set. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/bundle/catalog.h"
#include "server/repository/drafts/targets_release.h"

#include <inttypes.h>

struct unlisting {
    const struct hf_ctl_options *o;
    struct hf_publication p;
    struct hf_catalog catalog;
    const struct hf_repo_bundle *newest;
    json_t *targets;  /* the new targets metadata */
    json_t *unlisted; /* for the report */
};

static enum hf_err unlist_named(struct unlisting *u, const char *text, struct hf_why *why)
{
    const struct hf_repo_bundle *b = NULL;
    int64_t version = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9' && version <= HF_JSON_INTEGER_MAX / 10; i++)
        version = version * 10 + (text[i] - '0');
    if (text[i] != '\0' || text[0] == '0' || version < 1 || version > HF_JSON_INTEGER_MAX)
        return hf_fail(why, HF_E_ARGUMENT, "a version is a number above 0, not \"%.80s\"", text);
    enum hf_err err = hf_catalog_find(&u->catalog, u->o->set, u->o->profile, version, &b, why);
    if (err == HF_E_NOT_FOUND && version < u->newest->description.version)
        return HF_OK; /* unlisted by an earlier run */
    HF_TRY(err);
    /* Without it devices would find no bundle of their set, and the next version would be 1 again,
     * below theirs. */
    if (b == u->newest)
        return hf_fail(why, HF_E_POLICY,
                       "%s is the newest of its line, from which devices and later versions count; "
                       "publish its successor first",
                       b->target->path);
    /* Named twice: it is unlisted already. */
    if (json_object_get(json_object_get(u->targets, "targets"), b->target->path) == NULL)
        return HF_OK;
    return hf_targets_unlist(u->targets, b, u->unlisted, why);
}

/* All but the newest --keep versions. */
static enum hf_err unlist_old(struct unlisting *u, struct hf_why *why)
{
    const struct hf_repo_bundles *all = &u->catalog.bundles;
    for (size_t i = 0; i < all->n_items; i++) {
        const struct hf_repo_bundle *b = &all->items[i];
        long long n_newer = 0;
        if (!hf_catalog_is_of(b, u->o->set, u->o->profile))
            continue;
        for (size_t k = 0; k < all->n_items; k++)
            n_newer += hf_catalog_is_of(&all->items[k], u->o->set, u->o->profile) &&
                       all->items[k].description.version > b->description.version;
        if (n_newer >= u->o->keep)
            HF_TRY(hf_targets_unlist(u->targets, b, u->unlisted, why));
    }
    return HF_OK;
}

static enum hf_err report(const struct unlisting *u, bool is_published, struct hf_why *why)
{
    int64_t version = json_integer_value(json_object_get(u->targets, "version"));
    bool is_unchanged = json_array_size(u->unlisted) == 0;
    size_t index;
    json_t *entry;
    if (u->o->is_json) {
        const char *signed_outcome = is_published ? "published" : "waiting";
        struct hf_publish_report report = {
            .outcome = is_unchanged          ? "unchanged"
                       : u->o->draft != NULL ? "drafted"
                                             : signed_outcome,
            .draft_file = is_unchanged ? NULL : u->o->draft,
            .unlisted = json_incref(u->unlisted),
        };
        hf_publish_report_note(&report, &u->p);
        if (!is_unchanged)
            report.versions[HF_ROLE_TARGETS] = version;
        return hf_publish_report_print_take(&report, stdout, why);
    }
    json_array_foreach(u->unlisted, index, entry)
    {
        printf("  unlisted: %s; devices that have it keep it until they install version %" PRId64
               "; no other device installs it\n",
               json_string_value(json_object_get(entry, "path")), u->newest->description.version);
    }
    if (is_unchanged)
        printf("nothing to unlist: the list of %s/%s has none of these versions any more\n",
               u->o->set, u->o->profile);
    else if (u->o->draft != NULL)
        hf_targets_print_drafted(version, u->o->draft);
    else if (is_published)
        printf("published: targets %" PRId64 "\n", version);
    else
        printf("signed, not published: targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               version, u->o->repo, u->o->keys);
    return HF_OK;
}

static enum hf_err unlist_and_release(struct unlisting *u, const char *const *versions,
                                      struct hf_why *why)
{
    const struct hf_ctl_options *o = u->o;
    bool is_published = false;
    if (o->draft == NULL)
        HF_TRY(hf_key_set_find(u->p.keys, u->p.set.root, HF_ROLE_TARGETS, why));
    HF_TRY(hf_catalog_load(&u->p.repo, &u->p.set, &u->catalog, why));
    HF_TRY(hf_catalog_check_has(&u->catalog, o->set, o->profile, why));
    u->newest = hf_repo_bundles_newest(&u->catalog.bundles, o->set, o->profile);
    HF_TRY(hf_targets_next(&u->p, u->catalog.targets, &u->targets, why));
    if (o->keep > 0)
        HF_TRY(unlist_old(u, why));
    for (size_t i = 0; versions != NULL && versions[i] != NULL; i++)
        HF_TRY(unlist_named(u, versions[i], why));
    if (json_array_size(u->unlisted) > 0)
        HF_TRY(hf_targets_release(&u->p, u->catalog.targets, u->targets, o->draft, &is_published,
                                  why));
    return report(u, is_published, why);
}

static enum hf_err unlist(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct unlisting u = {.o = o};
    if ((call->words == NULL) == (o->keep == 0))
        return hf_cli_usage(call, "name the versions to unlist, or give --keep N");
    const struct hf_publication_context at = hf_ctl_targets_publication(o);
    HF_TRY(hf_publication_open(&at, &u.p, why));
    u.unlisted = json_array();
    enum hf_err err = unlist_and_release(&u, call->words, why);
    hf_catalog_free(&u.catalog);
    hf_publication_close(&u.p);
    json_decref(u.targets);
    json_decref(u.unlisted);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     HF_CTL_SET,
     HF_CTL_PROFILE,
     HF_CTL_NUMBER("keep", keep, 0, 1, HF_KEEP_MAX,
                   "instead of naming versions: all but the newest N", "N"),
     HF_CTL_DRAFT,
     HF_CTL_SIGNING,
     HF_CTL_REPORT("publish-report")};

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
        "withdraw it, publish its successor first. If none of the versions is listed any more,\n"
        "nothing is published and the exit code is 0. The file stays on disk until `mirror` "
        "removes\n"
        "it. Without the keys in KEYS/online the change waits for holdfastctl publish.",
    .examples = "  holdfastctl bundle unlist --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full 7\n"
                "  holdfastctl bundle unlist --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --set amazon-iot --profile full --keep 2\n",
    .options = options,
    .needs = {"--repo", "--keys", "--set", "--profile"},
    .max_words = HF_CLI_ANY_WORDS,
    .run = unlist,
};
