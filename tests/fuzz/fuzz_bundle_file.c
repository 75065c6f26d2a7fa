/*
 * client/port/posix/bundle_files: the .json beside a bundle's PEM, which a device without its
 * database lives by. What is loaded is what the link's name says.
 */
#include "tests/fuzz/scratch.h"

#include "client/port/posix/bundle_files.h"
#include "common/base/digest.h"

#include <sys/stat.h>
#include <unistd.h>

#define PEM "one bundle\n"
#define VERSION 7

static char stem[128]; /* HASH.VERSION */

static void make_folder(void)
{
    char name[192], target[160];
    char sha256[HF_SHA256_HEX_LEN];
    if (stem[0] != '\0')
        return;
    hf_sha256_hex(hf_bytes_of_text(PEM), sha256);
    snprintf(stem, sizeof stem, "%s.%d", sha256, VERSION);
    FUZZ_CHECK(mkdir(scratch_path("bundles"), 0700) == 0);
    snprintf(name, sizeof name, "bundles/%s.pem", stem);
    scratch_write(scratch_path(name), hf_bytes_of_text(PEM));
    snprintf(target, sizeof target, "%s.pem", stem);
    FUZZ_CHECK(symlink(target, scratch_path("bundles/active")) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_bundle_record record = {0};
    struct hf_why why = {0};
    char name[192];

    make_folder();
    snprintf(name, sizeof name, "bundles/%s.json", stem);
    scratch_write(scratch_path(name), (struct hf_bytes){data, size});
    enum hf_err err = hf_bundle_files_load(scratch_dir(), HF_SLOT_ACTIVE, &record, &why);
    if (err == HF_OK) {
        FUZZ_CHECK(record.version == VERSION);
        FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&record.pem), hf_bytes_of_text(PEM)));
        FUZZ_CHECK(strncmp(record.sha256, stem, HF_SHA256_HEX_LEN - 1) == 0);
        FUZZ_CHECK(strlen(record.set) < sizeof record.set);
    } else {
        fuzz_check_refusal(err, &why);
        FUZZ_CHECK(record.pem.data == NULL && record.custom.data == NULL);
    }
    hf_bundle_record_free(&record);
    return 0;
}
