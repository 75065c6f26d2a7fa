/* Which names of a certificate count in a handshake (RFC 9525;
 * deploy/mbedtls-2-host-names.patch). */
#include "tests/support/check.h"

#include "tests/support/trust_world.h"

#include <mbedtls/oid.h>

#define MISMATCH MBEDTLS_X509_BADCERT_CN_MISMATCH
#define DNS 0x82
#define URI 0x86

/* The flags for a leaf whose only alternative name is `name`, when a client asks for `host`. */
static uint32_t flags_for(uint8_t tag, const char *name, const char *host)
{
    const struct hf_bytes oid = {(const uint8_t *)MBEDTLS_OID_SUBJECT_ALT_NAME,
                                 sizeof MBEDTLS_OID_SUBJECT_ALT_NAME - 1};
    struct hf_buf one = {0}, names = {0}, der = {0};
    mbedtls_x509_crt crt;
    struct world w;
    uint32_t flags = UINT32_MAX;

    world_make(&w, MBEDTLS_SSL_VERSION_TLS1_3);
    world_trust_root(&w, "CN=Root", &w.root);
    pki_put(&one, tag, hf_bytes_of_text(name));
    pki_put(&names, 0x30, hf_buf_bytes(&one));
    pki_issue(&(struct pki_cert){.subject = "CN=Leaf",
                                 .key = &w.leaf,
                                 .issuer = "CN=Root",
                                 .issuer_key = &w.root,
                                 .extensions = {{oid, false, hf_buf_bytes(&names)}}},
              &der);
    mbedtls_x509_crt_init(&crt);
    assert_int_equal(mbedtls_x509_crt_parse_der(&crt, der.data, der.len), 0);
    (void)mbedtls_x509_crt_verify_with_ca_cb(&crt, hf_trust_store_candidates, w.store,
                                             &mbedtls_x509_crt_profile_default, host, &flags,
                                             hf_trust_store_verify, w.store);
    mbedtls_x509_crt_free(&crt);
    hf_buf_free(&one);
    hf_buf_free(&names);
    hf_buf_free(&der);
    world_free(&w);
    return flags;
}

static void dns_names_are_for_hosts(void **state)
{
    (void)state;
    assert_int_equal(flags_for(DNS, "a.example", "a.example"), 0);
    assert_int_equal(flags_for(DNS, "*.a.example", "b.a.example"), 0);
    assert_int_equal(flags_for(DNS, "*.example", "a.example"), MISMATCH);
    assert_int_equal(flags_for(DNS, "*.example.", "a.example."), MISMATCH);
}

/* A CA that may issue for some DNS names only could name any host in a URI. */
static void a_uri_is_no_host(void **state)
{
    (void)state;
    assert_int_equal(flags_for(URI, "a.example", "a.example"), MISMATCH);
    assert_int_equal(flags_for(URI, "::1", "::1"), MISMATCH);
}

static void a_dns_name_is_no_address(void **state)
{
    (void)state;
    assert_int_equal(flags_for(DNS, "192.0.2.1", "192.0.2.1"), MISMATCH);
    assert_int_equal(flags_for(DNS, "*.0.2.1", "192.0.2.1"), MISMATCH);
    assert_int_equal(flags_for(0x87, "\x7f\x01\x01\x01", "127.1.1.1"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dns_names_are_for_hosts),
        cmocka_unit_test(a_uri_is_no_host),
        cmocka_unit_test(a_dns_name_is_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
