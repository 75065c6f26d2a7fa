/*
 * Verify signatures of other people's vectors: Project Wycheproof's, from the folder that
 * HOLDFAST_WYCHEPROOF names, and the edge cases of ed25519-speccheck, from HOLDFAST_SPECCHECK. A
 * test is skipped if its variable is not set. README.md explains the results.
 */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/tuf/key.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 8192

/* ---- the files ------------------------------------------------------------------------------- */

static json_t *load(const char *variable, const char *folder, const char *file)
{
    char path[1024];
    json_error_t error;
    const char *checkout = getenv(variable);
    if (checkout == NULL || checkout[0] == '\0') {
        print_message("%s is not set: %s is not looked at\n", variable, file);
        skip();
    }
    snprintf(path, sizeof path, "%s/%s%s", checkout, folder, file);
    json_t *json = json_load_file(path, 0, &error);
    if (json == NULL)
        fail_msg("%s: %s", path, error.text);
    return json;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL)
        fail_msg("a vector lacks \"%s\"", key);
    return text;
}

/* The bytes of a member that is hexadecimal digits, in `buffer`. */
static struct hf_bytes bytes_of(const json_t *object, const char *key, uint8_t buffer[BYTES_MAX])
{
    const char *hex = text_of(object, key);
    size_t len = strlen(hex) / 2;
    assert_true(len <= BYTES_MAX && hf_hex_decode(hex, buffer, len));
    return (struct hf_bytes){buffer, len};
}

static struct hf_key key_of(const char *type, const char *scheme, const char *public_key)
{
    struct hf_key key = {0};
    struct hf_why why = {0};
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "keytype", type, "scheme", scheme, "keyval",
                               "public", public_key);
    assert_non_null(object);
    CHECK_OK(hf_key_parse("vector", object, &key, &why));
    json_decref(object);
    return key;
}

/* ---- Wycheproof ------------------------------------------------------------------------------ */

struct set {
    const char *file, *type, *scheme;
    bool is_other; /* made with another digest or padding: what is valid there is not here */
};

struct counts {
    unsigned accepted, refused, odd;
};

static bool has_flag(const json_t *vector, const char *flag)
{
    size_t index;
    json_t *element;
    json_array_foreach(json_object_get(vector, "flags"), index, element)
    {
        if (strcmp(json_string_value(element), flag) == 0)
            return true;
    }
    return false;
}

/* Genuine signatures that are written oddly (BER instead of DER), or have a salt of another length.
 * Such ones may be accepted: README.md says why that is safe. */
static bool is_only_odd(const struct set *set, const json_t *vector)
{
    const char *comment = text_of(vector, "comment");
    if (strcmp(set->type, "ecdsa") == 0)
        return has_flag(vector, "MissingZero") || has_flag(vector, "BerEncodedSignature") ||
               strcmp(comment, "prepending 0's to r") == 0 ||
               strcmp(comment, "prepending 0's to s") == 0;
    return strcmp(set->scheme, "rsassa-pss-sha256") == 0 &&
           strncmp(comment, "s_len changed to ", strlen("s_len changed to ")) == 0;
}

static void check_vector(const struct set *set, const struct hf_key *key, const json_t *vector,
                         struct counts *counts)
{
    static uint8_t message[BYTES_MAX], signature[BYTES_MAX];
    const char *result = text_of(vector, "result");
    bool is_invalid = strcmp(result, "invalid") == 0, is_odd = is_only_odd(set, vector);
    bool is_wanted = strcmp(result, "valid") == 0 && !set->is_other;
    bool is_accepted = hf_key_verify(key, bytes_of(vector, "msg", message),
                                     bytes_of(vector, "sig", signature));
    counts->accepted += is_accepted;
    counts->refused += !is_accepted;
    counts->odd += is_accepted && is_odd;
    /* What is wrong in a set of another digest or padding may be right here. */
    bool is_either = is_invalid && (set->is_other || is_odd);
    if (is_accepted != is_wanted && !is_either)
        fail_msg("%s, vector %lld (%s), is %s and was %s", set->file,
                 (long long)json_integer_value(json_object_get(vector, "tcId")),
                 text_of(vector, "comment"), result, is_accepted ? "accepted" : "refused");
}

static void check_vectors(const struct set *set, const struct hf_key *key, const json_t *group,
                          struct counts *counts)
{
    size_t index;
    json_t *vector;
    assert_true(key->scheme != HF_SCHEME_UNKNOWN);
    json_array_foreach(json_object_get(group, "tests"), index, vector)
    {
        check_vector(set, key, vector, counts);
    }
}

/* A key as metadata may write it: Ed25519 as hex, ECDSA as PEM and as point, RSA as PEM. */
static void check_group(const struct set *set, const json_t *group, struct counts *counts)
{
    const json_t *public_key = json_object_get(group, "publicKey");
    bool is_ed25519 = strcmp(set->scheme, "ed25519") == 0;
    const char *text = is_ed25519 ? text_of(public_key, "pk") : text_of(group, "publicKeyPem");
    struct hf_key key = key_of(set->type, set->scheme, text);
    check_vectors(set, &key, group, counts);
    if (strcmp(set->type, "ecdsa") == 0) {
        struct counts ignored = {0};
        struct hf_key point = key_of("ecdsa", set->scheme, text_of(public_key, "uncompressed"));
        assert_true(hf_key_same(&key, &point));
        check_vectors(set, &point, group, &ignored);
        hf_key_free(&point);
    }
    hf_key_free(&key);
}

static void check_set(const struct set *set)
{
    struct counts counts = {0};
    size_t index;
    json_t *group;
    json_t *json = load("HOLDFAST_WYCHEPROOF", "testvectors_v1/", set->file);
    json_array_foreach(json_object_get(json, "testGroups"), index, group)
    {
        check_group(set, group, &counts);
    }
    assert_int_equal(counts.accepted + counts.refused,
                     json_integer_value(json_object_get(json, "numberOfTests")));
    print_message("%-20s %-42s %4u accepted (%u odd), %4u refused\n", set->scheme, set->file,
                  counts.accepted, counts.odd, counts.refused);
    json_decref(json);
}

static void check_sets(const struct set *sets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_set(&sets[i]);
}
#define CHECK_SETS(sets) check_sets(sets, sizeof(sets) / sizeof(sets)[0])

static void ed25519(void **state)
{
    static const struct set sets[] = {{"ed25519_test.json", "ed25519", "ed25519", false}};
    (void)state;
    CHECK_SETS(sets);
}

static void ecdsa(void **state)
{
    static const struct set sets[] = {
        {"ecdsa_secp256r1_sha256_test.json", "ecdsa", "ecdsa-sha2-nistp256", false},
        {"ecdsa_secp384r1_sha384_test.json", "ecdsa", "ecdsa-sha2-nistp384", false},
        {"ecdsa_secp256r1_sha512_test.json", "ecdsa", "ecdsa-sha2-nistp256", true},
        {"ecdsa_secp384r1_sha256_test.json", "ecdsa", "ecdsa-sha2-nistp384", true},
    };
    (void)state;
    CHECK_SETS(sets);
}

static void rsa_pss(void **state)
{
    static const struct set sets[] = {
        {"rsa_pss_2048_sha256_mgf1_32_test.json", "rsa", "rsassa-pss-sha256", false},
        {"rsa_pss_2048_sha256_mgf1_0_test.json", "rsa", "rsassa-pss-sha256", false},
        {"rsa_pss_3072_sha256_mgf1_32_test.json", "rsa", "rsassa-pss-sha256", false},
        {"rsa_pss_4096_sha256_mgf1_32_test.json", "rsa", "rsassa-pss-sha256", false},
        {"rsa_pss_2048_sha256_mgf1sha1_20_test.json", "rsa", "rsassa-pss-sha256", true},
    };
    (void)state;
    CHECK_SETS(sets);
}

static void rsa_pkcs1v15(void **state)
{
    static const struct set sets[] = {
        {"rsa_signature_2048_sha256_test.json", "rsa", "rsa-pkcs1v15-sha256", false},
        {"rsa_signature_3072_sha256_test.json", "rsa", "rsa-pkcs1v15-sha256", false},
        {"rsa_signature_4096_sha256_test.json", "rsa", "rsa-pkcs1v15-sha256", false},
        {"rsa_signature_2048_sha512_test.json", "rsa", "rsa-pkcs1v15-sha256", true},
        {"rsa_pss_2048_sha256_mgf1_32_test.json", "rsa", "rsa-pkcs1v15-sha256", true},
    };
    (void)state;
    CHECK_SETS(sets);
}

/* ---- ed25519-speccheck ----------------------------------------------------------------------- */

/* By number, as in its README; why that is safe stands in ours. */
static const bool is_expected[12] = {[3] = true};

static void ed25519_edge_cases(void **state)
{
    static uint8_t message[BYTES_MAX], signature[BYTES_MAX];
    size_t number;
    json_t *vector;
    (void)state;
    json_t *json = load("HOLDFAST_SPECCHECK", "", "cases.json");
    assert_int_equal(json_array_size(json), 12);
    json_array_foreach(json, number, vector)
    {
        struct hf_key key = key_of("ed25519", "ed25519", text_of(vector, "pub_key"));
        bool is_accepted = hf_key_verify(&key, bytes_of(vector, "message", message),
                                         bytes_of(vector, "signature", signature));
        if (is_accepted != is_expected[number])
            fail_msg("speccheck case %zu was %s", number, is_accepted ? "accepted" : "refused");
        hf_key_free(&key);
    }
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519),
        cmocka_unit_test(ecdsa),
        cmocka_unit_test(rsa_pss),
        cmocka_unit_test(rsa_pkcs1v15),
        cmocka_unit_test(ed25519_edge_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
