/* The options that bundle add, import and remove share. */
#ifndef HF_PUBLISH_BUNDLE_OPTIONS_H
#define HF_PUBLISH_BUNDLE_OPTIONS_H

#include "server/repository/certs/anchor_end.h"
#include "server/publish/bundle/bundle_release.h"
#include "server/publish/commands/cli.h"

/** As typed; owned. */
struct hf_bundle_options {
    struct hf_cli_place place;
    char *set;
    char *profile;
    char *endpoints;
    char **addresses;
    int timeout_s;
    int has_legacy_ciphers;
    char *device;
    char *draft;
    char **drops;
    char **undrops;
    char **derives;
    char **accepts;
    char **roots;
    int keep;
    int lead_days;
    int is_again;
    int is_json;
};

#define HF_BUNDLE_OPTIONS_DEFAULT                                                                  \
    {                                                                                              \
        .keep = HF_KEEP_DEFAULT, .lead_days = HF_LEAD_DAYS_DEFAULT,                                \
        .timeout_s = HF_LINT_TIMEOUT_S_DEFAULT                                                     \
    }

#define HF_CLI_SET(o)                                                                              \
    {                                                                                              \
        "set", 0, POPT_ARG_STRING, &(o)->set, 0, "what the roots are for, such as amazon-iot",     \
            "NAME"                                                                                 \
    }
#define HF_CLI_PROFILE(o)                                                                          \
    {                                                                                              \
        "profile", 0, POPT_ARG_STRING, &(o)->profile, 0,                                           \
            "for which devices: full, rsa, ecc, legacy", "NAME"                                    \
    }
#define HF_CLI_DROP(o)                                                                             \
    {                                                                                              \
        "drop", 0, POPT_ARG_ARGV, &(o)->drops, 0,                                                  \
            "agree that a root is dropped, or `all`; or revoke one that an attacker installed",    \
            "SHA256"                                                                               \
    }
#define HF_CLI_UNDROP(o)                                                                           \
    {                                                                                              \
        "undrop", 0, POPT_ARG_ARGV, &(o)->undrops, 0,                                              \
            "stop dropping a key that the version before drops; again for each", "SHA256"          \
    }
#define HF_CLI_DERIVE(o)                                                                           \
    {                                                                                              \
        "derive", 0, POPT_ARG_ARGV, &(o)->derives, 0,                                              \
            "publish these profiles too, made of the roots with such keys", "rsa,ecc"              \
    }
#define HF_CLI_ACCEPT(o)                                                                           \
    {                                                                                              \
        "accept", 0, POPT_ARG_ARGV, &(o)->accepts, 0,                                              \
            "let this error of lint pass; what is published says so, signed", "CODE"               \
    }
#define HF_CLI_ROOTS(o)                                                                            \
    {                                                                                              \
        "roots", 0, POPT_ARG_ARGV, &(o)->roots, 0,                                                 \
            "a table of roots that are known too, as deploy/roots/amazon.txt", "FILE"              \
    }
#define HF_CLI_ENDPOINTS(o)                                                                        \
    {"endpoints",     0, POPT_ARG_STRING,                                                          \
     &(o)->endpoints, 0, "a list of endpoints and the chains they show (lint --help)",             \
     "FILE"},                                                                                      \
        {"endpoint",                                                                               \
         0,                                                                                        \
         POPT_ARG_ARGV,                                                                            \
         &(o)->addresses,                                                                          \
         0,                                                                                        \
         "a server to be asked for its chains now: mqtts://HOST[:8883], https://HOST[:443] or "    \
         "tls://HOST:PORT; again for each. What aws iot describe-endpoint prints does as well, "   \
         "as it is or as @FILE",                                                                   \
         "URL"},                                                                                   \
        {"legacy-ciphers",                                                                         \
         0,                                                                                        \
         POPT_ARG_NONE,                                                                            \
         &(o)->has_legacy_ciphers,                                                                 \
         0,                                                                                        \
         "offer such servers cipher suites with static RSA and CBC, too",                          \
         NULL},                                                                                    \
    {                                                                                              \
        "endpoint-timeout", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &(o)->timeout_s, 0,       \
            "how long one such server may take with all its answers", "SECONDS"                    \
    }
#define HF_CLI_DEVICE(o)                                                                           \
    {                                                                                              \
        "device", 0, POPT_ARG_STRING, &(o)->device, 0,                                             \
            "the algorithms that devices have (lint --help)", "FILE"                               \
    }
#define HF_CLI_DRAFT(o)                                                                            \
    {                                                                                              \
        "draft", 0, POPT_ARG_STRING, &(o)->draft, 0,                                               \
            "sign nothing: write a draft for targets sign and targets finish", "FILE"              \
    }
#define HF_CLI_AGAIN(o)                                                                            \
    {                                                                                              \
        "again", 0, POPT_ARG_NONE, &(o)->is_again, 0,                                              \
            "make a new version even if nothing changed, for devices that rejected the last one",  \
            NULL                                                                                   \
    }
#define HF_CLI_LEAD(o)                                                                             \
    {                                                                                              \
        "lead", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &(o)->lead_days, 0,                   \
            "how long the last device may need to take a new root in", "DAYS"                      \
    }
#define HF_CLI_KEEP(o)                                                                             \
    {                                                                                              \
        "keep", 0, POPT_ARG_INT | POPT_ARGFLAG_SHOW_DEFAULT, &(o)->keep, 0,                        \
            "how many versions of this set and profile stay listed", "N"                           \
    }

void hf_bundle_options_free(struct hf_bundle_options *o);

/** False, with the usage error printed, unless what every one of them needs was given. */
bool hf_bundle_options_check(const struct hf_command *self, const struct hf_bundle_options *o);
/** False, with the usage error printed, for a lead time that makes no sense. */
bool hf_cli_check_lead(const struct hf_command *self, int lead_days);
/** The same for the time that endpoints have. */
bool hf_cli_check_timeout(const struct hf_command *self, int timeout_s);

/** What lint asks and reads; borrows from `o`. */
struct hf_lint_sources hf_bundle_options_sources(const struct hf_bundle_options *o);

/** What is the same in the three; borrows from `o`. */
struct hf_release_order hf_bundle_options_order(const struct hf_bundle_options *o);

#endif
