/* What holds for every metadata file that was parsed, whatever its role. */
#ifndef HF_TESTS_FUZZ_METADATA_CHECKS_H
#define HF_TESTS_FUZZ_METADATA_CHECKS_H

#include "tests/fuzz/fuzz.h"

#include "common/tuf/metadata.h"

void fuzz_check_envelope(const struct hf_envelope *e, const char *type);
void fuzz_check_role(const struct hf_role *role);
void fuzz_check_keyring(const struct hf_keyring *ring);
void fuzz_check_file_info(const struct hf_file_info *info);

/** Without signatures: whatever keys and roles it names, no threshold is met. */
void fuzz_check_not_signed(const struct hf_envelope *e, const struct hf_keyring *ring,
                           const struct hf_role *role);

#endif
