/* common/bundle/pem: what is read and written again is read the same. */
#include "tests/fuzz/fuzz.h"

#include "common/base/limits.h"
#include "common/bundle/pem.h"

struct blocks {
    struct hf_buf pem; /* written again */
    struct hf_buf der; /* all, one after the other */
    size_t n;
};

static enum hf_err take(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct blocks *blocks = ctx;
    FUZZ_CHECK(index == blocks->n);
    FUZZ_CHECK(der.len > 0 && der.len <= HF_CERT_DER_MAX);
    blocks->n++;
    FUZZ_OK(hf_pem_append(&blocks->pem, der), why);
    FUZZ_OK(hf_buf_append(&blocks->der, der.data, der.len), why);
    return HF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blocks first = {0}, second = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_pem_walk((struct hf_bytes){data, size}, take, &first, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
    } else {
        FUZZ_CHECK(first.n > 0);
        FUZZ_OK(hf_pem_walk(hf_buf_bytes(&first.pem), take, &second, &why), &why);
        FUZZ_CHECK(first.n == second.n);
        FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&first.der), hf_buf_bytes(&second.der)));
        FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&first.pem), hf_buf_bytes(&second.pem)));
    }
    hf_buf_free(&first.pem);
    hf_buf_free(&first.der);
    hf_buf_free(&second.pem);
    hf_buf_free(&second.der);
    return 0;
}
