/* The seeds of the harness `chain`: chains with everything that the verifier has a rule for. */
#ifndef HF_TESTS_FUZZ_CHAIN_SEEDS_H
#define HF_TESTS_FUZZ_CHAIN_SEEDS_H

#include "tests/fuzz/fuzz.h"

void chain_seeds(void (*write)(const char *harness, const char *name, struct hf_bytes bytes));

#endif
