/* server/http/tls_tickets: which key issues, which still decrypts, and which is gone. */
#include "tests/support/check.h"

#include "server/http/tls_tickets.h"

#define PERIOD HF_TLS_TICKET_PERIOD_S

static struct hf_tls_tickets *begin(void)
{
    static struct hf_tls_tickets tickets;
    struct hf_why why;
    CHECK_OK(hf_tls_tickets_init(&tickets, 1000, &why));
    return &tickets;
}

static struct hf_ticket_key newest(struct hf_tls_tickets *t, int64_t now_s)
{
    struct hf_ticket_key key;
    assert_true(hf_tls_tickets_newest(t, now_s, &key));
    return key;
}

static bool is_same(struct hf_ticket_key a, struct hf_ticket_key b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void a_key_issues_for_one_period(void **state)
{
    (void)state;
    struct hf_tls_tickets *t = begin();
    struct hf_ticket_key first = newest(t, 1000);
    assert_true(is_same(first, newest(t, 1000 + PERIOD - 1)));
    struct hf_ticket_key second = newest(t, 1000 + PERIOD);
    assert_false(is_same(first, second));
    assert_memory_not_equal(first.name, second.name, sizeof first.name);
    assert_memory_not_equal(first.aes, second.aes, sizeof first.aes);
    assert_memory_not_equal(first.hmac, second.hmac, sizeof first.hmac);
    hf_tls_tickets_free(t);
}

static void the_key_before_decrypts_for_one_more(void **state)
{
    (void)state;
    struct hf_tls_tickets *t = begin();
    struct hf_ticket_key first = newest(t, 1000), found;
    bool is_newest = false;
    assert_true(hf_tls_tickets_find(t, 1000, first.name, &found, &is_newest));
    assert_true(is_newest && is_same(first, found));
    int64_t late = 1000 + 2 * PERIOD - 1;
    assert_true(hf_tls_tickets_find(t, 1000 + PERIOD, first.name, &found, &is_newest));
    assert_true(!is_newest && is_same(first, found));
    assert_true(hf_tls_tickets_find(t, late, first.name, &found, &is_newest));
    assert_false(hf_tls_tickets_find(t, late + 1, first.name, &found, &is_newest));
    hf_tls_tickets_free(t);
}

static void after_a_long_silence_no_old_key_is_left(void **state)
{
    (void)state;
    struct hf_tls_tickets *t = begin();
    struct hf_ticket_key first = newest(t, 1000), found;
    bool is_newest = false;
    assert_false(hf_tls_tickets_find(t, 1000 + 2 * PERIOD, first.name, &found, &is_newest));
    assert_false(is_same(first, newest(t, 1000 + 2 * PERIOD)));
    hf_tls_tickets_free(t);
}

static void two_changes_by_hand_make_all_tickets_void(void **state)
{
    (void)state;
    struct hf_tls_tickets *t = begin();
    struct hf_ticket_key first = newest(t, 1000), found;
    bool is_newest = false;
    assert_true(hf_tls_tickets_rotate(t, 1001));
    assert_true(hf_tls_tickets_find(t, 1001, first.name, &found, &is_newest));
    assert_true(hf_tls_tickets_rotate(t, 1002));
    assert_false(hf_tls_tickets_find(t, 1002, first.name, &found, &is_newest));
    hf_tls_tickets_free(t);
}

static void an_unknown_name_finds_nothing(void **state)
{
    (void)state;
    struct hf_tls_tickets *t = begin();
    struct hf_ticket_key found;
    bool is_newest = false;
    const uint8_t name[16] = {0};
    assert_false(hf_tls_tickets_find(t, 1000, name, &found, &is_newest));
    hf_tls_tickets_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_issues_for_one_period),
        cmocka_unit_test(the_key_before_decrypts_for_one_more),
        cmocka_unit_test(after_a_long_silence_no_old_key_is_left),
        cmocka_unit_test(two_changes_by_hand_make_all_tickets_void),
        cmocka_unit_test(an_unknown_name_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
