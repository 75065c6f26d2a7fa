/* holdfast journal: what has happened on this device. */
#include "client/agent/agent.h"
#include "common/cli/report.h"

struct journal_options {
    struct hf_agent_options common;
    int n_lines;
};

static void print_line(void *ctx, const struct hf_event *event)
{
    fprintf(ctx, "%s %-7s %-10s %s\n", hf_agent_time(event->time_s).text,
            hf_agent_level_names[event->level], event->kind, event->text);
}

static void add_line(void *ctx, const struct hf_event *event)
{
    static const struct hf_field fields[] = {
        {"time", HF_FIELD_TIME, offsetof(struct hf_event, time_s)},
        {"level", HF_FIELD_ENUM, offsetof(struct hf_event, level), .names = hf_agent_level_names},
        {"kind", HF_FIELD_TEXT, offsetof(struct hf_event, kind)},
        {"text", HF_FIELD_TEXT, offsetof(struct hf_event, text)},
        {0},
    };
    json_t **lines = ctx;

    *lines = hf_json_append_take(*lines, hf_report_object(fields, event, NULL));
}

static enum hf_err journal(struct hf_cli_call *call, struct hf_why *why)
{
    const struct journal_options *o = call->values;
    struct hf_posix *posix = NULL;

    if (o->n_lines < 1)
        return hf_cli_usage(call, "--lines is a number of lines, 1 or more");
    HF_TRY(hf_agent_open(call, &posix, why));
    json_t *lines = o->common.as_json ? json_array() : NULL;
    enum hf_err err = o->common.as_json
                          ? hf_posix_journal_read(posix, (size_t)o->n_lines, add_line, &lines, why)
                          : hf_posix_journal_read(posix, (size_t)o->n_lines, print_line, stdout,
                                                  why);
    if (err == HF_OK && o->common.as_json)
        err = hf_json_print_take(json_incref(lines), stdout, why);
    json_decref(lines);
    hf_posix_close(posix);
    return err;
}

static const struct hf_cli_option options[] = {
    {"lines", 'n', HF_CLI_INT, offsetof(struct journal_options, n_lines),
     "at most N lines (default 50)", "N", .preset = 50},
    {"json", 'j', HF_CLI_FLAG, offsetof(struct hf_agent_options, as_json),
     "as an array, for programs", NULL},
    HF_AGENT_STATE,
    HF_AGENT_VERBOSE,
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_journal = {
    .name = "journal",
    .summary = "what happened on this device, newest first",
    .arguments = "[--lines N] [--json] [--state DIR]",
    .about =
        "Prints the device's journal, the newest line first: time, level, kind and a sentence. It\n"
        "contains changes of the trust store, refusals and failures; of a repeated failure only\n"
        "the first. The device keeps the newest 1000 lines.",
    .examples = "  holdfast journal --lines 5\n"
                "  holdfast journal --json | jq -r '.[] | select(.kind == \"swap\") | .text'\n",
    .options = options,
    .values_size = sizeof(struct journal_options),
    .run = journal,
};
