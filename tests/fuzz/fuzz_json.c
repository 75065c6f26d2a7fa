/* common/json: what is read can be written canonically, and that form is its own canonical form. */
#include "tests/fuzz/fuzz.h"

#include "common/base/limits.h"
#include "common/json/json.h"

/* Control characters stand in the canonical form as they are, where JSON wants them escaped: such
 * a form is signed, but not read back. */
static bool holds_control_characters(const struct hf_buf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] < 0x20)
            return true;
    }
    return false;
}

static void check_fixed_point(const json_t *value, const struct hf_buf *canonical)
{
    struct hf_buf again = {0};
    struct hf_why why = {0};
    json_t *back = NULL;
    enum hf_err err = hf_json_parse_object(hf_buf_bytes(canonical), "its canonical form", &back,
                                           &why);
    if (err == HF_E_FORMAT) {
        FUZZ_CHECK(holds_control_characters(canonical));
        return;
    }
    if (err == HF_E_LIMIT) /* denser than with its blanks */
        return;
    FUZZ_OK(err, &why);
    FUZZ_CHECK(json_equal(back, value));
    FUZZ_OK(hf_json_canonical(back, &again, &why), &why);
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&again), hf_buf_bytes(canonical)));
    hf_buf_free(&again);
    json_decref(back);
}

/* Nothing that is read differently by a reader who takes the first of two members. */
static void check_strict(const uint8_t *data, size_t size, const json_t *value)
{
    json_t *strict = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    FUZZ_CHECK(strict != NULL && json_is_object(strict));
    FUZZ_CHECK(json_equal(strict, value));
    json_decref(strict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_buf canonical = {0};
    struct hf_why why = {0};
    json_t *value = NULL;
    enum hf_err err = hf_json_parse_object((struct hf_bytes){data, size}, "the file", &value, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(value == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    check_strict(data, size, value);
    FUZZ_OK(hf_json_canonical(value, &canonical, &why), &why);
    FUZZ_CHECK(canonical.len <= size + 2 * size); /* it grows by escapes at most */
    check_fixed_point(value, &canonical);
    hf_buf_free(&canonical);
    json_decref(value);
    return 0;
}
