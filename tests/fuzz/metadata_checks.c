#include "tests/fuzz/metadata_checks.h"

#include "common/base/limits.h"
#include "common/base/timetext.h"

void fuzz_check_envelope(const struct hf_envelope *e, const char *type)
{
    FUZZ_CHECK(strcmp(e->type, type) == 0);
    FUZZ_CHECK(e->version >= 1 && e->version <= HF_JSON_INTEGER_MAX);
    FUZZ_CHECK(e->expires_s >= 0);
    FUZZ_CHECK(e->signed_at_s == HF_TIME_NONE || e->signed_at_s >= 0);
    FUZZ_CHECK(e->n_signatures <= HF_SIGNATURES_MAX);
    FUZZ_CHECK(e->signed_bytes.len >= 2);
    for (size_t i = 0; i < e->n_signatures; i++) {
        const struct hf_signature *s = &e->signatures[i];
        FUZZ_CHECK((s->bytes == NULL) == (s->len == 0));
        FUZZ_CHECK(s->len <= HF_SIGNATURE_BYTES_MAX);
        for (size_t j = 0; j < i; j++)
            FUZZ_CHECK(strcmp(e->signatures[j].key_id, s->key_id) != 0);
    }
}

void fuzz_check_role(const struct hf_role *role)
{
    FUZZ_CHECK(role->threshold >= 1);
    FUZZ_CHECK(role->n_key_ids <= HF_ROLE_KEYS_MAX);
    for (size_t i = 0; i < role->n_key_ids; i++) {
        for (size_t j = 0; j < i; j++)
            FUZZ_CHECK(strcmp(role->key_ids[i], role->key_ids[j]) != 0);
    }
}

void fuzz_check_keyring(const struct hf_keyring *ring)
{
    FUZZ_CHECK(ring->n_keys <= HF_KEYS_MAX);
    for (size_t i = 0; i < ring->n_keys; i++) {
        const struct hf_key *key = &ring->keys[i];
        FUZZ_CHECK((key->scheme == HF_SCHEME_UNKNOWN) == (key->public_key == NULL));
        FUZZ_CHECK(hf_keyring_find(ring, key->key_id) == key);
        FUZZ_CHECK(hf_key_same(key, key) == (key->public_key != NULL));
    }
}

void fuzz_check_file_info(const struct hf_file_info *info)
{
    FUZZ_CHECK(info->version >= 0);
    FUZZ_CHECK(info->length >= -1);
    FUZZ_CHECK(info->has_hashes || (!info->has_sha256 && !info->has_sha512));
}

void fuzz_check_not_signed(const struct hf_envelope *e, const struct hf_keyring *ring,
                           const struct hf_role *role)
{
    struct hf_why why = {0};
    enum hf_err err = hf_envelope_verify(e, ring, role, "the file", &why);
    FUZZ_CHECK(err == HF_E_SIGNATURE);
    fuzz_check_refusal(err, &why);
}
