#include "tests/support/config_check.h"

#include "tests/support/check.h"

enum hf_err config_check(struct world *w, struct hf_why *why)
{
    mbedtls_ssl_config before = w->config;
    uint64_t generation = hf_trust_store_generation(w->store);
    enum hf_err err = hf_trust_store_check_config(w->store, &w->config, why);
    assert_memory_equal(&before, &w->config, sizeof before);
    assert_int_equal(hf_trust_store_generation(w->store), generation);
    return err;
}

void config_check_passes(struct world *w)
{
    struct hf_why why = {0};
    enum hf_err err = config_check(w, &why);
    if (err != HF_OK)
        fail_msg("refused: %s", why.text);
}

void config_check_is_caught(struct world *w, const char *part)
{
    struct hf_why why = {0};
    CHECK_REFUSED(config_check(w, &why), HF_E_POLICY, &why, part);
    CHECK_OK(hf_trust_store_bind(w->store, &w->config, &why));
    config_check_passes(w);
}

void config_allow(struct world *w, mbedtls_ssl_protocol_version min,
                  mbedtls_ssl_protocol_version max)
{
    mbedtls_ssl_conf_min_tls_version(&w->config, min);
    mbedtls_ssl_conf_max_tls_version(&w->config, max);
}

void config_in_both_versions(void (*test)(struct world *w))
{
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_make(&w, world_versions[i]);
        world_trust_root(&w, "CN=Root", &w.root);
        test(&w);
        world_free(&w);
    }
}
