/*
 * The command line of every program: a command is a row (struct hf_cli_command) and a function. The
 * row says what its help says, which options and words it takes and which it cannot do without;
 * parsing, help, suggestions, errors and exit codes follow from that and are written once, here.
 */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <holdfast/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Exit codes, also in --help. A program may have more. */
enum hf_exit {
    HF_EXIT_OK = 0,
    HF_EXIT_FAILED = 1, /* refused or failed; one sentence on standard error says why */
    HF_EXIT_USAGE = 2,
};

/* Where an option's value goes: `at` bytes into the values of the command. */
enum hf_cli_kind {
    HF_CLI_ROWS_END = 0, /* the end of a table */
    HF_CLI_TEXT,         /* char *: the last one given, or NULL */
    HF_CLI_LIST,         /* char **: all that were given, NULL at the end; NULL: none was */
    HF_CLI_INT,          /* int; `preset` when it is not given */
    HF_CLI_INT64,        /* long long; the same */
    HF_CLI_FLAG,         /* bool */
    HF_CLI_CHOICE,       /* int: `preset` when it is given */
    HF_CLI_CALL,         /* `take` is called for each, in the order given */
    HF_CLI_GROUP,        /* `group` is a table whose rows help shows below a heading, `about` */
    HF_CLI_HELP,
    HF_CLI_VERSION,
    HF_CLI_QUIET,
    HF_CLI_VERBOSE,
};

struct hf_cli_option {
    const char *name; /* without dashes */
    char letter;      /* '\0': none */
    enum hf_cli_kind kind;
    size_t at;
    const char *about;
    const char *value; /* "FILE", as help names what is given; NULL for what takes no value */
    long long preset;
    bool shows_preset;  /* in help */
    long long min, max; /* what a number that is given may be; both 0: any */
    void (*take)(void *at, const struct hf_cli_option *option, const char *value);
    const struct hf_cli_option *group;
};

/* Rows that commands of more than one program have. */
#define HF_CLI_HELP_ROW                                                                            \
    {                                                                                              \
        "help", 'h', HF_CLI_HELP, 0, "show this help and stop", NULL                               \
    }
#define HF_CLI_END                                                                                 \
    {                                                                                              \
        .kind = HF_CLI_ROWS_END                                                                    \
    }

#define HF_CLI_FAULT_MAX 96

/* A command line taken apart. */
struct hf_cli_line {
    const char *const *words; /* what is no option, NULL at the end; NULL: nothing. Borrowed */
    size_t n_words;
    bool is_quiet;
    bool is_verbose;
    /* With HF_CLI_WRONG, the option that is wrong, as typed, and what is wrong about it. Of a
     * number that is none, `bad` is the value. */
    const char *bad;
    char fault[HF_CLI_FAULT_MAX];             /* "unknown option (did you mean --repo?)" */
    bool is_bad_number;                       /* what was given is no number, or too large a one */
    const struct hf_cli_option *out_of_range; /* the first number that may not be; NULL: none */
    long long number;                         /* … which was given for it */
    struct hf_cli_parser *parser;
};

enum hf_cli_asked { HF_CLI_ASKED_NOTHING, HF_CLI_ASKED_HELP, HF_CLI_ASKED_VERSION, HF_CLI_WRONG };

/**
 * Parse argv[1] and what follows into `values`, which are zero before. Whatever comes of it, what
 * was taken up to there is released with hf_cli_values_free and hf_cli_line_free. Options end at
 * the first word if `stops_at_word`. Reads no files.
 */
enum hf_cli_asked hf_cli_line_parse(struct hf_cli_line *line, const struct hf_cli_option *options,
                                    void *values, int argc, const char **argv, bool stops_at_word);
void hf_cli_line_free(struct hf_cli_line *line);

/** The options of `line` as help lists them. */
void hf_cli_line_print_options(const struct hf_cli_line *line);

/** Free the texts and lists; the rest is untouched. */
void hf_cli_values_free(const struct hf_cli_option *options, void *values);

#define HF_CLI_NEEDS_MAX 5
#define HF_CLI_ANY_WORDS ((size_t)-1)

struct hf_cli_call;

struct hf_cli_command {
    const char *name;      /* "bundle add" */
    const char *summary;   /* one line */
    const char *arguments; /* "--repo DIR --keys DIR CERT…" */
    const char *about;     /* what it does, in paragraphs */
    const char *examples;
    const char *more_exit_codes; /* ", 3 …" behind those that all have; NULL: none */

    const struct hf_cli_option *options;
    size_t values_size;                  /* 0: as the program says */
    const char *needs[HF_CLI_NEEDS_MAX]; /* "--repo DIR": options that must be given, not empty, as
                                            the sentence names them that says they are missing */
    const char *needs_word;              /* what one word at least is; NULL: none is needed */
    size_t max_words;

    /**
     * Do it. HF_OK: the exit code is call->exit_code. An error ends with its sentence on standard
     * error and HF_EXIT_FAILED, or HF_EXIT_USAGE for HF_E_ARGUMENT, since what was typed is wrong
     * on every machine.
     */
    enum hf_err (*run)(struct hf_cli_call *call, struct hf_why *why);
    int variant; /* for `run`, where several commands share one */
};

struct hf_cli_program {
    const char *name;
    const char *version;
    const struct hf_cli_command *const *commands;
    size_t n_commands;
    size_t values_size; /* of what the options of a command say */
    int name_width;     /* of the widest command */

    const char *help;       /* of the program, up to its commands */
    const char *help_after; /* and what follows them */
    const char *exit_codes; /* the same for a group of commands */
    bool shows_summaries;   /* also in the help of a command */

    const struct hf_cli_option *options; /* before the command */
    void *values;                        /* theirs; one for the program */
    void (*on_verbose)(void);            /* NULL: commands look at call->is_verbose */
};

/** One command that runs. All is borrowed for its time. */
struct hf_cli_call {
    const struct hf_cli_program *program;
    const struct hf_cli_command *command;
    void *values;             /* what the options say; its texts and lists are owned by the call */
    const char *const *words; /* NULL at the end; NULL: none were given */
    size_t n_words;
    bool is_verbose;
    int exit_code;
    bool is_reported; /* why it ends is printed already */
};

/** The whole of main(): forbid core dumps, which would hold private keys; find the command, run it,
 *  report its end. The exit code. */
int hf_cli_main(const struct hf_cli_program *program, int argc, const char **argv);

/** "PROGRAM COMMAND: SENTENCE; see PROGRAM COMMAND --help" on standard error. The command returns
 *  what this returns, and ends with HF_EXIT_USAGE. */
HF_MUST_USE enum hf_err hf_cli_usage(struct hf_cli_call *call, const char *fmt, ...)
    HF_PRINTF(2, 3);

/** "OPTION is missing" in that way, unless there is a value that is not empty. */
HF_MUST_USE enum hf_err hf_cli_need(struct hf_cli_call *call, const char *option,
                                    const char *value);

/** A list as it is used. */
static inline const char *const *hf_cli_list(char *const *texts)
{
    return (const char *const *)texts;
}

/** Is `typed` one edit away from `name`: a letter missing, added or changed, two letters swapped,
 *  or capital letters? False for one or two letters, where that says nothing. */
bool hf_cli_is_typo(const char *typed, const char *name);

/** Ask on the terminal, "… [y/N]" on standard error. Anything but y, Y or yes is a no. */
bool hf_cli_agrees(const char *fmt, ...) HF_PRINTF(1, 2);

#endif
