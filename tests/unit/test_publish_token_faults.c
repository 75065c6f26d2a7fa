/* server/repository/tokens/token.h with a token that does what no honest one does. */
#include "tests/support/check.h"

#include "common/tuf/key.h"
#include "server/repository/tokens/token.h"
#include "tests/support/fake_token.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "token=fake;object=key"

static enum hf_err read_uri(const char *uri, struct hf_token_public *out, struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    enum hf_err err = hf_token_read_public(&tokens, uri, out, why);
    hf_tokens_free(tokens);
    return err;
}

static enum hf_err read_key(const struct temp_dir *dir, struct hf_token_public *out,
                            struct hf_why *why)
{
    return read_uri(fake_token_uri(dir, KEY), out, why);
}

/* The key's public part, as it is before anything breaks. */
static json_t *honest_key(const struct temp_dir *dir)
{
    struct hf_token_public shown = {0};
    fake_token_use(dir, "");
    CHECK_OK(read_uri(fake_token_uri_with_pin(dir, KEY, NULL), &shown, NULL));
    json_t *json = json_incref(shown.json);
    hf_token_public_free(&shown);
    return json;
}

static void verifies(const json_t *json, struct hf_bytes message, const struct hf_buf *signature)
{
    struct hf_key key = {0};
    CHECK_OK(hf_key_parse("a", json, &key, NULL));
    assert_true(hf_key_verify(&key, message, hf_buf_bytes(signature)));
    hf_key_free(&key);
}

/* Open the key of `uri` and sign `len` bytes, with these faults. */
static enum hf_err sign_bytes(const struct temp_dir *dir, const char *faults, const char *uri,
                              size_t len, struct hf_why *why)
{
    static const uint8_t bytes[4096];
    struct hf_tokens *tokens = NULL;
    struct hf_token_key *key = NULL;
    struct hf_buf signature = {0};
    json_t *json = honest_key(dir);
    fake_token_use(dir, faults);
    enum hf_err err = hf_token_key_open(&tokens, uri, json, &key, why);
    if (err == HF_OK)
        err = hf_token_key_sign(key, (struct hf_bytes){bytes, len}, &signature, why);
    assert_int_equal(signature.len, err == HF_OK ? 64 : 0);
    if (err == HF_OK)
        verifies(json, (struct hf_bytes){bytes, len}, &signature);
    hf_buf_free(&signature);
    hf_token_key_free(key);
    hf_tokens_free(tokens);
    json_decref(json);
    return err;
}

static enum hf_err sign(const struct temp_dir *dir, const char *faults, struct hf_why *why)
{
    return sign_bytes(dir, faults, fake_token_uri(dir, KEY), 100, why);
}

/* ---- PINs ------------------------------------------------------------------------------------ */

static void without_faults_it_signs(void **state)
{
    struct hf_why why = {0};
    CHECK_OK(sign(*state, "", &why));
    assert_string_equal(fake_token_log(*state), "login\nsign\n");
}

static void a_wrong_pin_is_tried_once(void **state)
{
    struct hf_why why = {0};
    const char *uri = fake_token_uri_with_pin(*state, KEY, "654321\n");
    CHECK_REFUSED(sign_bytes(*state, "", uri, 1, &why), HF_E_KEY, &why, "is wrong");
    assert_non_null(strstr(why.text, "token fake"));
    assert_non_null(strstr(why.text, temp_path(*state, "pin")));
    assert_null(strstr(why.text, "654321"));
    assert_string_equal(fake_token_log(*state), "login\n");
    CHECK_REFUSED(sign_bytes(*state, "pin-low", uri, 1, &why), HF_E_KEY, &why, "was not spent");
    assert_string_equal(fake_token_log(*state), "login\n");
}

static void no_try_is_spent_on_a_file_after_a_wrong_pin(void **state)
{
    struct hf_why why = {0};
    CHECK_REFUSED(sign(*state, "pin-low", &why), HF_E_KEY, &why,
                  "was given a wrong PIN and none that was right since");
    CHECK_REFUSED(sign(*state, "pin-final", &why), HF_E_KEY, &why, "was not spent");
    CHECK_REFUSED(sign(*state, "pin-locked", &why), HF_E_KEY, &why, "locked after too many");
    assert_string_equal(fake_token_log(*state), "");
}

static void a_pin_file_that_others_may_read_is_not_used(void **state)
{
    struct hf_why why = {0};
    const char *uri = fake_token_uri(*state, KEY);
    assert_int_equal(chmod(temp_path(*state, "pin"), 0644), 0);
    CHECK_REFUSED(sign_bytes(*state, "", uri, 1, &why), HF_E_KEY, &why, "chmod 600");
    assert_int_equal(unlink(temp_path(*state, "pin")), 0);
    assert_int_not_equal(sign_bytes(*state, "", uri, 1, &why), HF_OK);
    assert_string_equal(fake_token_log(*state), "");
}

static void nobody_to_ask_is_said(void **state)
{
    struct hf_why why = {0};
    assert_non_null(freopen("/dev/null", "r", stdin));
    const char *uri = fake_token_uri_with_pin(*state, KEY, NULL);
    CHECK_REFUSED(sign_bytes(*state, "", uri, 1, &why), HF_E_KEY, &why,
                  "a PIN for token fake is needed");
    assert_non_null(strstr(why.text, "pin-source=file:"));
    assert_string_equal(fake_token_log(*state), "");
}

static void a_device_with_keys_of_its_own_gets_no_pin(void **state)
{
    struct hf_why why = {0};
    const char *uri = fake_token_uri_with_pin(*state, KEY, NULL);
    CHECK_OK(sign_bytes(*state, "keypad", uri, 1, &why));
    assert_string_equal(fake_token_log(*state), "login\nsign\n");
}

static void a_key_that_asks_each_time_is_told_each_time(void **state)
{
    struct hf_why why = {0};
    CHECK_OK(sign(*state, "pin-each-time", &why));
    assert_string_equal(fake_token_log(*state), "login\nlogin-again\nsign\n");
}

/* ---- what a token shows ---------------------------------------------------------------------- */

static void a_point_is_read_bare_and_wrapped_only(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    json_t *json = honest_key(*state);
    fake_token_use(*state, "bare-point");
    CHECK_OK(read_key(*state, &shown, &why));
    assert_true(json_equal(shown.json, json));
    hf_token_public_free(&shown);
    static const char *const faults[] = {"odd-point", "endless-point"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fake_token_use(*state, faults[i]);
        CHECK_REFUSED(read_key(*state, &shown, &why), HF_E_KEY, &why, "shows no public key");
        assert_null(shown.json);
    }
    json_decref(json);
}

static void a_public_part_behind_the_pin_is_read_with_it(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    json_t *json = honest_key(*state);
    fake_token_use(*state, "no-public");
    CHECK_OK(read_key(*state, &shown, &why));
    assert_true(json_equal(shown.json, json));
    assert_string_equal(fake_token_log(*state), "login\n");
    hf_token_public_free(&shown);
    CHECK_OK(sign(*state, "no-public", &why));
    json_decref(json);
}

static void a_key_of_another_kind_is_refused(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    fake_token_use(*state, "rsa");
    CHECK_REFUSED(read_key(*state, &shown, &why), HF_E_KEY, &why,
                  "Ed25519 or ECDSA P-256 is expected");
}

static bool is_plain(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

static void what_a_token_is_called_cannot_move_the_cursor(void **state)
{
    struct hf_tokens *tokens = NULL;
    struct hf_token_public *shown = NULL, again = {0};
    struct hf_why why = {0};
    size_t n = 0;
    fake_token_use(*state, "hostile-label");
    CHECK_OK(hf_token_list(&tokens, fake_token_uri(*state, "serial=42"), &shown, &n, &why));
    assert_int_equal(n, 1);
    assert_string_equal(shown[0].label, "fa?[2Jke/?[31mkey?");
    assert_true(is_plain(shown[0].uri));
    CHECK_OK(hf_token_read_public(&tokens, shown[0].uri, &again, &why));
    assert_string_equal(again.uri, shown[0].uri);
    CHECK_REFUSED(hf_token_read_public(&tokens, fake_token_uri(*state, "serial=42;id=%09"), &again,
                                       &why),
                  HF_E_NOT_FOUND, &why, "has no key");
    assert_true(is_plain(why.text));
    hf_token_public_free(&again);
    hf_token_public_free(&shown[0]);
    free(shown);
    hf_tokens_free(tokens);
}

static void endless_answers_end(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    fake_token_use(*state, "endless-keys");
    CHECK_REFUSED(read_key(*state, &shown, &why), HF_E_KEY, &why, "more than 256 keys");
    fake_token_use(*state, "many-slots");
    CHECK_REFUSED(read_key(*state, &shown, &why), HF_E_NOT_FOUND, &why, "does not list its tokens");
    fake_token_use(*state, "endless-label");
    CHECK_REFUSED(read_key(*state, &shown, &why), HF_E_NOT_FOUND, &why, "has no key");
    CHECK_OK(read_uri(fake_token_uri(*state, "token=fake;id=%01"), &shown, &why));
    assert_string_equal(shown.label, "fake/id-01");
    hf_token_public_free(&shown);
    CHECK_REFUSED(sign(*state, "long-signature", &why), HF_E_KEY, &why, "64 were expected");
}

static void a_module_that_ignores_what_it_is_asked_is_not_believed(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    fake_token_use(*state, "ignores-template");
    CHECK_REFUSED(read_uri(fake_token_uri(*state, "token=fake;object=other"), &shown, &why),
                  HF_E_NOT_FOUND, &why, "has no key");
}

/* ---- which key ------------------------------------------------------------------------------- */

static void two_keys_of_one_label_are_told_apart(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    fake_token_use(*state, "twin");
    CHECK_REFUSED(read_key(*state, &shown, &why), HF_E_KEY, &why, "2 keys fit");
    assert_non_null(strstr(why.text, "id=%01;object=key"));
    assert_non_null(strstr(why.text, "id=%02;object=key"));
    CHECK_OK(sign(*state, "twin", &why)); /* the public part says which */
    CHECK_REFUSED(sign(*state, "twin same-id", &why), HF_E_KEY, &why, "2 keys fit");
}

/* As by two modules for one kind of card. */
static void a_token_that_is_seen_twice_is_one(void **state)
{
    struct hf_token_public shown = {0};
    struct hf_why why = {0};
    fake_token_use(*state, "two-slots");
    CHECK_OK(read_key(*state, &shown, &why));
    hf_token_public_free(&shown);
    CHECK_OK(sign(*state, "two-slots", &why));
    assert_string_equal(fake_token_log(*state), "login\nsign\n");
}

static void another_key_of_that_name_is_given_no_pin(void **state)
{
    struct hf_why why = {0};
    const char *uri = fake_token_uri(*state, KEY ";id=%02");
    CHECK_REFUSED(sign_bytes(*state, "twin", uri, 1, &why), HF_E_KEY, &why,
                  "has another public part");
    assert_string_equal(fake_token_log(*state), "");
}

/* Where the token shows no public half before the PIN, it is compared after it. */
static void another_key_of_that_name_does_not_sign(void **state)
{
    struct hf_why why = {0};
    const char *uri = fake_token_uri(*state, KEY ";id=%02");
    CHECK_REFUSED(sign_bytes(*state, "twin public-behind-pin", uri, 1, &why), HF_E_KEY, &why,
                  "has another public part");
    assert_string_equal(fake_token_log(*state), "login\n");
}

/* One private key is known to be the right one; of another it is unknown. */
static void a_key_that_is_known_goes_before_one_that_may_be(void **state)
{
    struct hf_why why = {0};
    CHECK_OK(sign(*state, "twin lone-twin", &why));
    CHECK_OK(sign(*state, "twin lone-twin twin-first", &why));
}

/* ---- signatures ------------------------------------------------------------------------------ */

static void a_message_too_long_leads_to_ecdsa(void **state)
{
    struct hf_why why = {0};
    const char *uri = fake_token_uri(*state, KEY);
    CHECK_REFUSED(sign_bytes(*state, "small", uri, 1000, &why), HF_E_KEY, &why, "ECDSA P-256");
    assert_non_null(strstr(why.text, "1000 bytes"));
    CHECK_OK(sign_bytes(*state, "small", uri, 32, &why));
}

static void a_token_that_was_taken_out_is_said(void **state)
{
    struct hf_why why = {0};
    CHECK_REFUSED(sign(*state, "removed", &why), HF_E_KEY, &why, "taken out; put it back");
    CHECK_REFUSED(sign(*state, "session-gone", &why), HF_E_KEY, &why, "the session has ended");
    CHECK_REFUSED(sign(*state, "no-session", &why), HF_E_NOT_FOUND, &why, "sessions are taken");
    CHECK_REFUSED(sign(*state, "no-slots", &why), HF_E_NOT_FOUND, &why, "does not list its tokens");
    CHECK_REFUSED(sign(*state, "no-start", &why), HF_E_KEY, &why, "does not start");
}

/* ---- new keys -------------------------------------------------------------------------------- */

static enum hf_err generate(const struct temp_dir *dir, const char *faults,
                            enum hf_token_key_type type, struct hf_token_public *out,
                            struct hf_why *why)
{
    struct hf_tokens *tokens = NULL;
    fake_token_use(dir, faults);
    enum hf_err err = hf_token_generate(&tokens, fake_token_uri(dir, "token=fake;object=new"), type,
                                        out, why);
    hf_tokens_free(tokens);
    return err;
}

static void a_curve_is_named_in_the_way_that_the_token_knows(void **state)
{
    struct hf_token_public made = {0};
    struct hf_why why = {0};
    CHECK_OK(generate(*state, "oid-only", HF_TOKEN_ED25519, &made, &why));
    assert_string_equal(made.label, "fake/new");
    assert_string_equal(fake_token_log(*state), "login\ngenerate-name\ngenerate-oid\nsign\n");
    hf_token_public_free(&made);
}

static void a_new_key_that_fails_its_trial_is_destroyed(void **state)
{
    struct hf_token_public made = {0};
    struct hf_why why = {0};
    static const struct {
        const char *fault, *log, *part;
    } cases[] = {
        {"bad-signature", "login\ngenerate-name\nsign\ndestroy-private\ndestroy-public\n",
         "does not verify"},
        {"removed", "login\ngenerate-name\nsign\ndestroy-private\ndestroy-public\n", "taken out"},
        {"extractable", "login\ngenerate-name\ndestroy-private\ndestroy-public\n",
         "could be read out of it"},
        {"odd-point", "login\ngenerate-name\ndestroy-private\ndestroy-public\n", "does not show"},
        {"full", "login\ngenerate-name\n", "has no room"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)unlink(temp_path(*state, "log"));
        CHECK_REFUSED(generate(*state, cases[i].fault, HF_TOKEN_ED25519, &made, &why), HF_E_KEY,
                      &why, cases[i].part);
        assert_string_equal(fake_token_log(*state), cases[i].log);
        assert_null(made.json);
    }
}

static void a_kind_that_the_token_does_not_make_is_not_tried(void **state)
{
    struct hf_token_public made = {0};
    struct hf_why why = {0};
    CHECK_REFUSED(generate(*state, "", HF_TOKEN_ECDSA_P256, &made, &why), HF_E_KEY, &why,
                  "cannot make keys of ECDSA P-256");
    CHECK_REFUSED(generate(*state, "no-ed25519", HF_TOKEN_ED25519, &made, &why), HF_E_KEY, &why,
                  "cannot make keys of Ed25519");
    assert_string_equal(fake_token_log(*state), "login\nlogin\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_faults_it_signs),
        TEST(a_wrong_pin_is_tried_once),
        TEST(no_try_is_spent_on_a_file_after_a_wrong_pin),
        TEST(a_pin_file_that_others_may_read_is_not_used),
        TEST(nobody_to_ask_is_said),
        TEST(a_device_with_keys_of_its_own_gets_no_pin),
        TEST(a_key_that_asks_each_time_is_told_each_time),
        TEST(a_point_is_read_bare_and_wrapped_only),
        TEST(a_public_part_behind_the_pin_is_read_with_it),
        TEST(a_key_of_another_kind_is_refused),
        TEST(what_a_token_is_called_cannot_move_the_cursor),
        TEST(endless_answers_end),
        TEST(a_module_that_ignores_what_it_is_asked_is_not_believed),
        TEST(two_keys_of_one_label_are_told_apart),
        TEST(a_token_that_is_seen_twice_is_one),
        TEST(another_key_of_that_name_is_given_no_pin),
        TEST(another_key_of_that_name_does_not_sign),
        TEST(a_key_that_is_known_goes_before_one_that_may_be),
        TEST(a_message_too_long_leads_to_ecdsa),
        TEST(a_token_that_was_taken_out_is_said),
        TEST(a_curve_is_named_in_the_way_that_the_token_knows),
        TEST(a_new_key_that_fails_its_trial_is_destroyed),
        TEST(a_kind_that_the_token_does_not_make_is_not_tried),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
