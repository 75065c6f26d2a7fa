/* server/publish/token.h with SoftHSM2: keys made, found, opened and signed with. */
#include "tests/support/check.h"

#include "common/tuf/key.h"
#include "server/publish/token.h"
#include "tests/support/softhsm.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* pkcs11:PATH with the PIN file and SoftHSM's module; in a buffer that the next calls leave alone. */
static const char *uri_of(const struct temp_dir *dir, const char *path)
{
    static char uris[8][HF_TOKEN_URI_MAX];
    static size_t next;
    char *uri = uris[next++ % 8];
    (void)snprintf(uri, sizeof uris[0], "pkcs11:%s?pin-source=file:%s&module-path=%s", path,
                   softhsm_pin_file(dir), softhsm_module());
    return uri;
}

static void signs_and_verifies(struct hf_tokens **tokens, const char *uri, const json_t *json)
{
    struct hf_token_key *key = NULL;
    struct hf_key verifier = {0};
    struct hf_buf signature = {0};
    struct hf_why why = {0};
    struct hf_bytes message = hf_bytes_of_text("what is signed");
    enum hf_err err = hf_token_key_open(tokens, uri, json, &key, &why);
    if (err != HF_OK)
        fail_msg("%s", why.text);
    CHECK_OK(hf_token_key_sign(key, message, &signature, &why));
    CHECK_OK(hf_key_parse("a", json, &verifier, &why));
    assert_true(hf_key_verify(&verifier, message, hf_buf_bytes(&signature)));
    hf_key_free(&verifier);
    hf_buf_free(&signature);
    hf_token_key_free(key);
}

static void a_key_is_made_found_and_signs(void **state)
{
    static const enum hf_token_key_type types[] = {HF_TOKEN_ED25519, HF_TOKEN_ECDSA_P256};
    static const char *const names[] = {"token=alice;object=one", "token=alice;object=two"};
    struct hf_tokens *tokens = NULL;
    struct hf_why why = {0};
    softhsm_use(*state);
    softhsm_add_token("alice");
    for (size_t i = 0; i < 2; i++) {
        struct hf_token_public made = {0}, found = {0};
        const char *uri = uri_of(*state, names[i]);
        enum hf_err err = hf_token_generate(&tokens, uri, types[i], &made, &why);
        if (err != HF_OK)
            fail_msg("%s", why.text);
        CHECK_OK(hf_token_read_public(&tokens, uri, &found, &why));
        assert_string_equal(made.uri, found.uri);
        assert_string_equal(made.label, found.label);
        assert_true(json_equal(made.json, found.json));
        signs_and_verifies(&tokens, uri, found.json);
        hf_token_public_free(&made);
        hf_token_public_free(&found);
    }
    hf_tokens_free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_made_found_and_signs, temp_dir_setup,
                                        temp_dir_teardown),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
