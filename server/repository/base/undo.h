/* What a command has created, to take it away again when a later step fails. */
#ifndef HF_REPOSITORY_UNDO_H
#define HF_REPOSITORY_UNDO_H

#include "common/os/file_util.h"

struct hf_undo {
    char **paths; /* owned, in order of creation */
    size_t n_paths;
};

/** Note a file or folder as created. When there is no memory to note it, it is removed. */
HF_MUST_USE enum hf_err hf_undo_note(struct hf_undo *undo, const char *path, struct hf_why *why);

/** Make a folder and those above it that are missing, and note them. A folder that exists already
 *  is left as it is. */
HF_MUST_USE enum hf_err hf_undo_make_folder(struct hf_undo *undo, const char *path, mode_t mode,
                                            struct hf_why *why);

/** Remove everything noted, newest first; a folder that holds anything else stays. */
void hf_undo_run(struct hf_undo *undo);

/** Keep everything: forget the notes. */
void hf_undo_free(struct hf_undo *undo);

#endif
