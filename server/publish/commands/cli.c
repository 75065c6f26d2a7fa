#include "server/publish/commands/cli.h"

#include "common/base/limits.h"
#include "server/repository/base/verbose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_help(const struct hf_cli *cli)
{
    const struct hf_command *command = cli->command;
    printf("Usage: holdfastctl %s %s\n\n%s\n\n%s\n", command->name, command->arguments,
           command->summary, command->text);
    fflush(stdout);
    /* popt's own usage line says less than ours; what it lists after that line is what we want. */
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (memory == NULL)
        return;
    poptPrintHelp(cli->popt, memory, 0);
    fclose(memory);
    const char *options = strchr(text, '\n');
    printf("\nOptions:%s\nExamples:\n%s\nExit code: 0 done, 1 refused or failed, 2 wrong usage\n",
           options == NULL ? "\n" : options, command->examples);
    free(text);
}

int hf_cli_usage(const struct hf_command *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "holdfastctl %s: ", command->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "; see holdfastctl %s --help\n", command->name);
    va_end(args);
    return HF_EXIT_USAGE;
}

static bool is_quiet;

bool hf_cli_take_global(const char *word)
{
    if (strcmp(word, "-v") == 0 || strcmp(word, "--verbose") == 0)
        hf_verbose_on();
    else if (strcmp(word, "-q") == 0 || strcmp(word, "--quiet") == 0)
        is_quiet = true;
    else
        return false;
    return true;
}

bool hf_cli_begin(struct hf_cli *cli, const struct hf_command *command, int argc, const char **argv,
                  const struct poptOption *options, int *exit_code)
{
    cli->command = command;
    cli->popt = poptGetContext("holdfastctl", argc, argv, options, 0);
    int code;
    while ((code = poptGetNextOpt(cli->popt)) > 0) {
        if (code == 'h') {
            print_help(cli);
            *exit_code = HF_EXIT_OK;
            return false;
        }
        if (code == 'v')
            hf_verbose_on();
        if (code == 'q')
            is_quiet = true;
    }
    if (code < -1) {
        *exit_code = hf_cli_usage(command, "%s: %s",
                                  poptBadOption(cli->popt, POPT_BADOPTION_NOALIAS),
                                  poptStrerror(code));
        return false;
    }
    if (is_quiet && freopen("/dev/null", "w", stdout) == NULL) {
        fprintf(stderr, "holdfastctl: cannot open /dev/null: %m\n");
        *exit_code = HF_EXIT_FAILED;
        return false;
    }
    return true;
}

void hf_cli_end(struct hf_cli *cli)
{
    poptFreeContext(cli->popt);
    cli->popt = NULL;
}

const char **hf_cli_arguments(const struct hf_cli *cli)
{
    return poptGetArgs(cli->popt);
}

bool hf_cli_need(const struct hf_command *command, const char *option, const char *value)
{
    if (value != NULL && value[0] != '\0')
        return true;
    (void)hf_cli_usage(command, "%s is missing", option);
    return false;
}

bool hf_cli_no_arguments(const struct hf_cli *cli)
{
    const char *extra = poptPeekArg(cli->popt);
    if (extra == NULL)
        return true;
    (void)hf_cli_usage(cli->command, "nothing is to be done with \"%s\"", extra);
    return false;
}

int hf_cli_finish(enum hf_err err, const struct hf_why *why)
{
    if (err == HF_OK)
        return HF_EXIT_OK;
    fprintf(stderr, "holdfastctl: %s\n", why->text);
    return err == HF_E_ARGUMENT ? HF_EXIT_USAGE : HF_EXIT_FAILED;
}

const char *const *hf_cli_list(char *const *texts)
{
    return (const char *const *)texts;
}

void hf_cli_list_free(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        free(texts[i]);
    free(texts);
}

void hf_cli_place_free(struct hf_cli_place *place)
{
    free(place->repo);
    free(place->keys);
    hf_cli_list_free(place->given_keys);
    free(place->passphrase_file);
    free(place->online_passphrase_file);
    *place = (struct hf_cli_place){0};
}

struct hf_publication_place hf_cli_publication(const struct hf_cli_place *place,
                                               enum hf_key_half half)
{
    return (struct hf_publication_place){.half = half,
                                         .is_clock_right = place->is_clock_right != 0,
                                         .repo_dir = place->repo,
                                         .keys_dir = place->keys,
                                         .given_keys = hf_cli_list(place->given_keys),
                                         .passphrase_file = place->passphrase_file,
                                         .online_passphrase_file = place->online_passphrase_file,
                                         .now_s = hf_cli_now_s()};
}

enum hf_err hf_cli_read_root(const char *file, struct hf_buf *out, struct hf_why *why)
{
    if (file == NULL)
        return HF_OK;
    HF_TRY(hf_file_read_any(file, HF_ROOT_BYTES_MAX, out, why));
    if (out->len == 0)
        return hf_fail(why, HF_E_FORMAT, "%s is empty; it should be root metadata", file);
    return HF_OK;
}

int64_t hf_cli_now_s(void)
{
    return (int64_t)time(NULL);
}

int hf_cli_run_online(const struct hf_command *command, int argc, const char **argv,
                      enum hf_err (*work)(const struct hf_publication_place *place, bool is_json,
                                          struct hf_why *why))
{
    struct hf_cli_place place = {0};
    int is_json = 0;
    const struct poptOption options[] = {HF_CLI_REPO(&place),
                                         HF_CLI_KEYS(&place),
                                         HF_CLI_KEY(&place),
                                         HF_CLI_PASSPHRASE(&place),
                                         HF_CLI_CLOCK(&place),
                                         HF_CLI_ONLINE_PASSPHRASE(&place),
                                         HF_CLI_JSON(&is_json, "publish-report"),
                                         HF_CLI_HELP,
                                         HF_CLI_END};
    struct hf_cli cli;
    struct hf_why why = {0};
    int exit_code = HF_EXIT_USAGE;
    if (hf_cli_begin(&cli, command, argc, argv, options, &exit_code) &&
        hf_cli_need(command, "--repo", place.repo) && hf_cli_need(command, "--keys", place.keys) &&
        hf_cli_no_arguments(&cli)) {
        struct hf_publication_place at = hf_cli_publication(&place, HF_KEYS_ONLINE);
        exit_code = hf_cli_finish(work(&at, is_json != 0, &why), &why);
    }
    hf_cli_end(&cli);
    hf_cli_place_free(&place);
    return exit_code;
}
