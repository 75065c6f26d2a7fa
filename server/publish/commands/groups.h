/*
 * Commands of two words come in groups: bundle add, bundle list, … What is said when only the first
 * word is given, or a word that no command has.
 */
#ifndef HF_PUBLISH_GROUPS_H
#define HF_PUBLISH_GROUPS_H

#include "server/publish/commands/cli.h"

/** Borrowed. */
struct hf_commands {
    const struct hf_command *const *items;
    size_t n_items;
};

/** Names and summaries, one a line, of the commands of `group`; NULL: of all. */
void hf_commands_print(const struct hf_commands *commands, const char *group, FILE *out);

/**
 * A command line that begins with no command: prints the help of a group for --help (HF_EXIT_OK),
 * or what is wrong, with the nearest command there is (HF_EXIT_USAGE). `words` are as typed, at
 * least one.
 */
int hf_commands_miss(const struct hf_commands *commands, int n_words, char *const *words);

#endif
