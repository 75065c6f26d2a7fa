#include "client/agent/cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- parsing ----------------------------------------------------------------------------------- */

/* What popt lists, without its own usage line, which says less than ours. */
static void print_options(poptContext popt)
{
    char *text = NULL;
    size_t len = 0;

    FILE *memory = open_memstream(&text, &len);
    if (memory == NULL)
        return;
    poptPrintHelp(popt, memory, 0);
    if (fclose(memory) == 0) {
        const char *options = strchr(text, '\n');
        printf("\nOptions:%s", options == NULL ? "\n" : options);
    }
    free(text);
}

static void print_help(const struct hf_cli_text *text, poptContext popt)
{
    printf("Usage: holdfast %s %s\n\n%s\n", text->name, text->arguments, text->about);
    print_options(popt);
    printf("\nExamples:\n%s\nExit code: 0 done, 1 refused or failed, 2 wrong usage%s\n",
           text->examples, text->more_exit_codes != NULL ? text->more_exit_codes : "");
}

int hf_cli_usage(const struct hf_cli_text *text, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "holdfast %s: ", text->name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "; see holdfast %s --help\n", text->name);
    return HF_EXIT_USAGE;
}

/** `word` is NULL where none is taken; it is borrowed from `popt`. */
static bool parse(const struct hf_cli_text *text, poptContext popt, const char **word,
                  int *exit_code)
{
    int code;

    while ((code = poptGetNextOpt(popt)) > 0) {
        if (code == 'h') {
            print_help(text, popt);
            *exit_code = HF_EXIT_OK;
            return false;
        }
    }
    if (word != NULL)
        *word = poptGetArg(popt);
    const char *surplus = poptPeekArg(popt);
    if (code < -1)
        *exit_code = hf_cli_usage(text, "%s: %s", poptBadOption(popt, POPT_BADOPTION_NOALIAS),
                                  poptStrerror(code));
    else if (surplus != NULL)
        *exit_code = hf_cli_usage(text, "'%s' is one word too many", surplus);
    return code == -1 && surplus == NULL;
}

bool hf_cli_parse(const struct hf_cli_text *text, int argc, const char **argv,
                  const struct poptOption *options, int *exit_code)
{
    poptContext popt = poptGetContext("holdfast", argc, argv, options, 0);
    bool go_on = parse(text, popt, NULL, exit_code);
    poptFreeContext(popt);
    return go_on;
}

bool hf_cli_parse_word(const struct hf_cli_text *text, int argc, const char **argv,
                       const struct poptOption *options, char **word, int *exit_code)
{
    poptContext popt = poptGetContext("holdfast", argc, argv, options, 0);
    const char *found = NULL;
    bool go_on = parse(text, popt, &found, exit_code);
    *word = go_on && found != NULL ? strdup(found) : NULL;
    poptFreeContext(popt);
    return go_on;
}

/* ---- what commands share ------------------------------------------------------------------------- */

void hf_cli_common_free(struct hf_cli_common *common)
{
    free(common->state);
    *common = (struct hf_cli_common){0};
}

const char *hf_cli_state(const struct hf_cli_common *common, const char *before_command)
{
    if (common->state != NULL)
        return common->state;
    return before_command != NULL ? before_command : HF_CLI_STATE_DEFAULT;
}

static void write_log(void *ctx, enum hf_level level, const char *text)
{
    static const char *const words[] = {[HF_LEVEL_DEBUG] = "debug",
                                        [HF_LEVEL_INFO] = "info",
                                        [HF_LEVEL_WARNING] = "warning",
                                        [HF_LEVEL_ERROR] = "error"};

    (void)ctx;
    fprintf(stderr, "holdfast: %s: %s\n", words[level], text);
}

struct hf_log_port hf_cli_log(const struct hf_cli_common *common)
{
    return (struct hf_log_port){.write = common->is_verbose ? write_log : NULL};
}

int hf_cli_finish(enum hf_err err, const struct hf_why *why)
{
    if (err == HF_OK)
        return HF_EXIT_OK;
    if (err == HF_E_POSTPONED) {
        printf("postponed: %s\n", why->text);
        return HF_EXIT_POSTPONED;
    }
    fprintf(stderr, "holdfast: %s\n", why->text);
    return HF_EXIT_FAILED;
}

void hf_cli_format_duration(int64_t s, char out[HF_CLI_DURATION_MAX])
{
    if (s >= 2 * 86400)
        (void)snprintf(out, HF_CLI_DURATION_MAX, "%" PRId64 " d %" PRId64 " h", s / 86400,
                       s % 86400 / 3600);
    else if (s >= 3600)
        (void)snprintf(out, HF_CLI_DURATION_MAX, "%" PRId64 " h %" PRId64 " min", s / 3600,
                       s % 3600 / 60);
    else if (s >= 60)
        (void)snprintf(out, HF_CLI_DURATION_MAX, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        (void)snprintf(out, HF_CLI_DURATION_MAX, "%" PRId64 " s", s);
}

static void print_change(FILE *out, const struct hf_posix_config *config,
                         const struct hf_update_result *result)
{
    const struct hf_client_config *client = &config->client;

    if (!result->is_changed)
        fprintf(out, "current %s/%s %" PRId64, client->set, client->profile, result->to_version);
    else if (result->from_version < 0)
        fprintf(out, "updated %s/%s none -> %" PRId64, client->set, client->profile,
                result->to_version);
    else
        fprintf(out, "%s %s/%s %" PRId64 " -> %" PRId64,
                result->is_rolled_back ? "rolled back" : "updated", client->set, client->profile,
                result->from_version, result->to_version);
}

void hf_cli_print_result(FILE *out, const struct hf_posix_config *config,
                         const struct hf_update_result *result)
{
    print_change(out, config, result);
    if (result->is_recovered)
        fputs(" (recovery: no server's chain was asked to be valid)", out);
}
