/* holdfastctl rollout approve: an approver signs that a rollout may go on. */
#include "server/publish/commands/ctl.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "common/json/json.h"
#include "common/os/file_util.h"
#include "common/rollout/role.h"
#include "server/publish/commands/rollout_find.h"
#include "server/publish/commands/rollout_view.h"
#include "server/repository/rollout_approval.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

struct approving {
    const struct hf_ctl_options *o;
    const struct hf_rollout_item *item;
    struct hf_rollout_step step;
    struct hf_rollout_approval_given given;
};

/* ---- what is to be approved ------------------------------------------------------------------ */

/* The step that comes next, unless --stage names one. */
static enum hf_err choose_stage(struct approving *a, struct hf_why *why)
{
    const struct hf_online_stage *s = &a->item->stage;
    const int64_t n_stages = (int64_t)s->plan.n_stages;
    if (a->o->stage > n_stages)
        return hf_fail(why, HF_E_ARGUMENT, "--stage: the plan has stages 1 to %" PRId64, n_stages);
    if (!s->is_signed)
        return hf_fail(why, HF_E_POLICY,
                       "%s: the first stage needs no approval; `rollout open` opens it",
                       a->item->name);
    const int64_t next = hf_rollout_view_stage(s) + (s->now.state != HF_ROLLOUT_PAUSED);
    a->step.stage = a->o->stage > 0 ? a->o->stage - 1 : next;
    if (s->now.state == HF_ROLLOUT_ABORTED || s->now.state == HF_ROLLOUT_COMPLETE ||
        a->step.stage >= n_stages)
        return hf_fail(why, HF_E_POLICY,
                       "%s: the rollout is %s at stage %" PRId64 " of %" PRId64
                       ", so no step needs an approval",
                       a->item->name, hf_rollout_state_name(s->now.state),
                       hf_rollout_view_stage(s) + 1, n_stages);
    return HF_OK;
}

static enum hf_err choose(struct approving *a, struct hf_why *why)
{
    const struct hf_online_stage *s = &a->item->stage;
    if (s->plan.approval != HF_ROLLOUT_SIGNED)
        return hf_fail(why, HF_E_POLICY,
                       "the plan of %s asks for no approver's signature (\"approval\": \"%s\")",
                       a->item->name, hf_rollout_approval_name(s->plan.approval));
    a->step = (struct hf_rollout_step){.path = a->item->path,
                                       .sha256 = s->sha256,
                                       .since_s = s->now.since_s,
                                       .state = HF_ROLLOUT_OPEN};
    return choose_stage(a, why);
}

/* ---- signing --------------------------------------------------------------------------------- */

static bool read_approver(const json_t *public_key, uint8_t out[HF_ROLLOUT_APPROVER_LEN])
{
    const char *hex = json_string_value(
        json_object_get(json_object_get(public_key, "keyval"), "public"));
    return hex != NULL && hf_hex_decode(hex, out, HF_ROLLOUT_APPROVER_LEN);
}

static bool is_approver(void *context, const struct hf_key_file *file)
{
    const struct hf_rollout_plan *plan = context;
    uint8_t approver[HF_ROLLOUT_APPROVER_LEN];
    if (!read_approver(file->public_key, approver))
        return false;
    for (size_t i = 0; i < plan->n_approvers; i++)
        if (memcmp(plan->approvers[i], approver, sizeof approver) == 0)
            return true;
    return false;
}

static enum hf_err sign_text(struct approving *a, const struct hf_signing_key *key,
                             struct hf_why *why)
{
    struct hf_buf text = {0}, signature = {0};
    enum hf_err err = hf_rollout_step_text(&a->step, &text, why);
    if (err == HF_OK)
        err = hf_signing_key_sign(key, hf_buf_bytes(&text), &signature, why);
    if (err == HF_OK &&
        (!read_approver(key->public_key, a->given.approver) ||
         signature.len != sizeof a->given.signature ||
         crypto_sign_verify_detached(signature.data, text.data, text.len, a->given.approver) != 0))
        err = hf_fail(why, HF_E_SIGNATURE,
                      "the signature of %s does not verify: the key is damaged, or the token holds "
                      "another one",
                      a->o->key);
    if (err == HF_OK)
        memcpy(a->given.signature, signature.data, sizeof a->given.signature);
    hf_buf_free(&text);
    hf_buf_free(&signature);
    return err;
}

static enum hf_err sign(struct approving *a, struct hf_why *why)
{
    struct hf_rollout_plan plan = a->item->stage.plan;
    const char *const key[] = {a->o->key, NULL};
    const struct hf_key_choice choice = {is_approver, &plan};
    struct hf_signers signers = {0};
    struct hf_key_set keys = {0};
    enum hf_err err = hf_key_set_init_holder(&keys, NULL, a->o->passphrase_file, why);
    if (err == HF_OK)
        err = hf_key_set_add_extra(&keys, key, a->o->passphrase_file, why);
    if (err == HF_OK)
        err = hf_key_set_open_chosen(&keys, HF_KEYS_OFFLINE, &choice, &signers, why);
    if (err == HF_OK && signers.n_keys != 1)
        err = hf_fail(why, HF_E_KEY,
                      "%s is no approver of the plan of %s; `rollout show` lists them", a->o->key,
                      a->item->name);
    if (err == HF_OK)
        err = sign_text(a, &signers.keys[0], why);
    hf_signers_free(&signers);
    hf_key_set_free(&keys);
    return err;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Its numbers are those that are signed: stages from 0. */
static enum hf_err report(const struct approving *a, struct hf_why *why)
{
    const struct hf_ctl_options *o = a->o;
    const struct hf_online_stage *s = &a->item->stage;
    json_t *object = hf_rollout_approval_to_json(&a->given);
    struct hf_buf text = {0};
    char since[HF_TIME_TEXT_MAX];
    object = hf_json_set_take(object, "path", json_string(a->item->path));
    object = hf_json_set_take(object, "since", hf_json_time(a->step.since_s));
    object = hf_json_set_take(object, "stage", json_integer(a->step.stage));
    object = hf_json_set_take(object, "state", json_string(hf_rollout_state_name(a->step.state)));
    if (o->out == NULL)
        return hf_json_print_take(object, stdout, why);
    enum hf_err err = hf_json_dump(object, JSON_INDENT(2), &text, why);
    json_decref(object);
    if (err == HF_OK)
        err = hf_buf_append(&text, "\n", 1) == HF_OK
                  ? hf_file_create(o->out, 0644, hf_buf_bytes(&text), why)
                  : hf_fail(why, HF_E_MEMORY, "out of memory for an approval");
    hf_buf_free(&text);
    HF_TRY(err);
    hf_time_format(a->step.since_s, since);
    printf("approved: stage %" PRId64
           " of %zu of %s may be opened, as the step after what is signed since %s\n"
           "%s is for `holdfastctl rollout step --approval`, `rollout resume --approval` and\n"
           "`holdfast-admin rollout approve`\n",
           a->step.stage + 1, s->plan.n_stages, a->item->name, since, o->out);
    return HF_OK;
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    struct hf_rollout_meant meant = {0};
    struct hf_buf root = {0};
    struct hf_trusted_set set = {0};
    struct hf_rollout_items all = {0};
    struct approving a = {.o = o};
    HF_TRY(hf_rollout_meant_parse(call, call->words[0], &meant));
    if (meant.profile[0] == '\0')
        return hf_cli_usage(call, "an approval is for one bundle: name SET/PROFILE");
    HF_TRY(hf_ctl_read_root(o->root, &root, why));
    const struct hf_repo repo = {.dir = o->repo, .trusted_root = hf_buf_bytes(&root)};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, &set, why);
    if (err == HF_OK)
        err = hf_rollout_items_find(&set, &meant, false, &all, why);
    if (err == HF_OK && all.n_items != 1)
        err = hf_rollout_items_none(o->repo, call->words[0], why);
    if (err == HF_OK) {
        a.item = &all.items[0];
        err = choose(&a, why);
    }
    if (err == HF_OK)
        err = sign(&a, why);
    if (err == HF_OK)
        err = report(&a, why);
    hf_rollout_items_free(&all);
    hf_trusted_set_free(&set);
    hf_buf_free(&root);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_ROOT,
     HF_CTL_TEXT("key", key, "the approver's key: a file or a PKCS#11 URI", "KEY"),
     HF_CTL_NUMBER("stage", stage, 0, 1, HF_ROLLOUT_STAGES_MAX,
                   "the stage to open, counted from 1 (default: the next one; of a paused "
                   "rollout, the one that it has reached)",
                   "N"),
     HF_CTL_TEXT("out", out, "write the approval to this new file (default: print it)", "FILE"),
     HF_CTL_PASSPHRASE,
     HF_CTL_HELP,
     HF_CLI_END};

const struct hf_cli_command hf_cmd_rollout_approve = {
    .name = "rollout approve",
    .summary = "Sign, as an approver of its plan, that a bundle's rollout may go on.",
    .arguments = "--repo DIR --key KEY [--stage N] [--out FILE] SET/PROFILE[/VERSION]",
    .about = "For plans with \"approval\": \"signed\". The signature covers the bundle's path and "
             "hash, the\n"
             "stage, and since when what it follows is signed: it is good for this step, once. "
             "After any\n"
             "other step of the bundle, also a pause, it is worth nothing; steps of other bundles "
             "of the\n"
             "set leave it as it is. Stopping needs no approval, and neither does the first "
             "stage.\n\n"
             "REPO is any copy of the repository; nothing in it changes. `key generate` makes an "
             "approver's\n"
             "key, and the plan names its public part, which `key inspect` shows (64 hexadecimal "
             "digits).\n"
             "Keys are Ed25519.",
    .examples = "  holdfastctl rollout approve --repo /srv/roots --key alice.key.json \\\n"
                "      --out alice.approval amazon-iot/full\n"
                "  holdfastctl rollout approve --repo /srv/roots --key 'pkcs11:token=alice' \\\n"
                "      --stage 2 amazon-iot/full/3\n",
    .options = options,
    .needs = {"--repo", "--key"},
    .needs_word = "SET/PROFILE",
    .max_words = 1,
    .run = run,
};
