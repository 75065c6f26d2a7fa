/*
 * The command line of `holdfast`: one option table per command, help that can be learned from, exit
 * codes.
 */
#ifndef HF_CLIENT_AGENT_CLI_H
#define HF_CLIENT_AGENT_CLI_H

#include <holdfast/posix.h>

#include "client/agent/agent.h"

#include <jansson.h>
#include <popt.h>
#include <stdio.h>

#define HF_CLI_STATE_DEFAULT "/var/lib/holdfast"

/* What a command says about itself. */
struct hf_cli_text {
    const char *name;      /* "update" */
    const char *arguments; /* "[--state DIR]" */
    const char *about;     /* what it does, in paragraphs */
    const char *examples;
    const char *more_exit_codes; /* ", 3 …" behind those that all have; NULL for none */
};

/* Options that commands share; texts are owned. All zero is none. */
struct hf_cli_common {
    char *state;
    int is_verbose;
    int as_json;
};
void hf_cli_common_free(struct hf_cli_common *common);

/* Rows of a command's option table. */
#define HF_CLI_STATE(common)                                                                       \
    {                                                                                              \
        "state", 's', POPT_ARG_STRING, &(common)->state, 0,                                        \
            "where the device keeps its state (default " HF_CLI_STATE_DEFAULT ")", "DIR"           \
    }
#define HF_CLI_VERBOSE(common)                                                                     \
    {                                                                                              \
        "verbose", 'v', POPT_ARG_NONE, &(common)->is_verbose, 0,                                   \
            "log requests, TLS, and each step of verification to standard error", NULL             \
    }
#define HF_CLI_QUIET                                                                               \
    {                                                                                              \
        "quiet", 'q', POPT_ARG_NONE, NULL, 'q', "print nothing but errors", NULL                   \
    }
#define HF_CLI_JSON(common, schema)                                                                \
    {                                                                                              \
        "json", 'j', POPT_ARG_NONE, &(common)->as_json, 0,                                         \
            "for programs (schema/" schema ".schema.json)", NULL                                   \
    }
#define HF_CLI_HELP                                                                                \
    {                                                                                              \
        "help", 'h', POPT_ARG_NONE, NULL, 'h', "show this help and stop", NULL                     \
    }
#define HF_CLI_END                                                                                 \
    {                                                                                              \
        NULL, '\0', 0, NULL, 0, NULL, NULL                                                         \
    }

/**
 * Parse a command line without further arguments. True to go on; false to stop with `*exit_code`,
 * after help or a usage error was printed.
 */
bool hf_cli_parse(const struct hf_cli_text *text, int argc, const char **argv,
                  const struct poptOption *options, int *exit_code);

/* Words of a command line besides its options; texts are owned. All zero is none. */
#define HF_CLI_WORDS_MAX 20
struct hf_cli_words {
    char *list[HF_CLI_WORDS_MAX];
    size_t n;
};
void hf_cli_words_free(struct hf_cli_words *words);

/** The same for a command that takes up to `max` words besides its options. */
bool hf_cli_parse_words(const struct hf_cli_text *text, int argc, const char **argv,
                        const struct poptOption *options, size_t max, struct hf_cli_words *out,
                        int *exit_code);

/** Print "holdfast NAME: SENTENCE; see holdfast NAME --help" and return HF_EXIT_USAGE. */
int hf_cli_usage(const struct hf_cli_text *text, const char *fmt, ...) HF_PRINTF(2, 3);

/** The folder named after the command, or before it, or in the environment, or the default. */
const char *hf_cli_state(const struct hf_cli_common *common, const char *before_command);

/** Everything to standard error with --verbose, else nothing: errors come back as sentences. */
struct hf_log_port hf_cli_log(const struct hf_cli_common *common);

/** HF_EXIT_OK, or the sentence on standard error and HF_EXIT_FAILED, or HF_EXIT_USAGE for
 *  HF_E_ARGUMENT, since what was typed is wrong on every device. HF_E_POSTPONED is no failure:
 *  "postponed: SENTENCE" on standard output and HF_EXIT_POSTPONED. */
int hf_cli_finish(enum hf_err err, const struct hf_why *why);

/** Print `json`, which is taken; NULL: memory is short. */
HF_MUST_USE enum hf_err hf_cli_print_json(json_t *json, struct hf_why *why);

#define HF_CLI_DURATION_MAX 48
/** "3 d 5 h", "6 h 12 min", "1 min 5 s". */
void hf_cli_format_duration(int64_t s, char out[HF_CLI_DURATION_MAX]);

/** "updated SET/PROFILE 1 -> 2", "updated SET/PROFILE none -> 1", "rolled back SET/PROFILE 2 -> 1" or
 *  "current SET/PROFILE 2", and whether that took a recovery. */
void hf_cli_print_result(FILE *out, const struct hf_posix_config *config,
                         const struct hf_update_result *result);

#endif
