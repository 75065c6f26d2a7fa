/* Tables of options over popt. */
#include "common/cli/cli.h"

#include <popt.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 48

/* What popt is given; `of` is the row that a value from popt stands for. */
struct hf_cli_parser {
    poptContext popt;
    struct poptOption rows[ROWS_MAX + 1];
    struct poptOption group[ROWS_MAX + 1];
    const struct hf_cli_option *of[2 * ROWS_MAX + 1];
    int n_of;
};

static void *value_at(void *values, const struct hf_cli_option *option)
{
    return (char *)values + option->at;
}

/* popt parses and stores numbers itself: it shows the presets in its help and names a bad
 * number. */
static void add_row(struct hf_cli_parser *p, struct poptOption *row, void *values,
                    const struct hf_cli_option *option)
{
    *row = (struct poptOption){option->name, option->letter, POPT_ARG_NONE, NULL,
                               p->n_of + 1,  option->about,  option->value};
    p->of[++p->n_of] = option;
    if (option->kind == HF_CLI_TEXT || option->kind == HF_CLI_CALL)
        row->argInfo = POPT_ARG_STRING;
    if (option->kind == HF_CLI_LIST)
        row->argInfo = POPT_ARG_ARGV;
    if (option->kind == HF_CLI_INT || option->kind == HF_CLI_INT64) {
        row->arg = value_at(values, option);
        row->argInfo = option->kind == HF_CLI_INT ? POPT_ARG_INT : POPT_ARG_LONGLONG;
        if (option->kind == HF_CLI_INT)
            *(int *)row->arg = (int)option->preset;
        else
            *(long long *)row->arg = option->preset;
        if (option->shows_preset)
            row->argInfo |= POPT_ARGFLAG_SHOW_DEFAULT;
    }
    if (option->kind == HF_CLI_GROUP) {
        row->argInfo = POPT_ARG_INCLUDE_TABLE;
        row->arg = p->group;
        row->val = 0;
        for (size_t i = 0; option->group[i].kind != HF_CLI_ROWS_END; i++)
            add_row(p, &p->group[i], values, &option->group[i]);
    }
}

static void check_range(struct hf_cli_line *line, void *values, const struct hf_cli_option *option)
{
    if (line->out_of_range != NULL || (option->min == 0 && option->max == 0))
        return;
    const void *at = value_at(values, option);
    line->number = option->kind == HF_CLI_INT ? *(const int *)at : *(const long long *)at;
    if (line->number < option->min || line->number > option->max)
        line->out_of_range = option;
}

static bool append(char ***list, char *text)
{
    size_t n = 0;
    while (*list != NULL && (*list)[n] != NULL)
        n++;
    char **more = realloc(*list, (n + 2) * sizeof *more);
    if (more == NULL)
        return false;
    *list = more;
    more[n] = text;
    more[n + 1] = NULL;
    return true;
}

/* `text` is taken. False when memory is short. */
static bool take(struct hf_cli_line *line, void *values, const struct hf_cli_option *option,
                 char *text)
{
    void *at = value_at(values, option);
    bool has_text = text != NULL;
    if (option->kind == HF_CLI_TEXT) {
        free(*(char **)at);
        *(char **)at = text;
        return has_text;
    }
    if (option->kind == HF_CLI_LIST) {
        if (has_text && append(at, text))
            return true;
        free(text);
        return false;
    }
    if (option->kind == HF_CLI_CALL && has_text)
        option->take(at, option, text);
    if (option->kind == HF_CLI_FLAG)
        *(bool *)at = true;
    if (option->kind == HF_CLI_INT || option->kind == HF_CLI_INT64)
        check_range(line, values, option);
    if (option->kind == HF_CLI_CHOICE)
        *(int *)at = (int)option->preset;
    line->is_quiet = line->is_quiet || option->kind == HF_CLI_QUIET;
    line->is_verbose = line->is_verbose || option->kind == HF_CLI_VERBOSE;
    free(text);
    return true;
}

/* The option that was probably meant by "--repp" or "--repp=DIR"; NULL: none is near. */
static const char *nearest(const struct hf_cli_option *options, const char *typed)
{
    char name[64];
    typed += strspn(typed, "-");
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(typed, "="), typed);
    for (const struct hf_cli_option *o = options; o->kind != HF_CLI_ROWS_END; o++) {
        const char *in_group = o->kind == HF_CLI_GROUP ? nearest(o->group, name) : NULL;
        if (in_group != NULL)
            return in_group;
        if (o->name != NULL && hf_cli_is_typo(name, o->name))
            return o->name;
    }
    return NULL;
}

enum hf_cli_asked hf_cli_line_parse(struct hf_cli_line *line, const struct hf_cli_option *options,
                                    void *values, int argc, const char **argv, bool stops_at_word)
{
    *line = (struct hf_cli_line){.bad = argv[0], .fault = "out of memory"};
    struct hf_cli_parser *p = calloc(1, sizeof *p);
    if (p == NULL)
        return HF_CLI_WRONG;
    line->parser = p;
    for (size_t i = 0; options[i].kind != HF_CLI_ROWS_END; i++)
        add_row(p, &p->rows[i], values, &options[i]);
    p->popt = poptGetContext(NULL, argc, argv, p->rows,
                             stops_at_word ? POPT_CONTEXT_POSIXMEHARDER : 0);
    int code;
    while ((code = poptGetNextOpt(p->popt)) > 0) {
        const struct hf_cli_option *option = p->of[code];
        if (option->kind == HF_CLI_HELP)
            return HF_CLI_ASKED_HELP;
        if (option->kind == HF_CLI_VERSION)
            return HF_CLI_ASKED_VERSION;
        if (!take(line, values, option, poptGetOptArg(p->popt)))
            return HF_CLI_WRONG;
    }
    if (code < -1) {
        line->bad = poptBadOption(p->popt, POPT_BADOPTION_NOALIAS);
        const char *near = code == POPT_ERROR_BADOPT ? nearest(options, line->bad) : NULL;
        int len = snprintf(line->fault, sizeof line->fault, "%s", poptStrerror(code));
        if (near != NULL)
            (void)snprintf(line->fault + len, sizeof line->fault - (size_t)len,
                           " (did you mean --%s?)", near);
        line->is_bad_number = code == POPT_ERROR_BADNUMBER || code == POPT_ERROR_OVERFLOW;
        return HF_CLI_WRONG;
    }
    line->words = (const char *const *)poptGetArgs(p->popt);
    while (line->words != NULL && line->words[line->n_words] != NULL)
        line->n_words++;
    return HF_CLI_ASKED_NOTHING;
}

void hf_cli_line_free(struct hf_cli_line *line)
{
    if (line->parser != NULL)
        poptFreeContext(line->parser->popt);
    free(line->parser);
    *line = (struct hf_cli_line){0};
}

/* What popt lists, without its own usage line, which says less than ours. */
void hf_cli_line_print_options(const struct hf_cli_line *line)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);
    if (memory == NULL)
        return;
    poptPrintHelp(line->parser->popt, memory, 0);
    if (fclose(memory) == 0) {
        const char *options = strchr(text, '\n');
        printf("\nOptions:%s", options == NULL ? "\n" : options);
    }
    free(text);
}

void hf_cli_values_free(const struct hf_cli_option *options, void *values)
{
    for (const struct hf_cli_option *o = options; o->kind != HF_CLI_ROWS_END; o++) {
        if (o->kind == HF_CLI_GROUP)
            hf_cli_values_free(o->group, values);
        if (o->kind == HF_CLI_TEXT) {
            char **text = value_at(values, o);
            free(*text);
            *text = NULL;
        }
        if (o->kind == HF_CLI_LIST) {
            char ***list = value_at(values, o);
            for (size_t i = 0; *list != NULL && (*list)[i] != NULL; i++)
                free((*list)[i]);
            free(*list);
            *list = NULL;
        }
    }
}
