/*
 * How many signatures are verified, for programs linked with --wrap=hf_key_verify: every one passes
 * through that function (common/tuf/key.h), which works as usual.
 */
#ifndef HF_TESTS_SUPPORT_COUNTING_VERIFY_H
#define HF_TESTS_SUPPORT_COUNTING_VERIFY_H

/** From now on is counted from zero. */
void counting_verify_begin(void);
unsigned counting_verify_count(void);

#endif
