/*
 * SoftHSM2 tokens in the folder of a test: a real PKCS#11 module, and the machine's own tokens stay
 * as they are. What goes wrong fails the test.
 */
#ifndef HF_TESTS_SUPPORT_SOFTHSM_H
#define HF_TESTS_SUPPORT_SOFTHSM_H

#include "tests/support/temp_dir.h"

#define SOFTHSM_PIN "123456"

/** The module's path; NULL where SoftHSM2 is not installed (deploy/install-deps.sh --for test). */
const char *softhsm_module(void);

/** No tokens yet; from now on the module sees those of this folder. Skips the test without it. */
void softhsm_use(const struct temp_dir *dir);
void softhsm_add_token(const char *label);

/** DIR/pin with the right PIN, as `pin-source` wants it. */
const char *softhsm_pin_file(const struct temp_dir *dir);

#endif
