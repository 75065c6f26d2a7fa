/*
 * The commands of holdfast-admin that are one call of the API: a row each. The row says which
 * options and words there are, which path they make, which members of the body they become, and
 * which members of the answer a person wants to see. Adding a command that lists something is
 * adding a row.
 */
#ifndef HF_ADMIN_COMMANDS_H
#define HF_ADMIN_COMMANDS_H

#include "common/cli/cli.h"
#include <holdfast/bytes.h>
#include "server/config/config.h"

#define HF_ADMIN_FIELDS_MAX 10
#define HF_ADMIN_COLUMNS_MAX 16

/* What the options of all commands say. */
struct hf_admin_options {
    char *config, *socket, *url, *token_file, *ca_file; /* where the service is */
    bool is_json, is_yes;
    char *account;
    char *policy, *issuing_ca;
    char **snis;
    char *mode, *proof, *signer_ca, *status, *auto_registration;
    char *kind, *device, *group, *to, *message, *role, *expires;
    char *prefix, *set, *result, *silent_since, *version, *what, *since;
    char *key, *log;
    char *reason, *until, *check, *state;
    char *approval;
    int uses, limit;
};

#define HF_ADMIN_AT(member) offsetof(struct hf_admin_options, member)
/* Options that all commands have, at the end of theirs. */
#define HF_ADMIN_WHERE                                                                              \
    {"socket",                                                                                      \
     '\0',                                                                                          \
     HF_CLI_TEXT,                                                                                   \
     HF_ADMIN_AT(socket),                                                                           \
     "the admin socket of a service on this machine",                                               \
     "PATH"},                                                                                       \
        {"url", '\0', HF_CLI_TEXT, HF_ADMIN_AT(url), "the admin listener of a service elsewhere",   \
         "URL"},                                                                                    \
        {"token-file", '\0', HF_CLI_TEXT, HF_ADMIN_AT(token_file), "a token for it (token create)", \
         "FILE"},                                                                                   \
        {"ca-file",                                                                                 \
         '\0',                                                                                      \
         HF_CLI_TEXT,                                                                               \
         HF_ADMIN_AT(ca_file),                                                                      \
         "roots for it, in PEM (default: those of this system)",                                    \
         "FILE"},                                                                                   \
        {"config",                                                                                  \
         '\0',                                                                                      \
         HF_CLI_TEXT,                                                                               \
         HF_ADMIN_AT(config),                                                                       \
         "without --socket and --url: the configuration that names the socket "                     \
         "(default: " HF_CONFIG_PATH ")",                                                           \
         "FILE"},                                                                                   \
        {"json", '\0', HF_CLI_FLAG, HF_ADMIN_AT(is_json),                                           \
         "print what the service answered as JSON"},                                                \
        {"verbose", 'v', HF_CLI_VERBOSE, 0, "log each request to standard error"},                  \
        HF_CLI_HELP_ROW, HF_CLI_END

enum hf_admin_field_kind {
    HF_ADMIN_FIELD_NONE = 0,
    HF_ADMIN_FIELD_TEXT,      /* an option, when it is given */
    HF_ADMIN_FIELD_LIST,      /* an option that may be given several times, when it is */
    HF_ADMIN_FIELD_INT,       /* an option; 0 is left out */
    HF_ADMIN_FIELD_WORD,      /* the first word */
    HF_ADMIN_FIELD_PATH,      /* the absolute path of the file that the option names */
    HF_ADMIN_FIELD_WORD_PATH, /* … that the first word names */
    HF_ADMIN_FIELD_WORD_2,    /* the second word */
    HF_ADMIN_FIELD_FILE,      /* the content of the file that the option names */
    HF_ADMIN_FIELD_WORD_FILE, /* the content of the file that the first word names */
    HF_ADMIN_FIELD_FIXED,     /* `fixed` */
};

struct hf_admin_field {
    const char *key; /* in the body */
    enum hf_admin_field_kind kind;
    size_t at; /* of the option */
    const char *fixed;
};

struct hf_admin_request {
    const char *method;
    /* "/v1/accounts/{account}/credentials/{0}": {account} is --account, {N} the N-th word,
     * {rollout} the first one, whose slashes stay. */
    const char *path;
    /* Options that become parameters of the query, as body members of the others. */
    struct hf_admin_field query[6];
    struct hf_admin_field fields[HF_ADMIN_FIELDS_MAX];
    /* A list: the member of the answer that holds it; NULL: the answer itself is shown. */
    const char *list;
    /* Members that are columns of the list, or lines of one object; NULL at the end. */
    const char *columns[HF_ADMIN_COLUMNS_MAX + 1];
    const char *done;     /* printed instead, with {0} and {account}; NULL: the answer is */
    const char *question; /* asked on the terminal, unless --yes is given; NULL: nothing is */
    bool is_long;         /* the disk may take minutes */
    bool must_match;      /* read it first, and change exactly what was read (If-Match) */
    bool shuts_out;       /* change it whatever its version is (If-Match: *) */
};

struct hf_admin_row {
    struct hf_cli_command cli; /* first, so that a command leads to its row */
    struct hf_admin_request request;
};

extern const struct hf_admin_row hf_admin_rows[];
extern const size_t hf_admin_n_rows;

/** Run any row. */
HF_MUST_USE enum hf_err hf_admin_run(struct hf_cli_call *call, struct hf_why *why);

/** The service that the options name (api.h). */
struct hf_admin_api;
HF_MUST_USE enum hf_err hf_admin_open_for(const struct hf_admin_options *options,
                                          struct hf_admin_api **out, struct hf_why *why);

/** Append SET/PROFILE/VERSION as a path. HF_E_ARGUMENT unless it is three names. */
HF_MUST_USE enum hf_err hf_admin_rollout_path(const char *name, struct hf_buf *out,
                                              struct hf_why *why);

/** Ask on the terminal, unless `is_yes`. HF_E_POLICY: the answer is no; HF_E_ARGUMENT: there is no
 *  terminal. */
HF_MUST_USE enum hf_err hf_admin_ask(const char *question, bool is_yes, struct hf_why *why);

/* Commands that are more than one call. */
extern const struct hf_cli_command hf_admin_publish;
extern const struct hf_cli_command hf_admin_log_export;
extern const struct hf_cli_command hf_admin_log_verify;
extern const struct hf_cli_command hf_admin_device_explain;
extern const struct hf_cli_command hf_admin_fleet_show;
extern const struct hf_cli_command hf_admin_fleet_readiness;
extern const struct hf_cli_command hf_admin_status;
extern const struct hf_cli_command hf_admin_fleet_watch;
extern const struct hf_cli_command hf_admin_rollout_list;
extern const struct hf_cli_command hf_admin_rollout_show;
extern const struct hf_cli_command hf_admin_rollout_watch;
extern const struct hf_cli_command hf_admin_rollout_pause;
extern const struct hf_cli_command hf_admin_rollout_resume;
extern const struct hf_cli_command hf_admin_rollout_promote;
extern const struct hf_cli_command hf_admin_rollout_abort;
extern const struct hf_cli_command hf_admin_rollout_approve;
extern const struct hf_cli_command hf_admin_rollout_exclude;
extern const struct hf_cli_command hf_admin_rollout_include;

#endif
