/* What the commands of the `holdfast` program share. */
#ifndef HF_CLIENT_AGENT_AGENT_H
#define HF_CLIENT_AGENT_AGENT_H

#include <holdfast/posix.h>

#include "common/cli/cli.h"
#include "common/cli/report.h"
#include "common/tls/endpoint_url.h"

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
extern const struct hf_cli_command hf_cmd_enroll;
extern const struct hf_cli_command hf_cmd_rotate;
extern const struct hf_cli_command hf_cmd_report;
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
/** "debug", "info", "warning", "error" */
extern const char *const hf_agent_level_names[];

/** The device of that folder, with that log. */
HF_MUST_USE enum hf_err hf_agent_open(const struct hf_cli_call *call, struct hf_posix **out,
                                      struct hf_why *why);

/** Append the file that `option` names; nothing for NULL. The sentence says so if the file is
 *  empty: HF_E_FORMAT. */
HF_MUST_USE enum hf_err hf_agent_read_file(const char *option, const char *file, size_t max_bytes,
                                           struct hf_buf *out, struct hf_why *why);

/** The same for PEM of certificates, as text without a NUL. */
HF_MUST_USE enum hf_err hf_agent_read_pem(const char *option, const char *file, struct hf_buf *out,
                                          struct hf_why *why);

/** Replace `*path`, the value of `option`, by the same path from the root of the file system. NULL
 *  stays NULL. */
HF_MUST_USE enum hf_err hf_agent_make_absolute(const char *option, char **path, struct hf_why *why);

/* Values as text, for one call of printf. */
struct hf_agent_text {
    char text[48];
};
struct hf_agent_text hf_agent_time(int64_t time_s);     /* "2026-11-22T05:08:00Z" */
struct hf_agent_text hf_agent_day(int64_t time_s);      /* "2026-11-22" */
struct hf_agent_text hf_agent_last_day(int64_t time_s); /* hf_time_format_last */
struct hf_agent_text hf_agent_duration(int64_t s);      /* "3 d 5 h", "6 h 12 min", "1 min 5 s" */

/** Print a text of the configuration, which may be that of another user's state folder: '?' in
 *  place of what steers a terminal or is no UTF-8. */
void hf_agent_print_plain(FILE *out, const char *text);

/** "updated SET/PROFILE 1 -> 2", "updated SET/PROFILE none -> 1", "rolled back SET/PROFILE 2 -> 1"
 *  or "current SET/PROFILE 2", and whether that took a recovery. */
#define HF_AGENT_RESULT_MAX 320 /* two names of HF_SET_NAME_MAX, two numbers, and words */
void hf_agent_format_result(const struct hf_posix_config *config,
                            const struct hf_update_result *result, char out[HF_AGENT_RESULT_MAX]);
/** What a check found besides its result, NULL at the end; points into `result`. */
#define HF_AGENT_WARNINGS_MAX 3
void hf_agent_warnings(const struct hf_update_result *result,
                       const char *out[HF_AGENT_WARNINGS_MAX + 1]);

/*
 * --endpoint, --alpn, --client-cert, --client-key, --legacy-ciphers and --modern-ciphers, as `init`
 * and `endpoints` take them (cmd_endpoints.c).
 */

enum { HF_CIPHERS_UNCHANGED = 0, HF_CIPHERS_MODERN, HF_CIPHERS_LEGACY };

/* The options of a command that takes these begin with them. */
struct hf_endpoint_options {
    struct hf_agent_options common;
    struct hf_posix_endpoint list[HF_ENDPOINTS_MAX]; /* points to the texts below */
    char urls[HF_ENDPOINTS_MAX][HF_ENDPOINT_URL_TEXT];
    char alpns[HF_ENDPOINTS_MAX][HF_ALPN_MAX + 1];
    size_t n;
    char *client_cert; /* absolute once hf_endpoints_finish was called; NULL: not given */
    char *client_key;
    int ciphers;           /* HF_CIPHERS_… */
    bool is_misused;       /* the failure is a usage error */
    struct hf_why failure; /* the first one; code HF_OK: none */
};

extern const struct hf_cli_option hf_endpoint_rows[];

/* A row of a command's option table. */
#define HF_ENDPOINT_ROWS                                                                           \
    {                                                                                              \
        NULL, '\0', HF_CLI_GROUP, 0, "Servers that the device must always reach:", NULL,           \
            .group = hf_endpoint_rows                                                              \
    }

/** What was wrong, in words; a usage error is reported as such. */
HF_MUST_USE enum hf_err hf_endpoints_finish(struct hf_cli_call *call, struct hf_why *why);

/** Write what was given to `config`, which borrows it; the rest stays as it is. */
void hf_endpoints_apply(const struct hf_endpoint_options *o, struct hf_posix_config *config);

/** One line each after `before`, "none" without any. */
void hf_endpoints_print(const struct hf_posix_config *config, const char *before);
/** Of struct hf_posix_endpoint. */
extern const struct hf_field hf_endpoint_fields[];

#endif
