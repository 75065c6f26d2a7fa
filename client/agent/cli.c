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

void hf_cli_words_free(struct hf_cli_words *words)
{
    for (size_t i = 0; i < words->n; i++)
        free(words->list[i]);
    *words = (struct hf_cli_words){0};
}

static void take_words(poptContext popt, size_t max, struct hf_cli_words *out)
{
    while (out->n < max && poptPeekArg(popt) != NULL) {
        char *word = strdup(poptGetArg(popt));
        if (word != NULL)
            out->list[out->n++] = word;
    }
}

static bool parse(const struct hf_cli_text *text, poptContext popt, size_t max,
                  struct hf_cli_words *words, int *exit_code)
{
    bool is_quiet = false;
    int code;

    while ((code = poptGetNextOpt(popt)) > 0) {
        if (code == 'h') {
            print_help(text, popt);
            *exit_code = HF_EXIT_OK;
            return false;
        }
        is_quiet = is_quiet || code == 'q';
    }
    if (words != NULL)
        take_words(popt, max, words);
    const char *surplus = poptPeekArg(popt);
    if (code < -1)
        *exit_code = hf_cli_usage(text, "%s: %s", poptBadOption(popt, POPT_BADOPTION_NOALIAS),
                                  poptStrerror(code));
    else if (surplus != NULL)
        *exit_code = hf_cli_usage(text, "unexpected argument \"%s\"", surplus);
    if (code != -1 || surplus != NULL)
        return false;
    if (is_quiet && freopen("/dev/null", "w", stdout) == NULL)
        fputs("holdfast: --quiet: /dev/null cannot be opened\n", stderr);
    return true;
}

bool hf_cli_parse(const struct hf_cli_text *text, int argc, const char **argv,
                  const struct poptOption *options, int *exit_code)
{
    return hf_cli_parse_words(text, argc, argv, options, 0, NULL, exit_code);
}

bool hf_cli_parse_words(const struct hf_cli_text *text, int argc, const char **argv,
                        const struct poptOption *options, size_t max, struct hf_cli_words *out,
                        int *exit_code)
{
    poptContext popt = poptGetContext("holdfast", argc, argv, options, 0);
    bool go_on = parse(text, popt, max, out, exit_code);
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
    if (before_command != NULL)
        return before_command;
    const char *from_environment = getenv("HOLDFAST_STATE");
    return from_environment != NULL && from_environment[0] != '\0' ? from_environment
                                                                   : HF_CLI_STATE_DEFAULT;
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
    return err == HF_E_ARGUMENT ? HF_EXIT_USAGE : HF_EXIT_FAILED;
}

enum hf_err hf_cli_print_json(json_t *json, struct hf_why *why)
{
    int failed = json == NULL ? -1 : json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

    json_decref(json);
    putchar('\n');
    return failed == 0 ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory for the JSON text");
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
