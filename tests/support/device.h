/*
 * A device in memory with a repository to update from, for tests of client/core: libholdfast over
 * fake ports, initialised with the repository's first root.
 */
#ifndef HF_TESTS_SUPPORT_DEVICE_H
#define HF_TESTS_SUPPORT_DEVICE_H

#include <holdfast/client.h>

#include "tests/support/fake_ports.h"
#include "tests/support/tuf_repo.h"

#define DEVICE_NOW_S INT64_C(1900000000) /* 2030-03-17 */
#define DEVICE_SET "amazon-iot"
#define DEVICE_PROFILE "full"
#define DEVICE_ID "pump-17"

struct device {
    char instance[40]; /* what tells it from other devices */
    struct tuf_repo repo;
    struct fake_ports fake;
    struct hf_client *client; /* NULL while it is off */
    const char *urls[FAKE_MIRRORS_MAX];
    size_t n_urls;
    bool awaits_confirm; /* in force from the next boot on */

    /* Of the last call. */
    struct hf_update_result result;
    struct hf_why why;

    struct fake_state before; /* device_remember */
};

/** cmocka's setup and teardown: bundle 1 is published, the device is on and has never updated. */
int device_setup(void **state);
int device_teardown(void **state);

/** The configuration the device runs with; borrows from `d`. */
struct hf_client_config device_config(const struct device *d);
/** One more mirror, in use from the next boot on. `files` NULL: those of the repository. */
struct fake_mirror *device_add_mirror(struct device *d, const char *url,
                                      const struct tuf_files *files);

void device_on(struct device *d);
void device_off(struct device *d);
/** Off and on; what was not committed is gone. */
void device_reboot(struct device *d);
enum hf_err device_update(struct device *d);
/** -1 where the slot is empty. */
int64_t device_version(struct device *d, enum hf_slot slot);
/** Make the bundle in `slot` one that this software cannot read, as a later version of it may find
 *  it, which is stricter or supports less. Its hash is right. */
void device_make_unreadable(struct device *d, enum hf_slot slot);

/** Note what is stored, for the two checks below. */
void device_remember(struct device *d);
/** Metadata of `role` and every later one, and all bundles, are byte for byte what they were. */
void device_check_unchanged_from(struct device *d, const char *role);
/** Metadata of `role` differs from before. */
void device_check_kept(struct device *d, const char *role);

/* What a publisher does. */

/** "CN=NAME", valid from a year before to ten years after DEVICE_NOW_S; appended as PEM. */
void device_make_anchor(const char *name, struct hf_buf *pem);
void device_make_dated_anchor(const char *name, int64_t not_before_s, int64_t not_after_s,
                              struct hf_buf *pem);
/** {"holdfast": {"set", "profile", "version"}}; a new reference. */
json_t *device_custom(const char *set, const char *profile, int64_t version);
/** Add SET/PROFILE/VERSION.pem with `pem` to the repository; not published yet. */
void device_add_bundle(struct device *d, int64_t version, const struct hf_buf *pem);
/** Add a version with one anchor "Root VERSION" and publish it. */
void device_publish(struct device *d, int64_t version);
/** Take a version out of the repository and publish that. */
void device_withdraw(struct device *d, int64_t version);

#endif
