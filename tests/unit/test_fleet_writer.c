/* server/fleet/writer: a batch, a job that fails in it, and what is applied when. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "server/db/sqlite.h"
#include "server/fleet/writer.h"

#include <stdio.h>

#define N 4

struct step {
    struct hf_job job;
    int64_t account;
    uint32_t number;
    enum hf_err fails_with; /* after it has changed something */
    bool fails_first;       /* before it has */
    bool ends_transaction;  /* as SQLite does when it cannot read a page */
    unsigned n_runs;
};

/* What the writer tells: 'p' prepare, 'a' apply, 'c' cancel; and how many effects with the last
 * apply. */
static struct {
    char calls[32];
    size_t n_applied;
    unsigned n_prepare_failures; /* that are to come */
    enum hf_err fails_with;
    struct hf_db *db;
} port;

static void note(char call)
{
    size_t len = strlen(port.calls);
    assert_true(len + 1 < sizeof port.calls);
    port.calls[len] = call;
    port.calls[len + 1] = '\0';
}

static enum hf_err prepare(void *ctx, struct hf_db *db, const struct hf_effects *effects,
                           struct hf_why *why)
{
    (void)ctx;
    (void)effects;
    note('p');
    assert_int_equal(hf_db_depth(db), 1);
    if (port.n_prepare_failures == 0)
        return HF_OK;
    port.n_prepare_failures--;
    return hf_fail(why, port.fails_with, "the registry is full");
}

static void apply(void *ctx, const struct hf_effects *effects)
{
    (void)ctx;
    note('a');
    assert_int_equal(hf_db_depth(port.db), 0);
    port.n_applied = effects->n;
}

static void cancel(void *ctx)
{
    (void)ctx;
    note('c');
}

static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct step *step = (struct step *)job;
    struct hf_credential_new wanted = fleet_new(step->account, step->number);
    struct hf_credential row;

    step->n_runs++;
    if (step->ends_transaction) {
        const struct hf_sqlite *conn = hf_db_connection(tx->db);
        assert_int_equal(sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    }
    if (step->fails_first)
        return hf_fail(why, step->fails_with, "refused at once");
    HF_TRY(hf_credential_register(tx, &wanted, &row, why));
    return step->fails_with == HF_OK ? HF_OK : hf_fail(why, step->fails_with, "as the test wants");
}

static int64_t n_credentials(struct fleet_world *w)
{
    int64_t n = -1;
    CHECK_OK(hf_credential_count(w->tx.db, &n, &w->why));
    return n;
}

static struct hf_writer make_writer(struct fleet_world *w)
{
    memset(&port, 0, sizeof port);
    port.db = w->tx.db;
    port.fails_with = HF_E_LIMIT;
    return (struct hf_writer){.db = w->tx.db, .port = {NULL, prepare, apply, cancel}};
}

static void make_batch(struct fleet_world *w, struct step steps[N], struct hf_job_list *batch)
{
    int64_t account = fleet_account(w, "one");

    STAILQ_INIT(batch);
    for (uint32_t i = 0; i < N; i++) {
        steps[i] = (struct step){.account = account, .number = i};
        steps[i].job = (struct hf_job){.act = act, .actor = "uid:7"};
        STAILQ_INSERT_TAIL(batch, &steps[i].job, link);
    }
}

static void a_batch_is_one_transaction(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    hf_writer_run(&writer, &batch);
    for (size_t i = 0; i < N; i++)
        CHECK_OK(steps[i].job.err);
    assert_string_equal(port.calls, "pa");
    assert_int_equal(port.n_applied, N);
    assert_int_equal(n_credentials(w), N);
    assert_non_null(strstr(fleet_log(w, 0), "\"actor\":\"uid:7\""));
    hf_writer_free(&writer);
}

static void a_job_that_fails_takes_nothing_with_it(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    steps[1].fails_with = HF_E_POLICY;
    hf_writer_run(&writer, &batch);
    CHECK_OK(steps[0].job.err);
    CHECK_REFUSED(steps[1].job.err, HF_E_POLICY, &steps[1].job.why, "as the test wants");
    CHECK_OK(steps[3].job.err);
    assert_string_equal(port.calls, "pa");
    assert_int_equal(port.n_applied, N - 1);
    assert_int_equal(n_credentials(w), N - 1);
    struct hf_audit_copy copy;
    CHECK_OK(hf_audit_log_verify(w->tx.db, NULL, &copy, &w->why));
    hf_writer_free(&writer);
}

static void a_batch_of_failures_commits_nothing(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    for (size_t i = 0; i < N; i++)
        steps[i].fails_with = HF_E_POLICY;
    hf_writer_run(&writer, &batch);
    assert_string_equal(port.calls, "");
    assert_int_equal(n_credentials(w), 0);
    assert_int_equal(hf_db_depth(w->tx.db), 0);
    hf_writer_free(&writer);
}

static void when_a_batch_fails_each_job_is_tried_alone(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    steps[3].fails_with = HF_E_POLICY;
    port.n_prepare_failures = 2; /* of the batch, and of the first job */
    hf_writer_run(&writer, &batch);
    assert_string_equal(port.calls, "pcpcpapa");
    CHECK_REFUSED(steps[0].job.err, HF_E_LIMIT, &steps[0].job.why, "the registry is full");
    CHECK_OK(steps[1].job.err);
    CHECK_OK(steps[2].job.err);
    CHECK_REFUSED(steps[3].job.err, HF_E_POLICY, &steps[3].job.why, "as the test wants");
    assert_int_equal(steps[2].n_runs, 2);
    assert_int_equal(port.n_applied, 1);
    assert_int_equal(n_credentials(w), 2);
    hf_writer_free(&writer);
}

static void when_the_database_fails_no_job_is_tried_again(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    port.n_prepare_failures = 1;
    port.fails_with = HF_E_STORAGE;
    hf_writer_run(&writer, &batch);
    assert_string_equal(port.calls, "pc");
    for (size_t i = 0; i < N; i++) {
        CHECK_REFUSED(steps[i].job.err, HF_E_STORAGE, &steps[i].job.why, "the registry is full");
        assert_int_equal(steps[i].n_runs, 1);
    }
    assert_int_equal(n_credentials(w), 0);
    hf_writer_free(&writer);
}

static void make_checks_first(struct step steps[N])
{
    for (size_t i = 0; i < N; i++)
        steps[i].job.checks_first = true;
}

static void a_job_that_checks_first_is_refused_without_a_savepoint(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    make_checks_first(steps);
    steps[1].fails_with = HF_E_POLICY;
    steps[1].fails_first = true;
    hf_writer_run(&writer, &batch);
    CHECK_OK(steps[0].job.err);
    CHECK_REFUSED(steps[1].job.err, HF_E_POLICY, &steps[1].job.why, "refused at once");
    CHECK_OK(steps[3].job.err);
    assert_string_equal(port.calls, "pa");
    assert_int_equal(steps[3].n_runs, 1);
    assert_int_equal(port.n_applied, N - 1);
    assert_int_equal(n_credentials(w), N - 1);
    hf_writer_free(&writer);
}

/* What it has changed would be committed with the others: so nothing is, and each is tried
 * alone. */
static void a_job_that_checks_first_and_fails_later_leaves_nothing(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    make_checks_first(steps);
    steps[1].fails_with = HF_E_STATE;
    hf_writer_run(&writer, &batch);
    CHECK_OK(steps[0].job.err);
    CHECK_REFUSED(steps[1].job.err, HF_E_STATE, &steps[1].job.why, "as the test wants");
    CHECK_OK(steps[2].job.err);
    CHECK_OK(steps[3].job.err);
    assert_string_equal(port.calls, "papapa");
    assert_int_equal(steps[0].n_runs, 2);
    assert_int_equal(n_credentials(w), N - 1);
    assert_int_equal(hf_db_depth(w->tx.db), 0);
    hf_writer_free(&writer);
}

static void a_fault_of_the_database_after_the_checks_fails_the_batch(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    make_checks_first(steps);
    steps[1].fails_with = HF_E_STORAGE;
    hf_writer_run(&writer, &batch);
    for (size_t i = 0; i < N; i++)
        CHECK_REFUSED(steps[i].job.err, HF_E_STORAGE, &steps[i].job.why, "as the test wants");
    assert_string_equal(port.calls, "");
    assert_int_equal(steps[0].n_runs, 1);
    assert_int_equal(n_credentials(w), 0);
    assert_int_equal(hf_db_depth(w->tx.db), 0);
    hf_writer_free(&writer);
}

/* Those behind it would be committed one by one, and what they change in memory never applied. */
static void a_transaction_that_the_database_ends_ends_the_batch(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    make_checks_first(steps);
    steps[1].fails_with = HF_E_STORAGE;
    steps[1].fails_first = steps[1].ends_transaction = true;
    hf_writer_run(&writer, &batch);
    for (size_t i = 0; i < N; i++)
        CHECK_REFUSED(steps[i].job.err, HF_E_STORAGE, &steps[i].job.why, "refused at once");
    assert_string_equal(port.calls, "");
    assert_int_equal(steps[2].n_runs, 0);
    assert_int_equal(n_credentials(w), 0);
    assert_int_equal(hf_db_depth(w->tx.db), 0);
    hf_writer_free(&writer);
}

static enum hf_err alone(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    assert_int_equal(hf_db_depth(tx->db), 0);
    HF_TRY(hf_db_begin(tx->db, why));
    HF_TRY(act(job, tx, why)); /* leaves the transaction open */
    return hf_db_commit(tx->db, why);
}

static void a_job_that_runs_alone_splits_the_batch(void **state)
{
    struct fleet_world *w = *state;
    struct hf_writer writer = make_writer(w);
    struct hf_job_list batch;
    struct step steps[N];

    make_batch(w, steps, &batch);
    steps[1].job.act = steps[2].job.act = alone;
    steps[1].job.runs_alone = steps[2].job.runs_alone = true;
    steps[2].fails_with = HF_E_POLICY;
    hf_writer_run(&writer, &batch);
    assert_string_equal(port.calls, "paacpa");
    assert_int_equal(hf_db_depth(w->tx.db), 0);
    CHECK_OK(steps[1].job.err);
    CHECK_REFUSED(steps[2].job.err, HF_E_POLICY, &steps[2].job.why, "as the test wants");
    assert_int_equal(n_credentials(w), 3);
    hf_writer_free(&writer);
}

int main(void)
{
#define IN_A_WORLD(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, fleet_world_setup, fleet_world_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_batch_is_one_transaction),
        IN_A_WORLD(a_job_that_fails_takes_nothing_with_it),
        IN_A_WORLD(a_batch_of_failures_commits_nothing),
        IN_A_WORLD(when_a_batch_fails_each_job_is_tried_alone),
        IN_A_WORLD(when_the_database_fails_no_job_is_tried_again),
        IN_A_WORLD(a_job_that_checks_first_is_refused_without_a_savepoint),
        IN_A_WORLD(a_job_that_checks_first_and_fails_later_leaves_nothing),
        IN_A_WORLD(a_fault_of_the_database_after_the_checks_fails_the_batch),
        IN_A_WORLD(a_transaction_that_the_database_ends_ends_the_batch),
        IN_A_WORLD(a_job_that_runs_alone_splits_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
