#include "server/fleet/tx.h"

#include <inttypes.h>
#include <stdlib.h>

enum hf_err hf_tx_check_version(int64_t wanted, int64_t found, struct hf_why *why)
{
    if (wanted == 0 || wanted == found)
        return HF_OK;
    return hf_fail(why, HF_E_STALE,
                   "it was changed meanwhile (expected version %" PRId64 ", found %" PRId64
                   "). Read it again",
                   wanted, found);
}

enum hf_err hf_col_fail_word(const struct hf_rows *rows, unsigned column, struct hf_why *why)
{
    return hf_fail(why, HF_E_FORMAT,
                   "%s: the database is damaged: column %u holds a word that the schema does not "
                   "have. Restore a backup",
                   hf_db_where(rows->db), column + 1);
}

enum hf_err hf_effects_add(struct hf_effects *effects, const struct hf_effect *effect,
                           struct hf_why *why)
{
    if (effects->n == effects->cap) {
        size_t cap = effects->cap == 0 ? 64 : 2 * effects->cap;
        struct hf_effect *list = realloc(effects->list, cap * sizeof *list);
        if (list == NULL)
            return hf_fail(why, HF_E_MEMORY, "out of memory for a change of the registry");
        effects->list = list;
        effects->cap = cap;
    }
    effects->list[effects->n++] = *effect;
    return HF_OK;
}

void hf_effects_cut(struct hf_effects *effects, size_t n)
{
    if (n < effects->n)
        effects->n = n;
}

void hf_effects_free(struct hf_effects *effects)
{
    free(effects->list);
    *effects = (struct hf_effects){0};
}
