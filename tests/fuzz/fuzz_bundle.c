/*
 * common/bundle/bundle and policy: a description, then a PEM file. What is written again holds the
 * same anchors, and only what meets the policy is ever said to.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/timetext.h"
#include "common/bundle/policy.h"
#include "common/json/json.h"

static void check_same_anchors(const struct hf_bundle *bundle)
{
    struct hf_bundle again = {0};
    struct hf_buf pem = {0};
    struct hf_why why = {0};
    FUZZ_OK(hf_bundle_to_pem(bundle, &pem), &why);
    FUZZ_OK(hf_bundle_parse(hf_buf_bytes(&pem), NULL, &again, &why), &why);
    FUZZ_CHECK(again.n_anchors == bundle->n_anchors);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        FUZZ_CHECK(hf_bytes_equal(again.anchors[i].der, bundle->anchors[i].der));
    hf_bundle_free(&again);
    hf_buf_free(&pem);
}

static void check_anchor(const struct hf_bundle *bundle, const struct hf_anchor *a)
{
    struct hf_why why = {0};
    FUZZ_CHECK(hf_bundle_find(bundle, a->cert.sha256) == a);
    FUZZ_CHECK(hf_bundle_find_key(bundle, a->cert.spki_sha256) != NULL);
    FUZZ_CHECK(a->der.data >= bundle->der.data);
    FUZZ_CHECK(a->der.data + a->der.len <= bundle->der.data + bundle->der.len);
    (void)hf_policy_anchor_state(a, INT64_C(1900000000));
    enum hf_err err = hf_policy_check_anchor(a, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        FUZZ_CHECK(hf_policy_check_bundle(bundle, &why) == HF_E_POLICY);
        return;
    }
    FUZZ_CHECK(a->cert.is_ca && a->cert.key != HF_CERT_KEY_OTHER);
    FUZZ_CHECK(a->cert.key != HF_CERT_KEY_RSA || a->cert.key_bits >= 2048);
    FUZZ_CHECK(a->cert.is_self_issued || a->use != HF_USE_ANCHOR);
}

static void check_bundle(struct hf_bytes pem, const struct hf_description *description)
{
    struct hf_bundle bundle = {0};
    struct hf_why why = {0};
    enum hf_err err = hf_bundle_parse(pem, description, &bundle, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(bundle.anchors == NULL && bundle.der.data == NULL);
        fuzz_check_refusal(err, &why);
        return;
    }
    for (size_t i = 0; i < bundle.n_anchors; i++)
        check_anchor(&bundle, &bundle.anchors[i]);
    check_same_anchors(&bundle);
    hf_bundle_free(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_description description = {0};
    struct hf_why why = {0};
    json_t *custom = NULL;
    struct hf_bytes json = fuzz_section(&in);
    bool is_described = hf_json_parse_object(json, "custom", &custom, &why) == HF_OK &&
                        hf_description_parse(custom, &description, &why) == HF_OK;
    check_bundle((struct hf_bytes){in.data, in.len}, is_described ? &description : NULL);
    hf_description_free(&description);
    json_decref(custom);
    return 0;
}
