/* --verbose: what is done, step by step, on standard error. */
#ifndef HF_REPOSITORY_VERBOSE_H
#define HF_REPOSITORY_VERBOSE_H

#include <holdfast/error.h>

/** From now on hf_verbose prints. */
void hf_verbose_on(void);

/** One line, if --verbose was given: "holdfastctl: SENTENCE". */
void hf_verbose(const char *fmt, ...) HF_PRINTF(1, 2);

#endif
