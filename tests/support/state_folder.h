/* A state folder on disk, for tests of the POSIX port. */
#ifndef HF_TESTS_SUPPORT_STATE_FOLDER_H
#define HF_TESTS_SUPPORT_STATE_FOLDER_H

#include <holdfast/error.h>

/** hf_posix_init for roots/full and a server that does not exist. */
enum hf_err state_folder_make(const char *path, struct hf_why *why);

#endif
