/* hf_hex_decode (common/base/digest): what is decoded encodes to the same text, in lower case. */
#include "tests/fuzz/fuzz.h"

#include "common/base/digest.h"

#include <strings.h>

#define LEN_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char hex[2 * LEN_MAX + 1];
    static uint8_t bytes[LEN_MAX];
    if (size > LEN_MAX)
        return 0;
    char *text = fuzz_text((struct hf_bytes){data, size});
    size_t len = strlen(text) / 2;
    if (hf_hex_decode(text, bytes, len)) {
        FUZZ_CHECK(strlen(text) % 2 == 0);
        hf_hex_encode(bytes, len, hex);
        FUZZ_CHECK(strcasecmp(hex, text) == 0);
        FUZZ_CHECK(strpbrk(hex, "ABCDEF") == NULL);
    }
    FUZZ_CHECK(!hf_hex_decode(text, bytes, len + 1));
    free(text);
    hf_hex_encode(data, size, hex);
    FUZZ_CHECK(hf_hex_decode(hex, bytes, size) && memcmp(bytes, data, size) == 0);
    return 0;
}
