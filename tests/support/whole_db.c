#include "tests/support/whole_db.h"

#include "tests/support/check.h"

void check_db_is_whole(struct hf_db *db)
{
    static const struct hf_sql faults =
        {"faults",
         "SELECT (SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok') + "
         "(SELECT count(*) FROM pragma_foreign_key_check)",
         "i"};
    int64_t n = -1;
    struct hf_why why = {0};

    if (hf_db_get_int(db, &faults, HF_NO_PARAMS, &n, &why) != HF_OK)
        fail_msg("%s", why.text);
    assert_int_equal(n, 0);
}
