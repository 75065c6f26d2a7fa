/* client/core/fetch_target: the content of any target (TUF 5.7). */
#include "tests/support/check.h"

#include "client/core/refresh.h"
#include "tests/support/find_target.h"
#include "tests/support/device.h"

#include <stdio.h>
#include <string.h>

#define B "http://b.test/"
#define MAX 64

/* A device with two mirrors, and one more target in the repository. */
static int setup(void **state)
{
    device_setup(state);
    struct device *d = *state;
    device_add_mirror(d, "http://b.test", NULL);
    device_reboot(d);
    return 0;
}

static const struct hf_target *publish_and_find(struct device *d, const char *path)
{
    const struct hf_target *target = NULL;
    tuf_repo_add_target(&d->repo, path, hf_bytes_of_text("content"), NULL);
    tuf_repo_publish_next(&d->repo);
    hf_state_load(d->client);
    hf_mirrors_begin_check(d->client);
    CHECK_OK(hf_refresh(d->client, &d->why));
    CHECK_OK(hf_find_target(d->client, path, &target, &d->why));
    assert_non_null(target);
    fake_transport_forget(&d->fake.transport);
    return target;
}

static void check_fetches(struct device *d, const struct hf_target *target)
{
    struct hf_buf content = {0};
    CHECK_OK(hf_fetch_target(d->client, target, MAX, &content, &d->why));
    assert_string_equal((const char *)content.data, "content");
    hf_buf_free(&content);
}

#define CHECK_NOT_FETCHED(d, target, max_bytes, wanted, part)                                      \
    do {                                                                                           \
        struct hf_buf content = {0};                                                               \
        CHECK_REFUSED(hf_fetch_target((d)->client, target, max_bytes, &content, &(d)->why),        \
                      wanted, &(d)->why, part);                                                    \
        assert_null(content.data);                                                                 \
    } while (0)

static void test_content_is_what_was_signed(void **state)
{
    struct device *d = *state;
    check_fetches(d, publish_and_find(d, "tools/tool"));
    assert_int_equal(d->fake.transport.n_requests, 1);
    /* SHA-256 of "content" */
    assert_string_equal(
        d->fake.transport.requests[0],
        "http://a.test/repo/targets/tools/ed7002b439e9ac845f22357d822bac1444730fbdb6"
        "016d3ec9432297b9ec9f73.tool");
}

static void test_odd_names_are_encoded_part_by_part(void **state)
{
    struct device *d = *state;
    const struct hf_target *target = publish_and_find(d, "a b/50%?#\xc3\xa9.txt");
    const char *path = "targets/a%20b/ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9"
                       "f73.50%25%3F%23%C3%A9.txt";
    tuf_files_put(&d->repo.files, path, hf_bytes_of_text("content"));
    check_fetches(d, target);
    assert_int_equal(fake_transport_count(&d->fake.transport, path), 1);
}

static void test_path_out_of_the_folder_is_not_asked_for(void **state)
{
    struct device *d = *state;
    static const char *const unsafe[] = {"../tool", "/etc/passwd", "a//b", "a/./b", "a/..", "a\\b"};
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        const struct hf_target *target = publish_and_find(d, unsafe[i]);
        CHECK_NOT_FETCHED(d, target, MAX, HF_E_POLICY, "below the targets folder");
        assert_int_equal(d->fake.transport.n_requests, 0);
    }
}

static void test_longer_than_wanted_is_not_asked_for(void **state)
{
    struct device *d = *state;
    const struct hf_target *target = publish_and_find(d, "tool");
    CHECK_NOT_FETCHED(d, target, 6, HF_E_LIMIT, "expected tool to have at most 6 bytes, found 7");
    assert_int_equal(d->fake.transport.n_requests, 0);
}

static void test_other_content_at_one_mirror(void **state)
{
    struct device *d = *state;
    const struct hf_target *target = publish_and_find(d, "tool");
    fake_mirror_answer(&d->fake.transport.mirrors[0], "*", 200, "CONTENT");
    check_fetches(d, target);
    assert_int_equal(fake_transport_count(&d->fake.transport, B), 1);
}

static void test_other_content_everywhere(void **state)
{
    struct device *d = *state;
    const struct hf_target *target = publish_and_find(d, "tool");
    fake_mirror_answer(&d->fake.transport.mirrors[0], "*", 200, "CONTENT");
    fake_mirror_answer(&d->fake.transport.mirrors[1], "*", 200, "short");
    CHECK_NOT_FETCHED(d, target, MAX, HF_E_HASH, "signed metadata announces");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_content_is_what_was_signed),
        TEST(test_odd_names_are_encoded_part_by_part),
        TEST(test_path_out_of_the_folder_is_not_asked_for),
        TEST(test_longer_than_wanted_is_not_asked_for),
        TEST(test_other_content_at_one_mirror),
        TEST(test_other_content_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
