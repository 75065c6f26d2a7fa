/*
 * The power goes at every operation on the disk of an enrolment and of a rotation: what `current`
 * leads to is a pair that the service accepts, or its predecessor if it refused that before, and
 * the same command succeeds afterwards. The slots are real files; the service and the
 * values of the database are in memory. README.md.
 */
#include "client/port/identity/identity.h"
#include "client/port/identity/request.h"
#include "client/port/identity/slots.h"
#include "common/base/timetext.h"
#include "tests/support/check.h"
#include "tests/support/cut_disk.h"
#include "tests/support/fake_service.h"
#include "tests/support/fake_store.h"
#include "tests/support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NOW INT64_C(1800000000) /* certificates of tests last from 2020 to 2040 */
#define N_SEEDS_LONG 100u
/* What is lost (cut_disk.h). With the second one an enrolment is cut that is there all the same. */
static const uint64_t seeds_short[] = {CUT_IN_TURN, 1};
#define N_SEEDS_SHORT (unsigned)(sizeof seeds_short / sizeof seeds_short[0])

static struct world {
    struct temp_dir *dir;
    struct fake_service service;
    struct fake_store store;
    const struct hf_device_key *key;
    char state_dir[128];
    unsigned refused; /* the service refuses what is in this slot; 0: none */
} world;

static void journal(void *ctx, enum hf_level level, const char *kind, const char *text)
{
    (void)ctx, (void)level, (void)kind, (void)text;
}

static enum hf_err save(void *ctx, const struct hf_rotation *rotation, struct hf_why *why)
{
    const struct hf_store_port store = fake_store_port(&world.store);

    (void)ctx;
    return hf_rotation_save(&store, rotation, why);
}

static struct hf_identity identity(void)
{
    return (struct hf_identity){.state_dir = world.state_dir,
                                .device_id = "crash-test",
                                .default_url = "https://mirror.test", /* not the service */
                                .key = world.key,
                                .api = fake_service_port(&world.service),
                                .store = fake_store_port(&world.store),
                                .now_s = NOW,
                                .save = save,
                                .journal = journal};
}

static enum hf_err enroll(struct hf_why *why)
{
    const struct hf_enrolment enrolment = {.token = FAKE_TOKEN, .url = "https://identity.test"};
    const struct hf_identity id = identity();
    struct hf_credential made;

    return hf_identity_enroll(&id, &enrolment, &made, why);
}

static enum hf_err rotate(struct hf_why *why)
{
    const struct hf_identity id = identity();
    struct hf_credential made;

    return hf_identity_rotate(&id, &made, why);
}

/* The candidate has had all its tries but one. */
static enum hf_err rotate_at_last(struct hf_why *why)
{
    const struct hf_rotation rotation = {.last_try_s = HF_TIME_NONE,
                                         .since_s = HF_TIME_NONE,
                                         .n_denied = HF_CANDIDATE_TRIES_MAX - 1};

    CHECK_OK(save(NULL, &rotation, NULL));
    return rotate(why);
}

/* The slot in use, 0 for none, after checking that the service accepts it, or its predecessor. */
static unsigned check_current(void)
{
    struct hf_slots slots;
    struct hf_client_auth auth;
    struct hf_credential credential;

    CHECK_OK(hf_slots_read(world.state_dir, &slots, NULL));
    if (slots.current == 0)
        return 0;
    unsigned accepted = slots.current == world.refused ? slots.predecessor : slots.current;
    assert_int_not_equal(accepted, 0);
    CHECK_OK(hf_slots_load(&slots, accepted, world.key, &auth, NULL));
    CHECK_OK(hf_identity_describe(&auth.chain, &credential, NULL));
    assert_true(fake_service_accepts(&world.service, credential.sha256));
    hf_client_auth_free(&auth);
    return slots.current;
}

/* At most two slots and the link; in each nothing but key, certificate and address. */
static void check_tidy(void)
{
    struct hf_slots slots;
    struct hf_path path;

    CHECK_OK(hf_slots_read(world.state_dir, &slots, NULL));
    size_t n = temp_count(slots.dir.text);
    assert_in_range(n, 2, 3);
    CHECK_OK(hf_path_set(&path, NULL, "%s/%u", slots.dir.text, slots.current));
    assert_int_equal(temp_count(path.text), world.key != NULL ? 2 : 3);
    assert_int_equal(temp_mode(path.text) & 0777, 0700);
}

/* Cut `work` at operation `cut`; true if it ended before that. */
static bool cut_at(const struct disk_image *start, enum hf_err (*work)(struct hf_why *why),
                   unsigned cut, uint64_t seed)
{
    struct hf_why why = {0};

    disk_image_write(world.dir->path, start);
    cut_disk_begin(world.dir->path, cut, seed);
    enum hf_err err = work(&why);
    bool is_finished = !cut_disk_is_off();
    if (is_finished) {
        CHECK_OK(err);
        cut_disk_check_complete();
    }
    cut_disk_reboot();
    return is_finished;
}

/* `first`: the slot in use before, 0 for none. */
static void cut_everywhere(const char *what, enum hf_err (*work)(struct hf_why *why),
                           unsigned first)
{
    const bool is_long = getenv("HOLDFAST_LONG") != NULL;
    const unsigned n_seeds = is_long ? N_SEEDS_LONG : N_SEEDS_SHORT;
    struct disk_image start = {0};
    unsigned n_cuts = 0, n_old = 0;
    struct hf_why why = {0};

    disk_image_read(world.dir->path, &start);
    for (unsigned seed = 0; seed < n_seeds; seed++) {
        bool is_finished = false;
        for (unsigned cut = 1; !is_finished; cut++) {
            world.service.token_key[0] = '\0';
            is_finished = cut_at(&start, work, cut, is_long ? seed : seeds_short[seed]);
            unsigned current = check_current();
            assert_true(current >= first);
            n_old += current == first;
            n_cuts += !is_finished;
            if (current == first && work(&why) != HF_OK)
                fail_msg("after cut %u with seed %u: %s", cut, seed, why.text);
            assert_true(check_current() > first);
            CHECK_OK(rotate(&why));
            assert_true(check_current() > current);
            check_tidy();
        }
    }
    print_message("%s: %u cuts, %u old\n", what, n_cuts, n_old);
    assert_true(n_cuts / n_seeds >= 5 && n_old > 0 && n_old < n_cuts);
    disk_image_free(&start);
}

static void an_enrolment(void **state)
{
    (void)state;
    cut_everywhere("enrolment", enroll, 0);
}

static void a_rotation(void **state)
{
    struct hf_why why = {0};

    (void)state;
    CHECK_OK(enroll(&why));
    cut_everywhere("rotation", rotate, 1);
}

/* There are two slots already, and what an earlier cut left. */
static void a_rotation_with_leftovers(void **state)
{
    struct hf_why why = {0};

    (void)state;
    CHECK_OK(enroll(&why));
    CHECK_OK(rotate(&why));
    assert_int_equal(mkdir(temp_path(world.dir, "device/identity/3"), 0700), 0);
    temp_write(temp_path(world.dir, "device/identity/3/.key.pem.x1y2z3"), "half a k");
    temp_write(temp_path(world.dir, "device/identity/current.new"), "left");
    cut_everywhere("rotation with leftovers", rotate, 2);
}

static void a_rotation_that_replaces_a_certificate_that_cannot_connect(void **state)
{
    struct hf_why why = {0};

    (void)state;
    CHECK_OK(enroll(&why));
    world.service.fails_path = "/v1/whoami";
    assert_int_equal(rotate(&why), HF_E_NETWORK);
    world.service.fails_path = NULL;
    world.service.known[1].is_active = false;
    world.service.refuses_by_alert = true;
    cut_everywhere("replacement", rotate_at_last, 1);
}

static void a_rotation_over_the_predecessor(void **state)
{
    struct hf_why why = {0};

    (void)state;
    CHECK_OK(enroll(&why));
    CHECK_OK(rotate(&why));
    world.service.known[1].is_active = false;
    world.refused = 2;
    cut_everywhere("rotation over the predecessor", rotate, 2);
}

static void an_enrolment_and_rotations_with_a_key_of_the_port(void **state)
{
    struct fake_element element;
    struct hf_why why = {0};

    (void)state;
    fake_element_init(&element, PKI_P256);
    const struct hf_device_key key = fake_element_key(&element);
    world.key = &key;
    CHECK_OK(enroll(&why));
    cut_everywhere("rotation with a key of the port", rotate, 1);
    world.key = NULL;
    fake_element_free(&element);
}

static int setup(void **state)
{
    if (temp_dir_setup(state) != 0)
        return -1;
    memset(&world, 0, sizeof world);
    world.dir = *state;
    (void)snprintf(world.state_dir, sizeof world.state_dir, "%s/device", world.dir->path);
    fake_service_init(&world.service);
    world.service.host = "identity.test";
    return mkdir(world.state_dir, 0700);
}

static int teardown(void **state)
{
    fake_service_free(&world.service);
    fake_store_free(&world.store);
    return temp_dir_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_enrolment, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotation_with_leftovers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotation_that_replaces_a_certificate_that_cannot_connect,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotation_over_the_predecessor, setup, teardown),
        cmocka_unit_test_setup_teardown(an_enrolment_and_rotations_with_a_key_of_the_port, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
