/* server/repository/online.c as a daemon calls it: with keys that it holds, and with targets that
 * were signed in a copy of the repository. The commands that call it are tested in tests/cli. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "server/repository/key_record.h"
#include "server/repository/keys/key_file.h"
#include "server/repository/online.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_pki.h"
#include "tests/support/tuf_repo.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_S INT64_C(1793318400) /* 2026-10-30T00:00:00Z */
#define LATER_S (NOW_S + HF_DAY_S)

struct world {
    struct temp_dir *dir;
    struct tuf_repo publisher;
    struct hf_buf pem;
    char repo[96], copy[96], keys_dir[96];
    struct hf_key_set keys; /* held, as a daemon does */
    struct hf_publication_context at;
};
static struct world w;

static void add_bundle(int64_t version)
{
    char path[32];
    (void)snprintf(path, sizeof path, "s/p/%lld.pem", (long long)version);
    tuf_repo_add_target(&w.publisher, path, hf_buf_bytes(&w.pem),
                        json_pack("{s:{s:s, s:s, s:I}}", "holdfast", "set", "s", "profile", "p",
                                  "version", (json_int_t)version));
}

/* What the publisher has, without the files of online keys if they are `left_out`. */
static void write_published(const char *dir, bool left_out)
{
    struct hf_repo repo = {.dir = dir};
    for (size_t i = 0; i < w.publisher.files.n_files; i++) {
        const struct tuf_file *file = &w.publisher.files.files[i];
        if (left_out && (strstr(file->path, "snapshot") != NULL ||
                         strstr(file->path, "timestamp") != NULL || strstr(file->path, "root")))
            continue;
        CHECK_OK(hf_repo_stage_copy(&repo, file->path, hf_buf_bytes(&file->bytes), NULL));
    }
    CHECK_OK(hf_repo_write(&repo, NOW_S, NULL, NULL));
}

#define DAY_1_S (NOW_S + 2 * HF_DAY_S)

/* Opens to a tenth on the day after tomorrow, and to all a day later. */
static json_t *plan_json(void)
{
    struct hf_rollout_plan plan = {.not_before_s = DAY_1_S,
                                   .mandatory_from_s = NOW_S + 60 * HF_DAY_S,
                                   .stages = {{.ppm = 100000, .bake_s = HF_DAY_S},
                                              {.ppm = HF_ROLLOUT_PPM}},
                                   .n_stages = 2,
                                   .pause = {20000, 30000, 50, 21600}};
    return hf_rollout_plan_to_json(&plan);
}

static void add_planned(int64_t version)
{
    char path[32];
    (void)snprintf(path, sizeof path, "s/p/%lld.pem", (long long)version);
    tuf_repo_add_target(&w.publisher, path, hf_buf_bytes(&w.pem),
                        json_pack("{s:{s:s, s:s, s:I, s:o}}", "holdfast", "set", "s", "profile",
                                  "p", "version", (json_int_t)version, "rollout", plan_json()));
}

static void write_key(const char *name, const struct tuf_key *from)
{
    const struct hf_kdf open = {.kind = HF_KDF_NONE};
    struct hf_signing_key key = {0};
    char path[160];
    (void)snprintf(path, sizeof path, "%s/online/%s.key.json", w.keys_dir, name);
    CHECK_OK(hf_signing_key_make(from->secret_key, &key, NULL)); /* its first half is the seed */
    CHECK_OK(hf_key_file_create(path, &key, &open, NULL, NULL));
    hf_signing_key_free(&key);
}

static int setup(void **state)
{
    struct pki_key key;
    struct hf_undo undo = {0};
    w = (struct world){0};
    if (temp_dir_setup((void **)&w.dir) != 0)
        return -1;
    *state = w.dir;
    (void)snprintf(w.repo, sizeof w.repo, "%s/repo", w.dir->path);
    (void)snprintf(w.copy, sizeof w.copy, "%s/copy", w.dir->path);
    (void)snprintf(w.keys_dir, sizeof w.keys_dir, "%s/keys", w.dir->path);
    pki_key_make(&key, PKI_P256);
    struct pki_cert cert = {.subject = "CN=Root", .key = &key, .is_ca = true};
    pki_issue_pem(&cert, &w.pem);
    pki_key_free(&key);
    tuf_repo_init(&w.publisher, NOW_S);
    add_bundle(1);
    tuf_repo_publish_root(&w.publisher);
    tuf_repo_publish(&w.publisher);
    assert_int_equal(mkdir(w.repo, 0755) | mkdir(w.copy, 0755) | mkdir(w.keys_dir, 0700), 0);
    write_published(w.repo, false);
    write_published(w.copy, false);

    CHECK_OK(hf_key_set_init(&w.keys, w.keys_dir, NULL, NULL, NULL));
    const struct hf_key_folder *online = &w.keys.folders[HF_KEYS_ONLINE];
    const struct hf_repo repo = {.dir = w.repo};
    assert_int_equal(mkdir(online->path.text, 0700), 0);
    write_key("snapshot", &w.publisher.roles[HF_ROLE_SNAPSHOT].keys.keys[0]);
    write_key("timestamp", &w.publisher.roles[HF_ROLE_TIMESTAMP].keys.keys[0]);
    CHECK_OK(hf_trusted_root_create(online, &repo, &undo, NULL));
    hf_undo_free(&undo);
    w.at = (struct hf_publication_context){.repo_dir = w.repo, .keys = &w.keys, .now_s = LATER_S};
    return 0;
}

static int teardown(void **state)
{
    hf_key_set_free(&w.keys);
    tuf_repo_free(&w.publisher);
    hf_buf_free(&w.pem);
    return temp_dir_teardown(state);
}

static void check_devices_find(const struct hf_online_result *result)
{
    const struct hf_repo repo = {.dir = w.repo};
    struct hf_trusted_set set;
    CHECK_OK(hf_repo_verify(&repo, w.at.now_s, NULL));
    CHECK_OK(hf_repo_verify_metadata(&repo, w.at.now_s, &set, NULL));
    const struct hf_envelope *const found[HF_TOP_ROLES] =
        {[HF_ROLE_ROOT] = &set.root->env,
         [HF_ROLE_TIMESTAMP] = &set.timestamp->env,
         [HF_ROLE_SNAPSHOT] = &set.snapshot->env,
         [HF_ROLE_TARGETS] = &hf_trusted_set_top_targets(&set)->env};
    for (int role = 0; role < HF_TOP_ROLES; role++) {
        assert_int_equal(result->versions[role], found[role]->version);
        assert_int_equal(result->expires_s[role], found[role]->expires_s);
    }
    hf_trusted_set_free(&set);
}

static void a_refresh_with_held_keys_says_until_when_it_is_valid(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    CHECK_OK(hf_online_refresh(&w.at, &result, NULL));
    assert_int_equal(result.signed_now[HF_ROLE_TIMESTAMP], 2);
    assert_int_equal(result.signed_now[HF_ROLE_SNAPSHOT], 0); /* it lasts longer */
    assert_int_equal(result.expires_s[HF_ROLE_TIMESTAMP],
                     LATER_S + HF_EXPIRY_TIMESTAMP_DAYS * HF_DAY_S);
    check_devices_find(&result);
    /* The keys stay open for the next one, here after the snapshot became old. */
    w.at.now_s = NOW_S + 364 * HF_DAY_S;
    w.at.is_clock_right = true;
    CHECK_OK(hf_online_refresh(&w.at, &result, NULL));
    assert_int_equal(result.signed_now[HF_ROLE_TIMESTAMP], 3);
    assert_int_equal(result.signed_now[HF_ROLE_SNAPSHOT], 2);
    assert_int_equal(result.waiting, 0);
    assert_string_equal(result.waiting_why.text, "");
}

static void targets_signed_in_a_copy_are_published(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    CHECK_OK(hf_online_publish(&w.at, w.copy, &result, NULL));
    assert_int_equal(result.signed_now[HF_ROLE_TARGETS], 0); /* nothing new there */
    add_bundle(2);
    tuf_repo_publish_next(&w.publisher);
    write_published(w.copy, true);
    /* As a process that was handed an open folder names it. */
    char as_descriptor[32];
    int folder = open(w.copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(as_descriptor, sizeof as_descriptor, "/proc/self/fd/%d", folder);
    CHECK_OK(hf_online_publish(&w.at, as_descriptor, &result, NULL));
    close(folder);
    assert_int_equal(result.signed_now[HF_ROLE_TARGETS], 2);
    assert_int_equal(result.signed_now[HF_ROLE_SNAPSHOT], 2);
    check_devices_find(&result);
}

static void a_copy_without_the_newest_targets_is_refused(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    struct hf_why why = {0};
    add_bundle(2);
    tuf_repo_publish_next(&w.publisher);
    write_published(w.repo, true); /* 2 waits here, and the copy does not know it */
    CHECK_REFUSED(hf_online_publish(&w.at, w.copy, &result, &why), HF_E_ROLLBACK, &why,
                  "does not follow targets 2");
    assert_int_equal(result.versions[HF_ROLE_TIMESTAMP], 0);
    assert_false(temp_exists(temp_path(w.dir, "repo/metadata/2.snapshot.json")));
    CHECK_OK(hf_online_refresh(&w.at, &result, NULL));
    assert_int_equal(result.waiting, 2);
    CHECK_OK(hf_online_publish(&w.at, NULL, &result, NULL));
    assert_int_equal(result.signed_now[HF_ROLE_TARGETS], 2);
    check_devices_find(&result);
}

static void a_changed_file_in_a_copy_is_refused(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    struct hf_why why = {0};
    struct hf_targets targets;
    struct hf_path path;
    add_bundle(2);
    tuf_repo_publish_next(&w.publisher);
    write_published(w.copy, true);
    struct hf_bytes file = tuf_files_find(&w.publisher.files, "metadata/2.targets.json");
    CHECK_OK(hf_targets_parse(file, &targets, NULL));
    CHECK_OK(hf_repo_target_path(hf_targets_find(&targets, "s/p/2.pem"), true, &path, NULL));
    hf_targets_free(&targets);
    char changed[sizeof w.copy + sizeof path.text];
    (void)snprintf(changed, sizeof changed, "%s/%s", w.copy, path.text);
    temp_overwrite(changed, 40, "x", 1);
    CHECK_REFUSED(hf_online_publish(&w.at, w.copy, &result, &why), HF_E_HASH, &why, "2.pem");
    assert_false(temp_exists(temp_path(w.dir, "repo/metadata/2.targets.json")));
    assert_false(temp_exists(temp_path(w.dir, "repo/metadata/2.snapshot.json")));
}

/* ---- rollouts -------------------------------------------------------------------------------- */

/* Version 2 has a plan, rollout-s is delegated; its key is at hand. */
static void begin_rollout(void)
{
    struct hf_online_result result = {0};
    struct tuf_delegated_role *role = tuf_repo_delegate(&w.publisher, "targets", "rollout-s",
                                                        "s/*/*.pem", false);
    add_planned(2);
    tuf_repo_publish_next(&w.publisher);
    write_key("rollout-s", &role->role.keys.keys[0]);
    write_published(w.copy, true);
    CHECK_OK(hf_online_publish(&w.at, w.copy, &result, NULL));
    check_devices_find(&result);
}

static enum hf_err step(int64_t from, int64_t stage, enum hf_rollout_state state,
                        struct hf_online_stage *out, struct hf_why *why)
{
    const struct hf_rollout_request request = {.from = from, .stage = stage, .state = state};
    return hf_online_step(&w.at, "s/p/2.pem", &request, "why\nnot", out, NULL, why);
}

static void read_as_device(const char *path, struct hf_online_stage *out)
{
    const struct hf_repo repo = {.dir = w.repo};
    struct hf_trusted_set set;
    CHECK_OK(hf_repo_verify_metadata(&repo, w.at.now_s, &set, NULL));
    CHECK_OK(hf_online_read_stage(&set, path, out, NULL));
    hf_trusted_set_free(&set);
}

static void a_stage_is_signed_with_snapshot_and_timestamp(void **state)
{
    (void)state;
    struct hf_online_stage stage = {0}, found = {0};
    struct hf_why why = {0};
    begin_rollout();
    read_as_device("s/p/2.pem", &found);
    assert_false(found.is_signed);
    assert_int_equal(found.version, 1); /* signed with the delegation, and empty */
    CHECK_REFUSED(step(1, 0, HF_ROLLOUT_OPEN, &stage, &why), HF_E_POLICY, &why, "wait until then");
    assert_false(temp_exists(temp_path(w.dir, "repo/metadata/2.rollout-s.json")));
    w.at.now_s = DAY_1_S;
    CHECK_OK(step(1, 0, HF_ROLLOUT_OPEN, &stage, NULL));
    assert_int_equal(stage.version, 2);
    read_as_device("s/p/2.pem", &found);
    assert_true(found.is_signed);
    assert_int_equal(found.now.state, HF_ROLLOUT_OPEN);
    assert_int_equal(found.now.since_s, DAY_1_S);
    assert_string_equal(found.now.reason, "why?not");
    CHECK_REFUSED(step(1, 0, HF_ROLLOUT_PAUSED, &stage, &why), HF_E_STATE, &why, "found 2");
    CHECK_OK(step(2, 0, HF_ROLLOUT_ABORTED, &stage, NULL));
    CHECK_REFUSED(step(3, 0, HF_ROLLOUT_OPEN, &stage, &why), HF_E_POLICY, &why, "final");
}

/* What a call says of rollout-s. */
static void check_rollout(const struct hf_online_result *result, int64_t version, int64_t expires_s,
                          bool is_signed_now)
{
    assert_int_equal(result->n_rollouts, 1);
    assert_string_equal(result->rollouts[0].role, "rollout-s");
    assert_int_equal(result->rollouts[0].version, version);
    assert_int_equal(result->rollouts[0].expires_s, expires_s);
    assert_int_equal(result->rollouts[0].is_signed_now, is_signed_now);
}

static void a_step_says_which_files_it_took(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    struct hf_online_stage stage = {0};
    const struct hf_rollout_request request = {.from = 1};
    begin_rollout();
    w.at.now_s = DAY_1_S;
    CHECK_OK(hf_online_step(&w.at, "s/p/2.pem", &request, "", &stage, &result, NULL));
    check_devices_find(&result);
    check_rollout(&result, 2, DAY_1_S + 30 * HF_DAY_S, true);
    assert_true(result.signed_now[HF_ROLE_SNAPSHOT] > 0);
    assert_int_equal(result.signed_now[HF_ROLE_TARGETS], 0);
}

static void a_stage_is_carried_over_and_signed_again_in_time(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    struct hf_online_stage stage = {0};
    begin_rollout();
    w.at.now_s = DAY_1_S;
    CHECK_OK(step(1, 0, HF_ROLLOUT_OPEN, &stage, NULL));
    w.at.now_s = DAY_1_S + HF_DAY_S;
    CHECK_OK(hf_online_refresh(&w.at, &result, NULL));
    read_as_device("s/p/2.pem", &stage);
    assert_int_equal(stage.version, 2);
    check_rollout(&result, 2, DAY_1_S + 30 * HF_DAY_S, false);
    w.at.now_s = DAY_1_S + 25 * HF_DAY_S; /* five days before it ends */
    w.at.is_clock_right = true;
    CHECK_OK(hf_online_refresh(&w.at, &result, NULL));
    read_as_device("s/p/2.pem", &stage);
    assert_int_equal(stage.version, 3);
    assert_int_equal(stage.now.since_s, DAY_1_S);
    check_rollout(&result, 3, w.at.now_s + 30 * HF_DAY_S, true);
}

static void a_lost_key_holds_up_no_timestamp(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    struct hf_online_stage stage = {0};
    struct hf_why why = {0};
    begin_rollout();
    w.at.now_s = DAY_1_S;
    CHECK_OK(step(1, 0, HF_ROLLOUT_OPEN, &stage, NULL));
    assert_int_equal(unlink(temp_path(w.dir, "keys/online/rollout-s.key.json")), 0);
    hf_key_set_free(&w.keys);
    CHECK_OK(hf_key_set_init(&w.keys, w.keys_dir, NULL, NULL, NULL));
    CHECK_REFUSED(step(2, 0, HF_ROLLOUT_PAUSED, &stage, &why), HF_E_NOT_FOUND, &why,
                  "does not hold the key of rollout-s");
    w.at.now_s = DAY_1_S + 40 * HF_DAY_S; /* it ended */
    w.at.is_clock_right = true;
    CHECK_OK(hf_online_refresh(&w.at, &result, NULL));
    check_devices_find(&result);
    read_as_device("s/p/2.pem", &stage);
    assert_false(stage.is_signed);
}

static void a_superseded_version_is_aborted(void **state)
{
    (void)state;
    struct hf_online_result result = {0};
    struct hf_online_stage stage = {0};
    begin_rollout();
    w.at.now_s = DAY_1_S;
    CHECK_OK(step(1, 0, HF_ROLLOUT_OPEN, &stage, NULL));
    add_planned(3);
    w.publisher.roles[HF_ROLE_TARGETS].version = 2;
    tuf_repo_publish_next(&w.publisher);
    write_published(w.copy, true);
    CHECK_OK(hf_online_publish(&w.at, w.copy, &result, NULL));
    read_as_device("s/p/2.pem", &stage);
    assert_int_equal(stage.now.state, HF_ROLLOUT_ABORTED);
    assert_string_equal(stage.now.reason, "a higher version was published");
    read_as_device("s/p/3.pem", &stage);
    assert_false(stage.is_signed);
}

static void an_older_stage_is_not_built_on(void **state)
{
    (void)state;
    struct hf_online_stage stage = {0};
    struct hf_why why = {0};
    struct hf_buf before = {0};
    const char *path = temp_path(w.dir, "repo/metadata/timestamp.json");
    begin_rollout();
    w.at.now_s = DAY_1_S;
    CHECK_OK(step(1, 0, HF_ROLLOUT_OPEN, &stage, NULL));
    CHECK_OK(hf_file_read_any(path, 8192, &before, NULL));
    CHECK_OK(step(2, 0, HF_ROLLOUT_PAUSED, &stage, NULL));
    CHECK_OK(hf_file_replace_alone(path, hf_buf_bytes(&before), NULL));
    CHECK_REFUSED(step(3, 0, HF_ROLLOUT_ABORTED, &stage, &why), HF_E_ROLLBACK, &why, "old copy");
    hf_buf_free(&before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_refresh_with_held_keys_says_until_when_it_is_valid),
        TEST(targets_signed_in_a_copy_are_published),
        TEST(a_copy_without_the_newest_targets_is_refused),
        TEST(a_changed_file_in_a_copy_is_refused),
        TEST(a_stage_is_signed_with_snapshot_and_timestamp),
        TEST(a_step_says_which_files_it_took),
        TEST(a_stage_is_carried_over_and_signed_again_in_time),
        TEST(a_lost_key_holds_up_no_timestamp),
        TEST(a_superseded_version_is_aborted),
        TEST(an_older_stage_is_not_built_on),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
