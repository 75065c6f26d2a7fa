/* server/identity/csr: requests of any bytes. What is accepted has a key of the table, and its DER
 * alone is accepted as the same request. */
#include "tests/fuzz/fuzz.h"

#include "server/identity/csr.h"

#include <openssl/err.h>

static void check_accepted(const struct hf_csr *csr)
{
    struct hf_csr again = {0};
    struct hf_why why = {0};
    FUZZ_CHECK(csr->der.len > 0 && csr->der.len <= HF_CSR_BYTES_MAX);
    FUZZ_CHECK(csr->spki.len > 0 && csr->spki.len < csr->der.len);
    FUZZ_OK(hf_client_key_check(&csr->key, HF_TLS_ANY, &why), &why);
    FUZZ_OK(hf_csr_check(hf_buf_bytes(&csr->der), &again, &why), &why);
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&csr->der), hf_buf_bytes(&again.der)));
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&csr->spki), hf_buf_bytes(&again.spki)));
    FUZZ_CHECK(memcmp(csr->spki_sha256, again.spki_sha256, HF_SHA256_LEN) == 0);
    hf_csr_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_csr csr = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_csr_check((struct hf_bytes){data, size}, &csr, &why);
    if (err == HF_OK)
        check_accepted(&csr);
    else
        fuzz_check_refusal(err, &why);
    FUZZ_CHECK(err == HF_OK || csr.der.data == NULL);
    FUZZ_CHECK(ERR_peek_error() == 0);
    hf_csr_free(&csr);
    return 0;
}
