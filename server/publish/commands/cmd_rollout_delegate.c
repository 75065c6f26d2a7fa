/* holdfastctl rollout delegate: an online key for the stages of a set. */
#include "server/publish/commands/ctl.h"
#include "common/rollout/role.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/bundle/publish_report.h"
#include "server/publish/commands/rollout_key.h"
#include "server/repository/drafts/targets_release.h"

#include <inttypes.h>

enum hf_err hf_rollout_key_make(const char *folder, const char *set, const struct hf_key_seal *seal,
                                struct hf_undo *undo, json_t **public_key, struct hf_why *why)
{
    struct hf_signing_key key = {0};
    struct hf_path path;
    int n = 0;
    do {
        n++;
        HF_TRY(hf_path_set(&path, why, "%s/" HF_ROLLOUT_ROLE_PREFIX "%s-%d" HF_KEY_FILE_SUFFIX,
                           folder, set, n));
    } while (hf_file_exists(path.text));
    HF_TRY(hf_signing_key_make(NULL, &key, why));
    enum hf_err err = hf_key_file_create(path.text, &key, &seal->kdf, seal->wrap_key, why);
    if (err == HF_OK)
        err = hf_undo_note(undo, path.text, why);
    if (err == HF_OK)
        *public_key = json_incref(key.public_key);
    hf_signing_key_free(&key);
    return err;
}

struct delegating {
    const struct hf_ctl_options *o;
    const char *set;
    json_t *public_key; /* owned */
    struct hf_undo undo;
    struct hf_publication p;
    struct hf_catalog catalog;
    json_t *targets; /* owned; the new ones */
};

/* The key that is named, or a new one in KEYS/online, before the keys there are listed. */
static enum hf_err get_key(struct delegating *g, struct hf_why *why)
{
    const struct hf_ctl_options *o = g->o;
    struct hf_public_key named = {0};
    struct hf_key_seal seal = {0};
    struct hf_path folder;
    if (o->online_key != NULL) {
        HF_TRY(hf_public_key_find(o->online_key, &named, why));
        g->public_key = json_incref(named.json);
        hf_public_key_free(&named);
        return HF_OK;
    }
    HF_TRY(hf_path_set(&folder, why, "%s/online", o->keys));
    if (hf_file_is_absent(folder.text))
        return hf_fail(why, HF_E_NOT_FOUND,
                       "there is no folder %s to make a key in; make one where the online keys are "
                       "(key generate --public FILE) and give --online-key FILE",
                       folder.text);
    enum hf_err err = HF_OK;
    if (!o->is_insecure)
        err = hf_key_seal_prepare(folder.text,
                                  o->online_passphrase_file != NULL ? o->online_passphrase_file
                                                                    : o->passphrase_file,
                                  &seal, why);
    if (err != HF_OK)
        err = hf_fail_context(why, "the new key of " HF_ROLLOUT_ROLE_PREFIX "%s", g->set);
    if (err == HF_OK)
        err = hf_rollout_key_make(folder.text, g->set, &seal, &g->undo, &g->public_key, why);
    hf_key_seal_free(&seal);
    return err;
}

static enum hf_err report(const struct delegating *g, bool is_published, struct hf_why *why)
{
    const struct hf_ctl_options *o = g->o;
    const int64_t version = json_integer_value(json_object_get(g->targets, "version"));
    if (o->is_json) {
        const char *signed_outcome = is_published ? "published" : "waiting";
        struct hf_publish_report report = {.outcome = o->draft != NULL ? "drafted" : signed_outcome,
                                           .draft_file = o->draft};
        hf_publish_report_note(&report, &g->p);
        report.versions[HF_ROLE_TARGETS] = version;
        return hf_publish_report_print_take(&report, stdout, why);
    }
    if (g->undo.n_paths > 0)
        printf("made the key %s\n", g->undo.paths[0]);
    if (o->draft != NULL)
        hf_targets_print_drafted(version, o->draft);
    else if (is_published)
        printf("published: targets %" PRId64 " delegate the stages of %s to it\n", version, g->set);
    else
        printf("signed, not published: targets %" PRId64
               "; where the online keys are, run holdfastctl publish --repo %s --keys %s\n",
               version, o->repo, o->keys);
    return HF_OK;
}

static enum hf_err delegate(struct delegating *g, bool *is_published, struct hf_why *why)
{
    const struct hf_ctl_options *o = g->o;
    char role[HF_ROLLOUT_ROLE_SIZE];
    hf_rollout_role_name(g->set, role);
    if (o->draft == NULL)
        HF_TRY(hf_key_set_find(g->p.keys, g->p.set.root, HF_ROLE_TARGETS, why));
    HF_TRY(hf_catalog_load(&g->p.repo, &g->p.set, &g->catalog, why));
    if (!o->is_new)
        HF_TRY(hf_bundle_check_begin(&g->catalog.bundles, g->set, "full", false, why));
    if (hf_rollout_delegation(g->catalog.targets, role) != NULL && o->online_key == NULL)
        return hf_fail(why, HF_E_STATE,
                       "targets delegate to %s already; to change its key, name the new one with "
                       "--online-key",
                       role);
    HF_TRY(hf_targets_next(&g->p, g->catalog.targets, &g->targets, why));
    HF_TRY(hf_compose_delegate_rollout(g->targets, g->set, g->public_key, why));
    return hf_targets_release(&g->p, g->catalog.targets, g->targets, o->draft, is_published, why);
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct delegating g = {.o = o, .set = call->words[0], .p.lock = -1};
    bool is_published = false;
    if (!hf_set_name_is_valid(g.set))
        return hf_cli_usage(call, "\"%.80s\" is no name of a set", g.set);
    if (o->draft != NULL && o->extra_keys != NULL)
        return hf_cli_usage(call, "--draft signs nothing; give --key to targets sign");
    const struct hf_publication_context at = hf_ctl_targets_publication(o);
    enum hf_err err = get_key(&g, why);
    if (err == HF_OK)
        err = hf_publication_open(&at, &g.p, why);
    if (err == HF_OK)
        err = delegate(&g, &is_published, why);
    if (err == HF_OK) { /* the key is in use: no report that fails takes it away */
        err = report(&g, is_published, why);
        hf_undo_free(&g.undo);
    } else {
        hf_undo_run(&g.undo);
    }
    hf_catalog_free(&g.catalog);
    hf_publication_close(&g.p);
    json_decref(g.targets);
    json_decref(g.public_key);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     HF_CTL_KEY,
     HF_CTL_TEXT("online-key", online_key,
                 "the key of the stages: a key file, its public part or a PKCS#11 URI (default: "
                 "make one in KEYS/online)",
                 "KEY"),
     HF_CTL_FLAG("new", is_new, "for a set that has no bundle yet"),
     HF_CTL_INSECURE,
     HF_CTL_DRAFT,
     HF_CTL_SIGNING,
     HF_CTL_REPORT("publish-report")};

const struct hf_cli_command hf_cmd_rollout_delegate = {
    .name = "rollout delegate",
    .summary = "Let an online key open the stages of a set's rollouts.",
    .arguments = "--repo DIR --keys DIR [OPTION…] SET",
    .about =
        "For a repository that was made without init --rollout SET. The targets keys sign a\n"
        "delegation to the role rollout-SET, which can only name the stage of bundles that\n"
        "targets list. A stolen key of that role can pause rollouts until the date from which\n"
        "the bundle is mandatory, and open stages as fast as the plan allows, not faster.\n\n"
        "A set that has no bundle, beside others that have, is treated as a typo; pass --new if\n"
        "its first bundle is still to come.\n\n"
        "To replace the key, make the new one first (key generate) and name it with\n"
        "--online-key. With --draft the holders of the targets keys sign.\n\n" HF_CTL_KEY_TEXT,
    .examples =
        "  holdfastctl rollout delegate --repo /srv/roots --keys ~/holdfast-keys amazon-iot\n"
        "  holdfastctl rollout delegate --repo /srv/roots --keys ~/holdfast-keys \\\n"
        "      --online-key rollout.pub --draft delegation.json amazon-iot\n",
    .options = options,
    .needs = {"--repo", "--keys"},
    .needs_word = "SET",
    .max_words = 1,
    .run = run,
};
