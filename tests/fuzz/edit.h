/* Edits of JSON that keep it JSON: what a fuzzer of bytes hardly ever manages. */
#ifndef HF_TESTS_FUZZ_EDIT_H
#define HF_TESTS_FUZZ_EDIT_H

#include "tests/fuzz/fuzz.h"

#include <jansson.h>

/** Change one value somewhere below `root`, an object: which and how, `in` says. */
void fuzz_edit(json_t *root, struct fuzz_input *in);

/** Edit until `script` is used up, sixteen times at most. */
void fuzz_edit_by(json_t *root, struct hf_bytes script);

#endif
