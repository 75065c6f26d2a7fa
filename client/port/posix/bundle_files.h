/*
 * The bundles of the store as files, so that a device keeps its roots without its database:
 *
 * STATE/bundles/HASH.VERSION.pem   exactly as published; HASH is its SHA-256
 * STATE/bundles/HASH.VERSION.json  what was signed about it (schema/bundle-file.schema.json)
 * STATE/bundles/active, previous   symbolic links to one of the .pem files
 * STATE/bundles/revoked            keys that are left out of each of them (store_bundles.c)
 *
 * The version stands in the name because two versions may have the same content (to go back, the
 * old content is published as a higher version): the one link then says which of them is active,
 * and moving it moves .pem and .json in one step.
 *
 * Bundle files and links are not synced: the database and its copy are, and each open compares the
 * files with it and writes again what a power cut took.
 */
#ifndef HF_CLIENT_PORT_POSIX_BUNDLE_FILES_H
#define HF_CLIENT_PORT_POSIX_BUNDLE_FILES_H

#include <holdfast/port.h>

/** What the slots of the store hold; NULL for an empty one. Borrowed. */
struct hf_bundle_slots {
    const struct hf_bundle_record *active;
    const struct hf_bundle_record *previous;
    const struct hf_bundle_record *staged;
    const struct hf_buf *revoked; /* keys of 32 bytes; NULL: leave their file as it is */
};

/** Write both files of `record`, unless they are there and whole. Nothing points to them yet.
 *  HF_E_FORMAT if `custom` is not a JSON object, HF_E_STORAGE. */
HF_MUST_USE enum hf_err hf_bundle_files_write(const char *state_dir,
                                              const struct hf_bundle_record *record,
                                              struct hf_why *why);

/**
 * Make the folder agree with the database: every bundle's files there and whole, then the links
 * moved, and only then everything else in the folder removed. May be cut anywhere and done again.
 * The caller holds STATE/lock.
 */
HF_MUST_USE enum hf_err hf_bundle_files_follow(const char *state_dir,
                                               const struct hf_bundle_slots *slots,
                                               struct hf_why *why);

/**
 * Load the active or previous bundle from its files alone. HF_E_NOT_FOUND without the link (and
 * for the staged one, which has none); HF_E_STORAGE when a file is missing or not what its name
 * says. Free `out` with hf_bundle_record_free.
 */
HF_MUST_USE enum hf_err hf_bundle_files_load(const char *state_dir, enum hf_slot slot,
                                             struct hf_bundle_record *out, struct hf_why *why);

/** The keys in STATE/bundles/revoked: the SHA-256 of its other lines, and these (hf_revoked_parse).
 *  `out` is appended to on HF_OK only. HF_E_NOT_FOUND, HF_E_STORAGE where it is damaged. */
HF_MUST_USE enum hf_err hf_revoked_file_load(const char *state_dir, struct hf_buf *out,
                                             struct hf_why *why);

/** Is there an active bundle among the files? */
bool hf_bundle_files_exist(const char *state_dir);

#endif
