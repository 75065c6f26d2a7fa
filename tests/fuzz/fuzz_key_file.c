/*
 * server/publish/key_file: a private key on disk. What opens is a key that signs for the public
 * part that stands in the clear. The key derivation (slow on purpose) is left out: the file is
 * unsealed with the key that the seeds were sealed with.
 */
#include "tests/fuzz/scratch.h"

#include "server/publish/key_file.h"

#include <sodium.h>

static void check_signs(const struct hf_signing_key *key, const struct hf_key_file *file)
{
    uint8_t signature[crypto_sign_BYTES];
    static const uint8_t message[] = "message";
    FUZZ_CHECK(memcmp(key->public_key, file->public_key, HF_PUBLIC_KEY_LEN) == 0);
    FUZZ_CHECK(strcmp(key->key_id, file->key_id) == 0);
    crypto_sign_detached(signature, NULL, message, sizeof message, key->secret_key);
    FUZZ_CHECK(crypto_sign_verify_detached(signature, message, sizeof message, file->public_key) ==
               0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = scratch_path("a.key.json");
    const uint8_t wrap_key[HF_WRAP_KEY_LEN] = {1, 2, 3};
    struct hf_key_file file = {0};
    struct hf_signing_key key = {0};
    struct hf_why why = {0};

    scratch_write(path, (struct hf_bytes){data, size});
    enum hf_err err = hf_key_file_read(path, &file, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(file.json == NULL && file.path == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    err = hf_key_file_open(&file, wrap_key, &key, &why);
    if (err == HF_OK) {
        check_signs(&key, &file);
    } else {
        FUZZ_CHECK(err == HF_E_KEY && key.secret_key == NULL);
        fuzz_check_refusal(err, &why);
    }
    hf_signing_key_free(&key);
    hf_key_file_free(&file);
    return 0;
}
