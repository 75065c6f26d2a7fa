/* server/repository/keys/key_file.c: private keys on disk. */
#include "tests/support/check.h"

#include "common/os/file_util.h"
#include "server/repository/keys/key_set.h"
#include "tests/support/temp_dir.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct hf_kdf quick_kdf(void)
{
    struct hf_kdf kdf = {HF_KDF_ARGON2ID,
                         crypto_pwhash_OPSLIMIT_MIN,
                         crypto_pwhash_MEMLIMIT_MIN,
                         {1, 2, 3}};
    return kdf;
}

static uint8_t *wrap_key_of(const char *passphrase, const struct hf_kdf *kdf)
{
    struct hf_passphrase p = {sodium_malloc(strlen(passphrase)), strlen(passphrase)};
    uint8_t *wrap_key = NULL;
    memcpy(p.text, passphrase, p.len);
    CHECK_OK(hf_kdf_derive(kdf, &p, &wrap_key, NULL));
    hf_passphrase_free(&p);
    return wrap_key;
}

/* A sealed key file under "correct"; `key` is what is in it. */
static const char *sealed_file(const struct temp_dir *dir, struct hf_signing_key *key)
{
    const char *path = temp_path(dir, "root-1.key.json");
    struct hf_kdf kdf = quick_kdf();
    uint8_t *wrap_key = wrap_key_of("correct", &kdf);
    CHECK_OK(hf_signing_key_make(NULL, key, NULL));
    CHECK_OK(hf_key_file_create(path, key, &kdf, wrap_key, NULL));
    sodium_free(wrap_key);
    return path;
}

/* Read and unseal with a passphrase, as a command does. */
static enum hf_err open_with(const char *path, const char *passphrase, struct hf_signing_key *out,
                             struct hf_why *why)
{
    struct hf_key_file file;
    HF_TRY(hf_key_file_read(path, &file, why));
    uint8_t *wrap_key = wrap_key_of(passphrase, &file.kdf);
    enum hf_err err = hf_key_file_open(&file, wrap_key, out, why);
    sodium_free(wrap_key);
    hf_key_file_free(&file);
    return err;
}

static void a_sealed_key_comes_back_with_its_passphrase_only(void **state)
{
    struct hf_signing_key key, back = {0};
    struct hf_why why;
    const char *path = sealed_file(*state, &key);
    assert_int_equal(temp_mode(path), 0600);
    CHECK_REFUSED(open_with(path, "wrong", &back, &why), HF_E_KEY, &why, "passphrase is wrong");
    assert_non_null(strstr(why.text, path));
    assert_null(back.secret_key);
    CHECK_OK(open_with(path, "correct", &back, &why));
    assert_memory_equal(back.secret_key, key.secret_key, HF_SECRET_KEY_LEN);
    assert_string_equal(back.key_id, key.key_id);
    hf_signing_key_free(&back);
    hf_signing_key_free(&key);
}

static void neither_seed_nor_passphrase_is_in_a_sealed_file(void **state)
{
    struct hf_signing_key key;
    char seed[2 * HF_SEED_LEN + 1];
    const char *path = sealed_file(*state, &key);
    sodium_bin2hex(seed, sizeof seed, key.secret_key, HF_SEED_LEN);
    const char *text = temp_read(path);
    assert_null(strstr(text, seed));
    assert_null(strstr(text, "correct"));
    assert_null(strstr(text, "\"seed\""));
    hf_signing_key_free(&key);
}

static void an_open_key_needs_no_passphrase(void **state)
{
    struct hf_signing_key key, back = {0};
    struct hf_key_file file;
    const struct hf_kdf none = {0};
    const char *path = temp_path(*state, "open.key.json");
    CHECK_OK(hf_signing_key_make(NULL, &key, NULL));
    CHECK_OK(hf_key_file_create(path, &key, &none, NULL, NULL));
    assert_int_equal(temp_mode(path), 0600);
    CHECK_OK(hf_key_file_read(path, &file, NULL));
    CHECK_OK(hf_key_file_open(&file, NULL, &back, NULL));
    assert_memory_equal(back.secret_key, key.secret_key, HF_SECRET_KEY_LEN);
    hf_key_file_free(&file);
    hf_signing_key_free(&back);
    hf_signing_key_free(&key);
}

static void an_existing_file_is_never_overwritten(void **state)
{
    struct hf_signing_key key;
    struct hf_why why;
    const struct hf_kdf none = {0};
    const char *path = temp_path(*state, "root-1.key.json");
    temp_write(path, "precious");
    CHECK_OK(hf_signing_key_make(NULL, &key, NULL));
    CHECK_REFUSED(hf_key_file_create(path, &key, &none, NULL, &why), HF_E_STATE, &why,
                  "exists already; it is never overwritten");
    assert_string_equal(temp_read(path), "precious");
    hf_signing_key_free(&key);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    struct hf_signing_key key;
    struct hf_key_file file;
    struct hf_why why;
    const char *path = sealed_file(*state, &key);
    static const mode_t modes[] = {0640, 0604, 0620, 0602};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_KEY, &why, "chmod 600");
    }
    assert_int_equal(chmod(path, 0400), 0);
    CHECK_OK(hf_key_file_read(path, &file, &why));
    hf_key_file_free(&file);
    hf_signing_key_free(&key);
}

/* Flip one digit of the value of `member` and say how opening ends. */
static void refuses_damaged(const char *path, const char *member, const char *part)
{
    struct hf_signing_key out;
    struct hf_why why;
    char name[32];
    (void)snprintf(name, sizeof name, "\"%s\": \"", member);
    const char *text = temp_read(path);
    const char *value = strstr(text, name);
    assert_non_null(value);
    long offset = (long)(value - text) + (long)strlen(name);
    char was = text[offset];
    temp_overwrite(path, offset, was == '0' ? "1" : "0", 1);
    CHECK_REFUSED(open_with(path, "correct", &out, &why), HF_E_KEY, &why, part);
    temp_overwrite(path, offset, &was, 1);
}

static void a_damaged_file_is_refused_whatever_was_damaged(void **state)
{
    struct hf_signing_key key;
    const char *path = sealed_file(*state, &key);
    static const char *const members[] = {"public", "salt", "nonce", "sealed"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        refuses_damaged(path, members[i], "passphrase is wrong, or the file is damaged");
    refuses_damaged(path, "keytype", "holdfast-key of version 1");
    refuses_damaged(path, "format", "holdfast-key of version 1");
    hf_signing_key_free(&key);
}

static void a_public_key_of_another_private_key_is_refused(void **state)
{
    struct hf_key_file file;
    struct hf_signing_key out;
    struct hf_why why;
    const char *path = temp_path(*state, "swapped.key.json");
    temp_write(path, "{\"format\":\"holdfast-key\",\"version\":1,\"keytype\":\"ed25519\","
                     "\"kdf\":{\"name\":\"none\"},\"public\":"
                     "\"00000000000000000000000000000000000000000000000000000000000000aa\","
                     "\"seed\":"
                     "\"00000000000000000000000000000000000000000000000000000000000000bb\"}");
    assert_int_equal(chmod(path, 0600), 0);
    CHECK_OK(hf_key_file_read(path, &file, &why));
    CHECK_REFUSED(hf_key_file_open(&file, NULL, &out, &why), HF_E_KEY, &why,
                  "is not that of its private key");
    hf_key_file_free(&file);
}

static void parameters_that_would_take_all_memory_are_refused(void **state)
{
    struct hf_key_file file;
    struct hf_why why;
    const char *path = temp_path(*state, "greedy.key.json");
    temp_write(path, "{\"format\":\"holdfast-key\",\"version\":1,\"keytype\":\"ed25519\","
                     "\"kdf\":{\"name\":\"argon2id\",\"passes\":3,\"memory\":1099511627776,"
                     "\"salt\":\"00000000000000000000000000000000\"},\"public\":"
                     "\"00000000000000000000000000000000000000000000000000000000000000aa\"}");
    assert_int_equal(chmod(path, 0600), 0);
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_KEY, &why, "bytes of memory");
}

static void what_is_no_key_file_is_refused(void **state)
{
    struct hf_key_file file;
    struct hf_why why;
    const char *path = temp_path(*state, "odd.key.json");
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_NOT_FOUND, &why, path);
    temp_write(path, "not json");
    assert_int_equal(chmod(path, 0600), 0);
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_FORMAT, &why, "not valid JSON");
    temp_write(path, "{}");
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_KEY, &why, "\"format\"");
}

/* ---- references to tokens -------------------------------------------------------------------- */

#define ED25519                                                                                    \
    "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":"                      \
    "\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"}}"
#define URI "pkcs11:token=alice;object=root-1"

static void write_reference(const char *path, const char *key, const char *uri, const char *name)
{
    char text[4096];
    (void)snprintf(text, sizeof text,
                   "{\"format\":\"holdfast-key\",\"version\":1,\"keytype\":\"token\",\"key\":%s,"
                   "\"uri\":\"%s\",\"name\":\"%s\"}",
                   key, uri, name);
    temp_write(path, text);
    assert_int_equal(chmod(path, 0600), 0);
}

static void a_reference_says_which_key_and_where(void **state)
{
    const char *path = temp_path(*state, "root-1.key.json");
    struct hf_key_file file;
    json_t *wanted = json_loads(ED25519, 0, NULL);
    char key_id[HF_SHA256_HEX_LEN];
    write_reference(path, ED25519, URI "?pin-source=file:/pin", "alice/root-1");
    CHECK_OK(hf_key_file_read(path, &file, NULL));
    assert_string_equal(file.uri, URI "?pin-source=file:/pin");
    assert_string_equal(file.name, "alice/root-1");
    assert_true(json_equal(file.public_key, wanted));
    CHECK_OK(hf_public_key_id(wanted, key_id, NULL));
    assert_string_equal(file.key_id, key_id);
    json_decref(wanted);
    hf_key_file_free(&file);
}

static void what_was_written_is_read(void **state)
{
    const char *path = temp_path(*state, "root-1.key.json");
    char uri[] = URI ";serial=17?module-path=/other.so", label[] = "alice/root-1";
    struct hf_key_file file;
    struct hf_token_public found = {uri, label, json_loads(ED25519, 0, NULL)};
    CHECK_OK(hf_key_file_create_reference(path, &found, "pkcs11:object=root-1?pin-source=file:/pin",
                                          NULL));
    assert_int_equal(temp_mode(path), 0600);
    CHECK_OK(hf_key_file_read(path, &file, NULL));
    assert_string_equal(file.uri, URI ";serial=17?pin-source=file:/pin");
    assert_string_equal(file.name, "alice/root-1");
    json_decref(found.json);
    hf_key_file_free(&file);
}

static void a_reference_holds_no_seed_to_open(void **state)
{
    const char *path = temp_path(*state, "root-1.key.json");
    struct hf_key_file file;
    struct hf_signing_key out;
    struct hf_why why;
    write_reference(path, ED25519, URI, "alice/root-1");
    CHECK_OK(hf_key_file_read(path, &file, NULL));
    CHECK_REFUSED(hf_key_file_open(&file, NULL, &out, &why), HF_E_KEY, &why, "\"seed\"");
    hf_key_file_free(&file);
}

static void refuses_reference(const char *path, const char *key, const char *uri, const char *name,
                              const char *part)
{
    struct hf_key_file file;
    struct hf_why why;
    write_reference(path, key, uri, name);
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_KEY, &why, part);
    assert_non_null(strstr(why.text, path));
}

static void an_odd_reference_is_refused(void **state)
{
    const char *path = temp_path(*state, "root-1.key.json");
    refuses_reference(path, "{}", URI, "a", "\"keytype\"");
    refuses_reference(path, "17", URI, "a", "\"key\"");
    refuses_reference(
        path, "{\"keytype\":\"future\",\"scheme\":\"future\",\"keyval\":{\"public\":\"a\"}}", URI,
        "a", "devices cannot use this key");
    refuses_reference(path, ED25519, URI "?pin-value=123456", "a", "pin-value");
    refuses_reference(path, ED25519, "pkcs11:token=alice", "a", "object");
    refuses_reference(path, ED25519, "file:/root-1", "a", "");
    refuses_reference(path, ED25519, URI "\\u001b[2J", "a", "printable ASCII");
    refuses_reference(path, ED25519, URI, "", "printable ASCII");
    refuses_reference(path, ED25519, URI, "a\\nb", "printable ASCII");
}

static void a_pin_is_in_no_sentence(void **state)
{
    const char *path = temp_path(*state, "root-1.key.json");
    struct hf_key_file file;
    struct hf_why why;
    write_reference(path, ED25519, URI "?pin-value=314159", "a");
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_KEY, &why, "pin-value");
    assert_null(strstr(why.text, "314159"));
}

static void a_reference_that_others_may_read_is_refused(void **state)
{
    const char *path = temp_path(*state, "root-1.key.json");
    struct hf_key_file file;
    struct hf_why why;
    write_reference(path, ED25519, URI, "a");
    assert_int_equal(chmod(path, 0644), 0);
    CHECK_REFUSED(hf_key_file_read(path, &file, &why), HF_E_KEY, &why, "chmod 600");
}

static void a_folder_that_was_refused_can_be_listed_again(void **state)
{
    const char *odd = temp_path(*state, "root-2.key.json");
    struct hf_key_set set = {0};
    struct hf_key_folder *folder = &set.folders[HF_KEYS_OFFLINE];
    struct hf_signing_key key = {0};
    struct hf_why why;
    (void)sealed_file(*state, &key);
    CHECK_OK(hf_file_create(odd, 0600, hf_bytes_of_text("{}"), NULL));
    CHECK_OK(hf_path_set(&folder->path, NULL, "%s", temp_path(*state, ".")));
    for (int i = 0; i < 3; i++) {
        CHECK_REFUSED(hf_key_folder_list(folder, &why), HF_E_KEY, &why, "root-2.key.json");
        assert_int_equal(folder->n_files, 0);
    }
    assert_int_equal(remove(odd), 0);
    CHECK_OK(hf_key_folder_list(folder, NULL));
    assert_int_equal(folder->n_files, 1);
    hf_signing_key_free(&key);
    hf_key_set_free(&set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_setup, temp_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sealed_key_comes_back_with_its_passphrase_only),
        TEST(neither_seed_nor_passphrase_is_in_a_sealed_file),
        TEST(an_open_key_needs_no_passphrase),
        TEST(an_existing_file_is_never_overwritten),
        TEST(a_file_that_others_may_read_is_refused),
        TEST(a_damaged_file_is_refused_whatever_was_damaged),
        TEST(a_public_key_of_another_private_key_is_refused),
        TEST(parameters_that_would_take_all_memory_are_refused),
        TEST(what_is_no_key_file_is_refused),
        TEST(a_reference_says_which_key_and_where),
        TEST(what_was_written_is_read),
        TEST(a_reference_holds_no_seed_to_open),
        TEST(an_odd_reference_is_refused),
        TEST(a_pin_is_in_no_sentence),
        TEST(a_reference_that_others_may_read_is_refused),
        TEST(a_folder_that_was_refused_can_be_listed_again),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
