/* A key that is in no file: client authentication, certificate requests, renewals, and what goes
 * wrong. */
#include "client/port/identity/device_key.h"
#include "client/port/identity/request.h"
#include "tests/support/check.h"
#include "tests/support/fake_service.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_pair.h"

#include <mbedtls/oid.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A server that wants a client certificate of this CA. */
struct scene {
    struct pki_key ca, server_key;
    struct hf_buf ca_der, server_der;
    mbedtls_x509_crt ca_crt;
    struct tls_server server;
};

static void scene_make(struct scene *s, mbedtls_ssl_protocol_version version)
{
    memset(s, 0, sizeof *s);
    pki_key_make(&s->ca, PKI_P256);
    pki_key_make(&s->server_key, PKI_P256);
    pki_root("CN=Device CA", &s->ca, &s->ca_der);
    const struct pki_cert cert = {.subject = "CN=server",
                                  .key = &s->server_key,
                                  .issuer = "CN=Device CA",
                                  .issuer_key = &s->ca,
                                  .dns_name = TLS_HOST};
    pki_issue(&cert, &s->server_der);
    tls_server_make(&s->server, version, &s->server_key, &s->server_der, 1);
    mbedtls_x509_crt_init(&s->ca_crt);
    assert_int_equal(mbedtls_x509_crt_parse_der(&s->ca_crt, s->ca_der.data, s->ca_der.len), 0);
    mbedtls_ssl_conf_authmode(&s->server.config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&s->server.config, &s->ca_crt, NULL);
}

static void scene_free(struct scene *s)
{
    tls_server_free(&s->server);
    mbedtls_x509_crt_free(&s->ca_crt);
    hf_buf_free(&s->ca_der);
    hf_buf_free(&s->server_der);
    pki_key_free(&s->ca);
    pki_key_free(&s->server_key);
}

/* A certificate of `element`, in a file; loaded with the element's key. */
static enum hf_err load(const struct scene *s, const struct temp_dir *dir, struct pki_key *subject,
                        const struct hf_device_key *key, struct hf_client_auth *out,
                        struct hf_why *why)
{
    struct hf_buf pem = {0};
    const char *file = temp_path(dir, "certificate.pem");
    const struct pki_cert cert = {.subject = "CN=device",
                                  .key = subject,
                                  .issuer = "CN=Device CA",
                                  .issuer_key = (struct pki_key *)(uintptr_t)&s->ca};
    const struct hf_client_auth_source source = {file, NULL, key};

    pki_issue_pem(&cert, &pem);
    temp_write(file, (const char *)pem.data);
    hf_buf_free(&pem);
    return hf_client_auth_load(&source, out, why);
}

/* 0, or the client's error; `is_both`: the client may speak both versions before it shows the
 * key. */
static int shake_hands(struct scene *s, struct hf_client_auth *auth,
                       mbedtls_ssl_protocol_version version)
{
    struct tls_pair *pair = calloc(1, sizeof *pair);
    mbedtls_ssl_config client;

    assert_non_null(pair);
    tls_client_make(&client, version);
    mbedtls_ssl_conf_min_tls_version(&client, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_authmode(&client, MBEDTLS_SSL_VERIFY_NONE);
    CHECK_OK(hf_client_auth_show(auth, &client, NULL));
    int code = tls_connect(pair, &client, &s->server);
    if (code == 0 && !tls_echo(pair))
        code = -1;
    tls_close(pair);
    mbedtls_ssl_config_free(&client);
    free(pair);
    return code;
}

static void check_key(struct temp_dir *dir, enum pki_kind kind,
                      mbedtls_ssl_protocol_version version, bool works)
{
    struct fake_element element;
    struct hf_client_auth auth;
    struct scene s;

    fake_element_init(&element, kind);
    const struct hf_device_key key = fake_element_key(&element);
    scene_make(&s, version);
    CHECK_OK(load(&s, dir, &element.key, &key, &auth, NULL));
    if (works) {
        assert_int_equal(shake_hands(&s, &auth, version), 0);
        assert_int_equal(element.n_signatures, 1);
        element.is_broken = true;
    }
    assert_int_not_equal(shake_hands(&s, &auth, version), 0);
    assert_int_equal(element.n_signatures, works);
    hf_client_auth_free(&auth);
    scene_free(&s);
    fake_element_free(&element);
}

static void keys_on_elliptic_curves_work_with_both_versions(void **state)
{
    check_key(*state, PKI_P256, MBEDTLS_SSL_VERSION_TLS1_2, true);
    check_key(*state, PKI_P256, MBEDTLS_SSL_VERSION_TLS1_3, true);
    check_key(*state, PKI_P384, MBEDTLS_SSL_VERSION_TLS1_2, true);
    check_key(*state, PKI_P384, MBEDTLS_SSL_VERSION_TLS1_3, true);
}

static void rsa_keys_work_with_tls_1_2_and_offer_nothing_else(void **state)
{
    check_key(*state, PKI_RSA_2048, MBEDTLS_SSL_VERSION_TLS1_2, true);
    check_key(*state, PKI_RSA_2048, MBEDTLS_SSL_VERSION_TLS1_3, false);
}

static void a_certificate_of_another_key_is_refused(void **state)
{
    struct fake_element element;
    struct hf_client_auth auth;
    struct hf_why why = {0};
    struct scene s;

    fake_element_init(&element, PKI_P256);
    const struct hf_device_key key = fake_element_key(&element);
    scene_make(&s, MBEDTLS_SSL_VERSION_TLS1_3);
    CHECK_REFUSED(load(&s, *state, &s.server_key, &key, &auth, &why), HF_E_KEY, &why,
                  "belong together");
    scene_free(&s);
    fake_element_free(&element);
}

static enum hf_err give_garbage(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    (void)why;
    return hf_buf_append(out, "garbage", *(const size_t *)ctx);
}

static enum hf_err give_nothing(void *ctx, struct hf_buf *out, struct hf_why *why)
{
    (void)ctx, (void)out;
    return hf_fail(why, HF_E_KEY, "the element is locked");
}

static void a_public_key_that_cannot_be_used_is_refused(void **state)
{
    size_t lens[] = {0, 7};
    mbedtls_pk_context pk;
    struct hf_why why = {0};
    (void)state;

    mbedtls_pk_init(&pk);
    for (size_t i = 0; i < 2; i++) {
        const struct hf_device_key key = {&lens[i], give_garbage, NULL};
        CHECK_REFUSED(hf_device_key_use(&key, &pk, &why), HF_E_KEY, &why, "SubjectPublicKeyInfo");
    }
    const struct hf_device_key locked = {NULL, give_nothing, NULL};
    CHECK_REFUSED(hf_device_key_use(&locked, &pk, &why), HF_E_KEY, &why, "locked");
    assert_false(hf_device_key_is(&pk));
    mbedtls_pk_free(&pk);
}

static void it_signs_requests_and_renewals(void **state)
{
    static const enum pki_kind kinds[] = {PKI_P256, PKI_P384, PKI_RSA_2048};
    (void)state;

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct fake_element element;
        struct hf_buf csr = {0}, signature = {0};
        mbedtls_pk_context pk;
        struct hf_why why = {0};

        fake_element_init(&element, kinds[i]);
        const struct hf_device_key key = fake_element_key(&element);
        mbedtls_pk_init(&pk);
        CHECK_OK(hf_device_key_use(&key, &pk, &why));
        CHECK_OK(hf_identity_csr_make(&pk, "device", &csr, &why));
        CHECK_OK(hf_identity_renewal_sign(&pk, hf_buf_bytes(&csr), &signature, &why));
        assert_int_equal(element.n_signatures, 2);
        element.is_broken = true;
        CHECK_REFUSED(hf_identity_renewal_sign(&pk, hf_buf_bytes(&csr), &signature, &why), HF_E_KEY,
                      &why, "the element does not answer");
        mbedtls_pk_free(&pk);
        hf_buf_free(&csr);
        hf_buf_free(&signature);
        fake_element_free(&element);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_on_elliptic_curves_work_with_both_versions,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(rsa_keys_work_with_tls_1_2_and_offer_nothing_else,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_certificate_of_another_key_is_refused, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test(a_public_key_that_cannot_be_used_is_refused),
        cmocka_unit_test(it_signs_requests_and_renewals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
