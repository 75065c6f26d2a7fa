#include "tests/fuzz/fuzz.h"

#include <sodium.h>

#define SEED UINT64_C(0x9e3779b97f4a7c15)

/* ---- randomness that is none ----------------------------------------------------------------- */

static uint64_t state = SEED;

static uint32_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static const char *generator_name(void)
{
    return "fuzz";
}

static void fill(void *const out, const size_t len)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)next_random();
}

static randombytes_implementation generator = {
    .implementation_name = generator_name,
    .random = next_random,
    .buf = fill,
};

void fuzz_reset_random(void)
{
    state = SEED;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    FUZZ_CHECK(randombytes_set_implementation(&generator) == 0);
    FUZZ_CHECK(sodium_init() >= 0);
    return 0;
}

/* ---- checks ---------------------------------------------------------------------------------- */

void fuzz_check_refusal(enum hf_err err, const struct hf_why *why)
{
    FUZZ_CHECK(err != HF_OK);
    FUZZ_CHECK(why->code == err);
    FUZZ_CHECK(memchr(why->text, '\0', sizeof why->text) != NULL);
    FUZZ_CHECK(why->text[0] != '\0');
    for (const char *c = why->text; *c != '\0'; c++)
        FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* ---- the input ------------------------------------------------------------------------------- */

uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

size_t fuzz_below(struct fuzz_input *in, size_t n)
{
    size_t value = fuzz_byte(in);
    if (n > 256)
        value = value << 8 | fuzz_byte(in);
    return value % n;
}

struct hf_bytes fuzz_section(struct fuzz_input *in)
{
    const uint8_t *end = in->len == 0 ? NULL : memchr(in->data, 0xff, in->len);
    size_t len = end == NULL ? in->len : (size_t)(end - in->data);
    struct hf_bytes section = {in->data, len};
    size_t used = end == NULL ? len : len + 1;
    in->len -= used;
    if (used > 0)
        in->data += used;
    return section;
}

char *fuzz_text(struct hf_bytes bytes)
{
    size_t len = bytes.len == 0 ? 0 : strnlen((const char *)bytes.data, bytes.len);
    char *text = malloc(len + 1);
    FUZZ_CHECK(text != NULL);
    if (len > 0)
        memcpy(text, bytes.data, len);
    text[len] = '\0';
    return text;
}
