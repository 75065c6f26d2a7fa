/* holdfast-admin fleet watch: what happens, as it happens, over as many connections as it takes. */
#include "server/admin/api.h"
#include "server/admin/commands.h"
#include "server/admin/event_stream.h"

#include "common/base/percent.h"
#include "common/base/plaintext.h"
#include "common/os/file_util.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENT_HEAP_MAX (1024u * 1024u) /* of one event as JSON values */
#define WAIT_FIRST_MS 1000u
#define WAIT_MAX_MS 60000u
#define WAIT_STEP_MS 200u /* how long Ctrl-C waits at most */

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
    (void)number;
    is_stopped = 1;
}

/* ---- printing ------------------------------------------------------------------------------------ */

/* A text that others have written: without what steers a terminal, in quotes where it has blanks. */
static enum hf_err put_text(struct hf_buf *line, const char *text)
{
    bool is_plain = text[0] != '\0' && strpbrk(text, " \"") == NULL;
    char *copy = strdup(text);

    if (copy == NULL)
        return HF_E_MEMORY;
    hf_text_sanitize(copy);
    enum hf_err err = hf_buf_printf(line, is_plain ? "%s" : "\"%s\"", copy);
    free(copy);
    return err;
}

static enum hf_err put_member(struct hf_buf *line, const char *key, const json_t *value)
{
    const char *text = json_string_value(value);

    if (json_is_null(value) || (text != NULL && text[0] == '\0'))
        return HF_OK;
    HF_TRY(hf_buf_append_text(line, " "));
    HF_TRY(put_text(line, key));
    HF_TRY(hf_buf_append_text(line, "="));
    if (text != NULL)
        return put_text(line, text);
    return hf_json_dump(value, JSON_COMPACT | JSON_ENCODE_ANY, line, NULL);
}

/* TIME ACCOUNT KIND and then each member that says something; "-" for what concerns all accounts. */
static enum hf_err write_line(const char *kind, const json_t *data, struct hf_buf *line)
{
    const char *account = json_string_value(json_object_get(data, "account"));
    const char *when = json_string_value(json_object_get(data, "time"));
    const char *key;
    json_t *value;

    HF_TRY(put_text(line, when != NULL ? when : "-"));
    HF_TRY(hf_buf_append_text(line, " "));
    HF_TRY(put_text(line, account != NULL ? account : "-"));
    HF_TRY(hf_buf_append_text(line, " "));
    HF_TRY(put_text(line, kind));
    json_object_foreach(hf_json_iterable(data), key,
                        value) if (strcmp(key, "account") != 0 && strcmp(key, "time") != 0)
        HF_TRY(put_member(line, key, value));
    return HF_OK;
}

static enum hf_err write_json(const struct hf_stream_event *event, json_t *data,
                              struct hf_buf *line)
{
    if (json_object_set_new(data, "event", hf_json_plain(event->kind)) != 0 ||
        json_object_set_new(data, "id", hf_json_plain(event->id)) != 0)
        return HF_E_MEMORY;
    return hf_json_write(data, line, NULL);
}

/* hf_event_stream.take */
static enum hf_err print_event(void *ctx, const struct hf_stream_event *event, struct hf_why *why)
{
    const bool *is_json = ctx;
    struct hf_buf line = {0};
    json_t *data = NULL;

    HF_TRY(
        hf_json_parse_within(event->data, "an event of the service", EVENT_HEAP_MAX, &data, why));
    enum hf_err err = *is_json ? write_json(event, data, &line)
                               : write_line(event->kind, data, &line);
    json_decref(data);
    if (err == HF_OK)
        err = hf_buf_append_text(&line, "\n");
    if (err != HF_OK)
        err = hf_fail(why, err, "no memory for an event");
    else if (fwrite(line.data, 1, line.len, stdout) != line.len || fflush(stdout) != 0)
        err = hf_file_fail(why, "write", "standard output", errno);
    hf_buf_free(&line);
    return err;
}

/* ---- connections ---------------------------------------------------------------------------------- */

struct watch {
    struct hf_event_stream stream;
    bool is_json;
    bool was_connected; /* once, so that what is wrong now may pass */
    unsigned wait_ms;   /* before the next connection */
    enum hf_err err;    /* HF_OK until the stream itself is at fault, or standard output */
    struct hf_why why;
};

/* hf_admin_feed.take */
static bool take(void *ctx, struct hf_bytes bytes)
{
    struct watch *w = ctx;

    w->was_connected = true;
    w->wait_ms = WAIT_FIRST_MS;
    w->err = hf_event_stream_feed(&w->stream, bytes, &w->why);
    return w->err == HF_OK;
}

static bool may_pass(enum hf_err err)
{
    return err == HF_OK || err == HF_E_NETWORK || err == HF_E_TLS || err == HF_E_BUSY ||
           err == HF_E_LIMIT || err == HF_E_STATE;
}

/* Longer each time, and not all watchers of a service at the same moment. */
static void wait_before_next(struct watch *w, long retry_after_s, const char *reason)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
    unsigned wait_ms = w->wait_ms + randombytes_uniform(w->wait_ms);

    if (retry_after_s > 0 && retry_after_s <= WAIT_MAX_MS / 1000)
        wait_ms += 1000u * (unsigned)retry_after_s;
    w->wait_ms = 2 * w->wait_ms > WAIT_MAX_MS ? WAIT_MAX_MS : 2 * w->wait_ms;
    (void)fprintf(stderr, "%s. Connecting again in %u seconds\n", reason, (wait_ms + 999) / 1000);
    for (unsigned waited_ms = 0; waited_ms < wait_ms && is_stopped == 0; waited_ms += WAIT_STEP_MS)
        (void)nanosleep(&step, NULL);
}

static enum hf_err follow(struct watch *w, struct hf_admin_api *api, const char *path,
                          struct hf_why *why)
{
    while (is_stopped == 0) {
        struct hf_admin_feed feed = {.path = path,
                                     .last_id = w->stream.id,
                                     .take = take,
                                     .ctx = w,
                                     .is_stopped = &is_stopped};
        hf_event_stream_begin(&w->stream);
        enum hf_err err = hf_admin_follow(api, &feed, why);
        if (w->err != HF_OK) {
            if (why != NULL)
                *why = w->why;
            return w->err;
        }
        if (!may_pass(err) || (err != HF_OK && !w->was_connected))
            return err;
        if (is_stopped == 0)
            wait_before_next(w, feed.retry_after_s,
                             err == HF_OK || why == NULL ? "The service has ended the stream"
                                                         : why->text);
    }
    return HF_OK;
}

static enum hf_err watch(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    const struct sigaction on_stop = {.sa_handler = stop};
    struct watch w = {.is_json = o->is_json, .wait_ms = WAIT_FIRST_MS};
    struct hf_admin_api *api = NULL;
    struct hf_buf path = {0};

    w.stream.take = print_event;
    w.stream.ctx = &w.is_json;
    enum hf_err err = hf_buf_append_text(&path, "/v1/events");
    if (err == HF_OK && o->account != NULL)
        err = hf_buf_append_text(&path, "?account=");
    if (err == HF_OK && o->account != NULL)
        err = hf_percent_encode(o->account, "", &path);
    err = err == HF_OK ? hf_admin_open_for(o, &api, why)
                       : hf_fail(why, err, "no memory for a request");
    (void)sigaction(SIGINT, &on_stop, NULL);
    (void)sigaction(SIGTERM, &on_stop, NULL);
    if (err == HF_OK)
        err = follow(&w, api, (const char *)path.data, why);
    hf_admin_close(api);
    hf_event_stream_free(&w.stream);
    hf_buf_free(&path);
    return err;
}

static const struct hf_cli_option options[] = {{"account", 'a', HF_CLI_TEXT, HF_ADMIN_AT(account),
                                                "only events of this account, and those of all",
                                                "NAME"},
                                               HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_fleet_watch = {
    .name = "fleet watch",
    .summary = "Print what happens in the fleet, as it happens.",
    .arguments = "[--account NAME] [OPTION…]",
    .about =
        "A line for each event: a device reports something new, is enrolled, or its certificate\n"
        "changes; a finding opens or closes; metadata or a bundle is published. If the connection\n"
        "breaks, it is made again, and goes on after the last event that was printed. A line\n"
        "`gap` says that events were lost in between; the lists of the other commands have what\n"
        "they told. Ctrl-C ends it.",
    .examples = "  holdfast-admin fleet watch\n"
                "  holdfast-admin fleet watch --account pumps --json | jq 'select(.event == "
                "\"report\")'\n",
    .options = options,
    .run = watch,
};
