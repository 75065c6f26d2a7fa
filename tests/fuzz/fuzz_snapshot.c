/* common/tuf/snapshot: a file of any bytes. Every entry is found again. */
#include "tests/fuzz/metadata_checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_snapshot snapshot = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_snapshot_parse((struct hf_bytes){data, size}, &snapshot, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(snapshot.env.json == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    fuzz_check_envelope(&snapshot.env, "snapshot");
    for (size_t i = 0; i < snapshot.n_entries; i++) {
        const struct hf_snapshot_entry *entry = &snapshot.entries[i];
        fuzz_check_file_info(&entry->info);
        FUZZ_CHECK(entry->info.version >= 1);
        FUZZ_CHECK(hf_snapshot_find(&snapshot, entry->file) == &entry->info);
        FUZZ_CHECK(i == 0 || strcmp(snapshot.entries[i - 1].file, entry->file) < 0);
    }
    FUZZ_CHECK(hf_snapshot_find(&snapshot, "\x01 no such file") == NULL);
    hf_snapshot_free(&snapshot);
    return 0;
}
