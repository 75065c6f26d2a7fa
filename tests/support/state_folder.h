/* A state folder on disk, for tests of the POSIX port. */
#ifndef HF_TESTS_SUPPORT_STATE_FOLDER_H
#define HF_TESTS_SUPPORT_STATE_FOLDER_H

/** Initialise `path` for roots/full and a server that does not exist; fails the test otherwise. */
void state_folder_make(const char *path);

#endif
