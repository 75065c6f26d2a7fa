/* The commands of CLIENT-CLI.md, each one call of client/core over the ports of a test. */
#ifndef HF_TESTS_CONFORMANCE_SESSION_H
#define HF_TESTS_CONFORMANCE_SESSION_H

#include <holdfast/error.h>

struct session_options {
    const char *metadata_dir;
    const char *metadata_url;
    const char *target_dir;
    const char *target_base_url;
    const char *const *target_names; /* ends with NULL; NULL for none */
};

/** Trust the root metadata in `root_file`. */
HF_MUST_USE enum hf_err session_init(const struct session_options *options, const char *root_file,
                                     struct hf_why *why);
HF_MUST_USE enum hf_err session_refresh(const struct session_options *options, struct hf_why *why);

/** Refresh, then every target in turn into target_dir, unless it is there already. */
HF_MUST_USE enum hf_err session_download(const struct session_options *options, struct hf_why *why);

#endif
