/* common/bundle/description: what is read and written again is read the same. */
#include "tests/fuzz/fuzz.h"

#include "common/bundle/description.h"
#include "common/json/json.h"

static void check_same(const struct hf_description *a, const struct hf_description *b)
{
    FUZZ_CHECK(strcmp(a->set, b->set) == 0 && strcmp(a->profile, b->profile) == 0);
    FUZZ_CHECK(a->version == b->version);
    FUZZ_CHECK(a->n_notes == b->n_notes && a->n_drops == b->n_drops);
    for (size_t i = 0; i < a->n_notes; i++) {
        const struct hf_anchor_note *x = &a->notes[i], *y = &b->notes[i];
        FUZZ_CHECK(memcmp(x->sha256, y->sha256, sizeof x->sha256) == 0 && x->use == y->use);
        FUZZ_CHECK(x->distrust_after_s == y->distrust_after_s);
        FUZZ_CHECK(x->remove_after_s == y->remove_after_s);
        FUZZ_CHECK(hf_description_note(a, x->sha256) == x);
    }
    for (size_t i = 0; i < a->n_drops; i++)
        FUZZ_CHECK(memcmp(a->drops[i], b->drops[i], sizeof a->drops[i]) == 0);
}

static void check_description(const struct hf_description *d)
{
    struct hf_description again = {0};
    struct hf_why why = {0};
    struct hf_buf path = {0};
    json_t *json = NULL;
    FUZZ_CHECK(hf_set_name_is_valid(d->set) && hf_set_name_is_valid(d->profile));
    FUZZ_CHECK(d->version >= 1);
    FUZZ_OK(hf_description_target_path(d, &path, &why), &why);
    hf_buf_free(&path);
    FUZZ_OK(hf_description_to_json(d, &json, &why), &why);
    FUZZ_OK(hf_description_parse(json, &again, &why), &why);
    check_same(d, &again);
    hf_description_free(&again);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_description d = {0};
    struct hf_why why = {0};
    json_t *custom = NULL;
    if (hf_json_parse_object((struct hf_bytes){data, size}, "custom", &custom, &why) != HF_OK)
        return 0;
    enum hf_err err = hf_description_parse(custom, &d, &why);
    if (err == HF_OK)
        check_description(&d);
    else
        fuzz_check_refusal(err, &why);
    hf_description_free(&d);
    json_decref(custom);
    return 0;
}
