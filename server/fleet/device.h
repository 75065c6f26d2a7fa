/* The devices of an account: a name, and the group that the operator has put it in. Lists are in
 * device_view.h, with what the devices have reported. */
#ifndef HF_FLEET_DEVICE_H
#define HF_FLEET_DEVICE_H

#include "common/base/names.h"
#include "server/fleet/tx.h"

extern const struct hf_sql hf_device_sql[];

struct hf_device {
    int64_t id;
    int64_t account_id;
    char name[HF_DEVICE_ID_MAX + 1];
    char group[HF_FLEET_GROUP_NAME_MAX + 1]; /* "": none */
    int64_t created_s;
    int64_t version;
};

/** The device of that name, made with `group` if it is not there. */
HF_MUST_USE enum hf_err hf_device_ensure(struct hf_tx *tx, int64_t account_id, const char *name,
                                         const char *group, struct hf_device *out,
                                         struct hf_why *why);
HF_MUST_USE enum hf_err hf_device_change_group(struct hf_tx *tx, int64_t account_id, int64_t id,
                                               int64_t if_version, const char *group,
                                               struct hf_device *out, struct hf_why *why);
/** HF_E_STATE while it has a certificate that is not REVOKED. Revoked ones stay, without a device;
 *  its reports and its key for reports go. */
HF_MUST_USE enum hf_err hf_device_delete(struct hf_tx *tx, int64_t account_id, int64_t id,
                                         int64_t if_version, struct hf_why *why);

HF_MUST_USE enum hf_err hf_device_get(struct hf_db *db, int64_t account_id, int64_t id,
                                      struct hf_device *out, struct hf_why *why);
HF_MUST_USE enum hf_err hf_device_find(struct hf_db *db, int64_t account_id, const char *name,
                                       struct hf_device *out, struct hf_why *why);

#endif
