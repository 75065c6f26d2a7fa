#include "common/tuf/metadata.h"

#include "common/base/limits.h"
#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

static enum hf_err read_entries(const json_t *meta, struct hf_snapshot *m, struct hf_why *why)
{
    const char *file;
    json_t *object;
    json_object_foreach(hf_json_iterable(meta), file, object)
    {
        struct hf_snapshot_entry *entry = &m->entries[m->n_entries];
        HF_TRY(hf_file_info_parse(object, HF_FILE_METADATA, "an entry of snapshot", &entry->info,
                                  why));
        entry->file = file;
        m->n_entries++;
    }
    return HF_OK;
}

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct hf_snapshot_entry *)a)->file,
                  ((const struct hf_snapshot_entry *)b)->file);
}

static enum hf_err read_snapshot(struct hf_bytes file, struct hf_snapshot *m, struct hf_why *why)
{
    json_t *meta = NULL;
    HF_TRY(hf_envelope_parse(file, "snapshot", &m->env, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "meta", "snapshot metadata", &meta, why));
    size_t count = json_object_size(meta);
    if (count > HF_SNAPSHOT_ENTRIES_MAX)
        return hf_fail(why, HF_E_LIMIT, "snapshot metadata lists %zu files, at most %d are read",
                       count, HF_SNAPSHOT_ENTRIES_MAX);
    m->entries = calloc(count == 0 ? 1 : count, sizeof *m->entries);
    if (m->entries == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while reading snapshot metadata");
    HF_TRY(read_entries(meta, m, why));
    qsort(m->entries, m->n_entries, sizeof *m->entries, compare_entries);
    return HF_OK;
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

enum hf_err hf_snapshot_shed(struct hf_snapshot *m, struct hf_why *why)
{
    size_t size = 1;
    for (size_t i = 0; i < m->n_entries; i++)
        size += strlen(m->entries[i].file) + 1;
    char *names = malloc(size);
    if (names == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory while keeping snapshot metadata");
    char *at = names;
    for (size_t i = 0; i < m->n_entries; i++) {
        size_t len = strlen(m->entries[i].file) + 1;
        memcpy(at, m->entries[i].file, len);
        m->entries[i].file = at;
        at += len;
    }
    free(m->names);
    m->names = names;
    hf_envelope_shed(&m->env);
    json_decref(m->env.json);
    m->env.json = NULL;
    m->env.signed_part = NULL;
    m->env.type = "snapshot";
    return HF_OK;
}

void hf_snapshot_free(struct hf_snapshot *m)
{
    if (m == NULL)
        return;
    free(m->names);
    free(m->entries);
    hf_envelope_free(&m->env);
    *m = (struct hf_snapshot){0};
}

const struct hf_file_info *hf_snapshot_find(const struct hf_snapshot *m, const char *file)
{
    const struct hf_snapshot_entry key = {.file = file};
    const struct hf_snapshot_entry *found = bsearch(&key, m->entries, m->n_entries, sizeof key,
                                                    compare_entries);
    return found == NULL ? NULL : &found->info;
}
