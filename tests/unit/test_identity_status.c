/* server/identity/status: every change of a status that is allowed, and every one that is not. */
#include "tests/support/check.h"

#include "server/identity/status.h"

static const enum hf_cert_status all[] = {HF_CERT_ACTIVE, HF_CERT_INACTIVE, HF_CERT_REVOKED,
                                          HF_CERT_PENDING_TRANSFER, HF_CERT_PENDING_ACTIVATION};
#define N_ALL (sizeof all / sizeof *all)

static void every_pair_that_an_operator_may_ask_for(void **state)
{
    static const struct {
        enum hf_cert_status from, to;
    } allowed[] = {
        {HF_CERT_ACTIVE, HF_CERT_ACTIVE},
        {HF_CERT_ACTIVE, HF_CERT_INACTIVE},
        {HF_CERT_ACTIVE, HF_CERT_REVOKED},
        {HF_CERT_INACTIVE, HF_CERT_ACTIVE},
        {HF_CERT_INACTIVE, HF_CERT_INACTIVE},
        {HF_CERT_INACTIVE, HF_CERT_REVOKED},
        {HF_CERT_REVOKED, HF_CERT_REVOKED},
        {HF_CERT_PENDING_TRANSFER, HF_CERT_REVOKED},
        {HF_CERT_PENDING_ACTIVATION, HF_CERT_ACTIVE},
        {HF_CERT_PENDING_ACTIVATION, HF_CERT_REVOKED},
    };
    (void)state;
    for (size_t f = 0; f < N_ALL; f++)
        for (size_t t = 0; t < N_ALL; t++) {
            struct hf_why why = {0};
            bool is_allowed = false;
            for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
                is_allowed |= allowed[i].from == all[f] && allowed[i].to == all[t];
            enum hf_err err = hf_cert_status_check_set(all[f], all[t], &why);
            bool is_by_hand = all[t] != HF_CERT_PENDING_TRANSFER &&
                              all[t] != HF_CERT_PENDING_ACTIVATION;
            if (is_allowed)
                CHECK_OK(err);
            else if (is_by_hand)
                CHECK_REFUSED(err, HF_E_STATE, &why, hf_cert_status_name(all[f]));
            else
                CHECK_REFUSED(err, HF_E_ARGUMENT, &why, "cannot be set by hand");
        }
}

static void a_transfer_begins_inactive_and_ends_inactive(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_ALL; f++)
        for (int act = HF_CERT_ACT_TRANSFER; act <= HF_CERT_ACT_CANCEL; act++) {
            struct hf_why why = {0};
            enum hf_cert_status after = HF_CERT_NONE;
            bool is_offer = act == HF_CERT_ACT_TRANSFER;
            enum hf_err err = hf_cert_status_after(all[f], (enum hf_cert_act)act, &after, &why);
            if (all[f] == (is_offer ? HF_CERT_INACTIVE : HF_CERT_PENDING_TRANSFER)) {
                CHECK_OK(err);
                assert_int_equal(after, is_offer ? HF_CERT_PENDING_TRANSFER : HF_CERT_INACTIVE);
            } else {
                CHECK_REFUSED(err, HF_E_STATE, &why, hf_cert_status_name(all[f]));
                assert_int_equal(after, HF_CERT_NONE);
            }
        }
}

static void every_name_is_read_as_what_it_names(void **state)
{
    enum hf_cert_status status = HF_CERT_NONE;
    enum hf_cert_mode mode = HF_CERT_MODE_DEFAULT;
    enum hf_cert_kind kind = HF_CERT_DEVICE;
    (void)state;
    for (size_t i = 0; i < N_ALL; i++) {
        assert_true(hf_cert_status_parse(hf_cert_status_name(all[i]), &status));
        assert_int_equal(status, all[i]);
    }
    assert_true(hf_cert_mode_parse("SNI_ONLY", &mode));
    assert_int_equal(mode, HF_CERT_MODE_SNI_ONLY);
    assert_true(hf_cert_kind_parse("claim", &kind));
    assert_int_equal(kind, HF_CERT_CLAIM);
    assert_false(hf_cert_status_parse("NONE", &status));
    assert_false(hf_cert_status_parse("active", &status));
    assert_false(hf_cert_status_parse("", &status));
    assert_false(hf_cert_mode_parse("sni_only", &mode));
    assert_false(hf_cert_kind_parse("none", &kind));
    assert_int_equal(status, HF_CERT_PENDING_ACTIVATION);
    assert_string_equal(hf_cert_status_name((enum hf_cert_status)99), "NONE");
    assert_string_equal(hf_cert_mode_name((enum hf_cert_mode)99), "NONE");
    assert_string_equal(hf_cert_kind_name((enum hf_cert_kind)99), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_that_an_operator_may_ask_for),
        cmocka_unit_test(a_transfer_begins_inactive_and_ends_inactive),
        cmocka_unit_test(every_name_is_read_as_what_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
