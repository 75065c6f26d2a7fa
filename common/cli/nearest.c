#include "common/cli/nearest.h"

#include <stdbool.h>
#include <string.h>

#define LEN_MAX 63 /* a longer word is no slip of the fingers */
#define SLIPS_MAX 2

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Are the letters that end here the same two, in the other order? */
static bool is_swapped(const char *a, size_t i, const char *b, size_t j)
{
    return i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
}

/* The restricted Damerau-Levenshtein distance: cell (i, j) is that of the first i and j letters. */
static size_t count_slips(const char *a, const char *b)
{
    size_t cells[LEN_MAX + 1][LEN_MAX + 1];
    size_t len_a = strlen(a), len_b = strlen(b);
    for (size_t j = 0; j <= len_b; j++)
        cells[0][j] = j;
    for (size_t i = 1; i <= len_a; i++) {
        cells[i][0] = i;
        for (size_t j = 1; j <= len_b; j++) {
            size_t n = cells[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            n = least(n, least(cells[i - 1][j], cells[i][j - 1]) + 1);
            if (is_swapped(a, i, b, j))
                n = least(n, cells[i - 2][j - 2] + 1);
            cells[i][j] = n;
        }
    }
    return cells[len_a][len_b];
}

void hf_nearest_offer(struct hf_nearest *nearest, const char *name)
{
    size_t len = strlen(nearest->typed);
    if (len > LEN_MAX || strlen(name) > LEN_MAX)
        return;
    size_t n = count_slips(nearest->typed, name);
    if (n > SLIPS_MAX || n * 2 >= len || (nearest->name != NULL && n >= nearest->n_slips))
        return;
    nearest->name = name;
    nearest->n_slips = n;
}
