/* holdfast-admin rollout: look at rollouts, and steer them. */
#include "server/admin/rollout.h"

#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "server/admin/commands.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define APPROVAL_BYTES_MAX 4096u /* holdfastctl rollout approve makes 300 */

/* ---- calls ----------------------------------------------------------------------------------- */

enum hf_err hf_admin_rollout_call(struct hf_admin_api *api, const char *name, const char *end,
                                  struct hf_admin_call *call, struct hf_why *why)
{
    struct hf_buf path = {0};
    enum hf_err err = hf_buf_append_text(&path, "/v1/rollouts/");

    err = err == HF_OK ? hf_admin_rollout_path(name, &path, why)
                       : hf_fail(why, err, "no memory for a request");
    if (err == HF_OK && hf_buf_append_text(&path, end) != HF_OK)
        err = hf_fail(why, HF_E_MEMORY, "no memory for a request");
    call->path = (const char *)path.data;
    if (err == HF_OK)
        err = hf_admin_call(api, call, why);
    call->path = NULL;
    hf_buf_free(&path);
    return err;
}

enum hf_err hf_admin_rollout_read(struct hf_admin_api *api, const char *name,
                                  struct hf_admin_call *call, struct hf_why *why)
{
    *call = (struct hf_admin_call){.method = "GET"};
    return hf_admin_rollout_call(api, name, "", call, why);
}

enum hf_err hf_admin_rollout_post_take(struct hf_admin_api *api, const char *name, const char *end,
                                       json_t *body, json_t **out, struct hf_why *why)
{
    struct hf_admin_call call = {.method = "POST", .body = body};
    enum hf_err err = body != NULL ? hf_admin_rollout_call(api, name, end, &call, why)
                                   : hf_fail(why, HF_E_MEMORY, "no memory for a request");

    json_decref(body);
    if (err == HF_OK)
        *out = call.answer;
    return err;
}

/* ---- list, show ------------------------------------------------------------------------------ */

/* The names of a rollout and of its stage as people type and count them. */
static void add_names(json_t *rollout)
{
    const json_t *stage = json_object_get(rollout, "stage");
    const json_t *now = json_object_get(rollout, "counts");
    const char *key;
    json_t *value;

    (void)json_object_set_new(rollout, "rollout",
                              json_sprintf("%s/%s/%" PRId64,
                                           json_string_value(json_object_get(rollout, "set")),
                                           json_string_value(json_object_get(rollout, "profile")),
                                           (int64_t)json_integer_value(
                                               json_object_get(rollout, "version"))));
    (void)json_object_set_new(rollout, "stage",
                              json_sprintf("%" PRId64 "/%" PRId64,
                                           json_is_integer(stage)
                                               ? (int64_t)json_integer_value(stage) + 1
                                               : 0,
                                           (int64_t)json_integer_value(
                                               json_object_get(rollout, "stages"))));
    json_object_foreach(hf_json_iterable(now), key, value)(void)
        json_object_set(rollout, key, value);
}

static enum hf_err list(struct hf_cli_call *cli, struct hf_why *why)
{
    static const char *const columns[] = {"rollout", "state",          "stage",     "devices",
                                          "waiting", "on_trial",       "confirmed", "failed",
                                          "silent",  "mandatory_from", NULL};
    const struct hf_admin_options *o = cli->values;
    struct hf_admin_api *api = NULL;
    struct hf_admin_call call = {.method = "GET", .path = "/v1/rollouts"};
    json_t *rollout;
    size_t i;

    enum hf_err err = hf_admin_open_for(o, &api, why);
    if (err == HF_OK)
        err = hf_admin_call(api, &call, why);
    if (err == HF_OK && o->is_json) {
        err = hf_json_print_take(json_incref(call.answer), stdout, why);
    } else if (err == HF_OK) {
        const json_t *all = json_object_get(call.answer, "rollouts");
        json_array_foreach(all, i, rollout) add_names(rollout);
        err = hf_report_json_table(columns, all, stdout, why);
    }
    json_decref(call.answer);
    hf_admin_close(api);
    return err;
}

static enum hf_err show(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    struct hf_admin_api *api = NULL;
    struct hf_admin_call call = {0};

    enum hf_err err = hf_admin_open_for(o, &api, why);
    if (err == HF_OK)
        err = hf_admin_rollout_read(api, cli->words[0], &call, why);
    if (err == HF_OK)
        err = o->is_json ? hf_json_print_take(json_incref(call.answer), stdout, why)
                         : hf_admin_rollout_print(call.answer, time(NULL), stdout, why);
    json_decref(call.answer);
    hf_admin_close(api);
    return err;
}

/* ---- steps ----------------------------------------------------------------------------------- */

enum act { PAUSE, RESUME, PROMOTE, ABORT };

static const struct {
    const char *end;
    const char *question; /* NULL: none is asked */
    bool looks_first;     /* it is refused if another step was signed since (from) */
} acts[] = {
    [PAUSE] = {"/pause", NULL, false},
    [RESUME] = {"/resume", NULL, true},
    [PROMOTE] = {"/promote", "Open the next stage now, whatever the results are?", true},
    [ABORT] = {"/abort", "Abort this rollout? It cannot be resumed.", false},
};

/* The question is about what is shown before it. */
static enum hf_err look(struct hf_admin_api *api, const char *name, bool is_asked, json_t *body,
                        struct hf_why *why)
{
    struct hf_admin_call seen = {0};

    HF_TRY(hf_admin_rollout_read(api, name, &seen, why));
    enum hf_err err = is_asked && isatty(STDIN_FILENO) == 1
                          ? hf_admin_rollout_print_line(seen.answer, stderr, why)
                          : HF_OK;
    if (err == HF_OK &&
        json_object_set(body, "from", json_object_get(seen.answer, "role_version")) != 0)
        err = hf_fail(why, HF_E_FORMAT, "the service does not say which step of %s was signed last",
                      name);
    json_decref(seen.answer);
    return err;
}

/* A stopped rollout still ends: the plan was signed offline. */
json_t *hf_admin_reason(const char *typed)
{
    json_t *text = json_string(typed);

    return text != NULL ? text : hf_json_plain(typed); /* no UTF-8 */
}

static void print_step(const char *name, const json_t *step)
{
    const char *state = json_string_value(json_object_get(step, "state"));
    const char *mandatory = json_string_value(json_object_get(step, "mandatory_from"));
    char until[HF_ADMIN_UNTIL_MAX];

    printf("%s: %s, stage %" PRId64 "\n", name, state,
           (int64_t)json_integer_value(json_object_get(step, "stage")) + 1);
    if (mandatory == NULL || state == NULL ||
        (strcmp(state, "paused") != 0 && strcmp(state, "aborted") != 0))
        return;
    hf_admin_until(mandatory, time(NULL), until);
    printf("Every device installs it all the same from %s on (%s). If it is bad, publish a higher\n"
           "version before then, and unlist this one (holdfastctl bundle unlist).\n",
           mandatory, until);
}

static enum hf_err act(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    const enum act which = (enum act)cli->command->variant;
    const char *name = cli->words[0];
    struct hf_admin_api *api = NULL;
    json_t *answer = NULL;
    json_t *body = hf_json_set_take(json_object(), "reason", hf_admin_reason(o->reason));

    enum hf_err err = body != NULL ? hf_admin_open_for(o, &api, why)
                                   : hf_fail(why, HF_E_MEMORY, "no memory for a request");
    if (err == HF_OK && acts[which].looks_first)
        err = look(api, name, acts[which].question != NULL && !o->is_yes, body, why);
    if (err == HF_OK && acts[which].question != NULL)
        err = hf_admin_ask(acts[which].question, o->is_yes, why);
    if (err == HF_OK)
        err = hf_admin_rollout_post_take(api, name, acts[which].end, json_incref(body), &answer,
                                         why);
    if (err == HF_OK && o->is_json)
        err = hf_json_print_take(json_incref(answer), stdout, why);
    else if (err == HF_OK)
        print_step(name, answer);
    json_decref(answer);
    json_decref(body);
    hf_admin_close(api);
    return err;
}

/* ---- approve --------------------------------------------------------------------------------- */

/* The step that comes next, as the rollout stands now. */
static enum hf_err next_step(struct hf_admin_api *api, const char *name, json_t **out,
                             struct hf_why *why)
{
    struct hf_admin_call seen = {0};

    HF_TRY(hf_admin_rollout_read(api, name, &seen, why));
    const json_t *stage = json_object_get(seen.answer, "stage"),
                 *since = json_object_get(seen.answer, "since");
    const char *state = json_string_value(json_object_get(seen.answer, "state"));
    const bool is_paused = state != NULL && strcmp(state, "paused") == 0;
    const json_int_t next = !json_is_integer(stage)
                                ? 0
                                : json_integer_value(stage) + (is_paused ? 0 : 1);
    *out = json_pack("{s:O, s:I, s:s}", "since", since, "stage", next, "state", "open");
    const bool is_waiting = json_is_null(since);
    json_decref(seen.answer);
    if (is_waiting)
        return hf_fail(why, HF_E_STATE, "%s: its first stage needs no approval", name);
    return *out != NULL
               ? HF_OK
               : hf_fail(why, HF_E_FORMAT,
                         "the service does not say which step of %s was signed last", name);
}

/* What an approver signed at the desk; it says itself for which step of which bundle. */
static enum hf_err read_approval(const char *file, const char *name, json_t **out,
                                 struct hf_why *why)
{
    static const char *const members[] = {"since", "stage", "state", "approver", "signature"};
    struct hf_buf text = {0};
    json_t *approval = NULL, *body = json_object();
    char path[512];

    enum hf_err err = hf_file_read_any(file, APPROVAL_BYTES_MAX, &text, why);
    if (err == HF_OK)
        err = hf_json_parse_object(hf_buf_bytes(&text), file, &approval, why);
    const char *said = json_string_value(json_object_get(approval, "path"));
    (void)snprintf(path, sizeof path, "%s.pem", name);
    if (err == HF_OK && (said == NULL || strcmp(said, path) != 0))
        err =
            hf_fail(why, HF_E_ARGUMENT,
                    "%s: the approval is for another bundle (expected \"%s\", found \"%s\"). Make "
                    "one with `holdfastctl rollout approve %s`",
                    file, path, said != NULL ? said : "", name);
    for (size_t i = 0; i < sizeof members / sizeof members[0] && err == HF_OK; i++)
        if (json_object_set(body, members[i], json_object_get(approval, members[i])) != 0)
            err = hf_fail(why, HF_E_FORMAT, "%s: \"%s\" is missing. Make the approval again", file,
                          members[i]);
    json_decref(approval);
    hf_buf_free(&text);
    if (err == HF_OK)
        *out = body;
    else
        json_decref(body);
    return err;
}

static enum hf_err approve(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    const char *name = cli->words[0];
    struct hf_admin_api *api = NULL;
    json_t *body = NULL, *answer = NULL;

    enum hf_err err = hf_admin_open_for(o, &api, why);
    if (err == HF_OK)
        err = o->approval != NULL ? read_approval(o->approval, name, &body, why)
                                  : next_step(api, name, &body, why);
    const int64_t stage = json_integer_value(json_object_get(body, "stage")) + 1;
    if (err == HF_OK)
        err = hf_admin_rollout_post_take(api, name, "/approve",
                                         hf_json_set_take(body, "reason",
                                                          hf_admin_reason(o->reason)),
                                         &answer, why);
    else
        json_decref(body);
    if (err == HF_OK && o->is_json)
        err = hf_json_print_take(json_incref(answer), stdout, why);
    else if (err == HF_OK)
        printf("%s: stage %" PRId64 " is approved, %" PRId64 " of %" PRId64 "\n", name, stage,
               (int64_t)json_integer_value(json_object_get(answer, "approvals_given")),
               (int64_t)json_integer_value(json_object_get(answer, "approvals_needed")));
    json_decref(answer);
    hf_admin_close(api);
    return err;
}

/* ---- the rows -------------------------------------------------------------------------------- */

#define AT(member) HF_ADMIN_AT(member)
#define REASON                                                                                     \
    {                                                                                              \
        "reason", '\0', HF_CLI_TEXT, AT(reason),                                                   \
            "why: one line, signed, which every device reads", "TEXT"                              \
    }
#define YES                                                                                        \
    {                                                                                              \
        "yes", '\0', HF_CLI_FLAG, AT(is_yes), "do not ask"                                         \
    }
static const struct hf_cli_option plain_options[] = {HF_ADMIN_WHERE};
static const struct hf_cli_option step_options[] = {REASON, HF_ADMIN_WHERE};
static const struct hf_cli_option asked_options[] = {REASON, YES, HF_ADMIN_WHERE};
static const struct hf_cli_option approve_options[] =
    {{"approval", '\0', HF_CLI_TEXT, AT(approval),
      "an approver's signature, made by holdfastctl rollout approve", "FILE"},
     {"reason", '\0', HF_CLI_TEXT, AT(reason), "why; it stays in the audit log", "TEXT"},
     HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_rollout_list = {
    .name = "rollout list",
    .summary = "List the rollouts: bundles that reach the fleet in stages.",
    .arguments = "[OPTION…]",
    .about = "One row for each published bundle that has a plan. The devices are those of the\n"
             "stages up to the signed one, in all accounts.",
    .examples = "  holdfast-admin rollout list\n",
    .options = plain_options,
    .run = list,
};

const struct hf_cli_command hf_admin_rollout_show = {
    .name = "rollout show",
    .summary = "Show how far a rollout has come, and why it does not go on.",
    .arguments = HF_ADMIN_ROLLOUT " [OPTION…]",
    .about =
        "Shows what is signed, what comes next or what it waits for, the devices of each stage\n"
        "by result, and beside them the conditions of the plan: the next stage opens when all\n"
        "are kept, and too many failed or silent devices pause the rollout. `rollout devices`\n"
        "lists the devices behind a number.",
    .examples = "  holdfast-admin rollout show amazon-iot/full/3\n",
    .options = plain_options,
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = show,
};

const struct hf_cli_command hf_admin_rollout_pause = {
    .name = "rollout pause",
    .summary = "Pause a rollout: no further device installs the bundle.",
    .arguments = HF_ADMIN_ROLLOUT " --reason TEXT [OPTION…]",
    .about =
        "Devices obey at their next check. Devices that have the bundle keep it. A pause does\n"
        "not last beyond mandatory_from of the plan.",
    .examples = "  holdfast-admin rollout pause amazon-iot/full/3 --reason \"the broker in Lyon is "
                "down\"\n",
    .options = step_options,
    .needs = {"--reason TEXT"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = act,
    .variant = PAUSE,
};

const struct hf_cli_command hf_admin_rollout_resume = {
    .name = "rollout resume",
    .summary = "Open the stage of a paused rollout again.",
    .arguments = HF_ADMIN_ROLLOUT " --reason TEXT [OPTION…]",
    .about =
        "The bake time of the stage begins again. If too many devices have failed or are\n"
        "silent, the service pauses it again: repair or exclude them first (rollout exclude).\n"
        "The signer resumes a rollout only a few times a day.",
    .examples =
        "  holdfast-admin rollout resume amazon-iot/full/3 --reason \"the broker is back\"\n",
    .options = step_options,
    .needs = {"--reason TEXT"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = act,
    .variant = RESUME,
};

const struct hf_cli_command hf_admin_rollout_promote = {
    .name = "rollout promote",
    .summary = "Open the next stage without waiting for the results.",
    .arguments = HF_ADMIN_ROLLOUT " --reason TEXT [--yes] [OPTION…]",
    .about =
        "After the last stage the rollout is complete. Bake times and the calendar of the plan\n"
        "are kept: neither the signer nor devices go ahead of them.",
    .examples =
        "  holdfast-admin rollout promote amazon-iot/full/3 --reason \"20 devices are off for "
        "the winter\"\n",
    .options = asked_options,
    .needs = {"--reason TEXT"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = act,
    .variant = PROMOTE,
};

const struct hf_cli_command hf_admin_rollout_abort = {
    .name = "rollout abort",
    .summary = "End a rollout: no further device installs the bundle.",
    .arguments = HF_ADMIN_ROLLOUT " --reason TEXT [--yes] [OPTION…]",
    .about = "It cannot be resumed. From mandatory_from of the plan on every device installs the\n"
             "bundle all the same, because the plan was signed offline: publish a higher version\n"
             "before then, and unlist this one (holdfastctl bundle unlist).",
    .examples = "  holdfast-admin rollout abort amazon-iot/full/3 --reason \"a root is missing\" "
                "--yes\n",
    .options = asked_options,
    .needs = {"--reason TEXT"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = act,
    .variant = ABORT,
};

const struct hf_cli_command hf_admin_rollout_approve = {
    .name = "rollout approve",
    .summary = "Approve the next step of a rollout.",
    .arguments = HF_ADMIN_ROLLOUT " --reason TEXT [--approval FILE] [OPTION…]",
    .about =
        "For plans with the approval `api` or `signed`. The approval counts for the next step\n"
        "only. With `signed` the approver signs the step on another machine (holdfastctl rollout\n"
        "approve), and FILE is what that wrote.",
    .examples = "  holdfast-admin rollout approve amazon-iot/full/3 --reason \"looks good\"\n"
                "  holdfast-admin rollout approve amazon-iot/full/3 --approval alice.json \\\n"
                "      --reason \"alice has signed\"\n",
    .options = approve_options,
    .needs = {"--reason TEXT"},
    .needs_word = HF_ADMIN_NEEDS_ROLLOUT,
    .max_words = 1,
    .run = approve,
};
