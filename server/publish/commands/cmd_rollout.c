/* holdfastctl rollout open, step, pause, resume, complete, abort, show: how far a bundle with a plan has come, signed by
 * hand with the online key of rollout-SET. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/commands/rollout_view.h"
#include "server/repository/rollout_publish.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum act { OPEN, STEP, PAUSE, RESUME, COMPLETE, ABORT, SHOW };

/* ---- which bundles ------------------------------------------------------------------------------- */

/* SET[/PROFILE[/VERSION]]; what is left out is any. */
struct meant {
    char set[HF_SET_NAME_MAX + 1], profile[HF_SET_NAME_MAX + 1];
    int64_t version; /* 0: the newest of each line */
};

static enum hf_err parse_name(struct hf_cli_call *call, const char *word, const char **at,
                              char out[HF_SET_NAME_MAX + 1])
{
    const size_t len = strcspn(*at, "/");
    snprintf(out, HF_SET_NAME_MAX + 1, "%.*s", (int)len, *at);
    if (len > HF_SET_NAME_MAX || !hf_set_name_is_valid(out))
        return hf_cli_usage(call, "\"%.80s\" should be SET, SET/PROFILE or SET/PROFILE/VERSION",
                            word);
    *at += len + ((*at)[len] == '/');
    return HF_OK;
}

static enum hf_err parse_meant(struct hf_cli_call *call, const char *word, struct meant *out)
{
    const char *at = word;
    char *end = NULL;
    HF_TRY(parse_name(call, word, &at, out->set));
    if (*at == '\0')
        return HF_OK;
    HF_TRY(parse_name(call, word, &at, out->profile));
    if (*at == '\0')
        return HF_OK;
    if (*at >= '1' && *at <= '9')
        out->version = strtoll(at, &end, 10);
    if (end == NULL || *end != '\0' || out->version > HF_JSON_INTEGER_MAX)
        return hf_cli_usage(call, "a version is a number above 0, not \"%.80s\"", at);
    return HF_OK;
}

/* A bundle with a plan, and how far it has come. */
struct rollout {
    const char *path; /* borrowed from the targets metadata */
    struct hf_description description;
    bool is_superseded;
    struct hf_online_stage stage;
};

struct rollouts {
    struct rollout *items; /* owned */
    size_t n_items;
};

static void free_rollouts(struct rollouts *all)
{
    for (size_t i = 0; i < all->n_items; i++)
        hf_description_free(&all->items[i].description);
    free(all->items);
}

static bool is_meant(const struct meant *meant, const struct rollout *r, bool wants_old)
{
    const struct hf_description *d = &r->description;
    return (meant->set[0] == '\0' || strcmp(meant->set, d->set) == 0) &&
           (meant->profile[0] == '\0' || strcmp(meant->profile, d->profile) == 0) &&
           (meant->version == 0 ? wants_old || !r->is_superseded : meant->version == d->version);
}

/* `wants_old`: versions too that a higher one supersedes. */
static enum hf_err find_rollouts(const struct hf_trusted_set *set, const struct meant *meant,
                                 bool wants_old, struct rollouts *out, struct hf_why *why)
{
    const struct hf_targets *targets = hf_trusted_set_top_targets(set);
    out->items = calloc(targets->n_targets + 1, sizeof *out->items);
    if (out->items == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for rollouts");
    for (size_t i = 0; i < targets->n_targets; i++) {
        struct rollout *r = &out->items[out->n_items];
        r->path = targets->targets[i].path;
        if (hf_description_parse(targets->targets[i].custom, &r->description, NULL) != HF_OK)
            continue;
        r->is_superseded = hf_rollout_is_superseded(targets, &r->description);
        if (r->description.plan == NULL || !is_meant(meant, r, wants_old)) {
            hf_description_free(&r->description);
            continue;
        }
        out->n_items++;
        HF_TRY(hf_online_read_stage(set, r->path, &r->stage, why));
    }
    return HF_OK;
}

/* ---- what is said of them (schema/rollout-report.schema.json) -------------------------------------- */

static json_t *rollout_json(const struct rollout *r)
{
    const struct hf_description *d = &r->description;
    json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:b}", "set", d->set, "profile", d->profile,
                               "version", (json_int_t)d->version, "path", r->path, "superseded",
                               r->is_superseded);
    json_t *view = hf_rollout_view_json(&r->stage);
    if (object == NULL || view == NULL || json_object_update(object, view) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(view);
    return object;
}

static void print_stages(const struct hf_online_stage *s)
{
    for (size_t k = 0; k < s->plan.n_stages; k++) {
        const struct hf_rollout_stage *stage = &s->plan.stages[k];
        char opens[HF_TIME_TEXT_MAX];
        hf_time_format(hf_rollout_opens_s(&s->plan, k), opens);
        printf("  stage %zu  %g%% of devices", k + 1, (double)stage->ppm / 10000.0);
        for (size_t i = 0; i < stage->n_groups; i++)
            printf("%s%s", i == 0 ? " and group " : ", ", stage->groups[i]);
        printf(", not before %s\n", opens);
    }
}

static void print_rollout(const struct rollout *r, bool shows_plan)
{
    const struct hf_online_stage *s = &r->stage;
    char text[HF_ROLLOUT_VIEW_MAX], mandatory[HF_TIME_TEXT_MAX];
    hf_time_format(s->plan.mandatory_from_s, mandatory);
    hf_rollout_view_text(s, text);
    printf("%s: %s%s\n", r->path, text, r->is_superseded ? " (a higher version is listed)" : "");
    if (shows_plan)
        print_stages(s);
    const bool is_stopped = s->is_signed && (s->now.state == HF_ROLLOUT_PAUSED ||
                                             s->now.state == HF_ROLLOUT_ABORTED);
    if (is_stopped)
        printf("  every device installs it from %s on all the same; publish a higher version "
               "before, and unlist this one\n",
               mandatory);
    else if (shows_plan)
        printf("  every device installs it from %s on\n", mandatory);
}

static enum hf_err report(const struct hf_ctl_options *o, const struct rollouts *all,
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
    return HF_OK;
}

/* ---- the commands -------------------------------------------------------------------------------- */

static enum hf_err choose(enum act act, const struct rollout *r, struct hf_rollout_request *out,
                          struct hf_why *why)
{
    static const enum hf_rollout_state states[] = {HF_ROLLOUT_OPEN,     HF_ROLLOUT_OPEN,
                                                   HF_ROLLOUT_PAUSED,   HF_ROLLOUT_OPEN,
                                                   HF_ROLLOUT_COMPLETE, HF_ROLLOUT_ABORTED};
    const struct hf_online_stage *s = &r->stage;
    *out = (struct hf_rollout_request){.from = s->version,
                                       .stage = hf_rollout_view_stage(s) + (act == STEP),
                                       .state = states[act]};
    if (act == OPEN && s->is_signed)
        return hf_fail(why, HF_E_POLICY,
                       "the rollout of %s has begun; `rollout step` opens its next stage", r->path);
    if (act == STEP && !s->is_signed)
        return hf_fail(why, HF_E_POLICY,
                       "the rollout of %s has not begun; `rollout open` opens its first stage",
                       r->path);
    if (act == RESUME && (!s->is_signed || s->now.state != HF_ROLLOUT_PAUSED))
        return hf_fail(why, HF_E_POLICY, "the rollout of %s is not paused", r->path);
    return HF_OK;
}

static enum hf_err sign_all(const struct hf_ctl_options *o, enum act act, struct rollouts *all,
                            struct hf_why *why)
{
    struct hf_publication_context at = hf_ctl_publication(o, HF_KEYS_ONLINE);
    struct hf_key_set keys = {0};
    enum hf_err err = hf_key_set_init(&keys, o->keys, o->passphrase_file,
                                      o->online_passphrase_file != NULL ? o->online_passphrase_file
                                                                        : o->passphrase_file,
                                      why);
    at.keys = &keys; /* a passphrase is asked for once */
    for (size_t i = 0; i < all->n_items && err == HF_OK; i++) {
        struct rollout *r = &all->items[i];
        struct hf_rollout_request request;
        /* Profiles of a set share their role: the version rises with each. */
        if (i > 0 && strcmp(r->description.set, all->items[i - 1].description.set) == 0)
            r->stage.version = all->items[i - 1].stage.version;
        err = choose(act, r, &request, why);
        if (err == HF_OK)
            err = hf_online_step(&at, r->path, &request, o->reason == NULL ? "" : o->reason,
                                 &r->stage, NULL, why);
    }
    hf_key_set_free(&keys);
    return err;
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const enum act act = (enum act)call->command->variant;
    struct meant meant = {0};
    struct hf_buf root = {0};
    struct hf_trusted_set set = {0};
    struct rollouts all = {0};
    if (call->words != NULL)
        HF_TRY(parse_meant(call, call->words[0], &meant));
    HF_TRY(hf_ctl_read_root(o->root, &root, why));
    const struct hf_repo repo = {.dir = o->repo, .trusted_root = hf_buf_bytes(&root)};
    enum hf_err err = hf_repo_verify_metadata(&repo, HF_REPO_ANY_TIME, &set, why);
    if (err == HF_OK)
        err = find_rollouts(&set, &meant, act == SHOW, &all, why);
    if (err == HF_OK && all.n_items == 0 && call->words != NULL)
        err = hf_fail(
            why, HF_E_NOT_FOUND,
            "%s publishes no bundle with a rollout plan that \"%s\" means; give one a plan with "
            "bundle add --plan",
            o->repo, call->words[0]);
    if (err == HF_OK && act != SHOW)
        err = sign_all(o, act, &all, why);
    if (err == HF_OK)
        err = report(o, &all, act == SHOW, why);
    free_rollouts(&all);
    hf_trusted_set_free(&set);
    hf_buf_free(&root);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO, HF_CTL_KEYS,
     HF_CTL_TEXT("reason", reason, "one line that devices and `rollout show` print", "TEXT"),
     HF_CTL_SIGNING, HF_CTL_REPORT("rollout-report")};

static const struct hf_cli_option show_options[] = {HF_CTL_REPO, HF_CTL_ROOT,
                                                    HF_CTL_REPORT("rollout-report")};

#define ARGUMENTS "--repo DIR --keys DIR [--reason TEXT] SET[/PROFILE[/VERSION]]"
#define WHICH                                                                                      \
    "Without VERSION the newest version of each profile is meant, without PROFILE all profiles.\n" \
    "Only KEYS/online is opened, with the key of rollout-SET. A new snapshot and timestamp are\n"  \
    "signed with it."
#define STEP_COMMAND(suffix, word, what, text, variant_)                                           \
    const struct hf_cli_command hf_cmd_rollout_##suffix = {                                        \
        .name = "rollout " word,                                                                   \
        .summary = what,                                                                           \
        .arguments = ARGUMENTS,                                                                    \
        .about = text WHICH,                                                                       \
        .examples = "  holdfastctl rollout " word " --repo /srv/roots --keys /etc/holdfast/keys "  \
                    "\\\n      amazon-iot/full\n",                                                 \
        .options = options,                                                                        \
        .needs = {"--repo", "--keys"},                                                             \
        .needs_word = "SET",                                                                       \
        .max_words = 1,                                                                            \
        .run = run,                                                                                \
        .variant = variant_,                                                                       \
    }

STEP_COMMAND(
    open, "open", "Open the first stage of a bundle's rollout.",
    "A bundle with a plan (bundle add --plan) waits until its first stage is open. Devices\n"
    "install it when their stage is open, and from `mandatory_from` on in any case.\n"
    "The plan is signed by the offline keys: devices and this command keep to its dates.\n\n",
    OPEN);
STEP_COMMAND(step, "step", "Open the next stage of a bundle's rollout.",
             "Refused before the bake time of the open stage is over, counted from when it was\n"
             "opened or resumed, and before the date that the plan has for the next one.\n\n",
             STEP);
STEP_COMMAND(pause, "pause", "Pause a bundle's rollout.",
             "Devices that have not installed the bundle keep what they have. The date from which\n"
             "they install it all the same is printed. `rollout resume` goes on.\n\n",
             PAUSE);
STEP_COMMAND(resume, "resume", "Go on with a rollout that is paused.",
             "The stage that was open is open again, and its bake time begins again.\n\n", RESUME);
STEP_COMMAND(complete, "complete", "Note that a rollout is complete.",
             "Only when its last stage is open. For devices it is as open.\n\n", COMPLETE);
STEP_COMMAND(
    abort, "abort", "Stop a bundle's rollout permanently.",
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
