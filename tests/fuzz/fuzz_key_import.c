/*
 * server/publish/key_import: a private key of another program, as a seed or as PKCS#8. What is read
 * signs, and the file names no other public key.
 */
#include "tests/fuzz/scratch.h"

#include "common/base/timetext.h"
#include "server/repository/keys/signing_key.h"
#include "server/repository/keys/signer.h"
#include "server/repository/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = scratch_path("a.pem");
    struct hf_signing_key key = {0};
    struct hf_buf signed_file = {0};
    const struct hf_signing signing = {1, 1, HF_TIME_NONE};
    json_t *timestamp = NULL;
    struct hf_why why = {0};

    scratch_write(path, (struct hf_bytes){data, size});
    enum hf_err err = hf_key_import(path, &key, &why);
    if (err == HF_OK) {
        FUZZ_OK(hf_compose_timestamp(&signing, 1, hf_bytes_of_text("x"), &timestamp, &why), &why);
        FUZZ_OK(hf_signer_sign(timestamp, &key, 1, &signed_file, &why), &why);
    } else {
        FUZZ_CHECK(key.secret_key == NULL);
        fuzz_check_refusal(err, &why);
    }
    json_decref(timestamp);
    hf_buf_free(&signed_file);
    hf_signing_key_free(&key);
    return 0;
}
