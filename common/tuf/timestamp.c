#include "common/tuf/metadata.h"

#include "common/base/limits.h"
#include "common/json/json.h"

static enum hf_err read_timestamp(struct hf_bytes file, struct hf_timestamp *m, struct hf_why *why)
{
    json_t *meta = NULL;
    HF_TRY(hf_envelope_parse(file, "timestamp", &m->env, why));
    HF_TRY(hf_json_get_object(m->env.signed_part, "meta", "timestamp metadata", &meta, why));
    return hf_file_info_parse(json_object_get(meta, "snapshot.json"), HF_FILE_METADATA,
                              "snapshot.json in timestamp", &m->snapshot, why);
}

enum hf_err hf_timestamp_parse(struct hf_bytes file, struct hf_timestamp *out, struct hf_why *why)
{
    struct hf_timestamp m = {0};
    enum hf_err err = read_timestamp(file, &m, why);
    if (err != HF_OK) {
        hf_timestamp_free(&m);
        return err;
    }
    *out = m;
    return HF_OK;
}

void hf_timestamp_free(struct hf_timestamp *m)
{
    if (m == NULL)
        return;
    hf_envelope_free(&m->env);
    *m = (struct hf_timestamp){0};
}
