/*
 * common/report/signature: Content-Digest, Signature-Input and Signature, then authority, path,
 * type and body of a message, each ending with 0xFF. Headers that are accepted are those that the
 * signature base is made of, byte for byte. What is signed verifies, and not with another message
 * or another header.
 */
#include "tests/fuzz/fuzz.h"

#include "common/report/signature.h"

#define LABEL "holdfast="

static bool contains(const struct hf_buf *text, const char *part)
{
    return strstr((const char *)text->data, part) != NULL;
}

/* Headers as an attacker sends them. */
static void check_parsed(const char *digest, const char *input, const char *signature,
                         const struct hf_report_message *m)
{
    struct hf_report_signature s;
    struct hf_buf base = {0};
    struct hf_why why = {0};

    enum hf_err err = hf_report_signature_parse(digest, input, signature, &s, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        return;
    }
    FUZZ_CHECK(s.created_s >= 0);
    err = hf_report_signature_base(m, &s, &base, &why);
    if (err == HF_OK) {
        FUZZ_CHECK(contains(&base, digest));
        FUZZ_CHECK(contains(&base, input + strlen(LABEL)));
    } else {
        fuzz_check_refusal(err, &why);
    }
    hf_buf_free(&base);
    (void)hf_report_signature_verify(&s, m, &why);
}

/* Ours; the seed is `hash`, some bytes of the input. */
static void check_signed(const struct hf_report_message *m, const uint8_t hash[HF_SHA256_LEN])
{
    static const uint8_t more[] = {'x'};
    struct hf_report_headers h;
    struct hf_report_signature s;
    struct hf_report_message other = *m;
    struct hf_why why = {0};

    enum hf_err err = hf_report_sign(m, (int64_t)hash[0] << 40, hash, &h, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        return;
    }
    FUZZ_OK(hf_report_signature_parse(h.content_digest, h.signature_input, h.signature, &s, &why),
            &why);
    FUZZ_OK(hf_report_signature_verify(&s, m, &why), &why);
    other.body = m->body.len > 0 ? (struct hf_bytes){m->body.data, m->body.len - 1}
                                 : (struct hf_bytes){more, sizeof more};
    FUZZ_CHECK(hf_report_signature_verify(&s, &other, &why) == HF_E_HASH);
    s.created_s++;
    FUZZ_CHECK(hf_report_signature_verify(&s, m, &why) == HF_E_SIGNATURE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    char *text[6];
    uint8_t hash[HF_SHA256_LEN];

    for (size_t i = 0; i < 6; i++)
        text[i] = fuzz_text(fuzz_section(&in));
    const struct hf_report_message m = {"POST", text[3], text[4], text[5], {in.data, in.len}};
    hf_sha256((struct hf_bytes){data, size}, hash);
    check_parsed(text[0], text[1], text[2], &m);
    check_signed(&m, hash);
    for (size_t i = 0; i < 6; i++)
        free(text[i]);
    return 0;
}
