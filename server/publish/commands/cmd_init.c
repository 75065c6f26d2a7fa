/* holdfastctl init: keys for every role and an empty repository that they sign. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "server/publish/commands/rollout_key.h"
#include "server/repository/compose.h"
#include "server/repository/keys/key_seal.h"
#include "server/repository/keys/signer.h"
#include "server/repository/key_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOT "metadata/1.root.json"

/* What init makes; freed in one place. */
struct init {
    const struct hf_ctl_options *o;
    int64_t now_s;
    struct hf_expiry expiry;
    int64_t counts[HF_TOP_ROLES];     /* of keys, also of given ones */
    const char **given[HF_TOP_ROLES]; /* --key; owned lists; NULL: keys are made */
    struct hf_key_set set;
    struct hf_root_plan plan;                   /* the keys, and the thresholds */
    char *uris[HF_TOP_ROLES][HF_ROLE_KEYS_MAX]; /* owned; of given keys in tokens */
    json_t *rollout_keys;                       /* owned; public parts, by name of their set */
    struct hf_undo undo;
};

/* ---- what is asked for ----------------------------------------------------------------------- */

/* --key ROLE=KEY: a role with given keys gets no new ones. */
static enum hf_err sort_given(struct init *m, struct hf_why *why)
{
    char *const *texts = m->o->extra_keys;
    size_t n[HF_TOP_ROLES] = {0}, n_all = 0;
    while (texts != NULL && texts[n_all] != NULL)
        n_all++;
    for (size_t i = 0; i < n_all; i++) {
        size_t len = strcspn(texts[i], "=");
        enum hf_top_role role;
        if (!hf_ctl_find_role(texts[i], len, &role) || strlen(texts[i]) < len + 2)
            return hf_fail(why, HF_E_ARGUMENT,
                           "--key is ROLE=KEY with the role root, targets, snapshot or timestamp, "
                           "not %s",
                           texts[i]);
        if (m->given[role] == NULL)
            m->given[role] = calloc(n_all + 1, sizeof *m->given[role]);
        if (m->given[role] == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
        m->given[role][n[role]++] = texts[i] + len + 1;
    }
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
        /* 1 is also the value without the option. */
        if (n[role] > 0 && m->counts[role] != 1 && m->counts[role] != (int64_t)n[role])
            return hf_fail(why, HF_E_ARGUMENT,
                           "--key gives %zu %s key(s), but %" PRId64
                           " are asked for; give all keys of a role, or none",
                           n[role], hf_top_role_name(role), m->counts[role]);
        if (n[role] > 0)
            m->counts[role] = (int64_t)n[role];
    }
    return HF_OK;
}

static enum hf_err check_counts(const struct init *m, struct hf_why *why)
{
    for (enum hf_top_role i = 0; i < HF_TOP_ROLES; i++) {
        const char *role = hf_top_role_name(i);
        int64_t n = m->counts[i], threshold = m->plan.thresholds[i];
        if (n < 1 || n > HF_ROLE_KEYS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "a role has 1 to %d keys, not %" PRId64 " (%s)",
                           HF_ROLE_KEYS_MAX, n, role);
        if (threshold < 1 || threshold > n)
            return hf_fail(why, HF_E_ARGUMENT,
                           "a threshold of %" PRId64 " cannot be met by %" PRId64 " %s key(s)",
                           threshold, n, role);
    }
    for (size_t i = 0; m->o->rollouts != NULL && m->o->rollouts[i] != NULL; i++) {
        if (!hf_set_name_is_valid(m->o->rollouts[i]))
            return hf_fail(why, HF_E_ARGUMENT, "--rollout: \"%.80s\" is no name of a set",
                           m->o->rollouts[i]);
        if (i == HF_ROLLOUT_ROLES_MAX)
            return hf_fail(why, HF_E_LIMIT, "a repository has rollouts of %d sets at most",
                           HF_ROLLOUT_ROLES_MAX);
    }
    return hf_expiry_check(&m->expiry, why);
}

/* ---- folders --------------------------------------------------------------------------------- */

/* Everything in the repository is served to everyone. */
static enum hf_err refuse_keys_in_repo(const char *repo, const char *keys, struct hf_why *why)
{
    char *real_repo = realpath(repo, NULL);
    char *real_keys = realpath(keys, NULL);
    enum hf_err err = HF_OK;
    if (real_repo == NULL || real_keys == NULL) {
        err = hf_fail(why, HF_E_STORAGE, "cannot resolve the paths %s and %s", repo, keys);
    } else {
        size_t len = strlen(real_repo);
        if (strncmp(real_keys, real_repo, len) == 0 && strchr("/", real_keys[len]) != NULL)
            err = hf_fail(why, HF_E_ARGUMENT,
                          "the keys must not be in the repository: %s is served to devices", repo);
    }
    free(real_repo);
    free(real_keys);
    return err;
}

static enum hf_err make_folders(struct init *m, struct hf_why *why)
{
    const char *repo = m->o->repo, *keys = m->o->keys;
    const struct {
        const char *dir, *name;
    } fresh[] = {{repo, "metadata"}, {repo, "targets"}, {keys, "offline"}, {keys, "online"}};
    struct hf_path path;
    for (size_t i = 0; i < sizeof fresh / sizeof fresh[0]; i++) {
        HF_TRY(hf_path_set(&path, why, "%s/%s", fresh[i].dir, fresh[i].name));
        if (hf_file_exists(path.text))
            return hf_fail(why, HF_E_STATE,
                           "%s exists already; init never overwrites, choose another folder",
                           path.text);
    }
    HF_TRY(hf_undo_make_folder(&m->undo, repo, 0755, why));
    HF_TRY(hf_undo_make_folder(&m->undo, keys, 0700, why));
    return refuse_keys_in_repo(repo, keys, why);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Opens all given keys, in their order, and notes the URIs of those in tokens. */
static bool note_and_want(void *context, const struct hf_key_file *file)
{
    char ***next = context;
    if (file->uri != NULL)
        **next = strdup(file->uri);
    (*next)++;
    return true;
}

static enum hf_err open_given(struct init *m, enum hf_top_role role, struct hf_why *why)
{
    const char *passphrase_file = m->o->given_passphrase_file;
    char **next = m->uris[role];
    const struct hf_key_choice all = {note_and_want, &next};
    struct hf_key_set holder;
    if (passphrase_file == NULL)
        passphrase_file = m->set.folders[hf_key_location_of(role)].passphrase_file;
    HF_TRY(hf_key_set_init_holder(&holder, NULL, NULL, why));
    /* So that the PIN of a token is asked for once. */
    holder.tokens = m->set.tokens;
    enum hf_err err = hf_key_set_add_extra(&holder, m->given[role], passphrase_file, why);
    if (err == HF_OK)
        err = hf_key_set_open_chosen(&holder, HF_KEYS_OFFLINE, &all, &m->plan.keys[role], why);
    m->set.tokens = holder.tokens;
    holder.tokens = NULL;
    hf_key_set_free(&holder);
    return err;
}

static enum hf_err collect_keys(struct init *m, struct hf_why *why)
{
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
        struct hf_signers *keys = &m->plan.keys[role];
        size_t n = (size_t)m->counts[role];
        if (m->given[role] != NULL) {
            HF_TRY(open_given(m, role, why));
            continue;
        }
        keys->keys = calloc(n, sizeof *keys->keys);
        if (keys->keys == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
        for (; keys->n_keys < n; keys->n_keys++)
            HF_TRY(hf_signing_key_make(NULL, &keys->keys[keys->n_keys], why));
    }
    return HF_OK;
}

/* Write the key files, encrypted keys or references to their tokens, and the periods. */
static enum hf_err write_keys(struct init *m, enum hf_key_location location,
                              const struct hf_key_seal *seal, struct hf_why *why)
{
    const struct hf_key_folder *folder = &m->set.folders[location];
    struct hf_path path;
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
        bool is_here = hf_key_location_of(role) == location;
        for (size_t i = 0; i < m->plan.keys[role].n_keys && is_here; i++) {
            const struct hf_signing_key *key = &m->plan.keys[role].keys[i];
            const char *uri = m->uris[role][i];
            struct hf_token_public found = {0};
            HF_TRY(hf_path_set(&path, why, "%s/%s-%zu" HF_KEY_FILE_SUFFIX, folder->path.text,
                               hf_top_role_name(role), i + 1));
            if (key->token == NULL) {
                HF_TRY(hf_key_file_create(path.text, key, &seal->kdf, seal->wrap_key, why));
            } else if (uri == NULL) {
                return hf_fail(why, HF_E_MEMORY, "out of memory for a key in a token");
            } else {
                HF_TRY(hf_token_read_public(&m->set.tokens, uri, &found, why));
                enum hf_err err = hf_key_file_create_reference(path.text, &found, uri, why);
                hf_token_public_free(&found);
                HF_TRY(err);
            }
            HF_TRY(hf_undo_note(&m->undo, path.text, why));
        }
    }
    HF_TRY(hf_expiry_create(folder, location, &m->expiry, why));
    HF_TRY(hf_path_set(&path, why, "%s/expiry.json", folder->path.text));
    return hf_undo_note(&m->undo, path.text, why);
}

/* --rollout: each key once, also for a set that is named twice. */
static enum hf_err write_rollout_keys(struct init *m, const struct hf_key_seal *seal,
                                      struct hf_why *why)
{
    const char *folder = m->set.folders[HF_KEYS_ONLINE].path.text;
    m->rollout_keys = json_object();
    for (size_t i = 0; m->o->rollouts != NULL && m->o->rollouts[i] != NULL; i++) {
        const char *set = m->o->rollouts[i];
        json_t *key = NULL;
        if (json_object_get(m->rollout_keys, set) != NULL)
            continue;
        HF_TRY(hf_rollout_key_make(folder, set, seal, &m->undo, &key, why));
        if (json_object_set_new(m->rollout_keys, set, key) != 0)
            return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
    }
    return HF_OK;
}

static enum hf_err make_keys(struct init *m, struct hf_why *why)
{
    struct hf_key_seal seals[HF_KEY_LOCATIONS] = {0};
    enum hf_err err = collect_keys(m, why);
    for (enum hf_key_location i = 0; i < HF_KEY_LOCATIONS && err == HF_OK; i++) {
        const struct hf_key_folder *folder = &m->set.folders[i];
        bool has_seeds = i == HF_KEYS_ONLINE &&
                         m->o->rollouts !=
                             NULL; /* if every key is in a token, there is no passphrase */
        for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
            const struct hf_signers *keys = &m->plan.keys[role];
            for (size_t k = 0; k < keys->n_keys; k++)
                has_seeds = has_seeds ||
                            (hf_key_location_of(role) == i && keys->keys[k].token == NULL);
        }
        err = hf_undo_make_folder(&m->undo, folder->path.text, 0700, why);
        if (err == HF_OK && has_seeds && !m->o->is_insecure)
            err = hf_key_seal_prepare(folder->path.text, folder->passphrase_file, &seals[i], why);
    }
    for (enum hf_key_location i = 0; i < HF_KEY_LOCATIONS && err == HF_OK; i++)
        err = write_keys(m, i, &seals[i], why);
    if (err == HF_OK)
        err = write_rollout_keys(m, &seals[HF_KEYS_ONLINE], why);
    for (enum hf_key_location i = 0; i < HF_KEY_LOCATIONS; i++)
        hf_key_seal_free(&seals[i]);
    return err;
}

/* ---- the first metadata ---------------------------------------------------------------------- */

/* Sign with every key, not only with as many as the threshold needs, so that a key that cannot sign
 * is found now. Takes the composed signed part; the file is staged, and borrowed in `file`. */
static enum hf_err sign_take(struct init *m, struct hf_repo *repo, enum hf_top_role role,
                             json_t *signed_part, struct hf_bytes *file, struct hf_why *why)
{
    const struct hf_signers *signers = &m->plan.keys[role];
    struct hf_buf bytes = {0};
    struct hf_path path;
    enum hf_err err = hf_repo_role_path(role, 1, true, &path, why);
    if (err == HF_OK)
        err = hf_signer_sign(signed_part, signers->keys, signers->n_keys, &bytes, why);
    json_decref(signed_part);
    if (err != HF_OK) {
        hf_buf_free(&bytes);
        return err;
    }
    HF_TRY(hf_repo_stage_take(repo, path.text, &bytes, why));
    *file = hf_buf_bytes(&repo->staged[repo->n_staged - 1].bytes);
    return HF_OK;
}

/* The stages of rollouts to their keys. `targets` is taken on failure only. */
static enum hf_err delegate_take(struct init *m, json_t *targets, struct hf_why *why)
{
    const char *set;
    json_t *key;
    json_object_foreach(m->rollout_keys, set, key)
    {
        enum hf_err err = hf_compose_delegate_rollout(targets, set, key, why);
        if (err != HF_OK) {
            json_decref(targets);
            return err;
        }
    }
    return HF_OK;
}

static enum hf_err stage_metadata(struct init *m, struct hf_repo *repo, struct hf_why *why)
{
    struct hf_signing of[HF_TOP_ROLES];
    json_t *part = NULL;
    struct hf_bytes file = {0};
    for (enum hf_top_role i = 0; i < HF_TOP_ROLES; i++)
        of[i] = (struct hf_signing){1, hf_expiry_of(&m->expiry, i, m->now_s),
                                    i == HF_ROLE_ROOT || i == HF_ROLE_TARGETS ? m->now_s
                                                                              : HF_TIME_NONE};
    HF_TRY(hf_compose_root(&m->plan, &of[HF_ROLE_ROOT], &part, why));
    HF_TRY(sign_take(m, repo, HF_ROLE_ROOT, part, &file, why));
    HF_TRY(hf_compose_targets(NULL, &of[HF_ROLE_TARGETS], &part, why));
    HF_TRY(delegate_take(m, part, why));
    HF_TRY(sign_take(m, repo, HF_ROLE_TARGETS, part, &file, why));
    HF_TRY(hf_compose_snapshot(NULL, &of[HF_ROLE_SNAPSHOT], 1, file, &part, why));
    HF_TRY(sign_take(m, repo, HF_ROLE_SNAPSHOT, part, &file, why));
    HF_TRY(hf_compose_timestamp(&of[HF_ROLE_TIMESTAMP], 1, file, &part, why));
    return sign_take(m, repo, HF_ROLE_TIMESTAMP, part, &file, why);
}

static enum hf_err write_metadata(struct init *m, struct hf_why *why)
{
    struct hf_repo repo = {.dir = m->o->repo};
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/targets", repo.dir));
    HF_TRY(hf_undo_make_folder(&m->undo, path.text, 0755, why));
    HF_TRY(hf_path_set(&path, why, "%s/metadata", repo.dir));
    HF_TRY(hf_undo_make_folder(&m->undo, path.text, 0755, why));
    enum hf_err err = stage_metadata(m, &repo, why);
    /* The root that the keys trust is beside them, in both folders. */
    for (enum hf_key_location i = 0; i < HF_KEY_LOCATIONS && err == HF_OK; i++)
        err = hf_trusted_root_create(&m->set.folders[i], &repo, &m->undo, why);
    /* Noted before they are written: removing a file that does not exist does no harm. */
    for (size_t i = 0; i < repo.n_staged && err == HF_OK; i++) {
        err = hf_path_set(&path, why, "%s/%s", repo.dir, repo.staged[i].path);
        if (err == HF_OK)
            err = hf_undo_note(&m->undo, path.text, why);
    }
    if (err == HF_OK)
        err = hf_repo_write(&repo, m->now_s, NULL, why);
    hf_repo_unstage(&repo);
    return err;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void print_text(const struct hf_ctl_options *o, const struct hf_root *root)
{
    const struct hf_role *of_root = &root->roles[HF_ROLE_ROOT];
    const struct hf_role *of_targets = &root->roles[HF_ROLE_TARGETS];
    printf("made an empty repository in %s and its keys in %s\n\n", o->repo, o->keys);
    printf("  offline/  root %" PRId64 " of %zu, targets %" PRId64
           " of %zu: move it to a machine without a\n"
           "            network, keep a copy elsewhere, bring it back to sign bundles\n"
           "  online/   snapshot, timestamp: for the machine that runs holdfastctl refresh daily\n",
           of_root->threshold, of_root->n_key_ids, of_targets->threshold, of_targets->n_key_ids);
    if (o->is_insecure)
        puts("\nThe keys are not encrypted: they were made with --insecure-no-passphrase, for "
             "tests only");
    printf("\n%s/" FIRST_ROOT " is what devices start from.\n"
           "Next: holdfastctl bundle add --repo %s --keys %s --set NAME --profile full CERT…\n",
           o->repo, o->repo, o->keys);
}

static enum hf_err print_json(const struct hf_ctl_options *o, const struct hf_root *root,
                              struct hf_bytes file, struct hf_why *why)
{
    char sha256[HF_SHA256_HEX_LEN];
    json_t *roles = json_object();
    for (enum hf_top_role i = 0; i < HF_TOP_ROLES; i++) {
        const struct hf_role *role = &root->roles[i];
        json_t *ids = hf_json_texts((const char *const *)role->key_ids, role->n_key_ids);
        roles = hf_json_set_take(roles, hf_top_role_name(i),
                                 json_pack("{s:I, s:o}", "threshold", (json_int_t)role->threshold,
                                           "key_ids", ids));
    }
    hf_sha256_hex(file, sha256);
    return hf_json_print_take(json_pack("{s:i, s:o, s:o, s:b, s:{s:s, s:s, s:o}, s:o}", "format", 1,
                                        "repo", hf_json_plain(o->repo), "keys",
                                        hf_json_plain(o->keys), "insecure", o->is_insecure, "root",
                                        "path", FIRST_ROOT, "sha256", sha256, "expires",
                                        hf_json_time(root->env.expires_s), "roles", roles),
                              stdout, why);
}

/* Report what the first root metadata on disk says. */
static enum hf_err report(const struct hf_ctl_options *o, struct hf_why *why)
{
    struct hf_root root = {0};
    struct hf_buf file = {0};
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/" FIRST_ROOT, o->repo));
    enum hf_err err = hf_file_read_any(path.text, HF_ROOT_BYTES_MAX, &file, why);
    if (err == HF_OK)
        err = hf_root_parse(hf_buf_bytes(&file), &root, why);
    if (err == HF_OK && o->is_json)
        err = print_json(o, &root, hf_buf_bytes(&file), why);
    else if (err == HF_OK)
        print_text(o, &root);
    hf_root_free(&root);
    hf_buf_free(&file);
    return err;
}

/* ---- the command ----------------------------------------------------------------------------- */

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct init m = {
        .o = o,
        .now_s = hf_ctl_now_s(),
        .counts = {1, 1, 1, 1},
        .plan = {.thresholds = {1, 1, 1, 1}},
        .expiry = {.days = {[HF_ROLE_ROOT] = o->days_root,
                            [HF_ROLE_TARGETS] = o->days_targets,
                            [HF_ROLE_SNAPSHOT] = o->days_snapshot,
                            [HF_ROLE_TIMESTAMP] = o->days_timestamp}},
    };
    m.counts[HF_ROLE_ROOT] = o->root_keys;
    m.counts[HF_ROLE_TARGETS] = o->targets_keys;
    m.plan.thresholds[HF_ROLE_ROOT] = o->root_threshold;
    m.plan.thresholds[HF_ROLE_TARGETS] = o->targets_threshold;
    if (o->is_insecure && (o->passphrase_file != NULL || o->online_passphrase_file != NULL))
        return hf_cli_usage(call, "give a passphrase file or --insecure-no-passphrase, not both");
    const char *online = o->online_passphrase_file;
    enum hf_err err = sort_given(&m, why);
    if (err == HF_OK)
        err = check_counts(&m, why);
    if (err == HF_OK)
        err = hf_key_set_init(&m.set, o->keys, o->passphrase_file,
                              online == NULL ? o->passphrase_file : online, why);
    if (err == HF_OK)
        err = make_folders(&m, why);
    if (err == HF_OK)
        err = make_keys(&m, why);
    if (err == HF_OK)
        err = write_metadata(&m, why);
    if (err == HF_OK)
        hf_undo_free(&m.undo);
    else
        hf_undo_run(&m.undo);
    for (enum hf_top_role role = 0; role < HF_TOP_ROLES; role++) {
        hf_signers_free(&m.plan.keys[role]);
        free(m.given[role]);
        for (size_t i = 0; i < HF_ROLE_KEYS_MAX; i++)
            free(m.uris[role][i]);
    }
    json_decref(m.rollout_keys);
    hf_key_set_free(&m.set);
    return err == HF_OK ? report(o, why) : err;
}

/* Without limits: check_counts and hf_expiry_check have them, for given keys and expiry.json
 * too. */
#define NUMBER(name, member, number, about, value)                                                 \
    HF_CTL_NUMBER(name, member, number, 0, 0, about, value)

static const struct hf_cli_option options[] = {
    HF_CTL_REPO,
    HF_CTL_KEYS,
    NUMBER("root-keys", root_keys, 1, "how many root keys", "N"),
    NUMBER("root-threshold", root_threshold, 1, "how many of them must sign", "M"),
    NUMBER("targets-keys", targets_keys, 1, "how many targets keys", "N"),
    NUMBER("targets-threshold", targets_threshold, 1, "how many of them must sign", "M"),
    NUMBER("expires-root", days_root, HF_EXPIRY_ROOT_DAYS, "how long root metadata lasts", "DAYS"),
    NUMBER("expires-targets", days_targets, HF_EXPIRY_TARGETS_DAYS,
           "how long targets metadata lasts", "DAYS"),
    NUMBER("expires-snapshot", days_snapshot, HF_EXPIRY_SNAPSHOT_DAYS, "how long a snapshot lasts",
           "DAYS"),
    NUMBER("expires-timestamp", days_timestamp, HF_EXPIRY_TIMESTAMP_DAYS,
           "how long a timestamp lasts", "DAYS"),
    HF_CTL_LIST("key", extra_keys,
                "the role has this key, a file or a PKCS#11 URI, and none is made for it; once for "
                "each",
                "ROLE=KEY"),
    HF_CTL_LIST("rollout", rollouts,
                "make an online key for the stages of this set's rollouts; once for each set",
                "SET"),
    HF_CTL_TEXT("key-passphrase-file", given_passphrase_file,
                "its first line unlocks the files of --key, if theirs is another", "FILE"),
    HF_CTL_PASSPHRASE,
    HF_CTL_ONLINE_PASSPHRASE,
    HF_CTL_INSECURE,
    HF_CTL_REPORT("init-report")};

const struct hf_cli_command hf_cmd_init = {
    .name = "init",
    .summary = "Make keys for every role and an empty repository that they sign.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .about =
        "KEYS/offline gets the keys of root (they authorise all other keys) and targets (they\n"
        "sign bundles); move it to a machine without a network. KEYS/online gets the keys of\n"
        "snapshot and timestamp, which a timer uses daily. Each folder has its own passphrase (or\n"
        "that of --passphrase-file for both). The periods are stored in expiry.json beside the\n"
        "keys. Nothing is overwritten, and on failure nothing is left behind.\n\n"
        "--key gives a role an existing key. Devices ship with the first root, so if hardware is\n"
        "to hold root keys, use it from the first day. For a key in a token (smart card, HSM)\n"
        "KEYS gets a file that refers to it. The PIN is asked for, or read from the URI's\n"
        "pin-source. A key in a file is imported: opened with --key-passphrase-file, or\n"
        "--passphrase-file, or a passphrase that is asked for, and encrypted like the other keys.\n"
        "Every key signs once.\n\n"
        "--rollout lets bundles of a set reach devices in stages (bundle add --plan). For a\n"
        "repository that exists already, use rollout delegate.",
    .examples = "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys\n"
                "  holdfastctl init --repo /srv/roots --keys /media/stick \\\n"
                "      --root-keys 3 --root-threshold 2 --targets-keys 2 --targets-threshold 2\n"
                "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --key 'root=pkcs11:token=alice;object=root' \\\n"
                "      --key 'root=pkcs11:token=bob;object=root' --root-threshold 2\n"
                "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys --json | jq .root\n",
    .options = options,
    .needs = {"--repo", "--keys"},
    .run = run,
};
