#include "client/agent/term.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool hf_term_has_colours(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_colour != NULL && no_colour[0] != '\0')
        return false;
    if (term == NULL || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(out)) == 1;
}

const char *hf_term_colour(bool has_colours, enum hf_colour colour)
{
    static const char *const codes[] = {
        [HF_COLOUR_NONE] = "\x1b[0m",   [HF_COLOUR_BOLD] = "\x1b[1m",
        [HF_COLOUR_GREEN] = "\x1b[32m", [HF_COLOUR_YELLOW] = "\x1b[33m",
        [HF_COLOUR_RED] = "\x1b[31m",
    };

    return has_colours ? codes[colour] : "";
}
