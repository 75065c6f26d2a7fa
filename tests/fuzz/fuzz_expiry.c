/* server/publish/expiry: a file that people edit. What is read is within bounds, or nothing is. */
#include "tests/fuzz/scratch.h"

#include "server/repository/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_key_folder folder = {0};
    struct hf_expiry expiry = hf_expiry_default(), before = expiry;
    struct hf_why why = {0};
    struct fuzz_input in = {data, size};
    enum hf_key_location location = fuzz_below(&in, 2) == 0 ? HF_KEYS_OFFLINE : HF_KEYS_ONLINE;

    FUZZ_OK(hf_path_set(&folder.path, &why, "%s", scratch_dir()), &why);
    scratch_write(scratch_path("expiry.json"), (struct hf_bytes){in.data, in.len});
    enum hf_err err = hf_expiry_read(&folder, location, &expiry, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        FUZZ_CHECK(memcmp(&expiry, &before, sizeof expiry) == 0);
        return 0;
    }
    FUZZ_OK(hf_expiry_check(&expiry, &why), &why);
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        enum hf_top_role role = (enum hf_top_role)i;
        FUZZ_CHECK(hf_key_location_of(role) == location || expiry.days[i] == before.days[i]);
        FUZZ_CHECK(hf_expiry_of(&expiry, role, INT64_C(1900000000)) > INT64_C(1900000000));
    }
    return 0;
}
