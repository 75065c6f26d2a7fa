/*
 * server/publish/key_file: a private key on disk, or a file that says in which token one is. What
 * opens is a key that signs for the public part that stands in the clear; what refers to a token
 * has a public part that devices could use, and texts that a terminal shows as they are. The key
 * derivation (slow on purpose) is left out: the file is unsealed with the key that the seeds were
 * sealed with.
 */
#include "tests/fuzz/scratch.h"

#include "common/base/timetext.h"
#include "common/tuf/key.h"
#include "server/repository/drafts/draft.h"
#include "server/repository/base/public_key.h"
#include "server/repository/keys/key_file.h"
#include "server/repository/keys/signer.h"
#include "server/repository/compose.h"

#include <sodium.h>

static void check_signs(const struct hf_signing_key *key, const struct hf_key_file *file)
{
    struct hf_why why = {0};
    struct hf_buf signed_file = {0};
    const struct hf_signing signing = {1, 1, HF_TIME_NONE};
    json_t *timestamp = NULL;
    FUZZ_CHECK(json_equal(key->public_key, file->public_key));
    FUZZ_CHECK(strcmp(key->key_id, file->key_id) == 0);
    FUZZ_OK(hf_compose_timestamp(&signing, 1, hf_bytes_of_text("x"), &timestamp, &why), &why);
    FUZZ_OK(hf_signer_sign(timestamp, key, 1, &signed_file, &why), &why);
    json_decref(timestamp);
    hf_buf_free(&signed_file);
}

static void check_reference(const struct hf_key_file *file)
{
    struct hf_key key = {0};
    FUZZ_CHECK(hf_key_parse(file->key_id, file->public_key, &key, NULL) == HF_OK);
    FUZZ_CHECK(key.scheme != HF_SCHEME_UNKNOWN);
    hf_key_free(&key);
    FUZZ_CHECK(hf_label_is_plain(file->name));
    FUZZ_CHECK(hf_token_check_uri(file->uri, NULL) == HF_OK);
    for (const char *c = file->uri; *c != '\0'; c++)
        FUZZ_CHECK(*c > ' ' && *c <= '~');
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
    if (file.uri != NULL)
        check_reference(&file);
    err = hf_key_file_open(&file, wrap_key, &key, &why);
    if (err == HF_OK) {
        FUZZ_CHECK(file.uri == NULL);
        check_signs(&key, &file);
    } else {
        FUZZ_CHECK(err == HF_E_KEY && key.secret_key == NULL);
        fuzz_check_refusal(err, &why);
    }
    hf_signing_key_free(&key);
    hf_key_file_free(&file);
    return 0;
}
