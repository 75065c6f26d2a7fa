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

enum hf_err hf_effects_add_device(struct hf_effects *effects, int64_t device_id, struct hf_why *why)
{
    const struct hf_effect effect = {.kind = HF_EFFECT_DEVICE, .device_id = device_id};

    return hf_effects_add(effects, &effect, why);
}

void hf_effects_note_take(struct hf_effects *effects, const struct hf_event_note *note)
{
    struct hf_buf data = note->data;

    if (effects->n_notes == effects->notes_cap && effects->n_notes < HF_EVENTS_KEPT_MAX) {
        size_t cap = effects->notes_cap == 0 ? 64 : 2 * effects->notes_cap;
        struct hf_event_note *notes = realloc(effects->notes, cap * sizeof *notes);
        if (notes != NULL) {
            effects->notes = notes;
            effects->notes_cap = cap;
        }
    }
    if (data.len > 0 && effects->n_notes < effects->notes_cap) {
        effects->notes[effects->n_notes++] = *note;
        return;
    }
    effects->n_lost++;
    hf_buf_free(&data);
}

struct hf_effects_mark hf_effects_mark(const struct hf_effects *effects)
{
    return (struct hf_effects_mark){effects->n, effects->n_notes};
}

void hf_effects_cut(struct hf_effects *effects, struct hf_effects_mark mark)
{
    if (mark.n < effects->n)
        effects->n = mark.n;
    while (effects->n_notes > mark.n_notes)
        hf_buf_free(&effects->notes[--effects->n_notes].data);
}

void hf_effects_clear(struct hf_effects *effects)
{
    hf_effects_cut(effects, (struct hf_effects_mark){0, 0});
    effects->n_lost = 0;
}

void hf_effects_free(struct hf_effects *effects)
{
    hf_effects_clear(effects);
    free(effects->list);
    free(effects->notes);
    *effects = (struct hf_effects){0};
}
