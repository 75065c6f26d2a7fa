/* Indefinite freeze: old but genuine files for ever. Every role expires, an expired one is not
 * acted on, and no answer can say "nothing new" past that (TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5). */
#include "tests/support/attack.h"

#include "common/base/timetext.h"

#define DAY HF_DAY_S

static struct fake_mirror *mirror(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

/* Publishes; `role` expires in a day, the device has updated, the attacker keeps these files. */
static struct tuf_files *freeze(struct device *d, enum hf_top_role role)
{
    static struct tuf_files frozen;
    d->repo.roles[role].expires_s = DEVICE_NOW_S + DAY;
    if (role == HF_ROLE_ROOT) {
        d->repo.roles[HF_ROLE_ROOT].version++;
        tuf_repo_publish_root(&d->repo);
    }
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    tuf_files_copy(&frozen, &d->repo.files);
    mirror(d)->files = &frozen;
    return &frozen;
}

/* Frozen, until the second in which `role` expires. */
static void check_frozen_until_expiry(struct device *d, enum hf_top_role role, const char *part)
{
    struct tuf_files *frozen = freeze(d, role);
    d->fake.now_s = DEVICE_NOW_S + DAY - 1;
    attack_check_without_effect(d);
    d->fake.now_s = DEVICE_NOW_S + DAY;
    attack_check_refused(d, role, HF_E_EXPIRED, part);

    if (role == HF_ROLE_ROOT) {
        d->repo.roles[HF_ROLE_ROOT].version++;
        d->repo.roles[HF_ROLE_ROOT].expires_s += DAY;
        tuf_repo_publish_root(&d->repo);
    }
    d->repo.roles[role].expires_s = DEVICE_NOW_S + 2 * DAY;
    device_publish(d, 2);
    mirror(d)->files = &d->repo.files;
    attack_check_over(d, 2);
    tuf_files_free(frozen);
}

/* ---- one role after the other ---------------------------------------------------------------- */

static void freeze_at_the_root(void **state)
{
    check_frozen_until_expiry(*state, HF_ROLE_ROOT, "root version 2 expired");
}

static void freeze_at_the_timestamp(void **state)
{
    check_frozen_until_expiry(*state, HF_ROLE_TIMESTAMP, "timestamp version 3 expired");
}

static void freeze_at_the_snapshot(void **state)
{
    check_frozen_until_expiry(*state, HF_ROLE_SNAPSHOT, "snapshot version 3 expired");
}

static void freeze_at_the_targets(void **state)
{
    check_frozen_until_expiry(*state, HF_ROLE_TARGETS, "targets version 3 expired");
}

/* Who holds the timestamp key keeps it fresh, and has it name the same snapshot for ever. */
static void freeze_at_the_snapshot_under_fresh_timestamps(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_SNAPSHOT].expires_s = DEVICE_NOW_S + DAY;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    d->fake.now_s += DAY;
    d->repo.roles[HF_ROLE_TIMESTAMP].version++;
    tuf_repo_publish(&d->repo);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_EXPIRED, "snapshot version 3 expired");
}

/* ---- "nothing new" --------------------------------------------------------------------------- */

static void forged_304_past_the_expiry_of_the_timestamp(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 8 * DAY;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* the tag is known, and sent from now on */
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 16 * DAY;
    device_publish(d, 2);
    fake_mirror_answer(mirror(d), "metadata/timestamp.json", 304, NULL);
    attack_check_without_effect(d);

    /* Half of its life is over: it is not asked about any more, so "nothing new" answers
     * nothing. */
    d->fake.now_s += 5 * DAY;
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_NETWORK, "found HTTP 304");
    d->fake.now_s += 3 * DAY;
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_NETWORK,
                         ATTACK_URL "metadata/timestamp.json: expected HTTP 200, found HTTP 304");
    attack_check_over(d, 2);
}

/* An attacker who answers once has the timestamp of before, and the tag of the one that is
 * published already. With that the honest server would say "nothing new". */
static void tag_of_the_next_timestamp_given_out_once(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    mirror(d)->etag = "of the next one";
    CHECK_OK(device_update(d));
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_not_modified, 0);
    assert_int_equal(d->result.to_version, 2);
}

/* 304 to a device that has nothing to fall back on is no answer, whichever file it is for. */
static void forged_304_for_what_was_not_asked_about(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    fake_store_put_value(&d->fake.store, "etag.timestamp", "");
    fake_mirror_answer(mirror(d), "*", 304, NULL);
    attack_check_refused(d, HF_ROLE_ROOT, HF_E_NETWORK, "found HTTP 304");
    fake_mirror_reset(mirror(d));
    fake_mirror_answer(mirror(d), "metadata/timestamp.json", 304, NULL);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_NETWORK, "found HTTP 304");
    fake_mirror_reset(mirror(d));
    fake_mirror_answer(mirror(d), "metadata/3.snapshot.json", 304, NULL);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_NETWORK, "found HTTP 304");
    fake_mirror_reset(mirror(d));
    fake_mirror_answer(mirror(d), "metadata/3.targets.json", 304, NULL);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_NETWORK, "found HTTP 304");
    attack_check_over(d, 2);
}

/* The very file of before, once its time is over, is not news either. */
static void same_timestamp_past_its_expiry(void **state)
{
    struct device *d = *state;
    struct tuf_files *frozen = freeze(d, HF_ROLE_TIMESTAMP);
    mirror(d)->ignores_etags = true;
    attack_check_without_effect(d);
    d->fake.now_s += DAY;
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_EXPIRED, "timestamp version 3 expired");
    tuf_files_free(frozen);
}

/* ---- the clock ------------------------------------------------------------------------------- */

/* Time cannot be turned back below what the publisher has signed. */
static void freeze_by_turning_the_clock_back(void **state)
{
    struct device *d = *state;
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + DAY;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));

    d->repo.roles[HF_ROLE_ROOT].signed_at_s = DEVICE_NOW_S + 2 * DAY;
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    d->fake.now_s = 0;
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp version 3 expired");
    device_check_kept(d, "root");
    device_check_unchanged_from(d, "timestamp");
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S + 2 * DAY);
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_EXPIRED, "timestamp version 3 expired");
}

/* ---- the next root --------------------------------------------------------------------------- */

/* Hiding the root that revokes a key wins time until the timestamp of before has expired. */
static void freeze_by_withholding_the_next_root(void **state)
{
    struct device *d = *state;
    struct tuf_files *frozen = freeze(d, HF_ROLE_TIMESTAMP);
    tuf_repo_rotate(&d->repo, HF_ROLE_TIMESTAMP);
    d->repo.roles[HF_ROLE_TIMESTAMP].expires_s = DEVICE_NOW_S + 2 * DAY;
    device_publish(d, 2);
    attack_check_without_effect(d);
    d->fake.now_s += DAY;
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_EXPIRED, &d->why, "timestamp version 3 expired");
    device_check_unchanged_from(d, "root");
    mirror(d)->files = &d->repo.files;
    attack_check_over(d, 2);
    tuf_files_free(frozen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(freeze_at_the_root),
        ATTACK_TEST(freeze_at_the_timestamp),
        ATTACK_TEST(freeze_at_the_snapshot),
        ATTACK_TEST(freeze_at_the_targets),
        ATTACK_TEST(freeze_at_the_snapshot_under_fresh_timestamps),
        ATTACK_TEST(forged_304_past_the_expiry_of_the_timestamp),
        ATTACK_TEST(tag_of_the_next_timestamp_given_out_once),
        ATTACK_TEST(forged_304_for_what_was_not_asked_about),
        ATTACK_TEST(same_timestamp_past_its_expiry),
        ATTACK_TEST(freeze_by_turning_the_clock_back),
        ATTACK_TEST(freeze_by_withholding_the_next_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
