/* The live trust store in real handshakes: who is trusted, from when on, and who may bind. */
#include "tests/support/check.h"

#include "common/bundle/certificate.h"
#include "common/chain/anchors.h"
#include "tests/support/trust_world.h"

#include <stdio.h>

#define NOT_TRUSTED MBEDTLS_X509_BADCERT_NOT_TRUSTED

/* leaf <- CN=Middle <- CN=Root, with or without the root itself. */
static void present_path(struct world *w, struct world_chain *chain, bool with_root)
{
    world_present_leaf(w, chain, "CN=Middle", &w->middle, 0);
    world_present(chain, &(struct pki_cert){.subject = "CN=Middle",
                                            .key = &w->middle,
                                            .issuer = "CN=Root",
                                            .issuer_key = &w->root,
                                            .is_ca = true});
    if (with_root)
        world_present(chain,
                      &(struct pki_cert){.subject = "CN=Root", .key = &w->root, .is_ca = true});
}

static void check_right_and_wrong_root(struct world *w)
{
    struct world_chain chain = {0};
    present_path(w, &chain, false);
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED); /* nothing in the store yet */
    world_trust_root(w, "CN=Root", &w->root);
    assert_int_equal(world_verdict(w, &chain), 0);
    world_trust_root(w, "CN=Other", &w->other);
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED);
    world_trust_root(w, "CN=Root", &w->other); /* the name is right, the key is not */
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED);
    world_chain_clear(&chain);
}

static void check_root_sent_along(struct world *w)
{
    struct world_chain chain = {0};
    present_path(w, &chain, true);
    world_trust_root(w, "CN=Other", &w->other);
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED);
    world_trust_root(w, "CN=Root", &w->root);
    assert_int_equal(world_verdict(w, &chain), 0);
    world_chain_clear(&chain);
}

static void check_name_of_the_host(struct world *w)
{
    struct world_chain chain = {0};
    world_present(&chain, &(struct pki_cert){.subject = "CN=x",
                                             .key = &w->leaf,
                                             .issuer = "CN=Root",
                                             .issuer_key = &w->root,
                                             .dns_name = "other.example"});
    world_trust_root(w, "CN=Root", &w->root);
    assert_int_equal(world_verdict(w, &chain), MBEDTLS_X509_BADCERT_CN_MISMATCH);
    world_chain_clear(&chain);
}

static void the_right_root_passes_and_any_other_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_make(&w, world_versions[i]);
        check_right_and_wrong_root(&w);
        check_root_sent_along(&w);
        check_name_of_the_host(&w);
        world_free(&w);
    }
}

static void check_swap(struct world *w)
{
    struct world_chain chain = {0};
    struct tls_server server;
    struct tls_pair up;
    present_path(w, &chain, false);
    world_serve(w, &server, &chain, &w->leaf);
    world_trust_root(w, "CN=Root", &w->root);
    assert_int_equal(tls_connect(&up, &w->config, &server), 0);
    assert_true(tls_echo(&up));

    world_trust_root(w, "CN=Other", &w->other);
    assert_true(tls_echo(&up)); /* what is up stays up */
    assert_int_equal(world_verdict(w, &chain), NOT_TRUSTED);
    assert_true(tls_echo(&up));
    tls_close(&up);
    tls_server_free(&server);
    world_chain_clear(&chain);
}

static void a_swap_takes_effect_in_the_next_handshake_and_ends_no_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        world_make(&w, world_versions[i]);
        check_swap(&w);
        world_free(&w);
    }
}

/* The anchors are asked for when the certificates come, so a handshake begun before the swap
 * already sees the new ones. */
static void a_swap_takes_effect_in_the_middle_of_a_handshake(void **state)
{
    (void)state;
    struct world w;
    struct world_chain chain = {0};
    struct tls_server server;
    struct tls_pair pair;
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    present_path(&w, &chain, false);
    world_serve(&w, &server, &chain, &w.leaf);
    world_trust_root(&w, "CN=Other", &w.other);
    tls_prepare(&pair, &w.config, &server);
    assert_int_equal(mbedtls_ssl_handshake(&pair.client), MBEDTLS_ERR_SSL_WANT_READ);
    world_trust_root(&w, "CN=Root", &w.root);
    assert_int_equal(tls_handshake(&pair), 0);
    tls_close(&pair);
    tls_server_free(&server);
    world_chain_clear(&chain);
    world_free(&w);
}

static void a_refused_swap_changes_nothing(void **state)
{
    (void)state;
    struct world w;
    struct world_chain chain = {0};
    struct world_anchors anchors = {0};
    struct hf_why why = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    present_path(&w, &chain, false);
    world_trust_root(&w, "CN=Root", &w.root);
    assert_int_equal(hf_trust_store_generation(w.store), 1);

    (void)world_add(&anchors, &(struct pki_cert){"CN=Other", &w.other, .is_ca = true});
    (void)world_add(&anchors, &(struct pki_cert){"CN=Root", &w.root, .is_ca = true});
    anchors.at[1].der.len--;
    CHECK_REFUSED(hf_trust_store_swap(w.store, anchors.at, 2, &why), HF_E_FORMAT, &why,
                  "trust anchor 2: expected an X.509 certificate, found bytes");
    anchors.at[1].der.len = 20000;
    CHECK_REFUSED(hf_trust_store_swap(w.store, anchors.at, 2, &why), HF_E_LIMIT, &why,
                  "trust anchor 2 has 20000 bytes");
    const struct hf_trust_anchor undated = {.der = anchors.at[0].der};
    CHECK_REFUSED(hf_trust_store_swap(w.store, &undated, 1, &why), HF_E_ARGUMENT, &why,
                  "trust anchor 1 has no dates");
    CHECK_REFUSED(hf_trust_store_swap(w.store, anchors.at, 1025, &why), HF_E_LIMIT, &why,
                  "1025 trust anchors");
    assert_int_equal(hf_trust_store_generation(w.store), 1);
    assert_int_equal(world_verdict(&w, &chain), 0);

    CHECK_OK(hf_trust_store_swap(w.store, anchors.at, 1, &why));
    hf_buf_free(&anchors.der[0]);
    hf_buf_free(&anchors.der[1]);
    assert_int_equal(hf_trust_store_generation(w.store), 2);
    assert_int_equal(world_verdict(&w, &chain), NOT_TRUSTED);
    world_chain_clear(&chain);
    world_free(&w);
}

static void the_port_swaps(void **state)
{
    (void)state;
    struct world w;
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    struct hf_why why = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    present_path(&w, &chain, false);
    (void)world_add(&anchors, &(struct pki_cert){"CN=Root", &w.root, .is_ca = true});
    struct hf_trust_port port = hf_trust_store_port(w.store);
    CHECK_OK(port.swap(port.ctx, anchors.at, 1, &why));
    assert_int_equal(world_verdict(&w, &chain), 0);
    CHECK_OK(
        port.swap(port.ctx, NULL, 0, &why)); /* zero anchors are allowed: no server is trusted */
    assert_int_equal(world_verdict(&w, &chain), NOT_TRUSTED);
    hf_buf_free(&anchors.der[0]);
    world_chain_clear(&chain);
    world_free(&w);
}

/* Mbed TLS holds names to be equal that differ in string type and case; the index must not be
 * stricter. A root's own signature is not looked at, so its name can be rewritten in place. */
static void a_root_whose_name_is_written_otherwise_is_found(void **state)
{
    (void)state;
    struct world w;
    struct world_anchors anchors = {0};
    struct world_chain chain = {0};
    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    present_path(&w, &chain, false);
    (void)world_add(&anchors, &(struct pki_cert){"CN=Root", &w.root, .is_ca = true});
    unsigned n_rewritten = 0;
    for (size_t i = 0; i + 6 <= anchors.der[0].len; i++) {
        if (memcmp(anchors.der[0].data + i, "\x0c\x04Root", 6) == 0) {
            memcpy(anchors.der[0].data + i, "\x13\x04rOOT", 6); /* PrintableString */
            n_rewritten++;
        }
    }
    assert_int_equal(n_rewritten, 2);
    world_trust(&w, &anchors);
    assert_int_equal(world_verdict(&w, &chain), 0);
    world_chain_clear(&chain);
    world_free(&w);
}

/* A device whose broker has a self-signed certificate of its own: the leaf is the anchor. */
static void a_leaf_that_is_an_anchor_itself_passes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        struct world_anchors anchors = {0};
        struct world_chain chain = {0};
        world_make(&w, world_versions[i]);
        struct hf_trust_anchor *anchor = world_add(&anchors,
                                                   &(struct pki_cert){.subject = "CN=broker",
                                                                      .key = &w.leaf,
                                                                      .is_ca = true,
                                                                      .dns_name = TLS_HOST});
        CHECK_OK(hf_buf_append(&chain.der[chain.n++], anchor->der.data, anchor->der.len));
        assert_int_equal(world_verdict(&w, &chain), NOT_TRUSTED);
        world_trust(&w, &anchors);
        assert_int_equal(world_verdict(&w, &chain), 0);
        world_chain_clear(&chain);
        world_free(&w);
    }
}

static void an_application_of_another_configuration_cannot_bind(void **state)
{
    (void)state;
    struct hf_trust_store *store = NULL;
    struct hf_why why = {0};
    mbedtls_ssl_config config, untouched;
    CHECK_OK(hf_trust_store_new(&store, &why));
    memset(&config, 0, sizeof config);
    memset(&untouched, 0, sizeof untouched);
    const struct hf_trust_store_abi good = HF_TRUST_STORE_ABI;
    struct hf_trust_store_abi bad[4] = {good, good, good, good};
    bad[0].version_number = 0x03060600;
    bad[1].ssl_config_size -= 8;
    bad[2].ssl_context_size += 8;
    bad[3].x509_crt_size = 1;
    for (size_t i = 0; i < 4; i++) {
        char ours[128], theirs[128];
        (void)snprintf(ours, sizeof ours, "version 0x%08x with structs of %zu, %zu and %zu bytes",
                       good.version_number, good.ssl_config_size, good.ssl_context_size,
                       good.x509_crt_size);
        (void)snprintf(theirs, sizeof theirs, "found 0x%08x with %zu, %zu and %zu",
                       bad[i].version_number, bad[i].ssl_config_size, bad[i].ssl_context_size,
                       bad[i].x509_crt_size);
        CHECK_REFUSED(hf_trust_store_bind_checked(store, &config, bad[i], &why), HF_E_ARGUMENT,
                      &why, ours);
        assert_non_null(strstr(why.text, theirs));
        assert_memory_equal(&config, &untouched, sizeof config);
    }
    hf_trust_store_free(store);
}

/* Every anchor is found among many, with its namesakes and no other, in the order given. */
static void the_index_finds_each_of_many(void **state)
{
    (void)state;
    enum { N = 300, NAMES = 100 };
    static struct hf_buf der[N];
    static struct hf_trust_anchor list[N];
    struct hf_anchors *anchors = NULL;
    struct pki_key key;
    pki_key_make(&key, PKI_P256);
    for (size_t i = 0; i < N; i++) {
        char subject[32];
        (void)snprintf(subject, sizeof subject, "CN=Root %zu", i % NAMES);
        der[i] = (struct hf_buf){0};
        pki_root(subject, &key, &der[i]);
        list[i] = (struct hf_trust_anchor){.der = hf_buf_bytes(&der[i]), .not_after_s = 1};
    }
    CHECK_OK(hf_anchors_new(list, N, &anchors, NULL));
    for (size_t i = 0; i < NAMES; i++) {
        struct hf_certificate cert;
        const struct hf_trust_anchor *found;
        size_t at = 0;
        assert_true(hf_certificate_parse(list[i].der, &cert));
        for (size_t k = i; k < N; k += NAMES) {
            found = hf_anchors_next(anchors, cert.issuer_hash, &at);
            assert_non_null(found);
            assert_true(hf_bytes_equal(found->der, list[k].der));
        }
        assert_null(hf_anchors_next(anchors, cert.issuer_hash, &at));
    }
    hf_anchors_free(anchors);
    for (size_t i = 0; i < N; i++)
        hf_buf_free(&der[i]);
    pki_key_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_root_passes_and_any_other_fails),
        cmocka_unit_test(a_swap_takes_effect_in_the_next_handshake_and_ends_no_connection),
        cmocka_unit_test(a_swap_takes_effect_in_the_middle_of_a_handshake),
        cmocka_unit_test(a_refused_swap_changes_nothing),
        cmocka_unit_test(the_port_swaps),
        cmocka_unit_test(a_root_whose_name_is_written_otherwise_is_found),
        cmocka_unit_test(a_leaf_that_is_an_anchor_itself_passes),
        cmocka_unit_test(an_application_of_another_configuration_cannot_bind),
        cmocka_unit_test(the_index_finds_each_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
