/* holdfastctl rollout open, step, pause, resume, complete, abort, show: how far a bundle with a
 * plan has come, signed by hand with the online key of rollout-SET. */
#include "server/publish/commands/ctl.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "server/publish/ceremony/rollout_words.h"
#include "server/publish/commands/rollout_find.h"
#include "server/publish/commands/rollout_view.h"
#include "server/repository/rollout_approval.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define APPROVAL_BYTES_MAX 4096u /* two values in base64 and what they are for: 400 bytes */

enum act { OPEN, STEP, PAUSE, RESUME, COMPLETE, ABORT, SHOW };

/* ---- what is said of them (schema/rollout-report.schema.json) -------------------------------- */

static json_t *rollout_json(const struct hf_rollout_item *r)
{
    const struct hf_description *d = &r->description;
    const struct hf_rollout_plan *plan = &r->stage.plan;
    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:b, s:s, s:I, s:o}", "set", d->set, "profile",
                               d->profile, "version", (json_int_t)d->version, "path", r->path,
                               "superseded", r->is_superseded, "approval",
                               hf_rollout_approval_name(plan->approval), "approvals",
                               (json_int_t)plan->approvals, "approvers",
                               hf_json_hashes((const void *)plan->approvers, plan->n_approvers));
    json_t *view = hf_rollout_view_json(&r->stage);
    if (object == NULL || view == NULL || json_object_update(object, view) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(view);
    return object;
}

static void print_rollout(const struct hf_rollout_item *r, bool shows_plan)
{
    const struct hf_online_stage *s = &r->stage;
    char text[HF_ROLLOUT_VIEW_MAX], mandatory[HF_TIME_TEXT_MAX];
    hf_time_format(s->plan.mandatory_from_s, mandatory);
    hf_rollout_view_text(s, text);
    printf("%s: %s%s\n", r->name, text, r->is_superseded ? " (a higher version is listed)" : "");
    if (shows_plan && s->is_signed)
        printf("  signed in version %" PRId64 " of " HF_ROLLOUT_ROLE_PREFIX "%s\n", s->version,
               r->description.set);
    if (shows_plan)
        hf_rollout_words_print(&s->plan, 2, stdout);
    const bool is_stopped = s->is_signed && (s->now.state == HF_ROLLOUT_PAUSED ||
                                             s->now.state == HF_ROLLOUT_ABORTED);
    if (is_stopped && r->is_superseded)
        printf("  devices that wait for a higher version install it from %s on; if it is bad, "
               "unlist it (bundle unlist)\n",
               mandatory);
    else if (is_stopped)
        printf("  every device installs it from %s on all the same; if it is bad, publish a higher "
               "version before then, and unlist this one (bundle unlist)\n",
               mandatory);
}

static enum hf_err report(const struct hf_ctl_options *o, const struct hf_rollout_items *all,
                          bool shows_plan, struct hf_why *why)
{
    json_t *list = json_array();
    for (size_t i = 0; i < all->n_items; i++) {
        if (o->is_json)
            list = hf_json_append_take(list, rollout_json(&all->items[i]));
        else
            print_rollout(&all->items[i], shows_plan);
    }
    if (o->is_json)
        return hf_json_print_take(json_pack("{s:i, s:o}", "format", 1, "rollouts", list), stdout,
                                  why);
    json_decref(list);
    if (all->n_items == 0)
        printf("no published bundle has a rollout plan\n");
    return HF_OK;
}

/* ---- the commands ---------------------------------------------------------------------------- */

static enum hf_err choose(enum act act, const struct hf_rollout_item *r,
                          struct hf_rollout_request *out, struct hf_why *why)
{
    static const enum hf_rollout_state states[] = {HF_ROLLOUT_OPEN,     HF_ROLLOUT_OPEN,
                                                   HF_ROLLOUT_PAUSED,   HF_ROLLOUT_OPEN,
                                                   HF_ROLLOUT_COMPLETE, HF_ROLLOUT_ABORTED};
    const struct hf_online_stage *s = &r->stage;
    *out = (struct hf_rollout_request){.from = s->version,
                                       .stage = hf_rollout_view_stage(s) + (act == STEP),
                                       .state = states[act]};
    if (s->is_signed && s->now.state == HF_ROLLOUT_ABORTED)
        return HF_OK; /* the rules say that this is final */
    if (act == OPEN && s->is_signed)
        return hf_fail(why, HF_E_POLICY,
                       "the rollout of %s has begun already (it is %s); `rollout %s` opens its %s "
                       "stage",
                       r->name, hf_rollout_state_name(s->now.state),
                       s->now.state == HF_ROLLOUT_PAUSED ? "resume" : "step",
                       s->now.state == HF_ROLLOUT_PAUSED ? "last" : "next");
    if (act == STEP && !s->is_signed)
        return hf_fail(why, HF_E_POLICY,
                       "the rollout of %s has not begun; `rollout open` opens its first stage",
                       r->name);
    if (act == RESUME && (!s->is_signed || s->now.state != HF_ROLLOUT_PAUSED))
        return hf_fail(why, HF_E_POLICY, "the rollout of %s is not paused (it is %s)", r->name,
                       s->is_signed ? hf_rollout_state_name(s->now.state) : "not begun");
    return HF_OK;
}

/* What `rollout approve` wrote, one file for each approver. */
static enum hf_err read_approvals(const struct hf_ctl_options *o,
                                  const struct hf_rollout_items *all,
                                  struct hf_rollout_approvals *out, struct hf_why *why)
{
    const char *const *files = hf_cli_list(o->approvals);
    if (files != NULL && all->n_items != 1)
        return hf_fail(why, HF_E_ARGUMENT,
                       "an approval is for one bundle; name its profile (SET/PROFILE)");
    for (; files != NULL && *files != NULL; files++) {
        struct hf_buf text = {0};
        json_t *object = NULL;
        if (out->n == HF_ROLLOUT_APPROVERS_MAX)
            return hf_fail(why, HF_E_ARGUMENT, "--approval: a plan has at most %d approvers",
                           HF_ROLLOUT_APPROVERS_MAX);
        enum hf_err err = hf_file_read_any(*files, APPROVAL_BYTES_MAX, &text, why);
        if (err == HF_OK)
            err = hf_json_parse_object(hf_buf_bytes(&text), *files, &object, why);
        if (err == HF_OK)
            err = hf_rollout_approval_parse(object, *files, &out->of[out->n], why);
        json_decref(object);
        hf_buf_free(&text);
        HF_TRY(err);
        out->n++;
    }
    return HF_OK;
}

static enum hf_err sign_all(const struct hf_ctl_options *o, enum act act,
                            struct hf_rollout_items *all, struct hf_why *why)
{
    struct hf_publication_context at = hf_ctl_publication(o, HF_KEYS_ONLINE);
    struct hf_key_set keys = {0};
    struct hf_rollout_approvals approvals = {.n = 0};
    HF_TRY(read_approvals(o, all, &approvals, why));
    enum hf_err err = hf_key_set_init(&keys, o->keys, o->passphrase_file,
                                      o->online_passphrase_file != NULL ? o->online_passphrase_file
                                                                        : o->passphrase_file,
                                      why);
    at.keys = &keys; /* a passphrase is asked for once */
    for (size_t i = 0; i < all->n_items && err == HF_OK; i++) {
        struct hf_rollout_item *r = &all->items[i];
        struct hf_rollout_request request;
        /* Profiles of a set share their role: the version rises with each. */
        if (i > 0 && strcmp(r->description.set, all->items[i - 1].description.set) == 0)
            r->stage.version = all->items[i - 1].stage.version;
        err = choose(act, r, &request, why);
        if (err != HF_OK)
            break;
        request.approvals = approvals.of;
        request.n_approvals = approvals.n;
        err = hf_online_step(&at, r->path, &request, o->reason == NULL ? "" : o->reason, &r->stage,
                             NULL, why);
    }
    hf_key_set_free(&keys);
    return err;
}

/* It is signed as it was typed, or not at all. */
static bool is_reason(const char *text)
{
    const char *at = text;
    size_t len;
    while ((len = hf_plain_char_len(at)) > 0)
        at += len;
    return *at == '\0' && (size_t)(at - text) <= HF_ROLLOUT_REASON_MAX;
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const enum act act = (enum act)call->command->variant;
    struct hf_rollout_meant meant = {0};
    struct hf_buf root = {0};
    struct hf_trusted_set set = {0};
    struct hf_rollout_items all = {0};
    if (call->words != NULL)
        HF_TRY(hf_rollout_meant_parse(call, call->words[0], &meant));
    if (o->reason != NULL && !is_reason(o->reason))
        return hf_cli_usage(
            call, "--reason should be one line of at most %d bytes, without control characters",
            HF_ROLLOUT_REASON_MAX);
    HF_TRY(hf_ctl_read_root(o->root, &root, why));
    const struct hf_repo repo = {.dir = o->repo, .trusted_root = hf_buf_bytes(&root)};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, &set, why);
    if (err == HF_OK)
        err = hf_rollout_items_find(&set, &meant, act == SHOW, &all, why);
    if (err == HF_OK && all.n_items == 0 && call->words != NULL)
        err = hf_rollout_items_none(o->repo, call->words[0], why);
    if (err == HF_OK && act != SHOW)
        err = sign_all(o, act, &all, why);
    if (err == HF_OK)
        err = report(o, &all, act == SHOW, why);
    hf_rollout_items_free(&all);
    hf_trusted_set_free(&set);
    hf_buf_free(&root);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO, HF_CTL_KEYS,
     HF_CTL_TEXT("reason", reason, "one line that devices and `rollout show` print", "TEXT"),
     HF_CTL_SIGNING, HF_CTL_REPORT("rollout-report")};

static const struct hf_cli_option approved_options[] =
    {HF_CTL_REPO,
     HF_CTL_KEYS,
     HF_CTL_LIST("approval", approvals,
                 "an approver's signature of this step, made by rollout approve; repeat for each",
                 "FILE"),
     HF_CTL_TEXT("reason", reason, "one line that devices and `rollout show` print", "TEXT"),
     HF_CTL_SIGNING,
     HF_CTL_REPORT("rollout-report")};

static const struct hf_cli_option show_options[] = {HF_CTL_REPO, HF_CTL_ROOT,
                                                    HF_CTL_REPORT("rollout-report")};

#define ARGUMENTS "--repo DIR --keys DIR [--reason TEXT] SET[/PROFILE[/VERSION]]"
#define APPROVED_ARGUMENTS "--repo DIR --keys DIR [OPTION…] SET[/PROFILE[/VERSION]]"
#define WHICH                                                                                      \
    "Without VERSION the newest version of each profile is meant, without PROFILE all profiles.\n" \
    "Only KEYS/online is opened, with the key of rollout-SET. A new snapshot and timestamp are\n"  \
    "signed with it."
#define STEP_COMMAND(suffix, word, what, arguments_, options_, text, variant_)                     \
    const struct hf_cli_command hf_cmd_rollout_##suffix = {                                        \
        .name = "rollout " word,                                                                   \
        .summary = what,                                                                           \
        .arguments = arguments_,                                                                   \
        .about = text WHICH,                                                                       \
        .examples = "  holdfastctl rollout " word " --repo /srv/roots --keys /etc/holdfast/keys "  \
                    "\\\n      amazon-iot/full\n",                                                 \
        .options = options_,                                                                       \
        .needs = {"--repo", "--keys"},                                                             \
        .needs_word = "SET",                                                                       \
        .max_words = 1,                                                                            \
        .run = run,                                                                                \
        .variant = variant_,                                                                       \
    }

STEP_COMMAND(
    open, "open", "Open the first stage of a bundle's rollout.", ARGUMENTS, options,
    "A bundle with a plan (bundle add --plan) waits until its first stage is open. Devices\n"
    "install it when their stage is open, and from `mandatory_from` on in any case.\n"
    "The plan is signed by the offline keys: devices and this command keep to its dates.\n\n",
    OPEN);
STEP_COMMAND(step, "step", "Open the next stage of a bundle's rollout.", APPROVED_ARGUMENTS,
             approved_options,
             "Refused before the bake time of the open stage is over, counted from when it was\n"
             "opened or resumed, and before the date that the plan has for the next one.\n"
             "Where the plan asks for approvers' signatures, --approval gives them.\n\n",
             STEP);
STEP_COMMAND(pause, "pause", "Pause a bundle's rollout.", ARGUMENTS, options,
             "Devices that have not installed the bundle keep what they have. The date from which\n"
             "they install it all the same is printed. `rollout resume` goes on.\n\n",
             PAUSE);
STEP_COMMAND(
    resume, "resume", "Go on with a rollout that is paused.", APPROVED_ARGUMENTS, approved_options,
    "The stage that was open is open again, and its bake time begins again. Where the plan\n"
    "asks for approvers' signatures, --approval gives them.\n\n",
    RESUME);
STEP_COMMAND(complete, "complete", "Note that a rollout is complete.", ARGUMENTS, options,
             "Only when its last stage is open. For devices it is as open.\n\n", COMPLETE);
STEP_COMMAND(
    abort, "abort", "Stop a bundle's rollout permanently.", ARGUMENTS, options,
    "Devices that have not installed the bundle keep what they have. Abort is final. The\n"
    "date from which devices install it all the same is printed: publish a higher version\n"
    "before, and unlist this one. Devices that have it keep it until then.\n\n",
    ABORT);

const struct hf_cli_command hf_cmd_rollout_show = {
    .name = "rollout show",
    .summary = "Show how far the rollouts of a repository have come.",
    .arguments = "--repo DIR [--root FILE] [--json] [SET[/PROFILE[/VERSION]]]",
    .about =
        "Shows each published bundle that has a plan: its stages with the dates before which they\n"
        "do not open, and the stage that is signed now. Needs no key. Signatures are verified;\n"
        "whether they are in date is for holdfastctl check.",
    .examples = "  holdfastctl rollout show --repo /srv/roots\n"
                "  holdfastctl rollout show --repo /srv/roots --json amazon-iot | jq .rollouts\n",
    .options = show_options,
    .needs = {"--repo"},
    .max_words = 1,
    .run = run,
    .variant = SHOW,
};
