/* client/core/provision and opening: first trust, and what is loaded at the start. */
#include "tests/support/check.h"

#include "common/base/digest.h"
#include "common/base/limits.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"
#include "tests/support/device.h"
#include "tests/support/test_pki.h"

#include <stdio.h>

/* ---- provision ------------------------------------------------------------------------------- */

/* A device fresh from the assembly line, initialised with these. */
static enum hf_err provision(struct device *d, struct hf_bytes root, struct hf_bytes factory_pem)
{
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    device_off(d);
    fake_store_free(&d->fake.store);
    d->fake.store = (struct fake_store){0};
    d->why = (struct hf_why){0};
    return hf_client_provision(&ports, &config, root, factory_pem, &d->why);
}

static struct hf_bytes first_root(struct device *d)
{
    return tuf_files_find(&d->repo.files, "metadata/1.root.json");
}

static void check_nothing_stored(struct device *d)
{
    assert_int_equal(d->fake.store.state.metadata.n, 0);
    assert_int_equal(d->fake.store.state.values.n, 0);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), -1);
}

static void test_factory_bundle_is_version_0_until_the_first_update(void **state)
{
    struct device *d = *state;
    struct hf_buf pem = {0};
    device_make_anchor("Factory root", &pem);
    CHECK_OK(provision(d, first_root(d), hf_buf_bytes(&pem)));
    hf_buf_free(&pem);
    device_on(d);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 0);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    CHECK_OK(device_update(d));
    assert_int_equal(d->result.from_version, 0);
    assert_int_equal(d->result.to_version, 1);
    assert_int_equal(device_version(d, HF_SLOT_PREVIOUS), 0);
}

static void test_provisioning_twice(void **state)
{
    struct device *d = *state;
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    device_remember(d);
    CHECK_REFUSED(hf_client_provision(&ports, &config, first_root(d), (struct hf_bytes){0},
                                      &d->why),
                  HF_E_STATE, &d->why, "holds root metadata already");
    device_check_unchanged_from(d, "root");
}

static void test_root_that_does_not_verify_itself(void **state)
{
    struct device *d = *state;
    struct hf_buf root = {0};
    d->repo.roles[HF_ROLE_ROOT].keys.threshold = 2;
    tuf_repo_build_root(&d->repo, &root);
    CHECK_REFUSED(provision(d, hf_buf_bytes(&root), (struct hf_bytes){0}), HF_E_SIGNATURE, &d->why,
                  "the root metadata");
    check_nothing_stored(d);
    CHECK_REFUSED(provision(d, hf_bytes_of_text("no JSON"), (struct hf_bytes){0}), HF_E_FORMAT,
                  &d->why, "the root metadata");
    check_nothing_stored(d);
    hf_buf_free(&root);
}

static void test_factory_bundle_that_is_none(void **state)
{
    struct device *d = *state;
    struct pki_key key;
    struct hf_buf leaf = {0};
    pki_key_make(&key, PKI_P256);
    pki_issue_pem(&(struct pki_cert){.subject = "CN=device", .key = &key}, &leaf);
    CHECK_REFUSED(provision(d, first_root(d), hf_buf_bytes(&leaf)), HF_E_POLICY, &d->why,
                  "the factory bundle");
    check_nothing_stored(d);
    CHECK_REFUSED(provision(d, first_root(d), hf_bytes_of_text("no PEM")), HF_E_NOT_FOUND, &d->why,
                  "the factory bundle");
    check_nothing_stored(d);
    hf_buf_free(&leaf);
    pki_key_free(&key);
}

static void test_provisioning_a_store_that_cannot_be_written(void **state)
{
    struct device *d = *state;
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    device_off(d);
    fake_store_free(&d->fake.store);
    d->fake.store = (struct fake_store){.refuse_writes = HF_E_STORAGE};
    CHECK_REFUSED(hf_client_provision(&ports, &config, first_root(d), (struct hf_bytes){0},
                                      &d->why),
                  HF_E_STORAGE, &d->why, "refuses to write");
    check_nothing_stored(d);
}

/* ---- open ------------------------------------------------------------------------------------ */

static void check_config_refused(struct device *d, struct hf_client_config config,
                                 enum hf_err wanted, const char *part)
{
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client *client = NULL;
    CHECK_REFUSED(hf_client_open(&ports, &config, &client, &d->why), wanted, &d->why, part);
    assert_null(client);
}

static void test_configurations_that_make_no_sense(void **state)
{
    struct device *d = *state;
    struct hf_client_config good = device_config(d);
    const char *ftp[] = {"http://a.test", "ftp://b.test"};
    char endless[HF_URL_MAX + 2] = "http://";
    const char *endless_url = endless;
    memset(endless + 7, 'a', sizeof endless - 8);

    struct hf_client_config c = good;
    c.set = "Amazon IoT";
    check_config_refused(d, c, HF_E_ARGUMENT, "found \"Amazon IoT\"");
    c = good;
    c.profile = NULL;
    check_config_refused(d, c, HF_E_ARGUMENT, "the name of a profile");
    c = good;
    c.n_urls = 0;
    check_config_refused(d, c, HF_E_ARGUMENT, "1 to 16 addresses");
    c.n_urls = 17;
    check_config_refused(d, c, HF_E_ARGUMENT, "found 17");
    c.urls = ftp;
    c.n_urls = 2;
    check_config_refused(d, c, HF_E_ARGUMENT, "found \"ftp://b.test\"");
    c.urls = &endless_url;
    c.n_urls = 1;
    check_config_refused(d, c, HF_E_LIMIT, "at most 2048 bytes");
}

static void test_device_that_was_not_initialised(void **state)
{
    struct device *d = *state;
    device_off(d);
    fake_store_free(&d->fake.store);
    d->fake.store = (struct fake_store){0};
    check_config_refused(d, device_config(d), HF_E_NOT_FOUND, "initialise it");
}

static void test_open_loads_the_active_bundle(void **state)
{
    struct device *d = *state;
    CHECK_OK(device_update(d));
    device_reboot(d);
    assert_int_equal(d->fake.trust.n_swaps, 1);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    assert_int_equal(d->fake.trust.distrust_after_s[0], HF_TIME_NONE);
    assert_int_equal(d->fake.trust.clock_floor_s, DEVICE_NOW_S - HF_DAY_S);
}

static void publish_pem(struct device *d, int64_t version, struct hf_buf *pem)
{
    device_add_bundle(d, version, pem);
    hf_buf_free(pem);
    tuf_repo_publish_next(&d->repo);
}

static void two_versions(struct device *d)
{
    struct hf_buf pem = {0};
    CHECK_OK(device_update(d));
    device_make_anchor("Root 2a", &pem);
    device_make_anchor("Root 2b", &pem);
    publish_pem(d, 2, &pem);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.trust.n_anchors, 2);
}

static void test_damaged_active_bundle_gives_way_to_the_previous(void **state)
{
    struct device *d = *state;
    two_versions(d);
    fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem.data[70] ^= 1;
    fake_state_copy(&d->fake.store.at_rest, &d->fake.store.state);
    device_reboot(d);
    assert_int_equal(d->fake.trust.n_anchors, 1);
    assert_int_equal(fake_store_count_events(&d->fake.store, "load"), 1);
    assert_true(fake_log_has(&d->fake, "amazon-iot/full 2 is damaged"));

    CHECK_OK(device_update(d)); /* and the update puts it right */
    assert_int_equal(d->result.to_version, 2);
    assert_int_equal(d->fake.trust.n_anchors, 2);
}

/* Going back, by accident as on purpose, never restores what the publisher took out. */
static void test_previous_bundle_comes_back_without_what_was_dropped(void **state)
{
    struct device *d = *state;
    struct hf_bundle before = {0};
    struct hf_buf pem = {0};
    char dropped[HF_SHA256_HEX_LEN];
    device_make_anchor("Stays", &pem);
    device_make_anchor("Goes", &pem);
    publish_pem(d, 2, &pem);
    CHECK_OK(device_update(d));
    struct hf_bytes active = hf_buf_bytes(&fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem);
    CHECK_OK(hf_bundle_parse(active, NULL, &before, &d->why));
    hf_hex_encode(before.anchors[1].cert.spki_sha256, HF_SHA256_LEN, dropped);
    hf_bundle_free(&before);

    json_t *custom = device_custom(DEVICE_SET, DEVICE_PROFILE, 3);
    json_object_set_new(json_object_get(custom, "holdfast"), "drops", json_pack("[s]", dropped));
    device_make_anchor("New", &pem);
    tuf_repo_add_target(&d->repo, DEVICE_SET "/" DEVICE_PROFILE "/3.pem", hf_buf_bytes(&pem),
                        custom);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
    CHECK_OK(device_update(d));
    fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem.data[70] ^= 1;
    fake_state_copy(&d->fake.store.at_rest, &d->fake.store.state);
    device_reboot(d);
    assert_int_equal(d->fake.trust.n_anchors, 1); /* "Stays" alone */
}

static void test_device_without_a_readable_bundle_still_opens_and_updates(void **state)
{
    struct device *d = *state;
    two_versions(d);
    fake_store_bundle(&d->fake.store, HF_SLOT_ACTIVE)->pem.data[70] ^= 1;
    fake_store_bundle(&d->fake.store, HF_SLOT_PREVIOUS)->pem.data[70] ^= 1;
    fake_state_copy(&d->fake.store.at_rest, &d->fake.store.state);
    device_reboot(d);
    assert_int_equal(d->fake.trust.n_swaps, 0);
    assert_int_equal(fake_store_count_events(&d->fake.store, "load"), 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.trust.n_anchors, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, device_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_factory_bundle_is_version_0_until_the_first_update),
        TEST(test_provisioning_twice),
        TEST(test_root_that_does_not_verify_itself),
        TEST(test_factory_bundle_that_is_none),
        TEST(test_provisioning_a_store_that_cannot_be_written),
        TEST(test_configurations_that_make_no_sense),
        TEST(test_device_that_was_not_initialised),
        TEST(test_open_loads_the_active_bundle),
        TEST(test_damaged_active_bundle_gives_way_to_the_previous),
        TEST(test_previous_bundle_comes_back_without_what_was_dropped),
        TEST(test_device_without_a_readable_bundle_still_opens_and_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
