/* A device's key in a PKCS#11 token that fails: a wrong PIN, and a token that was taken out. */
#include "client/port/identity/token_key.h"
#include "client/port/identity/token_module.h"
#include "tests/support/check.h"
#include "tests/support/fake_token.h"
#include "tests/support/softhsm.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

static enum hf_err log_in_once(const struct hf_pkcs11_uri *uri, struct hf_why *why)
{
    struct hf_pkcs11_session session = {0};

    CHECK_OK(hf_pkcs11_session_open(uri, &session, NULL));
    enum hf_err err = hf_pkcs11_session_log_in(&session, uri, why);
    hf_pkcs11_session_close(&session);
    return err;
}

static void a_wrong_pin_is_tried_once_however_often_the_module_is_used(void **state)
{
    const struct temp_dir *dir = *state;
    struct hf_pkcs11_uri uri;
    struct hf_why why = {0};

    fake_token_use(dir, "");
    CHECK_OK(hf_pkcs11_uri_parse(fake_token_uri_with_pin(dir, "token=fake;object=key", "000000"),
                                 &uri, NULL));
    CHECK_REFUSED(log_in_once(&uri, &why), HF_E_KEY, &why, "the PIN is wrong");
    CHECK_REFUSED(log_in_once(&uri, &why), HF_E_KEY, &why, "is not tried again");
    assert_string_equal(fake_token_log(dir), "login\n");
}

/* A key pair "own" on P-256 in the token "device". */
static void put_key(const struct temp_dir *dir)
{
    const char *file = temp_path(dir, "own.pem");
    char command[512];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *out = fopen(file, "w");

    assert_non_null(key);
    assert_non_null(out);
    assert_int_equal(PEM_write_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(out), 0);
    EVP_PKEY_free(key);
    (void)snprintf(command, sizeof command,
                   "softhsm2-util --import %s --token device --label own --id a1 --pin %s >&2",
                   file, SOFTHSM_PIN);
    assert_int_equal(system(command), 0);
}

/* What a token does that is taken out and put back: the program's sessions are gone. */
static void lose_sessions(void)
{
    CK_RV (*get_list)(CK_FUNCTION_LIST * *list) = NULL;
    CK_FUNCTION_LIST *functions = NULL;
    CK_SLOT_ID slots[8];
    CK_ULONG n = 8;
    void *library = dlopen(softhsm_module(), RTLD_NOW);

    assert_non_null(library);
    void *symbol = dlsym(library, "C_GetFunctionList");
    memcpy(&get_list, &symbol, sizeof get_list);
    assert_int_equal(get_list(&functions), CKR_OK);
    assert_int_equal(functions->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
    for (CK_ULONG i = 0; i < n; i++)
        (void)functions->C_CloseAllSessions(slots[i]);
    assert_int_equal(dlclose(library), 0);
}

static enum hf_err sign(const struct hf_device_key *port, struct hf_why *why)
{
    static const uint8_t digest[32];
    struct hf_buf signature = {0};

    enum hf_err err = port->sign(port->ctx, (struct hf_bytes){digest, sizeof digest}, &signature,
                                 why);
    assert_true((signature.len > 0) == (err == HF_OK));
    hf_buf_free(&signature);
    return err;
}

static void a_token_that_is_put_back_signs_again(void **state)
{
    const struct temp_dir *dir = *state;
    char uri[1024];
    struct hf_pkcs11_key *key = NULL;
    struct hf_why why = {0};

    softhsm_use(dir);
    softhsm_add_token("device");
    put_key(dir);
    (void)snprintf(uri, sizeof uri, "pkcs11:token=device;object=own?module-path=%s&pin-source=%s",
                   softhsm_module(), softhsm_pin_file(dir));
    CHECK_OK(hf_pkcs11_key_new(uri, &key, NULL));
    const struct hf_device_key port = hf_pkcs11_key_port(key);
    CHECK_OK(sign(&port, &why));
    lose_sessions();
    assert_int_equal(sign(&port, &why), HF_E_KEY);
    CHECK_OK(sign(&port, &why));
    hf_pkcs11_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wrong_pin_is_tried_once_however_often_the_module_is_used,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_token_that_is_put_back_signs_again, temp_dir_setup,
                                        temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
