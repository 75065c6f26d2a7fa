#include "tests/support/attack.h"

#include "common/base/limits.h"

#include <stdio.h>
#include <string.h>

/* ---- the device, before ---------------------------------------------------------------------- */

int attack_setup(void **state)
{
    device_setup(state);
    CHECK_OK(device_update(*state));
    return 0;
}

/* ---- what stands in the way ------------------------------------------------------------------ */

static struct fake_mirror *mirror(struct device *d)
{
    return &d->fake.transport.mirrors[0];
}

static struct hf_bytes published(const struct device *d, enum hf_top_role role)
{
    char path[128];
    tuf_repo_role_path(&d->repo, role, path);
    struct hf_bytes file = tuf_files_find(&d->repo.files, path);
    if (file.data == NULL)
        fail_msg("%s is not published", path);
    return file;
}

void attack_answer(struct device *d, enum hf_top_role role, struct hf_bytes body)
{
    char path[128];
    tuf_repo_role_path(&d->repo, role, path);
    fake_mirror_answer_bytes(mirror(d), path, 200, body);
}

void attack_answer_edited(struct device *d, enum hf_top_role role, const char *find,
                          struct hf_bytes replacement)
{
    struct hf_bytes file = published(d, role);
    struct hf_buf edited = {0};

    const uint8_t *at = memmem(file.data, file.len, find, strlen(find));
    assert_non_null(at);
    const uint8_t *behind = at + strlen(find);
    CHECK_OK(hf_buf_append(&edited, file.data, (size_t)(at - file.data)));
    CHECK_OK(hf_buf_append(&edited, replacement.data, replacement.len));
    CHECK_OK(hf_buf_append(&edited, behind, (size_t)(file.data + file.len - behind)));
    attack_answer(d, role, hf_buf_bytes(&edited));
    hf_buf_free(&edited);
}

void attack_answer_bundle(struct device *d, struct hf_bytes body)
{
    char path[HF_TARGET_PATH_MAX + 160];
    const struct tuf_target *last = &d->repo.targets.items[d->repo.targets.n_items - 1];
    tuf_repo_content_path(&d->repo, last, path, sizeof path);
    fake_mirror_answer_bytes(mirror(d), path, 200, body);
}

void attack_sign_changed(void *change, const char *role, json_t *signed_part)
{
    const struct attack_change *c = change;
    json_t *object = signed_part;
    size_t i = 0;

    if (strcmp(role, c->role) != 0)
        return;
    for (; c->path[i + 1] != NULL; i++)
        object = json_object_get(object, c->path[i]);
    assert_int_equal(json_object_set(object, c->path[i], c->value), 0);
}

void attack_sign(struct device *d, struct attack_change *change)
{
    d->repo.before_signing = change != NULL ? attack_sign_changed : NULL;
    d->repo.hook_ctx = change;
}

/* ---- the device, after ----------------------------------------------------------------------- */

/* What says which bundles may be taken, and what time it is at least. */
static const char *const floors[] = {"bundle.keys", "bundle.floor", "bundle.rejected",
                                     "clock.floor", "clock.targets"};
#define N_FLOORS (sizeof floors / sizeof floors[0])

struct live {
    struct fake_trust trust;
    char floors[N_FLOORS][80];
};

static struct live remember_live(struct device *d)
{
    struct live live = {.trust = d->fake.trust};
    device_remember(d);
    for (size_t i = 0; i < N_FLOORS; i++)
        snprintf(live.floors[i], sizeof live.floors[i], "%s",
                 fake_store_value(&d->fake.store, floors[i]));
    return live;
}

static void check_live_unchanged(const struct device *d, const struct live *before)
{
    assert_true(fake_state_same_bundles(&d->before, &d->fake.store.state));
    assert_memory_equal(&d->fake.trust, &before->trust, sizeof before->trust);
    for (size_t i = 0; i < N_FLOORS; i++)
        assert_string_equal(fake_store_value(&d->fake.store, floors[i]), before->floors[i]);
}

static void check_verified_roles_are_kept(const struct device *d, enum hf_top_role refused)
{
    for (int i = 0; i < (int)refused; i++) {
        const char *name = hf_top_role_name((enum hf_top_role)i);
        struct hf_bytes held = fake_store_metadata(&d->fake.store, name);
        if (!hf_bytes_equal(held, published(d, (enum hf_top_role)i)))
            fail_msg("%s was verified before the refusal, but is not kept", name);
    }
}

void attack_check_refused(struct device *d, enum hf_top_role role, enum hf_err wanted,
                          const char *part)
{
    struct live before = remember_live(d);

    CHECK_REFUSED(device_update(d), wanted, &d->why, part);
    check_verified_roles_are_kept(d, role);
    if (role != ATTACK_BUNDLE) {
        device_check_unchanged_from(d, hf_top_role_name(role));
        assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 0);
    }
    check_live_unchanged(d, &before);
    assert_string_equal(fake_store_value(&d->fake.store, "check.outcome"), hf_err_name(wanted));
    assert_string_equal(fake_store_value(&d->fake.store, "check.text"), d->why.text);
}

void attack_check_without_effect(struct device *d)
{
    struct live before = remember_live(d);

    CHECK_OK(device_update(d));
    assert_false(d->result.is_changed);
    assert_int_equal(fake_transport_count(&d->fake.transport, "/targets/"), 0);
    check_live_unchanged(d, &before);
}

void attack_check_over(struct device *d, int64_t version)
{
    fake_mirror_reset(mirror(d));
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), version);
    check_verified_roles_are_kept(d, HF_TOP_ROLES);
}
