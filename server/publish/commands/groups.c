#include "server/publish/commands/groups.h"

#include "common/cli/nearest.h"

#include <stdio.h>
#include <string.h>

#define TYPED_MAX 126 /* bytes of two words that are repeated to whoever typed them */

/* The word of a group, or "" of a command of one word. */
static size_t group_len(const char *name)
{
    size_t len = strcspn(name, " ");
    return name[len] == '\0' ? 0 : len;
}

static bool is_in_group(const char *name, const char *group)
{
    return group_len(name) == strlen(group) && strncmp(name, group, strlen(group)) == 0;
}

void hf_commands_print(const struct hf_commands *commands, const char *group, FILE *out)
{
    for (size_t i = 0; i < commands->n_items; i++) {
        const struct hf_command *command = commands->items[i];
        if (group == NULL || is_in_group(command->name, group))
            fprintf(out, "  %-21s  %s\n", command->name, command->summary);
    }
}

/* ---- a group ---------------------------------------------------------------------------------- */

static bool has_group(const struct hf_commands *commands, const char *word)
{
    for (size_t i = 0; i < commands->n_items; i++) {
        if (word[0] != '\0' && is_in_group(commands->items[i]->name, word))
            return true;
    }
    return false;
}

static void print_group(const struct hf_commands *commands, const char *group, FILE *out)
{
    fprintf(out, "Usage: holdfastctl %s COMMAND [OPTION…]\n\nCommands:\n", group);
    hf_commands_print(commands, group, out);
    fprintf(out,
            "\nholdfastctl %s COMMAND --help says more about each, with examples.\n\n" HF_CLI_EXITS,
            group);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* ---- a slip ----------------------------------------------------------------------------------- */

static const char *nearest(const struct hf_commands *commands, const char *typed)
{
    struct hf_nearest nearest = HF_NEAREST(typed);
    for (size_t i = 0; i < commands->n_items; i++)
        hf_nearest_offer(&nearest, commands->items[i]->name);
    return nearest.name;
}

/* "sign" is meant as "root sign" or "targets sign". */
static const char *named_so(const struct hf_commands *commands, const char *word)
{
    for (size_t i = 0; i < commands->n_items; i++) {
        const char *name = commands->items[i]->name;
        size_t len = group_len(name);
        if (len > 0 && strcmp(name + len + 1, word) == 0)
            return name;
    }
    return NULL;
}

/* ---- together --------------------------------------------------------------------------------- */

static void print_miss(const struct hf_commands *commands, const char *typed, const char *group)
{
    const char *near = nearest(commands, typed);
    if (near == NULL && group == NULL)
        near = named_so(commands, typed);
    fprintf(stderr, "holdfastctl: there is no command \"%s\"; ", typed);
    if (near != NULL)
        fprintf(stderr, "did you mean \"%s\"? See holdfastctl %s --help\n", near, near);
    else
        fprintf(stderr, "see holdfastctl %s%s--help\n", group == NULL ? "" : group,
                group == NULL ? "" : " ");
}

int hf_commands_miss(const struct hf_commands *commands, int n_words, char *const *words)
{
    const char *group = has_group(commands, words[0]) ? words[0] : NULL;
    char typed[TYPED_MAX];
    if (group != NULL && (n_words == 1 || is_help(words[1]))) {
        print_group(commands, group, n_words == 1 ? stderr : stdout);
        return n_words == 1 ? HF_EXIT_USAGE : HF_EXIT_OK;
    }
    bool has_second = n_words > 1 && words[1][0] != '-';
    /* Of "bundel list" both words say what was meant, of "publsh REPO" only the first does. */
    (void)snprintf(typed, sizeof typed, "%s%s%s", words[0], has_second ? " " : "",
                   has_second ? words[1] : "");
    if (group == NULL && nearest(commands, typed) == NULL)
        (void)snprintf(typed, sizeof typed, "%s", words[0]);
    print_miss(commands, typed, group);
    return HF_EXIT_USAGE;
}
