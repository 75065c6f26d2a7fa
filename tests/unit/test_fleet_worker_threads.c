/* server/fleet: jobs from several loops to the writer and the reader and back; run under
 * ThreadSanitizer. */
#include "tests/support/check.h"
#include "tests/support/fleet_world.h"

#include "server/fleet/fleet.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LOOPS 3
#define JOBS 150 /* of each loop */

struct loop;

/* A certificate is registered, revoked and read; each step when the one before is back. */
struct change {
    struct hf_job job;
    struct loop *loop;
    uint32_t number;
    int64_t id;
    int step;
};

struct loop {
    uv_loop_t uv;
    pthread_t thread;
    struct hf_mailbox mailbox;
    struct hf_fleet *fleet;
    int64_t account;
    struct change changes[JOBS];
    unsigned n_done, n_failed;
    uv_idle_t begin;
    uint32_t first;
};

/* ---- what a job does ------------------------------------------------------------------------- */

static enum hf_err act(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct change *change = (struct change *)job;
    struct hf_credential_new wanted = fleet_new(change->loop->account, change->number);
    struct hf_credential row = {0};

    switch (change->step) {
    case 0:
        HF_TRY(hf_credential_register(tx, &wanted, &row, why));
        break;
    case 1:
        HF_TRY(hf_credential_set_status(tx, change->loop->account, change->id, 0, HF_CERT_REVOKED,
                                        "", &row, why));
        break;
    default:
        HF_TRY(hf_credential_get(tx->db, change->loop->account, change->id, &row, why));
        if (row.status != HF_CERT_REVOKED)
            return hf_fail(why, HF_E_STATE, "an answered change is not to be seen");
        break;
    }
    change->id = row.id;
    return HF_OK;
}

static void submit(struct change *change)
{
    struct loop *loop = change->loop;
    struct hf_why why = {0};

    enum hf_err err = change->step < 2 ? hf_fleet_write(loop->fleet, &change->job, &why)
                                       : hf_fleet_read(loop->fleet, &change->job, &why);
    loop->n_failed += err != HF_OK;
}

/* What was answered is in the registry. */
static void done(struct hf_job *job)
{
    static const enum hf_cert_status expected[] = {HF_CERT_ACTIVE, HF_CERT_REVOKED,
                                                   HF_CERT_REVOKED};
    struct change *change = (struct change *)job;
    struct loop *loop = change->loop;
    struct hf_credential_new key = fleet_new(loop->account, change->number);
    struct hf_registered entry = {.status = HF_CERT_NONE};

    if (job->err != HF_OK ||
        !hf_registry_find(hf_fleet_registry(loop->fleet), key.sha256, (uint32_t)loop->account,
                          &entry) ||
        entry.status != expected[change->step])
        loop->n_failed++;
    if (++change->step < 3)
        submit(change);
    else
        loop->n_done++;
    if (loop->n_done == JOBS)
        hf_mailbox_close(&loop->mailbox);
}

/* ---- loops ----------------------------------------------------------------------------------- */

static void begin(uv_idle_t *idle)
{
    struct loop *loop = idle->data;

    uv_close((uv_handle_t *)idle, NULL);
    for (uint32_t i = 0; i < JOBS; i++) {
        loop->changes[i] = (struct change){.loop = loop, .number = loop->first + i};
        loop->changes[i].job = (struct hf_job){.act = act,
                                               .done = done,
                                               .home = hf_mailbox_of(&loop->uv),
                                               .actor = "uid:0"};
        submit(&loop->changes[i]);
    }
}

static void *run_loop(void *arg)
{
    struct loop *loop = arg;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    return NULL;
}

static struct hf_fleet *open_fleet(void **state)
{
    const struct hf_fleet_config config = {.path = temp_path(*state, "fleet.db")};
    struct hf_fleet *fleet = NULL;
    struct hf_why why = {0};

    if (hf_fleet_open(&config, &fleet, &why) != HF_OK)
        fail_msg("%s", why.text);
    return fleet;
}

static int64_t make_account(void **state)
{
    struct hf_effects effects = {0};
    struct hf_account_row row;
    struct hf_tx tx = {.db = fleet_open(temp_path(*state, "fleet.db")),
                       .now_s = FLEET_NOW_S,
                       .actor = "uid:0",
                       .effects = &effects};

    CHECK_OK(hf_account_create(&tx, "one", HF_ANONYMOUS_READ, &row, NULL));
    hf_effects_free(&effects);
    hf_db_close(tx.db);
    return row.id;
}

static void jobs_of_several_loops_come_home(void **state)
{
    static struct loop loops[LOOPS];
    int64_t account = make_account(state);
    struct hf_fleet *fleet = open_fleet(state);
    struct hf_why why = {0};

    for (uint32_t i = 0; i < LOOPS; i++) {
        struct loop *loop = &loops[i];
        loop->fleet = fleet;
        loop->account = account;
        loop->first = 1000 * (i + 1);
        assert_int_equal(uv_loop_init(&loop->uv), 0);
        CHECK_OK(hf_mailbox_init(&loop->mailbox, &loop->uv, &why));
        assert_int_equal(uv_idle_init(&loop->uv, &loop->begin), 0);
        loop->begin.data = loop;
        assert_int_equal(uv_idle_start(&loop->begin, begin), 0);
    }
    for (size_t i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&loops[i].thread, NULL, run_loop, &loops[i]), 0);
    hf_fleet_tick(fleet);
    for (size_t i = 0; i < LOOPS; i++) {
        assert_int_equal(pthread_join(loops[i].thread, NULL), 0);
        assert_int_equal(uv_loop_close(&loops[i].uv), 0);
        hf_mailbox_free(&loops[i].mailbox);
        assert_int_equal(loops[i].n_failed, 0);
        assert_int_equal(loops[i].n_done, JOBS);
    }
    hf_fleet_close(fleet);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static enum hf_err wait_at_gate(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    (void)job;
    (void)tx;
    (void)why;
    (void)pthread_mutex_lock(&gate);
    (void)pthread_mutex_unlock(&gate);
    return HF_OK;
}

static void a_full_queue_says_so_and_its_jobs_are_done(void **state)
{
    struct hf_worker_config config = {.name = "test",
                                      .queue_max = 4,
                                      .batch_max = 2,
                                      .run = hf_worker_run_each};
    struct hf_job jobs[16] = {0};
    bool is_taken[16] = {false};
    struct hf_worker worker;
    struct hf_why why = {0};
    unsigned n_taken = 0;

    (void)state;
    (void)pthread_mutex_lock(&gate);
    CHECK_OK(hf_worker_start(&worker, &config, &why));
    for (size_t i = 0; i < 16; i++) {
        jobs[i].act = wait_at_gate;
        jobs[i].err = HF_E_STATE;
        enum hf_err err = hf_worker_submit(&worker, &jobs[i], &why);
        is_taken[i] = err == HF_OK; /* one after a refused one too: the worker takes meanwhile */
        n_taken += is_taken[i];
        if (!is_taken[i])
            CHECK_REFUSED(err, HF_E_BUSY, &why, "too much to do");
    }
    assert_in_range(n_taken, 4, 6); /* the queue, and up to a batch that is under way */
    (void)pthread_mutex_unlock(&gate);
    hf_worker_stop(&worker);
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(jobs[i].err, is_taken[i] ? HF_OK : HF_E_STATE);
}

/* ---- a token at the same moment -------------------------------------------------------------- */

struct enrol {
    struct hf_job job;
    struct hf_fleet *fleet;
    struct hf_enroll_use use;
    int64_t account;
    const char *secret;
    uint8_t csr;
};

static enum hf_err enrol(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct enrol *e = (struct enrol *)job;
    uint8_t csr[HF_SHA256_LEN] = {e->csr};
    return hf_enroll_token_redeem(tx, e->account, e->secret, "pump", csr, &e->use, why);
}

static void *submit_enrol(void *arg)
{
    struct enrol *e = arg;
    return hf_fleet_write(e->fleet, &e->job, NULL) == HF_OK ? NULL : arg;
}

static void a_token_used_at_the_same_moment_works_once(void **state)
{
    enum { N = 8 };
    int64_t account = make_account(state);
    struct hf_effects effects = {0};
    struct hf_tx tx = {.db = fleet_open(temp_path(*state, "fleet.db")),
                       .now_s = (int64_t)time(NULL),
                       .actor = "uid:0",
                       .effects = &effects};
    struct hf_enroll_token wanted = {.account_id = account,
                                     .kind = HF_CERT_DEVICE,
                                     .uses_max = 1,
                                     .expires_s = tx.now_s + 600};
    char secret[HF_SECRET_TEXT_MAX];
    struct enrol enrols[N] = {0};
    pthread_t threads[N];
    unsigned n_ok = 0;
    void *failed;

    CHECK_OK(hf_enroll_token_create(&tx, &wanted, secret, &wanted, NULL));
    hf_effects_free(&effects);
    hf_db_close(tx.db);
    struct hf_fleet *fleet = open_fleet(state);
    for (uint8_t i = 0; i < N; i++) {
        enrols[i] = (struct enrol){.fleet = fleet, .account = account, .secret = secret, .csr = i};
        enrols[i].job = (struct hf_job){.act = enrol, .actor = "device"};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_enrol, &enrols[i]), 0);
    }
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    hf_fleet_close(fleet);
    for (size_t i = 0; i < N; i++) {
        n_ok += enrols[i].job.err == HF_OK;
        assert_true(enrols[i].job.err == HF_OK || enrols[i].job.err == HF_E_POLICY);
    }
    assert_int_equal(n_ok, 1);
}

int main(void)
{
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, temp_dir_setup, temp_dir_teardown)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(jobs_of_several_loops_come_home),
        cmocka_unit_test(a_full_queue_says_so_and_its_jobs_are_done),
        IN_A_FOLDER(a_token_used_at_the_same_moment_works_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
