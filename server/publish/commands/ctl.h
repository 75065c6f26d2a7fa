/* What the commands of `holdfastctl` share: the options that several of them take. */
#ifndef HF_PUBLISH_CTL_H
#define HF_PUBLISH_CTL_H

#include "common/cli/cli.h"
#include "server/publish/bundle/bundle_release.h"
#include "server/repository/certs/known_roots.h"
#include "server/repository/publication.h"

/* The exit codes in words, for help. */
#define HF_CTL_EXITS                                                                               \
    "Exit code: 0 success, 1 refused or failed, 2 usage error. One sentence on standard error\n"   \
    "says why; lint, which exits with 1 when it found an error, lists what it found.\n"

extern const struct hf_cli_command hf_cmd_init;
extern const struct hf_cli_command hf_cmd_bundle_add;
extern const struct hf_cli_command hf_cmd_bundle_import;
extern const struct hf_cli_command hf_cmd_bundle_remove;
extern const struct hf_cli_command hf_cmd_bundle_unlist;
extern const struct hf_cli_command hf_cmd_bundle_list;
extern const struct hf_cli_command hf_cmd_bundle_diff;
extern const struct hf_cli_command hf_cmd_lint;
extern const struct hf_cli_command hf_cmd_plan;
extern const struct hf_cli_command hf_cmd_publish;
extern const struct hf_cli_command hf_cmd_refresh;
extern const struct hf_cli_command hf_cmd_check;
extern const struct hf_cli_command hf_cmd_mirror;
extern const struct hf_cli_command hf_cmd_root_draft;
extern const struct hf_cli_command hf_cmd_root_add_key;
extern const struct hf_cli_command hf_cmd_root_remove_key;
extern const struct hf_cli_command hf_cmd_root_set_threshold;
extern const struct hf_cli_command hf_cmd_root_status;
extern const struct hf_cli_command hf_cmd_root_merge;
extern const struct hf_cli_command hf_cmd_root_sign;
extern const struct hf_cli_command hf_cmd_root_finish;
extern const struct hf_cli_command hf_cmd_targets_draft;
extern const struct hf_cli_command hf_cmd_targets_status;
extern const struct hf_cli_command hf_cmd_targets_merge;
extern const struct hf_cli_command hf_cmd_targets_sign;
extern const struct hf_cli_command hf_cmd_targets_finish;
extern const struct hf_cli_command hf_cmd_key_generate;
extern const struct hf_cli_command hf_cmd_key_import;
extern const struct hf_cli_command hf_cmd_key_inspect;
extern const struct hf_cli_command hf_cmd_key_change_passphrase;

/* The options of all commands; each has rows for those it takes, and begins with this whatever it
 * takes besides. */
struct hf_ctl_options {
    char *repo;
    char *keys;
    char **extra_keys;
    char *passphrase_file;
    char *online_passphrase_file;
    bool is_clock_right;
    bool is_json;
    char *root; /* where trust begins */
    char *set;
    char *profile;
    char *draft;
    int keep;
    /* of what lint looks at */
    char *endpoints;
    char **addresses;
    int timeout_s;
    bool has_legacy_ciphers;
    char *device;
    int lead_days;
    char **roots;
    char **accepts;
    /* of a new version */
    char **drops;
    char **undrops;
    char **derives;
    bool is_again;
};

#define HF_CTL_AT(member) offsetof(struct hf_ctl_options, member)

/* Rows of a command's option table. */
#define HF_CTL_REPO                                                                                \
    {                                                                                              \
        "repo", 0, HF_CLI_TEXT, HF_CTL_AT(repo), "the repository", "DIR"                           \
    }
#define HF_CTL_KEYS                                                                                \
    {                                                                                              \
        "keys", 0, HF_CLI_TEXT, HF_CTL_AT(keys), "the folder of private keys", "DIR"               \
    }
#define HF_CTL_KEY                                                                                 \
    {                                                                                              \
        "key", 0, HF_CLI_LIST, HF_CTL_AT(extra_keys),                                              \
            "also sign with this key: a file or a PKCS#11 URI; repeat for each", "KEY"             \
    }
#define HF_CTL_PASSPHRASE                                                                          \
    {                                                                                              \
        "passphrase-file", 0, HF_CLI_TEXT, HF_CTL_AT(passphrase_file),                             \
            "its first line unlocks the keys; - is standard input (default: ask)", "FILE"          \
    }
#define HF_CTL_ONLINE_PASSPHRASE                                                                   \
    {                                                                                              \
        "online-passphrase-file", 0, HF_CLI_TEXT, HF_CTL_AT(online_passphrase_file),               \
            "the same for the keys in online/, if it differs", "FILE"                              \
    }
#define HF_CTL_CLOCK                                                                               \
    {                                                                                              \
        "clock-is-right", 0, HF_CLI_FLAG, HF_CTL_AT(is_clock_right),                               \
            "sign although the clock is far from the last signature of these keys", NULL           \
    }
#define HF_CTL_ROOT                                                                                \
    {                                                                                              \
        "root", 0, HF_CLI_TEXT, HF_CTL_AT(root),                                                   \
            "start from this root metadata, like a device that ships with it (default: the "       \
            "repository's own first)",                                                             \
            "FILE"                                                                                 \
    }
#define HF_CTL_SET                                                                                 \
    {                                                                                              \
        "set", 0, HF_CLI_TEXT, HF_CTL_AT(set), "what the roots are for, such as amazon-iot",       \
            "NAME"                                                                                 \
    }
#define HF_CTL_PROFILE                                                                             \
    {                                                                                              \
        "profile", 0, HF_CLI_TEXT, HF_CTL_AT(profile),                                             \
            "for which devices: full, rsa, ecc, legacy", "NAME"                                    \
    }
#define HF_CTL_DROP                                                                                \
    {                                                                                              \
        "drop", 0, HF_CLI_LIST, HF_CTL_AT(drops),                                                  \
            "agree that a root is dropped, or `all`; or revoke one that an attacker installed",    \
            "SHA256"                                                                               \
    }
#define HF_CTL_UNDROP                                                                              \
    {                                                                                              \
        "undrop", 0, HF_CLI_LIST, HF_CTL_AT(undrops),                                              \
            "stop dropping a key that the version before drops; again for each", "SHA256"          \
    }
#define HF_CTL_DERIVE                                                                              \
    {                                                                                              \
        "derive", 0, HF_CLI_LIST, HF_CTL_AT(derives),                                              \
            "publish these profiles too, made of the roots with such keys", "rsa,ecc"              \
    }
#define HF_CTL_ACCEPT                                                                              \
    {                                                                                              \
        "accept", 0, HF_CLI_LIST, HF_CTL_AT(accepts),                                              \
            "accept this lint error; the signed metadata records it", "CODE"                       \
    }
#define HF_CTL_ROOTS                                                                               \
    {                                                                                              \
        "roots", 0, HF_CLI_LIST, HF_CTL_AT(roots),                                                 \
            "another table of known roots, in the form of deploy/roots/amazon.txt", "FILE"         \
    }
#define HF_CTL_ENDPOINTS                                                                           \
    {"endpoints",                                                                                  \
     0,                                                                                            \
     HF_CLI_TEXT,                                                                                  \
     HF_CTL_AT(endpoints),                                                                         \
     "a list of endpoints and the chains they show (lint --help)",                                 \
     "FILE"},                                                                                      \
        {"endpoint",                                                                               \
         0,                                                                                        \
         HF_CLI_LIST,                                                                              \
         HF_CTL_AT(addresses),                                                                     \
         "a server to probe now: mqtts://HOST[:8883], https://HOST[:443] or "                      \
         "tls://HOST:PORT; repeat for each. The output of aws iot describe-endpoint works too, "   \
         "directly or as @FILE",                                                                   \
         "URL"},                                                                                   \
        {"legacy-ciphers",                                                                         \
         0,                                                                                        \
         HF_CLI_FLAG,                                                                              \
         HF_CTL_AT(has_legacy_ciphers),                                                            \
         "also offer such servers cipher suites with static RSA and CBC",                          \
         NULL},                                                                                    \
    {                                                                                              \
        "endpoint-timeout", 0, HF_CLI_INT, HF_CTL_AT(timeout_s),                                   \
            "how long one such server may take with all its answers", "SECONDS",                   \
            .preset = HF_LINT_TIMEOUT_S_DEFAULT, .shows_preset = true                              \
    }
#define HF_CTL_DEVICE                                                                              \
    {                                                                                              \
        "device", 0, HF_CLI_TEXT, HF_CTL_AT(device),                                               \
            "the algorithms that devices have (lint --help)", "FILE"                               \
    }
#define HF_CTL_DRAFT                                                                               \
    {                                                                                              \
        "draft", 0, HF_CLI_TEXT, HF_CTL_AT(draft),                                                 \
            "sign nothing: write a draft for targets sign and targets finish", "FILE"              \
    }
#define HF_CTL_AGAIN                                                                               \
    {                                                                                              \
        "again", 0, HF_CLI_FLAG, HF_CTL_AT(is_again),                                              \
            "make a new version even if nothing changed, for devices that rejected the last one",  \
            NULL                                                                                   \
    }
#define HF_CTL_LEAD                                                                                \
    {                                                                                              \
        "lead", 0, HF_CLI_INT, HF_CTL_AT(lead_days),                                               \
            "how long the last device may need to install a new root", "DAYS",                     \
            .preset = HF_LEAD_DAYS_DEFAULT, .shows_preset = true                                   \
    }
#define HF_CTL_KEEP                                                                                \
    {                                                                                              \
        "keep", 0, HF_CLI_INT, HF_CTL_AT(keep),                                                    \
            "how many versions of this set and profile stay listed", "N",                          \
            .preset = HF_KEEP_DEFAULT, .shows_preset = true                                        \
    }
/* `schema` is a literal: schema/SCHEMA.schema.json says what is printed. */
#define HF_CTL_JSON(schema)                                                                        \
    {                                                                                              \
        "json", 0, HF_CLI_FLAG, HF_CTL_AT(is_json),                                                \
            "print JSON for scripts: schema/" schema ".schema.json", NULL                          \
    }
/* The last rows of every table. */
#define HF_CTL_HELP                                                                                \
    {"quiet", 'q', HF_CLI_QUIET, 0, "print no report", NULL},                                      \
        {"verbose", 'v', HF_CLI_VERBOSE, 0, "log each step to standard error", NULL},              \
        HF_CLI_HELP_ROW

/* Of the help of every command that signs. */
#define HF_CTL_KEY_TEXT                                                                            \
    "A key can also be in a token (smart card, HSM). KEYS then holds a file that refers to it\n"   \
    "(key import), or --key names it by its PKCS#11 URI, in quotes because of the semicolon:\n\n"  \
    "  pkcs11:token=alice;object=root-1\n"                                                         \
    "  pkcs11:token=online;object=timestamp?pin-source=file:/etc/holdfast/pin\n\n"                 \
    "The PIN is asked for, or read from pin-source. --key also names a key file in\n"              \
    "another folder. A key that is not authorised for the role is rejected."

struct hf_publication_context hf_ctl_publication(const struct hf_ctl_options *o,
                                                 enum hf_key_location location);

/** The root metadata that --root names, appended; nothing where it was not given (NULL). Where trust
 *  begins: hf_repo.trusted_root. HF_E_FORMAT for an empty file, and as hf_file_read_any. */
HF_MUST_USE enum hf_err hf_ctl_read_root(const char *file, struct hf_buf *out, struct hf_why *why);

/** Seconds since 1970 by this machine's clock. */
int64_t hf_ctl_now_s(void);

/** The usage error of a lead time, or a time for endpoints, that is invalid. */
HF_MUST_USE enum hf_err hf_ctl_check_lead(struct hf_cli_call *call);
HF_MUST_USE enum hf_err hf_ctl_check_timeout(struct hf_cli_call *call);

/** What lint asks and reads; borrows from `o`. */
struct hf_lint_sources hf_ctl_lint_sources(const struct hf_ctl_options *o);

#endif
