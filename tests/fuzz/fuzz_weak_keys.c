/* hf_weak_keys_parse (server/findings): a list has no more keys than lines, sorted, and reads the
 * same again. */
#include "tests/fuzz/fuzz.h"

#include "server/findings/weak_keys.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_weak_keys list = {0}, again = {0};
    struct hf_why why = {0};
    const struct hf_bytes text = {data, size};
    enum hf_err err = hf_weak_keys_parse(&list, "list", text, &why);
    FUZZ_CHECK(err == hf_weak_keys_parse(&again, "list", text, NULL));
    FUZZ_CHECK(list.n == again.n && list.n <= size / (2 * HF_WEAK_KEY_LEN));
    FUZZ_CHECK(err == HF_OK || why.text[0] != '\0');
    hf_weak_keys_sort(&list);
    for (size_t i = 1; i < list.n; i++)
        FUZZ_CHECK(memcmp(list.keys[i - 1], list.keys[i], HF_WEAK_KEY_LEN) <= 0);
    hf_weak_keys_free(&list);
    hf_weak_keys_free(&again);
    return 0;
}
