#include "server/fleet/bundle_since.h"

enum { GET, NOTE };

const struct hf_sql hf_bundle_since_sql[] = {
    [GET] = {"bundle_since_get",
             "SELECT since_s FROM bundle_since WHERE set_name = :set AND profile = :profile "
             "AND version = :version",
             "i"},
    [NOTE] = {"bundle_since_note",
              "INSERT INTO bundle_since (set_name, profile, version, since_s) "
              "VALUES (:set, :profile, :version, :now) "
              "ON CONFLICT (set_name, profile, version) DO NOTHING",
              ""},
    {0},
};

enum hf_err hf_bundle_since_read(struct hf_db *db, const struct hf_published *published,
                                 int64_t *since_s, struct hf_why *why)
{
    for (size_t i = 0; i < published->n; i++) {
        const struct hf_description *d = &published->bundles[i].description;
        enum hf_err err = hf_db_get_int(db, &hf_bundle_since_sql[GET],
                                        HF_PARAMS(hf_p_text("set", d->set),
                                                  hf_p_text("profile", d->profile),
                                                  hf_p_int("version", d->version)),
                                        &since_s[i], why);
        if (err == HF_E_NOT_FOUND)
            since_s[i] = 0;
        else if (err != HF_OK)
            return err;
    }
    return HF_OK;
}

enum hf_err hf_bundle_since_note(struct hf_tx *tx, const struct hf_published *published,
                                 int64_t *since_s, struct hf_why *why)
{
    for (size_t i = 0; i < published->n; i++) {
        const struct hf_description *d = &published->bundles[i].description;
        if (since_s[i] != 0)
            continue;
        HF_TRY(hf_db_execute(tx->db, &hf_bundle_since_sql[NOTE],
                             HF_PARAMS(hf_p_text("set", d->set), hf_p_text("profile", d->profile),
                                       hf_p_int("version", d->version), hf_p_int("now", tx->now_s)),
                             why));
        since_s[i] = tx->now_s;
    }
    return HF_OK;
}
