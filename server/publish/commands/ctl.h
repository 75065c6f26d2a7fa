/* What the commands of `holdfastctl` share: their options, and the help on keys and exit codes. */
#ifndef HF_PUBLISH_CTL_H
#define HF_PUBLISH_CTL_H

#include "common/cli/cli.h"
#include "server/publish/bundle/bundle_release.h"
#include "server/repository/drafts/draft.h"
#include "server/repository/certs/known_roots.h"
#include "server/repository/publication.h"

#include <jansson.h>

/* The exit codes in words, for help. */
#define HF_CTL_EXITS                                                                               \
    "Exit code: 0 success, 1 refused or failed, 2 usage error. One sentence on standard error\n"   \
    "says why; lint, which exits with 1 when it found an error, lists what it found.\n"

extern const struct hf_cli_command hf_cmd_init, hf_cmd_bundle_add, hf_cmd_bundle_import,
    hf_cmd_bundle_remove, hf_cmd_bundle_unlist, hf_cmd_bundle_list, hf_cmd_bundle_diff, hf_cmd_lint,
    hf_cmd_plan, hf_cmd_publish, hf_cmd_refresh, hf_cmd_check, hf_cmd_mirror, hf_cmd_root_draft,
    hf_cmd_root_add_key, hf_cmd_root_remove_key, hf_cmd_root_set_threshold, hf_cmd_root_status,
    hf_cmd_root_merge, hf_cmd_root_sign, hf_cmd_root_finish, hf_cmd_targets_draft,
    hf_cmd_targets_status, hf_cmd_targets_merge, hf_cmd_targets_sign, hf_cmd_targets_finish,
    hf_cmd_rollout_delegate, hf_cmd_rollout_open, hf_cmd_rollout_step, hf_cmd_rollout_pause,
    hf_cmd_rollout_resume, hf_cmd_rollout_complete, hf_cmd_rollout_abort, hf_cmd_rollout_show,
    hf_cmd_rollout_approve, hf_cmd_key_generate, hf_cmd_key_import, hf_cmd_key_inspect,
    hf_cmd_key_change_passphrase;

/* The options of all commands. A command has rows for those that it takes; the others stay zero. */
struct hf_ctl_options {
    char *repo;
    char *keys;
    char **extra_keys; /* --key */
    char *passphrase_file;
    char *online_passphrase_file;
    bool is_clock_right;
    bool is_json;
    char *root; /* where trust begins */
    char *set;
    char *profile;
    char *from;
    char *at;
    char *draft;
    char **pins;
    long long keep;
    bool is_insecure; /* --insecure-no-passphrase */
    /* for lint */
    char *endpoints;
    char **addresses;
    long long timeout_s;
    bool has_legacy_ciphers;
    bool accepts_common_names;
    char *device;
    long long lead_days;
    char **roots;
    char **accepts;
    char *next_ceremony;
    char *save_dir;
    /* for versions of a bundle */
    char **drops;
    char **undrops;
    char **derives;
    char **selects;
    char **distrust_after;
    char **remove_after;
    bool allows_intermediate;
    bool signs_planned;
    bool is_new;
    bool is_again;
    char *plan;
    long long old_version; /* 0: not given */
    long long new_version;
    /* for mirror */
    char *out;
    long long keep_days;
    /* for init */
    long long root_keys, root_threshold, targets_keys, targets_threshold;
    long long days_root, days_targets, days_snapshot, days_timestamp;
    char *given_passphrase_file;
    /* for rollouts */
    char **rollouts; /* names of sets */
    char *reason;
    char *online_key;
    char **approvals; /* files */
    long long stage;  /* from 1; 0: not given */
    /* for drafts */
    char *yes;
    char *role;
    long long threshold; /* 0: not given */
    bool discards_signatures;
    char **targets; /* copies of a draft of targets */
    char **under;   /* copies of a draft of root */
    /* for one key */
    char *key;
    char *type;
    char *public_out;
    char *refer_out;
    char *new_passphrase_file;
};

/* Rows of a command's option table. */
#define HF_CTL_ROW(name, kind, member, about, value)                                               \
    {                                                                                              \
        name, 0, kind, offsetof(struct hf_ctl_options, member), about, value                       \
    }
#define HF_CTL_TEXT(name, member, about, value) HF_CTL_ROW(name, HF_CLI_TEXT, member, about, value)
#define HF_CTL_LIST(name, member, about, value) HF_CTL_ROW(name, HF_CLI_LIST, member, about, value)
#define HF_CTL_FLAG(name, member, about) HF_CTL_ROW(name, HF_CLI_FLAG, member, about, NULL)
/* `number` is the value without the option; help shows it unless it is 0. */
#define HF_CTL_NUMBER(name, member, number, least, most, about, value)                             \
    {                                                                                              \
        name, 0, HF_CLI_INT64, offsetof(struct hf_ctl_options, member), about, value,              \
            .preset = (number), .shows_preset = (number) != 0, .min = (least), .max = (most)       \
    }

/* Rows that several commands have. */
#define HF_CTL_REPO HF_CTL_TEXT("repo", repo, "the repository", "DIR")
#define HF_CTL_KEYS HF_CTL_TEXT("keys", keys, "the folder of private keys", "DIR")
#define HF_CTL_KEY                                                                                 \
    HF_CTL_LIST("key", extra_keys,                                                                 \
                "also sign with this key: a file or a PKCS#11 URI; repeat for each", "KEY")
#define HF_CTL_SET HF_CTL_TEXT("set", set, "what the roots are for, such as amazon-iot", "NAME")
#define HF_CTL_PROFILE                                                                             \
    HF_CTL_TEXT("profile", profile, "for which devices: full, rsa, ecc, legacy", "NAME")
#define HF_CTL_PASSPHRASE                                                                          \
    HF_CTL_TEXT("passphrase-file", passphrase_file,                                                \
                "its first line unlocks the keys; - is standard input (default: ask)", "FILE")
#define HF_CTL_ONLINE_PASSPHRASE                                                                   \
    HF_CTL_TEXT("online-passphrase-file", online_passphrase_file,                                  \
                "the same for the keys in online/, if it differs", "FILE")
#define HF_CTL_INSECURE                                                                            \
    HF_CTL_FLAG("insecure-no-passphrase", is_insecure,                                             \
                "do not encrypt private keys on disk: for tests only")
#define HF_CTL_CLOCK                                                                               \
    HF_CTL_FLAG("clock-is-right", is_clock_right,                                                  \
                "sign although the clock is far from the last signature of these keys")
/* For commands that sign in a repository. */
#define HF_CTL_SIGNING HF_CTL_PASSPHRASE, HF_CTL_ONLINE_PASSPHRASE, HF_CTL_CLOCK
#define HF_CTL_ROOT                                                                                \
    HF_CTL_TEXT("root", root,                                                                      \
                "start from this root metadata, like a device that ships with it (default: the "   \
                "repository's own first)",                                                         \
                "FILE")
#define HF_CTL_ROOTS                                                                               \
    HF_CTL_LIST("roots", roots,                                                                    \
                "another table of known roots, in the form of deploy/roots/amazon.txt", "FILE")
#define HF_CTL_LEAD                                                                                \
    HF_CTL_NUMBER("lead", lead_days, HF_LEAD_DAYS_DEFAULT, 0, HF_LEAD_DAYS_MAX,                    \
                  "how long the last device may need to install a new root", "DAYS")
/* For commands that run lint. */
#define HF_CTL_LINT                                                                                \
    HF_CTL_TEXT("endpoints", endpoints,                                                            \
                "a list of endpoints and the chains they show (lint --help)", "FILE"),             \
        HF_CTL_LIST("endpoint", addresses,                                                         \
                    "a server to probe now: mqtts://HOST[:8883], https://HOST[:443] or "           \
                    "tls://HOST:PORT; repeat for each. The output of aws iot describe-endpoint "   \
                    "works too, directly or as @FILE",                                             \
                    "URL"),                                                                        \
        HF_CTL_FLAG("legacy-ciphers", has_legacy_ciphers,                                          \
                    "also offer such servers cipher suites with static RSA and CBC"),              \
        HF_CTL_FLAG("common-names", accepts_common_names,                                          \
                    "devices take a common name where there is no subjectAltName"),                \
        HF_CTL_NUMBER("endpoint-timeout", timeout_s, HF_LINT_TIMEOUT_S_DEFAULT, 1,                 \
                      HF_LINT_TIMEOUT_S_MAX,                                                       \
                      "how long one such server may take with all its answers", "SECONDS"),        \
        HF_CTL_TEXT("device", device, "the algorithms that devices have (lint --help)", "FILE"),   \
        HF_CTL_LEAD, HF_CTL_ROOTS,                                                                 \
        HF_CTL_LIST("accept", accepts, "accept this lint error; the signed metadata records it",   \
                    "CODE")
#define HF_CTL_PIN                                                                                 \
    HF_CTL_LIST("pin", pins,                                                                       \
                "accept a root that is in no table, by the fingerprint that its owner publishes",  \
                "SHA256")
/* For commands that change targets. */
#define HF_CTL_DRAFT                                                                               \
    HF_CTL_TEXT("draft", draft, "sign nothing: write a draft for targets sign and targets finish", \
                "FILE")
/* The last rows of every table. `schema` is a literal: schema/SCHEMA.schema.json says what is
 * printed. */
#define HF_CTL_REPORT(schema)                                                                      \
    HF_CTL_FLAG("json", is_json, "print JSON for scripts: schema/" schema ".schema.json"),         \
        HF_CTL_HELP, HF_CLI_END
#define HF_CTL_HELP                                                                                \
    {"quiet", 'q', HF_CLI_QUIET, 0, "print no report", NULL},                                      \
        {"verbose", 'v', HF_CLI_VERBOSE, 0, "log each step to standard error", NULL},              \
        HF_CLI_HELP_ROW

/* For the help of commands that sign. */
#define HF_CTL_KEY_TEXT                                                                            \
    "A key can also be in a token (smart card, HSM). KEYS then holds a file that refers to it\n"   \
    "(key import), or --key names it by its PKCS#11 URI, in quotes because of the semicolon:\n\n"  \
    "  pkcs11:token=alice;object=root-1\n"                                                         \
    "  pkcs11:token=online;object=timestamp?pin-source=file:/etc/holdfast/pin\n\n"                 \
    "The PIN is asked for, or read from pin-source. --key also names a key file in\n"              \
    "another folder. A key that is not authorised for the role is rejected."

/** Where a command signs, and with which keys. Borrows from `o`. */
struct hf_publication_context hf_ctl_publication(const struct hf_ctl_options *o,
                                                 enum hf_key_location location);

/** The same, to sign targets; with --draft, to write a draft, for which any folder of keys is
 *  enough. */
struct hf_publication_context hf_ctl_targets_publication(const struct hf_ctl_options *o);

/** Append the root metadata that --root names; nothing without --root (NULL). For
 *  hf_repo.trusted_root. HF_E_FORMAT for an empty file, and as hf_file_read_any. */
HF_MUST_USE enum hf_err hf_ctl_read_root(const char *file, struct hf_buf *out, struct hf_why *why);

/** Seconds since 1970 by this machine's clock. */
int64_t hf_ctl_now_s(void);

/** Parse the time `text` of `option`; NULL leaves `*out_s`. A usage error if it is no time. */
HF_MUST_USE enum hf_err hf_ctl_time(struct hf_cli_call *call, const char *option, const char *text,
                                    int64_t *out_s);

/** The role of that name, of `len` bytes. */
bool hf_ctl_find_role(const char *name, size_t len, enum hf_top_role *out);

/** What lint asks and reads; borrows from `o`. */
struct hf_lint_sources hf_ctl_lint_sources(const struct hf_ctl_options *o);

/** Set, profile, version, newest, path, drops and `anchors` (taken); NULL without memory. */
json_t *hf_ctl_bundle_json(const struct hf_repo_bundle *b, json_t *anchors);

#endif
