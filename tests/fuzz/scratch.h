/* A folder in memory (or wherever TMPDIR is) for harnesses of what reads files. */
#ifndef HF_TESTS_FUZZ_SCRATCH_H
#define HF_TESTS_FUZZ_SCRATCH_H

#include "tests/fuzz/fuzz.h"

/** The folder of this process, made at the first call and removed at the end. */
const char *scratch_dir(void);
/** FOLDER/NAME, in a buffer that the next four calls leave alone. */
const char *scratch_path(const char *name);
/** Replace the file; readable by the owner only. */
void scratch_write(const char *path, struct hf_bytes bytes);

#endif
