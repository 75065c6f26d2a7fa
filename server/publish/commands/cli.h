/*
 * The command line: one table per subcommand, help that can be learned from, exit codes.
 */
#ifndef HF_PUBLISH_CLI_H
#define HF_PUBLISH_CLI_H

#include "server/repository/publication.h"

#include <popt.h>

enum hf_exit {
    HF_EXIT_OK = 0,
    HF_EXIT_FAILED = 1, /* refused or went wrong; one sentence on standard error says why */
    HF_EXIT_USAGE = 2,  /* the command line makes no sense */
};

/* The same in words, for help. */
#define HF_CLI_EXITS                                                                               \
    "Exit code: 0 done, 1 refused or failed, 2 wrong usage. One sentence on standard error\n"      \
    "says why; lint, which exits with 1 when it found an error, lists what it found.\n"

struct hf_command {
    const char *name;      /* "bundle add" */
    const char *summary;   /* one line */
    const char *arguments; /* "--repo DIR --keys DIR CERT…" */
    const char *text;      /* what it does, in paragraphs */
    const char *examples;
    int (*run)(const struct hf_command *self, int argc, const char **argv);
};

extern const struct hf_command hf_cmd_init;
extern const struct hf_command hf_cmd_bundle_add;
extern const struct hf_command hf_cmd_bundle_import;
extern const struct hf_command hf_cmd_bundle_remove;
extern const struct hf_command hf_cmd_bundle_unlist;
extern const struct hf_command hf_cmd_bundle_list;
extern const struct hf_command hf_cmd_bundle_diff;
extern const struct hf_command hf_cmd_lint;
extern const struct hf_command hf_cmd_plan;
extern const struct hf_command hf_cmd_publish;
extern const struct hf_command hf_cmd_refresh;
extern const struct hf_command hf_cmd_check;
extern const struct hf_command hf_cmd_mirror;
extern const struct hf_command hf_cmd_root_draft;
extern const struct hf_command hf_cmd_root_add_key;
extern const struct hf_command hf_cmd_root_remove_key;
extern const struct hf_command hf_cmd_root_set_threshold;
extern const struct hf_command hf_cmd_root_status;
extern const struct hf_command hf_cmd_root_merge;
extern const struct hf_command hf_cmd_root_sign;
extern const struct hf_command hf_cmd_root_finish;
extern const struct hf_command hf_cmd_targets_draft;
extern const struct hf_command hf_cmd_targets_status;
extern const struct hf_command hf_cmd_targets_merge;
extern const struct hf_command hf_cmd_targets_sign;
extern const struct hf_command hf_cmd_targets_finish;
extern const struct hf_command hf_cmd_key_generate;
extern const struct hf_command hf_cmd_key_import;
extern const struct hf_command hf_cmd_key_inspect;
extern const struct hf_command hf_cmd_key_change_passphrase;

/** The options that most commands share. Texts are owned. */
struct hf_cli_place {
    char *repo;
    char *keys;
    char **given_keys;
    char *passphrase_file;
    char *online_passphrase_file;
    int is_clock_right;
};
void hf_cli_place_free(struct hf_cli_place *place);

/* Rows of a command's option table. */
#define HF_CLI_REPO(place)                                                                         \
    {                                                                                              \
        "repo", 0, POPT_ARG_STRING, &(place)->repo, 0, "the repository", "DIR"                     \
    }
#define HF_CLI_KEYS(place)                                                                         \
    {                                                                                              \
        "keys", 0, POPT_ARG_STRING, &(place)->keys, 0, "the folder of private keys", "DIR"         \
    }
#define HF_CLI_KEY(place)                                                                          \
    {                                                                                              \
        "key", 0, POPT_ARG_ARGV, &(place)->given_keys, 0,                                          \
            "sign with this key too: its file, or a PKCS#11 URI; once for each", "KEY"             \
    }
#define HF_CLI_PASSPHRASE(place)                                                                   \
    {                                                                                              \
        "passphrase-file", 0, POPT_ARG_STRING, &(place)->passphrase_file, 0,                       \
            "its first line unlocks the keys; - is standard input (default: ask)", "FILE"          \
    }
#define HF_CLI_ONLINE_PASSPHRASE(place)                                                            \
    {                                                                                              \
        "online-passphrase-file", 0, POPT_ARG_STRING, &(place)->online_passphrase_file, 0,         \
            "the same for the keys in online/, if theirs is another", "FILE"                       \
    }
#define HF_CLI_CLOCK(place)                                                                        \
    {                                                                                              \
        "clock-is-right", 0, POPT_ARG_NONE, &(place)->is_clock_right, 0,                           \
            "sign although the clock is far from when these keys signed last", NULL                \
    }
#define HF_CLI_ROOT(file)                                                                          \
    {                                                                                              \
        "root", 0, POPT_ARG_STRING, file, 0,                                                       \
            "begin at this root metadata, as a device that ships with it (default: the "           \
            "repository's own first)",                                                             \
            "FILE"                                                                                 \
    }
/* `schema` is a literal: schema/SCHEMA.schema.json says what is printed. */
#define HF_CLI_JSON(is_json, schema)                                                               \
    {                                                                                              \
        "json", 0, POPT_ARG_NONE, is_json, 0,                                                      \
            "print JSON for scripts: schema/" schema ".schema.json", NULL                          \
    }
#define HF_CLI_HELP                                                                                \
    {"quiet", 'q', POPT_ARG_NONE, NULL, 'q', "print no report; the exit code tells", NULL},        \
        {"verbose", 'v', POPT_ARG_NONE, NULL, 'v', "log each step to standard error", NULL},       \
    {                                                                                              \
        "help", 'h', POPT_ARG_NONE, NULL, 'h', "show this help and stop", NULL                     \
    }
#define HF_CLI_END                                                                                 \
    {                                                                                              \
        NULL, '\0', 0, NULL, 0, NULL, NULL                                                         \
    }

/* Of the help of every command that signs. */
#define HF_CLI_KEY_TEXT                                                                            \
    "A key may also lie in a token (smart card, HSM). KEYS then holds a file that refers to it\n"  \
    "(key import), or --key names it by its PKCS#11 URI, in quotes because of the semicolon:\n\n"  \
    "  pkcs11:token=alice;object=root-1\n"                                                         \
    "  pkcs11:token=online;object=timestamp?pin-source=file:/etc/holdfast/pin\n\n"                 \
    "The PIN is asked for, or read from pin-source. --key also names a key file that lies\n"       \
    "elsewhere. A key that is not authorised for the role is rejected."

struct hf_cli {
    const struct hf_command *command;
    poptContext popt;
};

/**
 * Parse. True to go on, with arguments in hf_cli_arguments; false to stop with `*exit_code`, after
 * help or a usage error was printed. hf_cli_end in either case.
 */
bool hf_cli_begin(struct hf_cli *cli, const struct hf_command *command, int argc, const char **argv,
                  const struct poptOption *options, int *exit_code);
void hf_cli_end(struct hf_cli *cli);

/** -q, -v and their long forms, which may also stand before the command: false for another word. Output
 *  of a quiet command is thrown away, but not its help. */
bool hf_cli_take_global(const char *word);

/** What stands on the line besides options, NULL-terminated; NULL without any. Borrowed. */
const char **hf_cli_arguments(const struct hf_cli *cli);

/** Print "holdfastctl NAME: SENTENCE; see --help" and return HF_EXIT_USAGE. */
int hf_cli_usage(const struct hf_command *command, const char *fmt, ...) HF_PRINTF(2, 3);

/** False, with the usage error printed, unless the option was given. */
bool hf_cli_need(const struct hf_command *command, const char *option, const char *value);
/** False, with the usage error printed, if there are arguments besides options. */
bool hf_cli_no_arguments(const struct hf_cli *cli);

/** HF_EXIT_OK, or the sentence on standard error and HF_EXIT_FAILED; HF_EXIT_USAGE for what the
 *  person asked for (HF_E_ARGUMENT). */
int hf_cli_finish(enum hf_err err, const struct hf_why *why);

/** The whole of a command that takes --repo, --keys and passphrases and then does `work`. */
int hf_cli_run_online(const struct hf_command *command, int argc, const char **argv,
                      enum hf_err (*work)(const struct hf_publication_place *place, bool is_json,
                                          struct hf_why *why));

struct hf_publication_place hf_cli_publication(const struct hf_cli_place *place,
                                               enum hf_key_half half);

/** The root metadata that --root names, appended; nothing where it was not given (NULL). Where trust
 *  begins: hf_repo.pinned_root. HF_E_FORMAT for an empty file, and as hf_file_read_any. */
HF_MUST_USE enum hf_err hf_cli_read_root(const char *file, struct hf_buf *out, struct hf_why *why);

/** A popt list as it is used; and its end. */
const char *const *hf_cli_list(char *const *texts);
void hf_cli_list_free(char **texts);

/** Seconds since 1970 by this machine's clock. */
int64_t hf_cli_now_s(void);

#endif
