/* Attacks by those whom the publisher trusts with a part: a delegated role says more than it may,
 * or leads a search astray (TUF 5.6.7). Bundles are never looked for like this; any other target
 * is. */
#include "tests/support/attack.h"

#include "client/core/refresh.h"
#include "tests/support/find_target.h"
#include "common/base/limits.h"

#include <stdio.h>
#include <string.h>

static struct tuf_delegated_role *delegate(struct device *d, const char *delegator,
                                           const char *role, const char *pattern)
{
    return tuf_repo_delegate(&d->repo, delegator, role, pattern, false);
}

static void add(struct tuf_delegated_role *role, const char *path, const char *content)
{
    tuf_targets_add(&role->targets, path, hf_bytes_of_text(content), NULL);
}

/* Publishes, and has the device learn of it without a search yet. */
static void publish(struct device *d)
{
    tuf_repo_publish_next(&d->repo);
    hf_state_load(d->client);
    hf_mirrors_begin_check(d->client);
    CHECK_OK(hf_refresh(d->client, &d->why));
    fake_transport_forget(&d->fake.transport);
}

static const struct hf_target *find(struct device *d, const char *path)
{
    const struct hf_target *target = NULL;
    CHECK_OK(hf_find_target(d->client, path, &target, &d->why));
    return target;
}

/* The search ends without an answer, `role` is not stored, and nothing else has changed. */
static void check_search_refused(struct device *d, const char *path, const char *role,
                                 enum hf_err wanted, const char *part)
{
    const struct hf_target *target = NULL;
    device_remember(d);
    CHECK_REFUSED(hf_find_target(d->client, path, &target, &d->why), wanted, &d->why, part);
    assert_null(target);
    assert_true(fake_state_same_metadata(&d->before, &d->fake.store.state, role));
    device_check_unchanged_from(d, "root");
}

/* ---- more than it may ------------------------------------------------------------------------ */

static void delegated_role_that_speaks_outside_its_paths(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *helper = delegate(d, "targets", "helper", "tools/*");
    add(helper, "amazon-iot/full/2.pem", "evil");
    add(helper, "tools/deep/er", "evil");
    publish(d);
    assert_null(find(d, "amazon-iot/full/2.pem"));
    assert_null(find(d, "tools/deep/er")); /* no wildcard crosses a slash */
    assert_int_equal(d->fake.transport.n_requests, 0);
}

static void delegated_role_that_delegates_more_than_it_has(void **state)
{
    struct device *d = *state;
    delegate(d, "targets", "helper", "tools/*");
    add(delegate(d, "helper", "friend", "*"), "secret", "evil");
    publish(d);
    assert_null(find(d, "secret"));
    assert_int_equal(d->fake.transport.n_requests, 0);
}

static void delegated_role_that_contradicts_one_before_it(void **state)
{
    struct device *d = *state;
    add(delegate(d, "targets", "first", "*"), "tool", "good");
    add(delegate(d, "targets", "second", "*"), "tool", "evil");
    publish(d);
    assert_int_equal(find(d, "tool")->info.length, 4);
    assert_int_equal(fake_transport_count(&d->fake.transport, "second"), 0);
}

static void delegated_role_behind_a_terminating_one(void **state)
{
    struct device *d = *state;
    tuf_repo_delegate(&d->repo, "targets", "first", "*", true);
    add(delegate(d, "targets", "second", "*"), "tool", "evil");
    publish(d);
    assert_null(find(d, "tool"));
    assert_int_equal(fake_transport_count(&d->fake.transport, "second"), 0);
}

/* A later role must not be used because one file is withheld. */
static void delegated_role_that_gains_by_the_absence_of_another(void **state)
{
    struct device *d = *state;
    add(delegate(d, "targets", "first", "*"), "tool", "good");
    add(delegate(d, "targets", "second", "*"), "tool", "evil");
    publish(d);
    fake_mirror_answer(&d->fake.transport.mirrors[0], "metadata/1.first.json", 404, NULL);
    check_search_refused(d, "tool", "first", HF_E_NOT_FOUND, "the role first, delegated to by");
    assert_int_equal(fake_transport_count(&d->fake.transport, "second"), 0);
}

static void delegated_role_signed_by_a_key_of_another_branch(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *first = delegate(d, "targets", "first", "a");
    struct tuf_delegated_role *second = delegate(d, "targets", "second", "b");
    add(first, "a", "evil");
    first->role.keys = second->role.keys;
    publish(d);
    check_search_refused(d, "a", "first", HF_E_SIGNATURE, "signed by 0 of the keys of role first");
}

/* ---- astray ---------------------------------------------------------------------------------- */

static void endless_delegations(void **state)
{
    struct device *d = *state;
    char above[24] = "targets", name[24] = "";
    for (int i = 1; i <= HF_DELEGATIONS_VISITED_MAX; i++) { /* targets itself is one more */
        snprintf(name, sizeof name, "role-%d", i);
        delegate(d, above, name, "*");
        memcpy(above, name, sizeof above);
    }
    publish(d);
    check_search_refused(d, "tool", name, HF_E_LIMIT, "more than 32 roles may speak for tool");
    assert_int_equal(d->fake.transport.n_requests, HF_DELEGATIONS_VISITED_MAX - 1);
}

static void delegations_in_a_circle(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *first = delegate(d, "targets", "first", "*");
    delegate(d, "first", "second", "*");
    struct tuf_delegation *back = &d->repo.delegations[d->repo.n_delegations++];
    *back = (struct tuf_delegation){.delegator = "second",
                                    .role = "first",
                                    .path_pattern = "*",
                                    .keys = first->role.keys};
    publish(d);
    assert_null(find(d, "tool"));
    assert_int_equal(d->fake.transport.n_requests, 2);
}

static void rollback_of_a_delegated_role(void **state)
{
    struct device *d = *state;
    struct tuf_delegated_role *helper = delegate(d, "targets", "helper", "*");
    helper->role.version = 2;
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    helper->role.version = 1;
    tuf_repo_publish_next(&d->repo);
    attack_check_refused(d, HF_ROLE_SNAPSHOT, HF_E_ROLLBACK,
                         "version 1 of helper.json, version 2 was named before (TUF 5.5.5)");
}

/* ---- names ----------------------------------------------------------------------------------- */

static void path_traversal_in_names_of_targets_that_are_looked_for(void **state)
{
    struct device *d = *state;
    static const char *const paths[] =
        {"../../etc/passwd", "/etc/passwd", "a/../../b",     "a/..",          "a/./b", "a//b",
         "a\\..\\b",         "..",          "a\nHost: evil", "a\r\n\r\nGET /"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct hf_buf content = {0};
        tuf_repo_add_target(&d->repo, paths[i], hf_bytes_of_text("evil"), NULL);
        publish(d);
        CHECK_REFUSED(hf_fetch_target(d->client, find(d, paths[i]), 64, &content, &d->why),
                      HF_E_POLICY, &d->why, "expected the path of a file below the targets folder");
        assert_null(content.data);
        assert_int_equal(d->fake.transport.n_requests, 0);
    }
}

/* Whatever a role is called, its file is one segment of the address. */
static void path_traversal_in_role_names(void **state)
{
    struct device *d = *state;
    static const char *const names[] =
        {"../../../etc/passwd", "/etc/passwd", "a/../../b", "x?y", "x#y", "x y\r\nHost: evil.test"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char pattern[16];
        snprintf(pattern, sizeof pattern, "tool-%zu", i);
        delegate(d, "targets", names[i], pattern);
        publish(d);
        const struct hf_target *target = NULL;
        CHECK_REFUSED(hf_find_target(d->client, pattern, &target, &d->why), HF_E_NOT_FOUND, &d->why,
                      "there is no such file");
        const char *asked = d->fake.transport.requests[0];
        assert_int_equal(d->fake.transport.n_requests, 1);
        assert_int_equal(strncmp(asked, ATTACK_URL "metadata/1.", strlen(ATTACK_URL) + 11), 0);
        assert_null(strpbrk(asked + strlen(ATTACK_URL "metadata/"), "/?# \r\n"));
    }
}

/* The log port fails the test when a line holds a line break. */
static void log_injection_by_a_role_name(void **state)
{
    struct device *d = *state;
    const char *name = "x\nholdfast: all is well\x1b[2J";
    delegate(d, "targets", name, "tool");
    publish(d);
    fake_store_put_metadata(&d->fake.store, name, hf_bytes_of_text("damaged"));
    check_search_refused(d, "tool", name, HF_E_NOT_FOUND, "there is no such file");
    assert_false(fake_log_has(&d->fake, "\x1b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK_TEST(delegated_role_that_speaks_outside_its_paths),
        ATTACK_TEST(delegated_role_that_delegates_more_than_it_has),
        ATTACK_TEST(delegated_role_that_contradicts_one_before_it),
        ATTACK_TEST(delegated_role_behind_a_terminating_one),
        ATTACK_TEST(delegated_role_that_gains_by_the_absence_of_another),
        ATTACK_TEST(delegated_role_signed_by_a_key_of_another_branch),
        ATTACK_TEST(endless_delegations),
        ATTACK_TEST(delegations_in_a_circle),
        ATTACK_TEST(rollback_of_a_delegated_role),
        ATTACK_TEST(path_traversal_in_names_of_targets_that_are_looked_for),
        ATTACK_TEST(path_traversal_in_role_names),
        ATTACK_TEST(log_injection_by_a_role_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
