/*
 * What the harnesses share: an input that is taken apart from its front, checks that stop the
 * fuzzer, and the same "randomness" in every run, so that a finding can be replayed.
 */
#ifndef HF_TESTS_FUZZ_FUZZ_H
#define HF_TESTS_FUZZ_FUZZ_H

#include <holdfast/bytes.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libFuzzer calls. Each harness has the second one, some have the last. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/** A property that must hold for every input. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #condition);    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** For what must succeed whatever the input is. */
#define FUZZ_OK(expression, why)                                                                   \
    do {                                                                                           \
        enum hf_err fuzz_err_ = (expression);                                                      \
        if (fuzz_err_ != HF_OK) {                                                                  \
            fprintf(stderr, "%s:%d: %s is %s: %s\n", __FILE__, __LINE__, #expression,              \
                    hf_err_name(fuzz_err_), (why)->text);                                          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** After a refusal: the sentence has the code that was returned, is there, and is one line. */
void fuzz_check_refusal(enum hf_err err, const struct hf_why *why);

struct fuzz_input {
    const uint8_t *data;
    size_t len;
};

/** 0 when nothing is left. */
uint8_t fuzz_byte(struct fuzz_input *in);
/** 0 to n - 1. */
size_t fuzz_below(struct fuzz_input *in, size_t n);
/** What stands before the next byte 0xFF, which no text holds, or all the rest. Borrowed. */
struct hf_bytes fuzz_section(struct fuzz_input *in);

/** A copy as text, cut at its first NUL, and not one byte larger, so that AddressSanitizer sees
 *  reads beyond it. To be freed. */
char *fuzz_text(struct hf_bytes bytes);

/** From now on the generator of libsodium says what it said after every other reset. */
void fuzz_reset_random(void);

#endif
