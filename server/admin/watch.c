/* holdfast-admin fleet watch: what happens, as it happens. */
#include "server/admin/follow.h"

#include "common/base/plaintext.h"
#include "common/json/json.h"
#include "common/os/file_util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_HEAP_MAX (1024u * 1024u) /* of one event as JSON values */

/* A text that others have written: without what steers a terminal, in quotes where it has
 * blanks. */
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

/* TIME ACCOUNT KIND and then each member that says something; "-" for what concerns all
 * accounts. */
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

/* hf_admin_follower.take */
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

static enum hf_err watch(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    bool is_json = o->is_json;
    const struct hf_admin_follower printer = {.take = print_event, .ctx = &is_json};

    return hf_admin_follow_events(o, &printer, why);
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
