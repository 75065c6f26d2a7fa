#include "common/tuf/metadata.h"

#include "common/base/limits.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

static enum hf_err read_entries(const json_t *meta, struct hf_snapshot *m, struct hf_why *why)
{
    const char *file;
    json_t *object;
    json_object_foreach((json_t *)(uintptr_t)meta, file, object)
    {
        struct hf_snapshot_entry *entry = &m->entries[m->n_entries];
        HF_TRY(hf_file_info_parse(object, HF_FILE_METADATA, file, &entry->info, why));
        entry->file = file;
        m->n_entries++;
    }
    return HF_OK;
}

static enum hf_err read_snapshot(struct hf_bytes file, struct hf_snapshot *m, struct hf_why *why)
{
    json_t *meta = NULL;
    HF_TRY(hf_envelope_parse(file, "snapshot", HF_SNAPSHOT_BYTES_MAX, &m->env, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "meta", "snapshot", &meta, why));
    size_t count = json_object_size(meta);
    m->entries = calloc(count == 0 ? 1 : count, sizeof *m->entries);
    if (m->entries == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading snapshot metadata");
    return read_entries(meta, m, why);
}

enum hf_err hf_snapshot_parse(struct hf_bytes file, struct hf_snapshot *out, struct hf_why *why)
{
    struct hf_snapshot m = {0};
    enum hf_err err = read_snapshot(file, &m, why);
    if (err != HF_OK) {
        hf_snapshot_free(&m);
        return err;
    }
    *out = m;
    return HF_OK;
}

void hf_snapshot_free(struct hf_snapshot *m)
{
    if (m == NULL)
        return;
    free(m->entries);
    hf_envelope_free(&m->env);
    *m = (struct hf_snapshot){0};
}

const struct hf_file_info *hf_snapshot_find(const struct hf_snapshot *m, const char *file)
{
    for (size_t i = 0; i < m->n_entries; i++) {
        if (strcmp(m->entries[i].file, file) == 0)
            return &m->entries[i].info;
    }
    return NULL;
}
