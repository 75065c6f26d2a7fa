/* server/fleet: the whole store (fleet.h), what it loads at the start, backup and restore while it
 * runs. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"
#include "tests/support/test_pki.h"

#include "server/db/driver.h"
#include "server/db/sqlite_copy.h"
#include "server/fleet/fleet.h"

#include <semaphore.h>
#include <stdlib.h>

/* A job that this thread waits for. */
struct task {
    struct hf_job job;
    enum hf_err (*body)(struct task *task, struct hf_tx *tx, struct hf_why *why);
    struct hf_fleet *fleet;
    const char *path, *log;
    struct hf_restored restored;
    int64_t account, id, to_account;
    enum hf_cert_status status;
    uint32_t number;
    sem_t is_done;
};

static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct task *task = (struct task *)job;
    return task->body(task, tx, why);
}

static void done(struct hf_job *job)
{
    (void)sem_post(&((struct task *)job)->is_done);
}

static enum hf_err run(struct hf_fleet *fleet, struct task *task, bool is_write, bool is_alone)
{
    task->job = (struct hf_job){.act = act, .done = done, .actor = "uid:0", .runs_alone = is_alone};
    task->fleet = fleet;
    (void)sem_init(&task->is_done, 0, 0);
    CHECK_OK(is_write ? hf_fleet_write(fleet, &task->job, NULL)
                      : hf_fleet_read(fleet, &task->job, NULL));
    while (sem_wait(&task->is_done) != 0)
        ;
    (void)sem_destroy(&task->is_done);
    return task->job.err;
}

static enum hf_err register_one(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_credential_new wanted = fleet_new(task->account, task->number);
    struct hf_credential row;

    HF_TRY(hf_credential_register(tx, &wanted, &row, why));
    task->id = row.id;
    return HF_OK;
}

static enum hf_err set_status(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_credential row;
    return hf_credential_set_status(tx, task->account, task->id, 0, task->status, "", &row, why);
}

/* To task->to_account, which accepts it. */
static enum hf_err hand_over(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_credential row;
    HF_TRY(hf_credential_transfer(tx, task->account, task->id, 0, task->to_account, "", &row, why));
    return hf_credential_accept_transfer(tx, task->to_account, task->id, &row, why);
}

static enum hf_err make_account(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_account_row row;

    HF_TRY(hf_account_create(tx, task->path, HF_ANONYMOUS_READ, &row, why));
    task->account = row.id;
    return hf_account_add_sni(tx, row.id, task->path, why);
}

static enum hf_err backup(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    (void)tx;
    return hf_fleet_backup(task->fleet, task->path, why);
}

static enum hf_err restore(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_restore_from from = {task->path, task->log};
    return hf_fleet_restore_backup(task->fleet, tx, &from, &task->restored, why);
}

static enum hf_err verify_log(struct task *task, struct hf_tx *tx, struct hf_why *why)
{
    struct hf_audit_copy copy;

    HF_TRY(hf_audit_log_verify(tx->db, NULL, &copy, why));
    task->id = copy.head.sequence;
    return HF_OK;
}

/* ---- the fleet of each test ------------------------------------------------------------------ */

static struct hf_directory *offered;

static void offer(void *ctx, struct hf_directory *directory)
{
    (void)ctx;
    hf_directory_unref(offered);
    offered = hf_directory_ref(directory);
}

static struct hf_fleet *open_fleet(void **state)
{
    const struct hf_fleet_config config = {.path = temp_path(*state, "fleet.db"), .offer = offer};
    struct hf_fleet *fleet = NULL;
    struct hf_why why = {0};

    if (hf_fleet_open(&config, &fleet, &why) != HF_OK)
        fail_msg("%s", why.text);
    return fleet;
}

static int64_t new_account(struct hf_fleet *fleet, const char *name)
{
    struct task task = {.body = make_account, .path = name};
    CHECK_OK(run(fleet, &task, true, false));
    return task.account;
}

static int64_t new_credential(struct hf_fleet *fleet, int64_t account, uint32_t number)
{
    struct task task = {.body = register_one, .account = account, .number = number};
    CHECK_OK(run(fleet, &task, true, false));
    return task.id;
}

static void change(struct hf_fleet *fleet, int64_t account, int64_t id, enum hf_cert_status status)
{
    struct task task = {.body = set_status, .account = account, .id = id, .status = status};
    CHECK_OK(run(fleet, &task, true, false));
}

static enum hf_cert_status in_registry(struct hf_fleet *fleet, int64_t account, uint32_t number)
{
    struct hf_credential_new key = fleet_new(account, number);
    struct hf_registered entry;

    if (!hf_registry_find(hf_fleet_registry(fleet), key.sha256, (uint32_t)account, &entry))
        return HF_CERT_NONE;
    return entry.status;
}

static int teardown(void **state)
{
    hf_directory_unref(offered);
    offered = NULL;
    return temp_dir_teardown(state);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_change_is_in_memory_when_it_is_answered(void **state)
{
    struct hf_fleet *fleet = open_fleet(state);
    int64_t account = new_account(fleet, "one");
    int64_t id = new_credential(fleet, account, 1);

    assert_int_equal(in_registry(fleet, account, 1), HF_CERT_ACTIVE);
    change(fleet, account, id, HF_CERT_REVOKED);
    assert_int_equal(in_registry(fleet, account, 1), HF_CERT_REVOKED);
    assert_non_null(hf_directory_by_sni(offered, "one", 3));
    hf_fleet_close(fleet);
}

static void what_is_in_the_database_is_loaded_at_the_start(void **state)
{
    struct hf_fleet *fleet = open_fleet(state);
    int64_t one = new_account(fleet, "one"), two = new_account(fleet, "two");
    int64_t id = new_credential(fleet, one, 1);

    (void)new_credential(fleet, two, 1);
    change(fleet, one, id, HF_CERT_INACTIVE);
    hf_fleet_close(fleet);
    fleet = open_fleet(state);
    assert_int_equal(in_registry(fleet, one, 1), HF_CERT_INACTIVE);
    assert_int_equal(in_registry(fleet, two, 1), HF_CERT_ACTIVE);
    assert_int_equal(in_registry(fleet, two, 2), HF_CERT_NONE);
    struct hf_directory *directory = hf_fleet_directory(fleet);
    assert_string_equal(hf_directory_account(directory, (uint32_t)two)->name, "two");
    assert_int_equal(hf_directory_by_sni(directory, "two", 3)->id, two);
    hf_directory_unref(directory);
    hf_fleet_close(fleet);
}

static void one_process_has_the_database(void **state)
{
    struct hf_fleet *fleet = open_fleet(state), *second = NULL;
    const struct hf_fleet_config config = {.path = temp_path(*state, "fleet.db")};
    struct hf_why why = {0};

    CHECK_REFUSED(hf_fleet_open(&config, &second, &why), HF_E_BUSY, &why,
                  "another holdfastd uses this database");
    assert_null(second);
    hf_fleet_close(fleet);
}

static void a_restore_takes_back_what_came_after_the_backup(void **state)
{
    struct hf_fleet *fleet = open_fleet(state);
    int64_t one = new_account(fleet, "one"), log_before;
    int64_t a = new_credential(fleet, one, 1), b = new_credential(fleet, one, 2);
    struct task task = {.body = backup, .path = temp_path(*state, "backup")};

    CHECK_OK(run(fleet, &task, false, false));
    change(fleet, one, a, HF_CERT_INACTIVE);
    change(fleet, one, b, HF_CERT_REVOKED);
    (void)new_credential(fleet, one, 3);
    const int64_t two = new_account(fleet, "two");
    assert_non_null(hf_directory_account(offered, (uint32_t)two));
    task.body = verify_log;
    CHECK_OK(run(fleet, &task, false, false));
    log_before = task.id;

    task.body = restore;
    CHECK_OK(run(fleet, &task, true, true));
    assert_int_equal(in_registry(fleet, one, 1), HF_CERT_ACTIVE);
    assert_int_equal(in_registry(fleet, one, 2), HF_CERT_REVOKED); /* never taken back */
    assert_int_equal(in_registry(fleet, one, 3), HF_CERT_NONE);
    assert_null(hf_directory_account(offered, (uint32_t)two));
    assert_null(hf_directory_by_sni(offered, "two", 3));
    assert_false(temp_exists(temp_path(*state, "fleet.db.restore")));
    task.body = verify_log;
    CHECK_OK(run(fleet, &task, false, false));
    assert_int_equal(task.id, log_before + 1);

    (void)new_credential(fleet, one, 4);
    hf_fleet_close(fleet);
    fleet = open_fleet(state);
    assert_int_equal(in_registry(fleet, one, 1), HF_CERT_ACTIVE);
    assert_int_equal(in_registry(fleet, one, 2), HF_CERT_REVOKED);
    assert_int_equal(in_registry(fleet, one, 3), HF_CERT_NONE);
    assert_int_equal(in_registry(fleet, one, 4), HF_CERT_ACTIVE);
    hf_fleet_close(fleet);
}

/* Also in the account that it belonged to when the backup was made. */
static void a_certificate_that_was_revoked_elsewhere_stays_revoked(void **state)
{
    struct hf_fleet *fleet = open_fleet(state);
    int64_t one = new_account(fleet, "one"), two = new_account(fleet, "two");
    int64_t moved = new_credential(fleet, one, 1);
    int64_t same = new_credential(fleet, two, 2);

    (void)new_credential(fleet, one, 2);
    struct task task = {.path = temp_path(*state, "backup"),
                        .account = one,
                        .id = moved,
                        .to_account = two};

    task.body = backup;
    CHECK_OK(run(fleet, &task, false, false));
    change(fleet, one, moved, HF_CERT_INACTIVE);
    task.body = hand_over;
    CHECK_OK(run(fleet, &task, true, false));
    change(fleet, two, moved, HF_CERT_REVOKED);
    change(fleet, two, same, HF_CERT_REVOKED);

    task.body = restore;
    CHECK_OK(run(fleet, &task, true, true));
    assert_int_equal(task.restored.kept_revoked, 2);
    assert_int_equal(in_registry(fleet, one, 1), HF_CERT_REVOKED);
    assert_int_equal(in_registry(fleet, two, 1), HF_CERT_NONE);
    assert_int_equal(in_registry(fleet, two, 2), HF_CERT_REVOKED);
    assert_int_equal(in_registry(fleet, one, 2), HF_CERT_ACTIVE); /* registered by itself */
    hf_fleet_close(fleet);
}

/* The registry and the number of log entries stay. */
static void expect_refused(struct hf_fleet *fleet, const char *path, enum hf_err err,
                           const char *part)
{
    struct task task = {.body = verify_log};
    CHECK_OK(run(fleet, &task, false, false));
    int64_t before = task.id;

    struct task refused = {.body = restore, .path = path};
    CHECK_REFUSED(run(fleet, &refused, true, true), err, &refused.job.why, part);
    CHECK_OK(run(fleet, &task, false, false));
    assert_int_equal(task.id, before);
    assert_int_equal(in_registry(fleet, 1, 1), HF_CERT_ACTIVE);
}

static void a_backup_that_is_none_is_refused(void **state)
{
    struct hf_fleet *fleet = open_fleet(state);
    int64_t one = new_account(fleet, "one");
    const char *path = temp_path(*state, "backup"), *other_path = temp_path(*state, "other.db");
    struct task task = {.body = backup, .path = path};
    struct hf_db *other, *damaged = NULL;
    struct hf_why why = {0};

    (void)new_credential(fleet, one, 1);
    expect_refused(fleet, path, HF_E_NOT_FOUND, "there is no database");

    /* Of another service, with a log of its own. */
    struct hf_effects effects = {0};
    other = fleet_open(other_path);
    struct hf_tx tx = {.db = other, .now_s = FLEET_NOW_S, .actor = "uid:1", .effects = &effects};
    struct hf_account_row row;
    CHECK_OK(hf_account_create(&tx, "theirs", HF_ANONYMOUS_READ, &row, &why));
    hf_effects_free(&effects);
    hf_db_close(other);
    expect_refused(fleet, other_path, HF_E_POLICY, "not a backup of this database");

    /* With a log that was changed. */
    CHECK_OK(run(fleet, &task, false, false));
    CHECK_OK(hf_db_connect(&hf_db_sqlite, path, HF_DB_WRITE, &damaged, &why));
    CHECK_OK(hf_db_execute_text(damaged, "DELETE FROM audit_log WHERE sequence = 1", &why));
    hf_db_close(damaged);
    expect_refused(fleet, path, HF_E_ROLLBACK, "expected entry 1");

    /* Of a newer Holdfast. */
    CHECK_OK(hf_db_connect(&hf_db_sqlite, other_path, HF_DB_WRITE, &damaged, &why));
    CHECK_OK(hf_db_execute_text(damaged,
                                "INSERT INTO migration (number, name) VALUES (1000, '1000-x')",
                                &why));
    hf_db_close(damaged);
    expect_refused(fleet, other_path, HF_E_SCHEMA, "newer Holdfast");
    hf_fleet_close(fleet);
}

/* The CA of a directory is parsed; one that cannot be is refused with the act, not afterwards. */
static void an_act_that_memory_cannot_follow_is_refused_alone(void **state)
{
    struct hf_fleet *fleet = open_fleet(state);
    int64_t one = new_account(fleet, "one");
    struct task task = {.body = register_one, .account = one, .number = 1};

    task.account = 77; /* no such account */
    assert_int_equal(run(fleet, &task, true, false), HF_E_STATE);
    assert_int_equal(in_registry(fleet, 77, 1), HF_CERT_NONE);
    hf_fleet_close(fleet);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(a_change_is_in_memory_when_it_is_answered),
        IN_A_FOLDER(what_is_in_the_database_is_loaded_at_the_start),
        IN_A_FOLDER(one_process_has_the_database),
        IN_A_FOLDER(a_restore_takes_back_what_came_after_the_backup),
        IN_A_FOLDER(a_certificate_that_was_revoked_elsewhere_stays_revoked),
        IN_A_FOLDER(a_backup_that_is_none_is_refused),
        IN_A_FOLDER(an_act_that_memory_cannot_follow_is_refused_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
