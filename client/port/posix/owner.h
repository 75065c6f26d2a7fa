/*
 * Owners of files. A state folder decides what this device trusts and which command it runs, so a
 * user who can write one acts with the rights of every user who runs Holdfast on it. A path is
 * *safe* when only the running user and root can exchange it: each folder on the way to it, each
 * symbolic link that is followed and it itself belong to one of these two, and no other user may
 * write there. Folders with the sticky bit (/tmp) may stand on the way, since others cannot
 * exchange what is not theirs. A group that may write counts as others, unless it is that of root
 * or, for any user but root, one that the program runs with; on the way also unless it has no
 * member but these two users. An ACL is read as well.
 */
#ifndef HF_CLIENT_PORT_POSIX_OWNER_H
#define HF_CLIENT_PORT_POSIX_OWNER_H

#include <holdfast/error.h>

#include <stdbool.h>

/** Is `path`, which need not exist, safe? HF_E_POLICY, HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_owner_check_path(const char *path, struct hf_why *why);

/** May a file be put in the place of `path`? As hf_owner_check_path, and HF_E_STORAGE for a pipe, a
 *  device or a folder. */
HF_MUST_USE enum hf_err hf_owner_check_output(const char *path, struct hf_why *why);

/** Is a state folder safe, and the files in it? It need not exist. As hf_owner_check_path. */
HF_MUST_USE enum hf_err hf_owner_check_state(const char *state_dir, struct hf_why *why);

/**
 * Are the programs that a shell command names safe? Its first word, found in PATH where it has no
 * slash, what a shell or another interpreter that it starts is to read, and every executable file
 * whose path stands in it, absolute or after `cd FOLDER`. As hf_owner_check_path.
 */
HF_MUST_USE enum hf_err hf_owner_check_command(const char *command, struct hf_why *why);

/** Does everything that SQLite has beside `database` belong to the owner of `database`? As root,
 *  SQLite would give it to that owner, and hide which user wrote it. */
bool hf_owner_is_one(const char *database);

/** May this user read `state_dir` and `database` in it, as far as they exist? HF_E_STORAGE, saying
 *  who may. */
HF_MUST_USE enum hf_err hf_owner_check_readable(const char *state_dir, const char *database,
                                                struct hf_why *why);

#endif
