/*
 * The four kinds of metadata as values (TUF 4.3 to 4.6): targets in targets.c, the others in
 * metadata.c. Parsing verifies nothing; trusted_set.h does.
 */
#ifndef HF_COMMON_TUF_METADATA_H
#define HF_COMMON_TUF_METADATA_H

#include "common/base/digest.h"
#include "common/tuf/envelope.h"

/** What one file says of another: version, and length and hashes where given. */
struct hf_file_info {
    int64_t version; /* 0 for targets */
    int64_t length;  /* bytes; -1 where not given */
    bool has_hashes; /* any, also of algorithms not known here */
    bool has_sha256;
    bool has_sha512;
    uint8_t sha256[HF_SHA256_LEN];
    uint8_t sha512[HF_SHA512_LEN];
};

/**
 * From a member of `meta` (version required) or of `targets` (length and hashes required).
 * Unknown hash algorithms are noted and otherwise ignored.
 */
enum hf_file_kind { HF_FILE_METADATA, HF_FILE_TARGET };
HF_MUST_USE enum hf_err hf_file_info_parse(const json_t *object, enum hf_file_kind kind,
                                           const char *what, struct hf_file_info *out,
                                           struct hf_why *why);

/**
 * Length and every known hash must match, where given. Where only unknown hashes are given nothing
 * matches: HF_E_HASH.
 */
HF_MUST_USE enum hf_err hf_file_info_verify(const struct hf_file_info *info, struct hf_bytes data,
                                            const char *what, struct hf_why *why);

enum hf_top_role {
    HF_ROLE_ROOT,
    HF_ROLE_TIMESTAMP,
    HF_ROLE_SNAPSHOT,
    HF_ROLE_TARGETS,
    HF_TOP_ROLES
};
const char *hf_top_role_name(enum hf_top_role role);

struct hf_root {
    struct hf_envelope env;
    bool consistent_snapshot;
    struct hf_keyring ring;
    struct hf_role roles[HF_TOP_ROLES];
    char *names; /* the key ids of both, once hf_root_shed has been called */
};

struct hf_timestamp {
    struct hf_envelope env;
    struct hf_file_info snapshot;
};

struct hf_snapshot_entry {
    const char *file; /* "targets.json", "rollout.json"; borrowed */
    struct hf_file_info info;
};

struct hf_snapshot {
    struct hf_envelope env;
    struct hf_snapshot_entry *entries; /* sorted by file */
    size_t n_entries;
    char *names; /* of the entries, once hf_snapshot_shed has been called */
};

struct hf_target {
    const char *path; /* borrowed */
    struct hf_file_info info;
    const json_t *custom; /* borrowed; NULL where absent or no object */
};

struct hf_delegation {
    struct hf_role role;
    bool is_terminating;
    /* Borrowed lists of strings; at most one is there. With neither it covers nothing. */
    const json_t *paths;
    const json_t *path_hash_prefixes;
};

struct hf_targets {
    struct hf_envelope env;
    struct hf_target *targets;
    size_t n_targets;
    struct hf_keyring ring;
    struct hf_delegation *delegations;
    size_t n_delegations;
};

/* Each: `out` written on HF_OK only, to be freed with its own free. HF_E_FORMAT, HF_E_LIMIT, … */
HF_MUST_USE enum hf_err hf_root_parse(struct hf_bytes file, struct hf_root *out,
                                      struct hf_why *why);
HF_MUST_USE enum hf_err hf_timestamp_parse(struct hf_bytes file, struct hf_timestamp *out,
                                           struct hf_why *why);
HF_MUST_USE enum hf_err hf_snapshot_parse(struct hf_bytes file, struct hf_snapshot *out,
                                          struct hf_why *why);
HF_MUST_USE enum hf_err hf_targets_parse(struct hf_bytes file, struct hf_targets *out,
                                         struct hf_why *why);
void hf_root_free(struct hf_root *m);
void hf_timestamp_free(struct hf_timestamp *m);
void hf_snapshot_free(struct hf_snapshot *m);
void hf_targets_free(struct hf_targets *m);

/** Once it is verified: keep keys and roles, or the entries, and free everything else that was read
 *  (hf_envelope_shed_json). A second call does nothing. HF_E_MEMORY, and nothing has changed. */
HF_MUST_USE enum hf_err hf_root_shed(struct hf_root *m, struct hf_why *why);
HF_MUST_USE enum hf_err hf_snapshot_shed(struct hf_snapshot *m, struct hf_why *why);

/** The same usable public keys, whatever their ids, for `role` in both? */
bool hf_root_role_keys_same(const struct hf_root *a, const struct hf_root *b,
                            enum hf_top_role role);

/** NULL where not listed. */
const struct hf_file_info *hf_snapshot_find(const struct hf_snapshot *m, const char *file);
const struct hf_target *hf_targets_find(const struct hf_targets *m, const char *path);

/** A target path that can be a file below a folder: relative, no empty, "." or ".." part, no
 *  control characters or backslash, at most HF_TARGET_PATH_MAX bytes. */
bool hf_target_path_is_safe(const char *path);

/**
 * The file name a target is fetched under (TUF 5.7.3, 6.2): `DIR/NAME`, or `DIR/HASH.NAME` with
 * consistent snapshots (SHA-256 where there is one, else SHA-512). Appends to `out`. Whether the
 * path is safe is the caller's question (hf_target_path_is_safe).
 */
HF_MUST_USE enum hf_err hf_target_file_name(const struct hf_target *t, bool consistent_snapshot,
                                            struct hf_buf *out, struct hf_why *why);

#endif
