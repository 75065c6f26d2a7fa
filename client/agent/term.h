/* Colours: on a terminal only, and not with NO_COLOR set (no-color.org) or TERM=dumb. */
#ifndef HF_CLIENT_AGENT_TERM_H
#define HF_CLIENT_AGENT_TERM_H

#include <stdbool.h>
#include <stdio.h>

enum hf_colour { HF_COLOUR_NONE, HF_COLOUR_BOLD, HF_COLOUR_GREEN, HF_COLOUR_YELLOW, HF_COLOUR_RED };

bool hf_term_has_colours(FILE *out);

/** What switches a colour on; "" where `has_colours` is false. HF_COLOUR_NONE switches it off. */
const char *hf_term_colour(bool has_colours, enum hf_colour colour);

#endif
