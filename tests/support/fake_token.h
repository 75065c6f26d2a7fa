/* The PKCS#11 module of fake_token_module.c, which says what faults it knows. */
#ifndef HF_TESTS_SUPPORT_FAKE_TOKEN_H
#define HF_TESTS_SUPPORT_FAKE_TOKEN_H

#include "tests/support/temp_dir.h"

/** The faults from now on, separated by blanks; what costs something is noted in the folder. */
void fake_token_use(const struct temp_dir *dir, const char *faults);

/** pkcs11:PATH, the module, and the right PIN in a file; in a buffer that the next three calls
 *  leave alone. */
const char *fake_token_uri(const struct temp_dir *dir, const char *path);
/** The same with another PIN, or with none to read where it is NULL. */
const char *fake_token_uri_with_pin(const struct temp_dir *dir, const char *path, const char *pin);

/** What it was asked for, a word a line; "" for nothing. */
const char *fake_token_log(const struct temp_dir *dir);

#endif
