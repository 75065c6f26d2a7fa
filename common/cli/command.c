/* Finding a command, its help, and how it ends. */
#include "common/cli/cli.h"

#include "common/json/json.h"
#include "common/os/process.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPED_MAX 126 /* bytes of two words that are repeated in a sentence */

bool hf_cli_is_typo(const char *typed, const char *name)
{
    size_t i = 0, n_typed = strlen(typed), n_name = strlen(name);
    if (n_typed < 3)
        return false;
    if (strcasecmp(typed, name) == 0)
        return true;
    while (typed[i] != '\0' && typed[i] == name[i])
        i++;
    if (n_typed + 1 == n_name)
        return strcmp(typed + i, name + i + 1) == 0;
    if (n_typed == n_name + 1)
        return strcmp(typed + i + 1, name + i) == 0;
    if (n_typed != n_name)
        return false;
    if (strcmp(typed + i + 1, name + i + 1) == 0)
        return true;
    return typed[i] == name[i + 1] && typed[i + 1] == name[i] &&
           strcmp(typed + i + 2, name + i + 2) == 0;
}

bool hf_cli_agrees(const char *fmt, ...)
{
    char answer[16] = "";
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    fputs(" [y/N] ", stderr);
    return fgets(answer, sizeof answer, stdin) != NULL &&
           (strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 ||
            strcmp(answer, "yes\n") == 0);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The number of words of `name` if `words` begin with them, else 0. */
static size_t words_matched(const char *name, const char *const *words, size_t n_words)
{
    for (size_t n = 0; n < n_words; n++) {
        size_t len = strcspn(name, " ");
        if (strlen(words[n]) != len || strncmp(words[n], name, len) != 0)
            return 0;
        if (name[len] == '\0')
            return n + 1;
        name += len + 1;
    }
    return 0;
}

static const struct hf_cli_command *find(const struct hf_cli_program *program,
                                         const char *const *words, size_t n_words, size_t *n)
{
    for (size_t i = 0; i < program->n_commands; i++) {
        *n = words_matched(program->commands[i]->name, words, n_words);
        if (*n > 0)
            return program->commands[i];
    }
    return NULL;
}

/* Commands of two words come in groups: bundle add, bundle list, … */
static bool is_in_group(const char *name, const char *group)
{
    size_t len = strcspn(name, " ");
    return name[len] == ' ' && len == strlen(group) && strncmp(name, group, len) == 0;
}

/* ---- help ------------------------------------------------------------------------------------ */

/* `group` NULL: all. */
static void print_commands(const struct hf_cli_program *program, const char *group, FILE *out)
{
    for (size_t i = 0; i < program->n_commands; i++) {
        const struct hf_cli_command *command = program->commands[i];
        if (group == NULL || is_in_group(command->name, group))
            fprintf(out, "  %-*s %s\n", program->name_width, command->name, command->summary);
    }
}

static void print_program(const struct hf_cli_program *program, FILE *out)
{
    fprintf(out, "%s\nCommands:\n", program->help);
    print_commands(program, NULL, out);
    fputs(program->help_after, out);
}

static void print_command(const struct hf_cli_call *call, const struct hf_cli_line *line)
{
    const struct hf_cli_command *command = call->command;
    printf("Usage: %s %s %s\n\n", call->program->name, command->name, command->arguments);
    if (call->program->shows_summaries)
        printf("%s\n\n", command->summary);
    puts(command->about);
    hf_cli_line_print_options(line);
    printf("\nExamples:\n%s\nExit code: 0 success, 1 refused or failed, 2 usage error%s\n",
           command->examples, command->more_exit_codes != NULL ? command->more_exit_codes : "");
}

/* ---- a command ------------------------------------------------------------------------------- */

enum hf_err hf_cli_usage(struct hf_cli_call *call, const char *fmt, ...)
{
    const char *program = call->program->name, *command = call->command->name;
    va_list args;
    fprintf(stderr, "%s %s: ", program, command);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "; see %s %s --help\n", program, command);
    call->is_reported = true;
    return HF_E_ARGUMENT;
}

enum hf_err hf_cli_need(struct hf_cli_call *call, const char *option, const char *value)
{
    return value != NULL && value[0] != '\0' ? HF_OK : hf_cli_usage(call, "%s is missing", option);
}

/* The first value of the option that `need` begins with: "--repo DIR". */
static const char *value_of(const struct hf_cli_call *call, const char *need)
{
    for (const struct hf_cli_option *o = call->command->options; o->kind != HF_CLI_ROWS_END; o++) {
        size_t len = o->name == NULL ? 0 : strlen(o->name);
        if (len == 0 || strncmp(need + 2, o->name, len) != 0 || strchr(" ", need[len + 2]) == NULL)
            continue;
        char *const *text = (void *)((char *)call->values + o->at);
        if (o->kind == HF_CLI_TEXT)
            return *text;
        char **const *list = (void *)((char *)call->values + o->at);
        return *list == NULL ? NULL : (*list)[0];
    }
    return NULL;
}

static enum hf_err check_and_run(struct hf_cli_call *call, const struct hf_cli_line *line,
                                 struct hf_why *why)
{
    const struct hf_cli_command *command = call->command;
    const struct hf_cli_option *wrong = line->out_of_range;
    for (size_t i = 0; i < HF_CLI_NEEDS_MAX && command->needs[i] != NULL; i++)
        HF_TRY(hf_cli_need(call, command->needs[i], value_of(call, command->needs[i])));
    if (command->needs_word != NULL)
        HF_TRY(hf_cli_need(call, command->needs_word, call->words == NULL ? NULL : call->words[0]));
    if (call->n_words > command->max_words)
        return hf_cli_usage(call, "unexpected argument \"%s\"", call->words[command->max_words]);
    if (wrong != NULL)
        return hf_cli_usage(call, "--%s %s is %lld to %lld, not %lld", wrong->name, wrong->value,
                            wrong->min, wrong->max, line->number);
    if (call->is_verbose && call->program->on_verbose != NULL)
        call->program->on_verbose();
    return command->run(call, why);
}

static int end(const struct hf_cli_call *call, enum hf_err err, const struct hf_why *why)
{
    if (err == HF_OK)
        return call->exit_code;
    if (!call->is_reported)
        fprintf(stderr, "%s: %s\n", call->program->name, why->text);
    return err == HF_E_ARGUMENT ? HF_EXIT_USAGE : HF_EXIT_FAILED;
}

/* argv[0] is the last word of its name; `before` is what stood before it. */
static int run(const struct hf_cli_program *program, const struct hf_cli_command *command, int argc,
               const char **argv, const struct hf_cli_line *before)
{
    struct hf_cli_call call = {.program = program, .command = command};
    struct hf_cli_line line = {0};
    struct hf_why why = {0};
    enum hf_err err = HF_OK;
    size_t size = command->values_size > 0 ? command->values_size : program->values_size;
    call.values = calloc(1, size + 1);
    if (call.values == NULL) {
        err = hf_fail(&why, HF_E_MEMORY, "out of memory");
        return end(&call, err, &why);
    }
    enum hf_cli_asked asked = hf_cli_line_parse(&line, command->options, call.values, argc, argv,
                                                false);
    call.words = line.words;
    call.n_words = line.n_words;
    call.is_verbose = line.is_verbose || before->is_verbose;
    if (asked == HF_CLI_ASKED_HELP)
        print_command(&call, &line);
    else if (asked == HF_CLI_WRONG)
        err = hf_cli_usage(&call, "%s: %s", line.bad, line.fault);
    else if ((line.is_quiet || before->is_quiet) && freopen("/dev/null", "w", stdout) == NULL)
        err = hf_fail(&why, HF_E_STORAGE, "cannot open /dev/null");
    else
        err = check_and_run(&call, &line, &why);
    hf_cli_line_free(&line);
    hf_cli_values_free(command->options, call.values);
    free(call.values);
    return end(&call, err, &why);
}

/* ---- the program ----------------------------------------------------------------------------- */

static const char *nearest(const struct hf_cli_program *program, const char *typed,
                           const char **second)
{
    const char *near = NULL;
    for (size_t i = 0; i < program->n_commands; i++) {
        if (!hf_cli_is_typo(typed, program->commands[i]->name))
            continue;
        *second = near != NULL ? program->commands[i]->name : NULL;
        near = near != NULL ? near : program->commands[i]->name;
    }
    return near;
}

/* No command begins with these words, of which there is one at least. */
static int fail_unknown(const struct hf_cli_program *program, const char *const *words,
                        size_t n_words)
{
    const char *second = n_words > 1 ? words[1] : "-", *group = NULL, *same_second = NULL;
    const char *other = NULL;
    char typed[TYPED_MAX], near_group[TYPED_MAX] = "";
    bool is_help = strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0;
    for (size_t i = 0; i < program->n_commands; i++) {
        const char *name = program->commands[i]->name, *space = strchr(name, ' ');
        if (is_in_group(name, words[0]))
            group = words[0];
        if (same_second == NULL && space != NULL && strcmp(space + 1, words[0]) == 0)
            same_second = name;
        char first[TYPED_MAX];
        (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(name, " "), name);
        if (space != NULL && near_group[0] == '\0' && hf_cli_is_typo(words[0], first))
            memcpy(near_group, first, sizeof first);
    }
    if (group != NULL && (n_words == 1 || is_help)) {
        FILE *out = is_help ? stdout : stderr;
        fprintf(out, "Usage: %s %s COMMAND [OPTION…]\n\nCommands:\n", program->name, group);
        print_commands(program, group, out);
        fprintf(out, "\n%s %s COMMAND --help says more about each, with examples.\n\n%s",
                program->name, group, program->exit_codes);
        return is_help ? HF_EXIT_OK : HF_EXIT_USAGE;
    }
    /* Of "bundel list" both words say what was meant, of "publsh REPO" only the first does. */
    (void)snprintf(typed, sizeof typed, "%s%s%s", words[0], second[0] != '-' ? " " : "",
                   second[0] != '-' ? second : "");
    const char *near = nearest(program, typed, &other);
    if (near == NULL && group == NULL) {
        (void)snprintf(typed, sizeof typed, "%s", words[0]);
        near = nearest(program, typed, &other);
        if (near == NULL && near_group[0] != '\0') /* "findings" is meant as "finding" */
            near = near_group;
        if (near == NULL) /* "sign" is meant as "root sign" or "targets sign" */
            near = same_second;
    }
    fprintf(stderr, "%s: there is no command \"%s\"; ", program->name, typed);
    if (near == NULL && strcmp(typed, "version") == 0)
        fprintf(stderr, "did you mean --version? See %s --help\n", program->name);
    else if (other != NULL)
        fprintf(stderr, "did you mean \"%s\" or \"%s\"? See %s --help\n", near, other,
                program->name);
    else if (near != NULL)
        fprintf(stderr, "did you mean \"%s\"? See %s %s --help\n", near, program->name, near);
    else
        fprintf(stderr, "see %s %s%s--help\n", program->name, group == NULL ? "" : group,
                group == NULL ? "" : " ");
    return HF_EXIT_USAGE;
}

/* "help COMMAND" is "COMMAND --help". */
static int help(const struct hf_cli_program *program, const char *const *words, size_t n_words)
{
    size_t n = 0;
    if (n_words == 0 || words[0][0] == '-' || strcmp(words[0], "help") == 0) {
        print_program(program, stdout);
        return HF_EXIT_OK;
    }
    const struct hf_cli_command *command = find(program, words, n_words, &n);
    if (command == NULL)
        return fail_unknown(program, (const char *[]){words[0], n_words > 1 ? words[1] : "--help"},
                            2);
    if (n_words > n) {
        fprintf(stderr, "%s: help takes one command, found \"%s\"; see %s --help\n", program->name,
                words[n], program->name);
        return HF_EXIT_USAGE;
    }
    return run(program, command, 2, (const char *[]){words[0], "--help", NULL},
               &(const struct hf_cli_line){0});
}

static int choose(const struct hf_cli_program *program, struct hf_cli_line *line)
{
    size_t n = 0;
    if (line->n_words == 0) {
        print_program(program, stderr);
        return HF_EXIT_USAGE;
    }
    if (strcmp(line->words[0], "help") == 0)
        return help(program, line->words + 1, line->n_words - 1);
    const struct hf_cli_command *command = find(program, line->words, line->n_words, &n);
    if (command == NULL)
        return fail_unknown(program, line->words, line->n_words);
    return run(program, command, (int)(line->n_words - n + 1),
               (const char **)(void *)(line->words + n - 1), line);
}

int hf_cli_main(const struct hf_cli_program *program, int argc, const char **argv)
{
    struct hf_cli_line line;
    int exit_code = HF_EXIT_OK;
    hf_core_dump_forbid();
    if (sodium_init() < 0) {
        fprintf(stderr, "%s: libsodium does not start; there is no good random source\n",
                program->name);
        return HF_EXIT_FAILED;
    }
    hf_json_seed(randombytes_random());
    switch (hf_cli_line_parse(&line, program->options, program->values, argc, argv, true)) {
    case HF_CLI_ASKED_HELP:
        print_program(program, stdout);
        break;
    case HF_CLI_ASKED_VERSION:
        printf("%s %s\n", program->name, program->version);
        break;
    case HF_CLI_WRONG:
        fprintf(stderr, "%s: %s: %s; see %s --help\n", program->name, line.bad, line.fault,
                program->name);
        exit_code = HF_EXIT_USAGE;
        break;
    case HF_CLI_ASKED_NOTHING:
        exit_code = choose(program, &line);
        break;
    }
    hf_cli_line_free(&line);
    hf_cli_values_free(program->options, program->values);
    /* A script must not take half a report for a whole one. */
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "%s: standard output could not be written\n", program->name);
    return exit_code == HF_EXIT_OK ? HF_EXIT_FAILED : exit_code;
}
