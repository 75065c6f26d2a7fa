/*
 * What every attack has in common: a device that holds bundle 1 and the metadata of that time, a
 * repository that goes on, something hostile between the two, and a refusal after which everything
 * is byte for byte what it was.
 *
 *     device_publish(d, 2);                         // the next version
 *     attack_answer(d, HF_ROLE_TIMESTAMP, forged);  // an attacker answers
 *     attack_check_refused(d, HF_ROLE_TIMESTAMP, HF_E_SIGNATURE, "signed by 0");
 *     attack_check_over(d, 2);                      // the attacker gone, no harm is left
 */
#ifndef HF_TESTS_SUPPORT_ATTACK_H
#define HF_TESTS_SUPPORT_ATTACK_H

#include "tests/support/check.h"
#include "tests/support/device.h"

#define ATTACK_URL "http://a.test/repo/" /* of the first mirror */

/** In the place of a role: the bundle, which comes after all of them. */
#define ATTACK_BUNDLE HF_TOP_ROLES

/** cmocka's setup: the device of device.h after its first update. device_teardown goes with it. */
int attack_setup(void **state);
#define ATTACK_TEST(name) cmocka_unit_test_setup_teardown(name, attack_setup, device_teardown)

/** From now on the first mirror answers like this where the newest file of `role` is asked for. */
void attack_answer(struct device *d, enum hf_top_role role, struct hf_bytes body);
/** The newest file of `role`, with the first `find` in it replaced. The signature stays as it
 *  is. */
void attack_answer_edited(struct device *d, enum hf_top_role role, const char *find,
                          struct hf_bytes replacement);
/** The same for the content of the target that was added last. */
void attack_answer_bundle(struct device *d, struct hf_bytes body);

/* A value that is signed in the place of another one: what `tuf_repo.before_signing` may be set to,
 * with one of these as its context. `value` is borrowed, `path` ends with NULL. */
struct attack_change {
    const char *role;
    const char *path[5];
    json_t *value;
};
void attack_sign_changed(void *change, const char *role, json_t *signed_part);
/** As above, from now on; NULL for the truth again. */
void attack_sign(struct device *d, struct attack_change *change);

/**
 * Update; it is refused with exactly `wanted` and a sentence with `part` in it. `role` and every
 * later one, the bundles, their floor, the clock's and the live store are what they were; every
 * earlier role is the one published, since it was verified; no bundle was asked for unless it is
 * the bundle that is refused.
 */
void attack_check_refused(struct device *d, enum hf_top_role role, enum hf_err wanted,
                          const char *part);

/** Update; it succeeds, and neither the bundles nor the live store notice. */
void attack_check_without_effect(struct device *d);

/** The first mirror behaves again: the next update takes the device to `version`. */
void attack_check_over(struct device *d, int64_t version);

#endif
