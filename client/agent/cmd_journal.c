/* holdfast journal: what has happened on this device. */
#include "client/agent/cli.h"
#include "client/port/posix/journal.h"
#include "common/base/timetext.h"

#include <jansson.h>

#define LINES_DEFAULT 50

static const struct hf_cli_text text = {
    .name = "journal",
    .arguments = "[--lines N] [--json] [--state DIR]",
    .about =
        "Prints the device's journal, the newest line first: time, level, kind and a sentence.\n"
        "Changes of the trust store, refusals and failures are in it; of the same failure, check\n"
        "after check, only the first. The device keeps the newest 1000 lines.",
    .examples = "  holdfast journal --lines 5\n"
                "  holdfast journal --json | jq -r '.[] | select(.kind == \"swap\") | .text'\n",
};

static const char *level_name(enum hf_level level)
{
    switch (level) {
    case HF_LEVEL_DEBUG:
        return "debug";
    case HF_LEVEL_INFO:
        return "info";
    case HF_LEVEL_WARNING:
        return "warning";
    case HF_LEVEL_ERROR:
        return "error";
    }
    return "error";
}

static void print_line(void *ctx, const struct hf_event *event)
{
    char when[HF_TIME_TEXT_MAX];

    hf_time_format(event->time_s, when);
    fprintf(ctx, "%s %-7s %-10s %s\n", when, level_name(event->level), event->kind, event->text);
}

/* What cannot be added for want of memory is missed when all is printed. */
static void add_line(void *ctx, const struct hf_event *event)
{
    json_t **lines = ctx;
    char when[HF_TIME_TEXT_MAX];

    hf_time_format(event->time_s, when);
    json_t *line = json_pack("{s:s, s:s, s:s, s:s}", "time", when, "level",
                             level_name(event->level), "kind", event->kind, "text", event->text);
    if (*lines == NULL || json_array_append_new(*lines, line) != 0) {
        json_decref(*lines);
        *lines = NULL;
    }
}

static enum hf_err print_json(struct hf_posix *posix, size_t max, struct hf_why *why)
{
    json_t *lines = json_array();

    enum hf_err err = hf_posix_journal_read(posix, max, add_line, &lines, why);
    if (err == HF_OK && (lines == NULL || json_dumpf(lines, stdout, JSON_INDENT(2)) != 0))
        err = hf_fail(why, HF_E_MEMORY, "the journal cannot be written as JSON");
    if (err == HF_OK)
        putchar('\n');
    json_decref(lines);
    return err;
}

static enum hf_err journal(const char *state_dir, const struct hf_cli_common *common, size_t max,
                           bool as_json, struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(state_dir, hf_cli_log(common), &posix, why));
    enum hf_err err = as_json ? print_json(posix, max, why)
                              : hf_posix_journal_read(posix, max, print_line, stdout, why);
    hf_posix_close(posix);
    return err;
}

int hf_cmd_journal(const char *state_dir, int argc, const char **argv)
{
    struct hf_cli_common common = {0};
    struct hf_why why = {0};
    int n_lines = LINES_DEFAULT;
    int as_json = 0;
    int exit_code = HF_EXIT_USAGE;
    const struct poptOption options[] = {
        {"lines", 'n', POPT_ARG_INT, &n_lines, 0, "at most so many (default 50)", "N"},
        {"json", 'j', POPT_ARG_NONE, &as_json, 0, "as an array, for programs", NULL},
        HF_CLI_STATE(&common),
        HF_CLI_VERBOSE(&common),
        HF_CLI_HELP,
        HF_CLI_END,
    };

    if (!hf_cli_parse(&text, argc, argv, options, &exit_code))
        goto out;
    if (n_lines < 1)
        exit_code = hf_cli_usage(&text, "--lines is a number of lines, 1 or more");
    else
        exit_code = hf_cli_finish(journal(hf_cli_state(&common, state_dir), &common,
                                          (size_t)n_lines, as_json != 0, &why),
                                  &why);
out:
    hf_cli_common_free(&common);
    return exit_code;
}
