/* common/bundle/cert: DER of any bytes. What points into it stays in it, and texts are
 * printable. */
#include "tests/fuzz/fuzz.h"

#include "common/bundle/cert.h"
#include "common/bundle/distinguished_name.h"

static void check_inside(struct hf_bytes part, struct hf_bytes whole)
{
    FUZZ_CHECK(part.data >= whole.data && part.len <= whole.len);
    FUZZ_CHECK(part.data + part.len <= whole.data + whole.len);
}

static void check_printable(const char text[HF_DN_TEXT_MAX])
{
    FUZZ_CHECK(memchr(text, '\0', HF_DN_TEXT_MAX) != NULL);
    FUZZ_CHECK(text[0] != '\0');
    for (; *text != '\0'; text++)
        FUZZ_CHECK((unsigned char)*text >= ' ' && (unsigned char)*text < 0x7f);
}

static void check_cert(const struct hf_cert *cert, struct hf_bytes der)
{
    uint8_t sha256[HF_SHA256_LEN];
    char text[16];
    hf_sha256(der, sha256);
    FUZZ_CHECK(memcmp(sha256, cert->sha256, sizeof sha256) == 0);
    check_inside(cert->subject_der, der);
    check_inside(cert->issuer_der, der);
    check_printable(cert->subject);
    check_printable(cert->issuer);
    FUZZ_CHECK(cert->is_self_issued == hf_name_equal(cert->subject_der, cert->issuer_der));
    hf_cert_key_text(cert, text);
    FUZZ_CHECK(memchr(text, '\0', sizeof text) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_bytes der = {data, size};
    struct hf_cert cert = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_cert_parse(der, &cert, &why);
    if (err == HF_OK)
        check_cert(&cert, der);
    else
        fuzz_check_refusal(err, &why);
    err = hf_cert_verify_self_signature(der, &why);
    if (err != HF_OK)
        fuzz_check_refusal(err, &why);
    return 0;
}
