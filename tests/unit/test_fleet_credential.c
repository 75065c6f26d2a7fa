/* server/fleet/credential_*: registration, every transition of a status, transfer, rotation. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "common/base/timetext.h"
#include "server/fleet/restore_log.h"

/* ---- registration ---------------------------------------------------------------------------- */

static void one_without_a_ca_is_sni_only_and_in_several_accounts(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential a = fleet_register(w, &wanted), b;
    struct hf_buf der = {0};

    assert_int_equal(a.mode, HF_CERT_MODE_SNI_ONLY);
    assert_int_equal(a.status, HF_CERT_ACTIVE);
    assert_int_equal(a.ca_id, 0);
    assert_true(a.is_confirmed);
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &b, &w->why), HF_E_STATE,
                  "has the certificate already (ACTIVE)");
    wanted.account_id = two;
    b = fleet_register(w, &wanted);
    assert_int_not_equal(a.id, b.id);
    FLEET_REFUSED(w, hf_credential_get(w->tx.db, two, a.id, &b, &w->why), HF_E_NOT_FOUND,
                  "no such certificate");
    CHECK_OK(hf_credential_find(w->tx.db, one, wanted.sha256, &b, &w->why));
    assert_int_equal(b.id, a.id);
    CHECK_OK(hf_credential_der(w->tx.db, one, a.id, &der, &w->why));
    assert_true(hf_bytes_equal(hf_buf_bytes(&der), wanted.der));
    FLEET_REFUSED(w, hf_credential_der(w->tx.db, two, a.id, &der, &w->why), HF_E_NOT_FOUND,
                  "no such certificate");
    hf_buf_free(&der);
}

static void the_registry_is_told(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(one, 1);

    hf_effects_clear(&w->effects);
    struct hf_credential row = fleet_register(w, &wanted);
    assert_int_equal(w->effects.n, 1);
    const struct hf_effect *effect = &w->effects.list[0];
    assert_int_equal(effect->kind, HF_EFFECT_CREDENTIAL);
    assert_memory_equal(effect->sha256, wanted.sha256, HF_SHA256_LEN);
    assert_int_equal(effect->credential.credential, row.id);
    assert_int_equal(effect->credential.account, one);
    assert_int_equal(effect->credential.status, HF_CERT_ACTIVE);
    assert_int_equal(effect->credential.flags, 0);
}

static void the_ca_decides_mode_and_status(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_ca_row ca = fleet_ca(w, one, 1, HF_CERT_MODE_DEFAULT, HF_AUTO_REGISTRATION_PENDING);
    struct hf_ca_row off = fleet_ca(w, one, 2, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential row;

    wanted.ca_id = ca.id;
    wanted.source = HF_SOURCE_AUTO;
    row = fleet_register(w, &wanted);
    assert_int_equal(row.mode, HF_CERT_MODE_DEFAULT);
    assert_int_equal(row.status, HF_CERT_PENDING_ACTIVATION);
    wanted = fleet_new(two, 1); /* in mode DEFAULT elsewhere */
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_STATE,
                  "mode DEFAULT means one account");

    CHECK_OK(hf_ca_change(&w->tx, one, ca.id, 0, true, HF_AUTO_REGISTRATION_ACTIVE, &ca, &w->why));
    wanted = fleet_new(one, 2);
    wanted.ca_id = ca.id;
    wanted.source = HF_SOURCE_AUTO;
    assert_int_equal(fleet_register(w, &wanted).status, HF_CERT_ACTIVE);

    wanted = fleet_new(one, 3);
    wanted.source = HF_SOURCE_AUTO;
    wanted.ca_id = off.id;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_POLICY,
                  "does not register just in time");
    wanted.source = HF_SOURCE_ISSUED;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_POLICY,
                  "not one of the signer's");
    wanted.ca_id = 0;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_ARGUMENT,
                  "without a CA");
    CHECK_OK(hf_ca_change(&w->tx, one, off.id, 0, false, HF_AUTO_REGISTRATION_OFF, &off, &w->why));
    wanted.source = HF_SOURCE_REGISTERED;
    wanted.ca_id = off.id;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_POLICY,
                  "the CA is INACTIVE");
}

static void a_ca_of_another_account_is_not_there(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_ca_row ca = fleet_ca(w, one, 1, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
    struct hf_credential_new wanted = fleet_new(two, 1);
    struct hf_credential row;

    wanted.ca_id = ca.id;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_NOT_FOUND,
                  "no such CA");
}

static void wrong_values_are_refused(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential row;

    wanted.status = HF_CERT_PENDING_TRANSFER;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_ARGUMENT,
                  "registered ACTIVE or INACTIVE (found PENDING_TRANSFER)");
    wanted = fleet_new(one, 1);
    wanted.kind = HF_CERT_CLAIM;
    wanted.device = "pump";
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_ARGUMENT,
                  "belongs to no device");
    wanted = fleet_new(one, 1);
    wanted.der.len = 0;
    FLEET_REFUSED(w, hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_LIMIT, "bytes");
    wanted = fleet_new(99, 1);
    assert_int_equal(hf_credential_register(&w->tx, &wanted, &row, &w->why), HF_E_STATE);
}

/* ---- status by hand -------------------------------------------------------------------------- */

/* From every status to every status. */
static void every_transition_by_hand(void **state)
{
    enum { A = HF_CERT_ACTIVE, I, R, PT, PA };
    static const bool may[HF_CERT_STATUSES][HF_CERT_STATUSES] = {
        [A] = {[A] = true, [I] = true, [R] = true},
        [I] = {[A] = true, [I] = true, [R] = true},
        [R] = {[R] = true},
        [PT] = {[R] = true},
        [PA] = {[A] = true, [R] = true},
    };
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    uint32_t number = 0;

    for (int from = A; from <= PA; from++) {
        for (int to = A; to <= PA; to++) {
            const enum hf_cert_status wanted_status = (enum hf_cert_status)to;
            struct hf_credential_new wanted = fleet_new(one, ++number);
            struct hf_credential row = fleet_register(w, &wanted);
            fleet_force_status(w, row.id, (enum hf_cert_status)from, from == PT ? two : 0);
            hf_effects_clear(&w->effects);
            if (!may[from][to]) {
                FLEET_REFUSED(w,
                              hf_credential_set_status(&w->tx, one, row.id, 0, wanted_status, "",
                                                       &row, &w->why),
                              to == PT || to == PA ? HF_E_ARGUMENT : HF_E_STATE, "");
                assert_int_equal(fleet_get(w, one, row.id).status, from);
                continue;
            }
            CHECK_OK(hf_credential_set_status(&w->tx, one, row.id, 0, wanted_status, "a reason",
                                              &row, &w->why));
            assert_int_equal(row.status, to);
            assert_int_equal(row.version, from == to ? 1 : 2);
            assert_int_equal(w->effects.n, from == to ? 0 : 1);
            row = fleet_get(w, one, row.id);
            assert_int_equal(row.status, to);
            assert_int_equal(row.transfer_account_id, 0);
            if (from != to)
                assert_non_null(strstr(fleet_log(w, 0), "\"reason\":\"a reason\""));
        }
    }
}

static void a_change_of_status_names_the_version_that_it_saw(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential row = fleet_register(w, &wanted), out;

    FLEET_REFUSED(w,
                  hf_credential_set_status(&w->tx, one, row.id, 7, HF_CERT_REVOKED, "", &out,
                                           &w->why),
                  HF_E_STALE, "expected version 7, found 1");
    FLEET_REFUSED(w,
                  hf_credential_set_status(&w->tx, two, row.id, 0, HF_CERT_REVOKED, "", &out,
                                           &w->why),
                  HF_E_NOT_FOUND, "no such certificate");
    FLEET_REFUSED(w,
                  hf_credential_set_status(&w->tx, one, row.id, 0, HF_CERT_REVOKED, "a\nb", &out,
                                           &w->why),
                  HF_E_ARGUMENT, "control characters");
}

/* ---- transfer -------------------------------------------------------------------------------- */

/* Each act of a transfer from each status. */
static void every_transition_of_a_transfer(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential out;
    uint32_t number = 0;

    for (int from = HF_CERT_ACTIVE; from < HF_CERT_STATUSES; from++) {
        const bool is_offered = from == HF_CERT_PENDING_TRANSFER;
        for (int act = 0; act < 4; act++) {
            struct hf_credential_new wanted = fleet_new(one, ++number);
            int64_t id = fleet_register(w, &wanted).id;
            fleet_force_status(w, id, (enum hf_cert_status)from, is_offered ? two : 0);
            if (act == 0 && from == HF_CERT_INACTIVE) {
                CHECK_OK(hf_credential_transfer(&w->tx, one, id, 0, two, "hi", &out, &w->why));
                assert_int_equal(out.status, HF_CERT_PENDING_TRANSFER);
                assert_int_equal(out.transfer_account_id, two);
            } else if (act == 0) {
                FLEET_REFUSED(w, hf_credential_transfer(&w->tx, one, id, 0, two, "", &out, &w->why),
                              HF_E_STATE, "");
            } else if (act == 1 && is_offered) {
                CHECK_OK(hf_credential_cancel_transfer(&w->tx, one, id, &out, &w->why));
                assert_int_equal(fleet_get(w, one, id).status, HF_CERT_INACTIVE);
            } else if (act == 1) {
                FLEET_REFUSED(w, hf_credential_cancel_transfer(&w->tx, one, id, &out, &w->why),
                              HF_E_STATE, "");
            } else if (act == 2 && is_offered) {
                CHECK_OK(hf_credential_reject_transfer(&w->tx, two, id, "no", &out, &w->why));
                assert_int_equal(fleet_get(w, one, id).status, HF_CERT_INACTIVE);
            } else if (act == 2) {
                FLEET_REFUSED(w,
                              hf_credential_reject_transfer(&w->tx, two, id, "no", &out, &w->why),
                              HF_E_NOT_FOUND, "is offered");
            } else if (is_offered) {
                CHECK_OK(hf_credential_accept_transfer(&w->tx, two, id, &out, &w->why));
                assert_int_equal(fleet_get(w, two, id).status, HF_CERT_INACTIVE);
            } else {
                FLEET_REFUSED(w, hf_credential_accept_transfer(&w->tx, two, id, &out, &w->why),
                              HF_E_NOT_FOUND, "is offered");
            }
        }
    }
}

static void an_accepted_certificate_leaves_device_and_ca_behind(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_ca_row ca = fleet_ca(w, one, 1, HF_CERT_MODE_DEFAULT, HF_AUTO_REGISTRATION_OFF);
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential row, out;

    wanted.ca_id = ca.id;
    wanted.device = "pump";
    wanted.status = HF_CERT_INACTIVE;
    row = fleet_register(w, &wanted);
    CHECK_OK(hf_credential_transfer(&w->tx, one, row.id, 1, two, "", &out, &w->why));
    CHECK_OK(hf_credential_find_offered(w->tx.db, two, row.sha256, &out, &w->why));
    assert_int_equal(out.id, row.id);
    FLEET_REFUSED(w, hf_credential_find_offered(w->tx.db, one, row.sha256, &out, &w->why),
                  HF_E_NOT_FOUND, "");
    hf_effects_clear(&w->effects);
    CHECK_OK(hf_credential_accept_transfer(&w->tx, two, row.id, &out, &w->why));
    assert_int_equal(out.account_id, two);
    assert_int_equal(out.mode, HF_CERT_MODE_SNI_ONLY);
    assert_int_equal(out.device_id, 0);
    assert_int_equal(out.ca_id, 0);
    assert_int_equal(w->effects.n, 2);
    assert_int_equal(w->effects.list[0].kind, HF_EFFECT_CREDENTIAL_GONE);
    assert_int_equal(w->effects.list[0].credential.account, one);
    assert_int_equal(w->effects.list[1].kind, HF_EFFECT_CREDENTIAL);
    assert_int_equal(w->effects.list[1].credential.account, two);
    FLEET_REFUSED(w, hf_credential_get(w->tx.db, one, row.id, &out, &w->why), HF_E_NOT_FOUND, "");
}

static void only_the_account_that_it_is_offered_to_may_accept(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two"),
            three = fleet_account(w, "three");
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential row, out;

    wanted.status = HF_CERT_INACTIVE;
    row = fleet_register(w, &wanted);
    FLEET_REFUSED(w, hf_credential_transfer(&w->tx, one, row.id, 0, one, "", &out, &w->why),
                  HF_E_ARGUMENT, "belongs to that account already");
    FLEET_REFUSED(w, hf_credential_transfer(&w->tx, one, row.id, 0, 99, "", &out, &w->why),
                  HF_E_NOT_FOUND, "no such account");
    CHECK_OK(hf_credential_transfer(&w->tx, one, row.id, 0, two, "", &out, &w->why));
    FLEET_REFUSED(w, hf_credential_accept_transfer(&w->tx, three, row.id, &out, &w->why),
                  HF_E_NOT_FOUND, "is offered");
    FLEET_REFUSED(w, hf_credential_accept_transfer(&w->tx, one, row.id, &out, &w->why),
                  HF_E_NOT_FOUND, "is offered");
    FLEET_REFUSED(w, hf_credential_reject_transfer(&w->tx, three, row.id, "", &out, &w->why),
                  HF_E_NOT_FOUND, "is offered");
    FLEET_REFUSED(w, hf_credential_cancel_transfer(&w->tx, two, row.id, &out, &w->why),
                  HF_E_NOT_FOUND, "no such certificate");
    CHECK_OK(hf_restore_keep_lost(w->tx.db, two, row.sha256, &w->why)); /* revoked there once */
    FLEET_REFUSED(w, hf_credential_accept_transfer(&w->tx, two, row.id, &out, &w->why), HF_E_STATE,
                  "was revoked, before a backup was restored");
    CHECK_OK(hf_db_execute_text(w->tx.db, "DELETE FROM lost_revocation", &w->why));
    wanted.account_id = two; /* registered there meanwhile */
    (void)fleet_register(w, &wanted);
    FLEET_REFUSED(w, hf_credential_accept_transfer(&w->tx, two, row.id, &out, &w->why), HF_E_STATE,
                  "Reject it");
    CHECK_OK(hf_credential_reject_transfer(&w->tx, two, row.id, "", &out, &w->why));
    FLEET_REFUSED(w, hf_credential_transfer(&w->tx, one, row.id, 0, two, "", &out, &w->why),
                  HF_E_STATE, "has the certificate already");
}

/* ---- rotation -------------------------------------------------------------------------------- */

static struct hf_credential rotate(struct fleet_world *w, int64_t account, int64_t old_id,
                                   uint32_t number)
{
    struct hf_credential_new wanted = fleet_new(account, number);
    struct hf_credential row;

    if (hf_credential_rotate(&w->tx, old_id, &wanted, &row, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return row;
}

static struct hf_credential with_device(struct fleet_world *w, int64_t account, uint32_t number)
{
    struct hf_credential_new wanted = fleet_new(account, number);

    wanted.device = "pump";
    return fleet_register(w, &wanted);
}

static size_t retire_due(struct fleet_world *w)
{
    size_t n = 99;

    CHECK_OK(hf_credential_retire_due(&w->tx, &n, &w->why));
    return n;
}

static void a_rotation_in_the_safe_order(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential old = with_device(w, one, 1), new, again;

    CHECK_OK(hf_credential_ask_rotation(&w->tx, one, old.id, 0, &old, &w->why));
    assert_int_equal(w->effects.list[w->effects.n - 1].credential.flags, HF_CREDENTIAL_ROTATE);
    CHECK_OK(hf_credential_ask_rotation(&w->tx, one, old.id, 0, &again, &w->why));
    assert_int_equal(again.version, old.version);

    new = rotate(w, one, old.id, 2);
    assert_int_equal(new.status, HF_CERT_ACTIVE);
    assert_int_equal(new.device_id, old.device_id);
    assert_false(new.is_confirmed);
    assert_int_equal(w->effects.list[w->effects.n - 1].credential.flags, HF_CREDENTIAL_UNCONFIRMED);
    assert_int_equal(fleet_get(w, one, old.id).status, HF_CERT_ACTIVE);

    CHECK_OK(hf_credential_confirm(&w->tx, one, new.id, &w->why));
    CHECK_OK(hf_credential_confirm(&w->tx, one, new.id, &w->why));
    old = fleet_get(w, one, old.id);
    assert_int_equal(old.status, HF_CERT_ACTIVE);
    assert_int_equal(old.retire_at_s, FLEET_NOW_S + 86400);
    assert_false(old.is_rotation_asked);
    assert_int_equal(retire_due(w), 0);
    w->tx.now_s += 86399;
    assert_int_equal(retire_due(w), 0);
    w->tx.now_s += 1;
    assert_int_equal(retire_due(w), 1);
    assert_int_equal(retire_due(w), 0);
    old = fleet_get(w, one, old.id);
    assert_int_equal(old.status, HF_CERT_INACTIVE);
    assert_int_equal(old.retire_at_s, 0);
    assert_int_equal(fleet_get(w, one, new.id).status, HF_CERT_ACTIVE);
}

static void a_successor_that_was_never_seen_leaves_the_old_one(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential old = with_device(w, one, 1);
    struct hf_credential lost = rotate(w, one, old.id, 2), new = rotate(w, one, old.id, 3);

    assert_int_equal(fleet_get(w, one, lost.id).status, HF_CERT_INACTIVE);
    w->tx.now_s += 400 * 86400;
    assert_int_equal(retire_due(w), 0);
    assert_int_equal(fleet_get(w, one, old.id).status, HF_CERT_ACTIVE);
    assert_int_equal(fleet_get(w, one, new.id).status, HF_CERT_ACTIVE);
}

static void shutting_out_the_new_one_stops_the_old_one_that_waits_to_retire(void **state)
{
    static const enum hf_cert_status statuses[] = {HF_CERT_INACTIVE, HF_CERT_REVOKED};
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");

    for (size_t i = 0; i < 2; i++) {
        struct hf_credential old = with_device(w, one, (uint32_t)(10 * i + 1));
        struct hf_credential new = rotate(w, one, old.id, (uint32_t)(10 * i + 2));
        CHECK_OK(hf_credential_confirm(&w->tx, one, new.id, &w->why));
        CHECK_OK(hf_credential_set_status(&w->tx, one, new.id, 0, statuses[i], "", &new, &w->why));
        assert_int_equal(fleet_get(w, one, old.id).status, HF_CERT_INACTIVE);
        assert_non_null(strstr(fleet_log(w, 0), "its successor was shut out"));
        /* The operator may let the device go on with it; then it does not retire. */
        CHECK_OK(
            hf_credential_set_status(&w->tx, one, old.id, 0, HF_CERT_ACTIVE, "", &old, &w->why));
        w->tx.now_s += 86400;
        (void)retire_due(w);
        assert_int_equal(fleet_get(w, one, old.id).status, HF_CERT_ACTIVE);
    }
}

static void one_that_does_not_retire_stays_when_its_successor_is_shut_out(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential old = with_device(w, one, 1), new = rotate(w, one, old.id, 2);

    CHECK_OK(hf_credential_set_status(&w->tx, one, new.id, 0, HF_CERT_REVOKED, "", &new, &w->why));
    assert_int_equal(fleet_get(w, one, old.id).status, HF_CERT_ACTIVE);
}

static void a_chain_of_rotations_retires_in_order(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential a = with_device(w, one, 1), b = rotate(w, one, a.id, 2), c;

    CHECK_OK(hf_credential_confirm(&w->tx, one, b.id, &w->why));
    c = rotate(w, one, b.id, 3);
    CHECK_OK(hf_credential_confirm(&w->tx, one, c.id, &w->why));
    w->tx.now_s += 86400;
    assert_int_equal(retire_due(w), 2);
    assert_int_equal(fleet_get(w, one, a.id).status, HF_CERT_INACTIVE);
    assert_int_equal(fleet_get(w, one, b.id).status, HF_CERT_INACTIVE);
    assert_int_equal(fleet_get(w, one, c.id).status, HF_CERT_ACTIVE);
}

static int64_t rotated_at(struct fleet_world *w, int64_t device_id)
{
    int64_t at_s = 0;

    CHECK_OK(hf_credential_rotated_at(w->tx.db, device_id, w->tx.now_s, &at_s, &w->why));
    return at_s;
}

static void a_rotation_is_remembered_for_an_hour_of_a_right_clock(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential old = with_device(w, one, 1), other = with_device(w, one, 9);

    assert_true(rotated_at(w, old.device_id) == HF_TIME_NONE); /* the first one is no rotation */
    struct hf_credential new = rotate(w, one, old.id, 2);
    assert_int_equal(rotated_at(w, old.device_id), FLEET_NOW_S);
    assert_true(other.device_id == old.device_id || rotated_at(w, other.device_id) == HF_TIME_NONE);
    w->tx.now_s += HF_FLEET_ISSUE_WINDOW_S - 1;
    assert_int_equal(rotated_at(w, old.device_id), FLEET_NOW_S);
    w->tx.now_s++;
    assert_true(rotated_at(w, old.device_id) == HF_TIME_NONE);
    w->tx.now_s = FLEET_NOW_S - 1; /* it was made by a clock that was ahead */
    assert_true(rotated_at(w, old.device_id) == HF_TIME_NONE);
    (void)rotate(w, one, new.id, 3);
    assert_int_equal(rotated_at(w, old.device_id), FLEET_NOW_S - 1);
}

static void only_an_active_certificate_of_a_device_is_rotated(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential old = with_device(w, one, 1), out;
    struct hf_credential_new wanted = fleet_new(one, 2), foreign = fleet_new(two, 2);

    FLEET_REFUSED(w, hf_credential_rotate(&w->tx, old.id, &foreign, &out, &w->why), HF_E_NOT_FOUND,
                  "no such certificate");
    for (int status = HF_CERT_INACTIVE; status < HF_CERT_STATUSES; status++) {
        fleet_force_status(w, old.id, (enum hf_cert_status)status,
                           status == HF_CERT_PENDING_TRANSFER ? two : 0);
        FLEET_REFUSED(w, hf_credential_rotate(&w->tx, old.id, &wanted, &out, &w->why), HF_E_STATE,
                      "only an ACTIVE certificate");
        FLEET_REFUSED(w, hf_credential_ask_rotation(&w->tx, one, old.id, 0, &out, &w->why),
                      HF_E_STATE, "only an ACTIVE certificate");
    }
    wanted.kind = HF_CERT_CLAIM;
    fleet_force_status(w, old.id, HF_CERT_ACTIVE, 0);
    FLEET_REFUSED(w, hf_credential_rotate(&w->tx, old.id, &wanted, &out, &w->why), HF_E_ARGUMENT,
                  "a successor is");
}

static void revoking_one_revokes_all_that_were_rotated_from_it(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential a = with_device(w, one, 1), b = rotate(w, one, a.id, 2), out;
    struct hf_credential lost = rotate(w, one, b.id, 3), c = rotate(w, one, b.id, 4);
    struct hf_credential offered = rotate(w, one, a.id, 5), d = rotate(w, one, c.id, 6);

    fleet_force_status(w, offered.id, HF_CERT_PENDING_TRANSFER, two);
    size_t n_effects = w->effects.n;
    CHECK_OK(
        hf_credential_set_status(&w->tx, one, b.id, 0, HF_CERT_REVOKED, "lost", &out, &w->why));
    assert_int_equal(out.id, b.id);
    assert_int_equal(fleet_get(w, one, a.id).status, HF_CERT_ACTIVE);
    const int64_t gone[] = {b.id, lost.id, c.id, d.id};
    assert_int_equal(w->effects.n, n_effects + 4);
    for (size_t i = 0; i < 4; i++) {
        const struct hf_registered *noted = &w->effects.list[n_effects + i].credential;
        assert_int_equal(fleet_get(w, one, gone[i]).status, HF_CERT_REVOKED);
        assert_int_equal(noted->credential, gone[i]);
        assert_int_equal(noted->status, HF_CERT_REVOKED);
        assert_non_null(strstr(fleet_log(w, (int64_t)i), "\"lost\""));
    }
    assert_null(strstr(fleet_log(w, 4), "\"lost\""));
    CHECK_OK(hf_credential_set_status(&w->tx, one, a.id, 0, HF_CERT_REVOKED, "", &out, &w->why));
    assert_int_equal(w->effects.n, n_effects + 5);
    assert_int_equal(fleet_get(w, one, offered.id).status, HF_CERT_PENDING_TRANSFER);
}

/* ---- lists ----------------------------------------------------------------------------------- */

static enum hf_err count(void *ctx, const void *row, struct hf_why *why)
{
    (void)row;
    (void)why;
    ++*(int *)ctx;
    return HF_OK;
}

static int n_listed(struct fleet_world *w, struct hf_credential_filter filter)
{
    int n = 0;
    CHECK_OK(hf_credential_list(w->tx.db, &filter, 0, 100, count, &n, &w->why));
    return n;
}

static void a_list_holds_what_was_asked_for(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential a = with_device(w, one, 1), b = rotate(w, one, a.id, 2), out;
    struct hf_credential_new wanted = fleet_new(one, 3);

    wanted.status = HF_CERT_INACTIVE;
    struct hf_credential c = fleet_register(w, &wanted);
    CHECK_OK(hf_credential_transfer(&w->tx, one, c.id, 0, two, "", &out, &w->why));
    assert_int_equal(n_listed(w, (struct hf_credential_filter){one}), 3);
    assert_int_equal(n_listed(w, (struct hf_credential_filter){two}), 0);
    assert_int_equal(n_listed(w, (struct hf_credential_filter){one, HF_CERT_ACTIVE}), 2);
    assert_int_equal(n_listed(w, (struct hf_credential_filter){one, .device_id = b.device_id}), 2);
    assert_int_equal(n_listed(w, (struct hf_credential_filter){two, .device_id = b.device_id}), 0);
}

int main(void)
{
#define IN_A_WORLD(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, fleet_world_setup, fleet_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(one_without_a_ca_is_sni_only_and_in_several_accounts),
        IN_A_WORLD(the_registry_is_told),
        IN_A_WORLD(the_ca_decides_mode_and_status),
        IN_A_WORLD(a_ca_of_another_account_is_not_there),
        IN_A_WORLD(wrong_values_are_refused),
        IN_A_WORLD(every_transition_by_hand),
        IN_A_WORLD(a_change_of_status_names_the_version_that_it_saw),
        IN_A_WORLD(every_transition_of_a_transfer),
        IN_A_WORLD(an_accepted_certificate_leaves_device_and_ca_behind),
        IN_A_WORLD(only_the_account_that_it_is_offered_to_may_accept),
        IN_A_WORLD(a_rotation_in_the_safe_order),
        IN_A_WORLD(a_successor_that_was_never_seen_leaves_the_old_one),
        IN_A_WORLD(shutting_out_the_new_one_stops_the_old_one_that_waits_to_retire),
        IN_A_WORLD(one_that_does_not_retire_stays_when_its_successor_is_shut_out),
        IN_A_WORLD(a_chain_of_rotations_retires_in_order),
        IN_A_WORLD(a_rotation_is_remembered_for_an_hour_of_a_right_clock),
        IN_A_WORLD(only_an_active_certificate_of_a_device_is_rotated),
        IN_A_WORLD(revoking_one_revokes_all_that_were_rotated_from_it),
        IN_A_WORLD(a_list_holds_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
