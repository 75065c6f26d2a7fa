/* server/fleet/restore_redo and restore_log: what entries of a log take away again, and how the log
 * of a backup goes on. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "server/audit/copy.h"
#include "server/db/sqlite_copy.h"
#include "server/fleet/report_key.h"
#include "server/fleet/restore_log.h"
#include "server/fleet/signature.h"

#include <sodium.h>
#include <stdio.h>

/* ---- an entry is done again ------------------------------------------------------------------ */

static struct hf_restored redo_take(struct fleet_world *w, const char *action, int64_t account,
                                    json_t *details)
{
    struct hf_restored restored = {0};
    struct hf_restore_log log = {w->tx.db, &w->tx, &restored};
    json_t *entry = json_pack("{s:s, s:I, s:o}", "action", action, "account", (json_int_t)account,
                              "details", details);

    assert_non_null(entry);
    CHECK_OK(hf_restore_redo(&log, entry, &w->why));
    json_decref(entry);
    return restored;
}

static json_t *to_status(const uint8_t sha256[HF_SHA256_LEN], const char *status)
{
    return json_pack("{s:o, s:s}", "credential", hf_json_sha256(sha256), "to", status);
}

static void a_certificate_gets_the_status_of_the_log(void **state)
{
    static const struct {
        const char *status;
        enum hf_cert_status found;
        int64_t redone;
    } steps[] = {
        {"INACTIVE", HF_CERT_INACTIVE, 1},
        {"INACTIVE", HF_CERT_INACTIVE, 0},
        {"ACTIVE", HF_CERT_ACTIVE, 1},
        {"PENDING_TRANSFER", HF_CERT_INACTIVE, 1}, /* an offer has to be made again */
        {"REVOKED", HF_CERT_REVOKED, 1},
        {"REVOKED", HF_CERT_REVOKED, 0},
    };
    struct fleet_world *w = *state;
    int64_t account = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(account, 1);
    struct hf_credential row = fleet_register(w, &wanted);

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct hf_restored r = redo_take(w, "credential.status", account,
                                         to_status(row.sha256, steps[i].status));
        assert_int_equal(r.redone, steps[i].redone);
        assert_int_equal(fleet_get(w, account, row.id).status, steps[i].found);
    }
    (void)redo_take(w, "credential.status", account, to_status(row.sha256, "ACTIVE"));
    assert_int_equal(fleet_get(w, account, row.id).status, HF_CERT_REVOKED);
}

/* Nothing of it can be made again, but a revoked one never comes back. */
static void a_certificate_that_only_the_log_knows_is_counted(void **state)
{
    struct fleet_world *w = *state;
    int64_t account = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(account, 1);
    struct hf_credential row;
    uint64_t before = fleet_fingerprint(w);

    struct hf_restored r = redo_take(w, "credential.register", account,
                                     json_pack("{s:o}", "credential",
                                               hf_json_sha256(wanted.sha256)));
    assert_int_equal(r.unknown, 1);
    r = redo_take(w, "credential.status", account, to_status(wanted.sha256, "INACTIVE"));
    assert_int_equal(r.unknown + r.redone, 0);
    assert_true(before == fleet_fingerprint(w));
    (void)redo_take(w, "credential.status", account, to_status(wanted.sha256, "REVOKED"));
    assert_true(hf_credential_register(&w->tx, &wanted, &row, &w->why) != HF_OK);
}

static void a_ca_and_a_policy_get_what_the_log_says(void **state)
{
    struct fleet_world *w = *state;
    int64_t account = fleet_account(w, "one");
    struct hf_ca_row ca = fleet_ca(w, account, 7, HF_CERT_MODE_SNI_ONLY,
                                   HF_AUTO_REGISTRATION_ACTIVE);
    struct hf_account_row policy;

    (void)redo_take(w, "ca.change", account,
                    json_pack("{s:o, s:s, s:s}", "ca", hf_json_sha256(ca.sha256), "status",
                              "ACTIVE", "auto_registration", "off"));
    CHECK_OK(hf_ca_get(w->tx.db, account, ca.id, &ca, &w->why));
    assert_true(ca.is_active && ca.auto_registration == HF_AUTO_REGISTRATION_OFF);
    (void)redo_take(w, "ca.delete", account, json_pack("{s:o}", "ca", hf_json_sha256(ca.sha256)));
    CHECK_OK(hf_ca_get(w->tx.db, account, ca.id, &ca, &w->why));
    assert_false(ca.is_active);

    (void)redo_take(w, "account.change", account, json_pack("{s:s}", "anonymous", "none"));
    CHECK_OK(hf_account_get(w->tx.db, account, &policy, &w->why));
    assert_int_equal(policy.anonymous, HF_ANONYMOUS_NONE);
}

static void tokens_are_used_and_revoked_again(void **state)
{
    struct fleet_world *w = *state;
    const struct hf_enroll_token wanted = {.account_id = fleet_account(w, "one"),
                                           .kind = HF_CERT_DEVICE,
                                           .uses_max = 2,
                                           .expires_s = FLEET_NOW_S + 3600};
    char secret[HF_SECRET_TEXT_MAX];
    struct hf_enroll_token token;
    struct hf_admin_token admin;

    CHECK_OK(hf_enroll_token_create(&w->tx, &wanted, secret, &token, &w->why));
    for (int i = 0; i < 3; i++) /* once more than it has uses */
        (void)redo_take(w, "enroll-token.use", wanted.account_id,
                        json_pack("{s:I}", "token", (json_int_t)token.id));
    CHECK_OK(hf_enroll_token_get(w->tx.db, wanted.account_id, token.id, &token, &w->why));
    assert_int_equal(token.uses, 2);
    assert_false(token.is_revoked);
    (void)redo_take(w, "enroll-token.revoke", wanted.account_id,
                    json_pack("{s:I}", "token", (json_int_t)token.id));
    CHECK_OK(hf_enroll_token_get(w->tx.db, wanted.account_id, token.id, &token, &w->why));
    assert_true(token.is_revoked);

    CHECK_OK(hf_admin_token_create(&w->tx, "ci", HF_ADMIN_VIEWER, 0, secret, &admin, &w->why));
    (void)redo_take(w, "token.revoke", 0, json_pack("{s:s}", "name", "another"));
    CHECK_OK(hf_admin_token_get(w->tx.db, admin.id, &admin, &w->why));
    assert_false(admin.is_revoked);
    (void)redo_take(w, "token.revoke", 0, json_pack("{s:s}", "name", "ci"));
    CHECK_OK(hf_admin_token_get(w->tx.db, admin.id, &admin, &w->why));
    assert_true(admin.is_revoked);
}

static json_t *key_details(const char *device, const uint8_t key[HF_REPORT_KEY_LEN])
{
    char text[HF_REPORT_KEY_TEXT_SIZE];

    hf_report_key_format(key, text);
    return json_pack("{s:s, s:s}", "device", device, "key", text);
}

static void a_key_of_reports_is_revoked_or_replaced_again(void **state)
{
    static const char *const names[] = {"pump-1", "pump-2"};
    struct fleet_world *w = *state;
    int64_t account = fleet_account(w, "one");
    uint8_t keys[3][HF_REPORT_KEY_LEN], secret[64];
    struct hf_device devices[2];
    struct hf_report_key row;

    for (size_t i = 0; i < 3; i++)
        (void)crypto_sign_keypair(keys[i], secret);
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(hf_device_ensure(&w->tx, account, names[i], "", &devices[i], &w->why));
        CHECK_OK(hf_report_key_register(&w->tx, &devices[i], keys[i], &row, &w->why));
    }
    (void)redo_take(w, "report-key.register", account, key_details("pump-1", keys[0]));
    (void)redo_take(w, "report-key.revoke", account, key_details("pump-1", keys[2]));
    CHECK_OK(hf_report_key_find(w->tx.db, devices[0].id, &row, &w->why));
    (void)redo_take(w, "report-key.register", account, key_details("pump-1", keys[2]));
    assert_int_equal(hf_report_key_find(w->tx.db, devices[0].id, &row, NULL), HF_E_NOT_FOUND);
    CHECK_OK(hf_report_key_find(w->tx.db, devices[1].id, &row, &w->why));
    (void)redo_take(w, "report-key.revoke", account, key_details("pump-2", keys[1]));
    assert_int_equal(hf_report_key_find(w->tx.db, devices[1].id, &row, NULL), HF_E_NOT_FOUND);
    CHECK_REFUSED(hf_report_key_register(&w->tx, &devices[1], keys[1], &row, &w->why), HF_E_STATE,
                  &w->why, "which is final");
}

static void the_signer_position_moves_forward_only(void **state)
{
    struct fleet_world *w = *state;
    int64_t last = 0;

    (void)redo_take(w, "signer.signature", 0, json_pack("{s:i}", "id", 9));
    (void)redo_take(w, "signer.signature", 0, json_pack("{s:i}", "id", 4));
    CHECK_OK(hf_signature_last(w->tx.db, &last, &w->why));
    assert_int_equal(last, 9);
}

static void an_entry_that_was_carried_counts_as_what_is_in_it(void **state)
{
    struct fleet_world *w = *state;
    int64_t account = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(account, 1);
    struct hf_credential row = fleet_register(w, &wanted);

    (void)redo_take(w, "log.carried", 0,
                    json_pack("{s:{s:s, s:I, s:o}}", "entry", "action", "credential.status",
                              "account", (json_int_t)account, "details",
                              to_status(row.sha256, "REVOKED")));
    assert_int_equal(fleet_get(w, account, row.id).status, HF_CERT_REVOKED);
}

/* Of a newer version, without what it should have, or of another account. */
static void other_entries_change_nothing(void **state)
{
    struct fleet_world *w = *state;
    int64_t account = fleet_account(w, "one"), other = fleet_account(w, "two");
    struct hf_credential_new wanted = fleet_new(account, 1);
    struct hf_credential row = fleet_register(w, &wanted);
    struct hf_ca_row ca = fleet_ca(w, account, 7, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
    uint64_t before = fleet_fingerprint(w);

    (void)redo_take(w, "moon.landing", account, json_pack("{s:s}", "on", "foot"));
    (void)redo_take(w, "device.change", account, json_pack("{s:s}", "to", "a group"));
    (void)redo_take(w, "credential.status", account, json_pack("{s:s}", "to", "REVOKED"));
    (void)redo_take(w, "credential.status", account,
                    json_pack("{s:s, s:s}", "credential", "zz", "to", "REVOKED"));
    (void)redo_take(w, "credential.status", other, to_status(row.sha256, "INACTIVE"));
    (void)redo_take(w, "ca.delete", account, json_object());
    (void)redo_take(w, "ca.delete", other, json_pack("{s:o}", "ca", hf_json_sha256(ca.sha256)));
    (void)redo_take(w, "enroll-token.revoke", account, json_object());
    (void)redo_take(w, "token.revoke", 0, json_object());
    (void)redo_take(w, "report-key.revoke", account, json_pack("{s:s}", "key", "short"));
    (void)redo_take(w, "log.carried", 0, json_object());
    assert_true(before == fleet_fingerprint(w));
}

/* ---- how a log goes on ----------------------------------------------------------------------- */

/* The database as it is, `w`, and a copy of a backup of it from before. */
struct pair {
    struct fleet_world *w;
    struct hf_db *copy;
    struct hf_effects ignored;
    struct hf_tx to;
    struct hf_restored restored;
    struct hf_restore_log log;
};

static void open_pair(struct fleet_world *w, const char *name, struct pair *out)
{
    const char *path = temp_path(w->dir, name);

    CHECK_OK(hf_db_backup(w->tx.db, path, &w->why));
    *out = (struct pair){.w = w, .copy = fleet_open(path)};
    out->to = (struct hf_tx){out->copy, FLEET_NOW_S, "uid:0", &out->ignored};
}

static enum hf_err carry(struct pair *p, const char *log)
{
    p->restored = (struct hf_restored){0};
    p->log = (struct hf_restore_log){p->w->tx.db, &p->to, &p->restored};
    CHECK_OK(hf_db_begin(p->copy, &p->w->why));
    enum hf_err err = hf_restore_carry_log(&p->log, log, &p->w->why);
    if (err == HF_OK)
        CHECK_OK(hf_db_commit(p->copy, &p->w->why));
    else
        hf_db_rollback(p->copy);
    return err;
}

static int64_t newest(struct hf_db *db)
{
    struct hf_audit_head head;
    struct hf_audit_copy copy = {0};

    CHECK_OK(hf_audit_log_verify(db, NULL, &copy, NULL));
    CHECK_OK(hf_audit_log_head(db, &head, NULL));
    return head.sequence;
}

static void close_pair(struct pair *p)
{
    hf_effects_free(&p->ignored);
    hf_db_close(p->copy);
}

static enum hf_err write_line(void *ctx, const void *data, struct hf_why *why)
{
    const struct hf_audit_entry *entry = data;
    struct hf_buf line = {0};

    CHECK_OK(hf_audit_entry_line(entry->text, entry->hash, &line, why));
    assert_int_equal(fwrite(line.data, 1, line.len, ctx), line.len);
    hf_buf_free(&line);
    return HF_OK;
}

/* A copy of the log of `db`, its first `n` entries; its path. */
static const char *export_log(struct fleet_world *w, struct hf_db *db, size_t n)
{
    const char *path = temp_path(w->dir, "log.jsonl");
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    CHECK_OK(hf_audit_log_list(db, 0, 0, n, write_line, file, &w->why));
    assert_int_equal(fclose(file), 0);
    return path;
}

static void what_came_after_the_backup_is_carried(void **state)
{
    struct fleet_world *w = *state;
    struct pair p;

    (void)fleet_account(w, "one");
    open_pair(w, "backup.db", &p);
    int64_t before = newest(p.copy);
    (void)fleet_account(w, "two");
    CHECK_OK(carry(&p, NULL));
    assert_int_equal(p.restored.state_of_entry, before);
    assert_int_equal(p.restored.entries_kept, newest(w->tx.db) - before);
    assert_int_equal(p.restored.entries_of_copy, 0);
    assert_int_equal(newest(p.copy), newest(w->tx.db));
    close_pair(&p);
}

/* Of a row that was deleted since the backup only the log is left. */
static void what_was_deleted_does_not_come_back_into_force(void **state)
{
    struct fleet_world *w = *state;
    int64_t one = fleet_account(w, "one");
    struct hf_ca_row ca = fleet_ca(w, one, 7, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_ACTIVE);
    struct hf_ca_row other = fleet_ca(w, one, 8, HF_CERT_MODE_SNI_ONLY, HF_AUTO_REGISTRATION_OFF);
    uint8_t key[HF_REPORT_KEY_LEN], secret[64];
    struct hf_report_key row;
    struct hf_device device;
    struct pair p;

    (void)crypto_sign_keypair(key, secret);
    CHECK_OK(hf_device_ensure(&w->tx, one, "pump-1", "", &device, &w->why));
    CHECK_OK(hf_report_key_register(&w->tx, &device, key, &row, &w->why));
    open_pair(w, "backup.db", &p);
    CHECK_OK(hf_ca_delete(&w->tx, one, ca.id, 0, &w->why));
    CHECK_OK(hf_ca_change(&w->tx, one, other.id, 0, true, HF_AUTO_REGISTRATION_ACTIVE, &other,
                          &w->why)); /* is taken back */
    CHECK_OK(hf_device_delete(&w->tx, one, device.id, 0, &w->why));
    CHECK_OK(carry(&p, NULL));
    CHECK_OK(hf_ca_get(p.copy, one, ca.id, &ca, &w->why));
    assert_false(ca.is_active);
    CHECK_OK(hf_ca_get(p.copy, one, other.id, &other, &w->why));
    assert_int_equal(other.auto_registration, HF_AUTO_REGISTRATION_OFF);
    CHECK_OK(hf_device_find(p.copy, one, "pump-1", &device, &w->why));
    assert_int_equal(hf_report_key_find(p.copy, device.id, &row, NULL), HF_E_NOT_FOUND);
    assert_int_equal(newest(p.copy), newest(w->tx.db));
    close_pair(&p);
}

/* The database is lost: the log goes on as in the copy, and what it says is done again. */
static void a_copy_of_the_log_brings_what_the_backup_lacks(void **state)
{
    struct fleet_world *w = *state;
    struct hf_credential row, found;
    struct pair p;
    int64_t account = fleet_account(w, "one");
    struct hf_credential_new wanted = fleet_new(account, 1);

    row = fleet_register(w, &wanted);
    open_pair(w, "backup.db", &p);
    CHECK_OK(hf_credential_set_status(&w->tx, account, row.id, 0, HF_CERT_REVOKED, "stolen", &row,
                                      &w->why));
    const char *log = export_log(w, w->tx.db, 1000);
    int64_t entries = newest(w->tx.db);
    struct hf_db *lost = w->tx.db;
    w->tx.db = fleet_open(temp_path(w->dir, "new.db"));
    CHECK_OK(carry(&p, log));
    assert_int_equal(newest(p.copy), entries);
    assert_true(p.restored.entries_of_copy > 0 && p.restored.redone == 1);
    CHECK_OK(hf_credential_get(p.copy, account, row.id, &found, &w->why));
    assert_int_equal(found.status, HF_CERT_REVOKED);
    hf_db_close(lost);
    close_pair(&p);
}

/* The service ran on an old copy meanwhile: what it logged stands inside of new entries. */
static void entries_of_a_fork_are_kept_inside_of_new_ones(void **state)
{
    struct fleet_world *w = *state;
    struct pair p, old;

    (void)fleet_account(w, "one");
    open_pair(w, "backup.db", &p);
    open_pair(w, "old.db", &old);
    (void)fleet_account(w, "true-one");
    const char *log = export_log(w, w->tx.db, 1000);
    int64_t of_copy = newest(w->tx.db);
    struct hf_db *lost = w->tx.db;
    w->tx.db = old.copy;
    (void)fleet_account(w, "meanwhile");
    CHECK_OK(carry(&p, log));
    assert_int_equal(newest(p.copy), of_copy + p.restored.entries_kept);
    assert_true(p.restored.entries_kept > 0);
    w->tx.db = p.copy;
    assert_non_null(strstr(fleet_log(w, 0), "\"action\":\"log.carried\""));
    assert_non_null(strstr(fleet_log(w, 0), "meanwhile"));
    w->tx.db = old.copy;
    hf_db_close(lost);
    hf_effects_free(&old.ignored);
    close_pair(&p);
}

static void logs_of_another_service_are_refused(void **state)
{
    struct fleet_world *w = *state;
    struct pair p, other;

    (void)fleet_account(w, "one");
    open_pair(w, "backup.db", &p);
    open_pair(w, "other.db", &other);
    struct hf_db *own = w->tx.db;
    w->tx.db = other.copy;
    (void)fleet_account(w, "elsewhere");
    w->tx.db = own;
    const char *foreign = export_log(w, other.copy, 1000);

    /* the backup has another entry than the database, and than the copy of the log */
    w->tx.db = p.copy;
    (void)fleet_account(w, "two");
    uint64_t before = fleet_fingerprint(w);
    w->tx.db = own;
    (void)fleet_account(w, "three");
    CHECK_REFUSED(carry(&p, NULL), HF_E_POLICY, &w->why, "it is not a backup of this database");
    CHECK_REFUSED(carry(&p, foreign), HF_E_POLICY, &w->why,
                  "the copy of the log is not of this backup: their logs differ at entry");
    CHECK_REFUSED(carry(&p, export_log(w, other.copy, 1)), HF_E_POLICY, &w->why,
                  "it ends at entry 1, before the backup");
    CHECK_REFUSED(carry(&p, temp_path(w->dir, "none")), HF_E_NOT_FOUND, &w->why, "none");
    w->tx.db = p.copy;
    assert_true(before == fleet_fingerprint(w));
    w->tx.db = own;
    close_pair(&other);
    close_pair(&p);
}

static void a_copy_that_was_changed_is_refused(void **state)
{
    struct fleet_world *w = *state;
    char text[4096];
    struct pair p;

    (void)fleet_account(w, "one");
    open_pair(w, "backup.db", &p);
    (void)fleet_account(w, "two");
    const char *path = export_log(w, w->tx.db, 1000);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    char *name = strstr(text, "\"two\"");
    assert_non_null(name);
    assert_int_equal(fseek(file, name - text, SEEK_SET), 0);
    assert_int_equal(fwrite("\"2wo\"", 1, 5, file), 5);
    assert_int_equal(fclose(file), 0);
    CHECK_REFUSED(carry(&p, path), HF_E_HASH, &w->why, "log.jsonl");
    close_pair(&p);
}

int main(void)
{
#define IN_A_WORLD(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, fleet_world_setup, fleet_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_certificate_gets_the_status_of_the_log),
        IN_A_WORLD(a_certificate_that_only_the_log_knows_is_counted),
        IN_A_WORLD(a_ca_and_a_policy_get_what_the_log_says),
        IN_A_WORLD(tokens_are_used_and_revoked_again),
        IN_A_WORLD(a_key_of_reports_is_revoked_or_replaced_again),
        IN_A_WORLD(the_signer_position_moves_forward_only),
        IN_A_WORLD(an_entry_that_was_carried_counts_as_what_is_in_it),
        IN_A_WORLD(other_entries_change_nothing),
        IN_A_WORLD(what_came_after_the_backup_is_carried),
        IN_A_WORLD(what_was_deleted_does_not_come_back_into_force),
        IN_A_WORLD(a_copy_of_the_log_brings_what_the_backup_lacks),
        IN_A_WORLD(entries_of_a_fork_are_kept_inside_of_new_ones),
        IN_A_WORLD(logs_of_another_service_are_refused),
        IN_A_WORLD(a_copy_that_was_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
