/* Mix-and-match: files that are all genuine, but were never one state of the repository together.
 * Each file is the one that its parent names (TUF 5.5.2, 5.5.4, 5.6.2, 5.6.4). */
#include "tests/support/attack.h"

#include <stdio.h>

/* The repository as it was; bundle 2 follows, and so do new files of all roles. */
static void publish_second_state(struct device *d, struct tuf_files *first)
{
    tuf_files_copy(first, &d->repo.files);
    device_publish(d, 2);
}

static void mix(struct device *d, enum hf_top_role role, const struct tuf_files *from,
                int64_t version)
{
    char path[64];
    snprintf(path, sizeof path, "metadata/%lld.%s.json", (long long)version,
             hf_top_role_name(role));
    attack_answer(d, role, tuf_files_find(from, path));
}

static void mix_of_new_timestamp_and_old_snapshot(void **state)
{
    struct device *d = *state;
    struct tuf_files first = {0};
    d->repo.has_lengths = false;
    publish_second_state(d, &first);
    mix(d, HF_ROLE_SNAPSHOT, &first, 2);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK, "(TUF 5.5.4)");
    attack_check_over(d, 2);
    tuf_files_free(&first);
}

static void mix_of_new_snapshot_and_old_targets(void **state)
{
    struct device *d = *state;
    struct tuf_files first = {0};
    d->repo.has_lengths = false;
    publish_second_state(d, &first);
    mix(d, HF_ROLE_TARGETS, &first, 2);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_ROLLBACK, "(TUF 5.6.4)");
    attack_check_over(d, 2);
    tuf_files_free(&first);
}

static void resign_targets(struct device *d, struct hf_buf *out)
{
    d->repo.roles[HF_ROLE_TARGETS].signed_at_s++; /* as long as the other one */
    tuf_repo_build_targets(&d->repo, out);
    d->repo.roles[HF_ROLE_TARGETS].signed_at_s--;
}

/* Two genuine files of one version and length, such as one that was signed and never released. */
static void mix_of_two_files_of_one_version(void **state)
{
    struct device *d = *state;
    struct hf_buf other = {0};
    d->repo.has_hashes = true;
    device_publish(d, 2);
    resign_targets(d, &other);
    attack_answer(d, HF_ROLE_TARGETS, hf_buf_bytes(&other));
    hf_buf_free(&other);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_HASH, "targets does not have a hash");
    attack_check_over(d, 2);
}

static void mix_of_two_snapshots_of_one_version(void **state)
{
    struct device *d = *state;
    struct hf_buf other = {0};
    d->repo.has_hashes = true;
    device_publish(d, 2);
    d->repo.roles[HF_ROLE_SNAPSHOT].expires_s++;
    tuf_repo_build_snapshot(&d->repo, &other);
    d->repo.roles[HF_ROLE_SNAPSHOT].expires_s--;
    attack_answer(d, HF_ROLE_SNAPSHOT, hf_buf_bytes(&other));
    hf_buf_free(&other);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_HASH, "snapshot metadata does not have a hash");
    attack_check_over(d, 2);
}

/* A snapshot that the device holds but timestamp no longer names is a floor, nothing to act on. */
static void mix_of_new_timestamp_and_the_cached_snapshot(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    fake_mirror_answer(&d->fake.transport.mirrors[0], "metadata/3.snapshot.json", 404, NULL);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_NOT_FOUND,
                         ATTACK_URL "metadata/3.snapshot.json");
    attack_check_over(d, 2);
}

/* Files of the same path where the repository has no consistent snapshots. */
static void mix_without_consistent_snapshots(void **state)
{
    struct device *d = *state;
    struct tuf_files first = {0};
    d->repo.consistent_snapshot = false;
    d->repo.has_lengths = false;
    d->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&d->repo);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    publish_second_state(d, &first);
    attack_answer(d, HF_ROLE_SNAPSHOT, tuf_files_find(&first, "metadata/snapshot.json"));
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK, "(TUF 5.5.4)");
    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    attack_answer(d, HF_ROLE_TARGETS, tuf_files_find(&first, "metadata/targets.json"));
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_ROLLBACK, "(TUF 5.6.4)");
    attack_check_over(d, 2);
    tuf_files_free(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(mix_of_new_timestamp_and_old_snapshot),
        ATTACK_TEST(mix_of_new_snapshot_and_old_targets),
        ATTACK_TEST(mix_of_two_files_of_one_version),
        ATTACK_TEST(mix_of_two_snapshots_of_one_version),
        ATTACK_TEST(mix_of_new_timestamp_and_the_cached_snapshot),
        ATTACK_TEST(mix_without_consistent_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
