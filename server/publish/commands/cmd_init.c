/* holdfastctl init: keys for every role and an empty repository that they sign. */
#include "server/publish/commands/ctl.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/ceremony/key_make.h"
#include "common/os/file_util.h"
#include "server/repository/certs/select.h"
#include "server/repository/keys/signer.h"
#include "server/repository/trusted_root.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct init_options {
    struct hf_ctl_options o;
    long long root_keys, root_threshold, targets_keys, targets_threshold;
    long long days_root, days_targets, days_snapshot, days_timestamp;
    char *given_passphrase_file;
    bool is_insecure;
};

struct request {
    const struct hf_ctl_options *o;
    struct hf_key_plan plan;
    struct hf_expiry expiry;
    const char **given[HF_TOP_ROLES]; /* owned lists of borrowed names; NULL: none */
};

/* What was made, as the first root metadata says it. Borrowed. */
struct made {
    const char *repo_dir;
    const char *keys_dir;
    bool is_insecure; /* the keys lie open */
};

#define FIRST_ROOT "metadata/1.root.json"

/* ---- the report, for people ------------------------------------------------------------------------------- */

static void print_text(const struct made *made, const struct hf_root *root, FILE *out)
{
    const struct hf_role *of_root = &root->roles[HF_ROLE_ROOT];
    const struct hf_role *of_targets = &root->roles[HF_ROLE_TARGETS];
    fprintf(out, "made an empty repository in %s and its keys in %s\n\n", made->repo_dir,
            made->keys_dir);
    fprintf(
        out,
        "  offline/  root %" PRId64 " of %zu, targets %" PRId64
        " of %zu: move it to where no network reaches,\n"
        "            keep a copy elsewhere, bring it back to sign bundles\n"
        "  online/   snapshot, timestamp: for the machine that runs holdfastctl refresh daily\n",
        of_root->threshold, of_root->n_key_ids, of_targets->threshold, of_targets->n_key_ids);
    if (made->is_insecure)
        fputs("\nThe keys are not encrypted: they were made with --insecure-no-passphrase, for "
              "tests only\n",
              out);
    fprintf(out,
            "\n%s/" FIRST_ROOT " is what devices start from.\n"
            "Next: holdfastctl bundle add --repo %s --keys %s --set NAME --profile full CERT…\n",
            made->repo_dir, made->repo_dir, made->keys_dir);
}

/* ---- and for scripts ------------------------------------------------------------------------------ */

static json_t *role_json(const struct hf_role *role)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < role->n_key_ids; i++)
        ids = hf_json_append_take(ids, json_string(role->key_ids[i]));
    return json_pack("{s:I, s:o}", "threshold", (json_int_t)role->threshold, "key_ids", ids);
}

static json_t *roles_json(const struct hf_root *root)
{
    json_t *roles = json_object();
    int failures = roles == NULL;
    for (int role = 0; role < HF_TOP_ROLES; role++)
        failures += json_object_set_new(roles, hf_top_role_name((enum hf_top_role)role),
                                        role_json(&root->roles[role]));
    if (failures == 0)
        return roles;
    json_decref(roles);
    return NULL;
}

static json_t *to_json(const struct made *made, const struct hf_root *root, struct hf_bytes file)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(file, sha256);
    return json_pack("{s:i, s:s, s:s, s:b, s:{s:s, s:s, s:o}, s:o}", "format", 1, "repo",
                     made->repo_dir, "keys", made->keys_dir, "insecure", made->is_insecure, "root",
                     "path", FIRST_ROOT, "sha256", sha256, "expires",
                     hf_json_time(root->env.expires_s), "roles", roles_json(root));
}

static enum hf_err read_root(const char *repo_dir, struct hf_buf *file, struct hf_root *root,
                             struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/" FIRST_ROOT, repo_dir));
    HF_TRY(hf_file_read_any(path.text, HF_ROOT_BYTES_MAX, file, why));
    return hf_root_parse(hf_buf_bytes(file), root, why);
}

static enum hf_err report(const struct made *made, bool is_json, FILE *out, struct hf_why *why)
{
    struct hf_root root = {0};
    struct hf_buf file = {0};
    enum hf_err err = read_root(made->repo_dir, &file, &root, why);
    if (err == HF_OK && is_json)
        err = hf_json_print_take(to_json(made, &root, hf_buf_bytes(&file)), out, why);
    else if (err == HF_OK)
        print_text(made, &root, out);
    hf_root_free(&root);
    hf_buf_free(&file);
    return err;
}

/* ---- looking before making -------------------------------------------------------------------- */

static enum hf_err refuse_existing(const char *dir, const char *name, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/%s", dir, name));
    if (hf_file_exists(path.text))
        return hf_fail(why, HF_E_STATE,
                       "%s exists already; init never overwrites, choose another folder",
                       path.text);
    return HF_OK;
}

/* The repository is served to everyone: keys below it would be, too. */
static enum hf_err refuse_keys_in_repo(const char *repo, const char *keys, struct hf_why *why)
{
    char *real_repo = realpath(repo, NULL);
    char *real_keys = realpath(keys, NULL);
    enum hf_err err = HF_OK;
    if (real_repo == NULL || real_keys == NULL) {
        err = hf_fail(why, HF_E_STORAGE, "cannot find %s and %s again", repo, keys);
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

static enum hf_err make_places(const struct request *r, struct hf_undo *undo, struct hf_why *why)
{
    HF_TRY(refuse_existing(r->o->repo, "metadata", why));
    HF_TRY(refuse_existing(r->o->repo, "targets", why));
    HF_TRY(refuse_existing(r->o->keys, "offline", why));
    HF_TRY(refuse_existing(r->o->keys, "online", why));
    HF_TRY(hf_undo_make_folder(undo, r->o->repo, 0755, why));
    HF_TRY(hf_undo_make_folder(undo, r->o->keys, 0700, why));
    return refuse_keys_in_repo(r->o->repo, r->o->keys, why);
}

/* ---- the first metadata ----------------------------------------------------------------------- */

/* Takes the composed signed part; the file is staged, and borrowed in `file`. */
static enum hf_err sign_take(struct hf_repo *repo, enum hf_top_role role, json_t *signed_part,
                             const struct hf_signers *signers, struct hf_bytes *file,
                             struct hf_why *why)
{
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

/* Every key signs, not only as many as the threshold asks: a key that cannot is found today. */
static enum hf_err stage_metadata(struct hf_repo *repo, const struct hf_root_plan *plan,
                                  const struct hf_expiry *expiry, int64_t now_s, struct hf_why *why)
{
    const struct hf_signing root = {1, hf_expiry_of(expiry, HF_ROLE_ROOT, now_s), now_s};
    const struct hf_signing targets = {1, hf_expiry_of(expiry, HF_ROLE_TARGETS, now_s), now_s};
    const struct hf_signing snapshot = {1, hf_expiry_of(expiry, HF_ROLE_SNAPSHOT, now_s),
                                        HF_TIME_NONE};
    const struct hf_signing timestamp = {1, hf_expiry_of(expiry, HF_ROLE_TIMESTAMP, now_s),
                                         HF_TIME_NONE};
    json_t *part = NULL;
    struct hf_bytes file = {0};
    HF_TRY(hf_compose_root(plan, &root, &part, why));
    HF_TRY(sign_take(repo, HF_ROLE_ROOT, part, &plan->keys[HF_ROLE_ROOT], &file, why));
    HF_TRY(hf_compose_targets(NULL, &targets, &part, why));
    HF_TRY(sign_take(repo, HF_ROLE_TARGETS, part, &plan->keys[HF_ROLE_TARGETS], &file, why));
    HF_TRY(hf_compose_snapshot(NULL, &snapshot, 1, file, &part, why));
    HF_TRY(sign_take(repo, HF_ROLE_SNAPSHOT, part, &plan->keys[HF_ROLE_SNAPSHOT], &file, why));
    HF_TRY(hf_compose_timestamp(&timestamp, 1, file, &part, why));
    return sign_take(repo, HF_ROLE_TIMESTAMP, part, &plan->keys[HF_ROLE_TIMESTAMP], &file, why);
}

/* Noted before it is written: to remove a file that is not there does no harm. */
static enum hf_err note_file(const struct hf_repo *repo, const struct hf_repo_file *file,
                             struct hf_undo *undo, struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/%s", repo->dir, file->path));
    return hf_undo_note(undo, path.text, why);
}

/* What the keys know of their repository lies beside them, in both halves. */
static enum hf_err write_records(const struct hf_repo *repo, const struct hf_key_set *set,
                                 struct hf_undo *undo, struct hf_why *why)
{
    for (int location = 0; location < HF_KEY_LOCATIONS; location++)
        HF_TRY(hf_trusted_root_create(&set->folders[location], repo, undo, why));
    return HF_OK;
}

static enum hf_err write_metadata(const struct request *r, const struct hf_key_set *set,
                                  const struct hf_root_plan *plan, int64_t now_s,
                                  struct hf_undo *undo, struct hf_why *why)
{
    struct hf_repo repo = {.dir = r->o->repo};
    struct hf_path folder;
    HF_TRY(hf_path_set(&folder, why, "%s/targets", repo.dir));
    HF_TRY(hf_undo_make_folder(undo, folder.text, 0755, why));
    HF_TRY(hf_path_set(&folder, why, "%s/metadata", repo.dir));
    HF_TRY(hf_undo_make_folder(undo, folder.text, 0755, why));
    enum hf_err err = stage_metadata(&repo, plan, &r->expiry, now_s, why);
    if (err == HF_OK)
        err = write_records(&repo, set, undo, why);
    for (size_t i = 0; i < repo.n_staged && err == HF_OK; i++)
        err = note_file(&repo, &repo.staged[i], undo, why);
    if (err == HF_OK)
        err = hf_repo_write(&repo, now_s, why);
    hf_repo_unstage(&repo);
    return err;
}

/* ---- the command ------------------------------------------------------------------------------ */

static enum hf_err make_in(const struct request *r, struct hf_key_set *set, int64_t now_s,
                           struct hf_undo *undo, struct hf_why *why)
{
    struct hf_root_plan plan = {0};
    HF_TRY(make_places(r, undo, why));
    HF_TRY(hf_key_make(set, &r->plan, &r->expiry, undo, &plan, why));
    enum hf_err err = write_metadata(r, set, &plan, now_s, undo, why);
    hf_root_plan_free(&plan);
    return err;
}

static enum hf_err make_all(const struct request *r, struct hf_undo *undo, struct hf_why *why)
{
    struct hf_key_set set;
    const struct hf_publication_context at = hf_ctl_publication(r->o, HF_KEYS_OFFLINE);
    const char *online = at.online_passphrase_file;
    HF_TRY(hf_key_set_init(&set, at.keys_dir, at.passphrase_file,
                           online == NULL ? at.passphrase_file : online, why));
    enum hf_err err = make_in(r, &set, at.now_s, undo, why);
    hf_key_set_free(&set);
    return err;
}

static enum hf_err init(const struct request *r, struct hf_why *why)
{
    struct hf_undo undo = {0};
    HF_TRY(hf_key_plan_check(&r->plan, why));
    HF_TRY(hf_expiry_check(&r->expiry, why));
    enum hf_err err = make_all(r, &undo, why);
    if (err != HF_OK) {
        hf_undo_run(&undo);
        return err;
    }
    hf_undo_free(&undo);
    const struct made made = {r->o->repo, r->o->keys, r->plan.is_insecure};
    return report(&made, r->o->is_json, stdout, why);
}

/* ---- options ---------------------------------------------------------------------------------- */

/* ROLE=KEY; NULL for what begins with no role. */
static const char *split_role(const char *text, enum hf_top_role *role)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        const char *name = hf_top_role_name((enum hf_top_role)i);
        size_t len = strlen(name);
        *role = (enum hf_top_role)i;
        if (strncmp(text, name, len) == 0 && text[len] == '=' && text[len + 1] != '\0')
            return text + len + 1;
    }
    return NULL;
}

static enum hf_err sort_given(struct request *r, struct hf_why *why)
{
    size_t n[HF_TOP_ROLES] = {0}, n_all = 0;
    char **texts = r->o->extra_keys;
    while (texts != NULL && texts[n_all] != NULL)
        n_all++;
    for (size_t i = 0; i < n_all; i++) {
        enum hf_top_role role;
        const char *key = split_role(texts[i], &role);
        if (key == NULL)
            return hf_fail(why, HF_E_ARGUMENT,
                           "--key is ROLE=KEY with the role root, targets, snapshot or timestamp, "
                           "not %s",
                           texts[i]);
        if (r->given[role] == NULL)
            r->given[role] = calloc(n_all + 1, sizeof *r->given[role]);
        if (r->given[role] == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for keys");
        r->given[role][n[role]++] = key;
    }
    return HF_OK;
}

/* Given keys are counted; another count (1 is none said) would be a misunderstanding. */
static enum hf_err count_given(struct request *r, struct hf_why *why)
{
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        int64_t n = 0, asked = r->plan.counts[role];
        while (r->given[role] != NULL && r->given[role][n] != NULL)
            n++;
        if (n == 0)
            continue;
        if (asked != 1 && asked != n)
            return hf_fail(why, HF_E_ARGUMENT,
                           "%" PRId64 " %s key(s) are given and %" PRId64
                           " are asked for; where some are given, none is made",
                           n, hf_top_role_name((enum hf_top_role)role), asked);
        r->plan.counts[role] = n;
        r->plan.given[role] = r->given[role];
    }
    return HF_OK;
}

static void apply(const struct init_options *n, struct request *r)
{
    r->plan = (struct hf_key_plan){
        .counts = {[HF_ROLE_ROOT] = n->root_keys,
                   [HF_ROLE_TARGETS] = n->targets_keys,
                   [HF_ROLE_SNAPSHOT] = 1,
                   [HF_ROLE_TIMESTAMP] = 1},
        .thresholds = {[HF_ROLE_ROOT] = n->root_threshold,
                       [HF_ROLE_TARGETS] = n->targets_threshold,
                       [HF_ROLE_SNAPSHOT] = 1,
                       [HF_ROLE_TIMESTAMP] = 1},
        .is_insecure = n->is_insecure,
    };
    r->expiry = (struct hf_expiry){.days = {[HF_ROLE_ROOT] = n->days_root,
                                            [HF_ROLE_TARGETS] = n->days_targets,
                                            [HF_ROLE_SNAPSHOT] = n->days_snapshot,
                                            [HF_ROLE_TIMESTAMP] = n->days_timestamp}};
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct init_options *o = call->values;
    struct request r = {.o = &o->o};
    if (o->is_insecure && (o->o.passphrase_file != NULL || o->o.online_passphrase_file != NULL))
        return hf_cli_usage(call, "give a passphrase file or --insecure-no-passphrase, not both");
    apply(o, &r);
    enum hf_err err = sort_given(&r, why);
    if (err == HF_OK)
        err = count_given(&r, why);
    r.plan.given_passphrase_file = o->given_passphrase_file;
    if (err == HF_OK)
        err = init(&r, why);
    for (int role = 0; role < HF_TOP_ROLES; role++)
        free(r.given[role]);
    return err;
}

#define AT(member) offsetof(struct init_options, member)
#define NUMBER(name, field, number, help, unit)                                                    \
    {                                                                                              \
        name, 0, HF_CLI_INT64, AT(field), help, unit, .preset = (number), .shows_preset = true     \
    }

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
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
     {"key", 0, HF_CLI_LIST, HF_CTL_AT(extra_keys),
      "the role has this key, a file or a PKCS#11 URI, and none is made for it; once for each",
      "ROLE=KEY"},
     {"key-passphrase-file", 0, HF_CLI_TEXT, AT(given_passphrase_file),
      "its first line unlocks the files of --key, if theirs is another", "FILE"},
     HF_CTL_PASSPHRASE,
     HF_CTL_ONLINE_PASSPHRASE,
     {"insecure-no-passphrase", 0, HF_CLI_FLAG, AT(is_insecure),
      "leave the keys open on disk: for tests only", NULL},
     HF_CTL_JSON("init-report"),
     HF_CTL_HELP,
     HF_CLI_END};

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
        "Every key signs once.",
    .examples = "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys\n"
                "  holdfastctl init --repo /srv/roots --keys /media/stick \\\n"
                "      --root-keys 3 --root-threshold 2 --targets-keys 2 --targets-threshold 2\n"
                "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --key 'root=pkcs11:token=alice;object=root' \\\n"
                "      --key 'root=pkcs11:token=bob;object=root' --root-threshold 2\n"
                "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys --json | jq .root\n",
    .options = options,
    .values_size = sizeof(struct init_options),
    .needs = {"--repo", "--keys"},
    .run = run,
};
