#include "tests/support/device.h"

#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "tests/support/check.h"
#include "tests/support/test_pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YEAR_S (365 * HF_DAY_S)

static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
#define N_ROLES (sizeof roles / sizeof roles[0])

/* ---- the device ------------------------------------------------------------------------------ */

struct hf_client_config device_config(const struct device *d)
{
    static const char *const groups[] = {"lab", "ring-1"};

    return (struct hf_client_config){.instance = d->instance,
                                     .device_id = DEVICE_ID,
                                     .groups = groups,
                                     .n_groups = 2,
                                     .urls = d->urls,
                                     .n_urls = d->n_urls,
                                     .set = DEVICE_SET,
                                     .profile = DEVICE_PROFILE,
                                     .awaits_confirm = d->awaits_confirm};
}

struct fake_mirror *device_add_mirror(struct device *d, const char *url,
                                      const struct tuf_files *files)
{
    d->urls[d->n_urls++] = url;
    return fake_transport_add(&d->fake.transport, url, files != NULL ? files : &d->repo.files);
}

void device_on(struct device *d)
{
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    CHECK_OK(hf_client_open(&ports, &config, &d->client, &d->why));
}

void device_off(struct device *d)
{
    hf_client_close(d->client);
    d->client = NULL;
}

void device_reboot(struct device *d)
{
    device_off(d);
    fake_store_reboot(&d->fake.store);
    d->fake.trust = (struct fake_trust){0};
    device_on(d);
}

static void provision(struct device *d)
{
    struct hf_ports ports = fake_ports_of(&d->fake);
    struct hf_client_config config = device_config(d);
    struct hf_bytes root = tuf_files_find(&d->repo.files, "metadata/1.root.json");
    CHECK_OK(hf_client_provision(&ports, &config, root, (struct hf_bytes){0}, &d->why));
}

int device_setup(void **state)
{
    struct device *d = calloc(1, sizeof *d);
    assert_non_null(d);
    tuf_repo_init(&d->repo, DEVICE_NOW_S - HF_DAY_S);
    tuf_repo_publish_root(&d->repo);
    fake_ports_init(&d->fake, DEVICE_NOW_S);
    device_add_mirror(d, "http://a.test/repo", NULL);
    provision(d);
    device_on(d);
    device_publish(d, 1);
    fake_store_forget_writes(&d->fake.store);
    *state = d;
    return 0;
}

int device_teardown(void **state)
{
    struct device *d = *state;
    device_off(d);
    fake_state_free(&d->before);
    fake_ports_free(&d->fake);
    tuf_repo_free(&d->repo);
    free(d);
    return 0;
}

enum hf_err device_update(struct device *d)
{
    d->why = (struct hf_why){0};
    d->result = (struct hf_update_result){0};
    fake_transport_forget(&d->fake.transport);
    fake_store_forget_writes(&d->fake.store);
    return hf_client_update(d->client, &d->result, &d->why);
}

int64_t device_version(struct device *d, enum hf_slot slot)
{
    const struct hf_bundle_record *record = fake_store_bundle(&d->fake.store, slot);
    return record != NULL ? record->version : -1;
}

void device_make_unreadable(struct device *d, enum hf_slot slot)
{
    struct fake_state *const states[] = {&d->fake.store.state, &d->fake.store.at_rest};

    for (size_t i = 0; i < 2; i++) {
        struct hf_bundle_record *record = &states[i]->bundles[slot];
        hf_buf_free(&record->pem);
        CHECK_OK(hf_buf_append_text(&record->pem, "-----BEGIN CERTIFICATE-----\nMAA=\n"
                                                  "-----END CERTIFICATE-----\n"));
        hf_sha256_hex(hf_buf_bytes(&record->pem), record->sha256);
    }
}

void device_remember(struct device *d)
{
    fake_state_copy(&d->before, &d->fake.store.state);
}

void device_check_unchanged_from(struct device *d, const char *role)
{
    size_t i = 0;
    while (i < N_ROLES && strcmp(roles[i], role) != 0)
        i++;
    assert_true(i < N_ROLES);
    for (; i < N_ROLES; i++) {
        if (!fake_state_same_metadata(&d->before, &d->fake.store.state, roles[i]))
            fail_msg("%s was changed", roles[i]);
    }
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
}

void device_check_kept(struct device *d, const char *role)
{
    if (fake_state_same_metadata(&d->before, &d->fake.store.state, role))
        fail_msg("%s was verified, but not kept", role);
}

/* ---- the publisher --------------------------------------------------------------------------- */

void device_make_dated_anchor(const char *name, int64_t not_before_s, int64_t not_after_s,
                              struct hf_buf *pem)
{
    char subject[80];
    struct pki_key key;

    snprintf(subject, sizeof subject, "CN=%s", name);
    pki_key_make(&key, PKI_P256);
    struct pki_cert cert = {.subject = subject,
                            .key = &key,
                            .not_before_s = not_before_s,
                            .not_after_s = not_after_s,
                            .is_ca = true};
    pki_issue_pem(&cert, pem);
    pki_key_free(&key);
}

void device_make_anchor(const char *name, struct hf_buf *pem)
{
    device_make_dated_anchor(name, DEVICE_NOW_S - YEAR_S, DEVICE_NOW_S + 10 * YEAR_S, pem);
}

json_t *device_custom(const char *set, const char *profile, int64_t version)
{
    json_t *custom = json_pack("{s:{s:s, s:s, s:I}}", "holdfast", "set", set, "profile", profile,
                               "version", (json_int_t)version);
    assert_non_null(custom);
    return custom;
}

void device_add_bundle(struct device *d, int64_t version, const struct hf_buf *pem)
{
    char path[80];
    snprintf(path, sizeof path, DEVICE_SET "/" DEVICE_PROFILE "/%lld.pem", (long long)version);
    tuf_repo_add_target(&d->repo, path, hf_buf_bytes(pem),
                        device_custom(DEVICE_SET, DEVICE_PROFILE, version));
}

void device_publish(struct device *d, int64_t version)
{
    char name[32];
    struct hf_buf pem = {0};

    snprintf(name, sizeof name, "Root %lld", (long long)version);
    device_make_anchor(name, &pem);
    device_add_bundle(d, version, &pem);
    hf_buf_free(&pem);
    tuf_repo_publish_next(&d->repo);
}

void device_withdraw(struct device *d, int64_t version)
{
    char path[80];
    snprintf(path, sizeof path, DEVICE_SET "/" DEVICE_PROFILE "/%lld.pem", (long long)version);
    tuf_repo_remove_target(&d->repo, path);
    tuf_repo_publish_next(&d->repo);
}
