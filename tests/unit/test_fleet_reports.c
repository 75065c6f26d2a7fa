/* server/fleet/report and what belongs to it: which reports are taken, what they change, and what
 * is forgotten. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "common/base/timetext.h"
#include "server/fleet/device_view.h"
#include "server/fleet/report.h"
#include "server/fleet/report_key.h"
#include "server/fleet/report_row.h"
#include "server/fleet/series.h"

#include <sodium.h>
#include <stdio.h>

#define ONE "11111111111111111111111111111111"
#define TWO "22222222222222222222222222222222"
#define THREE "33333333333333333333333333333333"

/* ---- a device that reports ------------------------------------------------------------------- */

static int64_t account;
static struct hf_report_sender sender;
static struct hf_report_answer answer;
static bool is_conflict;

static int setup(void **state)
{
    int failed = fleet_world_setup(state);
    struct fleet_world *w = *state;
    account = fleet_account(w, "pumps");
    struct hf_credential_new wanted = fleet_new(account, 1);
    wanted.device = "pump-1";
    sender = (struct hf_report_sender){account, fleet_register(w, &wanted).id, 0};
    return failed;
}

static struct hf_report report(const char *installation, int64_t seq, enum hf_report_kind kind)
{
    struct hf_report r = HF_REPORT_NOTHING;
    r.seq = seq;
    r.kind = kind;
    (void)snprintf(r.device, sizeof r.device, "pump-1");
    (void)snprintf(r.installation, sizeof r.installation, "%s", installation);
    (void)snprintf(r.kind_name, sizeof r.kind_name, "%s", hf_report_kind_name(kind));
    (void)snprintf(r.set, sizeof r.set, "amazon-iot");
    (void)snprintf(r.profile, sizeof r.profile, "full");
    (void)snprintf(r.text, sizeof r.text, "report %d", (int)seq);
    r.from = 2;
    r.to = 3;
    return r;
}

/* Send it; the answer is in `answer`. */
static enum hf_err send(struct fleet_world *w, const struct hf_report *r, size_t n)
{
    return hf_report_take(&w->tx, &sender, r, n, &answer, &is_conflict, &w->why);
}

#define ANSWERED(w, r, n_accepted, n_duplicates)                                                   \
    do {                                                                                           \
        CHECK_OK(send(w, &(r), 1));                                                                \
        assert_false(is_conflict);                                                                 \
        assert_int_equal(answer.accepted, n_accepted);                                             \
        assert_int_equal(answer.duplicates, n_duplicates);                                         \
    } while (0)

static struct hf_device_state state_of(struct fleet_world *w, const char *device)
{
    struct hf_device_view view;
    CHECK_OK(hf_device_view_find(w->tx.db, account, device, &view, &w->why));
    return view.state;
}

static enum hf_err count_row(void *ctx, const void *row, struct hf_why *why)
{
    (void)row;
    (void)why;
    ++*(int *)ctx;
    return HF_OK;
}

static int rows_of(struct fleet_world *w)
{
    int n = 0;
    CHECK_OK(hf_report_row_list(w->tx.db, state_of(w, "pump-1").device_id, 0, 10000, count_row, &n,
                                &w->why));
    return n;
}

static int64_t number(struct fleet_world *w, const struct hf_sql *sql)
{
    int64_t n = 0;
    CHECK_OK(hf_db_get_int(w->tx.db, sql, HF_NO_PARAMS, &n, &w->why));
    return n;
}

/* ---- which are taken ------------------------------------------------------------------------- */

static void a_report_is_taken_once(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 7, HF_REPORT_CONFIRMED);
    char nonce[HF_REPORT_NONCE_SIZE];

    ANSWERED(w, r, 1, 0);
    memcpy(nonce, answer.nonce, sizeof nonce);
    ANSWERED(w, r, 0, 1);
    assert_string_equal(answer.nonce, nonce);
    assert_int_equal(rows_of(w), 1);
}

static void reports_may_come_in_any_order_within_the_window(void **state)
{
    struct fleet_world *w = *state;
    static const int order[] = {64, 3, 1, 63, 2, 64, 3, 1, 130, 66, 68, 67, 66};
    static const bool is_new[] = {1, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0};

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct hf_report r = report(ONE, order[i], HF_REPORT_FAILED);
        ANSWERED(w, r, is_new[i], !is_new[i]);
    }
    assert_int_equal(rows_of(w), 8);
    assert_int_equal(state_of(w, "pump-1").sequence, 130);
    assert_string_equal(state_of(w, "pump-1").reason, "report 130");
}

static void a_number_from_the_far_future_is_one_number(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 9007199254740991, HF_REPORT_FAILED);

    ANSWERED(w, r, 1, 0);
    ANSWERED(w, r, 0, 1);
    r.seq = 1;
    ANSWERED(w, r, 0, 1); /* far behind: it may have been taken, so it is not taken again */
}

static void a_batch_is_of_one_device_and_one_installation(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r[2] = {report(ONE, 1, HF_REPORT_FAILED), report(TWO, 2, HF_REPORT_FAILED)};

    FLEET_REFUSED(w, send(w, r, 2), HF_E_ARGUMENT, "report 2 of 2");
    r[1] = report(ONE, 2, HF_REPORT_FAILED);
    (void)snprintf(r[1].device, sizeof r[1].device, "pump-2");
    FLEET_REFUSED(w, send(w, r, 2), HF_E_ARGUMENT, "report 2 of 2");
    r[1] = report(ONE, 2, HF_REPORT_FAILED);
    CHECK_OK(send(w, r, 2));
    assert_int_equal(answer.accepted, 2);
}

static void a_device_reports_about_itself_only(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 1, HF_REPORT_FAILED);
    struct hf_device other;

    CHECK_OK(hf_device_ensure(&w->tx, account, "pump-2", "", &other, &w->why));
    (void)snprintf(r.device, sizeof r.device, "pump-2");
    FLEET_REFUSED(w, send(w, &r, 1), HF_E_POLICY, "belongs to the device \"pump-1\"");
    r = report(ONE, 1, HF_REPORT_FAILED);
    fleet_force_status(w, sender.credential_id, HF_CERT_REVOKED, 0);
    FLEET_REFUSED(w, send(w, &r, 1), HF_E_POLICY, "not ACTIVE any more");
    fleet_force_status(w, sender.credential_id, HF_CERT_ACTIVE, 0);
    sender.account_id = fleet_account(w, "valves");
    FLEET_REFUSED(w, send(w, &r, 1), HF_E_POLICY, "belongs to no device");
}

/* ---- copies and new installations ------------------------------------------------------------ */

static void a_second_installation_without_the_nonce_is_a_conflict(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 5, HF_REPORT_CONFIRMED),
                     copy = report(TWO, 1, HF_REPORT_FAILED);

    ANSWERED(w, r, 1, 0);
    for (int i = 1; i <= 3; i++) {
        copy.seq = i;
        CHECK_OK(send(w, &copy, 1));
        assert_true(is_conflict);
        assert_non_null(strstr(w->why.text, "look for a copy of it"));
        assert_int_equal(state_of(w, "pump-1").conflicts, i);
    }
    assert_int_equal(rows_of(w), 1);
    assert_string_equal(state_of(w, "pump-1").result, "confirmed");
    r = report(ONE, 6, HF_REPORT_FAILED); /* the device itself goes on */
    ANSWERED(w, r, 1, 0);
}

static void a_new_installation_that_knows_the_nonce_goes_on(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 500, HF_REPORT_CONFIRMED),
                     next = report(TWO, 1, HF_REPORT_FAILED);

    ANSWERED(w, r, 1, 0);
    memcpy(next.nonce, answer.nonce, sizeof next.nonce);
    ANSWERED(w, next, 1, 0);
    assert_int_equal(state_of(w, "pump-1").sequence, 1);
    assert_int_equal(state_of(w, "pump-1").conflicts, 0);
}

static void a_new_certificate_brings_a_new_installation(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 500, HF_REPORT_CONFIRMED),
                     next = report(TWO, 1, HF_REPORT_FAILED);
    const struct hf_report_sender old = sender;
    struct hf_credential_new wanted = fleet_new(account, 2);

    ANSWERED(w, r, 1, 0);
    wanted.device = "pump-1";
    sender.credential_id = fleet_register(w, &wanted).id;
    ANSWERED(w, next, 1, 0);
    sender = old; /* an attacker with the old certificate does not get the device back */
    struct hf_report third = report(THREE, 1, HF_REPORT_FAILED);
    CHECK_OK(send(w, &third, 1));
    assert_true(is_conflict);
}

/* What was recorded earlier must not make a device look cloned, nor tell the nonce. */
static void recorded_reports_of_an_earlier_installation_change_nothing(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 5, HF_REPORT_CONFIRMED),
                     next = report(TWO, 1, HF_REPORT_FAILED);

    ANSWERED(w, r, 1, 0);
    memcpy(next.nonce, answer.nonce, sizeof next.nonce);
    ANSWERED(w, next, 1, 0);
    const uint64_t before = fleet_fingerprint(w);
    ANSWERED(w, r, 0, 1);
    assert_string_equal(answer.nonce, "0000000000000000");
    assert_true(before == fleet_fingerprint(w));
    r = report(ONE, 6, HF_REPORT_FAILED); /* but it lives on: then there are two */
    CHECK_OK(send(w, &r, 1));
    assert_true(is_conflict);
}

/* A copy of a whole device has the same installation: both go on counting from there. */
static void two_devices_with_one_state_are_noticed(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 5, HF_REPORT_CONFIRMED);

    r.clock_s = 1000;
    ANSWERED(w, r, 1, 0);
    ANSWERED(w, r, 0, 1);
    struct hf_report next = report(ONE, 6, HF_REPORT_FAILED);
    ANSWERED(w, next, 1, 0);
    ANSWERED(w, r, 0, 1); /* the same again, late, is no copy */
    r.clock_s = 1001;
    CHECK_OK(send(w, &r, 1));
    assert_true(is_conflict);
    assert_int_equal(state_of(w, "pump-1").conflicts, 1);
    assert_int_equal(rows_of(w), 2);
}

/* ---- what they change ------------------------------------------------------------------------ */

static void a_report_says_what_a_device_uses(void **state)
{
    static const struct {
        enum hf_report_kind kind;
        int64_t active;
    } expected[] = {
        {HF_REPORT_ANNOUNCE, 2}, {HF_REPORT_SWAPPED, 3},     {HF_REPORT_CONFIRMED, 3},
        {HF_REPORT_REFUSED, 2},  {HF_REPORT_ROLLED_BACK, 3}, {HF_REPORT_FAILED, 2},
        {HF_REPORT_CURRENT, 3},  {HF_REPORT_HELD, 2},        {HF_REPORT_RECOVERED, 3},
    };
    struct fleet_world *w = *state;

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct hf_report r = report(ONE, (int64_t)i + 1, expected[i].kind);
        ANSWERED(w, r, 1, 0);
        struct hf_device_state s = state_of(w, "pump-1");
        assert_int_equal(s.active_version, expected[i].active);
        assert_string_equal(s.kind, hf_report_kind_name(expected[i].kind));
        if (expected[i].kind != HF_REPORT_CURRENT && expected[i].kind != HF_REPORT_HELD)
            assert_string_equal(s.result, hf_report_kind_name(expected[i].kind));
        assert_int_equal(s.seen_s, FLEET_NOW_S);
    }
    assert_string_equal(state_of(w, "pump-1").result, "recovered");
}

static void a_result_is_about_a_bundle_until_a_check_succeeds(void **state)
{
    struct fleet_world *w = *state;
    int64_t seq = 0;
    static const struct {
        enum hf_report_kind kind;
        const char *then; /* after a check that succeeded */
    } rows[] = {{HF_REPORT_REFUSED, "current"},
                {HF_REPORT_FAILED, "current"},
                {HF_REPORT_HELD, "current"},
                {HF_REPORT_ROLLED_BACK, "rolled-back"},
                {HF_REPORT_CONFIRMED, "confirmed"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hf_report r = report(ONE, ++seq, rows[i].kind);
        if (rows[i].kind == HF_REPORT_ROLLED_BACK)
            r.from = 3, r.to = 2;
        ANSWERED(w, r, 1, 0);
        assert_string_equal(state_of(w, "pump-1").result, hf_report_kind_name(rows[i].kind));
        assert_int_equal(state_of(w, "pump-1").result_version, 3);
        r = report(ONE, ++seq, HF_REPORT_CURRENT);
        r.to = state_of(w, "pump-1").active_version;
        (void)snprintf(r.outcome, sizeof r.outcome, "state"); /* by hand: it still fails */
        ANSWERED(w, r, 1, 0);
        assert_string_equal(state_of(w, "pump-1").result, hf_report_kind_name(rows[i].kind));
        r.seq = ++seq;
        (void)snprintf(r.outcome, sizeof r.outcome, "ok");
        ANSWERED(w, r, 1, 0); /* it waits for its turn: it still lacks that version */
        assert_string_equal(state_of(w, "pump-1").result, hf_report_kind_name(rows[i].kind));
        r.seq = ++seq;
        r.to = 3;
        int before = rows_of(w);
        ANSWERED(w, r, 1, 0);
        assert_string_equal(state_of(w, "pump-1").result, rows[i].then);
        if (strcmp(rows[i].then, "current") == 0)
            assert_int_equal(rows_of(w), before + 1);
    }
}

static void a_wait_does_not_hide_a_failure_with_the_same_version(void **state)
{
    static const enum hf_report_kind failures[] = {HF_REPORT_REFUSED, HF_REPORT_FAILED,
                                                   HF_REPORT_ROLLED_BACK};
    struct fleet_world *w = *state;
    int64_t seq = 0;

    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        struct hf_report r = report(ONE, ++seq, failures[i]);
        if (failures[i] == HF_REPORT_ROLLED_BACK)
            r.from = 3, r.to = 2;
        ANSWERED(w, r, 1, 0);
        r = report(ONE, ++seq, HF_REPORT_HELD);
        ANSWERED(w, r, 1, 0);
        assert_string_equal(state_of(w, "pump-1").result, hf_report_kind_name(failures[i]));
        assert_int_equal(state_of(w, "pump-1").result_version, 3);
        r = report(ONE, ++seq, HF_REPORT_HELD);
        r.to = 4;
        ANSWERED(w, r, 1, 0);
        assert_string_equal(state_of(w, "pump-1").result, "held");
        assert_int_equal(state_of(w, "pump-1").result_version, 4);
    }
}

static void a_late_report_is_history_and_changes_no_state(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 9, HF_REPORT_CONFIRMED);

    ANSWERED(w, r, 1, 0);
    r = report(ONE, 8, HF_REPORT_REFUSED);
    ANSWERED(w, r, 1, 0);
    assert_string_equal(state_of(w, "pump-1").result, "confirmed");
    assert_int_equal(rows_of(w), 2);
}

static void what_says_nothing_new_is_not_kept(void **state)
{
    struct fleet_world *w = *state;

    for (int64_t day = 1; day <= 30; day++) {
        struct hf_report r = report(ONE, day, day == 1 ? HF_REPORT_CONFIRMED : HF_REPORT_CURRENT);
        (void)snprintf(r.text, sizeof r.text, "as before");
        w->tx.now_s = FLEET_NOW_S + day * 86400;
        ANSWERED(w, r, 1, 0);
        assert_int_equal(state_of(w, "pump-1").seen_s, w->tx.now_s);
    }
    assert_int_equal(rows_of(w), 1);
    struct hf_report r = report(ONE, 31, HF_REPORT_CURRENT);
    r.to = 4;
    ANSWERED(w, r, 1, 0);
    assert_int_equal(rows_of(w), 2);
}

static void an_unknown_kind_of_a_newer_device_is_kept(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 1, HF_REPORT_OTHER);

    (void)snprintf(r.kind_name, sizeof r.kind_name, "quantum");
    ANSWERED(w, r, 1, 0);
    assert_string_equal(state_of(w, "pump-1").result, "quantum");
    assert_int_equal(state_of(w, "pump-1").active_version, -1);
}

static void versions_are_counted_by_device(void **state)
{
    static const struct hf_sql of_2 =
        {"of_2", "SELECT COALESCE(sum(devices), 0) FROM version_count WHERE version = 2", "i"};
    static const struct hf_sql of_3 =
        {"of_3", "SELECT COALESCE(sum(devices), 0) FROM version_count WHERE version = 3", "i"};
    static const struct hf_sql active =
        {"active", "SELECT n FROM series WHERE what = 'active' AND version = 3", "i"};
    static const struct hf_sql confirmed =
        {"confirmed", "SELECT n FROM series WHERE what = 'confirmed' AND version = 3", "i"};
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 1, HF_REPORT_ANNOUNCE);
    struct hf_device device;

    ANSWERED(w, r, 1, 0);
    assert_int_equal(number(w, &of_2), 1);
    r = report(ONE, 2, HF_REPORT_CONFIRMED);
    ANSWERED(w, r, 1, 0);
    assert_int_equal(number(w, &of_2), 0);
    assert_int_equal(number(w, &of_3), 1);
    CHECK_OK(hf_series_keep(&w->tx, &w->why));
    CHECK_OK(hf_series_keep(&w->tx, &w->why));
    assert_int_equal(number(w, &active), 1);
    assert_int_equal(number(w, &confirmed), 1);

    fleet_force_status(w, sender.credential_id, HF_CERT_REVOKED, 0);
    CHECK_OK(hf_device_find(w->tx.db, account, "pump-1", &device, &w->why));
    CHECK_OK(hf_device_delete(&w->tx, account, device.id, 0, &w->why));
    assert_int_equal(number(w, &of_3), 0);
}

static void a_device_that_makes_up_versions_does_not_fill_the_series(void **state)
{
    static const struct hf_sql rows = {"rows", "SELECT count(*) FROM series", "i"};
    static const struct hf_sql versions = {"versions", "SELECT count(*) FROM version_count", "i"};
    struct fleet_world *w = *state;

    CHECK_OK(hf_db_begin(w->tx.db, &w->why)); /* one sync of the disk for all */
    for (int64_t i = 1; i <= HF_FLEET_SERIES_PER_HOUR_MAX + 50; i++) {
        struct hf_report r = report(ONE, i, HF_REPORT_CONFIRMED);
        r.to = i;
        ANSWERED(w, r, 1, 0);
    }
    CHECK_OK(hf_db_commit(w->tx.db, &w->why));
    assert_int_equal(number(w, &rows), HF_FLEET_SERIES_PER_HOUR_MAX);
    assert_int_equal(rows_of(w), HF_FLEET_REPORTS_PER_DEVICE_MAX);
    assert_int_equal(number(w, &versions), 1);
}

static void what_a_fleet_reports_is_counted_beside_what_one_device_makes_up(void **state)
{
    static const struct hf_sql of_fleet =
        {"of_fleet", "SELECT COALESCE(sum(n), 0) FROM series WHERE set_name = 'amazon-iot'", "i"};
    static const struct hf_sql rows = {"rows", "SELECT count(*) FROM series", "i"};
    struct fleet_world *w = *state;

    CHECK_OK(hf_db_begin(w->tx.db, &w->why));
    for (int64_t i = 1; i <= 2 * HF_FLEET_SERIES_PER_HOUR_MAX; i++) {
        CHECK_OK(hf_series_add(&w->tx, account, "made-up", i, "confirmed", &w->why));
        if (i % (HF_FLEET_SERIES_PER_HOUR_MAX / 2) == 0)
            for (int n = 0; n < 2; n++)
                CHECK_OK(hf_series_add(&w->tx, account, "amazon-iot", 3, "confirmed", &w->why));
    }
    CHECK_OK(hf_db_commit(w->tx.db, &w->why));
    assert_int_equal(number(w, &of_fleet), 8);
    assert_int_equal(number(w, &rows), HF_FLEET_SERIES_PER_HOUR_MAX);
}

static void the_hour_keeps_the_versions_that_most_devices_use(void **state)
{
    static const struct hf_sql rows = {"rows", "SELECT count(*) FROM series", "i"};
    static const struct hf_sql of_fleet =
        {"of_fleet", "SELECT n FROM series WHERE set_name = 'the-fleet' AND what = 'active'", "i"};
    struct fleet_world *w = *state;

    CHECK_OK(hf_db_begin(w->tx.db, &w->why));
    for (int64_t i = 1; i <= HF_FLEET_SERIES_PER_HOUR_MAX + 50; i++)
        CHECK_OK(hf_version_count_add(&w->tx, account, "made-up", i, 1, &w->why));
    for (int i = 0; i < 2; i++)
        CHECK_OK(hf_version_count_add(&w->tx, account, "the-fleet", 3, 1, &w->why));
    CHECK_OK(hf_series_keep(&w->tx, &w->why));
    CHECK_OK(hf_db_commit(w->tx.db, &w->why));
    assert_int_equal(number(w, &rows), HF_FLEET_SERIES_PER_HOUR_MAX);
    assert_int_equal(number(w, &of_fleet), 2);
}

/* ---- what is forgotten ----------------------------------------------------------------------- */

static void old_reports_are_forgotten_and_young_ones_stay(void **state)
{
    struct fleet_world *w = *state;

    for (int64_t day = 1; day <= 10; day++) {
        struct hf_report r = report(ONE, day, HF_REPORT_FAILED);
        w->tx.now_s = FLEET_NOW_S + day * 86400;
        ANSWERED(w, r, 1, 0);
    }
    CHECK_OK(hf_report_row_purge(&w->tx, 4 * 86400, &w->why));
    assert_int_equal(rows_of(w), 4);
}

static void unverified_reports_are_capped_and_change_no_device(void **state)
{
    struct fleet_world *w = *state;
    struct hf_device_state before = state_of(w, "pump-1"), after;
    int n = 0;

    for (int i = 1; i <= 60; i++) {
        struct hf_report r = report(ONE, i, HF_REPORT_CONFIRMED);
        CHECK_OK(hf_report_take_unverified(&w->tx, account, 20, &r, 1, &answer, &w->why));
        assert_int_equal(answer.accepted, 1);
        CHECK_OK(hf_report_take_unverified(&w->tx, account, 20, &r, 1, &answer, &w->why));
        assert_int_equal(answer.duplicates, 1);
    }
    CHECK_OK(hf_report_row_list_unverified(w->tx.db, account, 0, 1000, count_row, &n, &w->why));
    assert_int_equal(n, 20);
    after = state_of(w, "pump-1");
    assert_memory_equal(&before, &after, sizeof before);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void new_key(uint8_t key[HF_REPORT_KEY_LEN])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    assert_int_equal(crypto_sign_keypair(key, secret), 0);
}

static void a_device_has_one_key_and_a_revoked_one_is_never_good_again(void **state)
{
    struct fleet_world *w = *state;
    struct hf_device device, other;
    struct hf_report_key row;
    uint8_t one[HF_REPORT_KEY_LEN], two[HF_REPORT_KEY_LEN];

    new_key(one);
    new_key(two);
    CHECK_OK(hf_device_find(w->tx.db, account, "pump-1", &device, &w->why));
    CHECK_OK(hf_device_ensure(&w->tx, account, "pump-2", "", &other, &w->why));
    hf_effects_clear(&w->effects);
    CHECK_OK(hf_report_key_register(&w->tx, &device, one, &row, &w->why));
    assert_int_equal(w->effects.n, 1);
    assert_int_equal(w->effects.list[0].credential.kind, HF_CERT_REPORT_KEY);
    CHECK_OK(hf_report_key_register(&w->tx, &device, one, &row, &w->why));
    assert_int_equal(w->effects.n, 1);
    FLEET_REFUSED(w, hf_report_key_register(&w->tx, &other, one, &row, &w->why), HF_E_STATE,
                  "another device");
    CHECK_OK(hf_report_key_register(&w->tx, &device, two, &row, &w->why));
    assert_int_equal(w->effects.list[1].kind, HF_EFFECT_CREDENTIAL_GONE);
    FLEET_REFUSED(w, hf_report_key_register(&w->tx, &device, one, &row, &w->why), HF_E_STATE,
                  "revoked or replaced");
    CHECK_OK(hf_report_key_revoke(&w->tx, &device, &w->why));
    FLEET_REFUSED(w, hf_report_key_revoke(&w->tx, &device, &w->why), HF_E_NOT_FOUND, "no key");
}

static void bytes_that_are_no_key_are_refused(void **state)
{
    struct fleet_world *w = *state;
    struct hf_device device;
    struct hf_report_key row;
    /* Zeros and one are points of small order: every signature would be good. */
    static const uint8_t wrong[3][HF_REPORT_KEY_LEN] = {{0}, {1}, {2}};

    CHECK_OK(hf_device_find(w->tx.db, account, "pump-1", &device, &w->why));
    for (size_t i = 0; i < 3; i++)
        FLEET_REFUSED(w, hf_report_key_register(&w->tx, &device, wrong[i], &row, &w->why),
                      HF_E_ARGUMENT, "not the bytes of an Ed25519 key");
}

static void reports_by_key_belong_to_its_device(void **state)
{
    struct fleet_world *w = *state;
    struct hf_report r = report(ONE, 1, HF_REPORT_FAILED);
    struct hf_device device;
    struct hf_report_key row;
    uint8_t key[HF_REPORT_KEY_LEN];

    new_key(key);
    CHECK_OK(hf_device_find(w->tx.db, account, "pump-1", &device, &w->why));
    CHECK_OK(hf_report_key_register(&w->tx, &device, key, &row, &w->why));
    sender = (struct hf_report_sender){account, 0, row.id};
    ANSWERED(w, r, 1, 0);
    CHECK_OK(hf_report_key_revoke(&w->tx, &device, &w->why));
    r.seq = 2;
    FLEET_REFUSED(w, send(w, &r, 1), HF_E_POLICY, "registered for no device");
}

/* ---- lists ----------------------------------------------------------------------------------- */

struct names {
    char text[4096];
    size_t n;
};

static enum hf_err add_name(void *ctx, const void *row, struct hf_why *why)
{
    struct names *names = ctx;
    const struct hf_device_view *view = row;
    size_t len = strlen(names->text);
    (void)why;
    (void)snprintf(names->text + len, sizeof names->text - len, "%s ", view->device.name);
    names->n++;
    return HF_OK;
}

/* All pages of `limit`, as "a b c ". */
static const char *list_all(struct fleet_world *w, const struct hf_device_filter *filter,
                            size_t limit)
{
    static struct names names;
    char after[HF_DEVICE_ID_MAX + 1] = "";
    names = (struct names){0};
    do {
        struct hf_device_page page = {.limit = limit, .after = after};
        size_t before = names.n;
        CHECK_OK(hf_device_view_list(w->tx.db, account, filter, &page, add_name, &names, &w->why));
        assert_true(names.n - before <= limit);
        memcpy(after, page.next, sizeof after);
    } while (after[0] != '\0');
    return names.text;
}

static void devices_are_found_by_every_condition_page_by_page(void **state)
{
    struct fleet_world *w = *state;
    static const char *const devices[] = {"valve-1", "pump-12", "pump-2", "pump"};
    struct hf_device device;

    for (size_t i = 0; i < 4; i++)
        CHECK_OK(hf_device_ensure(&w->tx, account, devices[i], i % 2 == 0 ? "lab" : "", &device,
                                  &w->why));
    struct hf_report r = report(ONE, 1, HF_REPORT_REFUSED);
    ANSWERED(w, r, 1, 0);
    const struct {
        struct hf_device_filter filter;
        const char *expected;
    } cases[] = {
        {{0}, "pump-1 valve-1 pump-12 pump-2 pump "},
        {{.prefix = "pump"}, "pump pump-1 pump-12 pump-2 "},
        {{.prefix = "pump-1"}, "pump-1 pump-12 "},
        {{.prefix = "pump-", .group = "lab"}, "pump-2 "},
        {{.group = "lab"}, "valve-1 pump-2 "},
        {{.group = ""}, "pump-1 pump-12 pump "},
        {{.result = "refused"}, "pump-1 "},
        {{.result = "confirmed"}, ""},
        {{.result = ""}, "valve-1 pump-12 pump-2 pump "},
        {{.has_version = true, .version = 2}, "pump-1 "},
        {{.has_version = true, .version = 2, .result = "held"}, ""},
        {{.set = "amazon-iot"}, "pump-1 "},
        {{.silent_since_s = FLEET_NOW_S}, "valve-1 pump-12 pump-2 pump "},
        {{.silent_since_s = FLEET_NOW_S + 1}, "valve-1 pump-12 pump-2 pump pump-1 "},
        {{.silent_since_s = FLEET_NOW_S, .group = "lab"}, "valve-1 pump-2 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t limit = 1; limit <= 6; limit++)
            assert_string_equal(list_all(w, &cases[i].filter, limit), cases[i].expected);
}

static void a_page_that_no_page_led_to_is_refused(void **state)
{
    struct fleet_world *w = *state;
    static const char *const wrong[] = {"x",       "-1", "1.", "1.2.3", "99999999999999999999",
                                        "' OR 1=1"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct hf_device_page page = {.limit = 1, .after = wrong[i]};
        const struct hf_device_filter all = {0}, silent = {.silent_since_s = FLEET_NOW_S};
        CHECK_REFUSED(hf_device_view_list(w->tx.db, account, &all, &page, add_name, NULL, &w->why),
                      HF_E_ARGUMENT, &w->why, "link to the next page");
        CHECK_REFUSED(hf_device_view_list(w->tx.db, account, &silent, &page, add_name, NULL,
                                          &w->why),
                      HF_E_ARGUMENT, &w->why, "link to the next page");
    }
    struct hf_device_page page = {.limit = 1, .after = ""};
    const struct hf_device_filter filter = {.prefix = "a b"};
    CHECK_REFUSED(hf_device_view_list(w->tx.db, account, &filter, &page, add_name, NULL, &w->why),
                  HF_E_ARGUMENT, &w->why, "beginning of a device id");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fleet_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_is_taken_once),
        TEST(reports_may_come_in_any_order_within_the_window),
        TEST(a_number_from_the_far_future_is_one_number),
        TEST(a_batch_is_of_one_device_and_one_installation),
        TEST(a_device_reports_about_itself_only),
        TEST(a_second_installation_without_the_nonce_is_a_conflict),
        TEST(a_new_installation_that_knows_the_nonce_goes_on),
        TEST(a_new_certificate_brings_a_new_installation),
        TEST(recorded_reports_of_an_earlier_installation_change_nothing),
        TEST(two_devices_with_one_state_are_noticed),
        TEST(a_report_says_what_a_device_uses),
        TEST(a_result_is_about_a_bundle_until_a_check_succeeds),
        TEST(a_wait_does_not_hide_a_failure_with_the_same_version),
        TEST(a_late_report_is_history_and_changes_no_state),
        TEST(what_says_nothing_new_is_not_kept),
        TEST(an_unknown_kind_of_a_newer_device_is_kept),
        TEST(versions_are_counted_by_device),
        TEST(a_device_that_makes_up_versions_does_not_fill_the_series),
        TEST(what_a_fleet_reports_is_counted_beside_what_one_device_makes_up),
        TEST(the_hour_keeps_the_versions_that_most_devices_use),
        TEST(old_reports_are_forgotten_and_young_ones_stay),
        TEST(unverified_reports_are_capped_and_change_no_device),
        TEST(a_device_has_one_key_and_a_revoked_one_is_never_good_again),
        TEST(bytes_that_are_no_key_are_refused),
        TEST(reports_by_key_belong_to_its_device),
        TEST(devices_are_found_by_every_condition_page_by_page),
        TEST(a_page_that_no_page_led_to_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
