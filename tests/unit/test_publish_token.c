/* server/repository/tokens/token.h with SoftHSM2: keys made, found, opened and signed with. */
#include "tests/support/check.h"

#include "common/tuf/key.h"
#include "server/repository/tokens/token.h"
#include "tests/support/softhsm.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* pkcs11:PATH of SoftHSM's module, with `query`; in a buffer that the next calls leave alone. */
static const char *uri_with(const char *path, const char *query)
{
    static char uris[8][HF_TOKEN_URI_MAX];
    static size_t next;
    char *uri = uris[next++ % 8];
    (void)snprintf(uri, sizeof uris[0], "pkcs11:%s?module-path=%s%s", path, softhsm_module(),
                   query);
    return uri;
}

/* The same with the right PIN in a file. */
static const char *uri_of(const struct temp_dir *dir, const char *path)
{
    char query[128];
    (void)snprintf(query, sizeof query, "&pin-source=file:%s", softhsm_pin_file(dir));
    return uri_with(path, query);
}

/* Two tokens, and on the first one key of each kind. */
static void make_world(const struct temp_dir *dir, struct hf_tokens **tokens)
{
    struct hf_token_public made = {0};
    softhsm_use(dir);
    softhsm_add_token("alice");
    softhsm_add_token("bob");
    CHECK_OK(hf_token_generate(tokens, uri_of(dir, "token=alice;object=ed"), HF_TOKEN_ED25519,
                               &made, NULL));
    hf_token_public_free(&made);
    CHECK_OK(hf_token_generate(tokens, uri_of(dir, "token=alice;object=ec"), HF_TOKEN_ECDSA_P256,
                               &made, NULL));
    hf_token_public_free(&made);
}

static void signs(struct hf_tokens **tokens, const char *uri, const json_t *json, size_t len)
{
    struct hf_token_key *key = NULL;
    struct hf_key verifier = {0};
    struct hf_buf signature = {0};
    struct hf_why why = {0};
    uint8_t *bytes = calloc(1, len + 1);
    struct hf_bytes message = {bytes, len};
    CHECK_OK(hf_token_key_open(tokens, uri, json, &key, &why));
    CHECK_OK(hf_token_key_sign(key, message, &signature, &why));
    CHECK_OK(hf_key_parse("a", json, &verifier, &why));
    assert_true(hf_key_verify(&verifier, message, hf_buf_bytes(&signature)));
    bytes[0] ^= 1;
    assert_false(
        hf_key_verify(&verifier, (struct hf_bytes){bytes, len + 1}, hf_buf_bytes(&signature)));
    free(bytes);
    hf_key_free(&verifier);
    hf_buf_free(&signature);
    hf_token_key_free(key);
}

/* ---- made and used --------------------------------------------------------------------------- */

static void a_new_key_is_found_without_a_pin_and_signs(void **state)
{
    static const struct {
        enum hf_token_key_type type;
        const char *path, *label, *scheme;
    } cases[] = {{HF_TOKEN_ED25519, "token=bob;object=one", "bob/one", "ed25519"},
                 {HF_TOKEN_ECDSA_P256, "token=bob;object=two", "bob/two", "ecdsa-sha2-nistp256"}};
    struct hf_tokens *tokens = NULL, *later = NULL;
    softhsm_use(*state);
    softhsm_add_token("bob");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_token_public made = {0}, found = {0};
        const char *uri = uri_of(*state, cases[i].path);
        CHECK_OK(hf_token_generate(&tokens, uri, cases[i].type, &made, NULL));
        assert_string_equal(made.label, cases[i].label);
        assert_string_equal(json_string_value(json_object_get(made.json, "scheme")),
                            cases[i].scheme);
        hf_tokens_free(tokens);
        tokens = NULL;
        CHECK_OK(hf_token_read_public(&later, uri_with(cases[i].path, ""), &found, NULL));
        assert_string_equal(found.uri, made.uri);
        assert_true(json_equal(found.json, made.json));
        signs(&later, uri, found.json, 0);
        signs(&later, uri, found.json, 300000);
        hf_tokens_free(later);
        later = NULL;
        hf_token_public_free(&made);
        hf_token_public_free(&found);
    }
}

static void the_uri_that_is_shown_leads_to_the_key(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public found = {0}, again = {0};
    make_world(*state, &tokens);
    CHECK_OK(hf_token_read_public(&tokens, uri_of(*state, "token=alice;object=ec"), &found, NULL));
    assert_null(strstr(found.uri, "pin"));
    assert_non_null(strstr(found.uri, "token=alice"));
    assert_non_null(strstr(found.uri, "serial="));
    assert_non_null(strstr(found.uri, "object=ec"));
    CHECK_OK(hf_token_read_public(&tokens, found.uri, &again, NULL));
    assert_string_equal(again.uri, found.uri);
    signs(&tokens, found.uri, found.json, 10); /* the token is open already: no PIN is asked for */
    hf_token_public_free(&found);
    hf_token_public_free(&again);
    hf_tokens_free(tokens);
}

static void a_name_is_never_given_twice(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public made = {0}, before = {0}, after = {0};
    struct hf_why why = {0};
    make_world(*state, &tokens);
    const char *uri = uri_of(*state, "token=alice;object=ed");
    CHECK_OK(hf_token_read_public(&tokens, uri, &before, &why));
    CHECK_REFUSED(hf_token_generate(&tokens, uri, HF_TOKEN_ECDSA_P256, &made, &why), HF_E_STATE,
                  &why, "it is not replaced");
    CHECK_REFUSED(hf_token_generate(&tokens, uri_of(*state, "token=alice;object=ed;id=%07"),
                                    HF_TOKEN_ED25519, &made, &why),
                  HF_E_STATE, &why, "it is not replaced");
    assert_null(made.json);
    CHECK_OK(hf_token_read_public(&tokens, uri, &after, &why));
    assert_true(json_equal(before.json, after.json));
    hf_token_public_free(&before);
    hf_token_public_free(&after);
    hf_tokens_free(tokens);
}

static void an_id_may_be_chosen_and_joins_two_halves_only(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public made = {0}, other = {0};
    struct hf_why why = {0};
    softhsm_use(*state);
    softhsm_add_token("alice");
    CHECK_OK(hf_token_generate(&tokens, uri_of(*state, "token=alice;object=a;id=%07"),
                               HF_TOKEN_ECDSA_P256, &made, &why));
    assert_non_null(strstr(made.uri, "id=%07;object=a"));
    CHECK_REFUSED(hf_token_generate(&tokens, uri_of(*state, "token=alice;object=b;id=%07"),
                                    HF_TOKEN_ECDSA_P256, &other, &why),
                  HF_E_STATE, &why, "it is not replaced");
    CHECK_REFUSED(hf_token_generate(&tokens, uri_of(*state, "token=alice;id=%08"),
                                    HF_TOKEN_ECDSA_P256, &other, &why),
                  HF_E_ARGUMENT, &why, "object=LABEL");
    hf_token_public_free(&made);
    hf_tokens_free(tokens);
}

/* ---- found ----------------------------------------------------------------------------------- */

static void a_list_has_what_the_uri_leaves_open(void **state)
{
    static const struct {
        const char *path;
        size_t n;
    } cases[] = {{"", 2},
                 {"token=alice", 2},
                 {"object=ec", 1},
                 {"object=none", 0},
                 {"token=bob", 0}};
    struct hf_tokens *tokens = NULL;
    struct hf_why why = {0};
    struct hf_token_public *keys = NULL;
    size_t n = 99;
    make_world(*state, &tokens);
    hf_tokens_free(tokens);
    tokens = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(hf_token_list(&tokens, uri_with(cases[i].path, ""), &keys, &n, &why));
        assert_int_equal(n, cases[i].n);
        for (size_t k = 0; k < n; k++)
            hf_token_public_free(&keys[k]);
        free(keys);
    }
    CHECK_REFUSED(hf_token_list(&tokens, uri_with("token=carol", ""), &keys, &n, &why),
                  HF_E_NOT_FOUND, &why, "no token fits pkcs11:token=carol");
    hf_tokens_free(tokens);
}

static void what_is_not_there_is_said(void **state)
{
    static const struct {
        const char *path, *part;
    } cases[] = {
        {"token=carol;object=ed", "no token fits pkcs11:token=carol;object=ed"},
        {"token=alice;object=root-1", "has no key that fits pkcs11:token=alice;object=root-1"},
        {"token=alice;object=ed;id=%01", "has no key that fits"},
    };
    struct hf_tokens *tokens = NULL;
    struct hf_token_public found = {0};
    struct hf_token_key *key = NULL;
    struct hf_why why = {0};
    make_world(*state, &tokens);
    CHECK_OK(hf_token_read_public(&tokens, uri_of(*state, "token=alice;object=ed"), &found, &why));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_token_public none = {0};
        const char *uri = uri_of(*state, cases[i].path);
        CHECK_REFUSED(hf_token_read_public(&tokens, uri, &none, &why), HF_E_NOT_FOUND, &why,
                      cases[i].part);
        assert_int_equal(hf_token_key_open(&tokens, uri, found.json, &key, &why), HF_E_NOT_FOUND);
        assert_null(none.json);
        assert_null(key);
    }
    hf_token_public_free(&found);
    hf_tokens_free(tokens);
}

static void a_key_opens_for_its_own_public_part_only(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public ed = {0};
    struct hf_token_key *key = NULL;
    struct hf_why why = {0};
    make_world(*state, &tokens);
    CHECK_OK(hf_token_read_public(&tokens, uri_of(*state, "token=alice;object=ed"), &ed, &why));
    CHECK_REFUSED(hf_token_key_open(&tokens, uri_of(*state, "token=alice;object=ec"), ed.json, &key,
                                    &why),
                  HF_E_KEY, &why, "has another public part");
    assert_null(key);
    hf_token_public_free(&ed);
    hf_tokens_free(tokens);
}

static void two_tokens_of_one_label_are_told_apart(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public made = {0};
    struct hf_why why = {0};
    make_world(*state, &tokens);
    hf_tokens_free(tokens);
    tokens = NULL;
    softhsm_add_token("alice");
    CHECK_REFUSED(hf_token_generate(&tokens, uri_of(*state, "token=alice;object=new"),
                                    HF_TOKEN_ED25519, &made, &why),
                  HF_E_KEY, &why, "2 tokens fit");
    /* only one of them has this key */
    CHECK_OK(hf_token_read_public(&tokens, uri_of(*state, "token=alice;object=ed"), &made, &why));
    signs(&tokens, uri_of(*state, "token=alice;object=ed"), made.json, 10);
    hf_token_public_free(&made);
    hf_tokens_free(tokens);
}

/* ---- modules and PINs ------------------------------------------------------------------------ */

static void a_wrong_pin_opens_nothing(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public ed = {0};
    struct hf_token_key *key = NULL;
    struct hf_why why = {0};
    make_world(*state, &tokens);
    hf_tokens_free(tokens);
    tokens = NULL;
    const char *uri = uri_of(*state, "token=alice;object=ed");
    CHECK_OK(hf_token_read_public(&tokens, uri, &ed, &why));
    temp_write(temp_path(*state, "pin"), "000000");
    CHECK_REFUSED(hf_token_key_open(&tokens, uri, ed.json, &key, &why), HF_E_KEY, &why, "is wrong");
    assert_null(strstr(why.text, "000000"));
    temp_write(temp_path(*state, "pin"), "1");
    CHECK_REFUSED(hf_token_key_open(&tokens, uri, ed.json, &key, &why), HF_E_KEY, &why,
                  "token alice");
    assert_null(key);
    hf_token_public_free(&ed);
    hf_tokens_free(tokens);
}

static void a_module_that_is_none_is_said(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public found = {0};
    struct hf_why why = {0};
    const char *path = temp_path(*state, "module.so");
    char uri[256];
    (void)snprintf(uri, sizeof uri, "pkcs11:token=alice;object=ed?module-path=%s", path);
    CHECK_REFUSED(hf_token_read_public(&tokens, uri, &found, &why), HF_E_KEY, &why,
                  "module.so is no PKCS#11 module that can be loaded");
    temp_write(path, "not a library");
    CHECK_REFUSED(hf_token_read_public(&tokens, uri, &found, &why), HF_E_KEY, &why,
                  "module.so is no PKCS#11 module that can be loaded");
    hf_tokens_free(tokens);
}

/* As an administrator has it: no module in the URI. */
static void the_modules_of_the_machine_are_found(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public found = {0};
    struct hf_why why = {0};
    make_world(*state, &tokens);
    hf_tokens_free(tokens);
    tokens = NULL;
    if (!temp_exists("/usr/share/p11-kit/modules/softhsm2.module")) {
        print_message("p11-kit does not know SoftHSM2 here\n");
        skip();
    }
    CHECK_OK(hf_token_read_public(&tokens, "pkcs11:token=alice;object=ed", &found, &why));
    assert_null(strstr(found.uri, "module-path"));
    hf_token_public_free(&found);
    CHECK_OK(hf_token_read_public(&tokens, "pkcs11:token=alice;object=ed?module-name=softhsm2",
                                  &found, &why));
    hf_token_public_free(&found);
    CHECK_REFUSED(hf_token_read_public(&tokens, "pkcs11:token=alice;object=ed?module-name=other",
                                       &found, &why),
                  HF_E_NOT_FOUND, &why, "no token fits");
    hf_tokens_free(tokens);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_key_is_found_without_a_pin_and_signs),
        TEST(the_uri_that_is_shown_leads_to_the_key),
        TEST(a_name_is_never_given_twice),
        TEST(an_id_may_be_chosen_and_joins_two_halves_only),
        TEST(a_list_has_what_the_uri_leaves_open),
        TEST(what_is_not_there_is_said),
        TEST(a_key_opens_for_its_own_public_part_only),
        TEST(two_tokens_of_one_label_are_told_apart),
        TEST(a_wrong_pin_opens_nothing),
        TEST(a_module_that_is_none_is_said),
        TEST(the_modules_of_the_machine_are_found),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
