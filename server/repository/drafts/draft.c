#include "server/repository/drafts/draft.h"

#include "common/json/json.h"

static struct hf_bytes text_of(const json_t *text)
{
    return (struct hf_bytes){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

struct hf_bytes hf_draft_root_file(const struct hf_draft *draft)
{
    return text_of(json_object_get(draft->json, "root"));
}

struct hf_bytes hf_draft_before_file(const struct hf_draft *draft)
{
    return text_of(json_object_get(draft->json, "before"));
}

struct hf_bytes hf_draft_content(const struct hf_draft *draft, const char *path)
{
    return text_of(json_object_get(json_object_get(draft->json, "files"), path));
}

const char *hf_draft_key_name(const struct hf_draft *draft, const char *key_id)
{
    const json_t *names = json_object_get(draft->json, "names");
    const char *name = json_string_value(json_object_get(names, key_id));
    return name == NULL ? "" : name;
}

const struct hf_envelope *hf_draft_envelope(const struct hf_draft *draft)
{
    return draft->role == HF_ROLE_ROOT ? &draft->next.env : &draft->targets.env;
}

bool hf_draft_is_same_signed(const struct hf_envelope *a, const struct hf_envelope *b)
{
    return hf_bytes_equal(hf_buf_bytes(&a->signed_bytes), hf_buf_bytes(&b->signed_bytes));
}

void hf_draft_digest(const struct hf_draft *draft, uint8_t out[HF_SHA256_LEN])
{
    hf_sha256(hf_buf_bytes(&hf_draft_envelope(draft)->signed_bytes), out);
}

bool hf_draft_is_under_coming_root(const struct hf_draft *draft)
{
    return draft->root_before.env.version > 0;
}

const struct hf_root *hf_draft_root_in_force(const struct hf_draft *draft)
{
    return hf_draft_is_under_coming_root(draft) ? &draft->root_before : &draft->root;
}

enum hf_err hf_draft_metadata(const struct hf_draft *draft, struct hf_buf *out, struct hf_why *why)
{
    json_t *file = json_pack("{s:O, s:O}", "signed", json_object_get(draft->json, "signed"),
                             "signatures", json_object_get(draft->json, "signatures"));
    if (file == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a draft");
    enum hf_err err = hf_json_write(file, out, why);
    json_decref(file);
    return err;
}

void hf_draft_free(struct hf_draft *draft)
{
    hf_root_free(&draft->root);
    hf_root_free(&draft->next);
    hf_root_free(&draft->root_before);
    hf_targets_free(&draft->before);
    hf_targets_free(&draft->targets);
    json_decref(draft->json);
    *draft = (struct hf_draft){0};
}
