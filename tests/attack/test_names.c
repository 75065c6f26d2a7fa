/* Names that are more than names: paths that leave their folder, and text that would write more
 * than one line into a log. All of it is signed: the publisher was careless, or the keys are
 * stolen. */
#include "tests/support/attack.h"

#include "common/base/limits.h"

#include <stdio.h>
#include <string.h>

static const char *const traversals[] = {
    "../2.pem",
    "../../../etc/passwd",
    "/etc/passwd",
    "/amazon-iot/full/2.pem",
    "//a.test/amazon-iot/full/2.pem",
    "http://evil.test/amazon-iot/full/2.pem",
    "file:///etc/passwd",
    "amazon-iot/full/../../../../etc/passwd",
    "amazon-iot/full/../full/2.pem",
    "amazon-iot/full/./2.pem",
    "amazon-iot/full//2.pem",
    "amazon-iot//full/2.pem",
    "amazon-iot/full/2.pem/",
    "amazon-iot/full/2.pem/..",
    "amazon-iot\\full\\2.pem",
    "amazon-iot/full/..\\..\\2.pem",
    "amazon-iot/full/%2e%2e/2.pem",
    "amazon-iot/full/2.pem?x=1",
    "amazon-iot/full/2.pem#x",
    "amazon-iot/full/02.pem",
    "amazon-iot/full/+2.pem",
    "amazon-iot/full/2.pem\r\nHost: evil.test",
    "AMAZON-IOT/full/2.pem",
    "",
};
#define N_TRAVERSALS (sizeof traversals / sizeof traversals[0])

/* Every one of them is described as the newest bundle of this very device. */
static void publish_traversals(struct device *d)
{
    struct hf_buf pem = {0};
    device_make_anchor("Root 2", &pem);
    for (size_t i = 0; i < N_TRAVERSALS; i++)
        tuf_repo_add_target(&d->repo, traversals[i], hf_buf_bytes(&pem),
                            device_custom(DEVICE_SET, DEVICE_PROFILE, 2));
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
}

static void path_traversal_in_target_names(void **state)
{
    struct device *d = *state;
    publish_traversals(d);
    attack_check_without_effect(d);
    assert_true(fake_log_has(&d->fake, "the target ../2.pem is skipped: its description belongs "
                                       "to amazon-iot/full/2.pem"));
}

/* With nothing else to choose, a device takes nothing rather than one of these. */
static void path_traversal_offered_to_an_empty_device(void **state)
{
    struct device *d = *state;
    tuf_repo_remove_target(&d->repo, "amazon-iot/full/1.pem");
    publish_traversals(d);
    device_remember(d);
    CHECK_REFUSED(device_update(d), HF_E_NOT_FOUND, &d->why,
                  "no bundle of set \"amazon-iot\" and profile \"full\"");
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 0);
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    assert_int_equal(d->fake.trust.n_swaps, 0);
}

/* A set or profile is part of a path, and of what people read. */
static void path_traversal_in_what_the_description_says(void **state)
{
    struct device *d = *state;
    static const char *const names[] = {
        "..",  "../full", "/",
        "a/b", ".hidden", "",
        "a b", "A",       "sixty-four-characters-are-the-most-that-a-set-or-profile-may-have",
    };
    struct hf_buf pem = {0};
    device_make_anchor("Root 2", &pem);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "amazon-iot/full/%zu.pem", i + 2);
        tuf_repo_add_target(&d->repo, path, hf_buf_bytes(&pem),
                            device_custom(DEVICE_SET, names[i], (int64_t)i + 2));
    }
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
    attack_check_without_effect(d);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[160];
        snprintf(line, sizeof line, "amazon-iot/full/%zu.pem is skipped: %s", i + 2,
                 "the bundle's description (custom.holdfast): \"profile\" should be 1 to 64 of");
        if (!fake_log_has(&d->fake, line))
            fail_msg("the log does not say %s", line);
    }
}

static void target_name_without_end(void **state)
{
    struct device *d = *state;
    char name[HF_TARGET_PATH_MAX + 2];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    d->repo.consistent_snapshot = true;
    struct attack_change change = {"targets",
                                   {"targets", name},
                                   json_pack("{s:i, s:{s:s}}", "length", 1, "hashes", "x", "y")};
    attack_sign(d, &change);
    device_publish(d, 2);
    attack_check_refused(d, HF_ROLE_TARGETS, HF_E_LIMIT, "is longer than 1024 bytes");
    json_decref(change.value);
}

/* ---- one line of a log stays one ------------------------------------------------------------- */

static bool is_one_plain_line(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20u || *text == 0x7F)
            return false;
    }
    return true;
}

static void log_injection_by_a_refused_file(void **state)
{
    struct device *d = *state;
    device_publish(d, 2);
    attack_answer(d, HF_ROLE_TIMESTAMP,
                  hf_bytes_of_text("{\"signed\": {\"_type\": \"x\\n\\u001b[2J\\rholdfast: all is "
                                   "well\"}, \"signatures\": []}"));
    attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_FORMAT, "found another");
    assert_true(is_one_plain_line(d->why.text));
    attack_check_over(d, 2);
}

/* The log port fails the test when a line holds a line break. */
static void log_injection_by_a_target_name(void **state)
{
    struct device *d = *state;
    tuf_repo_add_target(&d->repo, "amazon-iot/full/9.pem\nholdfast: all is well\x1b[2J",
                        hf_bytes_of_text("x"), NULL);
    tuf_repo_publish_next(&d->repo);
    attack_check_without_effect(d);
    assert_false(fake_log_has(&d->fake, "\x1b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(path_traversal_in_target_names),
        cmocka_unit_test_setup_teardown(path_traversal_offered_to_an_empty_device, device_setup,
                                        device_teardown),
        ATTACK_TEST(path_traversal_in_what_the_description_says),
        ATTACK_TEST(target_name_without_end),
        ATTACK_TEST(log_injection_by_a_refused_file),
        ATTACK_TEST(log_injection_by_a_target_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
