/* holdfast-admin rollout watch: a rollout as it goes on. */
#include "server/admin/follow.h"
#include "server/admin/rollout.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENT_HEAP_MAX (1024u * 1024u) /* of one event as JSON values */

struct watch {
    const struct hf_admin_options *options;
    const char *name;
    struct hf_admin_api *api; /* another connection than that of the events */
    json_t *shown;            /* what was printed last; NULL: nothing */
    bool is_terminal;         /* drawn in place of what was there */
};

/* ---- printing -------------------------------------------------------------------------------- */

static enum hf_err print_json_line(const json_t *rollout, struct hf_why *why)
{
    struct hf_buf line = {0};
    enum hf_err err = hf_json_dump(rollout, JSON_COMPACT | JSON_ENSURE_ASCII, &line, why);

    if (err == HF_OK)
        printf("%s\n", (const char *)line.data);
    hf_buf_free(&line);
    return err;
}

static enum hf_err draw(const struct watch *w, struct hf_why *why)
{
    if (w->options->is_json)
        return print_json_line(w->shown, why);
    if (!w->is_terminal)
        return hf_admin_rollout_print_line(w->shown, stdout, why);
    fputs("\033[H\033[2J", stdout);
    HF_TRY(hf_admin_rollout_print(w->shown, time(NULL), stdout, why));
    fputs("\nIt is drawn again when something changes. Ctrl-C ends this.\n", stdout);
    return HF_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* `complete` ends the watch, `aborted` ends it as a failure: a script waits for one of them. */
static enum hf_err end_if_over(const struct watch *w, struct hf_why *why)
{
    const char *state = json_string_value(json_object_get(w->shown, "state"));
    const char *reason = json_string_value(json_object_get(w->shown, "reason"));

    if (state != NULL && strcmp(state, "complete") == 0)
        hf_admin_follow_stop();
    if (state != NULL && strcmp(state, "aborted") == 0)
        return hf_fail(why, HF_E_STATE, "%s was aborted: %s", w->name,
                       reason != NULL ? reason : "no reason was given");
    return HF_OK;
}

static enum hf_err read_and_draw(struct watch *w, struct hf_why *why)
{
    struct hf_admin_call call = {0};

    HF_TRY(hf_admin_rollout_read(w->api, w->name, &call, why));
    const bool is_new = w->shown == NULL || !json_equal(w->shown, call.answer);
    json_decref(w->shown);
    w->shown = call.answer;
    enum hf_err err = is_new ? draw(w, why) : HF_OK;
    if (fflush(stdout) != 0 && err == HF_OK)
        err = hf_fail(why, HF_E_STORAGE, "standard output cannot be written");
    return err == HF_OK ? end_if_over(w, why) : err;
}

/* A service that is busy or away now tells the next event, or takes the next connection. */
static enum hf_err read_again(struct watch *w, struct hf_why *why)
{
    enum hf_err err = read_and_draw(w, why);
    return err == HF_E_BUSY || err == HF_E_NETWORK || err == HF_E_LIMIT ? HF_OK : err;
}

/* hf_admin_follower.connected */
static enum hf_err connected(void *ctx, struct hf_why *why)
{
    return read_again(ctx, why);
}

static bool is_about(const json_t *data, const json_t *rollout)
{
    static const char *const names[] = {"set", "profile", "version"};
    bool is_same = true;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        is_same &= json_equal(json_object_get(data, names[i]), json_object_get(rollout, names[i]));
    return is_same;
}

/* hf_admin_follower.take: what happened is asked for, so that all that is drawn is of one
 * moment. */
static enum hf_err take(void *ctx, const struct hf_stream_event *event, struct hf_why *why)
{
    struct watch *w = ctx;
    json_t *data = NULL;

    if (strncmp(event->kind, "rollout", strlen("rollout")) != 0 && strcmp(event->kind, "gap") != 0)
        return HF_OK;
    HF_TRY(
        hf_json_parse_within(event->data, "an event of the service", EVENT_HEAP_MAX, &data, why));
    const bool is_ours = strcmp(event->kind, "gap") == 0 || is_about(data, w->shown);
    json_decref(data);
    return is_ours ? read_again(w, why) : HF_OK;
}

static enum hf_err watch(struct hf_cli_call *cli, struct hf_why *why)
{
    struct watch w = {.options = cli->values,
                      .name = cli->words[0],
                      .is_terminal = isatty(STDOUT_FILENO) == 1};
    const struct hf_admin_follower follower = {connected, take, &w};

    enum hf_err err = hf_admin_open_for(w.options, &w.api, why);
    if (err == HF_OK)
        err = read_and_draw(&w, why);
    if (err == HF_OK)
        err = hf_admin_follow_events(w.options, &follower, why);
    json_decref(w.shown);
    hf_admin_close(w.api);
    return err;
}

static const struct hf_cli_option options[] = {HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_rollout_watch = {
    .name = "rollout watch",
    .summary = "Show a rollout, and draw it again whenever something changes.",
    .arguments = "SET/PROFILE/VERSION [OPTION…]",
    .about =
        "On a terminal the view of `rollout show` is drawn again in its place; elsewhere each\n"
        "change is a line, and with --json an object. It ends with exit code 0 when the rollout "
        "is\n"
        "complete, with 1 when it is aborted; a paused one is watched on. A connection that "
        "breaks\n"
        "is made again. Ctrl-C ends it.",
    .examples = "  holdfast-admin rollout watch amazon-iot/full/3\n",
    .options = options,
    .needs_word = "a rollout, SET/PROFILE/VERSION (rollout list)",
    .max_words = 1,
    .run = watch,
};
