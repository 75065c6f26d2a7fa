/* What was meant by a word that is nothing's name. */
#ifndef HF_CLI_NEAREST_H
#define HF_CLI_NEAREST_H

#include <stddef.h>

struct hf_nearest {
    const char *typed; /* borrowed, as is the name */
    const char *name;  /* NULL: none is near */
    size_t n_slips;
};

/** To begin with: nothing is near yet. */
#define HF_NEAREST(word)                                                                           \
    {                                                                                              \
        .typed = (word)                                                                            \
    }

/**
 * Take `name` if it is nearer than the one so far: at most two slips of the fingers away (a letter
 * left out, too many, another, or two in the wrong order), and most of what was typed is right.
 */
void hf_nearest_offer(struct hf_nearest *nearest, const char *name);

#endif
