/* server/fleet: enrolment tokens, claim certificates, admin tokens, idempotency keys. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "common/os/file_util.h"
#include "server/fleet/claim_use.h"

#include <stdio.h>

static struct hf_enroll_token wanted_token(int64_t account, int64_t uses)
{
    return (struct hf_enroll_token){.account_id = account,
                                    .group = "lab",
                                    .kind = HF_CERT_DEVICE,
                                    .uses_max = uses,
                                    .expires_s = FLEET_NOW_S + 3600};
}

static struct hf_enroll_token make_token(struct fleet_world *w,
                                         const struct hf_enroll_token *wanted,
                                         char secret[HF_SECRET_TEXT_MAX])
{
    struct hf_enroll_token row;

    if (hf_enroll_token_create(&w->tx, wanted, secret, &row, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return row;
}

static enum hf_err redeem(struct fleet_world *w, int64_t account, const char *secret,
                          const char *device, uint8_t csr, struct hf_enroll_use *use)
{
    uint8_t sha256[HF_SHA256_LEN] = {csr};
    return hf_enroll_token_redeem(&w->tx, account, secret, device, sha256, use, &w->why);
}

static void a_token_is_not_in_the_database(void **state)
{
    struct fleet_world *w = *state;
    struct hf_enroll_token wanted = wanted_token(fleet_account(w, "one"), 1);
    char secret[HF_SECRET_TEXT_MAX], other[HF_SECRET_TEXT_MAX];
    struct hf_buf log = {0};

    (void)make_token(w, &wanted, secret);
    (void)make_token(w, &wanted, other);
    assert_int_equal(strlen(secret), 47);
    assert_memory_equal(secret, "hfe_", 4);
    assert_string_not_equal(secret, other);
    /* Neither as text nor within the log of SQLite, which holds all that was written. */
    CHECK_OK(hf_file_read(temp_path(w->dir, "fleet.db-wal"), 1 << 24, &log, &w->why));
    assert_true(log.len > 4096);
    assert_null(memmem(log.data, log.len, secret, strlen(secret)));
    assert_null(memmem(log.data, log.len, secret + 4, 20));
    hf_buf_free(&log);
}

static void one_use_is_one_use(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_enroll_token wanted = wanted_token(one, 1);
    char secret[HF_SECRET_TEXT_MAX];
    struct hf_enroll_use use, again;
    struct hf_enroll_token row = make_token(w, &wanted, secret);

    CHECK_OK(redeem(w, one, secret, "pump", 1, &use));
    assert_string_equal(use.group, "lab");
    assert_int_equal(use.credential_id, 0);
    FLEET_REFUSED(w, redeem(w, one, secret, "pump", 2, &again), HF_E_POLICY, "not valid here");
    FLEET_REFUSED(w, redeem(w, one, secret, "other", 2, &again), HF_E_POLICY, "not valid here");
    /* The same request again: no second use. Not for another device. */
    CHECK_OK(redeem(w, one, secret, "pump", 1, &again));
    assert_int_equal(again.id, use.id);
    FLEET_REFUSED(w, redeem(w, one, secret, "other", 1, &again), HF_E_POLICY, "not valid here");
    CHECK_OK(hf_enroll_token_get(w->tx.db, one, row.id, &row, &w->why));
    assert_int_equal(row.uses, 1);
}

static void a_request_is_answered_with_one_certificate(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_enroll_token wanted = wanted_token(one, 5);
    struct hf_credential_new a = fleet_new(one, 1), b = fleet_new(one, 2);
    struct hf_credential row = fleet_register(w, &a), second = fleet_register(w, &b);
    char secret[HF_SECRET_TEXT_MAX];
    struct hf_enroll_use use;

    (void)make_token(w, &wanted, secret);
    CHECK_OK(redeem(w, one, secret, "pump", 1, &use));
    CHECK_OK(hf_enroll_use_answer(&w->tx, use.id, row.id, &w->why));
    FLEET_REFUSED(w, hf_enroll_use_answer(&w->tx, use.id, second.id, &w->why), HF_E_STATE,
                  "answered with a certificate already");
    CHECK_OK(redeem(w, one, secret, "pump", 1, &use));
    assert_int_equal(use.credential_id, row.id);
}

static void a_token_has_its_limits(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_enroll_token wanted = wanted_token(one, 3), row;
    char secret[HF_SECRET_TEXT_MAX];
    struct hf_enroll_use use;

    (void)snprintf(wanted.device, sizeof wanted.device, "pump");
    row = make_token(w, &wanted, secret);
    FLEET_REFUSED(w, redeem(w, two, secret, "pump", 1, &use), HF_E_POLICY, "not valid here");
    FLEET_REFUSED(w, redeem(w, one, secret, "valve", 1, &use), HF_E_POLICY, "not valid here");
    FLEET_REFUSED(w, redeem(w, one, "hfe_", "pump", 1, &use), HF_E_POLICY, "not valid here");
    secret[46] = secret[46] == 'A' ? 'B' : 'A';
    FLEET_REFUSED(w, redeem(w, one, secret, "pump", 1, &use), HF_E_POLICY, "not valid here");

    (void)make_token(w, &wanted, secret);
    CHECK_OK(redeem(w, one, secret, "pump", 1, &use));
    w->tx.now_s = wanted.expires_s;
    FLEET_REFUSED(w, redeem(w, one, secret, "pump", 2, &use), HF_E_POLICY, "not valid here");
    FLEET_REFUSED(w, redeem(w, one, secret, "pump", 1, &use), HF_E_POLICY, "not valid here");
    w->tx.now_s = FLEET_NOW_S;

    row = make_token(w, &wanted, secret);
    CHECK_OK(hf_enroll_token_revoke(&w->tx, one, row.id, 0, &row, &w->why));
    CHECK_OK(hf_enroll_token_revoke(&w->tx, one, row.id, 0, &row, &w->why));
    assert_int_equal(row.version, 2);
    FLEET_REFUSED(w, redeem(w, one, secret, "pump", 1, &use), HF_E_POLICY, "not valid here");
    FLEET_REFUSED(w, hf_enroll_token_revoke(&w->tx, two, row.id, 0, &row, &w->why), HF_E_NOT_FOUND,
                  "no such token");
}

static void a_token_is_checked_before_it_is_used(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_enroll_token wanted = wanted_token(one, 1);
    const uint8_t csr[HF_SHA256_LEN] = {1}, other[HF_SHA256_LEN] = {2};
    char secret[HF_SECRET_TEXT_MAX];
    struct hf_enroll_use use;

    (void)make_token(w, &wanted, secret);
    uint64_t before = fleet_fingerprint(w);
    CHECK_OK(hf_enroll_token_check(&w->tx, one, secret, "pump", csr, &w->why));
    assert_true(before == fleet_fingerprint(w));
    FLEET_REFUSED(w, hf_enroll_token_check(&w->tx, two, secret, "pump", csr, &w->why), HF_E_POLICY,
                  "not valid here");
    CHECK_OK(redeem(w, one, secret, "pump", 1, &use));
    CHECK_OK(hf_enroll_token_check(&w->tx, one, secret, "pump", csr, &w->why));
    FLEET_REFUSED(w, hf_enroll_token_check(&w->tx, one, secret, "pump", other, &w->why),
                  HF_E_POLICY, "not valid here");
    FLEET_REFUSED(w, hf_enroll_token_check(&w->tx, one, secret, "other", csr, &w->why), HF_E_POLICY,
                  "not valid here");
    w->tx.now_s = wanted.expires_s;
    FLEET_REFUSED(w, hf_enroll_token_check(&w->tx, one, secret, "pump", csr, &w->why), HF_E_POLICY,
                  "not valid here");
}

static void use_up(struct fleet_world *w, int64_t claim)
{
    int64_t wait_s = -1;

    for (int i = 0; i < HF_FLEET_CLAIM_USES_MAX; i++)
        CHECK_OK(hf_claim_use_take(&w->tx, claim, &wait_s, &w->why));
    assert_int_equal(wait_s, -1);
    FLEET_REFUSED(w, hf_claim_use_take(&w->tx, claim, &wait_s, &w->why), HF_E_LIMIT,
                  "has enrolled 120 devices within an hour");
    assert_in_range(wait_s, 1, HF_FLEET_ISSUE_WINDOW_S);
}

static void a_claim_certificate_has_its_hour(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), wait_s = 0;
    struct hf_credential_new a = fleet_new(one, 1), b = fleet_new(one, 2);
    int64_t claim = fleet_register(w, &a).id, other = fleet_register(w, &b).id;

    use_up(w, claim);
    CHECK_OK(hf_claim_use_take(&w->tx, other, &wait_s, &w->why));
    w->tx.now_s += HF_FLEET_ISSUE_WINDOW_S - 1;
    FLEET_REFUSED(w, hf_claim_use_take(&w->tx, claim, &wait_s, &w->why), HF_E_LIMIT,
                  "Try again at 2027-01-15T09:00:00Z");
    assert_int_equal(wait_s, 1);
    w->tx.now_s++;
    use_up(w, claim);
}

static void a_clock_that_was_ahead_does_not_block_a_claim_certificate(void **state)
{
    struct fleet_world *w = *state;
    struct hf_credential_new wanted = fleet_new(fleet_account(w, "one"), 1);
    int64_t claim = fleet_register(w, &wanted).id;

    w->tx.now_s += INT64_C(40) * 365 * 86400;
    use_up(w, claim);
    w->tx.now_s = FLEET_NOW_S;
    use_up(w, claim);
}

static void wrong_tokens_are_not_made(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_enroll_token wanted = wanted_token(one, 0), row;
    char secret[HF_SECRET_TEXT_MAX] = "";

    FLEET_REFUSED(w, hf_enroll_token_create(&w->tx, &wanted, secret, &row, &w->why), HF_E_ARGUMENT,
                  "uses: expected 1 to");
    wanted = wanted_token(one, 1);
    wanted.expires_s = FLEET_NOW_S;
    FLEET_REFUSED(w, hf_enroll_token_create(&w->tx, &wanted, secret, &row, &w->why), HF_E_ARGUMENT,
                  "from now on, 366 days");
    wanted.expires_s = FLEET_NOW_S + 367 * 86400;
    FLEET_REFUSED(w, hf_enroll_token_create(&w->tx, &wanted, secret, &row, &w->why), HF_E_ARGUMENT,
                  "from now on, 366 days");
    wanted = wanted_token(one, 1);
    wanted.kind = 0;
    FLEET_REFUSED(w, hf_enroll_token_create(&w->tx, &wanted, secret, &row, &w->why), HF_E_ARGUMENT,
                  "kind");
    assert_string_equal(secret, "");
}

/* ---- admin tokens ---------------------------------------------------------------------------- */

static void an_admin_token_says_who_it_is(void **state)
{
    struct fleet_world *w = *state;
    char secret[HF_SECRET_TEXT_MAX];
    struct hf_admin_token row, found;

    CHECK_OK(hf_admin_token_create(&w->tx, "ci.deploy", HF_ADMIN_REGISTRAR, FLEET_NOW_S + 60,
                                   secret, &row, &w->why));
    CHECK_OK(hf_admin_token_check(w->tx.db, secret, FLEET_NOW_S + 59, &found, &w->why));
    assert_string_equal(found.name, "ci.deploy");
    assert_int_equal(found.role, HF_ADMIN_REGISTRAR);
    assert_true(hf_admin_token_use_is_due(&found, FLEET_NOW_S));
    CHECK_OK(hf_admin_token_note_use(&w->tx, row.id, &w->why));
    CHECK_OK(hf_admin_token_get(w->tx.db, row.id, &found, &w->why));
    assert_false(hf_admin_token_use_is_due(&found, FLEET_NOW_S + 3599));
    assert_int_equal(found.version, 1);
    FLEET_REFUSED(w, hf_admin_token_check(w->tx.db, secret, FLEET_NOW_S + 60, &found, &w->why),
                  HF_E_POLICY, "expired or revoked");
    FLEET_REFUSED(w, hf_admin_token_check(w->tx.db, "hfa_no", FLEET_NOW_S, &found, &w->why),
                  HF_E_POLICY, "expired or revoked");
    CHECK_OK(hf_admin_token_revoke(&w->tx, row.id, 1, &row, &w->why));
    FLEET_REFUSED(w, hf_admin_token_check(w->tx.db, secret, FLEET_NOW_S, &found, &w->why),
                  HF_E_POLICY, "expired or revoked");
    FLEET_REFUSED(w,
                  hf_admin_token_create(&w->tx, "ci.deploy", HF_ADMIN_ADMIN, 0, secret, &row,
                                        &w->why),
                  HF_E_STATE, "exists already");
    FLEET_REFUSED(w, hf_admin_token_create(&w->tx, "x", HF_ADMIN_NONE, 0, secret, &row, &w->why),
                  HF_E_ARGUMENT, "role");
    FLEET_REFUSED(w, hf_admin_token_create(&w->tx, "x", HF_ADMIN_ADMIN, 1, secret, &row, &w->why),
                  HF_E_ARGUMENT, "expires");
}

static void an_enrolment_token_is_no_admin_token(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_enroll_token wanted = wanted_token(one, 1);
    char enroll[HF_SECRET_TEXT_MAX], admin[HF_SECRET_TEXT_MAX];
    struct hf_admin_token row;
    struct hf_enroll_use use;

    (void)make_token(w, &wanted, enroll);
    CHECK_OK(hf_admin_token_create(&w->tx, "a", HF_ADMIN_VIEWER, 0, admin, &row, &w->why));
    FLEET_REFUSED(w, hf_admin_token_check(w->tx.db, enroll, FLEET_NOW_S, &row, &w->why),
                  HF_E_POLICY, "not valid");
    FLEET_REFUSED(w, redeem(w, one, admin, "pump", 1, &use), HF_E_POLICY, "not valid");
}

static void roles_have_names(void **state)
{
    enum hf_admin_role role;

    (void)state;
    for (int i = HF_ADMIN_VIEWER; i <= HF_ADMIN_ADMIN; i++) {
        assert_true(hf_admin_role_parse(hf_admin_role_name((enum hf_admin_role)i), &role));
        assert_int_equal(role, i);
    }
    assert_false(hf_admin_role_parse("none", &role));
    assert_false(hf_admin_role_parse("Admin", &role));
}

/* ---- idempotency keys ------------------------------------------------------------------------ */

static void an_answer_is_given_again_for_a_day(void **state)
{
    struct fleet_world *w = *state;
    uint8_t request[HF_SHA256_LEN] = {1}, other[HF_SHA256_LEN] = {2};
    struct hf_buf answer = {0};
    int64_t status = 0;

    assert_int_equal(hf_idempotency_find(&w->tx, "k", request, &status, &answer, &w->why),
                     HF_E_NOT_FOUND);
    CHECK_OK(hf_idempotency_save(&w->tx, "k", request, 201, "{\"a\":1}", &w->why));
    CHECK_OK(hf_idempotency_find(&w->tx, "k", request, &status, &answer, &w->why));
    assert_int_equal(status, 201);
    assert_string_equal((const char *)answer.data, "{\"a\":1}");
    FLEET_REFUSED(w, hf_idempotency_find(&w->tx, "k", other, &status, &answer, &w->why), HF_E_STATE,
                  "was used for another request");
    w->tx.actor = "token:other";
    assert_int_equal(hf_idempotency_find(&w->tx, "k", request, &status, &answer, &w->why),
                     HF_E_NOT_FOUND);
    w->tx.actor = "uid:0";
    w->tx.now_s += 86400;
    assert_int_equal(hf_idempotency_find(&w->tx, "k", request, &status, &answer, &w->why),
                     HF_E_NOT_FOUND);
    CHECK_OK(hf_idempotency_save(&w->tx, "k", other, 200, "new", &w->why));
    w->tx.now_s += 86399;
    CHECK_OK(hf_idempotency_purge(&w->tx, &w->why));
    answer.len = 0;
    CHECK_OK(hf_idempotency_find(&w->tx, "k", other, &status, &answer, &w->why));
    assert_string_equal((const char *)answer.data, "new");
    w->tx.now_s += 1;
    CHECK_OK(hf_idempotency_purge(&w->tx, &w->why));
    w->tx.now_s -= 1;
    assert_int_equal(hf_idempotency_find(&w->tx, "k", other, &status, &answer, &w->why),
                     HF_E_NOT_FOUND);
    hf_buf_free(&answer);
}

int main(void)
{
#define IN_A_WORLD(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, fleet_world_setup, fleet_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_token_is_not_in_the_database),
        IN_A_WORLD(one_use_is_one_use),
        IN_A_WORLD(a_request_is_answered_with_one_certificate),
        IN_A_WORLD(a_token_has_its_limits),
        IN_A_WORLD(a_token_is_checked_before_it_is_used),
        IN_A_WORLD(a_claim_certificate_has_its_hour),
        IN_A_WORLD(a_clock_that_was_ahead_does_not_block_a_claim_certificate),
        IN_A_WORLD(wrong_tokens_are_not_made),
        IN_A_WORLD(an_admin_token_says_who_it_is),
        IN_A_WORLD(an_enrolment_token_is_no_admin_token),
        cmocka_unit_test(roles_have_names),
        IN_A_WORLD(an_answer_is_given_again_for_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
