/* Names that people read off a terminal, and what --verbose prints there. */
#ifndef HF_REPOSITORY_TEXT_H
#define HF_REPOSITORY_TEXT_H

#include <holdfast/error.h>

#include <stdbool.h>

#define HF_LABEL_MAX 128 /* characters; of keys and of target files */

/** Printable ASCII of 1 to HF_LABEL_MAX characters: what a terminal shows as it is. */
bool hf_label_is_plain(const char *text);

/* --verbose: what is done, step by step, on standard error. */

/** From now on hf_verbose prints. */
void hf_verbose_on(void);

/** One line, if --verbose was given: "holdfastctl: SENTENCE". */
void hf_verbose(const char *fmt, ...) HF_PRINTF(1, 2);

#endif
