/* holdfastctl init: keys for every role and an empty repository that they sign. */
#include "server/publish/commands/cli.h"
#include "server/publish/commands/init_report.h"
#include "server/publish/ceremony/key_make.h"
#include "server/repository/pin.h"
#include "server/repository/keys/signer.h"

#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct hf_cli_place place;
    struct hf_key_plan plan;
    struct hf_expiry expiry;
    const char **given[HF_TOP_ROLES]; /* owned lists of borrowed names; NULL: none */
    char *given_passphrase_file;
    int is_json;
};

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
                          "the keys must not lie in the repository: %s is what devices are served",
                          repo);
    }
    free(real_repo);
    free(real_keys);
    return err;
}

static enum hf_err make_places(const struct request *r, struct hf_undo *undo, struct hf_why *why)
{
    HF_TRY(refuse_existing(r->place.repo, "metadata", why));
    HF_TRY(refuse_existing(r->place.repo, "targets", why));
    HF_TRY(refuse_existing(r->place.keys, "offline", why));
    HF_TRY(refuse_existing(r->place.keys, "online", why));
    HF_TRY(hf_undo_make_folder(undo, r->place.repo, 0755, why));
    HF_TRY(hf_undo_make_folder(undo, r->place.keys, 0700, why));
    return refuse_keys_in_repo(r->place.repo, r->place.keys, why);
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
    for (int half = 0; half < HF_KEY_HALVES; half++)
        HF_TRY(hf_pin_create(&set->folders[half], repo, undo, why));
    return HF_OK;
}

static enum hf_err write_metadata(const struct request *r, const struct hf_key_set *set,
                                  const struct hf_root_plan *plan, int64_t now_s,
                                  struct hf_undo *undo, struct hf_why *why)
{
    struct hf_repo repo = {.dir = r->place.repo};
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
    const struct hf_publication_place at = hf_cli_publication(&r->place, HF_KEYS_OFFLINE);
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
    const struct hf_init_made made = {r->place.repo, r->place.keys, r->plan.is_insecure};
    return hf_init_report(&made, r->is_json != 0, stdout, why);
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
    char **texts = r->place.given_keys;
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

static enum hf_err init_with_given(struct request *r, struct hf_why *why)
{
    HF_TRY(sort_given(r, why));
    HF_TRY(count_given(r, why));
    r->plan.given_passphrase_file = r->given_passphrase_file;
    return init(r, why);
}

static void free_request(struct request *r)
{
    for (int role = 0; role < HF_TOP_ROLES; role++)
        free(r->given[role]);
    free(r->given_passphrase_file);
    hf_cli_place_free(&r->place);
}

/* popt writes long long; a plan holds int64_t. */
struct numbers {
    long long root_keys, root_threshold, targets_keys, targets_threshold;
    long long days_root, days_targets, days_snapshot, days_timestamp;
};

static void apply(const struct numbers *n, int is_insecure, struct request *r)
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
        .is_insecure = is_insecure != 0,
    };
    r->expiry = (struct hf_expiry){.days = {[HF_ROLE_ROOT] = n->days_root,
                                            [HF_ROLE_TARGETS] = n->days_targets,
                                            [HF_ROLE_SNAPSHOT] = n->days_snapshot,
                                            [HF_ROLE_TIMESTAMP] = n->days_timestamp}};
}

static struct numbers default_numbers(void)
{
    const struct hf_expiry e = hf_expiry_default();
    return (struct numbers){1,
                            1,
                            1,
                            1,
                            e.days[HF_ROLE_ROOT],
                            e.days[HF_ROLE_TARGETS],
                            e.days[HF_ROLE_SNAPSHOT],
                            e.days[HF_ROLE_TIMESTAMP]};
}

static bool has_one_protection(const struct hf_command *self, const struct request *r,
                               int is_insecure)
{
    if (!is_insecure ||
        (r->place.passphrase_file == NULL && r->place.online_passphrase_file == NULL))
        return true;
    (void)hf_cli_usage(self, "give a passphrase file or --insecure-no-passphrase, not both");
    return false;
}

#define NUMBER(name, field, help, unit)                                                            \
    {                                                                                              \
        name, 0, POPT_ARG_LONGLONG | POPT_ARGFLAG_SHOW_DEFAULT, &n.field, 0, help, unit            \
    }

static int run(const struct hf_command *self, int argc, const char **argv)
{
    struct request r = {0};
    struct numbers n = default_numbers();
    int is_insecure = 0;
    const struct poptOption options[] =
        {HF_CLI_REPO(&r.place),
         HF_CLI_KEYS(&r.place),
         NUMBER("root-keys", root_keys, "how many root keys", "N"),
         NUMBER("root-threshold", root_threshold, "how many of them must sign", "M"),
         NUMBER("targets-keys", targets_keys, "how many targets keys", "N"),
         NUMBER("targets-threshold", targets_threshold, "how many of them must sign", "M"),
         NUMBER("expires-root", days_root, "how long root metadata lasts", "DAYS"),
         NUMBER("expires-targets", days_targets, "how long targets metadata lasts", "DAYS"),
         NUMBER("expires-snapshot", days_snapshot, "how long a snapshot lasts", "DAYS"),
         NUMBER("expires-timestamp", days_timestamp, "how long a timestamp lasts", "DAYS"),
         {"key", 0, POPT_ARG_ARGV, &r.place.given_keys, 0,
          "the role has this key, a file or a PKCS#11 URI, and none is made for it; once for each",
          "ROLE=KEY"},
         {"key-passphrase-file", 0, POPT_ARG_STRING, &r.given_passphrase_file, 0,
          "its first line unlocks the files of --key, if theirs is another", "FILE"},
         HF_CLI_PASSPHRASE(&r.place),
         HF_CLI_ONLINE_PASSPHRASE(&r.place),
         {"insecure-no-passphrase", 0, POPT_ARG_NONE, &is_insecure, 0,
          "leave the keys open on disk: for tests only", NULL},
         HF_CLI_JSON(&r.is_json, "init-report"),
         HF_CLI_HELP,
         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, self, argc, argv, options, &exit_code) &&
        hf_cli_need(self, "--repo", r.place.repo) && hf_cli_need(self, "--keys", r.place.keys) &&
        hf_cli_no_arguments(&cli) && has_one_protection(self, &r, is_insecure)) {
        apply(&n, is_insecure, &r);
        exit_code = hf_cli_finish(init_with_given(&r, &why), &why);
    }
    hf_cli_end(&cli);
    free_request(&r);
    return exit_code;
}

const struct hf_command hf_cmd_init = {
    .name = "init",
    .summary = "Make keys for every role and an empty repository that they sign.",
    .arguments = "--repo DIR --keys DIR [OPTION…]",
    .text =
        "KEYS/offline gets the keys of root (they name all other keys) and targets (they sign\n"
        "bundles); take it off the network. KEYS/online gets those of snapshot and timestamp,\n"
        "which a timer uses daily. Each half has its own passphrase (or the one of\n"
        "--passphrase-file for both). The periods are remembered in expiry.json beside the keys.\n"
        "Nothing is overwritten; when anything fails, nothing is left behind.\n\n"
        "--key gives a role a key that is there: devices ship with the first root, so hardware\n"
        "that is to hold root keys is best there from the first day. Of a key in a token (smart\n"
        "card, HSM) KEYS gets a file that says where it is, and the PIN is asked for, or read "
        "from\n"
        "the URI's pin-source. A key in a file is taken over: opened with --key-passphrase-file,\n"
        "or --passphrase-file, or a passphrase that is asked for, and sealed as those beside it.\n"
        "Every key signs once.",
    .examples = "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys\n"
                "  holdfastctl init --repo /srv/roots --keys /media/stick \\\n"
                "      --root-keys 3 --root-threshold 2 --targets-keys 2 --targets-threshold 2\n"
                "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys \\\n"
                "      --key 'root=pkcs11:token=alice;object=root' \\\n"
                "      --key 'root=pkcs11:token=bob;object=root' --root-threshold 2\n"
                "  holdfastctl init --repo /srv/roots --keys ~/holdfast-keys --json | jq .root\n",
    .run = run,
};
