/* server/audit: entries hang together, and a seal holds for exactly one head and time. */
#include "server/audit/chain.h"

#include "tests/support/check.h"

#include <sodium.h>

static json_t *entry(int64_t sequence, const char *action)
{
    return json_pack("{s:I, s:s}", "sequence", (json_int_t)sequence, "action", action);
}

static void extend(struct hf_audit_head *head, int64_t sequence, const char *action)
{
    struct hf_why why;
    json_t *e = entry(sequence, action);
    CHECK_OK(hf_audit_extend(head, e, &why));
    json_decref(e);
}

static void test_the_hash_is_over_the_one_before_and_the_canonical_entry(void **state)
{
    static const char canonical[] = "{\"action\":\"a\",\"sequence\":1}";
    struct hf_audit_head head = {0};
    uint8_t text[32 + sizeof canonical - 1] = {0}, expected[32];
    (void)state;
    extend(&head, 1, "a");
    memcpy(text + 32, canonical, sizeof canonical - 1);
    hf_sha256((struct hf_bytes){text, sizeof text}, expected);
    assert_memory_equal(head.hash, expected, 32);
    assert_int_equal(head.sequence, 1);
}

static void test_a_gap_a_repetition_and_another_order_are_refused(void **state)
{
    static const int64_t wrong[] = {1, 2, 4, INT64_MAX >> 11};
    struct hf_audit_head head = {0};
    struct hf_why why;
    (void)state;
    extend(&head, 1, "a");
    extend(&head, 2, "b");
    struct hf_audit_head before = head;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *e = entry(wrong[i], "c");
        CHECK_REFUSED(hf_audit_extend(&head, e, &why), HF_E_ROLLBACK, &why, "expected entry 3");
        json_decref(e);
        assert_memory_equal(&head, &before, sizeof head);
    }
    json_t *none = json_pack("{s:s}", "sequence", "3");
    CHECK_REFUSED(hf_audit_extend(&head, none, &why), HF_E_FORMAT, &why, "sequence");
    json_decref(none);
    assert_memory_equal(&head, &before, sizeof head);
}

static void test_a_seal_holds_for_one_head_one_time_and_one_key(void **state)
{
    unsigned char public[32], secret[64], signature[64], other[32];
    struct hf_audit_head head = {0}, changed;
    struct hf_buf text = {0};
    struct hf_why why;
    (void)state;
    crypto_sign_ed25519_keypair(public, secret);
    extend(&head, 1, "a");
    CHECK_OK(hf_audit_seal_text(&head, 1800000000, &text, &why));
    crypto_sign_ed25519_detached(signature, NULL, text.data, text.len, secret);
    hf_buf_free(&text);
    CHECK_OK(hf_audit_seal_verify(&head, 1800000000, signature, public, &why));
    CHECK_REFUSED(hf_audit_seal_verify(&head, 1800000001, signature, public, &why), HF_E_SIGNATURE,
                  &why, "seal of entry 1");
    changed = head;
    changed.hash[31] ^= 1;
    CHECK_REFUSED(hf_audit_seal_verify(&changed, 1800000000, signature, public, &why),
                  HF_E_SIGNATURE, &why, "");
    changed = head;
    changed.sequence++;
    CHECK_REFUSED(hf_audit_seal_verify(&changed, 1800000000, signature, public, &why),
                  HF_E_SIGNATURE, &why, "");
    crypto_sign_ed25519_keypair(other, secret);
    CHECK_REFUSED(hf_audit_seal_verify(&head, 1800000000, signature, other, &why), HF_E_SIGNATURE,
                  &why, "");
}

static void test_a_restart_is_what_the_log_key_signed_and_nothing_else(void **state)
{
    unsigned char public[32], secret[64], other[32], ignored[64];
    struct hf_audit_head lost = {0}, found = {.sequence = 77};
    const char *reason = NULL;
    struct hf_why why;
    (void)state;
    crypto_sign_ed25519_keypair(public, secret);
    crypto_sign_ed25519_keypair(other, ignored);
    extend(&lost, 1, "a");
    json_t *statement = hf_audit_restart_sign(&lost, 1800000000, "disk lost", secret);
    assert_non_null(statement);
    CHECK_REFUSED(hf_audit_restart_verify(statement, other, &found, &reason, &why), HF_E_SIGNATURE,
                  &why, "not signed by this log key");
    assert_int_equal(found.sequence, 77);
    CHECK_OK(hf_audit_restart_verify(statement, public, &found, &reason, &why));
    assert_string_equal(reason, "disk lost");
    assert_memory_equal(&found, &lost, sizeof lost);

    found.sequence = 77;
    (void)json_object_set_new(statement, "reason", json_string("nothing lost"));
    CHECK_REFUSED(hf_audit_restart_verify(statement, public, &found, &reason, &why), HF_E_SIGNATURE,
                  &why, "not signed by this log key");
    CHECK_OK(hf_audit_restart_verify(statement, NULL, &found, &reason, &why)); /* unverified */
    found.sequence = 77;
    (void)json_object_set_new(statement, "more", json_true());
    CHECK_REFUSED(hf_audit_restart_verify(statement, NULL, &found, &reason, &why), HF_E_FORMAT,
                  &why, "expected hash, reason, sequence, signature and time");
    (void)json_object_del(statement, "more");
    (void)json_object_set_new(statement, "hash", json_string("00"));
    CHECK_REFUSED(hf_audit_restart_verify(statement, NULL, &found, &reason, &why), HF_E_FORMAT,
                  &why, "expected hash, reason, sequence, signature and time");
    (void)json_object_del(statement, "signature");
    CHECK_REFUSED(hf_audit_restart_verify(statement, NULL, &found, &reason, &why), HF_E_FORMAT,
                  &why, "signature");
    assert_int_equal(found.sequence, 77);
    json_decref(statement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hash_is_over_the_one_before_and_the_canonical_entry),
        cmocka_unit_test(test_a_gap_a_repetition_and_another_order_are_refused),
        cmocka_unit_test(test_a_seal_holds_for_one_head_one_time_and_one_key),
        cmocka_unit_test(test_a_restart_is_what_the_log_key_signed_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
