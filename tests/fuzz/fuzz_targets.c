/* common/tuf/targets and target_path: a file of any bytes, and the paths that it speaks for. */
#include "tests/fuzz/metadata_checks.h"

#include "common/base/limits.h"

static void check_file_name(const struct hf_target *target, bool is_consistent)
{
    struct hf_buf name = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_target_file_name(target, is_consistent, &name, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(err == HF_E_FORMAT && is_consistent);
        fuzz_check_refusal(err, &why);
        return;
    }
    const char *text = (const char *)name.data;
    /* A hash in front of a part does not make a safe path unsafe. */
    if (hf_target_path_is_safe(target->path) && name.len <= HF_TARGET_PATH_MAX)
        FUZZ_CHECK(hf_target_path_is_safe(text));
    if (!is_consistent)
        FUZZ_CHECK(strcmp(text, target->path) == 0);
    hf_buf_free(&name);
}

static void check_target(const struct hf_targets *targets, const struct hf_target *target)
{
    fuzz_check_file_info(&target->info);
    FUZZ_CHECK(target->info.length >= 0 && target->info.has_hashes);
    FUZZ_CHECK(strlen(target->path) <= HF_TARGET_PATH_MAX);
    FUZZ_CHECK(hf_targets_find(targets, target->path) == target);
    if (hf_target_path_is_safe(target->path))
        FUZZ_CHECK(target->path[0] != '/' && strstr(target->path, "/../") == NULL);
    check_file_name(target, false);
    check_file_name(target, true);
}

static void check_delegation(const struct hf_delegation *d)
{
    fuzz_check_role(&d->role);
    FUZZ_CHECK(strlen(d->role.name) >= 1 && strlen(d->role.name) <= HF_ROLE_NAME_MAX);
    FUZZ_CHECK(d->paths == NULL || d->path_hash_prefixes == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_targets targets = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_targets_parse((struct hf_bytes){data, size}, &targets, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(targets.env.json == NULL);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    fuzz_check_envelope(&targets.env, "targets");
    fuzz_check_keyring(&targets.ring);
    for (size_t i = 0; i < targets.n_targets; i++)
        check_target(&targets, &targets.targets[i]);
    for (size_t i = 0; i < targets.n_delegations; i++)
        check_delegation(&targets.delegations[i]);
    hf_targets_free(&targets);
    return 0;
}
