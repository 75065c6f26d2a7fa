/* server/findings: each check finds what it is for and nothing else, at the boundary; findings
 * open, stay, are muted and close. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"
#include "tests/support/openssl_pki.h"
#include "tests/support/published.h"

#include "common/base/timetext.h"
#include "server/db/driver.h"
#include "server/findings/auditor.h"
#include "server/rollout/rollout_store.h"
#include "server/findings/keys.h"
#include "server/fleet/report_row.h"
#include "server/identity/client_cert.h"

#include <openssl/pem.h>

#include <stdarg.h>
#include <stdio.h>

#define DAY INT64_C(86400)

static const struct hf_check_settings usual = {.ca_expiring_s = 30 * DAY,
                                               .certificate_expiring_s = 30 * DAY,
                                               .rotation_stuck_s = 7 * DAY,
                                               .device_silent_s = 7 * DAY,
                                               .device_silent_after_update_s = 6 * 3600,
                                               .device_behind_s = 7 * DAY,
                                               .anchor_ends_s = 365 * DAY,
                                               .clock_wrong_s = 3600,
                                               .conflict_s = 7 * DAY,
                                               .metadata_ending_s = 30 * DAY,
                                               .online_metadata_ending_s = 2 * DAY};

/* ---- running a check ------------------------------------------------------------------------- */

static int n_jobs; /* that the writer was given */

static enum hf_err write_act(void *ctx, hf_fleet_act *act, void *what, struct hf_why *why)
{
    struct fleet_world *w = ctx;
    n_jobs++;
    CHECK_OK(hf_db_begin(w->tx.db, why));
    enum hf_err err = act(what, &w->tx, why);
    if (err != HF_OK)
        hf_db_rollback(w->tx.db);
    else
        CHECK_OK(hf_db_commit(w->tx.db, why));
    return err;
}

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static struct hf_published *published; /* NULL: nothing */

static struct hf_check_run audit(struct fleet_world *w, const char *name,
                                 const struct hf_check_settings *settings,
                                 const struct hf_metadata_ends *metadata)
{
    const struct hf_audit_port port = {w->tx.db, w, write_act, never};
    struct hf_check_ctx ctx = {.settings = settings, .now_s = w->tx.now_s, .published = published};
    struct hf_check_run run = {0};
    if (metadata != NULL)
        ctx.metadata = *metadata;
    if (hf_audit_run(&port, hf_check_find(name), &ctx, &w->why) != HF_OK ||
        hf_check_run_get(w->tx.db, name, &run, &w->why) != HF_OK)
        fail_msg("%s", w->why.text);
    return run;
}

/* Findings of a state, as text, a line each. */
static enum hf_err add_line(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_finding *row = data;
    (void)why;
    return hf_buf_printf(ctx, "%s %s: %s\n", row->check, row->device, row->sentence);
}

static const char *found(struct fleet_world *w, enum hf_finding_state state)
{
    static struct hf_buf text;
    const struct hf_finding_filter filter = {.account_id = -1, .check = "", .state = state};
    hf_buf_free(&text);
    CHECK_OK(hf_buf_append_text(&text, ""));
    CHECK_OK(hf_finding_list(w->tx.db, &filter, w->tx.now_s, 0, 100, add_line, &text, &w->why));
    return text.data != NULL ? (const char *)text.data : "";
}

static enum hf_err keep(void *ctx, const void *data, struct hf_why *why)
{
    (void)why;
    memcpy(ctx, data, sizeof(struct hf_finding));
    return HF_OK;
}

static struct hf_finding get(struct fleet_world *w, int64_t id)
{
    struct hf_finding row;
    CHECK_OK(hf_finding_get(w->tx.db, id, w->tx.now_s, keep, &row, &w->why));
    return row;
}

/* A device's certificate, from a day before now until `ends_s`. */
static struct hf_credential certificate(struct fleet_world *w, int64_t account, uint32_t n,
                                        const char *device, int64_t ends_s)
{
    struct hf_credential_new wanted = fleet_new(account, n);
    wanted.device = device;
    wanted.not_after_s = ends_s;
    return fleet_register(w, &wanted);
}

static int64_t found_by(struct fleet_world *w, const char *name)
{
    return audit(w, name, &usual, NULL).found;
}

/* ---- the checks ------------------------------------------------------------------------------ */

static void certificates_that_expire_are_found_to_the_second(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    int64_t edge = FLEET_NOW_S + 30 * DAY;
    certificate(w, a, 1, "at-the-edge", edge);
    certificate(w, a, 2, "behind-it", edge + 1);
    certificate(w, a, 3, "over", FLEET_NOW_S - 1);
    struct hf_credential inactive = certificate(w, a, 4, "inactive", edge);
    fleet_force_status(w, inactive.id, HF_CERT_INACTIVE, 0);
    struct hf_check_run run = audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    assert_int_equal(run.found, 2);
    assert_string_equal(run.problem, "");
    assert_string_equal(
        found(w, HF_FINDING_OPEN),
        "DEVICE_CERTIFICATE_EXPIRING at-the-edge: the certificate of device \"at-the-edge\" "
        "expires "
        "at 2027-02-14T08:00:00Z\n"
        "DEVICE_CERTIFICATE_EXPIRING over: the certificate of device \"over\" has expired at "
        "2027-01-15T07:59:59Z\n");
}

static void old_certificates_are_found_if_the_operator_wants_it(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2); /* a day old */
    struct hf_check_run run = audit(w, "DEVICE_CERTIFICATE_AGE", &usual, NULL);
    assert_string_equal(run.problem, "not run: it is turned off ([audits] device_certificate_age)");
    struct hf_check_settings strict = usual;
    strict.certificate_age_s = DAY + 1;
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_AGE", &strict, NULL).found, 0);
    strict.certificate_age_s = DAY;
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_AGE", &strict, NULL).found, 1);
    /* Turned off again, it says nothing any more. */
    audit(w, "DEVICE_CERTIFICATE_AGE", &usual, NULL);
    assert_string_equal(found(w, HF_FINDING_OPEN), "");
}

static void cas_that_expire_are_found(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_ca_row ca = {.account_id = a,
                           .subject = "CN=Old",
                           .mode = HF_CERT_MODE_SNI_ONLY,
                           .is_active = true,
                           .not_after_s = FLEET_NOW_S + 30 * DAY};
    struct hf_ca_row row;
    ca.sha256[0] = 1;
    CHECK_OK(hf_ca_register(&w->tx, &ca, hf_bytes_of_text("x"), &row, &w->why));
    ca.sha256[0] = 2;
    ca.not_after_s += 1;
    CHECK_OK(hf_ca_register(&w->tx, &ca, hf_bytes_of_text("x"), &row, &w->why));
    assert_int_equal(audit(w, "CA_CERTIFICATE_EXPIRING", &usual, NULL).found, 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "the CA \"CN=Old\" expires at"));
    /* A CA that cannot be read fails the audit of keys, which says so and closes nothing. */
    struct hf_check_run run = audit(w, "CA_CERTIFICATE_KEY_QUALITY", &usual, NULL);
    assert_non_null(strstr(run.problem, "failed: "));
}

static void a_rotation_that_is_stuck_is_found(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_ca_row ca = fleet_ca(w, a, 1, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
    struct hf_credential old, next;
    struct hf_credential_new wanted = fleet_new(a, 1);
    (void)ca;
    wanted.device = "pump-1";
    old = fleet_register(w, &wanted);
    wanted = fleet_new(a, 2);
    CHECK_OK(hf_credential_rotate(&w->tx, old.id, &wanted, &next, &w->why));
    w->tx.now_s += 7 * DAY - 1;
    assert_int_equal(audit(w, "ROTATION_STUCK", &usual, NULL).found, 0);
    w->tx.now_s += 1;
    assert_int_equal(audit(w, "ROTATION_STUCK", &usual, NULL).found, 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "the device has not used it"));
    CHECK_OK(hf_credential_confirm(&w->tx, a, next.id, &w->why));
    assert_int_equal(audit(w, "ROTATION_STUCK", &usual, NULL).found, 0);
    assert_string_equal(found(w, HF_FINDING_OPEN), "");
}

/* A certificate with this key, registered for the device. */
static struct hf_credential keyed(struct fleet_world *w, int64_t account, EVP_PKEY *key,
                                  const char *device)
{
    EVP_PKEY *ca = ossl_key("P-256");
    X509 *cert = ossl_cert(
        &(struct ossl_cert){.subject = device, .issuer = "CA", .key = key, .by = {ca}});
    struct hf_credential_new wanted = fleet_new(account, 0);
    struct hf_client_cert form;
    struct hf_buf der = {0};
    ossl_cert_der(cert, &der);
    CHECK_OK(hf_client_cert_describe(cert, &form, &w->why));
    memcpy(wanted.sha256, form.sha256, sizeof wanted.sha256);
    wanted.der = (struct hf_bytes){der.data, der.len};
    wanted.device = device;
    struct hf_credential row = fleet_register(w, &wanted);
    hf_buf_free(&der);
    X509_free(cert);
    EVP_PKEY_free(ca);
    return row;
}

static void a_key_of_two_devices_is_found_at_both(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps"), b = fleet_account(w, "valves");
    EVP_PKEY *same = ossl_key("P-256"), *other = ossl_key("P-256");
    keyed(w, a, same, "pump-1");
    keyed(w, a, other, "pump-2");
    keyed(w, a, other, "pump-2"); /* rotated with the same key: one device */
    keyed(w, b, same, "valve-1"); /* another account's device: not ours to judge */
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_SHARED", &usual, NULL).found, 0);
    struct hf_credential copy = keyed(w, a, same, "pump-3");
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_SHARED", &usual, NULL).found, 2);
    assert_non_null(
        strstr(found(w, HF_FINDING_OPEN),
               "the certificate of device \"pump-3\" has the same key as that of device "
               "\"pump-1\""));
    fleet_force_status(w, copy.id, HF_CERT_REVOKED, 0);
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_SHARED", &usual, NULL).found, 0);
    /* But now the other one has the key of a revoked certificate, also in the other account. */
    assert_int_equal(audit(w, "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE", &usual, NULL).found, 2);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "has the key of the revoked certificate"));
    EVP_PKEY_free(same);
    EVP_PKEY_free(other);
}

/* An image with its key was copied to a whole fleet: each certificate looks at some others, not at
 * all of them. */
static void a_key_of_a_whole_fleet_is_found_in_bounded_time(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    const struct hf_weak_keys none = {0};
    CHECK_OK(hf_db_begin(w->tx.db, &w->why));
    for (uint32_t i = 0; i < 1500; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "pump-%u", i);
        certificate(w, a, i + 1, name, FLEET_NOW_S * 2);
    }
    char text[256];
    (void)snprintf(text, sizeof text,
                   "INSERT INTO credential_key (credential_id, spki_sha256, fault, mark) "
                   "SELECT id, zeroblob(32), '', %lld FROM credential",
                   (long long)hf_keys_mark(&none));
    CHECK_OK(hf_db_execute_text(w->tx.db, text, &w->why));
    CHECK_OK(hf_db_commit(w->tx.db, &w->why));
    assert_int_equal(found_by(w, "DEVICE_CERTIFICATE_SHARED"), 1500);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN),
                           "of device \"pump-0\" has the same key as that of device \"pump-1\""));
    /* The oldest are revoked: the others have the key of a revoked certificate, which is found as
     * well. */
    CHECK_OK(hf_db_execute_text(w->tx.db,
                                "UPDATE credential SET status = 'REVOKED' WHERE id <= 300",
                                &w->why));
    assert_int_equal(found_by(w, "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE"), 1200);
}

static void weak_keys_are_found_and_judged_again_with_a_new_list(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps"), before = 0, after = 0;
    EVP_PKEY *weak = ossl_key("RSA:1024"), *good = ossl_key("RSA:2048");
    static const struct hf_sql mark = {"mark", "SELECT min(mark) FROM credential_key", "i"};
    keyed(w, a, weak, "pump-1");
    keyed(w, a, good, "pump-2");
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_KEY_QUALITY", &usual, NULL).found, 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "pump-1"));
    CHECK_OK(hf_db_get_int(w->tx.db, &mark, HF_NO_PARAMS, &before, &w->why));

    const char *path = temp_path(w->dir, "weak");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("00000000000000000000\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct hf_check_settings listed = usual;
    listed.weak_keys = &path;
    listed.n_weak_keys = 1;
    assert_int_equal(audit(w, "DEVICE_CERTIFICATE_KEY_QUALITY", &listed, NULL).found, 1);
    CHECK_OK(hf_db_get_int(w->tx.db, &mark, HF_NO_PARAMS, &after, &w->why));
    assert_true(before != after);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(good);
}

static void revocation_lists_are_needed_for_cas(void **state)
{
    struct fleet_world *w = *state;
    struct hf_check_run run = audit(w, "REVOKED_CA_CERTIFICATE_STILL_ACTIVE", &usual, NULL);
    assert_string_equal(run.problem, "not run: there is no revocation list ([audits] crl)");
}

/* What the devices have reported, as a SET clause for all of them. */
static void reported(struct fleet_world *w, const char *set, ...)
{
    char values[256], text[320];
    va_list args;
    va_start(args, set);
    (void)vsnprintf(values, sizeof values, set, args);
    va_end(args);
    (void)snprintf(text, sizeof text, "UPDATE device_state SET %s", values);
    CHECK_OK(hf_db_execute_text(w->tx.db, text, &w->why));
}

static void a_device_that_falls_silent_is_found(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_credential cert = certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    assert_int_equal(found_by(w, "DEVICE_SILENT"), 0); /* it has never reported */
    reported(w, "seen_s = %lld, kind = 'current'", (long long)(FLEET_NOW_S - 7 * DAY + 1));
    assert_int_equal(found_by(w, "DEVICE_SILENT"), 0);
    w->tx.now_s++;
    assert_int_equal(found_by(w, "DEVICE_SILENT"), 1);
    assert_string_equal(found(w, HF_FINDING_OPEN),
                        "DEVICE_SILENT pump-1: the device \"pump-1\" has "
                        "not reported since 2027-01-08T08:00:01Z\n");
    assert_int_equal(found_by(w, "DEVICE_SILENT_AFTER_UPDATE"), 0);
    fleet_force_status(w, cert.id, HF_CERT_REVOKED, 0);
    assert_int_equal(found_by(w, "DEVICE_SILENT"), 0); /* out of use */
}

static void a_device_that_falls_silent_after_an_update_is_found_sooner(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    static const char *const kinds[] = {"announce", "swapped", "confirmed", "rolled-back",
                                        "current"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        reported(w, "seen_s = %lld, kind = '%s', set_name = 'amazon-iot', result_version = 3",
                 (long long)(FLEET_NOW_S - 6 * 3600 + 1), kinds[i]);
        w->tx.now_s = FLEET_NOW_S;
        assert_int_equal(found_by(w, "DEVICE_SILENT_AFTER_UPDATE"), 0);
        w->tx.now_s++;
        assert_int_equal(found_by(w, "DEVICE_SILENT_AFTER_UPDATE"), i < 2);
        if (i < 2)
            assert_non_null(strstr(found(w, HF_FINDING_OPEN),
                                   "the device \"pump-1\" was installing version 3 of "
                                   "\"amazon-iot\" at 2027-01-15T02:00:01Z, and has not reported"));
    }
    /* Said once, not as DEVICE_SILENT too. */
    reported(w, "seen_s = 1, kind = 'announce'");
    assert_int_equal(found_by(w, "DEVICE_SILENT"), 0);
    assert_int_equal(found_by(w, "DEVICE_SILENT_AFTER_UPDATE"), 1);
}

static void a_device_that_cannot_update_is_found_until_it_has(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_credential cert = certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    static const struct {
        const char *result, *sentence;
    } cases[] = {{"refused", "DEVICE_UPDATE_FAILED pump-1: the device \"pump-1\" refused version 3 "
                             "of \"amazon-iot\": no way home\n"},
                 {"rolled-back", "the device \"pump-1\" rolled back from version 3 of"},
                 {"failed", "the device \"pump-1\" could not install version 3 of"},
                 {"held", NULL},
                 {"announce", NULL},
                 {"current", NULL},
                 {"confirmed", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reported(w,
                 "seen_s = 1, result = '%s', set_name = 'amazon-iot', result_version = 3, "
                 "active_version = 2, reason = 'no way home'",
                 cases[i].result);
        assert_int_equal(found_by(w, "DEVICE_UPDATE_FAILED"), cases[i].sentence != NULL);
        if (cases[i].sentence != NULL)
            assert_non_null(strstr(found(w, HF_FINDING_OPEN), cases[i].sentence));
    }
    reported(w, "result = 'refused', active_version = 3"); /* by hand, say */
    assert_int_equal(found_by(w, "DEVICE_UPDATE_FAILED"), 0);
    reported(w, "active_version = 2, result_version = -1");
    assert_int_equal(found_by(w, "DEVICE_UPDATE_FAILED"), 0);
    reported(w, "result_version = 3");
    assert_int_equal(found_by(w, "DEVICE_UPDATE_FAILED"), 1);
    fleet_force_status(w, cert.id, HF_CERT_REVOKED, 0);
    assert_int_equal(found_by(w, "DEVICE_UPDATE_FAILED"), 0); /* out of use */
}

/* The longest names fit into the sentence, and the newest report of the result counts. */
static void a_refusal_is_found_with_its_endpoint_and_root(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_report report = HF_REPORT_NOTHING;
    char name[HF_DEVICE_ID_MAX + 1] = "";
    memset(name, 'd', HF_DEVICE_ID_MAX);
    certificate(w, a, 1, name, FLEET_NOW_S * 2);
    (void)snprintf(report.kind_name, sizeof report.kind_name, "refused");
    (void)snprintf(report.endpoint, sizeof report.endpoint, "tls://old.example");
    CHECK_OK(hf_report_row_add(&w->tx, 1, 1, &report, &w->why));
    memset(report.endpoint, 'e', HF_REPORT_ENDPOINT_MAX);
    memset(report.root, 'a', HF_SHA256_HEX_LEN - 1);
    memset(report.root_name, 'n', HF_REPORT_ROOT_NAME_MAX);
    CHECK_OK(hf_report_row_add(&w->tx, 1, 2, &report, &w->why));
    (void)snprintf(report.kind_name, sizeof report.kind_name, "current");
    CHECK_OK(hf_report_row_add(&w->tx, 1, 3, &report, &w->why));
    reported(w, "seen_s = 1, result = 'refused', result_version = 9007199254740991, "
                "active_version = 2, set_name = '"
                "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss'");
    assert_int_equal(found_by(w, "DEVICE_UPDATE_FAILED"), 1);
    const char *sentence = found(w, HF_FINDING_OPEN);
    assert_non_null(strstr(sentence, "ssss\": its endpoint eeee"));
    assert_non_null(strstr(sentence, "eeee needs the root \"nnnn"));
    assert_non_null(strstr(sentence, "nnnn\" (key aaaa"));
    assert_string_equal(sentence + strlen(sentence) - 4, "aa)\n");
}

static void clocks_that_are_wrong_are_found(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    static const struct {
        long long offset_s;
        const char *sentence;
    } cases[] = {{0, NULL},
                 {3599, NULL},
                 {-3599, NULL},
                 {3600, "the clock of device \"pump-1\" is about 1 hours ahead"},
                 {-7300, "is about 2 hours behind"},
                 {-1800000000, "is about 20833 days behind"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reported(w, "seen_s = %lld, clock_offset_s = %lld", (long long)FLEET_NOW_S,
                 cases[i].offset_s);
        assert_int_equal(found_by(w, "CLOCK_WRONG"), cases[i].sentence != NULL);
        if (cases[i].sentence != NULL)
            assert_non_null(strstr(found(w, HF_FINDING_OPEN), cases[i].sentence));
    }
}

static void a_copy_of_a_device_is_found(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    reported(w, "seen_s = 1");
    assert_int_equal(found_by(w, "CONFLICTING_CLIENT_IDS"), 0);
    reported(w, "conflicts = 1, conflict_s = %lld", (long long)(FLEET_NOW_S - 7 * DAY + 1));
    assert_int_equal(found_by(w, "CONFLICTING_CLIENT_IDS"), 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "two installations report as the device"));
    w->tx.now_s++;
    assert_int_equal(found_by(w, "CONFLICTING_CLIENT_IDS"), 0);
}

static void metadata_that_ends_is_found(void **state)
{
    struct fleet_world *w = *state;
    struct hf_metadata_ends ends = {.offline_s = FLEET_NOW_S + 30 * DAY + 1,
                                    .first_s = FLEET_NOW_S + 2 * DAY + 1,
                                    .offline_role = "targets",
                                    .first_role = "timestamp"};
    assert_int_equal(audit(w, "METADATA_ENDING", &usual, &ends).found, 0);
    ends.first_s--;
    assert_int_equal(audit(w, "METADATA_ENDING", &usual, &ends).found, 1);
    assert_non_null(
        strstr(found(w, HF_FINDING_OPEN), "the role timestamp of the metadata expires"));
    ends.offline_s--;
    assert_int_equal(audit(w, "METADATA_ENDING", &usual, &ends).found, 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "the role targets of the metadata expires"));
    assert_int_equal(get(w, 1).version, 2); /* the same finding with another sentence */
    struct hf_check_run run = audit(w, "METADATA_ENDING", &usual, NULL);
    assert_string_equal(run.problem, "not run: no repository is served");
}

/* ---- what is published ----------------------------------------------------------------------- */

/* Version 1 with a root that ends in 100 days; newer ones also with a successor. */
static void publish(int newest)
{
    static const struct published_root roots[] = {{'a', FLEET_NOW_S + 100 * DAY},
                                                  {'b', FLEET_NOW_S + 4000 * DAY}};
    hf_published_unref(published);
    published = published_new((size_t)newest);
    for (int version = 1; version <= newest; version++)
        published_add(published, "iot", "full", version, version == 1 ? 1 : 2, roots);
    hf_published_sort(published);
}

static void unpublish(void)
{
    hf_published_unref(published);
    published = NULL;
}

/* Version 2 rolls out in four stages, and its second one is in that state. */
static struct hf_rollout_row roll_out(struct fleet_world *w, enum hf_rollout_state state)
{
    struct hf_rollout_row row;
    struct hf_published_bundle *bundle = &published->bundles[0];
    memset(bundle->sha256, 'a', sizeof bundle->sha256 - 1);
    bundle->rollout = (struct hf_published_rollout){
        .is_signed = true,
        .role_version = bundle->rollout.role_version + 1,
        .now = {.stage = 1, .state = state, .since_s = FLEET_NOW_S, .reason = "3 of 9 failed"}};
    if (bundle->description.plan == NULL)
        bundle->description.plan = calloc(1, sizeof *bundle->description.plan);
    bundle->description.plan->n_stages = 4;
    bundle->description.plan->mandatory_from_s = FLEET_NOW_S + 12 * DAY;
    CHECK_OK(hf_rollout_row_ensure(&w->tx, bundle, &row, &w->why));
    CHECK_OK(hf_rollout_row_note_signed(&w->tx, bundle, &row, &w->why));
    return row;
}

static void rollouts_that_wait_for_a_person_are_found(void **state)
{
    struct fleet_world *w = *state;
    publish(2);
    (void)roll_out(w, HF_ROLLOUT_PAUSED);
    assert_int_equal(audit(w, "ROLLOUT_PAUSED", &usual, NULL).found, 1);
    assert_non_null(
        strstr(found(w, HF_FINDING_OPEN),
               "the rollout of iot/full/2 is paused at stage 2 of 4 since 2027-01-15T08:00:00Z: "
               "3 of 9 failed. From 2027-01-27T08:00:00Z on every device installs it\n"));
    w->tx.now_s += 12 * DAY - 1;
    assert_int_equal(audit(w, "ROLLOUT_PAUSED", &usual, NULL).found, 1);
    assert_int_equal(get(w, 1).version, 1); /* it is not delivered again each day */
    w->tx.now_s++;
    assert_int_equal(audit(w, "ROLLOUT_PAUSED", &usual, NULL).found, 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN), "Since 2027-01-27T08:00:00Z every device"));
    struct hf_rollout_row row = roll_out(w, HF_ROLLOUT_OPEN);
    assert_int_equal(audit(w, "ROLLOUT_PAUSED", &usual, NULL).found, 0);
    assert_int_equal(audit(w, "ROLLOUT_STALLED", &usual, NULL).found, 0);
    CHECK_OK(hf_rollout_row_note_stalled(&w->tx, &row, w->tx.now_s, &w->why));
    assert_int_equal(audit(w, "ROLLOUT_STALLED", &usual, NULL).found, 1);
    assert_non_null(strstr(found(w, HF_FINDING_OPEN),
                           "the rollout of iot/full/2 is at stage 2 of 4 since "
                           "2027-01-15T08:00:00Z, and waits for results that do not come"));
    published->bundles[0].is_newest = false; /* a higher version takes its place */
    assert_int_equal(audit(w, "ROLLOUT_STALLED", &usual, NULL).found, 0);
    unpublish();
}

static void a_device_that_stays_behind_is_found_while_it_reports(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_credential cert = certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    assert_string_equal(audit(w, "DEVICE_BEHIND", &usual, NULL).problem,
                        "not run: no repository is served");
    publish(2);
    reported(w, "seen_s = %lld, set_name = 'iot', profile = 'full', active_version = 1",
             (long long)FLEET_NOW_S);
    assert_int_equal(found_by(w, "DEVICE_BEHIND"), 0); /* version 2 was seen right now */
    w->tx.now_s += 7 * DAY - 1;
    publish(3); /* a newer one does not give it more time */
    reported(w, "seen_s = %lld", (long long)w->tx.now_s);
    assert_int_equal(found_by(w, "DEVICE_BEHIND"), 0);
    w->tx.now_s++;
    assert_int_equal(found_by(w, "DEVICE_BEHIND"), 1);
    assert_string_equal(
        found(w, HF_FINDING_OPEN),
        "DEVICE_BEHIND pump-1: the device \"pump-1\" reports, and uses version 1 of "
        "iot/full; version 3 is published, and a newer one than its own since "
        "2027-01-15T08:00:00Z\n");
    reported(w, "active_version = 2"); /* version 3 is new */
    assert_int_equal(found_by(w, "DEVICE_BEHIND"), 0);
    assert_string_equal(found(w, HF_FINDING_OPEN), "");
    static const char *const others[] = {"active_version = 3",
                                         "active_version = 4",
                                         "active_version = -1",
                                         "active_version = 1, profile = 'small'",
                                         "profile = 'full', set_name = 'other'",
                                         "set_name = 'iot', seen_s = 1"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        reported(w, "%s", others[i]);
        assert_int_equal(found_by(w, "DEVICE_BEHIND"), 0);
    }
    reported(w, "seen_s = %lld, active_version = 0", (long long)w->tx.now_s); /* the factory's */
    assert_int_equal(found_by(w, "DEVICE_BEHIND"), 1);
    fleet_force_status(w, cert.id, HF_CERT_REVOKED, 0);
    assert_int_equal(found_by(w, "DEVICE_BEHIND"), 0);
    unpublish();
}

static void a_fleet_that_is_not_ready_is_found_once_for_each_root(void **state)
{
    static const char name[] = "ANCHOR_ENDS_BEFORE_FLEET_IS_READY";
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    certificate(w, a, 2, "pump-2", FLEET_NOW_S * 2);
    assert_string_equal(audit(w, name, &usual, NULL).problem, "not run: no repository is served");
    publish(1);
    assert_int_equal(found_by(w, name), 0); /* none has reported */
    reported(w, "seen_s = 1, set_name = 'iot', profile = 'full', active_version = 1");
    assert_int_equal(found_by(w, name), 1);
    assert_string_equal(found(w, HF_FINDING_OPEN),
                        "ANCHOR_ENDS_BEFORE_FLEET_IS_READY : iot/full, \"a\": no successor is "
                        "published: version 1 has none; it expires on 2027-04-25\n");
    publish(2);
    assert_int_equal(found_by(w, name), 1);
    assert_string_equal(found(w, HF_FINDING_OPEN),
                        "ANCHOR_ENDS_BEFORE_FLEET_IS_READY : iot/full, \"a\": no forecast: it "
                        "expires on 2027-04-25, and 2 of 2 devices hold no successor; none has "
                        "taken one up in the last 14 days\n");
    static const struct hf_sql of_anchor =
        {"of_anchor",
         "SELECT count(*) FROM finding WHERE subject_kind = 'anchor' AND subject = 'iot/full "
         "6100000000000000000000000000000000000000000000000000000000000000'",
         "i"};
    int64_t n = 0;
    CHECK_OK(hf_db_get_int(w->tx.db, &of_anchor, HF_NO_PARAMS, &n, &w->why));
    assert_int_equal(n, 1);
    reported(w, "active_version = 2"); /* in which the last root has no successor, but time */
    assert_int_equal(found_by(w, name), 0);
    assert_string_equal(found(w, HF_FINDING_OPEN), "");
    unpublish();
}

static void a_forecast_that_is_too_late_is_found_however_far_away(void **state)
{
    static const char name[] = "ANCHOR_ENDS_BEFORE_FLEET_IS_READY";
    struct fleet_world *w = *state;
    struct hf_check_settings near = usual;
    int64_t a = fleet_account(w, "pumps");
    for (uint32_t i = 0; i < 4; i++) {
        static const char *const names[] = {"pump-1", "pump-2", "pump-3", "pump-4"};
        certificate(w, a, i + 1, names[i], FLEET_NOW_S * 2);
    }
    publish(2);
    near.anchor_ends_s = 100 * DAY - 1;
    reported(w, "seen_s = 1, set_name = 'iot', profile = 'full', active_version = 1");
    assert_int_equal(audit(w, name, &near, NULL).found, 0); /* no forecast, and time */
    near.anchor_ends_s = 0;
    w->tx.now_s += 13 * DAY;
    reported(w, "active_version = CASE device_id WHEN 1 THEN 2 ELSE 1 END");
    assert_int_equal(audit(w, name, &near, NULL).found,
                     0); /* one in 13 days: 39 to go, and 87 left */
    w->tx.now_s += 61 * DAY;
    assert_int_equal(audit(w, name, &near, NULL).found, 0); /* the first is out of sight: no pace */
    w->tx.now_s += 13 * DAY;
    reported(w, "active_version = CASE WHEN device_id <= 2 THEN 2 ELSE 1 END");
    assert_int_equal(audit(w, name, &near, NULL).found, 1);
    assert_non_null(
        strstr(found(w, HF_FINDING_OPEN),
               "not ready in time: it expires on 2027-04-25, and 2 of 4 devices hold no "
               "successor; at the pace of the last days all hold one in 2027-05"));
    unpublish();
}

static void devices_that_are_shut_out_are_counted_apart(void **state)
{
    struct fleet_world *w = *state;
    struct hf_census_days days;
    int64_t a = fleet_account(w, "pumps");
    certificate(w, a, 1, "pump-1", FLEET_NOW_S * 2);
    struct hf_credential out = certificate(w, a, 2, "pump-2", FLEET_NOW_S * 2);
    fleet_force_status(w, out.id, HF_CERT_REVOKED, 0);
    certificate(w, a, 3, "pump-3", FLEET_NOW_S * 2);
    reported(w, "set_name = 'iot', profile = 'full', active_version = device_id - 2");
    publish(2);
    assert_int_equal(found_by(w, "ANCHOR_ENDS_BEFORE_FLEET_IS_READY"), 1);
    CHECK_OK(hf_census_read(w->tx.db, a, w->tx.now_s, &days, &w->why));
    assert_int_equal(days.n, 1);
    assert_int_equal(days.days[0].shut_out, 1);
    assert_int_equal(days.days[0].unknown, 1);
    assert_int_equal(days.days[0].n_versions, 1);
    assert_int_equal(days.days[0].versions[0].devices, 1);
    hf_census_days_free(&days);
    unpublish();
}

/* ---- the life of a finding ------------------------------------------------------------------- */

static void a_finding_opens_stays_closes_and_comes_back(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    struct hf_credential cert = certificate(w, a, 1, "pump-1", FLEET_NOW_S);
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    struct hf_finding first = get(w, 1);
    assert_int_equal(first.state, HF_FINDING_OPEN);
    assert_int_equal(first.version, 1);
    /* Seen again an hour later: nothing new to say. */
    w->tx.now_s += 3600;
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    struct hf_finding again = get(w, 1);
    assert_int_equal(again.opened_s, FLEET_NOW_S);
    assert_int_equal(again.seen_s, FLEET_NOW_S + 3600);
    assert_int_equal(again.version, 2); /* "expires" became "has expired" */
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    assert_int_equal(get(w, 1).version, 2);
    /* Gone; also when the clock was set back meanwhile. */
    w->tx.now_s -= 7200;
    fleet_force_status(w, cert.id, HF_CERT_INACTIVE, 0);
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    struct hf_finding closed = get(w, 1);
    assert_int_equal(closed.state, HF_FINDING_CLOSED);
    assert_int_equal(closed.version, 3);
    fleet_force_status(w, cert.id, HF_CERT_ACTIVE, 0);
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    assert_int_equal(get(w, 2).state, HF_FINDING_OPEN);
    assert_int_equal(get(w, 1).state, HF_FINDING_CLOSED);
    w->tx.now_s += 181 * DAY;
    CHECK_OK(hf_finding_tidy(&w->tx, &w->why));
    struct hf_finding row;
    CHECK_REFUSED(hf_finding_get(w->tx.db, 1, w->tx.now_s, keep, &row, &w->why), HF_E_NOT_FOUND,
                  &w->why, "there is no finding of this number");
}

static void a_mute_has_a_reason_and_an_end(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps"), until = FLEET_NOW_S + 10 * DAY;
    struct hf_credential cert = certificate(w, a, 1, "pump-1", FLEET_NOW_S - 1);
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    FLEET_REFUSED(w, hf_finding_mute(&w->tx, 1, "", until, &w->why), HF_E_ARGUMENT, "a reason");
    FLEET_REFUSED(w, hf_finding_mute(&w->tx, 1, "spare", FLEET_NOW_S, &w->why), HF_E_ARGUMENT,
                  "ends within the next 366 days");
    FLEET_REFUSED(w, hf_finding_mute(&w->tx, 1, "spare", FLEET_NOW_S + 367 * DAY, &w->why),
                  HF_E_ARGUMENT, "ends within");
    FLEET_REFUSED(w, hf_finding_mute(&w->tx, 7, "spare", until, &w->why), HF_E_NOT_FOUND,
                  "no finding");
    FLEET_REFUSED(w, hf_finding_unmute(&w->tx, 1, 0, &w->why), HF_E_STATE, "is not muted");
    CHECK_OK(hf_finding_mute(&w->tx, 1, "spare", until, &w->why));
    assert_non_null(strstr(fleet_log(w, 0), "\"action\":\"finding.mute\""));
    assert_int_equal(get(w, 1).state, HF_FINDING_MUTED);
    assert_int_equal(get(w, 1).version, 2);
    assert_string_equal(found(w, HF_FINDING_OPEN), "");
    FLEET_REFUSED(w, hf_finding_unmute(&w->tx, 1, 1, &w->why), HF_E_STALE, "expected version 1");

    /* It closes and comes back muted. */
    fleet_force_status(w, cert.id, HF_CERT_INACTIVE, 0);
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    FLEET_REFUSED(w, hf_finding_mute(&w->tx, 1, "spare", until, &w->why), HF_E_STATE, "closed");
    fleet_force_status(w, cert.id, HF_CERT_ACTIVE, 0);
    audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL);
    assert_int_equal(get(w, 2).state, HF_FINDING_MUTED);

    /* Its end is a change that people hear of. */
    w->tx.now_s = until - 1;
    CHECK_OK(hf_finding_tidy(&w->tx, &w->why));
    assert_int_equal(get(w, 2).state, HF_FINDING_MUTED);
    int64_t version = get(w, 2).version;
    w->tx.now_s = until;
    CHECK_OK(hf_finding_tidy(&w->tx, &w->why));
    assert_int_equal(get(w, 2).state, HF_FINDING_OPEN);
    assert_int_equal(get(w, 2).version, version + 1);

    CHECK_OK(hf_finding_mute(&w->tx, 2, "again", until + DAY, &w->why));
    CHECK_OK(hf_finding_unmute(&w->tx, 2, 0, &w->why));
    assert_int_equal(get(w, 2).state, HF_FINDING_OPEN);
    assert_non_null(strstr(fleet_log(w, 0), "\"action\":\"finding.unmute\""));
}

static void one_account_cannot_list_more_than_a_person_reads(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps"), n = 0, b = fleet_account(w, "valves");
    CHECK_OK(hf_db_begin(w->tx.db, &w->why));
    for (uint32_t i = 0; i < 2100; i++)
        certificate(w, a, i + 1, NULL, FLEET_NOW_S);
    certificate(w, b, 5000, "valve-1", FLEET_NOW_S);
    CHECK_OK(hf_db_commit(w->tx.db, &w->why));
    for (int i = 0; i < 2; i++) {
        n_jobs = 0;
        assert_int_equal(audit(w, "DEVICE_CERTIFICATE_EXPIRING", &usual, NULL).found, 2101);
        /* The writer is asked to note those that are listed, not all that there are; and for the
         * end. */
        assert_int_equal(n_jobs, HF_FINDINGS_LISTED_MAX / HF_CHECK_JOB_ROWS + 1 + 1);
        CHECK_OK(hf_finding_count_open(w->tx.db, "DEVICE_CERTIFICATE_EXPIRING", a, &n, &w->why));
        assert_int_equal(n, HF_FINDINGS_LISTED_MAX);
        CHECK_OK(hf_finding_count_open(w->tx.db, "DEVICE_CERTIFICATE_EXPIRING", b, &n, &w->why));
        assert_int_equal(n, 1);
    }
    assert_int_equal(get(w, 1).version, 1);
}

/* A run that fails closes nothing. */
static void a_check_that_fails_says_so(void **state)
{
    struct fleet_world *w = *state;
    int64_t a = fleet_account(w, "pumps");
    EVP_PKEY *weak = ossl_key("RSA:1024");
    keyed(w, a, weak, "pump-1");
    EVP_PKEY_free(weak);
    audit(w, "DEVICE_CERTIFICATE_KEY_QUALITY", &usual, NULL);
    const char *path = "/nowhere/list";
    struct hf_check_settings lost = usual;
    lost.weak_keys = &path;
    lost.n_weak_keys = 1;
    struct hf_check_run run = audit(w, "DEVICE_CERTIFICATE_KEY_QUALITY", &lost, NULL);
    assert_int_equal(strncmp(run.problem, "failed: ", 8), 0);
    assert_non_null(strstr(run.problem, "/nowhere/list"));
    assert_int_equal(get(w, 1).state, HF_FINDING_OPEN);
}

/* An auditor that cannot write tries again later, also if it is given other settings meanwhile. */
static void an_auditor_that_cannot_write_waits(void **state)
{
    const char *path = temp_path(*state, "fleet.db");
    const struct hf_fleet_config config = {.path = path};
    struct hf_auditor_config audits = {.settings = usual, .every_s = 3600};
    struct hf_auditor *auditor = NULL;
    struct hf_fleet_numbers numbers;
    struct hf_db *db = NULL;
    struct hf_why why = {0};

    CHECK_OK(hf_fleet_open(&config, &audits.fleet, &why));
    CHECK_OK(hf_db_connect(&hf_db_sqlite, path, HF_DB_WRITE, &db, &why));
    CHECK_OK(hf_db_execute_text(db, "DROP TABLE mute", &why));
    hf_db_close(db);
    CHECK_OK(hf_auditor_start(&audits, &auditor, &why));
    hf_auditor_offer_take(auditor, hf_check_settings_copy(&usual), 60);
    uv_sleep(300);
    hf_fleet_numbers(audits.fleet, &numbers);
    assert_in_range(numbers.writes, 1, 2);
    hf_auditor_stop(auditor);
    hf_fleet_close(audits.fleet);
}

#define WORLD_TEST(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, fleet_world_setup, fleet_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(certificates_that_expire_are_found_to_the_second),
        WORLD_TEST(old_certificates_are_found_if_the_operator_wants_it),
        WORLD_TEST(cas_that_expire_are_found),
        WORLD_TEST(a_rotation_that_is_stuck_is_found),
        WORLD_TEST(a_key_of_two_devices_is_found_at_both),
        WORLD_TEST(a_key_of_a_whole_fleet_is_found_in_bounded_time),
        WORLD_TEST(weak_keys_are_found_and_judged_again_with_a_new_list),
        WORLD_TEST(revocation_lists_are_needed_for_cas),
        WORLD_TEST(a_device_that_falls_silent_is_found),
        WORLD_TEST(a_device_that_falls_silent_after_an_update_is_found_sooner),
        WORLD_TEST(a_device_that_cannot_update_is_found_until_it_has),
        WORLD_TEST(a_refusal_is_found_with_its_endpoint_and_root),
        WORLD_TEST(clocks_that_are_wrong_are_found),
        WORLD_TEST(a_copy_of_a_device_is_found),
        WORLD_TEST(metadata_that_ends_is_found),
        WORLD_TEST(rollouts_that_wait_for_a_person_are_found),
        WORLD_TEST(a_device_that_stays_behind_is_found_while_it_reports),
        WORLD_TEST(a_fleet_that_is_not_ready_is_found_once_for_each_root),
        WORLD_TEST(a_forecast_that_is_too_late_is_found_however_far_away),
        WORLD_TEST(devices_that_are_shut_out_are_counted_apart),
        WORLD_TEST(a_finding_opens_stays_closes_and_comes_back),
        WORLD_TEST(a_mute_has_a_reason_and_an_end),
        WORLD_TEST(one_account_cannot_list_more_than_a_person_reads),
        WORLD_TEST(a_check_that_fails_says_so),
        cmocka_unit_test_setup_teardown(an_auditor_that_cannot_write_waits, temp_dir_setup,
                                        temp_dir_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
