#include "tests/support/test_pki.h"

#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "tests/support/check.h"

#include <mbedtls/ecp.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>
#include <sodium.h>

#define DER_MAX 8192

int pki_random(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
    return 0;
}

static void make_ec(mbedtls_pk_context *pk, mbedtls_ecp_group_id curve)
{
    assert_int_equal(mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), 0);
    assert_int_equal(mbedtls_ecp_gen_key(curve, mbedtls_pk_ec(*pk), pki_random, NULL), 0);
}

static void make_rsa(mbedtls_pk_context *pk, unsigned bits)
{
    assert_int_equal(mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), 0);
    assert_int_equal(mbedtls_rsa_gen_key(mbedtls_pk_rsa(*pk), pki_random, NULL, bits, 65537), 0);
}

void pki_key_make(struct pki_key *key, enum pki_kind kind)
{
    mbedtls_pk_init(&key->pk);
    switch (kind) {
    case PKI_P256:
        make_ec(&key->pk, MBEDTLS_ECP_DP_SECP256R1);
        return;
    case PKI_P384:
        make_ec(&key->pk, MBEDTLS_ECP_DP_SECP384R1);
        return;
    case PKI_P521:
        make_ec(&key->pk, MBEDTLS_ECP_DP_SECP521R1);
        return;
    case PKI_SECP256K1:
        make_ec(&key->pk, MBEDTLS_ECP_DP_SECP256K1);
        return;
    case PKI_RSA_2048:
        make_rsa(&key->pk, 2048);
        return;
    case PKI_RSA_1024:
        make_rsa(&key->pk, 1024);
        return;
    }
    fail_msg("no such kind of key");
}

void pki_key_make_public(struct pki_key *key, size_t exponent_len)
{
    uint8_t n[1024], e[1024];

    randombytes_buf(n, sizeof n);
    n[0] = 0xFF;
    n[sizeof n - 1] |= 1;
    memset(e, 0x7F, sizeof e);
    mbedtls_pk_init(&key->pk);
    assert_int_equal(mbedtls_pk_setup(&key->pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), 0);
    assert_int_equal(mbedtls_rsa_import_raw(mbedtls_pk_rsa(key->pk), n, sizeof n, NULL, 0, NULL, 0,
                                            NULL, 0, e, exponent_len),
                     0);
}

void pki_key_free(struct pki_key *key)
{
    mbedtls_pk_free(&key->pk);
}

void pki_key_append_pem(const struct pki_key *key, struct hf_buf *out)
{
    unsigned char pem[DER_MAX];
    assert_int_equal(mbedtls_pk_write_key_pem(&key->pk, pem, sizeof pem), 0);
    CHECK_OK(hf_buf_append_text(out, (const char *)pem));
    sodium_memzero(pem, sizeof pem);
}

int64_t pki_day(int year, int month, int day)
{
    int64_t time_s = 0;
    assert_true(hf_time_from_civil(year, month, day, 0, 0, 0, &time_s));
    return time_s;
}

/* 2030-01-31T12:00:00Z becomes 20300131120000. */
static void x509_time(int64_t time_s, char out[HF_TIME_TEXT_MAX])
{
    char text[HF_TIME_TEXT_MAX];
    hf_time_format(time_s, text);
    size_t len = 0;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c >= '0' && *c <= '9')
            out[len++] = *c;
    }
    out[len] = '\0';
}

static void set_names(mbedtls_x509write_cert *w, const struct pki_cert *cert)
{
    const char *issuer = cert->issuer == NULL ? cert->subject : cert->issuer;
    struct pki_key *issuer_key = cert->issuer_key == NULL ? cert->key : cert->issuer_key;
    unsigned char serial[16];
    randombytes_buf(serial, sizeof serial);
    serial[0] = (serial[0] & 0x7F) | 0x01; /* positive, and not shortened */
    assert_int_equal(mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof serial), 0);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(w, cert->subject), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(w, issuer), 0);
    mbedtls_x509write_crt_set_subject_key(w, &cert->key->pk);
    mbedtls_x509write_crt_set_issuer_key(w, &issuer_key->pk);
}

static void set_dates(mbedtls_x509write_cert *w, const struct pki_cert *cert)
{
    char from[HF_TIME_TEXT_MAX], to[HF_TIME_TEXT_MAX];
    x509_time(cert->not_before_s == 0 ? pki_day(2020, 1, 1) : cert->not_before_s, from);
    x509_time(cert->not_after_s == 0 ? pki_day(2040, 1, 1) : cert->not_after_s, to);
    assert_int_equal(mbedtls_x509write_crt_set_validity(w, from, to), 0);
}

static void set_extensions(mbedtls_x509write_cert *w, const struct pki_cert *cert)
{
    mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
    assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(w, cert->is_ca, -1), 0);
    unsigned usage = MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN;
    if (cert->dns_name != NULL) /* a server that is its own CA */
        usage |= MBEDTLS_X509_KU_DIGITAL_SIGNATURE;
    if (cert->key_usage != 0)
        usage = cert->key_usage;
    if (cert->is_ca || cert->key_usage != 0)
        assert_int_equal(mbedtls_x509write_crt_set_key_usage(w, usage), 0);
    if (cert->extended_usage.len > 0) {
        mbedtls_asn1_sequence only = {
            .buf = {.tag = MBEDTLS_ASN1_OID,
                    .len = cert->extended_usage.len,
                    .p = (unsigned char *)(uintptr_t)cert->extended_usage.data}};
        assert_int_equal(mbedtls_x509write_crt_set_ext_key_usage(w, &only), 0);
    }
    if (cert->dns_name != NULL) {
        mbedtls_x509_san_list names = {0};
        names.node.type = MBEDTLS_X509_SAN_DNS_NAME;
        names.node.san.unstructured_name.p = (unsigned char *)(uintptr_t)cert->dns_name;
        names.node.san.unstructured_name.len = strlen(cert->dns_name);
        assert_int_equal(mbedtls_x509write_crt_set_subject_alternative_name(w, &names), 0);
    }
    for (size_t i = 0; i < PKI_EXTENSIONS_MAX && cert->extensions[i].oid.len > 0; i++) {
        const struct pki_extension *e = &cert->extensions[i];
        assert_int_equal(mbedtls_x509write_crt_set_extension(w, (const char *)e->oid.data,
                                                             e->oid.len, e->is_critical,
                                                             e->value.data, e->value.len),
                         0);
    }
}

static size_t size_of(const struct pki_cert *cert)
{
    size_t size = DER_MAX;
    for (size_t i = 0; i < PKI_EXTENSIONS_MAX; i++)
        size += cert->extensions[i].value.len;
    return size;
}

void pki_issue(const struct pki_cert *cert, struct hf_buf *out)
{
    mbedtls_x509write_cert w;
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_md_alg(&w, cert->digest == MBEDTLS_MD_NONE ? MBEDTLS_MD_SHA256
                                                                         : cert->digest);
    set_names(&w, cert);
    set_dates(&w, cert);
    set_extensions(&w, cert);

    size_t size = size_of(cert);
    unsigned char *der = malloc(size);
    assert_non_null(der);
    int len = mbedtls_x509write_crt_der(&w, der, size, pki_random, NULL);
    assert_true(len > 0); /* it is written at the end of the buffer */
    CHECK_OK(hf_buf_append(out, der + size - (size_t)len, (size_t)len));
    free(der);
    mbedtls_x509write_crt_free(&w);
}

void pki_put(struct hf_buf *out, uint8_t tag, struct hf_bytes value)
{
    uint8_t head[5] = {tag};
    size_t n_len = value.len < 0x80 ? 0 : value.len < 0x100 ? 1 : value.len < 0x10000 ? 2 : 3;

    assert_true(value.len < 0x1000000);
    head[1] = n_len == 0 ? (uint8_t)value.len : (uint8_t)(0x80 + n_len);
    for (size_t i = 0; i < n_len; i++)
        head[2 + i] = (uint8_t)(value.len >> 8 * (n_len - 1 - i));
    CHECK_OK(hf_buf_append(out, head, 2 + n_len));
    CHECK_OK(hf_buf_append(out, value.data, value.len));
}

void pki_name(const struct pki_attribute *attributes, struct hf_buf *out)
{
    struct hf_buf parts = {0};
    const struct pki_attribute *a = attributes;

    while (a->type != 0) {
        struct hf_buf set = {0};
        do {
            const uint8_t oid[] = {0x06, 0x03, 0x55, 0x04, a->type};
            struct hf_buf pair = {0};
            CHECK_OK(hf_buf_append(&pair, oid, sizeof oid));
            pki_put(&pair, a->tag, a->value);
            pki_put(&set, 0x30, hf_buf_bytes(&pair));
            hf_buf_free(&pair);
        } while ((++a)->is_merged);
        pki_put(&parts, 0x31, hf_buf_bytes(&set));
        hf_buf_free(&set);
    }
    pki_put(out, 0x30, hf_buf_bytes(&parts));
    hf_buf_free(&parts);
}

/* GeneralSubtrees with the context tag `tag`: one GeneralSubtree, of a dNSName only, for each
 * name. */
static void put_subtrees(struct hf_buf *out, uint8_t tag, const char *const *names)
{
    struct hf_buf subtrees = {0};
    if (names == NULL)
        return;
    for (; *names != NULL; names++) {
        struct hf_buf name = {0};
        pki_put(&name, 0x82, hf_bytes_of_text(*names));
        pki_put(&subtrees, 0x30, hf_buf_bytes(&name));
        hf_buf_free(&name);
    }
    pki_put(out, tag, hf_buf_bytes(&subtrees));
    hf_buf_free(&subtrees);
}

void pki_name_constraints(const char *const *permitted, const char *const *excluded,
                          struct hf_buf *out)
{
    struct hf_buf both = {0};
    put_subtrees(&both, 0xa0, permitted);
    put_subtrees(&both, 0xa1, excluded);
    pki_put(out, 0x30, hf_buf_bytes(&both));
    hf_buf_free(&both);
}

void pki_issue_pem(const struct pki_cert *cert, struct hf_buf *out)
{
    struct hf_buf der = {0};
    pki_issue(cert, &der);
    CHECK_OK(hf_pem_append(out, hf_buf_bytes(&der)));
    hf_buf_free(&der);
}

void pki_change_signature_algorithm(struct hf_buf *der)
{
    static const uint8_t ecdsa_with_sha256[] = {0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02};
    size_t len = sizeof ecdsa_with_sha256, n = 0;
    for (size_t i = 0; i + len <= der->len; i++) {
        if (memcmp(der->data + i, ecdsa_with_sha256, len) != 0)
            continue;
        der->data[i + len - 1] = 0x7F;
        n++;
    }
    assert_int_equal(n, 2);
}

void pki_root(const char *subject, struct pki_key *key, struct hf_buf *out)
{
    pki_issue(&(struct pki_cert){.subject = subject, .key = key, .is_ca = true}, out);
}
