/* common/tuf/root: a file of any bytes. fuzz_trusted_set signs what it feeds. */
#include "tests/fuzz/metadata_checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_root root = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_root_parse((struct hf_bytes){data, size}, &root, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(root.env.json == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    fuzz_check_envelope(&root.env, "root");
    fuzz_check_keyring(&root.ring);
    for (int i = 0; i < HF_TOP_ROLES; i++) {
        fuzz_check_role(&root.roles[i]);
        /* The seeds are signed: an edit of `signatures` alone leaves a root that is good. */
        (void)hf_envelope_verify(&root.env, &root.ring, &root.roles[i], "root", &why);
    }
    hf_root_free(&root);
    return 0;
}
