#include "server/rollout/device_rows.h"

enum { LIST, GET, SAID };

/* A certificate of a production line enrols devices and is none's. */
#define IS_TRUSTED                                                                                 \
    "CASE WHEN EXISTS (SELECT 1 FROM credential b WHERE b.device_id = d.id "                       \
    "AND b.status = 'ACTIVE' AND b.kind = 'device') OR EXISTS (SELECT 1 FROM report_key k "        \
    "WHERE k.device_id = d.id AND k.revoked_s IS NULL) THEN 1 ELSE 0 END"
#define MEMBER                                                                                     \
    "SELECT d.id, d.name, d.group_name, d.created_s, " IS_TRUSTED                                  \
    ", s.set_name, s.profile, s.kind, s.active_version, s.active_sha256, s.result, "               \
    "s.result_version, s.result_s, s.seen_s FROM device d JOIN device_state s ON s.device_id = "   \
    "d.id "
#define MEMBER_TYPES "ittiitttittiii"

const struct hf_sql hf_rollout_device_sql[] = {
    [LIST] = {"rollout_member_list", MEMBER "WHERE d.id > :after ORDER BY d.id LIMIT :limit",
              MEMBER_TYPES},
    [GET] = {"rollout_member_get", MEMBER "WHERE d.id = :device", MEMBER_TYPES},
    /* The newest report of that kind among those that are kept. */
    [SAID] = {"rollout_said",
              "SELECT a.name, d.name, s.result, s.result_s, s.reason, r.endpoint, r.root, "
              "r.root_name FROM device d JOIN account a ON a.id = d.account_id "
              "JOIN device_state s ON s.device_id = d.id "
              "LEFT JOIN report r ON r.device_id = d.id AND r.number = (SELECT o.number "
              "FROM report o WHERE o.device_id = d.id AND o.kind = s.result "
              "ORDER BY o.number DESC LIMIT 1) WHERE d.id = :device",
              "tttitTTT"},
    {0},
};

/* Texts point into the row. */
static enum hf_err read_member(const struct hf_rows *rows, void *out, struct hf_why *why)
{
    (void)why;
    *(struct hf_rollout_member *)
        out = (struct hf_rollout_member){.device_id = hf_col_int(rows, 0),
                                         .name = hf_col_text(rows, 1),
                                         .group = hf_col_text(rows, 2),
                                         .created_s = hf_col_int(rows, 3),
                                         .is_trusted = hf_col_int(rows, 4) != 0,
                                         .set = hf_col_text(rows, 5),
                                         .profile = hf_col_text(rows, 6),
                                         .kind = hf_col_text(rows, 7),
                                         .active_version = hf_col_int(rows, 8),
                                         .active_sha256 = hf_col_text(rows, 9),
                                         .result = hf_col_text(rows, 10),
                                         .result_version = hf_col_int(rows, 11),
                                         .result_s = hf_col_int(rows, 12),
                                         .seen_s = hf_col_int(rows, 13)};
    return HF_OK;
}

enum hf_err hf_rollout_member_list(struct hf_db *db, int64_t after, size_t limit, hf_db_each *each,
                                   void *ctx, struct hf_why *why)
{
    struct hf_rollout_member member;

    return hf_db_read_each(db, &hf_rollout_device_sql[LIST],
                           HF_PARAMS(hf_p_int("after", after), hf_p_int("limit", (int64_t)limit)),
                           read_member, &member, each, ctx, why);
}

struct giving {
    hf_db_each *each;
    void *ctx;
    size_t n;
};

static enum hf_err give(void *ctx, const void *data, struct hf_why *why)
{
    struct giving *g = ctx;

    g->n++;
    return g->each(g->ctx, data, why);
}

enum hf_err hf_rollout_member_get(struct hf_db *db, int64_t device_id, hf_db_each *each, void *ctx,
                                  struct hf_why *why)
{
    struct hf_rollout_member member;
    struct giving giving = {each, ctx, 0};

    HF_TRY(hf_db_read_each(db, &hf_rollout_device_sql[GET],
                           HF_PARAMS(hf_p_int("device", device_id)), read_member, &member, give,
                           &giving, why));
    return giving.n > 0 ? HF_OK : hf_fail(why, HF_E_NOT_FOUND, "the device was deleted");
}

static enum hf_err read_said(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    struct hf_rollout_said *out = data;
    const struct {
        char *out;
        size_t size;
    } texts[] =
        {[0] = {out->account, sizeof out->account},    [1] = {out->device, sizeof out->device},
         [2] = {out->kind, sizeof out->kind},          [4] = {out->text, sizeof out->text},
         [5] = {out->endpoint, sizeof out->endpoint},  [6] = {out->root, sizeof out->root},
         [7] = {out->root_name, sizeof out->root_name}};

    out->since_s = hf_col_int(rows, 3);
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].out != NULL)
            texts[i].out[0] = '\0';
        if (texts[i].out != NULL && hf_col_text(rows, i) != NULL)
            HF_TRY(hf_col_copy_text(rows, i, texts[i].out, texts[i].size, why));
    }
    return HF_OK;
}

enum hf_err hf_rollout_said_get(struct hf_db *db, int64_t device_id, struct hf_rollout_said *out,
                                struct hf_why *why)
{
    HF_TRY(hf_db_read_one(db, &hf_rollout_device_sql[SAID],
                          HF_PARAMS(hf_p_int("device", device_id)), read_said, out,
                          "the device was deleted", why));
    out->device_id = device_id;
    return HF_OK;
}
