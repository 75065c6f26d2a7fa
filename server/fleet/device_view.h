/*
 * Devices as operators see them: what is registered, and what they have last reported. Lists stay
 * fast however many devices there are.
 */
#ifndef HF_FLEET_DEVICE_VIEW_H
#define HF_FLEET_DEVICE_VIEW_H

#include "server/fleet/device_state.h"

extern const struct hf_sql hf_device_view_sql[];

struct hf_device_view {
    struct hf_device device;
    struct hf_device_state state;
};

/** HF_E_NOT_FOUND. */
HF_MUST_USE enum hf_err hf_device_view_find(struct hf_db *db, int64_t account_id, const char *name,
                                            struct hf_device_view *out, struct hf_why *why);

/* Which devices; all zero: all of them. What is given must all be true. */
struct hf_device_filter {
    const char *prefix; /* of the name; NULL: any, as the others */
    const char *group;  /* "": those without a group */
    const char *set;
    bool has_version;
    int64_t version;        /* the active one */
    const char *result;     /* "": those that have reported none */
    int64_t silent_since_s; /* no report since then, or never; 0: any */
};

/*
 * A page of a list. The filter that selects most says which index is read, and so the order: by
 * name with a prefix, by the last report with silent_since_s alone, otherwise by number. A page
 * looks at HF_FLEET_LOOK_MAX devices at most, so it may hold fewer than `limit` and still have a
 * next one.
 */
struct hf_device_page {
    size_t limit;
    const char *after; /* where the page before ended, as `next` said; "": the first page */
    char next[HF_DEVICE_ID_MAX + 1]; /* written: where the next page begins; "": there is none */
};

/** A struct hf_device_view each. HF_E_ARGUMENT for an `after` that no page has given, and for a
 *  prefix of no device id. */
HF_MUST_USE enum hf_err hf_device_view_list(struct hf_db *db, int64_t account_id,
                                            const struct hf_device_filter *filter,
                                            struct hf_device_page *page, hf_db_each *each,
                                            void *ctx, struct hf_why *why);

#endif
