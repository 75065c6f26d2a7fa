/* common/tuf/receipts in the trusted set: which signatures need not be verified again, and that
 * nothing else is taken on trust. */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/tuf/trusted_set.h"
#include "tests/support/counting_verify.h"
#include "tests/support/tuf_repo.h"

#include <stdlib.h>

#define NOW_S INT64_C(1900000000)
#define YEAR_S (365 * HF_DAY_S)

/* A repository, the files a device has of it, and its receipts for them. */
struct fixture {
    struct tuf_repo repo;
    struct hf_buf files[HF_TOP_ROLES];
    struct hf_receipts receipts;
    struct hf_trusted_set set;
    struct hf_why why;
};

static void keep_files(struct fixture *f)
{
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        char path[128];
        tuf_repo_role_path(&f->repo, (enum hf_top_role)i, path);
        struct hf_bytes file = tuf_files_find(&f->repo.files, path);
        hf_buf_free(&f->files[i]);
        CHECK_OK(hf_buf_append(&f->files[i], file.data, file.len));
    }
}

/* The files as they are, from the device's own store: in the order of the specification, up to the
 * first that is refused. */
static enum hf_err take_cached(struct fixture *f, const struct hf_receipts *known)
{
    struct hf_bytes file[HF_TOP_ROLES];
    for (int i = 0; i < HF_TOP_ROLES; i++)
        file[i] = hf_buf_bytes(&f->files[i]);
    hf_trusted_set_free(&f->set);
    counting_verify_begin();
    HF_TRY(hf_trusted_set_resume(&f->set, file[HF_ROLE_ROOT], NOW_S, known, &f->why));
    HF_TRY(hf_trusted_set_end_roots(&f->set, &f->why));
    HF_TRY(hf_trusted_set_update_timestamp(&f->set, file[HF_ROLE_TIMESTAMP], HF_CACHED, &f->why));
    HF_TRY(hf_trusted_set_update_snapshot(&f->set, file[HF_ROLE_SNAPSHOT], HF_CACHED, &f->why));
    return hf_trusted_set_update_targets(&f->set, file[HF_ROLE_TARGETS], "targets", NULL, &f->why);
}

static int make(void **state)
{
    static const struct hf_receipts none;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tuf_repo_init(&f->repo, NOW_S);
    f->repo.has_lengths = false; /* so that it is the signature that refuses what was changed */
    tuf_repo_add_target(&f->repo, "set/full/1.pem", hf_bytes_of_text("one"), NULL);
    tuf_repo_publish_root(&f->repo);
    tuf_repo_publish(&f->repo);
    keep_files(f);
    CHECK_OK(take_cached(f, &none));
    assert_true(hf_trusted_set_receipts(&f->set, &f->receipts));
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;
    hf_trusted_set_free(&f->set);
    for (int i = 0; i < HF_TOP_ROLES; i++)
        hf_buf_free(&f->files[i]);
    tuf_repo_free(&f->repo);
    free(f);
    return 0;
}

/* ---- what they spare ------------------------------------------------------------------------- */

static void without_receipts_every_role_is_verified(void **state)
{
    static const struct hf_receipts none;
    CHECK_OK(take_cached(*state, &none));
    assert_int_equal(counting_verify_count(), HF_TOP_ROLES);
}

static void the_same_files_are_not_verified_again(void **state)
{
    struct fixture *f = *state;
    struct hf_receipts again;
    CHECK_OK(take_cached(f, &f->receipts));
    assert_int_equal(counting_verify_count(), 0);
    assert_non_null(hf_targets_find(hf_trusted_set_top_targets(&f->set), "set/full/1.pem"));
    assert_true(hf_trusted_set_receipts(&f->set, &again));
    assert_memory_equal(&again, &f->receipts, sizeof again);
}

static void a_new_timestamp_is_the_only_one_verified(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_TIMESTAMP].version++;
    tuf_repo_publish(&f->repo);
    keep_files(f);
    CHECK_OK(take_cached(f, &f->receipts));
    assert_int_equal(counting_verify_count(), 1);
}

static void there_are_none_before_all_four_are_trusted(void **state)
{
    struct fixture *f = *state;
    struct hf_receipts out = f->receipts;
    hf_trusted_set_free(&f->set);
    assert_false(hf_trusted_set_receipts(&f->set, &out));
    f->repo.roles[HF_ROLE_TARGETS].expires_s = NOW_S;
    tuf_repo_publish(&f->repo);
    keep_files(f);
    CHECK_REFUSED(take_cached(f, &f->receipts), HF_E_EXPIRED, &f->why, "targets version 1 expired");
    assert_false(hf_trusted_set_receipts(&f->set, &out));
    assert_memory_equal(&out, &f->receipts, sizeof out);
}

/* ---- what they do not spare ------------------------------------------------------------------ */

/* Any single bit: either something refuses the file, or its signature was looked at. */
static void a_flipped_bit_anywhere_is_never_taken_on_a_receipt(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        struct hf_buf *file = &f->files[i];
        for (size_t at = 0; at < file->len; at++) {
            uint8_t bit = (uint8_t)(1u << (at % 8));
            file->data[at] ^= bit;
            enum hf_err err = take_cached(f, &f->receipts);
            file->data[at] ^= bit;
            if (err == HF_OK && counting_verify_count() == 0)
                fail_msg("%s with another byte %zu was taken on its receipt",
                         hf_top_role_name((enum hf_top_role)i), at);
        }
    }
}

/* The year of expiry, the first in each file: well formed, and not what was signed. */
static void a_changed_file_is_refused_for_its_signature(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        char *year = strstr((char *)f->files[i].data, "\"expires\": \"2031");
        assert_non_null(year);
        year[sizeof "\"expires\": \"203" - 1] = '2';
        CHECK_REFUSED(take_cached(f, &f->receipts), HF_E_SIGNATURE, &f->why,
                      hf_top_role_name((enum hf_top_role)i));
        assert_int_equal(counting_verify_count(), 1);
        year[sizeof "\"expires\": \"203" - 1] = '1';
    }
    CHECK_OK(take_cached(f, &f->receipts));
    assert_int_equal(counting_verify_count(), 0);
}

static void receipts_of_other_roles_do_not_count(void **state)
{
    struct fixture *f = *state;
    struct hf_receipts shifted;
    for (int i = 0; i < HF_TOP_ROLES; i++)
        memcpy(shifted.of[i], f->receipts.of[(i + 1) % HF_TOP_ROLES], HF_SHA256_LEN);
    CHECK_OK(take_cached(f, &shifted));
    assert_int_equal(counting_verify_count(), HF_TOP_ROLES);
}

/* Were one key to serve two roles, it would still be this role that a file was verified for. */
static void a_receipt_names_its_role(void **state)
{
    struct fixture *f = *state;
    const struct hf_envelope *env = &f->set.timestamp->env;
    struct hf_receipts other = {0};
    hf_receipt_make(f->set.root, HF_ROLE_SNAPSHOT, env, other.of[HF_ROLE_TIMESTAMP]);
    assert_false(hf_receipts_include(&other, f->set.root, HF_ROLE_TIMESTAMP, env));
    hf_receipt_make(f->set.root, HF_ROLE_TIMESTAMP, env, other.of[HF_ROLE_TIMESTAMP]);
    assert_true(hf_receipts_include(&other, f->set.root, HF_ROLE_TIMESTAMP, env));
}

static void another_root_makes_all_receipts_void(void **state)
{
    struct fixture *f = *state;
    f->repo.roles[HF_ROLE_ROOT].version++; /* the same keys for everything */
    tuf_repo_publish_root(&f->repo);
    keep_files(f);
    CHECK_OK(take_cached(f, &f->receipts));
    assert_int_equal(counting_verify_count(), HF_TOP_ROLES);
}

static void a_revoked_key_is_not_saved_by_a_receipt(void **state)
{
    struct fixture *f = *state;
    tuf_keys_make(&f->repo.roles[HF_ROLE_TARGETS].keys, 1, 1);
    f->repo.roles[HF_ROLE_ROOT].version++;
    tuf_repo_publish_root(&f->repo); /* root alone: targets are still those of the former keys */
    keep_files(f);
    CHECK_REFUSED(take_cached(f, &f->receipts), HF_E_SIGNATURE, &f->why,
                  "targets version 1 is signed by 0");
}

/* The next root as the repository stands, with any receipt that an attacker calculated for it. */
static void check_new_root_is_refused(struct fixture *f)
{
    struct hf_buf next = {0};
    struct hf_root forged;
    tuf_repo_build_root(&f->repo, &next);
    CHECK_OK(hf_root_parse(hf_buf_bytes(&next), &forged, &f->why));
    const struct hf_root *const by[] = {f->set.root, &forged};
    for (size_t i = 0; i < 2; i++) {
        struct hf_trusted_set set = {0};
        struct hf_receipts known = f->receipts;
        hf_receipt_make(by[i], HF_ROLE_ROOT, &forged.env, known.of[HF_ROLE_ROOT]);
        CHECK_OK(hf_trusted_set_resume(&set, hf_buf_bytes(&f->files[HF_ROLE_ROOT]), NOW_S, &known,
                                       &f->why));
        const struct hf_root *held = set.root;
        CHECK_REFUSED(hf_trusted_set_update_root(&set, hf_buf_bytes(&next), &f->why),
                      HF_E_SIGNATURE, &f->why, "root version 2 is signed by 0");
        assert_ptr_equal(set.root, held);
        hf_trusted_set_free(&set);
    }
    hf_root_free(&forged);
    hf_buf_free(&next);
}

static void a_new_root_is_never_taken_on_a_receipt(void **state)
{
    struct fixture *f = *state;
    struct tuf_role *root = &f->repo.roles[HF_ROLE_ROOT];
    struct tuf_keys before = root->keys;
    root->version++;
    tuf_keys_make(&root->keys, 1, 1);
    check_new_root_is_refused(f); /* signed by itself alone */
    f->repo.root_keys_before = before;
    root->keys.n_signers = 0;
    check_new_root_is_refused(f); /* by those before alone */
}

static void a_receipt_says_nothing_about_expiry_or_version(void **state)
{
    struct fixture *f = *state;
    struct hf_bytes timestamp = hf_buf_bytes(&f->files[HF_ROLE_TIMESTAMP]);
    CHECK_OK(take_cached(f, &f->receipts));
    hf_trusted_set_free(&f->set);
    CHECK_OK(hf_trusted_set_resume(&f->set, hf_buf_bytes(&f->files[HF_ROLE_ROOT]), NOW_S,
                                   &f->receipts, &f->why));
    CHECK_OK(hf_trusted_set_end_roots(&f->set, &f->why));
    f->set.now_s = NOW_S + YEAR_S;
    CHECK_REFUSED(hf_trusted_set_update_timestamp(&f->set, timestamp, HF_FETCHED, &f->why),
                  HF_E_EXPIRED, &f->why, "5.4.4");
    assert_null(f->set.timestamp);
    f->set.now_s = NOW_S;
    CHECK_OK(hf_trusted_set_update_timestamp(&f->set, timestamp, HF_FETCHED, &f->why));
    f->set.timestamp->snapshot.version = 2;
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, hf_buf_bytes(&f->files[HF_ROLE_SNAPSHOT]),
                                                 HF_FETCHED, &f->why),
                  HF_E_ROLLBACK, &f->why, "5.5.4");
    assert_null(f->set.snapshot);
    f->set.online_keys_rotated = true;
    CHECK_REFUSED(hf_trusted_set_update_snapshot(&f->set, hf_buf_bytes(&f->files[HF_ROLE_SNAPSHOT]),
                                                 HF_CACHED, &f->why),
                  HF_E_STATE, &f->why, "5.3.11");
}

/* How many signatures it costs to take the role "other", after all above it. */
static unsigned cost_of_delegated(struct fixture *f, struct tuf_delegated_role *role,
                                  const struct hf_receipts *known)
{
    struct hf_buf file = {0};
    keep_files(f);
    tuf_repo_build_delegated(&f->repo, role, &file);
    CHECK_OK(take_cached(f, known));
    counting_verify_begin();
    CHECK_OK(hf_trusted_set_update_targets(&f->set, hf_buf_bytes(&file), "other", f->set.targets[0],
                                           &f->why));
    hf_buf_free(&file);
    return (unsigned)counting_verify_count();
}

static void a_delegated_role_has_one_under_its_delegator(void **state)
{
    struct fixture *f = *state;
    struct hf_receipts known;
    struct tuf_delegated_role *role = tuf_repo_delegate(&f->repo, "targets", "other", "*", false);
    tuf_repo_publish(&f->repo);
    assert_int_equal(cost_of_delegated(f, role, &f->receipts), 1);
    assert_true(hf_trusted_set_receipts(&f->set, &known));
    assert_int_equal(cost_of_delegated(f, role, &known), 0);
    assert_true(hf_trusted_set_receipts(&f->set, &known));
    role->role.expires_s++; /* another file of the role */
    tuf_repo_publish(&f->repo);
    assert_int_equal(cost_of_delegated(f, role, &known), 1);
    assert_true(hf_trusted_set_receipts(&f->set, &known));
    f->repo.roles[HF_ROLE_TARGETS].expires_s++; /* another delegator, the same role */
    tuf_repo_publish(&f->repo);
    assert_int_equal(cost_of_delegated(f, role, &known), 1);
}

/* ---- as text --------------------------------------------------------------------------------- */

static void the_text_reads_back(void **state)
{
    struct fixture *f = *state;
    char text[HF_RECEIPTS_TEXT_SIZE];
    struct hf_receipts out;
    hf_receipts_format(&f->receipts, text);
    assert_int_equal(strlen(text), 320);
    hf_receipts_parse(text, &out);
    assert_memory_equal(&out, &f->receipts, sizeof out);
}

static void a_damaged_text_is_no_receipt(void **state)
{
    static const struct hf_receipts none;
    struct fixture *f = *state;
    char text[HF_RECEIPTS_TEXT_SIZE + 1] = "";
    struct hf_receipts out = f->receipts;

    hf_receipts_parse("", &out);
    assert_memory_equal(&out, &none, sizeof out);
    hf_receipts_format(&f->receipts, text);
    text[255] = '\0'; /* too short */
    hf_receipts_parse(text, &out);
    assert_memory_equal(&out, &none, sizeof out);
    memcpy(text + 255, "00", 3); /* too long */
    hf_receipts_parse(text, &out);
    assert_memory_equal(&out, &none, sizeof out);
    memcpy(text + 255, "g", 2); /* no digit at the very end */
    hf_receipts_parse(text, &out);
    assert_memory_equal(&out, &none, sizeof out);
    CHECK_OK(take_cached(f, &out));
    assert_int_equal(counting_verify_count(), HF_TOP_ROLES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_receipts_every_role_is_verified),
        TEST(the_same_files_are_not_verified_again),
        TEST(a_new_timestamp_is_the_only_one_verified),
        TEST(there_are_none_before_all_four_are_trusted),
        TEST(a_flipped_bit_anywhere_is_never_taken_on_a_receipt),
        TEST(a_changed_file_is_refused_for_its_signature),
        TEST(receipts_of_other_roles_do_not_count),
        TEST(a_receipt_names_its_role),
        TEST(another_root_makes_all_receipts_void),
        TEST(a_revoked_key_is_not_saved_by_a_receipt),
        TEST(a_new_root_is_never_taken_on_a_receipt),
        TEST(a_receipt_says_nothing_about_expiry_or_version),
        TEST(a_delegated_role_has_one_under_its_delegator),
        TEST(the_text_reads_back),
        TEST(a_damaged_text_is_no_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
