#include "tests/support/trust_world.h"

#include "tests/support/check.h"

const mbedtls_ssl_protocol_version world_versions[2] = {MBEDTLS_SSL_VERSION_TLS1_2,
                                                        MBEDTLS_SSL_VERSION_TLS1_3};

void world_make(struct world *w, mbedtls_ssl_protocol_version version)
{
    struct hf_why why = {0};
    hf_trust_store_set_clock(WORLD_NOW);
    w->version = version;
    CHECK_OK(hf_trust_store_new(&w->store, &why));
    tls_client_make(&w->config, version);
    CHECK_OK(hf_trust_store_bind(w->store, &w->config, &why));
    pki_key_make(&w->root, PKI_P256);
    pki_key_make(&w->other, PKI_P256);
    pki_key_make(&w->middle, PKI_P256);
    pki_key_make(&w->leaf, PKI_P256);
}

void world_free(struct world *w)
{
    mbedtls_ssl_config_free(&w->config);
    hf_trust_store_free(w->store);
    pki_key_free(&w->root);
    pki_key_free(&w->other);
    pki_key_free(&w->middle);
    pki_key_free(&w->leaf);
    hf_trust_store_set_clock(INT64_MIN);
    hf_trust_store_set_clock_floor(INT64_MIN);
}

struct hf_trust_anchor *world_add(struct world_anchors *anchors, const struct pki_cert *cert)
{
    assert_in_range(anchors->n, 0, WORLD_LIST_MAX - 1);
    struct hf_buf *der = &anchors->der[anchors->n];
    struct hf_trust_anchor *anchor = &anchors->at[anchors->n++];
    pki_issue(cert, der);
    *anchor = (struct hf_trust_anchor){
        .der = hf_buf_bytes(der),
        .not_before_s = cert->not_before_s == 0 ? pki_day(2020, 1, 1) : cert->not_before_s,
        .not_after_s = cert->not_after_s == 0 ? pki_day(2040, 1, 1) : cert->not_after_s,
        .distrust_after_s = INT64_MIN,
        .remove_after_s = INT64_MIN,
    };
    return anchor;
}

void world_trust(struct world *w, struct world_anchors *anchors)
{
    struct hf_why why = {0};
    CHECK_OK(hf_trust_store_swap(w->store, anchors->at, anchors->n, &why));
    for (size_t i = 0; i < anchors->n; i++)
        hf_buf_free(&anchors->der[i]);
    *anchors = (struct world_anchors){0};
}

void world_trust_root(struct world *w, const char *subject, struct pki_key *key)
{
    struct world_anchors anchors = {0};
    (void)world_add(&anchors, &(struct pki_cert){.subject = subject, .key = key, .is_ca = true});
    world_trust(w, &anchors);
}

void world_present(struct world_chain *chain, const struct pki_cert *cert)
{
    assert_in_range(chain->n, 0, WORLD_LIST_MAX - 1);
    pki_issue(cert, &chain->der[chain->n++]);
}

void world_present_leaf(struct world *w, struct world_chain *chain, const char *issuer,
                        struct pki_key *issuer_key, int64_t not_before_s)
{
    world_present(chain, &(struct pki_cert){.subject = "CN=" TLS_HOST,
                                            .key = &w->leaf,
                                            .issuer = issuer,
                                            .issuer_key = issuer_key,
                                            .not_before_s = not_before_s,
                                            .dns_name = TLS_HOST});
}

void world_chain_clear(struct world_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        hf_buf_free(&chain->der[i]);
    *chain = (struct world_chain){0};
}

void world_serve(struct world *w, struct tls_server *server, const struct world_chain *chain,
                 struct pki_key *key)
{
    tls_server_make(server, w->version, key, chain->der, chain->n);
}

uint32_t world_verdict_for_key(struct world *w, const struct world_chain *chain,
                               struct pki_key *key)
{
    struct tls_server server;
    struct tls_pair pair;
    world_serve(w, &server, chain, key);
    int ret = tls_connect(&pair, &w->config, &server);
    uint32_t flags = mbedtls_ssl_get_verify_result(&pair.client);
    tls_close(&pair);
    tls_server_free(&server);
    assert_int_equal(ret, flags == 0 ? 0 : MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
    return flags;
}

uint32_t world_verdict(struct world *w, const struct world_chain *chain)
{
    return world_verdict_for_key(w, chain, &w->leaf);
}

bool world_verify_list(struct hf_trust_store *store, mbedtls_x509_crt *list)
{
    mbedtls_ssl_config config;
    struct hf_why why = {0};
    uint32_t flags = 0;

    mbedtls_ssl_config_init(&config);
    CHECK_OK(hf_trust_store_bind(store, &config, &why));
    int code = mbedtls_x509_crt_verify_with_ca_cb(list, config.MBEDTLS_PRIVATE(f_ca_cb),
                                                  config.MBEDTLS_PRIVATE(p_ca_cb),
                                                  &mbedtls_x509_crt_profile_default, TLS_HOST,
                                                  &flags, config.MBEDTLS_PRIVATE(f_vrfy),
                                                  config.MBEDTLS_PRIVATE(p_vrfy));
    mbedtls_ssl_config_free(&config);
    return code == 0 && flags == 0;
}
