/* Names that people read off a terminal: of keys, of target files. */
#ifndef HF_REPOSITORY_LABEL_H
#define HF_REPOSITORY_LABEL_H

#include <stdbool.h>

#define HF_LABEL_MAX 128 /* characters */

/** Printable ASCII of 1 to HF_LABEL_MAX characters: what a terminal shows as it is. */
bool hf_label_is_plain(const char *text);

#endif
