/* server/fleet: accounts, server names, CAs, devices; and the rules for names. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "server/fleet/names.h"

#include <stdio.h>

static const char *const sqls[] = {"'; DROP TABLE account; --",
                                   "\" OR \"1\"=\"1",
                                   "a'); DELETE FROM credential; --",
                                   "%",
                                   "_",
                                   "a\\'b",
                                   "$1",
                                   ":name",
                                   "?1",
                                   "x' UNION SELECT hash FROM admin_token --"};
#define N_SQLS (sizeof sqls / sizeof sqls[0])

/* ---- accounts -------------------------------------------------------------------------------- */

static void an_account_is_made_and_found(void **state)
{
    struct fleet_world *w = *state;
    struct hf_account_row made, found;

    CHECK_OK(hf_account_create(&w->tx, "plant-1", HF_ANONYMOUS_NONE, &made, &w->why));
    CHECK_OK(hf_account_find(w->tx.db, "plant-1", &found, &w->why));
    assert_memory_equal(&made, &found, sizeof made);
    assert_int_equal(made.version, 1);
    assert_int_equal(made.created_s, FLEET_NOW_S);
    assert_int_equal(strlen(made.registration_code), HF_REGISTRATION_CODE_LEN);
    assert_int_equal(w->effects.n, 1);
    assert_int_equal(w->effects.list[0].kind, HF_EFFECT_DIRECTORY);
    assert_non_null(strstr(fleet_log(w, 0), "\"action\":\"account.create\",\"actor\":\"uid:0\""));
    FLEET_REFUSED(w, hf_account_create(&w->tx, "plant-1", HF_ANONYMOUS_NONE, &made, &w->why),
                  HF_E_STATE, "exists already");
    FLEET_REFUSED(w, hf_account_get(w->tx.db, 99, &found, &w->why), HF_E_NOT_FOUND,
                  "no such account");
}

static void a_change_names_the_version_that_it_saw(void **state)
{
    struct fleet_world *w = *state;
    int64_t id = fleet_account(w, "one");
    struct hf_account_row row;

    CHECK_OK(hf_account_change(&w->tx, id, 1, HF_ANONYMOUS_REPORT, "plant", &row, &w->why));
    assert_int_equal(row.version, 2);
    assert_int_equal(row.anonymous, HF_ANONYMOUS_REPORT);
    assert_string_equal(row.issuing_ca, "plant");
    FLEET_REFUSED(w, hf_account_change(&w->tx, id, 1, HF_ANONYMOUS_NONE, "", &row, &w->why),
                  HF_E_STALE, "expected version 1, found 2");
    FLEET_REFUSED(w, hf_account_delete(&w->tx, id, 1, &w->why), HF_E_STALE, "expected");
    CHECK_OK(hf_account_change(&w->tx, id, 0, HF_ANONYMOUS_NONE, "", &row, &w->why));
    assert_string_equal(row.issuing_ca, "");
    assert_int_equal(row.version, 3);
}

static void each_account_has_a_registration_code_of_its_own(void **state)
{
    struct fleet_world *w = *state;
    struct hf_account_row one, two;

    CHECK_OK(hf_account_create(&w->tx, "one", HF_ANONYMOUS_NONE, &one, &w->why));
    CHECK_OK(hf_account_create(&w->tx, "two", HF_ANONYMOUS_NONE, &two, &w->why));
    assert_string_not_equal(one.registration_code, two.registration_code);
    /* Who reads the log must not learn it. */
    assert_null(strstr(fleet_log(w, 0), two.registration_code));
}

static void a_server_name_belongs_to_one_account(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_account_row row;

    CHECK_OK(hf_account_add_sni(&w->tx, one, "Devices.Example.com", &w->why));
    assert_non_null(strstr(fleet_log(w, 0), "\"sni\":\"devices.example.com\""));
    CHECK_OK(hf_account_get(w->tx.db, one, &row, &w->why));
    assert_int_equal(row.version, 2);
    FLEET_REFUSED(w, hf_account_add_sni(&w->tx, two, "devices.example.com", &w->why), HF_E_STATE,
                  "belongs to another account");
    FLEET_REFUSED(w, hf_account_add_sni(&w->tx, one, "devices.example.com", &w->why), HF_E_STATE,
                  "belongs to this account");
    FLEET_REFUSED(w, hf_account_remove_sni(&w->tx, two, "devices.example.com", &w->why),
                  HF_E_NOT_FOUND, "has no server name");
    CHECK_OK(hf_account_remove_sni(&w->tx, one, "DEVICES.example.com", &w->why));
    CHECK_OK(hf_account_add_sni(&w->tx, two, "devices.example.com", &w->why));
}

static void an_account_has_so_many_server_names_at_most(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    char name[32];

    for (unsigned i = 0; i < HF_FLEET_SNIS_PER_ACCOUNT_MAX; i++) {
        (void)snprintf(name, sizeof name, "d%u.example.com", i);
        CHECK_OK(hf_account_add_sni(&w->tx, one, name, &w->why));
    }
    FLEET_REFUSED(w, hf_account_add_sni(&w->tx, one, "more.example.com", &w->why), HF_E_LIMIT,
                  "64 server names");
}

static void an_account_that_owns_something_stays(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_account_row row;

    (void)fleet_register(w, &wanted);
    CHECK_OK(hf_account_add_sni(&w->tx, two, "two.example.com", &w->why));
    FLEET_REFUSED(w, hf_account_delete(&w->tx, one, 0, &w->why), HF_E_STATE, "stay on record");
    CHECK_OK(hf_account_delete(&w->tx, two, 0, &w->why));
    assert_int_equal(hf_account_get(w->tx.db, two, &row, &w->why), HF_E_NOT_FOUND);
    CHECK_OK(hf_account_add_sni(&w->tx, one, "two.example.com", &w->why));
}

static enum hf_err collect(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_account_row *row = data;
    char *text = ctx;
    (void)why;
    strncat(text, row->name, 63 - strlen(text));
    return strcmp(row->name, "c") == 0 ? HF_E_LIMIT : HF_OK;
}

static void a_list_goes_on_behind_the_last_one(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "a");
    char text[64] = "";

    (void)fleet_account(w, "b");
    (void)fleet_account(w, "c");
    CHECK_OK(hf_account_list(w->tx.db, 0, 2, collect, text, &w->why));
    assert_string_equal(text, "ab");
    text[0] = '\0';
    assert_int_equal(hf_account_list(w->tx.db, a, 10, collect, text, &w->why), HF_E_LIMIT);
    assert_string_equal(text, "bc");
    CHECK_OK(hf_account_list(w->tx.db, 0, 1, collect, text, &w->why));
}

/* ---- CAs ------------------------------------------------------------------------------------- */

static enum hf_err register_ca(struct fleet_world *w, int64_t account, uint8_t number,
                               enum hf_cert_mode mode)
{
    struct hf_ca_row wanted = {.account_id = account,
                               .subject = "CN=x",
                               .mode = mode,
                               .is_active = true};
    struct hf_ca_row row;

    memset(wanted.sha256, number, sizeof wanted.sha256);
    return hf_ca_register(&w->tx, &wanted, hf_bytes_of_text("der"), &row, &w->why);
}

static void a_ca_in_mode_default_is_in_one_account_only(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");

    (void)fleet_ca(w, one, 1, HF_CERT_MODE_DEFAULT, HF_AUTO_REGISTRATION_OFF);
    FLEET_REFUSED(w, register_ca(w, one, 1, HF_CERT_MODE_SNI_ONLY), HF_E_STATE,
                  "has the CA already");
    FLEET_REFUSED(w, register_ca(w, two, 1, HF_CERT_MODE_DEFAULT), HF_E_STATE,
                  "mode DEFAULT means one account");
    FLEET_REFUSED(w, register_ca(w, two, 1, HF_CERT_MODE_SNI_ONLY), HF_E_STATE,
                  "mode DEFAULT means one account");
    (void)fleet_ca(w, one, 2, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
    (void)fleet_ca(w, two, 2, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
}

static void a_ca_is_changed_and_noted_in_the_directory(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_ca_row ca = fleet_ca(w, one, 1, HF_CERT_MODE_DEFAULT, HF_AUTO_REGISTRATION_OFF);
    struct hf_ca_row row;
    struct hf_buf der = {0};

    hf_effects_clear(&w->effects);
    CHECK_OK(
        hf_ca_change(&w->tx, one, ca.id, 1, false, HF_AUTO_REGISTRATION_PENDING, &row, &w->why));
    assert_false(row.is_active);
    assert_int_equal(row.auto_registration, HF_AUTO_REGISTRATION_PENDING);
    assert_int_equal(w->effects.list[0].kind, HF_EFFECT_DIRECTORY);
    FLEET_REFUSED(w, hf_ca_get(w->tx.db, two, ca.id, &row, &w->why), HF_E_NOT_FOUND,
                  "has no such CA");
    FLEET_REFUSED(w,
                  hf_ca_change(&w->tx, two, ca.id, 0, true, HF_AUTO_REGISTRATION_OFF, &row,
                               &w->why),
                  HF_E_NOT_FOUND, "has no such CA");
    FLEET_REFUSED(w, hf_ca_delete(&w->tx, one, ca.id, 1, &w->why), HF_E_STALE, "version");
    CHECK_OK(hf_ca_der(w->tx.db, one, ca.id, &der, &w->why));
    assert_true(hf_bytes_equal(hf_buf_bytes(&der), hf_bytes_of_text("no certificate")));
    hf_buf_free(&der);
    CHECK_OK(hf_ca_delete(&w->tx, one, ca.id, 2, &w->why));
}

static void a_ca_of_the_signer_registers_nothing_just_in_time(void **state)
{
    struct fleet_world *w = *state;
    struct hf_ca_row wanted = {.account_id = fleet_account(w, "one"),
                               .subject = "CN=x",
                               .signer_name = "plant",
                               .mode = HF_CERT_MODE_DEFAULT,
                               .is_active = true,
                               .auto_registration = HF_AUTO_REGISTRATION_ACTIVE};
    struct hf_bytes der = hf_bytes_of_text("der");
    struct hf_ca_row row, found;

    FLEET_REFUSED(w, hf_ca_register(&w->tx, &wanted, der, &row, &w->why), HF_E_ARGUMENT,
                  "never registered just in time");
    wanted.auto_registration = HF_AUTO_REGISTRATION_OFF;
    CHECK_OK(hf_ca_register(&w->tx, &wanted, der, &row, &w->why));
    CHECK_OK(hf_ca_find_issuing(w->tx.db, wanted.account_id, "plant", &found, &w->why));
    assert_int_equal(found.id, row.id);
    FLEET_REFUSED(w,
                  hf_ca_change(&w->tx, wanted.account_id, row.id, 0, true,
                               HF_AUTO_REGISTRATION_PENDING, &row, &w->why),
                  HF_E_ARGUMENT, "never registered just in time");
}

static void a_ca_with_certificates_stays(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_ca_row ca = fleet_ca(w, one, 1, HF_CERT_MODE_DEFAULT, HF_AUTO_REGISTRATION_OFF);
    struct hf_credential_new wanted = fleet_new(one, 1);

    wanted.ca_id = ca.id;
    (void)fleet_register(w, &wanted);
    FLEET_REFUSED(w, hf_ca_delete(&w->tx, one, ca.id, 0, &w->why), HF_E_STATE, "Set it INACTIVE");
}

/* ---- devices --------------------------------------------------------------------------------- */

static void a_device_is_made_once_and_grouped(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one"), two = fleet_account(w, "two");
    struct hf_device made, again, other;

    CHECK_OK(hf_device_ensure(&w->tx, one, "pump:7", "lab", &made, &w->why));
    CHECK_OK(hf_device_ensure(&w->tx, one, "pump:7", "field", &again, &w->why));
    assert_int_equal(made.id, again.id);
    assert_string_equal(again.group, "lab");
    CHECK_OK(hf_device_ensure(&w->tx, two, "pump:7", "", &other, &w->why));
    assert_int_not_equal(made.id, other.id);
    CHECK_OK(hf_device_change_group(&w->tx, one, made.id, 1, "field", &again, &w->why));
    assert_string_equal(again.group, "field");
    FLEET_REFUSED(w, hf_device_change_group(&w->tx, one, made.id, 1, "x", &again, &w->why),
                  HF_E_STALE, "version");
    FLEET_REFUSED(w, hf_device_change_group(&w->tx, two, made.id, 0, "x", &again, &w->why),
                  HF_E_NOT_FOUND, "has no such device");
}

static void a_device_with_a_certificate_stays(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(one, 1);

    wanted.device = "pump";
    struct hf_credential row = fleet_register(w, &wanted);
    FLEET_REFUSED(w, hf_device_delete(&w->tx, one, row.device_id, 0, &w->why), HF_E_STATE,
                  "Revoke them first");
    CHECK_OK(hf_credential_set_status(&w->tx, one, row.id, 0, HF_CERT_REVOKED, "", &row, &w->why));
    CHECK_OK(hf_device_delete(&w->tx, one, row.device_id, 0, &w->why));
    row = fleet_get(w, one, row.id);
    assert_int_equal(row.device_id, 0);
    assert_int_equal(row.status, HF_CERT_REVOKED);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names_are_checked(void **state)
{
    static const char *const bad_accounts[] = {"", "-a", "A", "a.b", "a b", "\xc3\xa4", "a\n"};
    static const char *const bad_groups[] = {".a", "A", "a/b", "a b"};
    char long_name[200];

    (void)state;
    for (size_t i = 0; i < sizeof bad_accounts / sizeof bad_accounts[0]; i++)
        assert_int_equal(hf_name_check_account(bad_accounts[i], NULL), HF_E_ARGUMENT);
    for (size_t i = 0; i < sizeof bad_groups / sizeof bad_groups[0]; i++)
        assert_int_equal(hf_name_check_group(bad_groups[i], NULL), HF_E_ARGUMENT);
    memset(long_name, 'a', sizeof long_name);
    long_name[64] = '\0';
    CHECK_OK(hf_name_check_account(long_name, NULL));
    CHECK_OK(hf_name_check_group("", NULL));
    long_name[64] = 'a';
    long_name[65] = '\0';
    assert_int_equal(hf_name_check_account(long_name, NULL), HF_E_ARGUMENT);
    assert_int_equal(hf_name_check_token(long_name, NULL), HF_E_ARGUMENT);
    CHECK_OK(hf_name_check_device(long_name, NULL));
    assert_int_equal(hf_name_check_device("a b", NULL), HF_E_ARGUMENT);
    assert_int_equal(hf_name_check_text("reason", "\xff", 10, NULL), HF_E_ARGUMENT);
    assert_int_equal(hf_name_check_text("reason", "a\tb", 10, NULL), HF_E_ARGUMENT);
    assert_int_equal(hf_name_check_text("reason", "eleven chars", 11, NULL), HF_E_ARGUMENT);
    CHECK_OK(hf_name_check_text("reason", "gr\xc3\xbcn", 10, NULL));
    assert_int_equal(hf_name_check_idempotency_key("", NULL), HF_E_ARGUMENT);
    assert_int_equal(hf_name_check_idempotency_key("a b", NULL), HF_E_ARGUMENT);
    CHECK_OK(hf_name_check_idempotency_key("7e8f-1", NULL));
}

/* A name that the rules refuse changes nothing; a text that they allow is stored as it is. */
static void sql_in_strings_does_nothing(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(one, 1);
    struct hf_credential row = fleet_register(w, &wanted);
    struct hf_account_row account;
    struct hf_admin_token admin;
    struct hf_enroll_use use;
    struct hf_device device;
    char secret[HF_SECRET_TEXT_MAX];
    uint8_t csr[32] = {1};

    for (size_t i = 0; i < N_SQLS; i++) {
        const char *sql = sqls[i];
        FLEET_REFUSED(w, hf_account_create(&w->tx, sql, HF_ANONYMOUS_READ, &account, &w->why),
                      HF_E_ARGUMENT, "not a valid name");
        FLEET_REFUSED(w, hf_account_find(w->tx.db, sql, &account, &w->why), HF_E_NOT_FOUND, "");
        if (strcmp(sql, "_") != 0) /* which is a name */
            FLEET_REFUSED(w, hf_account_add_sni(&w->tx, one, sql, &w->why), HF_E_ARGUMENT,
                          "expected a DNS name");
        FLEET_REFUSED(w,
                      hf_account_change(&w->tx, one, 0, HF_ANONYMOUS_READ, sql, &account, &w->why),
                      HF_E_ARGUMENT, "not a valid name");
        FLEET_REFUSED(w, hf_device_find(w->tx.db, one, sql, &device, &w->why), HF_E_NOT_FOUND, "");
        FLEET_REFUSED(w, hf_device_ensure(&w->tx, one, "d", sql, &device, &w->why), HF_E_ARGUMENT,
                      "not a valid name");
        FLEET_REFUSED(w,
                      hf_admin_token_create(&w->tx, sql, HF_ADMIN_ADMIN, 0, secret, &admin,
                                            &w->why),
                      HF_E_ARGUMENT, "not a valid name");
        FLEET_REFUSED(w, hf_admin_token_check(w->tx.db, sql, FLEET_NOW_S, &admin, &w->why),
                      HF_E_POLICY, "not valid");
        FLEET_REFUSED(w, hf_enroll_token_redeem(&w->tx, one, sql, "d", csr, &use, &w->why),
                      HF_E_POLICY, "not valid");
        CHECK_OK(hf_idempotency_save(&w->tx, "key", csr, 200, sql, &w->why));
        wanted = fleet_new(one, 100 + (uint32_t)i);
        wanted.subject = sql;
        assert_string_equal(fleet_register(w, &wanted).subject, sql);
        CHECK_OK(hf_credential_set_status(&w->tx, one, row.id, 0,
                                          i % 2 == 0 ? HF_CERT_INACTIVE : HF_CERT_ACTIVE, sql, &row,
                                          &w->why));
    }
    struct hf_audit_copy copy;
    CHECK_OK(hf_audit_log_verify(w->tx.db, NULL, &copy, &w->why));
}

int main(void)
{
#define IN_A_WORLD(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, fleet_world_setup, fleet_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(an_account_is_made_and_found),
        IN_A_WORLD(a_change_names_the_version_that_it_saw),
        IN_A_WORLD(each_account_has_a_registration_code_of_its_own),
        IN_A_WORLD(a_server_name_belongs_to_one_account),
        IN_A_WORLD(an_account_has_so_many_server_names_at_most),
        IN_A_WORLD(an_account_that_owns_something_stays),
        IN_A_WORLD(a_list_goes_on_behind_the_last_one),
        IN_A_WORLD(a_ca_in_mode_default_is_in_one_account_only),
        IN_A_WORLD(a_ca_is_changed_and_noted_in_the_directory),
        IN_A_WORLD(a_ca_of_the_signer_registers_nothing_just_in_time),
        IN_A_WORLD(a_ca_with_certificates_stays),
        IN_A_WORLD(a_device_is_made_once_and_grouped),
        IN_A_WORLD(a_device_with_a_certificate_stays),
        cmocka_unit_test(names_are_checked),
        IN_A_WORLD(sql_in_strings_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
