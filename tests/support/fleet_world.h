/* A store in a folder of its own for one test, without threads: a database, and what its acts
 * noted. */
#ifndef HF_TESTS_SUPPORT_FLEET_WORLD_H
#define HF_TESTS_SUPPORT_FLEET_WORLD_H

#include "tests/support/temp_dir.h"

#include "server/fleet/account.h"
#include "server/fleet/admin_token.h"
#include "server/fleet/audit_log.h"
#include "server/fleet/ca.h"
#include "server/fleet/credential.h"
#include "server/fleet/device.h"
#include "server/fleet/enroll_token.h"
#include "server/fleet/idempotency.h"

#define FLEET_NOW_S INT64_C(1800000000)

struct fleet_world {
    struct temp_dir *dir;
    struct hf_effects effects;
    struct hf_tx tx; /* of "uid:0", at FLEET_NOW_S */
    struct hf_why why;
};

/* As cmocka's setup and teardown: `*state` is a struct fleet_world *. */
int fleet_world_setup(void **state);
int fleet_world_teardown(void **state);

/** A new database at `path`, with today's schema. */
struct hf_db *fleet_open(const char *path);

/** An account; its number. */
int64_t fleet_account(struct fleet_world *w, const char *name);
/** A CA made of a number instead of a certificate, ACTIVE; its row. */
struct hf_ca_row fleet_ca(struct fleet_world *w, int64_t account, uint8_t number,
                          enum hf_cert_mode mode, enum hf_auto_registration automatic);
/** What is to be registered: certificate `number`, of no CA and no device, ACTIVE. */
struct hf_credential_new fleet_new(int64_t account, uint32_t number);
/** Register it; its row. */
struct hf_credential fleet_register(struct fleet_world *w, const struct hf_credential_new *wanted);
/** As it is in the database. */
struct hf_credential fleet_get(struct fleet_world *w, int64_t account, int64_t id);
/** Put it in any status, past the rules. */
void fleet_force_status(struct fleet_world *w, int64_t id, enum hf_cert_status status,
                        int64_t to_account);

/** What a whole database holds, as one number: the same as before if nothing has changed. */
uint64_t fleet_fingerprint(struct fleet_world *w);
/** The `n`th newest entry of the log, 0 the last; in a buffer that the next call reuses. */
const char *fleet_log(struct fleet_world *w, int64_t n);

/** `expr` fails as CHECK_REFUSED says, and neither the database nor the effects have changed. */
#define FLEET_REFUSED(w, expr, wanted, part)                                                       \
    do {                                                                                           \
        const struct hf_effects_mark mark_ = hf_effects_mark(&(w)->effects);                       \
        CHECK_OK(hf_db_begin((w)->tx.db, NULL));                                                   \
        const uint64_t before_ = fleet_fingerprint(w);                                             \
        CHECK_REFUSED(expr, wanted, &(w)->why, part);                                              \
        hf_db_rollback((w)->tx.db);                                                                \
        hf_effects_cut(&(w)->effects, mark_);                                                      \
        assert_true(before_ == fleet_fingerprint(w));                                              \
    } while (0)

#endif
