/* common/tuf/timestamp: a file of any bytes. */
#include "tests/fuzz/metadata_checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_timestamp timestamp = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_timestamp_parse((struct hf_bytes){data, size}, &timestamp, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(timestamp.env.json == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    fuzz_check_envelope(&timestamp.env, "timestamp");
    fuzz_check_file_info(&timestamp.snapshot);
    FUZZ_CHECK(timestamp.snapshot.version >= 1);
    hf_timestamp_free(&timestamp);
    return 0;
}
