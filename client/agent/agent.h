/* What the commands of the `holdfast` program share. */
#ifndef HF_CLIENT_AGENT_AGENT_H
#define HF_CLIENT_AGENT_AGENT_H

#include <holdfast/posix.h>

#include "common/cli/cli.h"

#include <stddef.h>
#include <stdio.h>

#define HF_AGENT_STATE_DEFAULT "/var/lib/holdfast"

/* Exit codes besides those of every program, also in --help. */
enum hf_agent_exit {
    HF_EXIT_POSTPONED = 3, /* update: a newer bundle waits for endpoint checks */
    HF_EXIT_BREAKS = 4,    /* simulate: something breaks on that day */
};

extern const struct hf_cli_command hf_cmd_init;
extern const struct hf_cli_command hf_cmd_update;
extern const struct hf_cli_command hf_cmd_run;
extern const struct hf_cli_command hf_cmd_status;
extern const struct hf_cli_command hf_cmd_journal;
extern const struct hf_cli_command hf_cmd_simulate;
extern const struct hf_cli_command hf_cmd_export;
extern const struct hf_cli_command hf_cmd_config;
extern const struct hf_cli_command hf_cmd_endpoints;
extern const struct hf_cli_command hf_cmd_confirm;
extern const struct hf_cli_command hf_cmd_reject;
extern const struct hf_cli_command hf_cmd_reset;
extern const struct hf_cli_command hf_cmd_probe;

/* The options of every command; what a command takes besides begins with them. */
struct hf_agent_options {
    char *state;
    bool as_json;
};

/* Rows of their option tables. */
#define HF_AGENT_STATE                                                                             \
    {                                                                                              \
        "state", 's', HF_CLI_TEXT, offsetof(struct hf_agent_options, state),                       \
            "where the device keeps its state (default " HF_AGENT_STATE_DEFAULT ")", "DIR"         \
    }
#define HF_AGENT_VERBOSE                                                                           \
    {                                                                                              \
        "verbose", 'v', HF_CLI_VERBOSE, 0,                                                         \
            "log requests, TLS, and each step of verification to standard error", NULL             \
    }
#define HF_AGENT_QUIET                                                                             \
    {                                                                                              \
        "quiet", 'q', HF_CLI_QUIET, 0, "print only errors", NULL                                   \
    }
/* `schema` is a literal: schema/SCHEMA.schema.json says what is printed. */
#define HF_AGENT_JSON(schema)                                                                      \
    {                                                                                              \
        "json", 'j', HF_CLI_FLAG, offsetof(struct hf_agent_options, as_json),                      \
            "for programs (schema/" schema ".schema.json)", NULL                                   \
    }
/* The last rows of most tables. */
#define HF_AGENT_COMMON HF_AGENT_STATE, HF_AGENT_VERBOSE, HF_AGENT_QUIET, HF_CLI_HELP_ROW

/** The folder named after the command, or before it, or in the environment, or the default. */
const char *hf_agent_state(const struct hf_cli_call *call);
/** The folder named on the command line; NULL: none is. */
const char *hf_agent_named_state(const struct hf_cli_call *call);

/** Everything to standard error with --verbose, else nothing: errors come back as sentences. */
struct hf_log_port hf_agent_log(const struct hf_cli_call *call);

/** The device of that folder, with that log. */
HF_MUST_USE enum hf_err hf_agent_open(const struct hf_cli_call *call, struct hf_posix **out,
                                      struct hf_why *why);

/** Append the file that `option` names; nothing for NULL. An empty file is said to be one, rather than
 *  what its parser would make of it: HF_E_FORMAT. */
HF_MUST_USE enum hf_err hf_agent_read_file(const char *option, const char *file, size_t max_bytes,
                                           struct hf_buf *out, struct hf_why *why);

#define HF_AGENT_DURATION_MAX 48
/** "3 d 5 h", "6 h 12 min", "1 min 5 s". */
void hf_agent_format_duration(int64_t s, char out[HF_AGENT_DURATION_MAX]);

/** "updated SET/PROFILE 1 -> 2", "updated SET/PROFILE none -> 1", "rolled back SET/PROFILE 2 -> 1" or
 *  "current SET/PROFILE 2", and whether that took a recovery. */
void hf_agent_print_result(FILE *out, const struct hf_posix_config *config,
                           const struct hf_update_result *result);

#endif
