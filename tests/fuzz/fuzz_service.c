/*
 * client/port/identity: any answer of the fleet service. Each is taken or refused with a sentence
 * of one line, and no certificate is taken but one for the key that was asked with.
 */
#include "tests/fuzz/fuzz.h"

#include "client/port/identity/request.h"
#include "client/port/identity/service.h"

#include <mbedtls/psa_util.h>

struct said {
    int status;
    struct hf_bytes body;
};

static enum hf_err call(void *ctx, const struct hf_api_request *request,
                        struct hf_api_response *out, struct hf_why *why)
{
    const struct said *said = ctx;
    struct hf_buf body = {0};

    (void)request;
    if (hf_buf_append(&body, said->body.data, said->body.len) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory");
    *out = (struct hf_api_response){said->status, body, -1};
    return HF_OK;
}

static mbedtls_pk_context *key(void)
{
    static mbedtls_pk_context pk;
    struct hf_buf pem = {0};

    if (pk.MBEDTLS_PRIVATE(pk_info) != NULL)
        return &pk;
    FUZZ_CHECK(hf_identity_key_make(HF_KEY_P256, &pem, NULL) == HF_OK);
    FUZZ_CHECK(mbedtls_pk_parse_key(&pk, pem.data, pem.len + 1, NULL, 0, mbedtls_psa_get_random,
                                    MBEDTLS_PSA_RANDOM_STATE) == 0);
    hf_buf_free(&pem);
    return &pk;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 302, 400, 403, 404, 429, 503};
    struct fuzz_input in = {data, size};
    struct said said = {.status = statuses[fuzz_below(&in, 8)]};
    struct hf_service service = {.api = {&said, call}};
    struct hf_buf certificate = {0};
    struct hf_credential made;
    struct hf_why why = {0};

    said.body = (struct hf_bytes){in.data, in.len};
    FUZZ_CHECK(hf_service_set_url(&service, "https://fleet.test", NULL) == HF_OK);
    enum hf_err err = hf_service_whoami(&service, NULL, "0123", &why);
    FUZZ_CHECK(err == HF_OK ? said.status == 200 : strpbrk(why.text, "\r\n\x1b") == NULL);
    err = hf_service_enroll(&service, "csr", "device", "token", NULL, &certificate, &why);
    FUZZ_CHECK(err == HF_OK ? said.status == 201 : strpbrk(why.text, "\r\n\x1b") == NULL);
    /* The key was made in this process: no input can hold a certificate of it. */
    if (err == HF_OK)
        FUZZ_CHECK(hf_identity_certificate_check(hf_buf_bytes(&certificate), key(), 0, &made,
                                                 &why) != HF_OK);
    hf_buf_free(&certificate);
    return 0;
}
