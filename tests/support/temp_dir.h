/* A folder for one test, and what tests do to the files in it. What goes wrong fails the test. */
#ifndef HF_TESTS_SUPPORT_TEMP_DIR_H
#define HF_TESTS_SUPPORT_TEMP_DIR_H

#include <holdfast/bytes.h>

struct temp_dir {
    char path[64];
};

/* As cmocka's setup and teardown: `*state` is a struct temp_dir *. */
int temp_dir_setup(void **state);
int temp_dir_teardown(void **state);

/** DIR/NAME, in a buffer that the next eight calls leave alone. */
const char *temp_path(const struct temp_dir *dir, const char *name);

void temp_write(const char *path, const char *text);
/** The whole file as text, in a buffer that the next call reuses. */
const char *temp_read(const char *path);
bool temp_exists(const char *path);
/** Files, links and folders in a folder, "." and ".." not counted. */
size_t temp_count(const char *path);
unsigned temp_mode(const char *path);
/** Change `len` bytes of a file in place. */
void temp_overwrite(const char *path, long offset, const char *bytes, size_t len);

/**
 * Root may write everywhere, so a test of write protection changes the user for a while: gives
 * `path` and its contents to the user "nobody" and switches to that user; and back. Does nothing
 * for other users.
 */
void temp_become_nobody(const char *path);
void temp_become_root_again(void);

#endif
