/*
 * The command that tells other programs of a swap ("systemctl reload mosquitto"). It is the
 * administrator's own text, run by /bin/sh -c; what it may want to know stands in the environment
 * and is never put into that text.
 */
#ifndef HF_CLIENT_PORT_POSIX_FOLLOWERS_H
#define HF_CLIENT_PORT_POSIX_FOLLOWERS_H

#include <holdfast/error.h>

#define HF_ON_SWAP_TIMEOUT_MS 60000

struct hf_swap_notice {
    const char *state;       /* HOLDFAST_STATE */
    const char *set;         /* HOLDFAST_SET */
    const char *profile;     /* HOLDFAST_PROFILE */
    const char *old_version; /* HOLDFAST_OLD_VERSION; "none" the first time */
    const char *new_version; /* HOLDFAST_NEW_VERSION */
    const char *export_file; /* HOLDFAST_EXPORT; "" where no export is kept */
};

/** Run `command` to its end, at most `timeout_ms`, as hf_shell_run does. */
HF_MUST_USE enum hf_err hf_on_swap_run(const char *command, const struct hf_swap_notice *notice,
                                       unsigned timeout_ms, struct hf_why *why);

#endif
