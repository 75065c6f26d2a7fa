/* Malicious mirrors: the first one of two is hostile, the second serves what the publisher signed.
 * What the first one does is said in the log, and the device gets its bundle all the same. */
#include "tests/support/attack.h"

#include "common/base/timetext.h"

#include <string.h>

#define B "http://b.test/"

static int setup(void **state)
{
    device_setup(state);
    struct device *d = *state;
    device_add_mirror(d, "http://b.test", NULL);
    device_reboot(d);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* so that the next check begins with the first one again */
    return 0;
}

static struct fake_mirror *hostile(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static bool journal_has(const struct device *d, const char *part)
{
    const struct fake_rows *events = &d->fake.store.state.events;
    for (size_t i = 0; i < events->n; i++) {
        if (strstr((const char *)events->rows[i].bytes.data, part) != NULL)
            return true;
    }
    return false;
}

/* The hostile one was asked, found out and named; the other one had the bundle. */
static void check_second_mirror_serves(struct device *d, const char *found_out)
{
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
    assert_true(fake_transport_count(&d->fake.transport, ATTACK_URL) > 0);
    if (!journal_has(d, found_out))
        fail_msg("the journal does not say \"%s\": %s", found_out, (char *)d->fake.log.text.data);
}

static void check_answer_is_found_out(struct device *d, int status, const char *body,
                                      const char *found_out)
{
    device_publish(d, 2);
    fake_mirror_answer(hostile(d), "*", status, body);
    check_second_mirror_serves(d, found_out);
}

/* ---- one that prepares the answer of another ------------------------------------------------- */

/* It gives the old timestamp the entity tag that the other mirror will give the new one. */
static void mirror_that_gives_out_the_tag_of_what_is_to_come(void **state)
{
    struct device *d = *state;
    fake_store_put_value(&d->fake.store, "etag.timestamp", "");
    hostile(d)->etag = "of the next one";
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    d->fake.transport.mirrors[1].etag = "of the next one";
    fake_mirror_answer(hostile(d), "*", 0, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.to_version, 2);
}

/* ---- one that serves nothing of use ---------------------------------------------------------- */

static void mirror_that_is_silent(void **state)
{
    check_answer_is_found_out(*state, 0, NULL,
                              ATTACK_URL "metadata/2.root.json: connection refused");
}

static void mirror_that_is_a_captive_portal(void **state)
{
    check_answer_is_found_out(*state, 200, "<html>Room 101: please log in</html>",
                              ATTACK_URL "metadata/2.root.json: root should be JSON, a web page");
}

static void mirror_that_redirects_to_a_captive_portal(void **state)
{
    check_answer_is_found_out(*state, 302, NULL,
                              ATTACK_URL "metadata/2.root.json: expected HTTP 200, found HTTP 302");
}

static void mirror_that_has_nothing(void **state)
{
    check_answer_is_found_out(*state, 404, NULL,
                              ATTACK_URL "metadata/timestamp.json: there is no such file");
}

static void mirror_that_answers_304_to_everything(void **state)
{
    check_answer_is_found_out(*state, 304, NULL,
                              ATTACK_URL "metadata/2.root.json: expected HTTP 200, found HTTP 304");
}

/* ---- one that forges ------------------------------------------------------------------------- */

static void check_forged(struct device *d, enum hf_top_role role, const char *found_out)
{
    struct tuf_keys own = d->repo.roles[role].keys;
    struct hf_buf forged = {0};
    d->repo.has_lengths = false;
    if (role == HF_ROLE_ROOT)
        d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    device_publish(d, 2);

    tuf_keys_make(&d->repo.roles[role].keys, 1, 1);
    switch (role) {
    case HF_ROLE_ROOT:
        tuf_repo_build_root(&d->repo, &forged);
        break;
    case HF_ROLE_TIMESTAMP:
        tuf_repo_build_timestamp(&d->repo, &forged);
        break;
    case HF_ROLE_SNAPSHOT:
        tuf_repo_build_snapshot(&d->repo, &forged);
        break;
    case HF_ROLE_TARGETS:
    case HF_TOP_ROLES:
        tuf_repo_build_targets(&d->repo, &forged);
        break;
    }
    d->repo.roles[role].keys = own;
    attack_answer(d, role, hf_buf_bytes(&forged));
    hf_buf_free(&forged);
    check_second_mirror_serves(d, found_out);
}

static void mirror_that_forges_root(void **state)
{
    check_forged(*state, HF_ROLE_ROOT, ATTACK_URL "metadata/2.root.json: root version 2 is signed");
}

static void mirror_that_forges_timestamp(void **state)
{
    check_forged(*state, HF_ROLE_TIMESTAMP,
                 ATTACK_URL "metadata/timestamp.json: timestamp version");
}

static void mirror_that_forges_snapshot(void **state)
{
    check_forged(*state, HF_ROLE_SNAPSHOT, ATTACK_URL "metadata/3.snapshot.json: snapshot version");
}

static void mirror_that_forges_targets(void **state)
{
    check_forged(*state, HF_ROLE_TARGETS, ATTACK_URL "metadata/3.targets.json: targets version");
}

static void mirror_that_damages_the_bundle(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    attack_answer_bundle(d, hf_bytes_of_text("damaged"));
    check_second_mirror_serves(d, "2.pem has 7 bytes, the signed metadata announces");
    assert_true(journal_has(d, ATTACK_URL "targets/amazon-iot/full/"));
}

/* ---- one that is late ------------------------------------------------------------------------ */

static void mirror_that_rolls_back(void **state)
{
    struct device *d = *state;
    struct tuf_files old = {0};
    tuf_files_copy(&old, &d->repo.files);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));
    hostile(d)->files = &old;
    device_publish(d, 2);
    check_second_mirror_serves(d, ATTACK_URL "metadata/timestamp.json: timestamp version 2 is "
                                             "older than version 3");
    tuf_files_free(&old);
}

/* What this device trusts already, and nothing newer: one check is lost, the next asks
 * elsewhere. */
static void mirror_that_freezes_holds_one_check_back(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    tuf_files_copy(&frozen, &d->repo.files);
    hostile(d)->files = &frozen;
    device_publish(d, 2);
    for (int check = 0; check < 2; check++)
        CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    tuf_files_free(&frozen);
}

static void mirror_that_freezes_is_left_at_the_expiry(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + HF_DAY_S;
    tuf_repo_publish_next(&d->repo);
    tuf_files_copy(&frozen, &d->repo.files);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));
    hostile(d)->files = &frozen;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s += HF_DAY_S;
    device_publish(d, 2);
    d->fake.now_s += HF_DAY_S;
    check_second_mirror_serves(d,
                               ATTACK_URL "metadata/timestamp.json: timestamp version 3 expired");
    tuf_files_free(&frozen);
}

/* Nor for longer than half of the life that the frozen timestamp had: then all are asked. */
static void mirror_that_freezes_is_doubted_before_the_expiry(void **state)
{
    struct device *d = *state;
    struct tuf_files frozen = {0};
    tuf_files_copy(&frozen, &d->repo.files);
    hostile(d)->files = &frozen;
    device_publish(d, 2);
    d->fake.now_s += 200 * HF_DAY_S; /* of 365 */
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    tuf_files_free(&frozen);
}

/* "There is no newer root" is believed until something does not fit: then all are asked for it. */
static void mirror_that_withholds_a_root(void **state)
{
    struct device *d = *state;
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    device_publish(d, 2);
    fake_mirror_answer(hostile(d), "metadata/2.root.json", 404, NULL);
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

/* ---- when all of them are -------------------------------------------------------------------- */

static void all_mirrors_hostile(void **state)
{
    struct device *d = *state;
    struct tuf_repo stranger;
    tuf_repo_init(&stranger, DEVICE_NOW_S);
    tuf_repo_publish(&stranger);
    struct hf_bytes forged = tuf_files_find(&stranger.files, "metadata/timestamp.json");
    device_publish(d, 2);
    attack_answer(d, HF_ROLE_TIMESTAMP, forged);
    fake_mirror_answer(&d->fake.transport.mirrors[1], "metadata/timestamp.json", 503, NULL);
    /* The most telling of the two is reported, whichever comes last. */
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_SIGNATURE,
                         ATTACK_URL "metadata/timestamp.json: timestamp version 1 is signed by 0");
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_SIGNATURE,
                         ATTACK_URL "metadata/timestamp.json: timestamp version 1 is signed by 0");
    assert_true(journal_has(d, B "metadata/timestamp.json: expected HTTP 200, found HTTP 503"));
    fake_mirror_reset(&d->fake.transport.mirrors[1]);
    attack_check_over(d, 2);
    tuf_repo_free(&stranger);
}

/* What the good one served before it went away stays; the next check needs no more than the
 * rest. */
static void mirror_that_goes_away_in_the_middle(void **state)
{
    struct device *d = *state;
    struct tuf_files old = {0};
    tuf_files_copy(&old, &d->repo.files);
    device_publish(d, 2);
    fake_mirror_answer(hostile(d), "metadata/3.targets.json", 0, NULL);
    d->fake.transport.mirrors[1].files = &old;
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_NOT_FOUND, B "metadata/3.targets.json");
    attack_check_over(d, 2);
    assert_int_equal(fake_transport_count(&d->fake.transport, "snapshot"), 0);
    tuf_files_free(&old);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mirror_that_gives_out_the_tag_of_what_is_to_come),
        TEST(mirror_that_is_silent),
        TEST(mirror_that_is_a_captive_portal),
        TEST(mirror_that_redirects_to_a_captive_portal),
        TEST(mirror_that_has_nothing),
        TEST(mirror_that_answers_304_to_everything),
        TEST(mirror_that_forges_root),
        TEST(mirror_that_forges_timestamp),
        TEST(mirror_that_forges_snapshot),
        TEST(mirror_that_forges_targets),
        TEST(mirror_that_damages_the_bundle),
        TEST(mirror_that_rolls_back),
        TEST(mirror_that_freezes_holds_one_check_back),
        TEST(mirror_that_freezes_is_left_at_the_expiry),
        TEST(mirror_that_freezes_is_doubted_before_the_expiry),
        TEST(mirror_that_withholds_a_root),
        TEST(all_mirrors_hostile),
        TEST(mirror_that_goes_away_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
