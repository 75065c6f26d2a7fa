/* common/tuf/key: every scheme verifies what was signed with it and nothing else. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/tuf/key.h"

#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <sodium.h>

#include <stdlib.h>

static int fill_random(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
    return 0;
}

static void make_pk(mbedtls_pk_context *pk, mbedtls_ecp_group_id curve, unsigned rsa_bits)
{
    mbedtls_pk_init(pk);
    mbedtls_pk_type_t type = rsa_bits > 0 ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY;
    assert_int_equal(mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(type)), 0);
    if (rsa_bits > 0)
        assert_int_equal(mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), fill_random, NULL, rsa_bits,
                                             65537),
                         0);
    else
        assert_int_equal(mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(*pk), fill_random, NULL), 0);
}

static void pem_of(mbedtls_pk_context *pk, char *out, size_t size)
{
    assert_int_equal(mbedtls_pk_write_pubkey_pem(pk, (unsigned char *)out, size), 0);
}

static void hex_point_of(mbedtls_pk_context *pk, char *out, bool is_compressed)
{
    uint8_t point[133];
    size_t len = 0;
    int format = is_compressed ? MBEDTLS_ECP_PF_COMPRESSED : MBEDTLS_ECP_PF_UNCOMPRESSED;
    assert_int_equal(mbedtls_ecp_write_public_key(mbedtls_pk_ec(*pk), format, &len, point,
                                                  sizeof point),
                     0);
    hf_hex_encode(point, len, out);
}

static struct hf_key key_of(const char *type, const char *scheme, const char *public_key)
{
    struct hf_key key = {0};
    struct hf_why why = {0};
    json_t *object = json_pack("{s:s,s:s,s:{s:s,s:i},s:[]}", "keytype", type, "scheme", scheme,
                               "keyval", "public", public_key, "more", 1, "keyid_hash_algorithms");
    CHECK_OK(hf_key_parse("id", object, &key, &why));
    json_decref(object);
    return key;
}

static void check_scheme(const char *type, const char *public_key, const char *scheme,
                         struct hf_bytes message, struct hf_bytes signature, bool is_valid)
{
    struct hf_key key = key_of(type, scheme, public_key);
    assert_int_equal(hf_key_verify(&key, message, signature), is_valid);
    hf_key_free(&key);
}

/* The signature as made, and every way of it that must not pass. */
static void check_verifies_only_this(const struct hf_key *key, struct hf_bytes message,
                                     struct hf_bytes signature)
{
    uint8_t damaged[1100];
    assert_true(hf_key_verify(key, message, signature));
    for (size_t i = 0; i < signature.len; i += 7) {
        memcpy(damaged, signature.data, signature.len);
        damaged[i] ^= 0x01;
        assert_false(hf_key_verify(key, message, (struct hf_bytes){damaged, signature.len}));
    }
    memcpy(damaged, signature.data, signature.len);
    damaged[signature.len] = 0;
    assert_false(hf_key_verify(key, message, (struct hf_bytes){damaged, signature.len + 1}));
    assert_false(hf_key_verify(key, message, (struct hf_bytes){damaged, signature.len - 1}));
    assert_false(hf_key_verify(key, message, (struct hf_bytes){damaged, 0}));
    assert_false(hf_key_verify(key, message, (struct hf_bytes){NULL, 0}));
    assert_false(hf_key_verify(key, hf_bytes_of_text("another message"), signature));
    memset(damaged, 0, sizeof damaged);
    assert_false(hf_key_verify(key, message, (struct hf_bytes){damaged, signature.len}));
}

static void ed25519_verifies(void **state)
{
    (void)state;
    uint8_t public_key[32], secret_key[64], bytes[64];
    char hex[65];
    struct hf_bytes message = hf_bytes_of_text("message");
    crypto_sign_keypair(public_key, secret_key);
    crypto_sign_detached(bytes, NULL, message.data, message.len, secret_key);
    hf_hex_encode(public_key, 32, hex);
    struct hf_key key = key_of("ed25519", "ed25519", hex);
    assert_int_equal(key.scheme, HF_SCHEME_ED25519);
    check_verifies_only_this(&key, message, (struct hf_bytes){bytes, 64});
    hf_key_free(&key);
}

static void check_ecdsa(mbedtls_ecp_group_id curve, mbedtls_md_type_t md, const char *new_type,
                        const char *scheme, const char *other_scheme)
{
    mbedtls_pk_context pk;
    char pem[1024], point[268], compressed[268];
    uint8_t digest[64], bytes[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len = 0;
    struct hf_bytes message = hf_bytes_of_text("message");
    make_pk(&pk, curve, 0);
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    assert_int_equal(mbedtls_md(info, message.data, message.len, digest), 0);
    assert_int_equal(mbedtls_pk_sign(&pk, md, digest, mbedtls_md_get_size(info), bytes,
                                     sizeof bytes, &len, fill_random, NULL),
                     0);
    pem_of(&pk, pem, sizeof pem);
    hex_point_of(&pk, point, false);
    hex_point_of(&pk, compressed, true);
    struct hf_bytes signature = {bytes, len};

    struct hf_key by_pem = key_of(new_type, scheme, pem);
    struct hf_key by_point = key_of("ecdsa", scheme, point);
    struct hf_key by_compressed = key_of("ecdsa", scheme, compressed);
    check_verifies_only_this(&by_pem, message, signature);
    check_verifies_only_this(&by_point, message, signature);
    check_verifies_only_this(&by_compressed, message, signature);
    assert_true(hf_key_same(&by_pem, &by_point));
    assert_true(hf_key_same(&by_pem, &by_compressed));
    /* a key of one curve under the scheme of another is not usable */
    check_scheme("ecdsa", pem, other_scheme, message, signature, false);
    check_scheme("rsa", pem, "rsassa-pss-sha256", message, signature, false);
    hf_key_free(&by_pem);
    hf_key_free(&by_point);
    hf_key_free(&by_compressed);
    mbedtls_pk_free(&pk);
}

static void ecdsa_verifies_as_pem_and_as_point(void **state)
{
    (void)state;
    check_ecdsa(MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_MD_SHA256, "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384");
    check_ecdsa(MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_MD_SHA384, "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp256");
}

static void sign_rsa(mbedtls_pk_context *pk, bool is_pss, struct hf_bytes message, uint8_t *out)
{
    uint8_t digest[32];
    hf_sha256(message, digest);
    mbedtls_rsa_context *rsa = mbedtls_pk_rsa(*pk);
    int padding = is_pss ? MBEDTLS_RSA_PKCS_V21 : MBEDTLS_RSA_PKCS_V15;
    assert_int_equal(mbedtls_rsa_set_padding(rsa, padding, MBEDTLS_MD_SHA256), 0);
    assert_int_equal(mbedtls_rsa_pkcs1_sign(rsa, fill_random, NULL, MBEDTLS_MD_SHA256, 32, digest,
                                            out),
                     0);
}

static void rsa_verifies_with_the_padding_it_names(void **state)
{
    (void)state;
    mbedtls_pk_context pk;
    char pem[2048];
    uint8_t pss[256], pkcs1[256];
    struct hf_bytes message = hf_bytes_of_text("message");
    make_pk(&pk, MBEDTLS_ECP_DP_NONE, 2048);
    pem_of(&pk, pem, sizeof pem);
    sign_rsa(&pk, true, message, pss);
    sign_rsa(&pk, false, message, pkcs1);

    struct hf_key pss_key = key_of("rsa", "rsassa-pss-sha256", pem);
    struct hf_key pkcs1_key = key_of("rsa", "rsa-pkcs1v15-sha256", pem);
    check_verifies_only_this(&pss_key, message, (struct hf_bytes){pss, sizeof pss});
    check_verifies_only_this(&pkcs1_key, message, (struct hf_bytes){pkcs1, sizeof pkcs1});
    assert_false(hf_key_verify(&pss_key, message, (struct hf_bytes){pkcs1, sizeof pkcs1}));
    assert_false(hf_key_verify(&pkcs1_key, message, (struct hf_bytes){pss, sizeof pss}));
    assert_true(hf_key_same(&pss_key, &pkcs1_key));
    hf_key_free(&pss_key);
    hf_key_free(&pkcs1_key);
    mbedtls_pk_free(&pk);
}

static void check_counts_for_nothing(const char *type, const char *scheme, const char *public_key)
{
    struct hf_key key = key_of(type, scheme, public_key);
    assert_int_equal(key.scheme, HF_SCHEME_UNKNOWN);
    assert_null(key.public_key);
    assert_false(hf_key_same(&key, &key));
    assert_false(hf_key_verify(&key, hf_bytes_of_text("m"), hf_bytes_of_text("signature")));
    hf_key_free(&key);
}

static void a_key_that_cannot_be_used_counts_for_nothing(void **state)
{
    (void)state;
    mbedtls_pk_context weak;
    char pem[2048];
    make_pk(&weak, MBEDTLS_ECP_DP_NONE, 1024);
    pem_of(&weak, pem, sizeof pem);
    mbedtls_pk_free(&weak);
    check_counts_for_nothing("rsa", "rsassa-pss-sha256", pem);
    check_counts_for_nothing("ml-dsa", "ml-dsa-65", "00");
    check_counts_for_nothing("ed25519", "ed448", "00");
    check_counts_for_nothing("rsa", "ed25519",
                             "0000000000000000000000000000000000000000000000000000000000000000");
    check_counts_for_nothing("ed25519", "ed25519", "00");
    check_counts_for_nothing("ed25519", "ed25519", "");
    check_counts_for_nothing("ecdsa", "ecdsa-sha2-nistp256", "04");
    check_counts_for_nothing("ecdsa", "ecdsa-sha2-nistp256", "not a point");
    check_counts_for_nothing("ecdsa", "ecdsa-sha2-nistp256", "-----BEGIN PUBLIC KEY-----\n");
}

static void a_key_value_of_another_shape_counts_for_nothing(void **state)
{
    (void)state;
    static const char *const values[] = {"{}", "5", "[]", "{\"public\":5}", "{\"x\":\"y\"}"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct hf_why why = {0};
        struct hf_key key = {0};
        json_t *object = json_pack("{s:s,s:s}", "keytype", "ed25519", "scheme", "ed25519");
        json_object_set_new(object, "keyval", json_loads(values[i], JSON_DECODE_ANY, NULL));
        CHECK_OK(hf_key_parse("id", object, &key, &why));
        assert_int_equal(key.scheme, HF_SCHEME_UNKNOWN);
        hf_key_free(&key);
        json_decref(object);
    }
}

/* (0, 0) and a point that is not on the curve. */
static void a_point_off_the_curve_is_no_key(void **state)
{
    (void)state;
    char text[131] = "04";
    memset(text + 2, '0', 128);
    text[130] = '\0';
    check_counts_for_nothing("ecdsa", "ecdsa-sha2-nistp256", text);
    text[129] = '5';
    check_counts_for_nothing("ecdsa", "ecdsa-sha2-nistp256", text);
}

static void what_is_no_key_object_is_refused(void **state)
{
    (void)state;
    static const char *const objects[] = {
        "{}",
        "{\"keytype\":\"ed25519\",\"keyval\":{\"public\":\"\"}}",
        "{\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"\"}}",
        "{\"keytype\":1,\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"\"}}",
    };
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
        struct hf_why why = {0};
        struct hf_key key = {.scheme = HF_SCHEME_ED25519};
        json_t *object = json_loads(objects[i], 0, NULL);
        CHECK_REFUSED(hf_key_parse("id", object, &key, &why), HF_E_FORMAT, &why, "key");
        assert_int_equal(key.scheme, HF_SCHEME_ED25519); /* untouched */
        json_decref(object);
    }
}

static void schemes_have_the_names_of_the_specification(void **state)
{
    (void)state;
    assert_string_equal(hf_scheme_name(HF_SCHEME_ED25519), "ed25519");
    assert_string_equal(hf_scheme_name(HF_SCHEME_RSA_PKCS1V15_SHA256), "rsa-pkcs1v15-sha256");
    assert_string_equal(hf_scheme_name(HF_SCHEME_UNKNOWN), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ed25519_verifies),
        cmocka_unit_test(ecdsa_verifies_as_pem_and_as_point),
        cmocka_unit_test(rsa_verifies_with_the_padding_it_names),
        cmocka_unit_test(a_key_that_cannot_be_used_counts_for_nothing),
        cmocka_unit_test(a_key_value_of_another_shape_counts_for_nothing),
        cmocka_unit_test(a_point_off_the_curve_is_no_key),
        cmocka_unit_test(what_is_no_key_object_is_refused),
        cmocka_unit_test(schemes_have_the_names_of_the_specification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
